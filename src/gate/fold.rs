//! From events to records: the same few lines for an event just learnt, for the journal's tail at a start, and for a rebuild.

use std::collections::HashMap;

use crate::event::Event;
use crate::journal::{Entry, Position};
use crate::policy::{Policy, Record, Standing, settled, transition};
use crate::smtp::address::RecipientKey;
use crate::store::filter::Filter;
use crate::store::{Applied, Batch, Store, StoreError, Stored};

/// What an event did to the standing of its address, for the event's tenant and at the event's time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// Before.
    pub before: Standing,
    /// After.
    pub after: Standing,
    /// Soft bounces that were counted with it: its own, and those of messages deferred before.
    pub softs: u32,
}

/// Folds consecutive entries into the index, all or none. An entry that the index already knows changes nothing.
pub(super) fn fold(
    store: &Store,
    filter: &Filter,
    policy: &Policy,
    entries: &[(Entry, Position)],
) -> Result<Vec<Change>, StoreError> {
    let known = store.applied().map_or(0, |applied| applied.seq);
    let mut records: HashMap<RecipientKey, Option<Stored>> = HashMap::new();
    let mut batch = Batch::default();
    let mut changes = Vec::with_capacity(entries.len());
    for (entry, position) in entries {
        let key = &entry.event.address;
        let stored = match records.get(key) {
            Some(stored) => stored.clone(),
            None => store.get(key)?,
        };
        let seen = known.max(stored.as_ref().map_or(0, |stored| stored.seq));
        let before = stored.map_or_else(Record::default, |stored| stored.record);
        if entry.seq <= seen {
            let standing = standing(&before, &entry.event, policy);
            changes.push(Change { before: standing, after: standing, softs: 0 });
            continue;
        }
        let standing_before = standing(&before, &entry.event, policy);
        let softs = before.soft.count;
        let after = transition(before, &entry.event, policy);
        changes.push(Change {
            before: standing_before,
            after: standing(&after, &entry.event, policy),
            softs: after.soft.count.saturating_sub(softs),
        });
        let stored = Stored { record: after, seq: entry.seq };
        records.insert(key.clone(), (!stored.record.is_blank()).then_some(stored));
        batch.history.push((key.clone(), entry.seq, *position));
        batch.through =
            Some(Applied { seq: entry.seq, position: *position, id: entry.event.id.0.clone() });
    }
    if batch.through.is_some() {
        for (key, stored) in &records {
            if stored.is_some() {
                filter.insert(key.as_str());
            }
        }
        batch.records = records.into_iter().collect();
        store.apply(&batch)?;
    }
    Ok(changes)
}

fn standing(record: &Record, event: &Event, policy: &Policy) -> Standing {
    Standing::of(&settled(record, event.at, policy), &event.tenant, event.at, policy)
}
