//! What the gate makes of the downstream's replies: which of them are events, and which are only counted.

use super::Gate;
use super::learn::{About, Draft, Learning};
use super::stats::Stats;
use crate::bounce::classify::Classification;
use crate::bounce::{Stage, is_about_one_recipient};
use crate::event::{Delivery, Evidence, What};
use crate::smtp::address::RecipientKey;
use crate::smtp::reply::Reply;
use crate::time::Timestamp;

impl Gate {
    /// A 4yz or 5yz of the downstream. `recipients` is how many recipients the reply is about: those accepted, for one after DATA.
    ///
    /// It becomes an event if it is about this recipient alone and can move its standing; also if it cannot but the address has a record,
    /// whose story it completes.
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
        let evidence = evidence(about, stage, reply, &classification);
        let about_one = is_about_one_recipient(stage, reply, recipients);
        let policy = shared.policy.load();
        if about_one {
            // Before it is learnt: what raises the alarm is held by it.
            self.watch_refusal(&about.address, &evidence, now, &policy);
        }
        let worth_keeping = about_one
            && (policy.heeds(&evidence) || matches!(shared.look_up(&about.address), Ok(Some(_))));
        if !worth_keeping {
            Stats::add(&shared.stats.ignored, 1);
            return Learning { classification, durable: None };
        }
        let durable = self.learn(draft(about, What::Reply(evidence), now));
        Learning { classification, durable: Some(durable) }
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
