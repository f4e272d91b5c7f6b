//! The outage guard at work: it is told what came of every recipient, and what it finds out becomes an order.
//!
//! It is one value behind one lock, held for less than a microsecond for each outcome and never while a disk is waited for. An order goes to the
//! writer like any other. Evidence that comes before the order is on disk counts until the order is carried out, and is held then: an outage
//! masks by time. If the program dies in between, there is no order: what was learnt counts until so many more are refused that the
//! alarm is raised again, with the first of those as its beginning.

mod count;
mod file;
mod keeper;

use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

pub use count::Kept;

use super::order::{Obeying, OrderDraft, give};
use super::shared::Shared;
use super::task::Task;
use super::{Gate, GateError};
use crate::event::order::Decree;
use crate::event::{Act, Evidence};
use crate::policy::guard::{Guard, Notice, Observation, Outcome, Sign, decree_of, refusal};
use crate::policy::{Masks, Policy};
use crate::smtp::address::RecipientKey;
use crate::time::Timestamp;

/// Who gives the orders of the guard.
pub(super) const GUARD: &str = "outage guard";
/// What an operator can do about an outage.
const TODO: &str = "see `rcptgate outages`: apply what it held, or void it";

/// Where the guard is; nowhere until [`Gate::keep_watch`].
#[derive(Default)]
pub(super) struct Lookout {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    watch: Option<Watch>,
    ending: bool,
}

struct Watch {
    guard: Guard,
    /// The last order that the guard has heard of.
    heard: u64,
    /// Its orders of which it is not known yet what became of them.
    given: Vec<Obeying>,
    /// Whether anything is known that is in no file.
    unsaved: bool,
}

/// How many outages there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Those that last.
    pub open: usize,
    /// Those about which no operator has said anything, those that last among them.
    pub unresolved: usize,
}

impl Gate {
    /// Watches for outages from here on, with what a file in the data directory knows; keeps that file until the gate is dropped. Commands
    /// that only ask, or give orders, need not.
    ///
    /// # Errors
    /// When the thread that keeps the file cannot be started.
    pub fn keep_watch(&self, now: Timestamp) -> Result<(), GateError> {
        let shared = &self.0.shared;
        let masks = shared.masks.load_full();
        let (mut guard, read) =
            file::guard(&shared.settings.data_dir, &shared.policy.load().outage, now);
        if let Err(why) = read {
            tracing::warn!(
                event = "outage",
                result = "known_good_lost",
                error = why,
                todo = "nothing: who is good is learnt anew, and until then outages are told by how much is refused",
            );
        }
        guard.resume_from(&masks);
        let heard = masks.orders().last().map_or(0, |(seq, _)| *seq);
        remind(&masks);
        let watch = Watch { guard, heard, given: Vec::new(), unsaved: false };
        shared.lookout.state().watch = Some(watch);
        self.mind(now);
        if !shared.policy.load().outage.enabled {
            // What lasted was just ended; nothing is left to be watched.
            shared.lookout.state().watch = None;
            return Ok(());
        }
        let Some(tasks) = self.0.tasks.clone() else { return Ok(()) };
        let thread = keeper::start(Arc::clone(shared), tasks)?;
        *self.0.keeper.lock().unwrap_or_else(PoisonError::into_inner) = Some(thread);
        Ok(())
    }

    /// Messages were accepted for these recipients, by this receiver. Takes the lock once.
    pub fn accepted<'a>(
        &self,
        recipients: impl IntoIterator<Item = &'a RecipientKey>,
        receiver: Option<&str>,
        at: Timestamp,
    ) {
        let seen = |address| Observation { address, receiver, at, outcome: Outcome::Accepted };
        self.watch(recipients.into_iter().map(seen));
    }

    /// One recipient was refused.
    pub(super) fn watch_refusal(
        &self,
        address: &RecipientKey,
        evidence: &Evidence,
        at: Timestamp,
        policy: &Policy,
    ) {
        // Asked only of what is hard, which is rare.
        if refusal(address, evidence, at, None, policy).is_none() {
            return;
        }
        let stored = self.0.shared.look_up(address).ok().flatten();
        let record = stored.as_ref().map(|stored| &stored.record);
        self.watch(refusal(address, evidence, at, record, policy));
    }

    fn watch<'a>(&self, seen: impl IntoIterator<Item = Observation<'a>>) {
        let shared = &self.0.shared;
        let mut state = shared.lookout.state();
        let (Some(watch), Some(tasks)) = (&mut state.watch, &self.0.tasks) else { return };
        for seen in seen {
            watch.unsaved = true;
            for notice in watch.guard.observe(&seen) {
                watch.take(&notice, shared, tasks, seen.at);
            }
        }
    }

    /// Ends outages that nothing is heard of, and sees that the orders say what the guard knows. Each minute by itself; here for
    /// whoever has another clock.
    pub fn mind(&self, now: Timestamp) {
        if let Some(tasks) = &self.0.tasks {
            mind(&self.0.shared, tasks, now);
        }
    }

    /// How many outages there are.
    pub fn outages(&self) -> Tally {
        tally(&self.0.shared.masks.load())
    }
}

fn mind(shared: &Shared, tasks: &SyncSender<Task>, now: Timestamp) {
    let mut state = shared.lookout.state();
    let Some(watch) = &mut state.watch else { return };
    for notice in watch.guard.tick(now) {
        watch.take(&notice, shared, tasks, now);
    }
    watch.given.retain_mut(|given| !given.is_settled());
    if !watch.given.is_empty() {
        return;
    }
    let masks = shared.masks.load_full();
    watch.hear(&masks);
    for decree in watch.guard.missing(&masks, now) {
        watch.give(decree, "what lasts and what was ordered differ", shared, tasks, now);
    }
}

impl Watch {
    fn hear(&mut self, masks: &Masks) {
        self.guard.hear(masks, self.heard);
        self.heard = masks.orders().last().map_or(0, |(seq, _)| *seq).max(self.heard);
    }

    /// Raises the alarm, or ends it, and gives the order.
    fn take(&mut self, notice: &Notice, shared: &Shared, tasks: &SyncSender<Task>, now: Timestamp) {
        let reason = match notice {
            Notice::Trip { key, since, sign, .. } => {
                let (refused, tried) = counts(sign.as_ref());
                tracing::error!(
                    event = "outage",
                    result = "began",
                    key = %key,
                    since = %since,
                    refused,
                    tried,
                    todo = TODO,
                );
                match sign {
                    Some(Sign::KnownGood { .. }) => {
                        format!(
                            "{refused} of {tried} recipients refused that accepted mail of late"
                        )
                    }
                    Some(Sign::Share { usual, .. }) => {
                        let usual = usual * 100.0;
                        format!("{refused} of {tried} recipients refused, {usual:.1} % are usual")
                    }
                    None => "it began earlier".to_owned(),
                }
            }
            Notice::Ended { key, until } => {
                tracing::warn!(
                    event = "outage",
                    result = "ended",
                    key = %key,
                    until = %until,
                    todo = TODO,
                );
                "it is over".to_owned()
            }
        };
        self.give(decree_of(notice), &reason, shared, tasks, now);
    }

    fn give(
        &mut self,
        decree: Decree,
        reason: &str,
        shared: &Shared,
        tasks: &SyncSender<Task>,
        now: Timestamp,
    ) {
        let act = Act { reason: reason.to_owned(), by: GUARD.to_owned() };
        self.given.push(give(shared, tasks, OrderDraft { at: now, decree, act }));
    }
}

impl Lookout {
    /// Hears what operators ordered about outages.
    pub(super) fn hear(&self, masks: &Masks) {
        if let Some(watch) = &mut self.state().watch {
            watch.hear(masks);
        }
    }

    /// Ends the thread that keeps the file, when it is written.
    pub(super) fn end(&self) {
        self.state().ending = true;
        self.changed.notify_all();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic leaves at worst one outcome half counted.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Says at a start what nobody has resolved.
fn remind(masks: &Masks) {
    let unresolved = masks.outages().iter().filter(|outage| outage.state().word.is_none());
    for outage in unresolved {
        let state = outage.state();
        tracing::warn!(
            event = "outage",
            result = "unresolved",
            id = %outage.id,
            key = %outage.key,
            since = %state.since,
            until = state.until.map(|until| until.to_string()),
            todo = TODO,
        );
    }
}

fn tally(masks: &Masks) -> Tally {
    let unresolved = masks.outages().iter().filter(|outage| outage.state().word.is_none());
    Tally { open: masks.lasting().count(), unresolved: unresolved.count() }
}

fn counts(sign: Option<&Sign>) -> (u32, u32) {
    match sign {
        Some(Sign::KnownGood { refused, tried } | Sign::Share { refused, tried, .. }) => {
            (*refused, *tried)
        }
        None => (0, 0),
    }
}
