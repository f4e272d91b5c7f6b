//! What the gate counts about itself.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counters since the start. Read them with [`AtomicU64::load`].
#[derive(Debug, Default)]
pub struct Stats {
    /// RCPTs judged.
    pub judged: AtomicU64,
    /// Look-ups that the filter answered without touching the index: of RCPTs and of replies.
    pub filter_answers: AtomicU64,
    /// Events that are on disk.
    pub learnt: AtomicU64,
    /// Events that could not be learnt: disk failed, queue full, writer gone.
    pub unlearnt: AtomicU64,
    /// Events whose reply no longer waited for them. Some were learnt later.
    pub late: AtomicU64,
    /// Refusals that can move no standing and are written down all the same, or will be.
    pub noted: AtomicU64,
    /// Such refusals that were left out because too much waited for the disk.
    pub left_out: AtomicU64,
    /// Replies that say nothing about the address, counted only.
    pub ignored: AtomicU64,
    /// Evidence that an outage keeps from counting, when it came or since. Some of it may count by now.
    pub held: AtomicU64,
    /// Look-ups that failed.
    pub read_failures: AtomicU64,
    /// Writes to the journal that failed.
    pub journal_failures: AtomicU64,
    /// Writes to the index that failed.
    pub index_failures: AtomicU64,
    /// Times that learning resumed after a failure.
    pub recoveries: AtomicU64,
    /// Torn lines cut off at the start.
    pub torn: AtomicU64,
}

impl Stats {
    pub(super) fn add(counter: &AtomicU64, more: usize) {
        counter.fetch_add(u64::try_from(more).unwrap_or(u64::MAX), Ordering::Relaxed);
    }
}
