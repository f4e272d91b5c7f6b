//! The thread that walks: reads the journal for what orders have left to do, and hands it to the writer step by step, between the events of
//! mail. Whoever waits for an order is told here.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

use super::GateError;
use super::fold::Means;
use super::order::{Disobeyed, Obeyed, Outcome};
use super::refold::{self, Limits, Taken, Walk};
use super::shared::Shared;
use super::stats::Stats;
use super::task::Task;
use crate::event::order::{Decree, OrderId};
use crate::store::{Store, StoreError, Tally};

/// The shortest time between two attempts at what failed.
const RETRY_MIN: Duration = Duration::from_millis(20);

/// Who waits for orders, and whether there is anything to do.
#[derive(Default)]
pub(super) struct Refolding {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    awake: bool,
    ending: bool,
    waiting: Vec<Waiting>,
}

/// Somebody who waits for an order that is on disk.
pub(super) struct Waiting {
    pub(super) id: OrderId,
    pub(super) seq: u64,
    pub(super) done: oneshot::Sender<Outcome>,
}

impl Refolding {
    /// Notes who waits for an order. [`Refolding::wake`] once it is in the index.
    pub(super) fn wait_for(&self, waiting: Waiting) {
        self.state().waiting.push(waiting);
    }

    /// There may be something to do, or to tell.
    pub(super) fn wake(&self) {
        self.state().awake = true;
        self.changed.notify_all();
    }

    /// Ends the thread after the step at hand.
    pub(super) fn end(&self) {
        self.state().ending = true;
        self.changed.notify_all();
    }

    /// Tells all who wait that the gate ends before it was done.
    pub(super) fn abandon(&self) {
        self.answer(|waiting| {
            let (id, why) = (waiting.id.clone(), "the gate ends; it goes on at the next start");
            Some(Err(Disobeyed::Unfinished { id, why: why.to_owned() }))
        });
    }

    fn ending(&self) -> bool {
        self.state().ending
    }

    /// Sleeps until there may be something to do, or for so long; whether the thread goes on.
    fn sleep(&self, limit: Option<Duration>) -> bool {
        let idle = |state: &mut State| !state.awake && !state.ending;
        let state = self.state();
        let mut state = match limit {
            Some(limit) => {
                let woken = self.changed.wait_timeout_while(state, limit, idle);
                woken.unwrap_or_else(PoisonError::into_inner).0
            }
            None => self.changed.wait_while(state, idle).unwrap_or_else(PoisonError::into_inner),
        };
        state.awake = false;
        !state.ending
    }

    /// Answers those who wait for what `outcome` knows to be over.
    fn answer(&self, outcome: impl Fn(&Waiting) -> Option<Outcome>) {
        let mut state = self.state();
        let waiting = std::mem::take(&mut state.waiting);
        for waiting in waiting {
            match outcome(&waiting) {
                // Whoever asked may have stopped waiting.
                Some(outcome) => drop(waiting.done.send(outcome)),
                None => state.waiting.push(waiting),
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic cannot leave it half written.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) struct Walker {
    shared: Arc<Shared>,
    tasks: SyncSender<Task>,
    walk: Walk,
    /// Jobs done for which somebody may wait, with what they did.
    finished: Vec<(u64, Tally)>,
}

impl Walker {
    pub(super) fn new(shared: Arc<Shared>, tasks: SyncSender<Task>) -> Self {
        Self { shared, tasks, walk: Walk::default(), finished: Vec::new() }
    }

    /// Runs until [`Refolding::end`].
    pub(super) fn run(mut self) {
        let mut limit = None;
        let mut told = String::new();
        while self.shared.refolding.sleep(limit) {
            let worked = catch_unwind(AssertUnwindSafe(|| self.work()));
            let worked =
                worked.unwrap_or_else(|_| Err(GateError::Panicked("the refold".to_owned())));
            limit = None;
            if let Err(error) = worked {
                limit = Some(self.shared.settings.retry_every.max(RETRY_MIN));
                self.walk = Walk::default();
                let why = error.to_string();
                if why != told {
                    tracing::error!(event = "undo", result = "paused", error = why);
                    told = why;
                }
            }
        }
        self.shared.refolding.abandon();
    }

    /// Does all there is to do.
    fn work(&mut self) -> Result<(), GateError> {
        while !self.shared.refolding.ending() {
            let chunk = {
                // Held for one step at most: the writer may want to open the index again.
                let store = self.shared.store()?;
                self.tell(&store);
                let (filter, policy) = (self.shared.filter.load(), self.shared.policy.load());
                let masks = self.shared.masks.load();
                let means =
                    Means { store: &store, filter: &filter, policy: &policy, masks: &masks };
                let journal = self.shared.settings.journal_dir();
                refold::gather(&means, &journal, &mut self.walk, Limits::USUAL)?
            };
            let Some(chunk) = chunk else { return Ok(()) };
            let (done, waiting) = oneshot::channel();
            let gone = GateError::Store(StoreError::Paused);
            if self.tasks.send(Task::Refold { chunk, done }).is_err() {
                return Err(gone);
            }
            if let Some(Taken { job, over: true }) = waiting.blocking_recv().map_err(|_| gone)?? {
                self.finished.push((job.order, job.tally));
            }
        }
        Ok(())
    }

    /// Tells those who wait for orders that are carried out: that the index knows, and that have no job left.
    fn tell(&mut self, store: &Store) {
        let applied = store.applied().map_or(0, |applied| applied.seq);
        let jobs = store.jobs();
        let finished = std::mem::take(&mut self.finished);
        for (order, tally) in &finished {
            let Tally { events, addresses, changed } = tally;
            let masks = self.shared.masks.load();
            let decree = masks.order(*order).map(|given| &given.decree);
            if matches!(decree, Some(Decree::Outage { .. })) {
                Stats::add(&self.shared.stats.held, usize::try_from(*events).unwrap_or(usize::MAX));
            }
            match decree {
                Some(Decree::ImportCommit { batch, .. }) => tracing::info!(
                    event = "import",
                    result = "folded",
                    batch,
                    order,
                    events,
                    addresses,
                    changed
                ),
                Some(
                    Decree::Void { .. }
                    | Decree::Outage { .. }
                    | Decree::OutageEnd { .. }
                    | Decree::OutageApply { .. }
                    | Decree::OutageVoid { .. },
                )
                | None => tracing::info!(
                    event = "undo",
                    result = "done",
                    kind = decree.map_or("", Decree::name),
                    order,
                    events,
                    addresses,
                    changed
                ),
            }
        }
        self.shared.refolding.answer(|waiting| {
            let (id, seq) = (waiting.id.clone(), waiting.seq);
            let over = seq <= applied && !jobs.iter().any(|job| job.order == seq);
            let tally = finished.iter().find(|(order, _)| *order == seq).map(|(_, tally)| *tally);
            over.then_some(Ok(Obeyed { id, seq, tally }))
        });
    }
}
