//! What the guard has to do with events and orders: the same for a gate that runs and for a simulation.

use super::{Guard, Notice, Observation, Outcome};
use crate::bounce::Effect;
use crate::event::order::Decree;
use crate::event::outage::OutageKey;
use crate::event::{Event, Evidence, What};
use crate::policy::outage::Resolution;
use crate::policy::{Masks, Policy, Record};
use crate::smtp::address::RecipientKey;
use crate::time::Timestamp;

/// What an event says to the guard, given the record of its address before it; nothing for most.
pub fn observation<'a>(
    event: &'a Event,
    record: Option<&Record>,
    policy: &Policy,
) -> Option<Observation<'a>> {
    match &event.what {
        What::Reply(evidence) => refusal(&event.address, evidence, event.at, record, policy),
        What::Delivered(delivery) => Some(Observation {
            address: &event.address,
            receiver: delivery.context.receiver.as_deref(),
            at: event.at,
            outcome: Outcome::Accepted,
        }),
        What::Complaint { .. }
        | What::Engaged
        | What::Quarantine { .. }
        | What::Blacklist { .. }
        | What::Allow { .. }
        | What::Release { .. }
        | What::Imported(_) => None,
    }
}

/// What a refusal says to the guard: something if it is hard, unless the address is gone for good already. Where nothing is spared such a
/// one, in monitor mode, it would be a sign of something each time.
pub fn refusal<'a>(
    address: &'a RecipientKey,
    evidence: &'a Evidence,
    at: Timestamp,
    record: Option<&Record>,
    policy: &Policy,
) -> Option<Observation<'a>> {
    let is_news =
        policy.effect_of(evidence) == Effect::Hard && !record.is_some_and(Record::is_gone);
    is_news.then_some(Observation {
        address,
        receiver: evidence.context.receiver.as_deref(),
        at,
        outcome: Outcome::HardRefused,
    })
}

/// The order that a notice asks for.
pub fn decree_of(notice: &Notice) -> Decree {
    match notice {
        Notice::Trip { key, since, .. } => Decree::Outage { key: key.clone(), since: *since },
        Notice::Ended { key, until } => Decree::OutageEnd { key: key.clone(), until: *until },
    }
}

impl Guard {
    /// Hears what operators said of outages in orders later than `heard`.
    pub fn hear(&mut self, masks: &Masks, heard: u64) {
        let start = masks.orders().partition_point(|(seq, _)| *seq <= heard);
        for (_, order) in masks.orders().iter().skip(start) {
            let (id, word) = match &order.decree {
                Decree::OutageApply { outage } => (outage, Resolution::Apply),
                Decree::OutageVoid { outage } => (outage, Resolution::Void),
                Decree::Void { .. }
                | Decree::ImportCommit { .. }
                | Decree::Outage { .. }
                | Decree::OutageEnd { .. } => continue,
            };
            let Some(outage) = masks.outage(id) else { continue };
            // A word about an old one ends no later one under the same key.
            if !masks.lasting().any(|lasting| lasting.key == outage.key) {
                self.resolve(&outage.key, order.at, word == Resolution::Apply);
            }
        }
    }

    /// Goes on with the outages that last, by the orders, and with what operators said: after a restart.
    pub fn resume_from(&mut self, masks: &Masks) {
        self.hear(masks, 0);
        if self.settings.enabled {
            for outage in masks.lasting() {
                self.resume(outage.key.clone(), outage.state().since);
            }
        }
    }

    /// What the orders lack, or have too much, against what the guard knows to last: orders that a disk did not take, or that are of a time
    /// when it was on.
    pub fn missing(&self, masks: &Masks, now: Timestamp) -> Vec<Decree> {
        let known = |key: &OutageKey| masks.lasting().find(|outage| outage.key == *key);
        let begun = self
            .open()
            .filter(|(key, since)| known(key).is_none_or(|outage| outage.state().since > *since));
        let begun = begun.map(|(key, since)| Decree::Outage { key: key.clone(), since });
        let lasts = |key: &OutageKey| self.open().any(|(open, _)| open == key);
        let over = masks.lasting().filter(|outage| !lasts(&outage.key));
        let over = over.map(|outage| Decree::OutageEnd { key: outage.key.clone(), until: now });
        begun.chain(over).collect()
    }
}
