//! The one thread that writes: takes what waits, stages it, syncs once, folds it, acknowledges it (group commit).
//!
//! Two things can fail, each by itself. The journal: events are refused as unlearnt until it recovers. The index: events are journaled
//! and acknowledged, since the journal is the truth, and folded in when the index is open again; until then look-ups read what it had.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::fold::Means;
use super::import::Turn;
use super::learn::{Ack, Outcome, Unlearnt};
use super::refold::{Chunk, Taken};
use super::shared::Shared;
use super::stats::Stats;
use super::task::{RowsTaken, StepTaken, Task};
use super::walker::Waiting;
use super::{GateError, fold, index, order, refold};
use crate::event::EventId;
use crate::event::order::OrderId;
use crate::journal::{self, Entry, JournalError, Position, Said};
use crate::store::{BATCH_MAX, StoreError};

/// Most events in one commit.
const COMMIT_MAX: usize = 512;
/// The index is flushed when nothing was learnt for so long, or after so many events: bounds the tail that a start has to fold.
const IDLE: Duration = Duration::from_secs(1);
const UNFLUSHED_MAX: usize = 20_000;
/// Written and removed before anything is tried again, so that a disk that is still full does not count as a recovery. The index above all:
/// sled cannot be opened on a full disk, and for as long as it is not closed look-ups go on.
const PROBE_BYTES: usize = 8 << 20;

/// A line on its way to the journal, and who waits for it.
struct Draft {
    said: Said,
    done: Done,
}

enum Done {
    /// Whoever waits does so for all lines together.
    Together,
    Event(oneshot::Sender<Outcome>),
    /// With the turn of the import that it commits.
    Order(oneshot::Sender<order::Outcome>, Option<Turn>),
}

impl Done {
    // Whoever asked may have stopped waiting.
    fn refuse(self, why: Unlearnt) {
        match self {
            Self::Together => {}
            Self::Event(done) => drop(done.send(Err(why))),
            Self::Order(done, turn) => {
                drop(turn);
                drop(done.send(Err(why.into())));
            }
        }
    }
}

pub(super) struct Writer {
    shared: Arc<Shared>,
    journal: journal::Writer,
    tasks: Receiver<Task>,
    unflushed: usize,
    last_attempt: Option<Instant>,
}

/// What became of some drafts.
struct Staging {
    staged: Vec<Staged>,
    /// Why one of them, at least, never can be written.
    unwritable: Option<Unlearnt>,
    /// The failure that ended it, and the drafts that were not staged.
    failure: Option<(JournalError, Vec<Draft>)>,
}

/// A staged line with where it will stand.
struct Staged {
    draft: Draft,
    seq: u64,
    position: Position,
}

impl Writer {
    pub(super) const fn new(
        shared: Arc<Shared>,
        journal: journal::Writer,
        tasks: Receiver<Task>,
    ) -> Self {
        Self { shared, journal, tasks, unflushed: 0, last_attempt: None }
    }

    /// Runs until nobody can send any more, then flushes.
    pub(super) fn run(mut self) {
        loop {
            match self.tasks.recv_timeout(IDLE) {
                Ok(first) => {
                    let mut tasks = vec![first];
                    tasks.extend(self.tasks.try_iter().take(COMMIT_MAX - 1));
                    let Parted { drafts, chunks, bulks } = Parted::of(tasks);
                    self.shared.waiting.fetch_sub(drafts.len(), Ordering::Relaxed);
                    // Apart, so that a panic in the one does not cost the events of the other.
                    self.contained(Self::recover_if_due);
                    self.contained(|writer| drop(writer.take(drafts)));
                    for (chunk, done) in chunks {
                        self.contained(|writer| drop(done.send(writer.refold(chunk))));
                    }
                    for (rows, done) in bulks {
                        self.contained(|writer| drop(done.send(writer.take(rows))));
                    }
                    if self.unflushed >= UNFLUSHED_MAX {
                        self.contained(Self::flush);
                    }
                }
                Err(RecvTimeoutError::Timeout) => self.contained(|writer| {
                    writer.recover_if_due();
                    writer.flush();
                }),
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        self.contained(Self::flush);
    }

    /// A panic costs the events at hand, which are folded in from the journal if they got that far, never the writer.
    fn contained(&mut self, work: impl FnOnce(&mut Self)) {
        if catch_unwind(AssertUnwindSafe(|| work(self))).is_err() {
            tracing::error!(event = "store", result = "panic_contained");
            self.shared.trouble.set_index("a panic in the writer");
        }
    }

    /// Takes lines in and tells whoever waits for one; says the sequence of the first one too, or why not all of them are on disk.
    fn take(&mut self, drafts: Vec<Draft>) -> RowsTaken {
        if drafts.is_empty() {
            return Ok(None);
        }
        if let Some(why) = self.shared.trouble.journal() {
            return Err(self.refuse(drafts, &why));
        }
        let Staging { staged, unwritable, failure } = self.stage(drafts);
        let committed = match failure {
            Some((error, rest)) => Err((error, rest)),
            None => self.journal.commit().map_err(|error| (error, Vec::new())),
        };
        if let Err((error, rest)) = committed {
            Stats::add(&self.shared.stats.journal_failures, 1);
            let why = error.to_string();
            tracing::error!(event = "store", result = "learning_paused", error = why);
            self.shared.trouble.set_journal(&why);
            self.last_attempt = Some(Instant::now());
            let lost = staged.into_iter().map(|staged| staged.draft).chain(rest);
            return Err(self.refuse(lost.collect(), &why));
        }
        let first = staged.first().map(|staged| staged.seq);
        Stats::add(&self.shared.stats.learnt, staged.len());
        self.unflushed += staged.len();
        let mut staged = staged.into_iter().peekable();
        while staged.peek().is_some() {
            self.fold_and_acknowledge(staged.by_ref().take(BATCH_MAX).collect());
        }
        unwritable.map_or(Ok(first), Err)
    }

    /// Stages what can be written; refuses what never can.
    fn stage(&mut self, drafts: Vec<Draft>) -> Staging {
        let mut staged = Vec::with_capacity(drafts.len());
        let mut unwritable = None;
        let mut drafts = drafts.into_iter();
        while let Some(draft) = drafts.next() {
            match self.journal.stage(&draft.said) {
                Ok((seq, position)) => staged.push(Staged { draft, seq, position }),
                Err(error @ JournalError::Unwritable { .. }) => {
                    Stats::add(&self.shared.stats.unlearnt, 1);
                    tracing::error!(event = "store", result = "event_lost", error = %error);
                    let why = Unlearnt::Unwritable(error.to_string());
                    draft.done.refuse(why.clone());
                    unwritable.get_or_insert(why);
                }
                Err(error) => {
                    let rest = std::iter::once(draft).chain(drafts).collect();
                    return Staging { staged, unwritable, failure: Some((error, rest)) };
                }
            }
        }
        Staging { staged, unwritable, failure: None }
    }

    fn fold_and_acknowledge(&self, staged: Vec<Staged>) {
        let (dones, entries): (Vec<_>, Vec<_>) = staged
            .into_iter()
            .map(|Staged { draft, seq, position }| {
                (draft.done, (Entry { seq, said: draft.said }, position))
            })
            .unzip();
        let changes = self.fold(&entries);
        let mut ordered = false;
        for (place, (done, (entry, _))) in dones.into_iter().zip(entries).enumerate() {
            let (seq, id) = (entry.seq, entry.said.id().to_owned());
            match done {
                Done::Together => {}
                Done::Event(done) => {
                    let change = changes.get(place).copied().flatten();
                    // One that is before the order is counted when the order is carried out.
                    let held = change.and_then(|change| change.held).is_some_and(|by| by < seq);
                    Stats::add(&self.shared.stats.held, usize::from(held));
                    // Whoever asked may have stopped waiting.
                    let _ = done.send(Ok(Ack { id: EventId(id), seq, change }));
                }
                Done::Order(done, turn) => {
                    ordered = true;
                    drop(turn);
                    self.shared.refolding.wait_for(Waiting { id: OrderId(id), seq, done });
                }
            }
        }
        if ordered {
            self.shared.refolding.wake();
        }
    }

    /// Folds what was just committed; nothing while the index waits to be opened again.
    fn fold(&self, entries: &[(Entry, Position)]) -> Vec<Option<fold::Change>> {
        if self.shared.trouble.index().is_some() {
            return Vec::new();
        }
        for (entry, _) in entries {
            match &entry.said {
                Said::Event(_) => {}
                // Before the index knows it: whoever finds its job there needs it.
                Said::Order(order) => {
                    let masks = self.shared.masks.load().with(entry.seq, order.clone());
                    let masks = Arc::new(masks);
                    self.shared.masks.store(Arc::clone(&masks));
                    self.shared.lookout.hear(&masks);
                }
            }
        }
        let folded = self.with_means(|means| Ok(fold::fold(means, entries)?));
        folded.unwrap_or_else(|error| {
            if let GateError::Store(error) = &error {
                self.index_failed(error);
            }
            Vec::new()
        })
    }

    /// Writes a step of what an order has to do.
    fn refold(&mut self, chunk: Chunk) -> Result<Option<Taken>, GateError> {
        if self.shared.trouble.index().is_some() {
            return Err(StoreError::Paused.into());
        }
        self.unflushed += 1 + chunk.len();
        let journal = self.shared.settings.journal_dir();
        let taken = self.with_means(|means| refold::apply(means, &journal, chunk));
        if let Err(GateError::Store(error)) = &taken {
            self.index_failed(error);
        }
        if matches!(&taken, Ok(Some(taken)) if taken.over) {
            // What somebody is told is done should not be done again at the next start.
            self.flush();
        }
        taken
    }

    fn with_means<T>(
        &self,
        work: impl FnOnce(&Means<'_>) -> Result<T, GateError>,
    ) -> Result<T, GateError> {
        let shared = &self.shared;
        let index = shared.index.load();
        let store = index.as_ref().ok_or(StoreError::Paused)?;
        let (filter, policy, masks) =
            (shared.filter.load(), shared.policy.load(), shared.masks.load());
        let (filter, policy, masks) = (&filter, &policy, &masks);
        work(&Means { store, filter, policy, masks })
    }

    fn index_failed(&self, error: &StoreError) {
        Stats::add(&self.shared.stats.index_failures, 1);
        tracing::error!(event = "store", result = "index_failed", error = %error);
        self.shared.trouble.set_index(&error.to_string());
    }

    fn flush(&mut self) {
        if self.unflushed == 0 || self.shared.trouble.index().is_some() {
            return;
        }
        let flushed = self.shared.index.load().as_ref().map(|store| store.flush());
        match flushed {
            Some(Err(error)) => self.index_failed(&error),
            Some(Ok(())) | None => self.unflushed = 0,
        }
    }

    fn refuse(&self, drafts: Vec<Draft>, why: &str) -> Unlearnt {
        Stats::add(&self.shared.stats.unlearnt, drafts.len());
        let why = Unlearnt::Disk(why.to_owned());
        for draft in drafts {
            draft.done.refuse(why.clone());
        }
        why
    }

    fn recover_if_due(&mut self) {
        let trouble = &self.shared.trouble;
        if trouble.suspect.swap(false, Ordering::AcqRel) && trouble.index().is_none() {
            trouble.set_index("a look-up failed");
        }
        if trouble.journal().is_none() && trouble.index().is_none() {
            return;
        }
        let now = Instant::now();
        let every = self.shared.settings.retry_every;
        if self.last_attempt.is_some_and(|last| now.duration_since(last) < every) {
            return;
        }
        // Noted before, in case it panics, and behind, in case it takes long.
        self.last_attempt = Some(now);
        let recovered = self.recover();
        self.last_attempt = Some(Instant::now());
        match recovered {
            Ok(()) => {
                Stats::add(&self.shared.stats.recoveries, 1);
                self.last_attempt = None;
                tracing::warn!(event = "store", result = "learning_resumed");
            }
            Err(why) => tracing::warn!(event = "store", result = "learning_paused", error = why),
        }
    }

    /// The journal first: the index is folded from it.
    fn recover(&mut self) -> Result<(), String> {
        let shared = Arc::clone(&self.shared);
        shared.probe_disk(PROBE_BYTES).map_err(|error| error.to_string())?;
        if shared.trouble.journal().is_some() {
            self.journal.recover().map_err(|error| error.to_string())?;
            shared.trouble.clear_journal();
        }
        if shared.trouble.index().is_some() {
            shared.close_index()?;
            let policy = shared.policy.load_full();
            let last = self.journal.last();
            let opened = index::open(&shared.settings, last, &policy, &mut |_, _| {})
                .map_err(|error| error.to_string())?;
            shared.install(opened);
            shared.trouble.clear_index();
            shared.refolding.wake();
            self.unflushed = 0;
        }
        Ok(())
    }
}

/// What there is to do, in the order in which it is done: mail goes first, and an import last.
#[derive(Default)]
struct Parted {
    drafts: Vec<Draft>,
    chunks: Vec<(Chunk, oneshot::Sender<StepTaken>)>,
    bulks: Vec<(Vec<Draft>, oneshot::Sender<RowsTaken>)>,
}

impl Parted {
    fn of(tasks: Vec<Task>) -> Self {
        let mut parted = Self::default();
        for task in tasks {
            match task {
                Task::Learn { event, done } => {
                    parted.drafts.push(Draft { said: event.into(), done: Done::Event(done) });
                }
                Task::Order { order, done, turn } => {
                    parted.drafts.push(Draft { said: order.into(), done: Done::Order(done, turn) });
                }
                Task::Refold { chunk, done } => parted.chunks.push((chunk, done)),
                Task::Bulk { events, done } => {
                    let rows = events.into_iter();
                    let rows = rows.map(|event| Draft { said: event.into(), done: Done::Together });
                    parted.bulks.push((rows.collect(), done));
                }
            }
        }
        parted
    }
}
