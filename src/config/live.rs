//! The lists in force, read again when their files change.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;

use crate::lists::{DomainSet, Lists};

use super::error::ConfigError;
use super::lists::{load_lists, reload_lists};
use super::settings::ListPaths;

/// Faults of one reload that are logged; `rcptgate check` tells all.
const LOGGED_MAX: usize = 20;

/// The lists in force. Whoever decides takes one snapshot for one transaction; a reload swaps the whole value.
#[derive(Debug)]
pub struct LiveLists {
    paths: ListPaths,
    current: Arc<ArcSwap<Lists>>,
    swapped: AtomicU64,
    kept: AtomicU64,
}

/// What came of a reload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reload {
    /// The new lists are in force.
    Swapped,
    /// The lists of files with these faults are the old ones still; the others are in force.
    Kept(Vec<ConfigError>),
}

impl LiveLists {
    /// Reads the lists for the first time. A change between this and the start of a watch is seen only if the watch is
    /// poked once it runs.
    ///
    /// # Errors
    /// Every fault of every list: a gate does not start with less than it was told to have.
    pub fn open(mut paths: ListPaths) -> Result<Self, Vec<ConfigError>> {
        let lists = load_lists(&paths)?;
        require_present(&mut paths);
        Ok(Self {
            paths,
            current: Arc::new(ArcSwap::from_pointee(lists)),
            swapped: AtomicU64::new(0),
            kept: AtomicU64::new(0),
        })
    }

    /// Where the lists in force are to be had, for as long as the program runs.
    pub fn current(&self) -> Arc<ArcSwap<Lists>> {
        Arc::clone(&self.current)
    }

    /// The files to watch.
    pub fn files(&self) -> Vec<PathBuf> {
        self.paths.files()
    }

    /// How many reloads there were: swapped, and kept for a fault.
    pub fn counts(&self) -> (u64, u64) {
        (self.swapped.load(Ordering::Relaxed), self.kept.load(Ordering::Relaxed))
    }

    /// Reads all lists again and swaps them whole; a list whose file has a fault stays as it was. Logs which and why.
    pub fn reload(&mut self) -> Reload {
        let before = self.current.load_full();
        let (lists, faults) = reload_lists(&self.paths, &before);
        for fault in faults.iter().take(LOGGED_MAX) {
            tracing::error!(
                event = "reload",
                result = "kept",
                file = %fault.file.display(),
                line = fault.line,
                value = fault.value,
                error = fault.why,
                faults = faults.len(),
            );
        }
        if faults.is_empty() {
            require_present(&mut self.paths);
        }
        if faults.is_empty() || lists != *before {
            tracing::info!(
                event = "reload",
                result = "swapped",
                disposable = lists.disposable.added().len(),
                disposable_removed = lists.disposable.removed().len(),
                disposable_builtin = lists.disposable.builtin().len(),
                trusted = lists.trusted.as_ref().map(DomainSet::len),
                allow = lists.allow.len(),
            );
            self.current.store(Arc::new(lists));
        }
        if faults.is_empty() {
            self.swapped.fetch_add(1, Ordering::Relaxed);
            Reload::Swapped
        } else {
            self.kept.fetch_add(1, Ordering::Relaxed);
            Reload::Kept(faults)
        }
    }
}

/// A list that was there must stay: its absence is a slip, not an empty list.
fn require_present(paths: &mut ListPaths) {
    for list in [&mut paths.disposable, &mut paths.trusted, &mut paths.allow] {
        list.required |= list.path.exists();
    }
}
