//! Which events count: orders take events out of the fold, and may put them back; rows of an import count from its commit on.

use super::outage::{Outage, Outages, Resolution, State};
use super::record::Record;
use super::settings::Policy;
use super::transition::transition;
use crate::event::order::{Decree, Order, OrderId};
use crate::event::{Event, Imported};

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
    /// It is a row of an import that was not finished, or not yet.
    Unfinished,
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

    /// Why the event of this sequence does not count, if so: undone, else of an import without its commit, else of an outage. Allocates
    /// nothing; for an event that is later than all orders, which live ones are, it takes a few steps, and one for each outage that lasts,
    /// however many orders there are.
    pub fn masked(&self, seq: u64, event: &Event, policy: &Policy) -> Option<Masked<'_>> {
        self.ordered(seq, event).or_else(|| self.outage_of(event, policy))
    }

    /// The part of the answer that no policy has a say in: whether it was undone, or belongs to an import without its commit.
    pub fn ordered(&self, seq: u64, event: &Event) -> Option<Masked<'_>> {
        ordered(self.behind(seq), seq, event)
    }

    /// The other part: whether it is hard evidence, for this policy, that an outage keeps from counting.
    pub fn outage_of(&self, event: &Event, policy: &Policy) -> Option<Masked<'_>> {
        self.outages.masking(event, policy).map(by_outage)
    }

    /// One step of the fold: the event's, unless it is masked; then also why.
    pub fn step(
        &self,
        record: Record,
        seq: u64,
        event: &Event,
        policy: &Policy,
    ) -> (Record, Option<Masked<'_>>) {
        let masked = self.masked(seq, event, policy);
        (step(record, event, masked, policy), masked)
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
            Decree::ImportCommit { .. } => is_committed(&given.decree, seq, event),
            Decree::Outage { .. }
            | Decree::OutageEnd { .. }
            | Decree::OutageApply { .. }
            | Decree::OutageVoid { .. } => self.outages.concerns(order, event, policy),
        };
        let kind = |orders, as_of| match ordered(orders, seq, event) {
            Some(_) => Kind::Void,
            None => match self.outages.masking_as_of(as_of, event, policy) {
                Some((_, State { word: Some(Resolution::Void), .. })) => Kind::Void,
                Some(_) => Kind::Held,
                None => Kind::Counts,
            },
        };
        concerns && kind(through, order) != kind(before, order.saturating_sub(1))
    }

    /// The order of this sequence.
    pub fn order(&self, order: u64) -> Option<&Order> {
        let place = self.orders.binary_search_by_key(&order, |(seq, _)| *seq).ok()?;
        self.orders.get(place).map(|(_, order)| order)
    }

    /// Whether an import of this name is among them.
    pub fn knows_import(&self, name: &str) -> bool {
        self.orders.iter().any(|(_, order)| match &order.decree {
            Decree::ImportCommit { batch, .. } => batch == name,
            Decree::Void { .. }
            | Decree::Outage { .. }
            | Decree::OutageEnd { .. }
            | Decree::OutageApply { .. }
            | Decree::OutageVoid { .. } => false,
        })
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

/// The step of an event of which it is known what masks it, if anything.
pub fn step(
    mut record: Record,
    event: &Event,
    masked: Option<Masked<'_>>,
    policy: &Policy,
) -> Record {
    match masked {
        None => transition(record, event, policy),
        Some(Masked::Held(_)) => {
            record.held = record.held.max(Some(event.at));
            record
        }
        Some(Masked::Undone(_) | Masked::Unfinished | Masked::Voided(_)) => record,
    }
}

/// What the orders themselves say of the event of this sequence, all of them later: the first one that takes it back, since what is void
/// stays so; else, of a row of an import, that none of them commits it.
fn ordered<'a>(orders: &'a [(u64, Order)], seq: u64, event: &Event) -> Option<Masked<'a>> {
    let undone = orders.iter().map(|(_, order)| order).find(|order| match &order.decree {
        Decree::Void { select } => select.selects(event),
        Decree::ImportCommit { .. }
        | Decree::Outage { .. }
        | Decree::OutageEnd { .. }
        | Decree::OutageApply { .. }
        | Decree::OutageVoid { .. } => false,
    });
    if let Some(order) = undone {
        return Some(Masked::Undone(order));
    }
    let imported = event.imported()?;
    let committed = orders.iter().any(|(_, order)| commits(&order.decree, seq, imported));
    (!committed).then_some(Masked::Unfinished)
}

/// Whether the event of this sequence is a row of the import that this order commits.
fn is_committed(decree: &Decree, seq: u64, event: &Event) -> bool {
    event.imported().is_some_and(|imported| commits(decree, seq, imported))
}

fn commits(decree: &Decree, seq: u64, imported: &Imported) -> bool {
    match decree {
        Decree::ImportCommit { batch, first, .. } => *batch == imported.batch && *first <= seq,
        Decree::Void { .. }
        | Decree::Outage { .. }
        | Decree::OutageEnd { .. }
        | Decree::OutageApply { .. }
        | Decree::OutageVoid { .. } => false,
    }
}

fn by_outage((outage, state): (&Outage, State)) -> Masked<'_> {
    match state.word {
        Some(Resolution::Void) => Masked::Voided(outage),
        Some(Resolution::Apply) | None => Masked::Held(outage),
    }
}
