//! How much each outage keeps from counting: a walk through the journal, as far as the index knows it.

use std::collections::HashMap;
use std::path::Path;

use crate::event::Event;
use crate::event::order::OrderId;
use crate::gate::refold::Recent;
use crate::gate::verify::history;
use crate::gate::{Gate, GateError};
use crate::journal::Reader;
use crate::policy::{Masked, Masks, Policy};
use crate::smtp::address::RecipientKey;
use crate::store::Store;

/// Most addresses that are named.
const EXAMPLES_MAX: usize = 10;

/// What an outage keeps from counting: what is held, or void.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// Events.
    pub events: u64,
    /// Addresses that have such events.
    pub addresses: u64,
    /// A few of those.
    pub examples: Vec<RecipientKey>,
}

impl Gate {
    /// What each outage keeps from counting, by the order that began it; none of those that keep nothing. Reads the whole journal, if there
    /// was any outage.
    ///
    /// # Errors
    /// When the index or the journal cannot be read.
    pub fn kept_by_outages(&self) -> Result<HashMap<OrderId, Kept>, GateError> {
        let shared = &self.0.shared;
        let (store, policy, masks) =
            (shared.store()?, shared.policy.load_full(), shared.masks.load_full());
        if masks.outages().is_empty() {
            return Ok(HashMap::new());
        }
        count(&store, &shared.settings.journal_dir(), &policy, &masks)
    }
}

/// Memory is that of one address's events, and of some thousand addresses for each outage.
fn count(
    store: &Store,
    journal: &Path,
    policy: &Policy,
    masks: &Masks,
) -> Result<HashMap<OrderId, Kept>, GateError> {
    let keeps = |seq: u64, event: &Event| match masks.masked(seq, event, policy) {
        Some(Masked::Held(outage) | Masked::Voided(outage)) => Some(&outage.id),
        Some(Masked::Undone(_) | Masked::Unfinished) | None => None,
    };
    let end = store.applied().map_or(0, |applied| applied.seq);
    let mut all = HashMap::<OrderId, (Kept, Recent)>::new();
    for located in Reader::open(journal)? {
        let entry = located?.entry;
        if entry.seq > end {
            break;
        }
        let Some(event) = entry.event() else { continue };
        let Some(id) = keeps(entry.seq, event) else { continue };
        let (kept, recent) = all.entry(id.clone()).or_default();
        kept.events += 1;
        if !recent.is_new(&event.address) {
            continue;
        }
        let history = history(store, journal, &event.address)?;
        let first = history.iter().find(|(seq, event)| keeps(*seq, event) == Some(id));
        // Each address once, at its first event.
        if first.is_some_and(|(seq, _)| *seq == entry.seq) {
            kept.addresses += 1;
            if kept.examples.len() < EXAMPLES_MAX {
                kept.examples.push(event.address.clone());
            }
        }
    }
    Ok(all.into_iter().map(|(id, (kept, _))| (id, kept)).collect())
}
