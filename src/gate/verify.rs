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

/// What a comparison found, all as of the last event that the index knew when it began: what is learnt meanwhile is left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VerifyReport {
    /// Events in the journal.
    pub events: u64,
    /// Orders in the journal.
    pub orders: u64,
    /// Events that are rows of imports which were not finished by then: they do not count.
    pub unfinished: u64,
    /// Whether an import is under way, to which some of those may belong.
    pub importing: bool,
    /// Addresses that had events.
    pub addresses: u64,
    /// Records in the index of addresses that had events.
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

/// Compares in three passes, none of which holds more than one address's events: every event is found through the index, every address's
/// events fold to its record, every record has events. `progress` gets what is done and about how much there is, in lines and records.
///
/// # Errors
/// `Refolding` when an order was given meanwhile and records differ: they may be what it makes of them.
pub(super) fn verify(
    store: &Store,
    journal: &Path,
    policy: &Policy,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<VerifyReport, GateError> {
    let mut report = VerifyReport::default();
    let end = store.applied().map_or(0, |applied| applied.seq);
    let mut orders = store.orders()?;
    orders.retain(|(seq, _)| *seq <= end);
    // Those of the same moment as the end: with an import's commit its rows count, without it none does.
    let masks = Masks::new(orders.iter().cloned());
    let moment = Moment { store, journal, policy, masks: &masks, end };
    // The lines of the journal, each of them again through the index, and the records.
    let total = end.saturating_mul(2).saturating_add(store.count());
    let mut done = 0;
    let mut step = || {
        done += 1;
        if done % SHOWN_EVERY == 0 {
            progress(done.min(total), total);
        }
    };
    let mut orders = orders.into_iter();
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
        let (key, seq, _) = found?;
        step();
        // In order within an address, so its first event tells whether it had any by then.
        if previous.as_ref() != Some(&key) {
            if seq <= end {
                report.addresses += 1;
                moment.compare(&key, &mut report)?;
            }
            previous = Some(key);
        }
    }
    for found in store.scan(None) {
        let (key, stored) = found?;
        step();
        if store.position(&key, stored.seq)?.is_none() {
            report.differs(|| format!("{key} has a record and no event {}", stored.seq));
        }
        if stored.seq <= end || moment.had_events(&key)? {
            report.records += 1;
        }
    }
    Ok(report)
}

/// What is compared, as of when.
struct Moment<'a> {
    store: &'a Store,
    journal: &'a Path,
    policy: &'a Policy,
    masks: &'a Masks,
    end: u64,
}

impl Moment<'_> {
    fn compare(&self, key: &RecipientKey, report: &mut VerifyReport) -> Result<(), GateError> {
        let Self { store, journal, policy, masks, .. } = self;
        for _ in 0..TURNS {
            let before = store.get(key)?;
            let events = history(store, journal, key)?;
            if store.get(key)? != before {
                continue;
            }
            let (folded, _) = fold_history(&events, masks, policy);
            if before.map_or_else(Record::default, |stored| stored.record) != folded {
                if self.is_over()? {
                    return Err(GateError::Refolding);
                }
                report.differs(|| format!("the record of {key} is not what its events fold to"));
            }
            return Ok(());
        }
        Ok(())
    }

    /// Whether an order has been given since.
    fn is_over(&self) -> Result<bool, GateError> {
        let latest = self.store.orders()?.last().map_or(0, |(seq, _)| *seq);
        Ok(latest > self.end || !self.store.jobs().is_empty())
    }

    fn had_events(&self, key: &RecipientKey) -> Result<bool, GateError> {
        Ok(self.store.history(key)?.first().is_some_and(|(seq, _)| *seq <= self.end))
    }
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
