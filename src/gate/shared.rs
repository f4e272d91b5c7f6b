//! What the gate's callers and its writer have in common.

use std::io::Write;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};

use super::index::Opened;
use super::lookout::Lookout;
use super::settings::GateSettings;
use super::stats::Stats;
use super::walker::Refolding;
use super::{GateError, ListingOf};
use crate::bounce::classify::Classifier;
use crate::policy::{Masks, Policy};
use crate::smtp::address::RecipientKey;
use crate::store::filter::Filter;
use crate::store::lock::DataLock;
use crate::store::{Store, StoreError, Stored};

/// How long the writer waits for look-ups under way before it closes the index, in steps.
const CLOSE_STEP: Duration = Duration::from_millis(10);
const CLOSE_STEPS: u32 = 200;

pub(super) struct Shared {
    pub(super) settings: GateSettings,
    pub(super) policy: ArcSwap<Policy>,
    pub(super) classifier: ArcSwap<Classifier>,
    pub(super) listing: ArcSwap<ListingOf>,
    /// `None` only while the writer opens it again.
    pub(super) index: ArcSwapOption<Store>,
    /// May name addresses that have no record any more, never lacks one that has.
    pub(super) filter: ArcSwap<Filter>,
    /// The orders in force. Never less than those that the index knows.
    pub(super) masks: ArcSwap<Masks>,
    pub(super) refolding: Refolding,
    pub(super) lookout: Lookout,
    pub(super) stats: Arc<Stats>,
    pub(super) trouble: Trouble,
    /// Events and orders on their way to the writer; the walker's steps, one at a time, are not counted.
    pub(super) waiting: AtomicUsize,
    /// Whether an import is under way.
    pub(super) importing: AtomicBool,
    /// Rows that are on disk of the import under way, or of the last one.
    pub(super) imported: AtomicU64,
    /// Whether the writer runs.
    pub(super) writing: AtomicBool,
    pub(super) _lock: DataLock,
}

/// What does not work now, in words.
#[derive(Default)]
pub(super) struct Trouble {
    journal: Mutex<Option<String>>,
    index: Mutex<Option<String>>,
    /// A look-up failed: the writer opens the index again.
    pub(super) suspect: AtomicBool,
}

impl Trouble {
    pub(super) fn journal(&self) -> Option<String> {
        read(&self.journal)
    }

    pub(super) fn index(&self) -> Option<String> {
        read(&self.index)
    }

    pub(super) fn set_journal(&self, why: &str) {
        write(&self.journal, Some(why.to_owned()));
    }

    pub(super) fn set_index(&self, why: &str) {
        write(&self.index, Some(why.to_owned()));
    }

    pub(super) fn clear_journal(&self) {
        write(&self.journal, None);
    }

    pub(super) fn clear_index(&self) {
        write(&self.index, None);
    }
}

fn read(words: &Mutex<Option<String>>) -> Option<String> {
    words.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

fn write(words: &Mutex<Option<String>>, new: Option<String>) {
    *words.lock().unwrap_or_else(PoisonError::into_inner) = new;
}

impl Shared {
    /// What is known of an address: the filter first, which answers for nearly all.
    pub(super) fn look_up(&self, key: &RecipientKey) -> Result<Option<Stored>, StoreError> {
        if !self.filter.load().may_contain(key.as_str()) {
            Stats::add(&self.stats.filter_answers, 1);
            return Ok(None);
        }
        let found = match self.index.load().as_ref() {
            Some(store) => store.get(key),
            None => Err(StoreError::Paused),
        };
        if let Err(error) = &found {
            Stats::add(&self.stats.read_failures, 1);
            if !matches!(error, StoreError::Paused) {
                tracing::error!(event = "store", result = "lookup_failed", error = %error);
                self.trouble.suspect.store(true, Ordering::Release);
            }
        }
        found
    }

    /// The index, for callers who go through much of it.
    pub(super) fn store(&self) -> Result<Arc<Store>, GateError> {
        self.index.load_full().ok_or(GateError::Store(StoreError::Paused))
    }

    pub(super) fn install(&self, opened: Opened) {
        self.filter.store(Arc::new(opened.filter));
        self.masks.store(Arc::new(opened.masks));
        self.index.store(Some(Arc::new(opened.store)));
    }

    /// Closes the index: sled holds a lock until its last user is gone.
    pub(super) fn close_index(&self) -> Result<(), String> {
        let Some(mut store) = self.index.swap(None) else { return Ok(()) };
        for _ in 0..CLOSE_STEPS {
            match Arc::try_unwrap(store) {
                Ok(last) => {
                    drop(last);
                    return Ok(());
                }
                Err(shared) => store = shared,
            }
            std::thread::sleep(CLOSE_STEP);
        }
        // Somebody goes through all of it; look-ups go on meanwhile.
        self.index.store(Some(store));
        Err("the index is in use and cannot be opened again yet".to_owned())
    }

    /// Whether the disk takes so many bytes.
    pub(super) fn probe_disk(&self, bytes: usize) -> std::io::Result<()> {
        #[cfg(test)]
        self.settings.index_fault.check().and(self.settings.journal_fault.check())?;
        let path = self.settings.data_dir.join("probe");
        let written = std::fs::File::create(&path).and_then(|mut file| {
            let zeros = vec![0; 1 << 16];
            for _ in 0..bytes.div_ceil(zeros.len()) {
                file.write_all(&zeros)?;
            }
            file.sync_all()
        });
        let removed = std::fs::remove_file(&path);
        written.and(removed)
    }
}
