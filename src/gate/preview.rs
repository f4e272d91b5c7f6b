//! What an order would do: the same walk and the same fold as when it is carried out, and nothing is written.

use std::collections::BTreeMap;
use std::path::Path;

use super::GateError;
use super::fold::fold_history;
use super::refold::Recent;
use super::verify::history;
use crate::event::order::{Decree, Order, OrderId};
use crate::event::{Act, Event, Tenant};
use crate::journal::Reader;
use crate::policy::{Masks, Policy, Record, Standing, settled};
use crate::smtp::address::RecipientKey;
use crate::store::Store;
use crate::time::Timestamp;

/// Most addresses that are named.
const EXAMPLES_MAX: usize = 10;
/// The tenant of what all tenants share: no tenant has this name.
const NOBODY: Tenant = Tenant(String::new());
/// The sequence of an order that is not given: behind all there are.
const LAST: u64 = u64::MAX;

/// What an order would do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Preview {
    /// Events that it would take out of the fold or put back.
    pub events: u64,
    /// The same by what they are: the category of a reply, `delivered`, `complaint`, the name of an operator's act.
    pub kinds: BTreeMap<&'static str, u64>,
    /// Addresses that have such events.
    pub addresses: u64,
    /// How many standings it would move, by the names of the standing before and after. A blacklist counts for each tenant.
    pub moves: BTreeMap<(&'static str, &'static str), u64>,
    /// A few of those.
    pub examples: Vec<Moved>,
}

/// An address whose standing an order would move.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moved {
    /// The address.
    pub address: RecipientKey,
    /// The standing before.
    pub before: Standing,
    /// The standing after.
    pub after: Standing,
}

/// Walks through the journal, as far as the index knows it. Memory is that of one address's events.
pub(super) fn preview(
    store: &Store,
    journal: &Path,
    policy: &Policy,
    masks: &Masks,
    decree: &Decree,
    now: Timestamp,
) -> Result<Preview, GateError> {
    let (id, decree, act) = (OrderId(String::new()), decree.clone(), Act::default());
    let ordered = masks.with(LAST, Order { id, at: now, decree, act });
    let end = store.applied().map_or(0, |applied| applied.seq);
    let moved = |seq: u64, event: &Event| ordered.moved(LAST, seq, event, policy);
    let (mut preview, mut recent) = (Preview::default(), Recent::default());
    for located in Reader::open(journal)? {
        let entry = located?.entry;
        if entry.seq > end {
            break;
        }
        let Some(event) = entry.event().filter(|event| moved(entry.seq, event)) else { continue };
        preview.events += 1;
        *preview.kinds.entry(event.kind()).or_default() += 1;
        if !recent.is_new(&event.address) {
            continue;
        }
        let history = history(store, journal, &event.address)?;
        let first = history.iter().find(|(seq, event)| moved(*seq, event));
        // Each address once, at its first event.
        if first.is_some_and(|(seq, _)| *seq == entry.seq) {
            preview.addresses += 1;
            let (before, _) = fold_history(&history, masks, policy);
            let (after, _) = fold_history(&history, &ordered, policy);
            preview.compare(&event.address, &before, &after, now, policy);
        }
    }
    Ok(preview)
}

impl Preview {
    fn compare(
        &mut self,
        address: &RecipientKey,
        before: &Record,
        after: &Record,
        now: Timestamp,
        policy: &Policy,
    ) {
        let (before, after) = (settled(before, now, policy), settled(after, now, policy));
        let listed = |tenant: &&Tenant| {
            before.blacklists.contains_key(*tenant) != after.blacklists.contains_key(*tenant)
        };
        let tenants = before.blacklists.keys().chain(after.blacklists.keys());
        for tenant in tenants.filter(listed).chain([&NOBODY]) {
            let (before, after) = (
                Standing::of(&before, tenant, now, policy),
                Standing::of(&after, tenant, now, policy),
            );
            if before == after {
                continue;
            }
            *self.moves.entry((before.name(), after.name())).or_default() += 1;
            if self.examples.len() < EXAMPLES_MAX {
                self.examples.push(Moved { address: address.clone(), before, after });
            }
        }
    }
}
