//! Importing: many events at once, all or none, beside the mail.
//!
//! Rows are journaled group by group, one group on its way at a time, so that they never fill the queue and what mail teaches goes first.
//! They count for nothing until an order commits them (`policy::mask`), and the order's job folds their addresses as that of an undo does.
//! So whatever breaks an import off leaves lines in the journal that say nothing, and no standing moves.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::oneshot;

use super::learn::{Draft, Unlearnt};
use super::order::{JOBS_MAX, Obeying};
use super::shared::Shared;
use super::{Gate, id, task};
use crate::event::order::{Decree, Order, OrderId};
use crate::event::{Act, Event, EventId};
use crate::smtp::address::RecipientKey;
use crate::sorter::Sorter;
use crate::store::{Store, free_bytes};
use crate::time::Timestamp;

/// Most rows of one group: what mail waits for at most, a few milliseconds.
pub const GROUP_MAX: usize = 512;

/// Bytes that a row takes in journal and index, about: 320 and 660 with ten million of them.
const ROW_BYTES: u64 = 1000;

/// An import under way; dropped before [`Importing::commit`] it was none.
pub struct Importing {
    gate: Gate,
    batch: String,
    first: Option<u64>,
    rows: u64,
    turn: Turn,
}

/// Why an import cannot begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImportRefused {
    /// One at a time.
    #[error("another import is under way")]
    Busy,
    /// Its rows would be committed with those of the other.
    #[error("there was an import of that name")]
    Known,
}

/// Puts behind `raw` by what addresses are in order in the index. Rows that come in that order find their pages in memory.
pub fn order_of(address: &RecipientKey, raw: &mut Vec<u8>) {
    Store::order_of(address, raw);
}

/// The turn of one import, until this is dropped.
pub(super) struct Turn(Arc<Shared>);

impl Turn {
    fn take(shared: &Arc<Shared>) -> Option<Self> {
        let taken: &AtomicBool = &shared.importing;
        (!taken.swap(true, Ordering::AcqRel)).then(|| {
            shared.imported.store(0, Ordering::Release);
            Self(Arc::clone(shared))
        })
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.importing.store(false, Ordering::Release);
    }
}

impl Gate {
    /// What sorts the rows of an import, within the memory of the settings and beside the journal.
    pub fn sorter(&self) -> Sorter {
        let settings = &self.0.shared.settings;
        Sorter::new(&settings.data_dir, settings.sort_bytes)
    }

    /// How many rows are on disk of the import that is under way; `None` when there is none, or no longer.
    pub fn imported(&self) -> Option<u64> {
        let shared = &self.0.shared;
        let rows = shared.imported.load(Ordering::Acquire);
        shared.importing.load(Ordering::Acquire).then_some(rows)
    }

    /// Begins an import of that name.
    ///
    /// # Errors
    /// When another one is under way, or had the same name.
    pub fn import(&self, batch: &str) -> Result<Importing, ImportRefused> {
        let shared = &self.0.shared;
        let turn = Turn::take(shared).ok_or(ImportRefused::Busy)?;
        if shared.masks.load().knows_import(batch) {
            return Err(ImportRefused::Known);
        }
        if shared.store().is_ok_and(|store| store.jobs().len() >= JOBS_MAX) {
            return Err(ImportRefused::Busy);
        }
        let batch = batch.to_owned();
        Ok(Importing { gate: self.clone(), batch, first: None, rows: 0, turn })
    }
}

impl Importing {
    /// Whether the disk has room for so many rows. One that it fills up keeps the gate from learning until somebody makes room.
    ///
    /// # Errors
    /// When it has not, in words.
    pub fn check_room(&self, rows: u64) -> Result<(), Unlearnt> {
        let dir = &self.gate.0.shared.settings.data_dir;
        let free = free_bytes(dir).map_err(|error| Unlearnt::Disk(error.to_string()))?;
        let needed = rows.saturating_mul(ROW_BYTES);
        if free >= needed {
            return Ok(());
        }
        let (needed, free) = (needed >> 20, free >> 20);
        Err(Unlearnt::Disk(format!(
            "{rows} rows take about {needed} MiB, {free} MiB are free in {}",
            dir.display()
        )))
    }

    /// Journals some rows, [`GROUP_MAX`] at most; they are on disk when this returns, and count for nothing yet. Never call it from async
    /// code.
    ///
    /// # Errors
    /// When they are not on disk: the import is to be dropped.
    pub fn push(&mut self, drafts: Vec<Draft>) -> Result<(), Unlearnt> {
        let rows = u64::try_from(drafts.len()).unwrap_or(u64::MAX);
        let named = |Draft { at, address, tenant, what }| Event {
            id: EventId(id::new(at)),
            at,
            address,
            tenant,
            what,
        };
        let (done, waiting) = oneshot::channel();
        let events = drafts.into_iter().map(named).collect();
        self.gate.send_waiting(task::Task::Bulk { events, done })?;
        let first = waiting.blocking_recv().unwrap_or(Err(Unlearnt::WriterGone))?;
        self.first = self.first.or(first);
        self.rows += rows;
        self.turn.0.imported.store(self.rows, Ordering::Release);
        Ok(())
    }

    /// How many rows are on disk.
    pub const fn rows(&self) -> u64 {
        self.rows
    }

    /// Lets all of it count. `None` if there was no row. Never call it from async code; the promise may be awaited there.
    pub fn commit(self, at: Timestamp, act: Act) -> Option<Obeying> {
        let Self { gate, batch, first, rows, turn } = self;
        let decree = Decree::ImportCommit { batch, rows, first: first? };
        let (done, waiting) = oneshot::channel();
        let order = Order { id: OrderId(id::new(at)), at, decree, act };
        let sent = gate.send_waiting(task::Task::Order { order, done, turn: Some(turn) });
        Some(Obeying::new(sent.map(|()| waiting)))
    }
}
