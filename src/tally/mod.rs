//! What became of recipients, counted: by day, tenant, receiver and campaign.
//!
//! The journal holds only what can move a standing, so that rates have no denominator there. This has nothing else: no address,
//! and no decision is ever made from it.
//!
//! Counting is a few hundred nanoseconds in memory and waits for no disk. Once a minute what was counted goes to
//! `data_dir/tally/2026-11-28.jsonl`, a line for each key that moved; reading sums the lines. A day that is over is written anew with
//! one line a key. A kill loses the counts of the last minute at the most, and a full disk those that it does not take; neither
//! ever holds up mail.
//!
//! | file | holds |
//! |---|---|
//! | `outcome` | what can become of a recipient |
//! | `counts` | how often it did |
//! | `memory` | what is counted and not yet written, bounded |
//! | `files` | one file a day |
//! | `sum` | what the files say about a span of days |

mod counts;
mod files;
mod memory;
mod outcome;
mod sum;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use crate::time::Timestamp;
use files::{Folder, Line};
use memory::{Memory, Moved};

pub use counts::Counts;
pub use outcome::{Cause, Class, Ground, Outcome};
pub use sum::{By, Question, Sum};

/// What stands for all that has no key of its own.
pub const OTHER: &str = "(other)";

/// Keys that are taken out of memory at a time: a count waits no longer than that takes.
const SLICE: usize = 256;

/// Where the tally is kept, and how much of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The folder; made when there is something to write.
    pub folder: PathBuf,
    /// Keys a day at most; beyond, campaigns and then receivers are counted as [`OTHER`].
    pub keys: usize,
    /// Days that are kept.
    pub days: u32,
}

impl Settings {
    /// The defaults, below this data directory.
    pub fn new(data_dir: &Path) -> Self {
        Self { folder: data_dir.join("tally"), keys: 10_000, days: 400 }
    }
}

/// Whose recipient it was.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// On whose account.
    pub tenant: &'a str,
    /// The organisation of the mail host that answered; the recipient's domain where none did.
    pub receiver: &'a str,
    /// Of which campaign.
    pub campaign: Campaign<'a>,
}

/// What a message belongs to.
#[derive(Clone, Copy, Debug)]
pub enum Campaign<'a> {
    /// A campaign of this name.
    Named(&'a str),
    /// None that is known: mail of a sender of this domain. Not its address: a sender may be another for each recipient (VERP).
    Sender(&'a str),
}

/// Counts for the whole program; cheap to clone.
#[derive(Clone, Debug)]
pub struct Tally(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    memory: Mutex<Memory>,
    files: Mutex<Files>,
}

#[derive(Debug)]
struct Files {
    folder: Folder,
    days: u32,
    /// The day of the last look at what is old.
    tidied: Option<i64>,
}

impl Tally {
    /// Goes on with today's file. One that cannot be read is as good as none: counting does not depend on it.
    pub fn open(settings: Settings, now: Timestamp) -> Self {
        let folder = Folder::new(settings.folder);
        let mut memory = Memory::new(settings.keys);
        let today = now.utc_day();
        // Without the keys that the day has already, each start would allow as many again.
        let _ = folder.read(today, |line| match line {
            Line::Counts { tenant, receiver, campaign, .. } => {
                memory.know(today, &tenant, &receiver, &campaign);
            }
            Line::Example { cause, .. } => memory.know_example(today, cause),
        });
        let files = Files { folder, days: settings.days, tidied: None };
        Self(Arc::new(Inner { memory: Mutex::new(memory), files: Mutex::new(files) }))
    }

    /// Counts one recipient. `reply` is kept as an example if the day has none for this cause.
    pub fn count(&self, place: &Place<'_>, outcome: Outcome, reply: Option<&str>, now: Timestamp) {
        let mut memory = self.0.memory.lock().unwrap_or_else(PoisonError::into_inner);
        memory.count(now.utc_day(), place, outcome, reply);
    }

    /// Writes down what was counted since the last time, and, once a day, puts the files of the days before in order. Reads and writes
    /// files: not for an async thread.
    ///
    /// # Errors
    /// What could not be written is lost.
    pub fn write(&self, now: Timestamp) -> io::Result<()> {
        let mut files = self.0.files.lock().unwrap_or_else(PoisonError::into_inner);
        let written = self.write_moved(&files.folder);
        let today = now.utc_day();
        let tidied = match files.tidied {
            Some(day) if day == today => Ok(()),
            Some(_) | None => {
                files.tidied = Some(today);
                files.folder.tidy(today, files.days)
            }
        };
        written.and(tidied)
    }

    fn write_moved(&self, folder: &Folder) -> io::Result<()> {
        let mut result = Ok(());
        loop {
            let moved = {
                let mut memory = self.0.memory.lock().unwrap_or_else(PoisonError::into_inner);
                memory.take(SLICE)
            };
            let Some(Moved { day, lines }) = moved else { return result };
            let appended = folder.append(day, &lines);
            result = result.and(appended);
        }
    }

    /// What was counted in some days, the last minute included.
    ///
    /// # Errors
    /// When the files cannot be read.
    pub fn sum(&self, question: &Question) -> io::Result<Sum> {
        let files = self.0.files.lock().unwrap_or_else(PoisonError::into_inner);
        // What the disk does not take is missing from the answer, as it will be from later ones.
        let _ = self.write_moved(&files.folder);
        sum::sum(&files.folder, question)
    }
}

/// What the files of a folder say, while nobody counts there.
///
/// # Errors
/// When the files cannot be read.
pub fn sum(folder: &Path, question: &Question) -> io::Result<Sum> {
    sum::sum(&Folder::new(folder.to_owned()), question)
}

#[cfg(test)]
mod tests;
