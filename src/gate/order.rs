//! Orders about events: what goes in, and the promise that they are carried out.

use std::future::Future;
use std::pin::Pin;
use std::sync::mpsc::SyncSender;
use std::task::{Context, Poll};

use tokio::sync::oneshot;

use super::id;
use super::learn::Unlearnt;
use super::shared::Shared;
use super::task::{self, Task};
use crate::event::Act;
use crate::event::order::{Decree, Order, OrderId};
use crate::store::Tally;
use crate::time::Timestamp;

/// Most orders that wait to be carried out.
pub(super) const JOBS_MAX: usize = 64;

/// An order before the gate gave it its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderDraft {
    /// When it is given.
    pub at: Timestamp,
    /// What is ordered.
    pub decree: Decree,
    /// Who says so, and why.
    pub act: Act,
}

/// An order is on disk and carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Obeyed {
    /// The order's name.
    pub id: OrderId,
    /// Its sequence.
    pub seq: u64,
    /// What it did; `None` when the index was built anew meanwhile, with this order in force from the start.
    pub tally: Option<Tally>,
}

/// Why an order is not carried out, or not yet.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Disobeyed {
    /// It is not on disk: nothing was done.
    #[error(transparent)]
    Unlearnt(#[from] Unlearnt),
    /// It is on disk, and what it has yet to do will be done: when what fails now works again, or at the next start.
    #[error("order {id} is on disk and not carried out yet: {why}")]
    Unfinished {
        /// The order's name.
        id: OrderId,
        /// What keeps it from being carried out.
        why: String,
    },
}

/// What came of an order.
pub type Outcome = Result<Obeyed, Disobeyed>;

/// The promise that an order is carried out, as a future. It may be dropped: the order is carried out all the same.
#[derive(Debug)]
pub struct Obeying(Result<oneshot::Receiver<Outcome>, Unlearnt>);

/// Hands an order to the writer. Never waits.
pub(super) fn give(shared: &Shared, tasks: &SyncSender<Task>, draft: OrderDraft) -> Obeying {
    let (done, waiting) = oneshot::channel();
    let OrderDraft { at, decree, act } = draft;
    let order = Order { id: OrderId(id::new(at)), at, decree, act };
    let crowded = shared.store().is_ok_and(|store| store.jobs().len() >= JOBS_MAX);
    let sent = match crowded {
        true => Err(Unlearnt::QueueFull),
        false => task::send(shared, tasks, Task::Order { order, done, turn: None }),
    };
    Obeying::new(sent.map(|()| waiting))
}

impl Obeying {
    /// Whether it is known what became of the order. Asked again, it is known still.
    pub(super) fn is_settled(&mut self) -> bool {
        match &mut self.0 {
            Ok(waiting) => !matches!(waiting.try_recv(), Err(oneshot::error::TryRecvError::Empty)),
            Err(_) => true,
        }
    }

    pub(super) const fn new(outcome: Result<oneshot::Receiver<Outcome>, Unlearnt>) -> Self {
        Self(outcome)
    }

    /// What came of it, if that is known by now; then never ask again.
    pub fn settled(&mut self) -> Option<Outcome> {
        match &mut self.0 {
            Ok(waiting) => match waiting.try_recv() {
                Ok(outcome) => Some(outcome),
                Err(oneshot::error::TryRecvError::Empty) => None,
                Err(oneshot::error::TryRecvError::Closed) => Some(Err(Unlearnt::WriterGone.into())),
            },
            Err(unlearnt) => Some(Err(unlearnt.clone().into())),
        }
    }

    /// Waits without a runtime and without a limit: for commands. Never call it from async code.
    ///
    /// # Errors
    /// When the order is not on disk, or not carried out yet.
    pub fn wait(self) -> Outcome {
        self.0?.blocking_recv().unwrap_or(Err(Unlearnt::WriterGone.into()))
    }
}

impl Future for Obeying {
    type Output = Outcome;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Outcome> {
        match &mut self.0 {
            Ok(waiting) => Pin::new(waiting)
                .poll(context)
                .map(|outcome| outcome.unwrap_or(Err(Unlearnt::WriterGone.into()))),
            Err(unlearnt) => Poll::Ready(Err(unlearnt.clone().into())),
        }
    }
}
