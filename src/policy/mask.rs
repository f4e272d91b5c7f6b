//! Which events count: orders take events out of the fold, and may put them back; rows of an import count from its commit on.

use crate::event::order::{Decree, Order};
use crate::event::{Event, Imported, What};

/// All orders in force, by sequence. Whoever folds asks of each event whether it is masked, and skips it if so.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Masks(Vec<(u64, Order)>);

/// Why an event does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Masked<'a> {
    /// This order takes it out of the fold.
    Void(&'a Order),
    /// It is a row of an import that was not finished, or not yet.
    Unfinished,
}

impl Masks {
    /// Masks made of orders, in any order, each with its sequence.
    pub fn new(orders: impl IntoIterator<Item = (u64, Order)>) -> Self {
        let mut orders: Vec<_> = orders.into_iter().collect();
        orders.sort_by_key(|(seq, _)| *seq);
        orders.dedup_by_key(|(seq, _)| *seq);
        Self(orders)
    }

    /// The same with one more order.
    #[must_use]
    pub fn with(&self, seq: u64, order: Order) -> Self {
        Self::new(self.0.iter().cloned().chain([(seq, order)]))
    }

    /// Why the event of this sequence does not count, if so. Allocates nothing; for an event that is later than all orders,
    /// which live ones are, it takes a few steps however many orders there are.
    pub fn masked(&self, seq: u64, event: &Event) -> Option<Masked<'_>> {
        masked(self.behind(seq), seq, event)
    }

    /// Whether the order of sequence `order` changed whether the event of sequence `seq` counts, given the orders before it. Of an address
    /// that has such an event the record must be folded again, whatever kind the order is of.
    pub fn moved(&self, order: u64, seq: u64, event: &Event) -> bool {
        let behind = self.behind(seq);
        let end = behind.partition_point(|(number, _)| *number <= order);
        let (through, before) = match behind.get(..end) {
            Some(through @ [before @ .., (last, given)]) if *last == order => {
                // The cheap question first: most events are not meant at all.
                if !concerns(&given.decree, seq, event) {
                    return false;
                }
                (through, before)
            }
            Some(_) | None => return false,
        };
        masked(through, seq, event).is_some() != masked(before, seq, event).is_some()
    }

    /// The order of this sequence.
    pub fn order(&self, order: u64) -> Option<&Order> {
        let place = self.0.binary_search_by_key(&order, |(seq, _)| *seq).ok()?;
        self.0.get(place).map(|(_, order)| order)
    }

    /// Whether an import of this name is among them.
    pub fn knows_import(&self, name: &str) -> bool {
        self.0.iter().any(|(_, order)| match &order.decree {
            Decree::Void { .. } => false,
            Decree::ImportCommit { batch, .. } => batch == name,
        })
    }

    /// The orders, by sequence.
    pub fn orders(&self) -> &[(u64, Order)] {
        &self.0
    }

    /// The orders that are later than an event.
    fn behind(&self, seq: u64) -> &[(u64, Order)] {
        let start = self.0.partition_point(|(order, _)| *order <= seq);
        self.0.get(start..).unwrap_or_default()
    }
}

/// Why the event of this sequence does not count, given these orders, all of them later: the first one that takes it out, since what is
/// void stays so; else, of a row of an import, that none of them commits it.
fn masked<'a>(orders: &'a [(u64, Order)], seq: u64, event: &Event) -> Option<Masked<'a>> {
    let voided = orders.iter().map(|(_, order)| order).find(|order| match &order.decree {
        Decree::Void { select } => select.selects(event),
        Decree::ImportCommit { .. } => false,
    });
    if let Some(order) = voided {
        return Some(Masked::Void(order));
    }
    let What::Imported(imported) = &event.what else { return None };
    let committed = orders.iter().any(|(_, order)| commits(&order.decree, seq, imported));
    (!committed).then_some(Masked::Unfinished)
}

/// Whether an order is about this event at all.
fn concerns(decree: &Decree, seq: u64, event: &Event) -> bool {
    match decree {
        Decree::Void { select } => select.selects(event),
        Decree::ImportCommit { .. } => {
            matches!(&event.what, What::Imported(imported) if commits(decree, seq, imported))
        }
    }
}

fn commits(decree: &Decree, seq: u64, imported: &Imported) -> bool {
    match decree {
        Decree::Void { .. } => false,
        Decree::ImportCommit { batch, first, .. } => *batch == imported.batch && *first <= seq,
    }
}
