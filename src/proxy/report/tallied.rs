//! What became of a recipient, counted: once for each attempt, where its end is told.
//!
//! A refusal is counted when it is answered, a delivery and an end that never came when the transaction is over. What goes to several
//! next hops is counted by the connections behind, as it is judged there.

use std::borrow::Cow;

use super::super::downstream::NextHop;
use super::Reporter;
use crate::bounce::classify::Classification;
use crate::bounce::{Effect, Stage};
use crate::routing::receiver::organisation;
use crate::session::{Answered, Envelope, Finished, Outcome as End};
use crate::smtp::address::{Domain, Recipient, RecipientKey, ReversePath};
use crate::smtp::reply::{Reply, Severity};
use crate::smtp::status::EnhancedStatus;
use crate::tally::{Campaign, Cause, Ground, Outcome, Place, Tally};
use crate::time::Timestamp;

/// What every reply of the gate itself begins with.
const GATE: &str = "rcptgate:";

/// A reply that several recipients get, and what it means.
pub(super) struct Meant {
    stage: Stage,
    recipients: u32,
    reply: Reply,
    outcome: Option<Outcome>,
}

impl Reporter {
    /// The gate does not send a recipient on.
    pub(super) fn count_refused(&self, envelope: &Envelope, key: &RecipientKey, ground: Ground) {
        self.count(envelope, key, None, Outcome::Refused(ground), None);
    }

    /// The next hop refused a recipient, and this is what that means.
    pub(super) fn count_refusal(
        &self,
        answered: &Answered,
        key: &RecipientKey,
        next_hop: Option<&NextHop>,
        read: &Classification,
    ) {
        if let Some(outcome) = outcome(&answered.reply, read) {
            self.count(&answered.envelope, key, next_hop, outcome, Some(&answered.reply));
        }
    }

    /// A reply of which nothing is learnt: that RCPT was accepted, which is no end; or a refusal of the sender, of the message for
    /// several, or because nobody could be asked.
    pub(super) fn count_reply(
        &mut self,
        answered: &Answered,
        key: &RecipientKey,
        next_hop: Option<&NextHop>,
    ) {
        let Answered { stage, recipients, reply, .. } = answered;
        if !reply.is_success()
            && let Some(outcome) = self.means(*stage, *recipients, reply, next_hop)
        {
            self.count(&answered.envelope, key, next_hop, outcome, Some(reply));
        }
    }

    /// A transaction ended. What refused it has been counted.
    pub(super) fn count_finished(&mut self, finished: &Finished, next_hop: Option<&NextHop>) {
        let recipients = u32::try_from(finished.recipients.len()).unwrap_or(u32::MAX);
        let outcome = match finished.outcome {
            End::Delivered => Some(Outcome::Delivered),
            End::Refused => None,
            End::Aborted if finished.client_gone => Some(Outcome::Unfinished),
            // What the gate itself does not take is about the message: a line too long, too much, a bare CR.
            End::Aborted if is_own(&finished.reply) => {
                Some(Outcome::Bounced(Cause::MessageRejected))
            }
            End::Aborted => self.means(Stage::EndOfData, recipients, &finished.reply, next_hop),
            End::Unknown => Some(Outcome::Unfinished),
        };
        let reply = (finished.outcome == End::Aborted).then_some(&finished.reply);
        let Some(outcome) = outcome else { return };
        for key in finished.recipients.iter().filter_map(Recipient::key) {
            self.count(&finished.envelope, key, next_hop, outcome, reply);
        }
    }

    /// What a reply means that is read for counting alone; it is read once for all who get it.
    fn means(
        &mut self,
        stage: Stage,
        recipients: u32,
        reply: &Reply,
        next_hop: Option<&NextHop>,
    ) -> Option<Outcome> {
        if let Some(meant) = &self.meant
            && (meant.stage, meant.recipients, &meant.reply) == (stage, recipients, reply)
        {
            return meant.outcome;
        }
        let receiver = next_hop.map(|hop| hop.name.as_str());
        let read = self.door.gate.classify(stage, reply, recipients, receiver);
        let outcome = outcome(reply, &read);
        self.meant = Some(Meant { stage, recipients, reply: reply.clone(), outcome });
        outcome
    }

    fn count(
        &self,
        envelope: &Envelope,
        key: &RecipientKey,
        next_hop: Option<&NextHop>,
        outcome: Outcome,
        reply: Option<&Reply>,
    ) {
        let receiver = receiver(next_hop, key);
        let place =
            Place { tenant: &self.tenant.0, receiver: &receiver, campaign: campaign(envelope) };
        let reply = reply.map(|reply| self.shown(reply));
        self.door.tally.count(&place, outcome, reply.as_deref(), Timestamp::now());
    }
}

/// A recipient that is deferred, in case that is once too often: then it counts as a bounce.
pub(super) struct Expired {
    tally: Tally,
    tenant: String,
    receiver: String,
    campaign: Option<String>,
    sender: String,
    cause: Cause,
}

impl Reporter {
    /// Only a deferral that is about the mailbox can become a bounce.
    pub(super) fn expired(
        &self,
        answered: &Answered,
        key: &RecipientKey,
        next_hop: Option<&NextHop>,
        read: &Classification,
    ) -> Option<Expired> {
        let deferred = answered.reply.severity() == Severity::Transient;
        (deferred && read.effect == Effect::Soft).then(|| Expired {
            tally: self.door.tally.clone(),
            tenant: self.tenant.0.clone(),
            receiver: receiver(next_hop, key).into_owned(),
            campaign: answered.envelope.campaign().map(str::to_owned),
            sender: sender(&answered.envelope).to_owned(),
            cause: Cause::of(read.category, &read.rule),
        })
    }
}

impl Expired {
    /// The fold counted so many soft bounces with this attempt.
    pub(super) fn count(&self, softs: u32) {
        let campaign = match &self.campaign {
            Some(name) => Campaign::Named(name),
            None => Campaign::Sender(&self.sender),
        };
        let place = Place { tenant: &self.tenant, receiver: &self.receiver, campaign };
        for _ in 0..softs {
            self.tally.count(&place, Outcome::Bounced(self.cause), None, Timestamp::now());
        }
    }
}

/// What a refusal is counted as, if it is an end at all.
fn outcome(reply: &Reply, read: &Classification) -> Option<Outcome> {
    // Too many for one transaction, or another destination: the client comes again with the rest at once.
    let again = reply.code.get() == 452 && reply.status == Some(EnhancedStatus::new(4, 5, 3));
    match reply.severity() {
        Severity::Transient if again => None,
        Severity::Transient => Some(Outcome::Deferred(Cause::of(read.category, &read.rule))),
        Severity::Permanent => {
            Some(Outcome::Bounced(Cause::of_bounce(read.category, &read.rule, read.effect)))
        }
        Severity::Completion | Severity::Intermediate => None,
    }
}

/// Whether the gate itself refuses for good.
fn is_own(reply: &Reply) -> bool {
    reply.severity() == Severity::Permanent && reply.text.trim_start().starts_with(GATE)
}

/// Who received, or would have: where no mail host was found the recipient's domain stands for it.
fn receiver<'a>(next_hop: Option<&'a NextHop>, key: &RecipientKey) -> Cow<'a, str> {
    match next_hop {
        Some(hop) => Cow::Borrowed(&hop.receiver),
        None => Cow::Owned(organisation(key.domain())),
    }
}

fn campaign(envelope: &Envelope) -> Campaign<'_> {
    match envelope.campaign() {
        Some(name) => Campaign::Named(name),
        None => Campaign::Sender(sender(envelope)),
    }
}

fn sender(envelope: &Envelope) -> &str {
    match &envelope.sender {
        ReversePath::Null => "",
        ReversePath::Mailbox(mailbox) => match &mailbox.domain {
            Domain::Name(name) | Domain::Literal(name) => name,
        },
    }
}
