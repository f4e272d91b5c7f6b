//! Undoing what was learnt: the dry run and the order itself, for commands too.

use super::desk::{Fault, signed, unlearnt};
use super::wire::{Move, Moved, UndoRequest, Undone};
use crate::event::order::Decree;
use crate::event::select::Selector;
use crate::gate::{Disobeyed, Gate, Obeyed, Obeying, OrderDraft};
use crate::time::Timestamp;

/// What it would do. Reads the whole journal; changes nothing.
///
/// # Errors
/// `Bad` says which condition makes no sense; else when index or journal cannot be read.
pub fn preview(gate: &Gate, request: &UndoRequest, now: Timestamp) -> Result<Undone, Fault> {
    foreseen(gate, &decree(request)?, now)
}

/// What any order would do.
pub(super) fn foreseen(gate: &Gate, decree: &Decree, now: Timestamp) -> Result<Undone, Fault> {
    let preview = gate.preview(decree, now)?;
    let named = |name: &str| name.to_owned();
    Ok(Undone {
        events: preview.events,
        addresses: preview.addresses,
        kinds: preview.kinds.iter().map(|(name, count)| (named(name), *count)).collect(),
        moves: preview
            .moves
            .iter()
            .map(|((before, after), count)| Move {
                before: named(before),
                after: named(after),
                count: *count,
            })
            .collect(),
        examples: preview
            .examples
            .iter()
            .map(|moved| Moved {
                address: moved.address.to_string(),
                before: named(moved.before.name()),
                after: named(moved.after.name()),
            })
            .collect(),
        ..Undone::default()
    })
}

/// Hands the order to the gate.
///
/// # Errors
/// `Bad` says what is wrong with the request; then nothing is undone.
pub fn order(gate: &Gate, request: &UndoRequest, now: Timestamp) -> Result<Obeying, Fault> {
    let (decree, act) = (decree(request)?, signed(&request.reason, &request.by)?);
    Ok(gate.order(OrderDraft { at: now, decree, act }))
}

/// What an order came to.
///
/// # Errors
/// When it is not on disk, or not carried out yet.
pub fn outcome(outcome: Result<Obeyed, Disobeyed>) -> Result<Undone, Fault> {
    let Obeyed { id, tally, .. } = outcome.map_err(|disobeyed| match disobeyed {
        Disobeyed::Unlearnt(why) => unlearnt("undo", why),
        Disobeyed::Unfinished { .. } => Fault::Later(disobeyed.to_string()),
    })?;
    Ok(Undone {
        done: true,
        id: Some(id.to_string()),
        events: tally.map_or(0, |tally| tally.events),
        addresses: tally.map_or(0, |tally| tally.addresses),
        changed: tally.map(|tally| tally.changed),
        ..Undone::default()
    })
}

fn decree(request: &UndoRequest) -> Result<Decree, Fault> {
    let select = Selector::new(request.select.clone());
    let select = select.map_err(|fault| Fault::Bad(fault.to_string()))?;
    Ok(Decree::Void { select })
}
