//! The records of a simulation, and what the outage guard holds of them: what the gate does with journal and index, in memory.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use crate::bounce::Effect;
use crate::event::{Event, Evidence, What};
use crate::policy::guard::{Guard, Notice, Observation, OutageKey, Outcome};
use crate::policy::{Policy, Record, transition};
use crate::smtp::address::RecipientKey;
use crate::time::Timestamp;

/// What an operator makes of an outage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Resolution {
    /// It was none: what was held counts.
    Apply,
    /// It was one: what was held never counts.
    Void,
}

/// Records by address, with the events that made them as long as an outage may yet take some of them back.
pub(super) struct Folded<'a> {
    policy: &'a Policy,
    guard: Guard,
    stories: HashMap<RecipientKey, Story>,
    held: Vec<Held>,
}

#[derive(Default)]
struct Story {
    record: Record,
    events: Vec<Event>,
}

/// Evidence that does not count.
struct Held {
    key: OutageKey,
    since: Timestamp,
    /// Still lasts without.
    until: Option<Timestamp>,
}

impl<'a> Folded<'a> {
    pub(super) fn new(policy: &'a Policy) -> Self {
        // Fixed, so that the same file has the same answers.
        let guard = Guard::new(policy.outage.clone(), 0);
        Self { policy, guard, stories: HashMap::new(), held: Vec::new() }
    }

    /// What is known of an address.
    pub(super) fn record(&self, address: &RecipientKey) -> Option<&Record> {
        self.stories.get(address).map(|story| &story.record)
    }

    /// Watches and folds one more event.
    pub(super) fn learn(&mut self, event: Event) {
        if let Some(observation) = observation(&event).filter(|seen| !self.says_nothing_new(seen)) {
            for notice in self.guard.observe(&observation) {
                self.take(notice);
            }
        }
        let held = is_held(&self.held, &event);
        let mut entry = match self.stories.entry(event.address.clone()) {
            Entry::Occupied(entry) => entry,
            Entry::Vacant(entry) => entry.insert_entry(Story::default()),
        };
        let story = entry.get_mut();
        if !held {
            story.record = transition(std::mem::take(&mut story.record), &event, self.policy);
        }
        if !held && story.record.is_blank() && story.events.is_empty() {
            entry.remove();
        } else if self.policy.outage.enabled {
            story.events.push(event);
        }
    }

    /// An operator's word about an outage.
    ///
    /// # Errors
    /// There was none.
    pub(super) fn resolve(
        &mut self,
        key: &OutageKey,
        at: Timestamp,
        resolution: Resolution,
    ) -> Result<(), String> {
        if !self.held.iter().any(|held| held.key == *key) {
            return Err(format!("there was no outage of {key}"));
        }
        self.guard.resolve(key, at, resolution == Resolution::Apply);
        match resolution {
            Resolution::Apply => {
                self.held.retain(|held| held.key != *key);
                self.fold_again(key);
            }
            Resolution::Void => self.close(key, at),
        }
        Ok(())
    }

    /// Whether an address is refused that is gone for good already: where nothing is spared it, that is no sign of anything.
    fn says_nothing_new(&self, seen: &Observation<'_>) -> bool {
        let learnt = self.record(seen.address).and_then(|record| record.learnt.as_ref());
        seen.outcome == Outcome::HardRefused && learnt.is_some_and(|learnt| learnt.until.is_none())
    }

    fn take(&mut self, notice: Notice) {
        match notice {
            Notice::Trip { key, since, .. } => {
                match self.held.iter_mut().find(|held| held.key == key && held.until.is_none()) {
                    Some(held) => held.since = held.since.min(since),
                    None => self.held.push(Held { key: key.clone(), since, until: None }),
                }
                self.fold_again(&key);
            }
            Notice::Ended { key, until } => self.close(&key, until),
        }
    }

    fn close(&mut self, key: &OutageKey, until: Timestamp) {
        for held in &mut self.held {
            if held.key == *key && held.until.is_none() {
                held.until = Some(until);
            }
        }
    }

    /// Folds the addresses with evidence under a key again, as what is held of it has changed.
    fn fold_again(&mut self, key: &OutageKey) {
        let held = &self.held;
        for story in self.stories.values_mut() {
            let concerned = story.events.iter().any(|event| {
                hard(event).is_some_and(|evidence| {
                    key.covers(event.address.domain(), evidence.context.receiver.as_deref())
                })
            });
            if concerned {
                let counting = story.events.iter().filter(|event| !is_held(held, event));
                story.record = counting.fold(Record::default(), |record, event| {
                    transition(record, event, self.policy)
                });
            }
        }
    }
}

/// What an event says to the guard.
fn observation(event: &Event) -> Option<Observation<'_>> {
    let (outcome, context) = match &event.what {
        What::Reply(evidence) => match evidence.effect() {
            Effect::Hard => (Outcome::HardRefused, &evidence.context),
            Effect::Soft | Effect::None => return None,
        },
        What::Delivered(delivery) => (Outcome::Accepted, &delivery.context),
        What::Complaint { .. }
        | What::Engaged
        | What::Quarantine { .. }
        | What::Blacklist { .. }
        | What::Allow { .. }
        | What::Release { .. }
        | What::Imported(_) => return None,
    };
    let (address, at) = (&event.address, event.at);
    Some(Observation { address, receiver: context.receiver.as_deref(), at, outcome })
}

fn hard(event: &Event) -> Option<&Evidence> {
    match &event.what {
        What::Reply(evidence) => Some(evidence).filter(|seen| seen.effect() == Effect::Hard),
        What::Delivered(_)
        | What::Complaint { .. }
        | What::Engaged
        | What::Quarantine { .. }
        | What::Blacklist { .. }
        | What::Allow { .. }
        | What::Release { .. }
        | What::Imported(_) => None,
    }
}

fn is_held(held: &[Held], event: &Event) -> bool {
    let Some(evidence) = hard(event) else { return false };
    held.iter().any(|held| {
        held.since <= event.at
            && held.until.is_none_or(|until| event.at < until)
            && held.key.covers(event.address.domain(), evidence.context.receiver.as_deref())
    })
}

#[cfg(test)]
mod tests;
