//! From a data directory to a gate.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::sync::{Arc, Mutex};

use arc_swap::{ArcSwap, ArcSwapOption};

use super::fold::Means;
use super::lookout::Lookout;
use super::settings::GateSettings;
use super::shared::{Shared, Trouble};
use super::stats::Stats;
use super::walker::{Refolding, Walker};
use super::writer::Writer;
use super::{Gate, GateError, Inner, ListingOf, index, refold};
use crate::bounce::classify::Classifier;
use crate::journal::{self, Torn};
use crate::policy::Policy;
use crate::policy::verdict::Listing;
use crate::store::lock::DataLock;

/// The threads, as `ps -L` and panics name them.
const THREAD: &str = "rcptgate-writer";
const WALKER: &str = "rcptgate-refold";

/// A gate, and how it came to be.
pub struct Opened {
    /// The gate.
    pub gate: Gate,
    /// What was found and mended.
    pub report: OpenReport,
}

/// What a start found and mended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OpenReport {
    /// A torn last line that was cut off the journal.
    pub torn: Option<Torn>,
    /// Where an index that could not be used was put, and what was wrong with it.
    pub moved_aside: Option<(PathBuf, String)>,
    /// How many events were folded into the index: the tail of the journal, or all of it.
    pub replayed: u64,
    /// How many orders, of which a stop had kept something from being done, were finished.
    pub finished: u64,
    /// How many addresses have a record.
    pub records: u64,
    /// The last sequence in the journal.
    pub last_seq: u64,
}

impl Gate {
    /// Opens the gate: takes the lock, opens the journal, opens the index or builds it anew, folds what it lacks, finishes
    /// what orders had left to do, starts the writer.
    /// Nothing is on any list until [`Gate::set_listing`]. `progress` gets the bytes of the journal done, and their total.
    ///
    /// # Errors
    /// When another gate has the directory, the journal is damaged or behind the index, or the file system fails.
    pub fn open(
        settings: GateSettings,
        policy: Policy,
        classifier: Classifier,
        mut progress: impl FnMut(u64, u64),
    ) -> Result<Opened, GateError> {
        let lock = DataLock::take(&settings.data_dir, settings.lock_wait)?;
        let (journal, torn) = open_journal(&settings)?;
        let index = contained(|| index::open(&settings, journal.last(), &policy, &mut progress))?;
        let means = Means {
            store: &index.store,
            filter: &index.filter,
            policy: &policy,
            masks: &index.masks,
        };
        let journal_dir = settings.journal_dir();
        let finished = contained(|| refold::finish(&means, &journal_dir, &mut progress))?;
        let report = OpenReport {
            finished,
            moved_aside: index.moved_aside.clone(),
            replayed: index.replayed,
            records: index.store.count(),
            last_seq: journal.last().map_or(0, |(seq, _)| seq),
            torn,
        };
        let nothing: ListingOf = Arc::new(|_| Listing::default());
        let stats = Stats::default();
        Stats::add(&stats.torn, usize::from(report.torn.is_some()));
        let queue = settings.queue;
        let shared = Arc::new(Shared {
            settings,
            policy: ArcSwap::from_pointee(policy),
            classifier: ArcSwap::from_pointee(classifier),
            listing: ArcSwap::from_pointee(nothing),
            index: ArcSwapOption::from_pointee(index.store),
            filter: ArcSwap::from_pointee(index.filter),
            masks: ArcSwap::from_pointee(index.masks),
            refolding: Refolding::default(),
            lookout: Lookout::default(),
            stats: Arc::new(stats),
            trouble: Trouble::default(),
            waiting: AtomicUsize::new(0),
            importing: AtomicBool::new(false),
            imported: AtomicU64::new(0),
            writing: AtomicBool::new(true),
            _lock: lock,
        });
        Ok(Opened { gate: start(shared, journal, queue)?, report })
    }
}

fn start(shared: Arc<Shared>, journal: journal::Writer, queue: usize) -> Result<Gate, GateError> {
    let (tasks, waiting) = mpsc::sync_channel(queue);
    let writer = Writer::new(Arc::clone(&shared), journal, waiting);
    let walker = Walker::new(Arc::clone(&shared), tasks.clone());
    let running = Arc::clone(&shared);
    let thread = std::thread::Builder::new().name(THREAD.to_owned()).spawn(move || {
        writer.run();
        running.writing.store(false, Ordering::Release);
    });
    let writer = Some(thread.map_err(GateError::Thread)?);
    let mut inner =
        Inner { shared, tasks: Some(tasks), writer, walker: None, keeper: Mutex::default() };
    let thread = std::thread::Builder::new().name(WALKER.to_owned()).spawn(move || walker.run());
    inner.walker = Some(thread.map_err(GateError::Thread)?);
    Ok(Gate(Arc::new(inner)))
}

/// Builds the index anew from the journal, whatever the old one says; that one is moved aside once the new one is whole. No gate may run.
///
/// # Errors
/// As [`Gate::open`].
pub fn rebuild(
    settings: &GateSettings,
    policy: &Policy,
    mut progress: impl FnMut(u64, u64),
) -> Result<OpenReport, GateError> {
    let _lock = DataLock::take(&settings.data_dir, settings.lock_wait)?;
    let (journal, torn) = open_journal(settings)?;
    let opened = contained(|| index::rebuild(settings, journal.last(), policy, &mut progress))?;
    Ok(OpenReport {
        // Folded under all orders from the start.
        finished: 0,
        torn,
        moved_aside: opened.moved_aside,
        replayed: opened.replayed,
        records: opened.records,
        last_seq: journal.last().map_or(0, |(seq, _)| seq),
    })
}

fn open_journal(settings: &GateSettings) -> Result<(journal::Writer, Option<Torn>), GateError> {
    let (journal, torn) = journal::Writer::open(&settings.journal_dir(), settings.segment_bytes)?;
    #[cfg(test)]
    let journal = journal.with_fault(settings.journal_fault.clone());
    Ok((journal, torn))
}

/// A panic of the fold at a start is an error like any other: the program says so and exits.
fn contained<T>(work: impl FnOnce() -> Result<T, GateError>) -> Result<T, GateError> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
        Err(GateError::Panicked(text.unwrap_or("no message").to_owned()))
    })
}
