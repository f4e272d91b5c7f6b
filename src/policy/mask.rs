//! Which events count: orders take events out of the fold, and may put them back.

use super::outage::{Outage, Outages, Resolution, State};
use super::record::Record;
use super::settings::Policy;
use super::transition::transition;
use crate::event::Event;
use crate::event::order::{Decree, Order, OrderId};

/// All orders in force, by sequence. Whoever folds asks of each event whether it is masked, and skips it if so.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Masks {
    orders: Vec<(u64, Order)>,
    outages: Outages,
}

/// Why an event does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Masked<'a> {
    /// This order, later than the event, took it back.
    Undone(&'a Order),
    /// It is held by this outage, until an operator says what that was.
    Held(&'a Outage),
    /// It came of this outage, which an operator has called one.
    Voided(&'a Outage),
}

/// What being masked does to a record.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Counts,
    Held,
    Void,
}

impl Masks {
    /// Masks made of orders, in any order, each with its sequence.
    pub fn new(orders: impl IntoIterator<Item = (u64, Order)>) -> Self {
        let mut orders: Vec<_> = orders.into_iter().collect();
        orders.sort_by_key(|(seq, _)| *seq);
        orders.dedup_by_key(|(seq, _)| *seq);
        let outages = Outages::new(&orders);
        Self { orders, outages }
    }

    /// The same with one more order.
    #[must_use]
    pub fn with(&self, seq: u64, order: Order) -> Self {
        Self::new(self.orders.iter().cloned().chain([(seq, order)]))
    }

    /// What takes the event of this sequence out of the fold. For an event that is later than all orders, which live ones are, it takes
    /// a few steps, and one for each outage that lasts, however many orders there are.
    pub fn masked(&self, seq: u64, event: &Event, policy: &Policy) -> Option<Masked<'_>> {
        let undone = undone(self.behind(seq), event).map(Masked::Undone);
        undone.or_else(|| self.outages.masking(event, policy).map(by_outage))
    }

    /// One step of the fold: the event's, unless it is masked; then also why.
    pub fn step(
        &self,
        mut record: Record,
        seq: u64,
        event: &Event,
        policy: &Policy,
    ) -> (Record, Option<Masked<'_>>) {
        let masked = self.masked(seq, event, policy);
        let record = match masked {
            None => transition(record, event, policy),
            Some(Masked::Held(_)) => {
                record.held = record.held.max(Some(event.at));
                record
            }
            Some(Masked::Undone(_) | Masked::Voided(_)) => record,
        };
        (record, masked)
    }

    /// Whether the order of sequence `order` changed whether the event of sequence `seq`, which came before it, counts, given the orders
    /// before it. Of an address that has such an event the record must be folded again, whatever kind the order is of.
    pub fn moved(&self, order: u64, seq: u64, event: &Event, policy: &Policy) -> bool {
        let behind = self.behind(seq);
        let end = behind.partition_point(|(number, _)| *number <= order);
        let (through, before, given) = match behind.get(..end) {
            Some(through @ [before @ .., (last, given)]) if *last == order => {
                (through, before, given)
            }
            Some(_) | None => return false,
        };
        // The cheap question first: most events are not meant at all.
        let concerns = match &given.decree {
            Decree::Void { select } => select.selects(event),
            Decree::Outage { .. }
            | Decree::OutageEnd { .. }
            | Decree::OutageApply { .. }
            | Decree::OutageVoid { .. } => self.outages.concerns(order, event, policy),
        };
        let kind = |orders, as_of| match undone(orders, event) {
            Some(_) => Kind::Void,
            None => match self.outages.masking_as_of(as_of, event, policy) {
                Some((_, State { word: Some(Resolution::Void), .. })) => Kind::Void,
                Some(_) => Kind::Held,
                None => Kind::Counts,
            },
        };
        concerns && kind(through, order) != kind(before, order.saturating_sub(1))
    }

    /// Whether the order of this sequence is among them.
    pub fn knows(&self, order: u64) -> bool {
        self.order(order).is_some()
    }

    /// The order of this sequence.
    pub fn order(&self, order: u64) -> Option<&Order> {
        let place = self.orders.binary_search_by_key(&order, |(seq, _)| *seq).ok()?;
        self.orders.get(place).map(|(_, order)| order)
    }

    /// The orders, by sequence.
    pub fn orders(&self) -> &[(u64, Order)] {
        &self.orders
    }

    /// The outages that there were and are, by their beginning in the journal.
    pub fn outages(&self) -> &[Outage] {
        self.outages.all()
    }

    /// The outages that last.
    pub fn lasting(&self) -> impl Iterator<Item = &Outage> {
        self.outages.lasting()
    }

    /// The outage that this order began.
    pub fn outage(&self, id: &OrderId) -> Option<&Outage> {
        self.outages().iter().find(|outage| outage.id == *id)
    }

    /// The orders that are later than an event.
    fn behind(&self, seq: u64) -> &[(u64, Order)] {
        let start = self.orders.partition_point(|(order, _)| *order <= seq);
        self.orders.get(start..).unwrap_or_default()
    }
}

/// The order among these, all of them later than the event, that took it back: the first one, since what is void stays so.
fn undone<'a>(orders: &'a [(u64, Order)], event: &Event) -> Option<&'a Order> {
    orders.iter().map(|(_, order)| order).find(|order| match &order.decree {
        Decree::Void { select } => select.selects(event),
        Decree::Outage { .. }
        | Decree::OutageEnd { .. }
        | Decree::OutageApply { .. }
        | Decree::OutageVoid { .. } => false,
    })
}

fn by_outage((outage, state): (&Outage, State)) -> Masked<'_> {
    match state.word {
        Some(Resolution::Void) => Masked::Voided(outage),
        Some(Resolution::Apply) | None => Masked::Held(outage),
    }
}
