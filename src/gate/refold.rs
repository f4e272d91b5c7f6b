//! Folding again: what an order does to the records of addresses whose events it takes out of the fold, or puts back.
//!
//! An order leaves a job in the index, in the same batch that makes the order known. The job is a walk through the journal up to the order:
//! of each event that the order moved, the address is folded again from its whole history. What is remembered is where the walk stands,
//! written in one batch with the records of the addresses behind it. So a crash between any two steps costs the work of one step, and
//! memory is that of one step however many events an order is about.
//!
//! A step has two halves. [`gather`] reads and folds, beside the writer. [`apply`] runs where events are folded, so that none comes in
//! between: it adds the few that came since `gather` looked, and writes. The record that results carries the sequence of its address's last
//! event, as if it had been folded event by event.

use std::collections::HashSet;
use std::path::Path;

use super::GateError;
use super::fold::{Means, fold_history};
use super::verify::{history_with, read};
use crate::event::Event;
use crate::journal::{self, Position, Reader};
use crate::policy::Record;
use crate::smtp::address::RecipientKey;
use crate::store::{BATCH_MAX, Batch, Job, StoreError, Stored};

/// How much one step may do.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Addresses that are folded again: a batch of the index, which look-ups wait for.
    pub(super) addresses: usize,
    /// Lines of the journal: work that a crash costs.
    pub(super) lines: usize,
}

impl Limits {
    pub(super) const USUAL: Self = Self { addresses: BATCH_MAX, lines: 100_000 };
}

/// Most addresses remembered as done by a walk: each of their later events costs reading their history otherwise.
const RECENT_MAX: usize = 50_000;

/// Where the walk of a job stands, kept between steps so that the journal is not opened for each.
#[derive(Default)]
pub(super) struct Walk(Option<Walking>);

struct Walking {
    /// The job as the walk left it.
    job: Job,
    reader: Reader,
    recent: Recent,
}

/// The addresses that a walk met lately, in bounded memory.
#[derive(Default)]
pub(super) struct Recent(HashSet<RecipientKey>);

impl Recent {
    /// Whether the walk has not met this address, or so long ago that it is forgotten.
    pub(super) fn is_new(&mut self, address: &RecipientKey) -> bool {
        if self.0.len() >= RECENT_MAX {
            self.0.clear();
        }
        !self.0.contains(address) && self.0.insert(address.clone())
    }
}

/// What one step has found out, and not yet written.
#[derive(Debug)]
pub(super) struct Chunk {
    /// The job as the index had it.
    job: Job,
    /// The job as it is behind this step.
    after: Job,
    /// Whether nothing is left to do then.
    over: bool,
    records: Vec<Refolded>,
}

#[derive(Debug)]
struct Refolded {
    address: RecipientKey,
    record: Record,
    /// The last event folded into it.
    seq: u64,
}

impl Chunk {
    /// How many addresses it is about.
    pub(super) const fn len(&self) -> usize {
        self.records.len()
    }
}

/// A step that was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Taken {
    /// The job as it is now.
    pub(super) job: Job,
    /// Whether it is done.
    pub(super) over: bool,
}

/// The next step of the first job, if there is one.
pub(super) fn gather(
    means: &Means<'_>,
    journal: &Path,
    walk: &mut Walk,
    limits: Limits,
) -> Result<Option<Chunk>, GateError> {
    let Some(job) = means.store.jobs().into_iter().next() else { return Ok(None) };
    let Some(order) = means.masks.order(job.order) else {
        // The masks are of another moment than the index; without this order nothing would seem moved.
        return Err(StoreError::Paused.into());
    };
    let walking = walk.at(journal, job, order.decree.first())?;
    let mut chunk = Chunk { job, after: job, over: false, records: Vec::new() };
    for _ in 0..limits.lines {
        if chunk.records.len() >= limits.addresses {
            break;
        }
        let located = walking.reader.next().transpose()?;
        let Some(located) = located.filter(|located| located.entry.seq < job.order) else {
            chunk.over = true;
            break;
        };
        chunk.after.next = located.behind();
        let seq = located.entry.seq;
        let moved = |event: &&Event| means.masks.moved(job.order, seq, event, means.policy);
        let moved = located.entry.event().filter(moved);
        if let Some(event) = moved {
            chunk.after.tally.events += 1;
            if walking.recent.is_new(&event.address) {
                chunk.records.extend(refold(means, journal, job, seq, event)?);
            }
        }
    }
    chunk.after.tally.addresses += u64::try_from(chunk.records.len()).unwrap_or(u64::MAX);
    walking.job = chunk.after;
    Ok(Some(chunk))
}

/// Folds an address again, unless the walk has met it before the event at hand: its whole history was folded then.
fn refold(
    means: &Means<'_>,
    journal: &Path,
    job: Job,
    seq: u64,
    event: &Event,
) -> Result<Option<Refolded>, GateError> {
    // Most rows of an import are all that is known of their address: those are not read a second time.
    let address = &event.address;
    let history = history_with(means.store, journal, address, Some((seq, event)))?;
    let moved =
        |(seq, event): &&(u64, Event)| means.masks.moved(job.order, *seq, event, means.policy);
    if history.iter().find(moved).is_none_or(|(first, _)| *first < seq) {
        return Ok(None);
    }
    let (record, seq) = fold_history(&history, means.masks, means.policy);
    Ok(Some(Refolded { address: address.clone(), record, seq }))
}

/// Writes a step; `None` if the index has gone on, or back, since it was gathered, and nothing is written. Nothing else may write meanwhile.
pub(super) fn apply(
    means: &Means<'_>,
    journal: &Path,
    chunk: Chunk,
) -> Result<Option<Taken>, GateError> {
    let Chunk { job, mut after, over, records } = chunk;
    let mut jobs = means.store.jobs();
    if jobs.first() != Some(&job) {
        return Ok(None);
    }
    let mut batch = Batch::default();
    for Refolded { address, mut record, mut seq } in records {
        for (later, position) in means.store.history_behind(&address, seq)? {
            let (_, event) = read(journal, &address, later, position)?;
            (record, _) = means.masks.step(record, later, &event, means.policy);
            seq = later;
        }
        let stored = (!record.is_blank()).then_some(Stored { record, seq });
        let old = means.store.get(&address)?;
        if old == stored {
            continue;
        }
        let same = old.map(|old| old.record) == stored.as_ref().map(|new| new.record.clone());
        after.tally.changed += u64::from(!same);
        if stored.is_some() {
            means.filter.insert(address.as_str());
        }
        batch.records.push((address, stored));
    }
    jobs.remove(0);
    if !over {
        jobs.insert(0, after);
    }
    batch.jobs = Some(jobs);
    means.store.apply(&batch)?;
    Ok(Some(Taken { job: after, over }))
}

/// Does all that orders have left to do, while nobody else writes. `progress` gets the bytes of the journal done, and their total, of one
/// order after the other. Says how many orders were finished.
pub(super) fn finish(
    means: &Means<'_>,
    journal: &Path,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<u64, GateError> {
    let (mut walk, mut finished) = (Walk::default(), 0);
    while let Some(chunk) = gather(means, journal, &mut walk, Limits::USUAL)? {
        let total = journal::bytes_from(journal, journal::Position { segment: 1, offset: 0 })?;
        progress(total.saturating_sub(journal::bytes_from(journal, chunk.after.next)?), total);
        if let Some(taken) = apply(means, journal, chunk)? {
            finished += u64::from(taken.over);
        }
    }
    if finished > 0 {
        means.store.flush()?;
    }
    Ok(finished)
}

impl Walk {
    /// The walk of this job: where it stands, or begun where the index says; a new one at the segment of the first event that it can be about.
    fn at(&mut self, journal: &Path, job: Job, first: u64) -> Result<&mut Walking, GateError> {
        let same =
            |walking: &Walking| (walking.job.order, walking.job.next) == (job.order, job.next);
        let walking = match self.0.take().filter(same) {
            Some(walking) => walking,
            None => {
                let start = match job.next == Position::default() {
                    true => journal::segment_of(journal, first)?,
                    false => job.next,
                };
                let reader = Reader::at(journal, start)?;
                Walking { job, reader, recent: Recent::default() }
            }
        };
        Ok(self.0.insert(walking))
    }
}

#[cfg(test)]
mod tests;
