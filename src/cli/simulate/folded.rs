//! The records of a simulation, and what the outage guard holds of them: what the gate does with journal and index, in memory.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use crate::event::order::{Decree, Order, OrderId};
use crate::event::{Act, Event};
use crate::policy::guard::{Guard, OutageKey, decree_of, observation};
use crate::policy::outage::Resolution;
use crate::policy::{Masked, Masks, Policy, Record, step};
use crate::smtp::address::RecipientKey;
use crate::time::Timestamp;

/// Records by address, with the events that made them: an outage or an order may yet take some of them back.
pub(super) struct Folded<'a> {
    policy: &'a Policy,
    guard: Guard,
    stories: HashMap<RecipientKey, Story>,
    /// The orders that the gate would have given.
    masks: Masks,
    /// The sequence of the last event or order.
    last: u64,
    /// Rows of imports that a journal brought: their sequences there, which only grow, and here.
    rows: Vec<(u64, u64)>,
}

#[derive(Default)]
struct Story {
    record: Record,
    events: Vec<(u64, Event)>,
}

impl<'a> Folded<'a> {
    pub(super) fn new(policy: &'a Policy) -> Self {
        // Fixed, so that the same file has the same answers.
        let guard = Guard::new(policy.outage.clone(), 0);
        Self {
            policy,
            guard,
            stories: HashMap::new(),
            masks: Masks::default(),
            last: 0,
            rows: Vec::new(),
        }
    }

    /// What is known of an address.
    pub(super) fn record(&self, address: &RecipientKey) -> Option<&Record> {
        self.stories.get(address).map(|story| &story.record)
    }

    /// Watches and folds one more event.
    pub(super) fn learn(&mut self, event: Event) {
        if let Some(seen) = observation(&event, self.record(&event.address), self.policy) {
            for notice in self.guard.observe(&seen) {
                self.order(decree_of(&notice), event.at);
            }
        }
        self.last += 1;
        self.fold(event);
    }

    /// Folds one more event of a journal. What the guard made of it then is in the journal too.
    pub(super) fn take(&mut self, seq: u64, event: Event) {
        self.last += 1;
        if event.imported().is_some() {
            self.rows.push((seq, self.last));
        }
        self.fold(event);
    }

    /// Obeys an order of a journal.
    pub(super) fn obey(&mut self, order: Order) {
        let decree = match order.decree {
            Decree::ImportCommit { batch, rows, first } => {
                let behind = self.rows.partition_point(|(seq, _)| *seq < first);
                let first = self.rows.get(behind).map_or(self.last + 1, |(_, here)| *here);
                Decree::ImportCommit { batch, rows, first }
            }
            Decree::Void { .. }
            | Decree::Outage { .. }
            | Decree::OutageEnd { .. }
            | Decree::OutageApply { .. }
            | Decree::OutageVoid { .. } => order.decree,
        };
        self.give(Order { decree, ..order });
    }

    /// Any event may yet be undone, or committed, wherever it came from: an order of a journal means all that came before it. So all are
    /// kept, but for what counts and says nothing of an address of which nothing is known.
    fn fold(&mut self, event: Event) {
        let mut entry = match self.stories.entry(event.address.clone()) {
            Entry::Occupied(entry) => entry,
            Entry::Vacant(entry) => entry.insert_entry(Story::default()),
        };
        let story = entry.get_mut();
        let masked = masked(self.last, &event, &self.masks, self.policy);
        let record = std::mem::take(&mut story.record);
        story.record = step(record, &event, masked, self.policy);
        if masked.is_none() && story.record.is_blank() && story.events.is_empty() {
            entry.remove();
        } else {
            story.events.push((self.last, event));
        }
    }

    /// An operator's word about an outage: of one that is called none, about all there were under the key.
    ///
    /// # Errors
    /// There was none.
    pub(super) fn resolve(
        &mut self,
        key: &OutageKey,
        at: Timestamp,
        resolution: Resolution,
    ) -> Result<(), String> {
        let all = self.masks.outages().iter().filter(|outage| outage.key == *key);
        let all: Vec<OrderId> = all.map(|outage| outage.id.clone()).collect();
        if all.is_empty() {
            return Err(format!("there was no outage of {key}"));
        }
        let heard = self.last;
        for outage in all {
            self.order(
                match resolution {
                    Resolution::Apply => Decree::OutageApply { outage },
                    Resolution::Void => Decree::OutageVoid { outage },
                },
                at,
            );
        }
        self.guard.hear(&self.masks, heard);
        Ok(())
    }

    /// Gives an order, and folds the addresses again that have an event which it moved.
    fn order(&mut self, decree: Decree, at: Timestamp) {
        let id = OrderId((self.last + 1).to_string());
        self.give(Order { id, at, decree, act: Act::default() });
    }

    fn give(&mut self, given: Order) {
        self.last += 1;
        let order = self.last;
        self.masks = self.masks.with(order, given);
        let (masks, policy) = (&self.masks, self.policy);
        for story in self.stories.values_mut() {
            if story.events.iter().any(|(seq, event)| moved(order, *seq, event, masks, policy)) {
                story.record =
                    story.events.iter().fold(Record::default(), |record, (seq, event)| {
                        step(record, event, masked(*seq, event, masks, policy), policy)
                    });
            }
        }
    }
}

/// Why an event does not count. A row of an import that no journal brought has no commit to wait for.
fn masked<'a>(seq: u64, event: &Event, masks: &'a Masks, policy: &Policy) -> Option<Masked<'a>> {
    let masked = masks.masked(seq, event, policy);
    masked.filter(|masked| !(is_alone(event) && *masked == Masked::Unfinished))
}

/// Whether an order may have changed whether an event counts.
fn moved(order: u64, seq: u64, event: &Event, masks: &Masks, policy: &Policy) -> bool {
    // To the masks a row without a commit is void before and after, so they see nothing move.
    let undone = || match masks.order(order).map(|order| &order.decree) {
        Some(Decree::Void { select }) => select.selects(event),
        Some(
            Decree::ImportCommit { .. }
            | Decree::Outage { .. }
            | Decree::OutageEnd { .. }
            | Decree::OutageApply { .. }
            | Decree::OutageVoid { .. },
        )
        | None => false,
    };
    masks.moved(order, seq, event, policy) || is_alone(event) && undone()
}

/// Whether it is a row of an import that no journal brought.
fn is_alone(event: &Event) -> bool {
    event.batch() == Some("")
}

#[cfg(test)]
mod tests;
