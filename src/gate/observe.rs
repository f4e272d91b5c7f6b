//! What the gate makes of the downstream's replies: which of them are events, and which are only counted.

use std::sync::atomic::Ordering;

use super::Gate;
use super::learn::{About, Draft, Learning};
use super::settings::Recording;
use super::stats::Stats;
use crate::bounce::classify::Classification;
use crate::bounce::{Category, Stage, is_about_one_recipient};
use crate::event::{Delivery, Evidence, What};
use crate::smtp::address::RecipientKey;
use crate::smtp::reply::Reply;
use crate::time::Timestamp;

/// The rule that knows what a gate said, also where another host quotes it.
const OWN_REFUSAL: &str = "own-refusal";

impl Gate {
    /// A 4yz or 5yz of the downstream. `recipients` is how many recipients the reply is about: those accepted, for one after DATA.
    ///
    /// It becomes an event that the client's reply waits for if it is about this recipient alone and can move its standing; also if it
    /// cannot but the address has a record, whose story it completes. Of the others the gate's settings say which are written down in
    /// passing.
    pub fn refused(
        &self,
        about: &About,
        stage: Stage,
        reply: &Reply,
        recipients: u32,
        now: Timestamp,
    ) -> Learning {
        let shared = &self.0.shared;
        let receiver = about.context.receiver.as_deref();
        let classification = shared.classifier.load().classify(stage, reply, recipients, receiver);
        if !is_about_one_recipient(stage, reply, recipients) {
            Stats::add(&shared.stats.ignored, 1);
            return Learning { classification, durable: None, noted: false };
        }
        let evidence = evidence(about, stage, reply, &classification);
        let policy = shared.policy.load();
        // Before it is learnt: what raises the alarm is held by it.
        self.watch_refusal(&about.address, &evidence, now, &policy);
        if policy.heeds(&evidence) || matches!(shared.look_up(&about.address), Ok(Some(_))) {
            let durable = self.learn(draft(about, What::Reply(evidence), now));
            return Learning { classification, durable: Some(durable), noted: false };
        }
        let noted = self.is_worth_a_note(&evidence, stage)
            && self.note(draft(about, What::Reply(evidence), now));
        if !noted {
            Stats::add(&shared.stats.ignored, 1);
        }
        Learning { classification, durable: None, noted }
    }

    /// Whether a refusal is written down that cannot move anything: a 5yz tells the sender something whatever it is about, a 4yz only if
    /// nobody knows what. What a gate said, this one or one behind a relay, tells nothing new.
    fn is_worth_a_note(&self, evidence: &Evidence, stage: Stage) -> bool {
        let wanted = match self.0.shared.settings.record {
            Recording::All => true,
            Recording::Known => false,
        };
        wanted
            && stage != Stage::Lookup
            && evidence.rule != OWN_REFUSAL
            && (evidence.is_permanent() || evidence.category == Category::Undetermined)
    }

    /// Writes an event down without anybody waiting for it, unless much waits already: what moves standings goes first.
    fn note(&self, draft: Draft) -> bool {
        let shared = &self.0.shared;
        let waiting = shared.waiting.load(Ordering::Relaxed);
        let room = waiting.saturating_mul(2) < shared.settings.queue;
        if room {
            Stats::add(&shared.stats.noted, 1);
            drop(self.learn(draft));
        } else {
            Stats::add(&shared.stats.left_out, 1);
        }
        room
    }

    /// What a reply means, of which nothing is to be learnt.
    pub fn classify(
        &self,
        stage: Stage,
        reply: &Reply,
        recipients: u32,
        receiver: Option<&str>,
    ) -> Classification {
        self.0.shared.classifier.load().classify(stage, reply, recipients, receiver)
    }

    /// Whether a delivery would change anything about an address, which is so for nearly none.
    pub fn awaits_delivery(&self, address: &RecipientKey) -> bool {
        // When the record cannot be read the delivery is kept: the fold knows better.
        match self.0.shared.look_up(address) {
            Ok(stored) => stored.is_some_and(|stored| stored.record.awaits_delivery()),
            Err(_counted) => true,
        }
    }

    /// A 2yz to end-of-data. It becomes an event if it changes anything; nobody waits for it. The outage guard is told of it, and of all that
    /// become none, by [`Gate::accepted`].
    pub fn delivered(&self, about: &About, reply: &Reply, now: Timestamp) {
        if self.awaits_delivery(&about.address) {
            let delivery = Delivery { reply: reply.to_string(), context: about.context.clone() };
            drop(self.learn(draft(about, What::Delivered(delivery), now)));
        }
    }
}

fn evidence(
    about: &About,
    stage: Stage,
    reply: &Reply,
    classification: &Classification,
) -> Evidence {
    Evidence {
        category: classification.category,
        scope: classification.scope,
        stage,
        reply: reply.to_string(),
        rule: classification.rule.to_string(),
        context: about.context.clone(),
    }
}

fn draft(about: &About, what: What, at: Timestamp) -> Draft {
    Draft { at, address: about.address.clone(), tenant: about.tenant.clone(), what }
}
