//! The index: what is known of each address now, and where its events stand in the journal. The only user of sled.
//!
//! sled 0.34 is fast and beta: it panics on truncated files, loses data in silence when bits flip, and after a full disk keeps failing
//! until it is opened again. So nothing here is the truth, everything is checked, and every call is contained: a panic of sled is a
//! [`StoreError`] like any other.
//!
//! One sled tree holds four kinds of keys, told apart by their first byte (see `codec`): records, history, orders, and one meta
//! entry. One tree, because sled's batches are atomic within a tree only: after a crash records, their count, their checksum and the last
//! applied sequence are always those of one and the same moment, so [`Store::open`] can insist on them. Batches block readers, so they are
//! kept small ([`BATCH_MAX`]).

mod codec;
pub mod filter;
pub mod lock;
mod open;
mod scan;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::event::order::Order;
use crate::journal::Position;
use crate::smtp::address::RecipientKey;

pub use codec::{Applied, Job, Stored, Tally};
use filter::Filter;
pub use open::{free_bytes, move_aside};

/// Most events in one batch while the gate answers: bounds how long a look-up waits for the writer (well under a millisecond).
pub const BATCH_MAX: usize = 64;

/// The index, open. Look-ups may come from any thread; [`Store::apply`] and [`Store::flush`] from one.
pub struct Store {
    db: sled::Db,
    meta: Mutex<codec::Meta>,
    failed: std::sync::atomic::AtomicBool,
    #[cfg(test)]
    fault: crate::journal::Fault,
}

/// What some consecutive events of the journal change.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// The new record of each address concerned, each address once; `None` where nothing is known any more.
    pub records: Vec<(RecipientKey, Option<Stored>)>,
    /// Where each event stands.
    pub history: Vec<(RecipientKey, u64, Position)>,
    /// The orders among them, each with its sequence.
    pub orders: Vec<(u64, Order)>,
    /// All that orders have yet to do from now on; `None` leaves it as it is.
    pub jobs: Option<Vec<Job>>,
    /// The last event or order of the batch.
    pub through: Option<Applied>,
}

/// Why the index cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process has it.
    #[error("another rcptgate uses data_dir {}", path.display())]
    Locked {
        /// The data directory.
        path: PathBuf,
    },
    /// The file system failed outside sled.
    #[error("{}: {source}", path.display())]
    Io {
        /// Which file or directory.
        path: PathBuf,
        /// What it said.
        source: std::io::Error,
    },
    /// It holds what was never written, or lacks what was.
    #[error("the index is damaged: {why}")]
    Damaged {
        /// What does not fit.
        why: String,
    },
    /// Made by a version of this program with another record format.
    #[error("the index has format {found}, this version reads {expected}")]
    Format {
        /// The format found.
        found: u8,
        /// The format read.
        expected: u8,
    },
    /// sled failed.
    #[error("sled: {0}")]
    Failed(#[from] sled::Error),
    /// sled panicked.
    #[error("sled panicked: {why}")]
    Panicked {
        /// The panic's message.
        why: String,
    },
    /// It was being built, and that did not end: it says of no journal what it was made from.
    #[error("the index was being built, and is not whole")]
    Unfinished,
    /// An earlier write failed: writes are refused until the index is opened again.
    #[error("the index waits to be opened again after a failed write")]
    Paused,
}

impl Store {
    /// Opens the index at `path`, making it if need be, and reads all of it once: every record must decode and match its checksum, and
    /// number and sum must be those that the last batch left. The filter comes filled with the addresses that have one.
    ///
    /// # Errors
    /// [`StoreError::is_damage`] tells what a rebuild mends from what it does not.
    pub fn open(
        path: &Path,
        cache_bytes: u64,
        lock_wait: std::time::Duration,
    ) -> Result<(Self, Filter), StoreError> {
        open::open(path, cache_bytes, lock_wait)
    }

    /// What is known of an address.
    ///
    /// # Errors
    /// When sled fails, or what it returns does not match its checksum.
    pub fn get(&self, key: &RecipientKey) -> Result<Option<Stored>, StoreError> {
        let raw_key = codec::record_key(key);
        let value = contain(|| Ok(self.db.get(&raw_key)?))?;
        value.map(|value| codec::decode_record(&raw_key, &value)).transpose()
    }

    /// Applies a batch, wholly or not at all. It is durable after [`Store::flush`]; before that the journal has it.
    ///
    /// # Errors
    /// When sled fails. From then on every write is refused until the index is opened again, since half of the batch may show.
    pub fn apply(&self, batch: &Batch) -> Result<(), StoreError> {
        self.writable()?;
        let applied = self.try_apply(batch);
        if applied.is_err() {
            self.failed.store(true, std::sync::atomic::Ordering::Release);
        }
        applied
    }

    fn try_apply(&self, batch: &Batch) -> Result<(), StoreError> {
        let mut meta = self.meta().clone();
        let mut changes = sled::Batch::default();
        for (key, stored) in &batch.records {
            let raw_key = codec::record_key(key);
            if let Some(old) = contain(|| Ok(self.db.get(&raw_key)?))? {
                meta.remove(&old);
            }
            match stored {
                Some(stored) => {
                    let value = codec::encode_record(&raw_key, stored)?;
                    meta.add(&value);
                    changes.insert(raw_key, value);
                }
                None => changes.remove(raw_key),
            }
        }
        for (key, seq, position) in &batch.history {
            let value = codec::encode_position(*position);
            changes.insert(codec::history_key(key, *seq), value.as_slice());
        }
        for (seq, order) in &batch.orders {
            let raw_key = codec::order_key(*seq);
            let value = codec::encode_order(&raw_key, order)?;
            meta.add_order(&value);
            changes.insert(raw_key, value);
        }
        if let Some(jobs) = &batch.jobs {
            meta.jobs.clone_from(jobs);
        }
        if let Some(through) = &batch.through {
            meta.applied = Some(through.clone());
        }
        changes.insert(codec::META_KEY, codec::encode_meta(&meta)?);
        #[cfg(test)]
        self.fault.check().map_err(sled::Error::Io)?;
        contain(|| Ok(self.db.apply_batch(changes)?))?;
        *self.meta() = meta;
        Ok(())
    }

    /// The last event that the index knows; `None` when it knows none.
    pub fn applied(&self) -> Option<Applied> {
        self.meta().applied.clone()
    }

    /// What orders have yet to do, the first one first.
    pub fn jobs(&self) -> Vec<Job> {
        self.meta().jobs.clone()
    }

    /// A filter with the addresses that have a record, made by reading them all.
    ///
    /// # Errors
    /// When sled fails.
    pub fn filter(&self) -> Result<Filter, StoreError> {
        contain(|| open::fill(&self.db, self.count()))
    }

    /// Whether there is nothing in it at all.
    ///
    /// # Errors
    /// When sled fails.
    pub fn is_empty(&self) -> Result<bool, StoreError> {
        contain(|| Ok(self.db.is_empty()))
    }

    /// Puts behind `raw` by what addresses are in order here: whoever adds very many of them in that order touches each page once.
    pub fn order_of(address: &RecipientKey, raw: &mut Vec<u8>) {
        codec::order_of(address, raw);
    }

    /// How many addresses have a record.
    pub fn count(&self) -> u64 {
        self.meta().count
    }

    /// Makes all that was applied durable, so that less of the journal is applied at the next start. Blocks for one sync.
    ///
    /// # Errors
    /// When sled fails; from then on every write is refused.
    pub fn flush(&self) -> Result<(), StoreError> {
        self.writable()?;
        let flushed = contain(|| Ok(self.db.flush()?));
        if flushed.is_err() {
            self.failed.store(true, std::sync::atomic::Ordering::Release);
        }
        flushed.map(|_bytes| ())
    }

    fn writable(&self) -> Result<(), StoreError> {
        if self.failed.load(std::sync::atomic::Ordering::Acquire) {
            return Err(StoreError::Paused);
        }
        Ok(())
    }

    fn meta(&self) -> MutexGuard<'_, codec::Meta> {
        // A panic cannot leave it half written: it is replaced whole.
        self.meta.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    pub(crate) fn with_fault(mut self, fault: crate::journal::Fault) -> Self {
        self.fault = fault;
        self
    }
}

impl StoreError {
    /// Whether building the index anew from the journal mends this. A full disk or a missing permission it does not mend.
    pub fn is_damage(&self) -> bool {
        use std::io::ErrorKind;
        match self {
            Self::Damaged { .. } | Self::Format { .. } | Self::Panicked { .. } => true,
            Self::Failed(sled::Error::Io(error)) => matches!(
                error.kind(),
                ErrorKind::UnexpectedEof | ErrorKind::InvalidData | ErrorKind::InvalidInput
            ),
            Self::Failed(_) => true,
            Self::Locked { .. } | Self::Io { .. } | Self::Unfinished | Self::Paused => false,
        }
    }
}

/// Runs a call into sled; a panic of it becomes an error.
fn contain<T>(call: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
    // Unwind safety: a caller that gets the error uses this handle for look-ups at most, and every look-up is checked by itself.
    catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
        Err(StoreError::Panicked { why: text.unwrap_or("no message").to_owned() })
    })
}

#[cfg(test)]
mod tests;
