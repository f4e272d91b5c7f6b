//! Opening the index, checking all of it, and getting a broken one out of the way.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt as _;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Mutex, mpsc};
use std::time::Duration;

use sled::IVec;

use super::codec::{self, Meta};
use super::filter::Filter;
use super::lock::DIRECTORY_MODE;
use super::{Store, StoreError, contain};
use crate::time::Timestamp;

/// What must be free on the disk: sled writes when it is opened, and on a full disk it damages itself so.
const OPENING_BYTES: u64 = 4 << 20;
/// How often a locked index is tried again: the process that was killed a moment ago may still hold it.
const LOCK_RETRY: Duration = Duration::from_millis(50);

/// Records that go from one thread to another at once, and how many times as many wait.
const PIECE: usize = 1024;
const PIECES_AHEAD: usize = 4;

pub(super) fn open(
    path: &Path,
    cache_bytes: u64,
    lock_wait: Duration,
) -> Result<(Store, Filter), StoreError> {
    // sled would let everybody read it.
    DirBuilder::new()
        .recursive(true)
        .mode(DIRECTORY_MODE)
        .create(path)
        .map_err(|source| StoreError::Io { path: path.to_owned(), source })?;
    let db = open_locked(path, cache_bytes, lock_wait)?;
    let (meta, filter) = contain(|| check(&db))?;
    let store = Store {
        db,
        meta: Mutex::new(meta),
        failed: AtomicBool::new(false),
        #[cfg(test)]
        fault: crate::journal::Fault::default(),
    };
    Ok((store, filter))
}

/// How many bytes of the file system may be written where `path` is.
///
/// # Errors
/// When nothing is there.
pub fn free_bytes(path: &Path) -> Result<u64, StoreError> {
    let about = rustix::fs::statvfs(path);
    let about =
        about.map_err(|error| StoreError::Io { path: path.to_owned(), source: error.into() })?;
    Ok(about.f_bavail.saturating_mul(about.f_frsize))
}

fn open_locked(path: &Path, cache_bytes: u64, wait: Duration) -> Result<sled::Db, StoreError> {
    let free = free_bytes(path)?;
    if free < OPENING_BYTES {
        let why =
            format!("opening the index takes {} MiB, {} are free", OPENING_BYTES >> 20, free >> 20);
        let source = std::io::Error::new(std::io::ErrorKind::StorageFull, why);
        return Err(StoreError::Io { path: path.to_owned(), source });
    }
    let mut waited = Duration::ZERO;
    loop {
        let config = sled::Config::new()
            .path(path)
            .cache_capacity(cache_bytes)
            .mode(sled::Mode::LowSpace)
            // The writer flushes; sled's own flusher ends for good at its first error.
            .flush_every_ms(None);
        match contain(|| Ok(config.open()?)) {
            // sled has no error of its own for this.
            Err(StoreError::Failed(sled::Error::Io(error)))
                if error.to_string().contains("could not acquire lock") =>
            {
                if waited >= wait {
                    return Err(StoreError::Locked { path: path.to_owned() });
                }
                std::thread::sleep(LOCK_RETRY);
                waited += LOCK_RETRY;
            }
            other => return other,
        }
    }
}

/// Reads every record and every order; numbers and sum must be those that the last batch left.
fn check(db: &sled::Db) -> Result<(Meta, Filter), StoreError> {
    let expected = match db.get(codec::META_KEY)? {
        Some(value) => codec::decode_meta(&value)?,
        None => Meta::default(),
    };
    let (applied, jobs) = (expected.applied.clone(), expected.jobs.clone());
    let mut found = Meta { applied, jobs, ..Meta::default() };
    // Room for as many again, so that it rarely grows between two starts.
    let filter = Filter::with_room(expected.count.saturating_mul(2));
    let mut address = String::new();
    each_record(db, |key, value| {
        codec::decode_record(key, value)?;
        codec::address_of(key, &mut address)?;
        found.add(value);
        filter.insert(&address);
        Ok(())
    })?;
    for entry in db.scan_prefix(codec::order_prefix()) {
        let (key, value) = entry?;
        codec::decode_order(&key, &value)?;
        found.add_order(&value);
    }
    if found != expected {
        let why = format!(
            "{} records and {} orders where {} and {} were written, or an older state of one",
            found.count, found.orders, expected.count, expected.orders
        );
        return Err(StoreError::Damaged { why });
    }
    Ok((expected, filter))
}

/// A filter with the addresses of all records.
pub(super) fn fill(db: &sled::Db, count: u64) -> Result<Filter, StoreError> {
    let filter = Filter::with_room(count.saturating_mul(2));
    let mut address = String::new();
    each_record(db, |key, _| {
        codec::address_of(key, &mut address)?;
        filter.insert(&address);
        Ok(())
    })?;
    Ok(filter)
}

/// Shows every record to `visit`, while another thread reads the next ones: a start waits for it, and half of the time is sled's. (Each
/// thread a part of the keys would be no better: half of all addresses are of one domain, in a list of gmail.com all of them.)
fn each_record(
    db: &sled::Db,
    mut visit: impl FnMut(&[u8], &[u8]) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let (pieces, coming) = mpsc::sync_channel::<Vec<(IVec, IVec)>>(PIECES_AHEAD);
    std::thread::scope(|scope| {
        let records = || db.scan_prefix(codec::record_prefix(None));
        let read = move || -> Result<(), StoreError> {
            let mut records = records();
            loop {
                let piece = records.by_ref().take(PIECE).collect::<Result<Vec<_>, _>>()?;
                let last = piece.len() < PIECE;
                // Whoever takes no more has found a fault.
                if pieces.send(piece).is_err() || last {
                    return Ok(());
                }
            }
        };
        let Ok(reader) = std::thread::Builder::new().spawn_scoped(scope, read) else {
            // There is no thread to be had: that says nothing of the index.
            for record in records() {
                let (key, value) = record?;
                visit(&key, &value)?;
            }
            return Ok(());
        };
        for (key, value) in coming.into_iter().flatten() {
            visit(&key, &value)?;
        }
        // A panic of sled goes on to whoever contains it.
        reader.join().unwrap_or_else(|panic| resume_unwind(panic))
    })
}

/// Renames the index at `path` to `index.broken-<now>`, beside it, for whoever wants to look; says where it is.
///
/// # Errors
/// When it cannot be renamed.
pub fn move_aside(path: &Path, now: Timestamp) -> Result<PathBuf, StoreError> {
    let stem = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let time = now.to_string().replace(':', "");
    let aside = (0..)
        .map(|turn: u32| match turn {
            0 => path.with_file_name(format!("{stem}.broken-{time}")),
            turn => path.with_file_name(format!("{stem}.broken-{time}-{turn}")),
        })
        .find(|aside| !aside.exists())
        .unwrap_or_else(|| path.with_file_name(format!("{stem}.broken")));
    std::fs::rename(path, &aside)
        .map_err(|source| StoreError::Io { path: path.to_owned(), source })?;
    Ok(aside)
}
