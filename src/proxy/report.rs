//! What a session saw, told to the gate, the log and the metrics.

mod account;
mod judging;
mod learnt;
mod part;
mod peers;
mod tallied;

use std::borrow::Cow;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

use account::Account;
pub(super) use part::{Part, Who};
pub(super) use peers::untold;
use tallied::Meant;

use super::Door;
use super::downstream::NextHop;
use crate::bounce::Stage;
use crate::event::{Context, Tenant};
use crate::gate::About;
use crate::log::{self, Common, Line};
use crate::policy::verdict::Reason;
use crate::session::{Answered, Envelope, Finished, Outcome, Ticket};
use crate::smtp::address::{Recipient, RecipientKey, ReversePath};
use crate::smtp::reply::Reply;
use crate::time::Timestamp;

/// Speaks for one session.
pub(super) struct Reporter {
    door: Arc<Door>,
    part: Part,
    client: String,
    /// The user that logged in, or that XCLIENT named.
    login: Option<String>,
    session: String,
    /// Verdict and reason of a recipient that nothing speaks against, as the log has them.
    clear: Common,
    /// Likewise tenant, client and session: the same on every line of a recipient.
    common: Common,
    /// The text of the last reply that was shown, for the next.
    spare: String,
    /// On whose account the message at hand is.
    tenant: Tenant,
    /// By what the connection's tenant is known.
    account: Account,
    /// Recipients of this transaction that passed for a reason, or in spite of one.
    passed: Vec<(RecipientKey, Passed)>,
    /// What the last reply meant that was counted for several.
    meant: Option<Meant>,
}

/// When the client may hear a reply.
pub(super) enum Settling {
    /// It does not wait for us.
    Nothing,
    /// Now: nothing was worth writing down.
    Now(Ticket),
    /// When this is done: the event is on disk, or cannot be, or takes too long.
    Later(Ticket, Pin<Box<dyn Future<Output = ()> + Send>>),
}

impl Reporter {
    pub(super) fn new(door: Arc<Door>, client: SocketAddr, number: u64) -> Self {
        door.metrics.session_began();
        let account = Account::of_client(&door.settings, client.ip());
        let tenant = account.tenant();
        let (client, session) = (client.ip().to_string(), format!("{number:x}"));
        tracing::debug!(event = "connect", client, session);
        let common = common(&tenant, &client, &session);
        let clear = Common::new(|line| decided(line, "forward", &Passed::default()));
        let (passed, part) = (Vec::new(), Part::of(&door));
        Self {
            door,
            part,
            client,
            login: None,
            session,
            tenant,
            account,
            clear,
            common,
            spare: String::new(),
            passed,
            meant: None,
        }
    }

    /// The next hop answered for a recipient.
    pub(super) fn answered(&mut self, answered: &Answered, next_hop: Option<&NextHop>) -> Settling {
        let Answered { envelope, recipient, stage, reply, recipients, ticket } = answered;
        let Some(key) = recipient.key().filter(|_| self.part.has_mail()) else {
            return ticket.map_or(Settling::Nothing, Settling::Now);
        };
        self.account_of(envelope);
        if matches!(stage, Stage::Rcpt | Stage::Mail | Stage::Connect | Stage::Lookup) {
            let passed = self.why_passed(key);
            self.rcpt(envelope, key, "forward", &passed, next_hop, reply);
        }
        let Some(ticket) = *ticket else {
            self.count_reply(answered, key, next_hop);
            return Settling::Nothing;
        };
        let about = self.about(envelope, key.clone(), next_hop);
        let learning = self.door.gate.refused(&about, *stage, reply, *recipients, Timestamp::now());
        self.door.metrics.replied(learning.classification.category.name());
        self.count_refusal(answered, key, next_hop, &learning.classification);
        let learnt = self.learnt(answered, &about.address, next_hop, learning.classification);
        match learning.durable {
            Some(durable) => {
                let settled = async move { learnt.log(durable.in_time().await) };
                Settling::Later(ticket, Box::pin(settled))
            }
            None => {
                learnt.log_unawaited(learning.noted);
                Settling::Now(ticket)
            }
        }
    }

    /// A transaction ended.
    pub(super) fn finished(&mut self, finished: &Finished, next_hop: Option<&NextHop>) {
        if !self.part.has_mail() {
            return;
        }
        self.account_of(&finished.envelope);
        let outcome = match finished.outcome {
            Outcome::Delivered => "delivered",
            Outcome::Refused => "refused",
            Outcome::Aborted => "aborted",
            Outcome::Unknown => "unknown",
        };
        let tls = next_hop.map_or("", |hop| hop.tls);
        self.door.metrics.finished(outcome, tls, finished.client_gone);
        self.passed.clear();
        self.count_finished(finished, next_hop);
        let envelope = &finished.envelope;
        // Of a message that its client left, the reply is nobody's.
        let left = finished.client_gone && finished.outcome == Outcome::Aborted;
        let heard = (!left).then_some(&finished.reply);
        tracing::info!(
            event = "message",
            outcome,
            sender = self.sender(envelope),
            recipients = finished.recipients.len(),
            size = finished.octets,
            tenant = self.tenant.0,
            client = self.client,
            login = self.login.as_deref(),
            session = self.session,
            message = envelope.ident.as_deref().unwrap_or_default(),
            campaign = self.campaign(envelope).as_deref(),
            downstream = next_hop.map_or("", |hop| &hop.name),
            receiver = next_hop.map_or("", |hop| &hop.receiver),
            tls,
            trust = next_hop.map_or("", |hop| hop.trust),
            downstream_id = queue_id(&finished.reply).unwrap_or_default(),
            client_gone = finished.client_gone,
            reply = heard.map(|reply| self.shown(reply)).unwrap_or_default(),
        );
        if finished.outcome == Outcome::Delivered {
            let now = Timestamp::now();
            let keys = || finished.recipients.iter().filter_map(Recipient::key);
            let receiver = next_hop.map(|hop| hop.name.as_str());
            self.door.gate.accepted(keys(), receiver, now);
            for key in keys().filter(|key| self.door.gate.awaits_delivery(key)) {
                let about = self.about(envelope, key.clone(), next_hop);
                self.door.gate.delivered(&about, &finished.reply, now);
            }
        }
    }

    /// A reply as the log shows it.
    fn shown(&self, reply: &Reply) -> String {
        // Room for code and status, so that it need not grow.
        let mut text = String::with_capacity(reply.text.len() + 16);
        // Writing to a String cannot fail.
        let _ = reply.show(&mut text);
        match self.door.addresses.scrub(&text) {
            Cow::Borrowed(_) => text,
            Cow::Owned(scrubbed) => scrubbed,
        }
    }

    /// The campaign as the log shows it: somebody may have an address in it.
    fn campaign(&self, envelope: &Envelope) -> Option<String> {
        envelope.campaign().map(|campaign| self.door.addresses.scrub(campaign).into_owned())
    }

    fn sender(&self, envelope: &Envelope) -> String {
        match &envelope.sender {
            ReversePath::Null => envelope.sender.to_string(),
            ReversePath::Mailbox(mailbox) => {
                self.door.addresses.show(&RecipientKey::of(mailbox)).into_owned()
            }
        }
    }

    fn about(
        &self,
        envelope: &Envelope,
        address: RecipientKey,
        next_hop: Option<&NextHop>,
    ) -> About {
        let context = Context {
            message: envelope.message.clone(),
            sender: Some(envelope.sender.to_string()),
            campaign: envelope.campaign().map(str::to_owned),
            receiver: next_hop.map(|hop| hop.name.clone()),
        };
        About { address, tenant: self.tenant.clone(), context }
    }

    fn rcpt(
        &mut self,
        envelope: &Envelope,
        key: &RecipientKey,
        verdict: &str,
        passed: &Passed,
        next_hop: Option<&NextHop>,
        reply: &Reply,
    ) {
        if !tracing::enabled!(tracing::Level::INFO) {
            return;
        }
        let clear = verdict == "forward" && passed.is_default();
        let mut spare = std::mem::take(&mut self.spare);
        spare.clear();
        // Writing to a String cannot fail.
        let _ = reply.show(&mut spare);
        let shown = self.door.addresses.scrub(&spare);
        let would_reply =
            passed.would_reply.as_deref().map(|reply| self.door.addresses.scrub(reply));
        let recipient = self.door.addresses.show(key);
        log::record("rcpt", |line| {
            if clear {
                line.common(&self.clear);
            } else {
                decided(line, verdict, passed);
            }
            line.text("recipient", &recipient);
            line.text("domain", key.domain());
            line.common(&self.common);
            line.text("message", envelope.ident.as_deref().unwrap_or_default());
            line.text("downstream", next_hop.map_or("", |hop| &hop.name));
            line.text("reply", &shown);
            if let Some(reply) = &would_reply {
                line.text("would_reply", reply);
            }
        });
        self.spare = spare;
    }
}

/// The session is over, however it ended: a panic must not leave it in the figures for ever.
impl Drop for Reporter {
    fn drop(&mut self) {
        if !self.part.has_client() {
            return;
        }
        self.door.metrics.session_ended();
        tracing::debug!(event = "disconnect", client = self.client, session = self.session);
    }
}

/// Why the gate decided as it did, in the words of the log.
struct Passed {
    reason: &'static str,
    /// In monitor mode: the verdict that was not carried out, and the reply that was not given.
    would: &'static str,
    would_reply: Option<String>,
}

impl Passed {
    fn is_default(&self) -> bool {
        self.reason == Reason::None.name() && self.would.is_empty()
    }
}

/// The fields that are the same on every line of a recipient.
fn common(tenant: &Tenant, client: &str, session: &str) -> Common {
    Common::new(|line| {
        line.text("tenant", &tenant.0);
        line.text("client", client);
        line.text("session", session);
    })
}

/// The first fields of a decision's line.
fn decided(line: &mut Line, verdict: &str, passed: &Passed) {
    line.text("verdict", verdict);
    line.text("reason", passed.reason);
    line.text("would", passed.would);
}

impl Default for Passed {
    fn default() -> Self {
        Self { reason: Reason::None.name(), would: "", would_reply: None }
    }
}

/// The queue id in a reply to end of data, as Postfix (`queued as X`), Exim (`OK id=X`) and Sendmail (`X Message accepted`)
/// give it. For the log only.
fn queue_id(reply: &Reply) -> Option<&str> {
    let text = reply.text.as_ref();
    let behind = |mark: &str| text.split_once(mark).map(|(_, rest)| rest);
    let found = behind("queued as ")
        .or_else(|| behind("id="))
        .or_else(|| text.split_once(" Message accepted").map(|(id, _)| id))?;
    found.split_ascii_whitespace().next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queue_ids() {
        let check = |text: &str, expected: Option<&str>| {
            let reply = Reply::from_text(text).expect("a reply");
            assert_eq!(queue_id(&reply), expected, "{text}");
        };
        check("250 2.0.0 Ok: queued as 4F5D2A1", Some("4F5D2A1"));
        check("250 OK id=1sXyZ-0001Ab-2c", Some("1sXyZ-0001Ab-2c"));
        check("250 2.0.0 s8C7 Message accepted for delivery", Some("s8C7"));
        check("250 ok", None);
    }
}
