//! Outages as orders tell of them: since when, until when, and what an operator made of them.
//!
//! An outage masks by time, not by place in the journal: hard evidence under its key that is dated within it is held, whether it came before
//! the order or after it. So what comes between an alarm and its order being on disk ends up held as well.

use std::collections::BTreeMap;

use super::settings::Policy;
use crate::bounce::Effect;
use crate::event::order::{Decree, Order, OrderId};
use crate::event::outage::{OutageKey, named};
use crate::event::{Event, Evidence};
use crate::time::Timestamp;

/// What an operator made of an outage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Resolution {
    /// It was none: what was held counts.
    Apply,
    /// It was one: what was held never counts.
    Void,
}

/// One outage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outage {
    /// The order that began it.
    pub id: OrderId,
    /// Under what.
    pub key: OutageKey,
    /// What it came to by each order about it, by sequence. Never empty.
    states: Vec<(u64, State)>,
}

/// What an outage is, by the orders so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct State {
    /// Evidence is held from then on.
    pub since: Timestamp,
    /// Evidence of then and later counts; without, it lasts.
    pub until: Option<Timestamp>,
    /// The operator's word, if there is one. The last one holds.
    pub word: Option<Resolution>,
}

/// All outages, by their beginning.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Outages {
    all: Vec<Outage>,
    /// The places of those that last: live evidence is compared with these alone.
    lasting: Vec<usize>,
    /// Nothing that is dated then or later is under one that is over.
    over: Option<Timestamp>,
    /// Which outage an order is about, if it changed it.
    changed: BTreeMap<u64, usize>,
}

impl Outage {
    /// What it is now.
    pub fn state(&self) -> State {
        self.as_of(u64::MAX).unwrap_or(NOTHING)
    }

    /// The sequence of the order that began it.
    pub fn first_order(&self) -> u64 {
        self.states.first().map_or(0, |(seq, _)| *seq)
    }

    /// The sequence of the latest order about it.
    pub fn last_order(&self) -> u64 {
        self.states.last().map_or(0, |(seq, _)| *seq)
    }

    /// What it was behind this order.
    fn as_of(&self, order: u64) -> Option<State> {
        let known = self.states.partition_point(|(seq, _)| *seq <= order);
        self.states.get(..known)?.last().map(|(_, state)| *state)
    }
}

/// Of an outage without states, of which there is none: nothing is within it.
const NOTHING: State =
    State { since: Timestamp::from_millis(i64::MAX), until: None, word: Some(Resolution::Apply) };

impl State {
    /// Whether it lasts.
    pub const fn lasts(&self) -> bool {
        self.until.is_none()
    }

    fn contains(&self, at: Timestamp) -> bool {
        self.since <= at && self.until.is_none_or(|until| at < until)
    }

    /// Whether it keeps hard evidence of this date from counting.
    fn masks(&self, at: Timestamp) -> bool {
        self.word != Some(Resolution::Apply) && self.contains(at)
    }
}

impl Outages {
    pub(super) fn new(orders: &[(u64, Order)]) -> Self {
        let mut outages = Self::default();
        for (seq, order) in orders {
            outages.take(*seq, order);
        }
        let ends =
            outages.all.iter().filter(|outage| outage.state().word != Some(Resolution::Apply));
        outages.over = ends.filter_map(|outage| outage.state().until).max();
        outages
    }

    pub(super) fn all(&self) -> &[Outage] {
        &self.all
    }

    /// Those that last.
    pub(super) fn lasting(&self) -> impl Iterator<Item = &Outage> {
        self.lasting.iter().filter_map(|place| self.all.get(*place))
    }

    /// The outage that masks an event: one that an operator called one rather than another. Of an event that is later than the ends of all that
    /// are over, which live ones are, only those that last are asked.
    pub(super) fn masking(&self, event: &Event, policy: &Policy) -> Option<(&Outage, State)> {
        if self.over.is_none_or(|over| event.at >= over) {
            let lasting = self.lasting().map(|outage| (outage, outage.state()));
            found(lasting, event, policy)
        } else {
            found(self.all.iter().map(|outage| (outage, outage.state())), event, policy)
        }
    }

    /// The same behind an order.
    pub(super) fn masking_as_of(
        &self,
        order: u64,
        event: &Event,
        policy: &Policy,
    ) -> Option<(&Outage, State)> {
        let known = self.all.iter();
        found(known.filter_map(|outage| Some((outage, outage.as_of(order)?))), event, policy)
    }

    /// Whether an order about an outage is about this event.
    pub(super) fn concerns(&self, order: u64, event: &Event, policy: &Policy) -> bool {
        let outage = self.changed.get(&order).and_then(|place| self.all.get(*place));
        let Some(outage) = outage else { return false };
        let states = [outage.as_of(order), order.checked_sub(1).and_then(|seq| outage.as_of(seq))];
        states.iter().flatten().any(|state| state.contains(event.at))
            && hard(event, policy).is_some_and(|evidence| {
                let receiver = evidence.context.receiver.as_deref();
                outage.key.covers(event.address.domain(), receiver)
            })
    }

    fn take(&mut self, seq: u64, order: &Order) {
        match &order.decree {
            Decree::Void { .. } | Decree::ImportCommit { .. } => {}
            Decree::Outage { key, since } => match self.lasting_under(key) {
                Some((place, state)) if *since < state.since => {
                    self.change(seq, place, State { since: *since, ..state });
                }
                Some(_) => {}
                None => {
                    let state = State { since: *since, until: None, word: None };
                    let (id, key) = (order.id.clone(), key.clone());
                    self.all.push(Outage { id, key, states: Vec::new() });
                    self.change(seq, self.all.len() - 1, state);
                }
            },
            Decree::OutageEnd { key, until } => {
                if let Some((place, state)) = self.lasting_under(key) {
                    let until = Some((*until).max(state.since));
                    self.change(seq, place, State { until, ..state });
                }
            }
            Decree::OutageApply { outage } => self.resolve(seq, order, outage, Resolution::Apply),
            Decree::OutageVoid { outage } => self.resolve(seq, order, outage, Resolution::Void),
        }
    }

    fn resolve(&mut self, seq: u64, order: &Order, id: &OrderId, word: Resolution) {
        let Some(place) = self.all.iter().position(|outage| outage.id == *id) else { return };
        let Some(state) = self.all.get(place).map(Outage::state) else { return };
        let until = state.until.unwrap_or(order.at).max(state.since);
        self.change(seq, place, State { until: Some(until), word: Some(word), ..state });
    }

    fn lasting_under(&self, key: &OutageKey) -> Option<(usize, State)> {
        self.lasting.iter().find_map(|place| {
            let outage = self.all.get(*place).filter(|outage| outage.key == *key)?;
            Some((*place, outage.state()))
        })
    }

    fn change(&mut self, seq: u64, place: usize, state: State) {
        if let Some(outage) = self.all.get_mut(place) {
            outage.states.push((seq, state));
            self.changed.insert(seq, place);
        }
        self.lasting.retain(|lasting| *lasting != place);
        if state.lasts() {
            self.lasting.push(place);
        }
    }
}

/// The first of these that masks an event, a void one before all others. Times are compared first: whose a receiver is takes longer.
fn found<'a>(
    outages: impl Iterator<Item = (&'a Outage, State)>,
    event: &Event,
    policy: &Policy,
) -> Option<(&'a Outage, State)> {
    let mut outages = outages.filter(|(_, state)| state.masks(event.at)).peekable();
    outages.peek()?;
    let evidence = hard(event, policy)?;
    let mut receiver = None;
    let mut covers = |key: &OutageKey| match key {
        OutageKey::Domain(name) => event.address.domain() == name,
        OutageKey::Receiver(name) => {
            let own = receiver
                .get_or_insert_with(|| evidence.context.receiver.as_deref().and_then(named));
            own.as_ref() == Some(name)
        }
    };
    let mut held = None;
    for (outage, state) in outages.filter(|(outage, _)| covers(&outage.key)) {
        if state.word == Some(Resolution::Void) {
            return Some((outage, state));
        }
        held.get_or_insert((outage, state));
    }
    held
}

/// The evidence of an event that is hard under this policy.
pub(super) fn hard<'a>(event: &'a Event, policy: &Policy) -> Option<&'a Evidence> {
    event.evidence().filter(|evidence| policy.effect_of(evidence) == Effect::Hard)
}
