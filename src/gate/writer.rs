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

use super::learn::{Ack, Outcome, Unlearnt};
use super::shared::Shared;
use super::stats::Stats;
use super::{fold, index};
use crate::event::Event;
use crate::journal::{self, Entry, JournalError, Position};
use crate::store::{BATCH_MAX, StoreError};

/// Most events in one commit.
const COMMIT_MAX: usize = 512;
/// The index is flushed when nothing was learnt for so long, or after so many events: bounds the tail that a start has to fold.
const IDLE: Duration = Duration::from_secs(1);
const UNFLUSHED_MAX: usize = 20_000;
/// Written and removed before anything is tried again, so that a disk that is still full does not count as a recovery. The index above all:
/// sled cannot be opened on a full disk, and for as long as it is not closed look-ups go on.
const PROBE_BYTES: usize = 8 << 20;

/// An event on its way to the journal.
pub(super) struct Order {
    pub(super) event: Event,
    pub(super) done: oneshot::Sender<Outcome>,
}

pub(super) struct Writer {
    shared: Arc<Shared>,
    journal: journal::Writer,
    orders: Receiver<Order>,
    unflushed: usize,
    last_attempt: Option<Instant>,
}

/// A staged event with where it will stand.
struct Staged {
    order: Order,
    seq: u64,
    position: Position,
}

impl Writer {
    pub(super) const fn new(
        shared: Arc<Shared>,
        journal: journal::Writer,
        orders: Receiver<Order>,
    ) -> Self {
        Self { shared, journal, orders, unflushed: 0, last_attempt: None }
    }

    /// Runs until nobody can send any more, then flushes.
    pub(super) fn run(mut self) {
        loop {
            match self.orders.recv_timeout(IDLE) {
                Ok(first) => {
                    let mut orders = vec![first];
                    orders.extend(self.orders.try_iter().take(COMMIT_MAX - 1));
                    self.shared.waiting.fetch_sub(orders.len(), Ordering::Relaxed);
                    // Apart, so that a panic in the one does not cost the events of the other.
                    self.contained(Self::recover_if_due);
                    self.contained(|writer| writer.take(orders));
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

    fn take(&mut self, orders: Vec<Order>) {
        if let Some(why) = self.shared.trouble.journal() {
            return self.refuse(orders, &why);
        }
        let (staged, failure) = self.stage(orders);
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
            let lost = staged.into_iter().map(|staged| staged.order).chain(rest);
            return self.refuse(lost.collect(), &why);
        }
        Stats::add(&self.shared.stats.learnt, staged.len());
        self.unflushed += staged.len();
        let mut staged = staged.into_iter().peekable();
        while staged.peek().is_some() {
            self.fold_and_acknowledge(staged.by_ref().take(BATCH_MAX).collect());
        }
    }

    /// Stages what can be written; refuses what never can. On failure also returns the orders that were not staged.
    fn stage(&mut self, orders: Vec<Order>) -> (Vec<Staged>, Option<(JournalError, Vec<Order>)>) {
        let mut staged = Vec::with_capacity(orders.len());
        let mut orders = orders.into_iter();
        while let Some(order) = orders.next() {
            match self.journal.stage(&order.event) {
                Ok((seq, position)) => staged.push(Staged { order, seq, position }),
                Err(error @ JournalError::Unwritable { .. }) => {
                    Stats::add(&self.shared.stats.unlearnt, 1);
                    tracing::error!(event = "store", result = "event_lost", error = %error);
                    let _ = order.done.send(Err(Unlearnt::Unwritable(error.to_string())));
                }
                Err(error) => {
                    let rest = std::iter::once(order).chain(orders).collect();
                    return (staged, Some((error, rest)));
                }
            }
        }
        (staged, None)
    }

    fn fold_and_acknowledge(&self, staged: Vec<Staged>) {
        let (dones, entries): (Vec<_>, Vec<_>) = staged
            .into_iter()
            .map(|Staged { order, seq, position }| {
                (order.done, (Entry { seq, event: order.event }, position))
            })
            .unzip();
        let changes = self.fold(&entries);
        for (place, (done, (entry, _))) in dones.into_iter().zip(entries).enumerate() {
            let change = changes.get(place).copied();
            // Whoever asked may have stopped waiting.
            let _ = done.send(Ok(Ack { id: entry.event.id, seq: entry.seq, change }));
        }
    }

    /// Folds what was just committed; nothing while the index waits to be opened again.
    fn fold(&self, entries: &[(Entry, Position)]) -> Vec<fold::Change> {
        if self.shared.trouble.index().is_some() {
            return Vec::new();
        }
        let store = self.shared.index.load();
        let folded = match store.as_ref() {
            Some(store) => {
                let (filter, policy) = (self.shared.filter.load(), self.shared.policy.load());
                fold::fold(store, &filter, &policy, entries)
            }
            None => Err(StoreError::Paused),
        };
        folded.unwrap_or_else(|error| {
            self.index_failed(&error);
            Vec::new()
        })
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

    fn refuse(&self, orders: Vec<Order>, why: &str) {
        Stats::add(&self.shared.stats.unlearnt, orders.len());
        for order in orders {
            let _ = order.done.send(Err(Unlearnt::Disk(why.to_owned())));
        }
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
            self.unflushed = 0;
        }
        Ok(())
    }
}
