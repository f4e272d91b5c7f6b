//! What the writer is asked to do, and the way to it: all that goes there is sent here, so that what waits is counted in one place.

use std::sync::atomic::Ordering;
use std::sync::mpsc::{SyncSender, TrySendError};

use tokio::sync::oneshot;

use super::import::Turn;
use super::learn::{Outcome, Unlearnt};
use super::refold::{Chunk, Taken};
use super::shared::Shared;
use super::{GateError, order};
use crate::event::Event;
use crate::event::order::Order;

/// The sequence of the first row that was taken in.
pub(super) type RowsTaken = Result<Option<u64>, Unlearnt>;
/// The step, unless the index was another one meanwhile.
pub(super) type StepTaken = Result<Option<Taken>, GateError>;

/// What the writer has to do.
pub(super) enum Task {
    /// Take in an event.
    Learn { event: Event, done: oneshot::Sender<Outcome> },
    /// Take in some rows of an import, all of them or none; says the sequence of the first.
    Bulk { events: Vec<Event>, done: oneshot::Sender<RowsTaken> },
    /// Take in an order. The turn of the import that it commits ends when the order is known, or refused.
    Order { order: Order, done: oneshot::Sender<order::Outcome>, turn: Option<Turn> },
    /// Write a step of what an order has to do.
    Refold { chunk: Chunk, done: oneshot::Sender<StepTaken> },
}

impl Task {
    /// Whether it counts as waiting: events and orders one by one do.
    pub(super) const fn is_counted(&self) -> bool {
        match self {
            Self::Learn { .. } | Self::Order { .. } => true,
            Self::Refold { .. } | Self::Bulk { .. } => false,
        }
    }
}

/// Hands a task to the writer, unless too many wait.
pub(super) fn send(shared: &Shared, tasks: &SyncSender<Task>, task: Task) -> Result<(), Unlearnt> {
    counted(shared, task, |task| {
        tasks.try_send(task).map_err(|refused| match refused {
            TrySendError::Full(_) => Unlearnt::QueueFull,
            TrySendError::Disconnected(_) => Unlearnt::WriterGone,
        })
    })
}

/// Hands a task to the writer, and waits for room; never from async code.
pub(super) fn send_waiting(
    shared: &Shared,
    tasks: &SyncSender<Task>,
    task: Task,
) -> Result<(), Unlearnt> {
    counted(shared, task, |task| tasks.send(task).map_err(|_| Unlearnt::WriterGone))
}

/// Counted before it is sent, so that the writer never takes one off that was not counted.
fn counted(
    shared: &Shared,
    task: Task,
    send: impl FnOnce(Task) -> Result<(), Unlearnt>,
) -> Result<(), Unlearnt> {
    let count = usize::from(task.is_counted());
    shared.waiting.fetch_add(count, Ordering::Relaxed);
    send(task).inspect_err(|_| {
        shared.waiting.fetch_sub(count, Ordering::Relaxed);
    })
}
