//! Whether the index says what the journal says.

use std::path::Path;

use super::GateError;
use super::fold::fold_history;
use crate::event::Event;
use crate::journal::{self, Position, Reader, Said};
use crate::policy::{Masked, Masks, Policy, Record};
use crate::smtp::address::RecipientKey;
use crate::store::Store;

/// Most differences that are named.
const NAMED_MAX: usize = 10;
/// Lines and records between two words about how far it is.
const SHOWN_EVERY: u64 = 1024;
/// How often an address that learns something while it is compared is compared again.
const TURNS: u32 = 5;

/// What a comparison found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VerifyReport {
    /// Events in the journal, up to the last one that the index knew at the start.
    pub events: u64,
    /// Orders in the journal, as far.
    pub orders: u64,
    /// Events that are rows of imports which were not finished: they do not count.
    pub unfinished: u64,
    /// Addresses that have events.
    pub addresses: u64,
    /// Records in the index.
    pub records: u64,
    /// Differences: events that the index does not find, records that are not what their events fold to.
    pub differences: u64,
    /// The first few of them, in words.
    pub first: Vec<String>,
}

impl VerifyReport {
    /// Whether index and journal agree.
    pub const fn agrees(&self) -> bool {
        self.differences == 0
    }

    fn differs(&mut self, what: impl FnOnce() -> String) {
        self.differences += 1;
        if self.first.len() < NAMED_MAX {
            self.first.push(what());
        }
    }
}

/// `progress` gets what is done and about how much there is, in lines and records. Compares in three passes, none of which holds more than one address's events: every event is found through the index, every address's
/// events fold to its record, every record has events.
pub(super) fn verify(
    store: &Store,
    journal: &Path,
    policy: &Policy,
    masks: &Masks,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<VerifyReport, GateError> {
    let mut report = VerifyReport::default();
    let end = store.applied().map_or(0, |applied| applied.seq);
    // The lines of the journal, each of them again through the index, and the records.
    let total = end.saturating_mul(2).saturating_add(store.count());
    let mut done = 0;
    let mut step = || {
        done += 1;
        if done % SHOWN_EVERY == 0 {
            progress(done.min(total), total);
        }
    };
    let mut orders = store.orders()?.into_iter();
    for located in Reader::open(journal)? {
        let located = located?;
        let seq = located.entry.seq;
        if seq > end {
            break;
        }
        step();
        match &located.entry.said {
            Said::Event(event) => {
                report.events += 1;
                let unfinished = masks.masked(seq, event, policy) == Some(Masked::Unfinished);
                report.unfinished += u64::from(unfinished);
                let key = &event.address;
                if store.position(key, seq)? != Some(located.position) {
                    report
                        .differs(|| format!("event {seq} of {key} is not found through the index"));
                }
            }
            Said::Order(order) => {
                report.orders += 1;
                if orders.next().as_ref() != Some(&(seq, order.clone())) {
                    report.differs(|| format!("order {seq} is another one in the index"));
                }
            }
        }
    }
    let mut previous = None;
    for found in store.histories() {
        let (key, _, _) = found?;
        step();
        if previous.as_ref() != Some(&key) {
            report.addresses += 1;
            compare(store, journal, (policy, masks), &key, &mut report)?;
            previous = Some(key);
        }
    }
    for found in store.scan(None) {
        let (key, stored) = found?;
        report.records += 1;
        step();
        if store.position(&key, stored.seq)?.is_none() {
            report.differs(|| format!("{key} has a record and no event {}", stored.seq));
        }
    }
    Ok(report)
}

fn compare(
    store: &Store,
    journal: &Path,
    (policy, masks): (&Policy, &Masks),
    key: &RecipientKey,
    report: &mut VerifyReport,
) -> Result<(), GateError> {
    for _ in 0..TURNS {
        let before = store.get(key)?;
        let events = history(store, journal, key)?;
        if store.get(key)? != before {
            continue;
        }
        let (folded, _) = fold_history(&events, masks, policy);
        if before.map_or_else(Record::default, |stored| stored.record) != folded {
            report.differs(|| format!("the record of {key} is not what its events fold to"));
        }
        return Ok(());
    }
    Ok(())
}

/// The events of an address, found through the index.
pub(super) fn history(
    store: &Store,
    journal: &Path,
    key: &RecipientKey,
) -> Result<Vec<(u64, Event)>, GateError> {
    history_with(store, journal, key, None)
}

/// The same, where one of them is at hand already.
pub(super) fn history_with(
    store: &Store,
    journal: &Path,
    key: &RecipientKey,
    known: Option<(u64, &Event)>,
) -> Result<Vec<(u64, Event)>, GateError> {
    let positions = store.history(key)?.into_iter();
    let found = positions.map(|(seq, position)| match known {
        Some((number, event)) if number == seq => Ok((seq, event.clone())),
        Some(_) | None => read(journal, key, seq, position),
    });
    found.collect()
}

/// The one event of an address that stands there.
pub(super) fn read(
    journal: &Path,
    key: &RecipientKey,
    seq: u64,
    position: Position,
) -> Result<(u64, Event), GateError> {
    let entry = journal::read_at(journal, position)?;
    match entry.said {
        Said::Event(event) if entry.seq == seq && event.address == *key => Ok((seq, event)),
        Said::Event(_) | Said::Order(_) => {
            let why = format!("event {seq} of {key} is not at {position}");
            Err(GateError::Store(crate::store::StoreError::Damaged { why }))
        }
    }
}
