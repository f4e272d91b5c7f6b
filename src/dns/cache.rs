//! What was asked lately, so that it is asked once: for all who want to know at the same time, and until it is out of date.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use moka::policy::EvictionPolicy;
use moka::sync::Cache as Moka;
use tokio::sync::OnceCell;
use tokio::time::Instant;

use super::answer::Outcome;
use super::rows::Row;

/// Memory for the answers of one type. Strangers choose the names: some 100,000 of the usual answers, or 600 of the largest.
const OCTETS_MAX: u64 = 16 << 20;
/// What an entry takes beside its name and records.
const OVERHEAD: usize = 256;

/// The answers of one type by name.
pub(super) struct Cache<T> {
    slots: Moka<String, Arc<Slot<T>>>,
    hits: AtomicU64,
    misses: AtomicU64,
}

/// One name: empty while it is being asked for.
struct Slot<T>(OnceCell<Held<T>>);

struct Held<T> {
    outcome: Outcome<T>,
    until: Instant,
}

impl<T: Row> Cache<T> {
    pub(super) fn new() -> Self {
        Self::of(OCTETS_MAX)
    }

    fn of(octets: u64) -> Self {
        let slots = Moka::builder()
            .max_capacity(octets)
            .weigher(|name: &String, slot: &Arc<Slot<T>>| {
                u32::try_from(OVERHEAD + name.len() + slot.octets()).unwrap_or(u32::MAX)
            })
            // The newest always gets in: two who ask for it at the same time must meet.
            .eviction_policy(EvictionPolicy::lru())
            .build();
        Self { slots, hits: AtomicU64::new(0), misses: AtomicU64::new(0) }
    }

    /// The outcome for a name: the one remembered, the one that is under way, or that of `ask`, which says how long it holds.
    /// If who asks goes away, one of those who wait asks anew.
    pub(super) async fn get(
        &self,
        name: &str,
        ask: impl Future<Output = (Outcome<T>, Duration)>,
    ) -> Outcome<T> {
        let empty = || Arc::new(Slot(OnceCell::new()));
        let now = Instant::now();
        let entry = self.slots.entry_by_ref(name).or_insert_with_if(empty, |slot| slot.is_old(now));
        let slot = entry.into_value();
        let mut asked = false;
        let asking = async {
            asked = true;
            let (outcome, lifetime) = ask.await;
            Held { outcome, until: Instant::now() + lifetime }
        };
        let outcome = slot.0.get_or_init(|| asking).await.outcome.clone();
        if asked {
            self.misses.fetch_add(1, Relaxed);
            // Once more, to be weighed with what is in it.
            self.slots.insert(name.to_owned(), slot);
        } else {
            self.hits.fetch_add(1, Relaxed);
        }
        outcome
    }

    /// Questions that were answered without asking anybody, or by waiting for somebody else's answer.
    pub(super) fn hits(&self) -> u64 {
        self.hits.load(Relaxed)
    }

    /// Questions that went out.
    pub(super) fn misses(&self) -> u64 {
        self.misses.load(Relaxed)
    }
}

impl<T: Row> Slot<T> {
    fn is_old(&self, now: Instant) -> bool {
        self.0.get().is_some_and(|held| held.until <= now)
    }

    fn octets(&self) -> usize {
        let found = self.0.get().and_then(|held| held.outcome.as_ref().ok());
        found.map_or(0, |found| {
            found.name.len() + found.records.iter().map(Row::octets).sum::<usize>()
        })
    }
}

#[cfg(test)]
mod tests;
