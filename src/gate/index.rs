//! Getting an index that agrees with the journal: open it, check it, or build it anew, then fold what it lacks.

use std::path::{Path, PathBuf};

use super::GateError;
use super::build::build;
use super::fold::{Means, fold};
use super::settings::GateSettings;
use crate::journal::{self, Entry, JournalError, Position, Reader};
use crate::policy::{Masks, Policy};
use crate::store::filter::Filter;
use crate::store::{Applied, Store, StoreError, move_aside};
use crate::time::Timestamp;

/// Where a rebuild has its index until that is whole, in the data directory.
const BUILDING: &str = "index.building";
/// Entries folded at once while nobody is asking.
const CHUNK: usize = 1024;

/// An index that agrees with the journal.
pub(super) struct Opened {
    pub(super) store: Store,
    pub(super) filter: Filter,
    /// The orders that it knows.
    pub(super) masks: Masks,
    /// Where a broken index was put, and what was wrong with it.
    pub(super) moved_aside: Option<(PathBuf, String)>,
    /// How many entries were folded.
    pub(super) replayed: u64,
}

/// Opens the index and folds into it what of the journal up to `last` it lacks: nothing, a tail, or all. A broken one is moved aside
/// first. What orders have left to do is still to be done. `progress` gets the bytes of the journal that are done, and their total.
pub(super) fn open(
    settings: &GateSettings,
    last: Option<(u64, Position)>,
    policy: &Policy,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Opened, GateError> {
    let path = settings.index_dir();
    let beside = settings.data_dir.join(BUILDING);
    if beside.exists() {
        // Of a rebuild that was killed.
        remove(&beside)?;
    }
    let (store, filter, moved_aside) = match open_kin(settings, &path, last) {
        Ok((store, filter)) => (store, filter, None),
        // It never was in force: nobody wants to look at it.
        Err(GateError::Store(StoreError::Unfinished)) => {
            tracing::warn!(event = "store", result = "rebuilding", error = %StoreError::Unfinished);
            remove(&path)?;
            let (store, filter) = open_store(settings, &path)?;
            (store, filter, None)
        }
        Err(GateError::Store(damage)) if damage.is_damage() => {
            let aside = put_aside(&path, &damage)?;
            let (store, filter) = open_store(settings, &path)?;
            (store, filter, Some((aside, damage.to_string())))
        }
        Err(other) => return Err(other),
    };
    let replayed = replay(settings, (&store, &filter), last, policy, progress)?;
    if replayed > 0 {
        store.flush()?;
    }
    // One that grew layer by layer reads a cache line for each.
    let filter = if filter.layers() > 1 { store.filter()? } else { filter };
    let masks = Masks::new(store.orders()?);
    Ok(Opened { store, filter, masks, moved_aside, replayed })
}

/// An index that was built from nothing.
pub(super) struct Rebuilt {
    /// Where the one before was put, and why.
    pub(super) moved_aside: Option<(PathBuf, String)>,
    /// How many entries were folded.
    pub(super) replayed: u64,
    /// How many addresses have a record.
    pub(super) records: u64,
}

/// Builds an index beside the one in force, which is moved aside only once the new one is whole: whatever breaks this off, a full disk or a
/// broken line of the journal, leaves the old one where it was.
pub(super) fn rebuild(
    settings: &GateSettings,
    last: Option<(u64, Position)>,
    policy: &Policy,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Rebuilt, GateError> {
    let (path, beside) = (settings.index_dir(), settings.data_dir.join(BUILDING));
    if beside.exists() {
        remove(&beside)?;
    }
    let built = fill(settings, &beside, last, policy, progress);
    let (replayed, records) = built.inspect_err(|_| {
        // Of no use to anybody, and the next rebuild removes it too.
        let _ = remove(&beside);
    })?;
    let why = StoreError::Damaged { why: "a rebuild was asked for".to_owned() };
    let moved_aside = match path.exists() {
        true => Some((put_aside(&path, &why)?, why.to_string())),
        false => None,
    };
    std::fs::rename(&beside, &path).map_err(|source| StoreError::Io { path, source })?;
    Ok(Rebuilt { moved_aside, replayed, records })
}

/// Fills a new index at `path`, and closes it.
fn fill(
    settings: &GateSettings,
    path: &Path,
    last: Option<(u64, Position)>,
    policy: &Policy,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<(u64, u64), GateError> {
    let (store, filter) = open_store(settings, path)?;
    let replayed = replay(settings, (&store, &filter), last, policy, progress)?;
    store.flush()?;
    Ok((replayed, store.count()))
}

/// Moves the index aside and says so.
pub(super) fn put_aside(path: &Path, why: &StoreError) -> Result<PathBuf, GateError> {
    let aside = move_aside(path, Timestamp::now())?;
    tracing::error!(
        event = "store",
        result = "rebuilding",
        moved_to = %aside.display(),
        error = %why,
    );
    Ok(aside)
}

/// Opens the index and makes sure that it was made from this journal.
fn open_kin(
    settings: &GateSettings,
    path: &Path,
    last: Option<(u64, Position)>,
) -> Result<(Store, Filter), GateError> {
    let (store, filter) = open_store(settings, path)?;
    let Some(applied) = store.applied() else {
        return match store.is_empty()? {
            true => Ok((store, filter)),
            false => Err(GateError::Store(StoreError::Unfinished)),
        };
    };
    let end = last.map_or(0, |(seq, _)| seq);
    if end < applied.seq {
        return Err(GateError::JournalBehind { index: applied.seq, journal: end });
    }
    match journal::read_at(&settings.journal_dir(), applied.position) {
        Ok(entry) if entry.seq == applied.seq && entry.said.id() == applied.id => {
            Ok((store, filter))
        }
        Err(JournalError::Io { path, source }) if source.kind() != std::io::ErrorKind::NotFound => {
            Err(GateError::Journal(JournalError::Io { path, source }))
        }
        Ok(_) | Err(_) => {
            let why = format!("event {} is another one in this journal", applied.seq);
            Err(GateError::Store(StoreError::Damaged { why }))
        }
    }
}

fn remove(path: &Path) -> Result<(), StoreError> {
    let removed = std::fs::remove_dir_all(path);
    removed.map_err(|source| StoreError::Io { path: path.to_owned(), source })
}

fn open_store(settings: &GateSettings, path: &Path) -> Result<(Store, Filter), GateError> {
    let opened = Store::open(path, settings.cache_bytes, settings.lock_wait)?;
    #[cfg(test)]
    let opened = (opened.0.with_fault(settings.index_fault.clone()), opened.1);
    Ok(opened)
}

/// Folds what the index lacks; all of it into one that is empty.
fn replay(
    settings: &GateSettings,
    (store, filter): (&Store, &Filter),
    last: Option<(u64, Position)>,
    policy: &Policy,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<u64, GateError> {
    let end = last.map_or(0, |(seq, _)| seq);
    match store.applied() {
        None if end == 0 => Ok(0),
        None => build(settings, (store, filter), end, policy, progress),
        Some(applied) if applied.seq == end => Ok(0),
        Some(applied) => fold_tail(settings, (store, filter), (&applied, end), policy, progress),
    }
}

/// Folds what comes behind the last event that the index knows. An order there leaves a job, since it is about what was folded before.
fn fold_tail(
    settings: &GateSettings,
    (store, filter): (&Store, &Filter),
    (applied, end): (&Applied, u64),
    policy: &Policy,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<u64, GateError> {
    let dir = settings.journal_dir();
    let mut masks = Masks::new(store.orders()?);
    let total = journal::bytes_from(&dir, applied.position)?;
    let (mut done, mut replayed) = (0, 0);
    let mut chunk: Vec<(Entry, Position)> = Vec::with_capacity(CHUNK);
    progress(0, total);
    for located in Reader::at(&dir, applied.position)? {
        let located = located?;
        // Behind the end lie lines of a commit that failed: never acknowledged, about to be cut off.
        if located.entry.seq > end {
            break;
        }
        done += located.bytes;
        if located.entry.seq > applied.seq {
            chunk.push((located.entry, located.position));
            replayed += 1;
        }
        if chunk.len() == CHUNK {
            fold(&Means { store, filter, policy, masks: &masks }, &chunk)?;
            masks = Masks::new(store.orders()?);
            chunk.clear();
            progress(done, total);
        }
    }
    fold(&Means { store, filter, policy, masks: &masks }, &chunk)?;
    progress(total, total);
    match store.applied().map_or(0, |applied| applied.seq) {
        reached if reached == end => Ok(replayed),
        reached => Err(GateError::JournalBehind { index: end, journal: reached }),
    }
}
