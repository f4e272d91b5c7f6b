//! The gate: every door asks and teaches it, and it is the single way to the store.
//!
//! [`Gate::judge`] answers one RCPT from memory or from the index's cache, in microseconds and without leaving the thread.
//! [`Gate::refused`], [`Gate::delivered`] and [`Gate::learn`] hand events to the one writer; a [`Durable`] tells when they are on disk.
//! [`Gate::order`] hands it orders about events; an [`Obeying`] tells when they are carried out. [`Gate::import`] hands it many events that
//! count together or not at all.
//!
//! What can fail does so in the open: learning pauses and resumes by itself, [`Gate::health`] says why, nothing is forgotten without being
//! counted, and the gate never starts with less than the journal holds.

mod build;
mod fold;
mod id;
mod import;
mod index;
mod learn;
mod lookout;
mod observe;
mod open;
mod order;
mod preview;
mod refold;
mod settings;
mod shared;
mod stats;
mod task;
mod verify;
mod walker;
mod writer;

use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use tokio::sync::oneshot;

use crate::bounce::classify::Classifier;
use crate::event::order::Decree;
use crate::event::{Event, EventId, Tenant};
use crate::journal::{self, JournalError};
use crate::policy::verdict::{Decision, Listing, Verdict};
use crate::policy::{Masks, Policy, Record, decide};
use crate::smtp::address::RecipientKey;
use crate::smtp::reply::Reply;
use crate::smtp::status::EnhancedStatus;
use crate::store::StoreError;
pub use crate::store::Tally;
use crate::time::Timestamp;

pub use fold::Change;
pub use import::{GROUP_MAX, ImportRefused, Importing, order_of};
pub use learn::{About, Ack, Draft, Durable, Learning, Unlearnt};
pub use lookout::{Kept, Tally as OutageTally};
pub use open::{OpenReport, Opened, rebuild};
pub use order::{Disobeyed, Obeyed, Obeying, OrderDraft, Outcome as OrderOutcome};
pub use preview::{Moved, Preview};
pub use settings::{GateSettings, Mode, OnStoreFailure, Recording};
pub use stats::Stats;
pub use verify::VerifyReport;

/// What the lists say about a recipient.
pub type ListingOf = Arc<dyn Fn(&RecipientKey) -> Listing + Send + Sync>;

/// A handle to the gate; clones are the same gate. When the last one goes, the writer finishes what waits, flushes and ends, and the
/// drop waits for that.
#[derive(Clone)]
pub struct Gate(Arc<Inner>);

struct Inner {
    shared: Arc<shared::Shared>,
    /// `None` only while it is dropped.
    tasks: Option<SyncSender<task::Task>>,
    writer: Option<JoinHandle<()>>,
    walker: Option<JoinHandle<()>>,
    /// Of the lookout, once it is kept.
    keeper: Mutex<Option<JoinHandle<()>>>,
}

/// Whether the gate does all that it should.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// Whether it does.
    pub ready: bool,
    /// What does not work; empty when it is ready.
    pub why: Vec<String>,
}

/// Why there is no gate.
#[derive(Debug, thiserror::Error)]
pub enum GateError {
    /// The data directory or the index cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The journal cannot be used.
    #[error("journal: {0}")]
    Journal(#[from] JournalError),
    /// The index knows events that the journal has lost.
    #[error(
        "the index knows {index} events, the journal ends at {journal}: put the missing part of the journal back, \
         or accept the loss with `rcptgate rebuild`"
    )]
    JournalBehind {
        /// The last sequence that the index knows.
        index: u64,
        /// The last sequence in the journal.
        journal: u64,
    },
    /// The writer's thread cannot be started.
    #[error("cannot start the writer: {0}")]
    Thread(#[source] std::io::Error),
    /// What an order has to do is being done: until then records are between what they were and what they will be.
    #[error("an undo or an import is being carried out: try again when it is done")]
    Refolding,
    /// Folding the journal panicked: a fault of this program.
    #[error("internal error while folding the journal: {0}")]
    Panicked(String),
}

impl Gate {
    /// The verdict on one recipient. In [`Mode::Monitor`] too it says what the verdict is; the caller forwards all the same.
    pub fn judge(&self, recipient: &RecipientKey, tenant: &Tenant, now: Timestamp) -> Decision {
        Stats::add(&self.0.shared.stats.judged, 1);
        self.consider(recipient, tenant, now)
    }

    /// What [`Gate::judge`] would say, for those who only want to know: it counts for nothing.
    pub fn consider(&self, recipient: &RecipientKey, tenant: &Tenant, now: Timestamp) -> Decision {
        let shared = &self.0.shared;
        let listing = (shared.listing.load())(recipient);
        let policy = shared.policy.load();
        match shared.look_up(recipient) {
            Ok(stored) => {
                let record = stored.as_ref().map(|stored| &stored.record);
                decide(record, &listing, tenant, now, &policy)
            }
            Err(_counted) => {
                let decision = decide(None, &listing, tenant, now, &policy);
                unknown(decision, &listing, shared.settings.on_store_failure)
            }
        }
    }

    /// Takes an event in. Never waits: a queue that is full refuses it.
    pub fn learn(&self, draft: Draft) -> Durable {
        let shared = &self.0.shared;
        let (done, waiting) = oneshot::channel();
        let Draft { at, address, tenant, what } = draft;
        let event = Event { id: EventId(id::new(at)), at, address, tenant, what };
        let sent = self.send(task::Task::Learn { event, done });
        if sent.is_err() {
            Stats::add(&shared.stats.unlearnt, 1);
        }
        let stats = Arc::clone(&shared.stats);
        Durable::new(sent.map(|()| waiting), stats, shared.settings.durable_wait)
    }

    /// Takes an order in. Never waits: the promise is kept when the order is on disk and the addresses that it touches have been folded
    /// again, which takes long when they are many and goes on beside the mail. Events that come meanwhile lose nothing.
    pub fn order(&self, draft: OrderDraft) -> Obeying {
        match &self.0.tasks {
            Some(tasks) => order::give(&self.0.shared, tasks, draft),
            None => Obeying::new(Err(Unlearnt::WriterGone)),
        }
    }

    /// Hands the writer something to write down.
    fn send(&self, task: task::Task) -> Result<(), Unlearnt> {
        let tasks = self.0.tasks.as_ref().ok_or(Unlearnt::WriterGone)?;
        task::send(&self.0.shared, tasks, task)
    }

    /// Hands a task over, and waits for room; never from async code.
    fn send_waiting(&self, task: task::Task) -> Result<(), Unlearnt> {
        let tasks = self.0.tasks.as_ref().ok_or(Unlearnt::WriterGone)?;
        task::send_waiting(&self.0.shared, tasks, task)
    }

    /// What an order would do if it were given now. Reads the whole journal; changes nothing.
    ///
    /// # Errors
    /// When the index or the journal cannot be read.
    pub fn preview(&self, decree: &Decree, now: Timestamp) -> Result<Preview, GateError> {
        let shared = &self.0.shared;
        let (store, policy, masks) =
            (shared.store()?, shared.policy.load_full(), shared.masks.load_full());
        preview::preview(&store, &shared.settings.journal_dir(), &policy, &masks, decree, now)
    }

    /// The orders in force, which say of each event whether it counts.
    pub fn masks(&self) -> Arc<Masks> {
        self.0.shared.masks.load_full()
    }

    /// What the order that is being carried out has done so far; `None` when there is none.
    pub fn refolded(&self) -> Option<Tally> {
        self.0.shared.store().ok()?.jobs().first().map(|job| job.tally)
    }

    /// What orders have left to do: how many of them; `None` while the index is being opened again.
    pub fn jobs(&self) -> Option<usize> {
        self.0.shared.store().ok().map(|store| store.jobs().len())
    }

    /// What is known of an address.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn record(&self, key: &RecipientKey) -> Result<Option<Record>, GateError> {
        Ok(self.0.shared.store()?.get(key)?.map(|stored| stored.record))
    }

    /// Every event of an address with its sequence, in order.
    ///
    /// # Errors
    /// When the index or the journal cannot be read.
    pub fn history(&self, key: &RecipientKey) -> Result<Vec<(u64, Event)>, GateError> {
        let store = self.0.shared.store()?;
        verify::history(&store, &self.0.shared.settings.journal_dir(), key)
    }

    /// Where the journal is, for whoever reads it himself.
    pub fn journal_dir(&self) -> PathBuf {
        self.0.shared.settings.journal_dir()
    }

    /// The records of one domain (in key form, sub-domains not included) or of all, by domain and local part. Streams.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn scan(
        &self,
        domain: Option<&str>,
    ) -> Result<
        impl Iterator<Item = Result<(RecipientKey, Record), StoreError>> + Send + use<>,
        GateError,
    > {
        let store = self.0.shared.store()?;
        let records = store.scan(domain);
        Ok(records.map(move |found| {
            // The index stays open for as long as somebody goes through it.
            let _in_use = &store;
            found.map(|(key, stored)| (key, stored.record))
        }))
    }

    /// Events from `seq` on, straight from the journal: for `tail`, export and replay. The last ones may not be acknowledged yet.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn events(
        &self,
        seq: u64,
    ) -> Result<impl Iterator<Item = Result<journal::Located, JournalError>> + use<>, JournalError>
    {
        journal::Reader::from_sequence(&self.0.shared.settings.journal_dir(), seq)
    }

    /// Folds the whole journal afresh under the policy in force, address by address, and compares the index with it.
    ///
    /// # Errors
    /// When the index or the journal cannot be read, or an order is being carried out.
    pub fn verify(&self) -> Result<VerifyReport, GateError> {
        self.verify_with(&mut |_, _| {})
    }

    /// The same; `progress` gets what is done and about how much there is, in lines and records.
    ///
    /// # Errors
    /// As [`Gate::verify`].
    pub fn verify_with(
        &self,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<VerifyReport, GateError> {
        let shared = &self.0.shared;
        let (store, policy) = (shared.store()?, shared.policy.load_full());
        if !store.jobs().is_empty() {
            return Err(GateError::Refolding);
        }
        let importing = || shared.importing.load(Ordering::Acquire);
        let before = importing();
        let journal = shared.settings.journal_dir();
        let report = verify::verify(&store, &journal, &policy, progress)?;
        Ok(VerifyReport { importing: before || importing(), ..report })
    }

    /// What keeps the index from being written, if something does: orders that are on disk are carried out when that is over.
    pub fn trouble(&self) -> Option<String> {
        self.0.shared.trouble.index()
    }

    /// Whether everything works, and if not, what does not.
    pub fn health(&self) -> Health {
        let shared = &self.0.shared;
        let journal = shared.trouble.journal().map(|why| format!("learning is paused: {why}"));
        let index = shared.trouble.index().map(|why| format!("the index is not writable: {why}"));
        let writer = (!shared.writing.load(Ordering::Acquire)).then(|| "the writer is gone".into());
        let why: Vec<String> = [journal, index, writer].into_iter().flatten().collect();
        Health { ready: why.is_empty(), why }
    }

    /// The counters.
    pub fn stats(&self) -> &Stats {
        &self.0.shared.stats
    }

    /// How many addresses have a record; `None` while the index is being opened again.
    pub fn records(&self) -> Option<u64> {
        self.0.shared.store().ok().map(|store| store.count())
    }

    /// Whether decisions are carried out.
    pub fn mode(&self) -> Mode {
        self.0.shared.settings.mode
    }

    /// Swaps the policy. Standings that were folded under the old one stay until their next event.
    pub fn set_policy(&self, policy: Policy) {
        self.0.shared.policy.store(Arc::new(policy));
    }

    /// The policy in force.
    pub fn policy(&self) -> Arc<Policy> {
        self.0.shared.policy.load_full()
    }

    /// Swaps the rules by which replies are read. What was learnt by the old ones stays.
    pub fn set_classifier(&self, classifier: Classifier) {
        self.0.shared.classifier.store(Arc::new(classifier));
    }

    /// Swaps the lists.
    pub fn set_listing(&self, listing: ListingOf) {
        self.0.shared.listing.store(Arc::new(listing));
    }
}

/// The verdict on a recipient whose standing cannot be read: what the lists say stands, and only what they would let pass is in doubt.
fn unknown(decision: Decision, listing: &Listing, on_failure: OnStoreFailure) -> Decision {
    let doubtful = decision.verdict == Verdict::Forward && !listing.allowed;
    match on_failure {
        OnStoreFailure::Defer if doubtful => {
            let status = EnhancedStatus::new(4, 3, 0);
            let text = "rcptgate: cannot look this recipient up now, try again later";
            Decision { verdict: Verdict::Defer(Reply::new(451, status, text)), ..decision }
        }
        OnStoreFailure::Defer | OnStoreFailure::Accept => decision,
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // Those first that have a way to the writer, which ends when nobody has one.
        self.shared.lookout.end();
        let keeper = self.keeper.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(keeper) = keeper {
            let _ = keeper.join();
        }
        self.shared.refolding.end();
        if let Some(walker) = self.walker.take() {
            let _ = walker.join();
        }
        self.tasks = None;
        if let Some(writer) = self.writer.take() {
            // A panic of the writer was reported where it happened.
            let _ = writer.join();
        }
        // Those whose order the writer took when the walker had ended.
        self.shared.refolding.abandon();
    }
}

#[cfg(test)]
mod tests;
