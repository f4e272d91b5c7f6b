//! Which events count: orders take events out of the fold, and may put them back.

use crate::event::Event;
use crate::event::order::{Decree, Order};

/// All orders in force, by sequence. Whoever folds asks of each event whether it is masked, and skips it if so.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Masks(Vec<(u64, Order)>);

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

    /// The order that takes the event of this sequence out of the fold. Allocates nothing; for an event that is later than all orders,
    /// which live ones are, it takes a few steps however many orders there are.
    pub fn masked(&self, seq: u64, event: &Event) -> Option<&Order> {
        masked(self.behind(seq), event)
    }

    /// Whether the order of sequence `order` changed whether the event of sequence `seq` counts, given the orders before it. Of an address
    /// that has such an event the record must be folded again, whatever kind the order is of.
    pub fn moved(&self, order: u64, seq: u64, event: &Event) -> bool {
        let behind = self.behind(seq);
        let end = behind.partition_point(|(number, _)| *number <= order);
        let (through, before) = match behind.get(..end) {
            Some(through @ [before @ .., (last, given)]) if *last == order => {
                // The cheap question first: most events are not meant at all.
                if !concerns(&given.decree, event) {
                    return false;
                }
                (through, before)
            }
            Some(_) | None => return false,
        };
        masked(through, event).is_some() != masked(before, event).is_some()
    }

    /// Whether the order of this sequence is among them.
    pub fn knows(&self, order: u64) -> bool {
        self.0.binary_search_by_key(&order, |(seq, _)| *seq).is_ok()
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

/// The order among these, all of them later than the event, that masks it: the first one, since what is void stays so.
fn masked<'a>(orders: &'a [(u64, Order)], event: &Event) -> Option<&'a Order> {
    orders.iter().map(|(_, order)| order).find(|order| match &order.decree {
        Decree::Void { select } => select.selects(event),
    })
}

/// Whether an order is about this event at all.
fn concerns(decree: &Decree, event: &Event) -> bool {
    match decree {
        Decree::Void { select } => select.selects(event),
    }
}
