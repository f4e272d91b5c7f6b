//! An index built from nothing: all of the journal, address by address.
//!
//! Folded event by event, each of ten million addresses would touch a page of the index that is not in memory. So the events are sorted
//! by address first; then each address is folded at once, and the index is filled in the order of its keys.
//!
//! The index says what it was built from, and which orders it knows, with the last batch only. One without that is a build that did not
//! end, and is thrown away ([`crate::store::StoreError::Unfinished`]).

use std::io;

use super::GateError;
use super::settings::GateSettings;
use crate::event::Event;
use crate::event::order::Order;
use crate::journal::{self, Position, Reader, Said};
use crate::policy::{Masks, Policy, Record};
use crate::smtp::address::RecipientKey;
use crate::sorter::{Pair, Sorter};
use crate::store::filter::Filter;
use crate::store::{Applied, Batch, Store, StoreError, Stored, free_bytes};

/// Events of one batch. Nobody waits for it.
const BATCH: usize = if cfg!(test) { 16 } else { 1024 };
/// How many events are done between two words about how far it is.
const SHOWN_EVERY: u64 = if cfg!(test) { 16 } else { 1024 };

/// How far it is, in bytes of the journal: each is read once, and folded once.
struct Progress<'a> {
    tell: &'a mut dyn FnMut(u64, u64),
    done: u64,
    total: u64,
    steps: u64,
}

impl Progress<'_> {
    fn step(&mut self, bytes: u64) {
        self.done += bytes;
        self.steps += 1;
        if self.steps.is_multiple_of(SHOWN_EVERY) {
            (self.tell)(self.done.min(self.total), self.total);
        }
    }
}

/// What the journal says, as far as it goes.
struct Sorting {
    sorter: Sorter,
    orders: Vec<(u64, Order)>,
    last: Option<Applied>,
    /// How many lines there are.
    lines: u64,
}

/// Fills an empty index with what the journal says up to the sequence `end`; says how many lines that are.
pub(super) fn build(
    settings: &GateSettings,
    (store, filter): (&Store, &Filter),
    end: u64,
    policy: &Policy,
    tell: &mut dyn FnMut(u64, u64),
) -> Result<u64, GateError> {
    let begin = Position { segment: 1, offset: 0 };
    let bytes = journal::bytes_from(&settings.journal_dir(), begin)?;
    check_room(settings, bytes)?;
    let total = bytes.saturating_mul(2);
    tell(0, total);
    let mut progress = Progress { tell, done: 0, total, steps: 0 };
    let Sorting { sorter, orders, last, lines } = read(settings, end, &mut progress)?;
    let reached = last.as_ref().map_or(0, |last| last.seq);
    if reached != end {
        return Err(GateError::JournalBehind { index: end, journal: reached });
    }
    let masks = Masks::new(orders.iter().cloned());
    let batch = Batch::default();
    let mut filling = Filling { store, filter, policy, masks, batch, at: None };
    for pair in sorter.sorted().map_err(|error| failed(settings, error))? {
        let Pair { key, value } = pair.map_err(|error| failed(settings, error))?;
        let event = decoded(&value).ok_or_else(|| failed(settings, unreadable(&key)))?;
        filling.take(event)?;
        progress.step(u64::try_from(value.len()).unwrap_or(u64::MAX));
    }
    filling.end(orders, last)?;
    (progress.tell)(total, total);
    Ok(lines)
}

fn read(
    settings: &GateSettings,
    end: u64,
    progress: &mut Progress<'_>,
) -> Result<Sorting, GateError> {
    let sorter = Sorter::new(&settings.data_dir, settings.sort_bytes);
    let mut sorting = Sorting { sorter, orders: Vec::new(), last: None, lines: 0 };
    let mut reader = Reader::open(&settings.journal_dir())?;
    let (mut key, mut value) = (Vec::new(), Vec::new());
    while let Some(located) = reader.next().transpose()? {
        let (entry, position) = (located.entry, located.position);
        // Behind the end lie lines of a commit that failed: never acknowledged, about to be cut off.
        if entry.seq > end {
            break;
        }
        progress.step(located.bytes);
        sorting.lines += 1;
        sorting.last = Some(Applied { seq: entry.seq, position, id: entry.said.id().to_owned() });
        match entry.said {
            Said::Event(event) => {
                key.clear();
                Store::order_of(&event.address, &mut key);
                // What comes of one address stays in order.
                value.clear();
                value.extend_from_slice(&position.segment.to_be_bytes());
                value.extend_from_slice(&position.offset.to_be_bytes());
                value.extend_from_slice(reader.line());
                sorting.sorter.push(&key, &value).map_err(|error| failed(settings, error))?;
            }
            Said::Order(order) => sorting.orders.push((entry.seq, order)),
        }
    }
    Ok(sorting)
}

/// Takes events address by address, those of one address in order.
struct Filling<'a> {
    store: &'a Store,
    filter: &'a Filter,
    policy: &'a Policy,
    masks: Masks,
    batch: Batch,
    /// The address at hand, and what its events came to so far.
    at: Option<(RecipientKey, Stored)>,
}

impl Filling<'_> {
    fn take(&mut self, (seq, position, event): (u64, Position, Event)) -> Result<(), StoreError> {
        let same = self.at.as_ref().is_some_and(|(address, _)| *address == event.address);
        if !same {
            self.put();
        }
        let nothing = || (event.address.clone(), Stored { record: Record::default(), seq });
        let (address, before) = self.at.take().unwrap_or_else(nothing);
        let (record, _) = self.masks.step(before.record, seq, &event, self.policy);
        self.batch.history.push((address.clone(), seq, position));
        self.at = Some((address, Stored { record, seq }));
        // Within an address too: one may have any number of events.
        if self.batch.history.len() >= BATCH {
            self.store.apply(&std::mem::take(&mut self.batch))?;
        }
        Ok(())
    }

    /// The address at hand is done.
    fn put(&mut self) {
        if let Some((address, stored)) = self.at.take()
            && !stored.record.is_blank()
        {
            self.filter.insert(address.as_str());
            self.batch.records.push((address, Some(stored)));
        }
    }

    fn end(mut self, orders: Vec<(u64, Order)>, last: Option<Applied>) -> Result<(), GateError> {
        self.put();
        self.batch.orders = orders;
        self.batch.through = last;
        Ok(self.store.apply(&self.batch)?)
    }
}

/// A place in the journal, and its line.
fn decoded(value: &[u8]) -> Option<(u64, Position, Event)> {
    let (segment, rest) = value.split_first_chunk()?;
    let (offset, line) = rest.split_first_chunk()?;
    let (segment, offset) = (u32::from_be_bytes(*segment), u64::from_be_bytes(*offset));
    match journal::parse(line, 0).ok()? {
        journal::Entry { seq, said: Said::Event(event) } => {
            Some((seq, Position { segment, offset }, event))
        }
        journal::Entry { said: Said::Order(_), .. } => None,
    }
}

/// What was written to the disk a moment ago came back as something else.
fn unreadable(key: &[u8]) -> io::Error {
    io::Error::other(format!(
        "what was sorted of {:?} cannot be read",
        String::from_utf8_lossy(key)
    ))
}

/// Whether there is room for so many bytes of the journal in order, and for the index: rather than fill a disk on which a gate runs, and do so
/// again at each attempt.
fn check_room(settings: &GateSettings, journal: u64) -> Result<(), GateError> {
    let free = free_bytes(&settings.data_dir)?;
    let sorting =
        if journal > u64::try_from(settings.sort_bytes).unwrap_or(u64::MAX) { journal } else { 0 };
    let needed = sorting.saturating_add(journal);
    if free >= needed {
        return Ok(());
    }
    let why =
        format!("building the index anew takes {} MiB, {} MiB are free", needed >> 20, free >> 20);
    Err(failed(settings, io::Error::new(io::ErrorKind::StorageFull, why)))
}

fn failed(settings: &GateSettings, source: io::Error) -> GateError {
    StoreError::Io { path: settings.data_dir.clone(), source }.into()
}
