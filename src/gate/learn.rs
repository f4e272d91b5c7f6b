//! What goes in, and what comes back: drafts of events, and the promise that they are on disk.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use tokio::sync::oneshot;

use super::fold::Change;
use super::stats::Stats;
use crate::bounce::classify::Classification;
use crate::event::{Context, EventId, Tenant, What};
use crate::smtp::address::RecipientKey;
use crate::time::Timestamp;

/// An event before the gate gave it its name.
#[derive(Clone, Debug, PartialEq)]
pub struct Draft {
    /// When it happened.
    pub at: Timestamp,
    /// To whom.
    pub address: RecipientKey,
    /// On whose account.
    pub tenant: Tenant,
    /// What happened.
    pub what: What,
}

/// Whom a reply of the downstream is about, and which message drew it.
#[derive(Clone, Debug)]
pub struct About {
    /// The recipient.
    pub address: RecipientKey,
    /// On whose account it was written to.
    pub tenant: Tenant,
    /// The message.
    pub context: Context,
}

/// What the gate made of a reply.
#[derive(Debug)]
pub struct Learning {
    /// What the reply means.
    pub classification: Classification,
    /// The promise that it is on disk; `None` when nobody needs to wait for that.
    pub durable: Option<Durable>,
    /// Whether it is written down without anybody waiting. Neither this nor a promise: it was counted only.
    pub noted: bool,
}

/// An event is on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ack {
    /// The event's name.
    pub id: EventId,
    /// Its sequence.
    pub seq: u64,
    /// What it did to the standing; `None` while the index is not writable: it is folded in later.
    pub change: Option<Change>,
}

/// Why an event is not learnt. It was counted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unlearnt {
    /// The journal cannot be written; the words say why.
    #[error("the journal cannot be written: {0}")]
    Disk(String),
    /// Too many events wait already.
    #[error("too many events wait to be written")]
    QueueFull,
    /// The writer has ended, or an internal fault lost the event.
    #[error("the writer is gone")]
    WriterGone,
    /// The event itself cannot be written as a line.
    #[error("{0}")]
    Unwritable(String),
    /// It was not on disk in time. It may be learnt yet.
    #[error("not on disk in time")]
    Late,
}

pub(super) type Outcome = Result<Ack, Unlearnt>;

/// The promise that an event is on disk, as a future. It may be dropped: the event is learnt all the same.
#[derive(Debug)]
pub struct Durable {
    outcome: Result<oneshot::Receiver<Outcome>, Unlearnt>,
    stats: Arc<Stats>,
    limit: Duration,
}

impl Durable {
    pub(super) const fn new(
        outcome: Result<oneshot::Receiver<Outcome>, Unlearnt>,
        stats: Arc<Stats>,
        limit: Duration,
    ) -> Self {
        Self { outcome, stats, limit }
    }

    /// Waits for as long as the gate's `durable_wait`, then counts the event as late. Needs a tokio runtime with time.
    ///
    /// # Errors
    /// When the event is not on disk by then.
    pub async fn in_time(self) -> Outcome {
        let (limit, stats) = (self.limit, Arc::clone(&self.stats));
        tokio::time::timeout(limit, self).await.unwrap_or_else(|_| {
            Stats::add(&stats.late, 1);
            Err(Unlearnt::Late)
        })
    }

    /// Waits without a runtime and without a limit: for commands. Never call it from async code.
    ///
    /// # Errors
    /// When the event is not learnt.
    pub fn wait(self) -> Outcome {
        self.outcome?.blocking_recv().unwrap_or(Err(Unlearnt::WriterGone))
    }
}

impl Future for Durable {
    type Output = Outcome;

    fn poll(mut self: Pin<&mut Self>, context: &mut TaskContext<'_>) -> Poll<Outcome> {
        match &mut self.outcome {
            Ok(waiting) => Pin::new(waiting)
                .poll(context)
                .map(|outcome| outcome.unwrap_or(Err(Unlearnt::WriterGone))),
            Err(unlearnt) => Poll::Ready(Err(unlearnt.clone())),
        }
    }
}
