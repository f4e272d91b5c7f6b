//! From events to records: the same few lines for an event just learnt, and for the journal's tail at a start.

use std::collections::HashMap;

use crate::event::Event;
use crate::event::order::Order;
use crate::journal::{Entry, Position, Said};
use crate::policy::{Masked, Masks, Policy, Record, Standing, settled};
use crate::smtp::address::RecipientKey;
use crate::store::filter::Filter;
use crate::store::{Applied, Batch, Job, Store, StoreError, Stored, Tally};

/// What an event did to the standing of its address, for the event's tenant and at the event's time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// Before.
    pub before: Standing,
    /// After.
    pub after: Standing,
    /// The sequence of the outage that keeps the event from counting.
    pub held: Option<u64>,
    /// Soft bounces that were counted with it: its own, and those of messages deferred before.
    pub softs: u32,
}

/// What is folded into, and how.
#[derive(Clone, Copy)]
pub(super) struct Means<'a> {
    pub(super) store: &'a Store,
    pub(super) filter: &'a Filter,
    pub(super) policy: &'a Policy,
    pub(super) masks: &'a Masks,
}

/// Folds consecutive entries into the index, all or none. An entry that the index already knows changes nothing. An order takes effect
/// on what came before it by a job; a change is given for each event.
pub(super) fn fold(
    means: &Means<'_>,
    entries: &[(Entry, Position)],
) -> Result<Vec<Option<Change>>, StoreError> {
    let known = means.store.applied().map_or(0, |applied| applied.seq);
    let mut folding = Folding { means, known, records: HashMap::new(), batch: Batch::default() };
    let mut changes = Vec::with_capacity(entries.len());
    for (entry, position) in entries {
        changes.push(match &entry.said {
            Said::Event(event) => Some(folding.event(entry.seq, event, *position)?),
            Said::Order(order) => {
                folding.order(entry.seq, order, *position);
                None
            }
        });
    }
    folding.apply()?;
    Ok(changes)
}

/// The record of an address made of its whole history, without the events that are masked; and the sequence of the last event, masked or
/// not.
pub(super) fn fold_history(
    history: &[(u64, Event)],
    masks: &Masks,
    policy: &Policy,
) -> (Record, u64) {
    history.iter().fold((Record::default(), 0), |(record, _), (seq, event)| {
        (masks.step(record, *seq, event, policy).0, *seq)
    })
}

struct Folding<'a> {
    means: &'a Means<'a>,
    /// The last sequence that the index knows.
    known: u64,
    records: HashMap<RecipientKey, Option<Stored>>,
    batch: Batch,
}

impl Folding<'_> {
    fn event(&mut self, seq: u64, event: &Event, position: Position) -> Result<Change, StoreError> {
        let Means { store, filter, policy, masks, .. } = *self.means;
        let key = &event.address;
        let stored = match self.records.get(key) {
            Some(stored) => stored.clone(),
            // Of nearly all rows of an import nothing is known.
            None if !filter.may_contain(key.as_str()) => None,
            None => store.get(key)?,
        };
        let seen = self.known.max(stored.as_ref().map_or(0, |stored| stored.seq));
        let record = stored.map_or_else(Record::default, |stored| stored.record);
        let before = standing(&record, event, policy);
        if seq <= seen {
            return Ok(Change { before, after: before, held: None, softs: 0 });
        }
        let softs = record.soft.count;
        let (record, masked) = masks.step(record, seq, event, policy);
        let held = match masked {
            Some(Masked::Held(outage)) => Some(outage.first_order()),
            Some(Masked::Undone(_) | Masked::Unfinished | Masked::Voided(_)) | None => None,
        };
        let after = standing(&record, event, policy);
        let softs = record.soft.count.saturating_sub(softs);
        // Of a masked event too: the sequence says up to where the history is in the record.
        let stored = (!record.is_blank()).then_some(Stored { record, seq });
        self.records.insert(key.clone(), stored);
        self.batch.history.push((key.clone(), seq, position));
        self.batch.through = Some(Applied { seq, position, id: event.id.0.clone() });
        Ok(Change { before, after, held, softs })
    }

    fn order(&mut self, seq: u64, order: &Order, position: Position) {
        if seq <= self.known {
            return;
        }
        let next = Position::default();
        let jobs = self.batch.jobs.get_or_insert_with(|| self.means.store.jobs());
        jobs.push(Job { order: seq, next, tally: Tally::default() });
        self.batch.orders.push((seq, order.clone()));
        self.batch.through = Some(Applied { seq, position, id: order.id.0.clone() });
    }

    fn apply(mut self) -> Result<(), StoreError> {
        if self.batch.through.is_none() {
            return Ok(());
        }
        for (key, stored) in &self.records {
            if stored.is_some() {
                self.means.filter.insert(key.as_str());
            }
        }
        self.batch.records = self.records.into_iter().collect();
        self.means.store.apply(&self.batch)
    }
}

fn standing(record: &Record, event: &Event, policy: &Policy) -> Standing {
    Standing::of(&settled(record, event.at, policy), &event.tenant, event.at, policy)
}
