//! Outages of receivers: which there are, and what an operator makes of them; for commands too.

use super::desk::{Fault, signed};
use super::undo;
use super::wire::{OutageReply, OutageRow, ResolveRequest, Undone};
use crate::event::order::{Decree, OrderId};
use crate::gate::{Gate, Obeying, OrderDraft};
use crate::policy::outage::{Outage, Resolution, State};
use crate::time::Timestamp;

/// All outages, with what each keeps from counting. Reads the whole journal, if there was any.
///
/// # Errors
/// When index or journal cannot be read.
pub fn list(gate: &Gate) -> Result<OutageReply, Fault> {
    let mut kept = gate.kept_by_outages()?;
    let masks = gate.masks();
    let row = |outage: &Outage| {
        let State { since, until, .. } = outage.state();
        let kept = kept.remove(&outage.id).unwrap_or_default();
        let order = masks.orders().iter().find(|(_, order)| order.id == outage.id);
        OutageRow {
            id: outage.id.to_string(),
            key: outage.key.to_string(),
            state: name(outage.state()).to_owned(),
            since,
            until,
            why: order.map(|(_, order)| order.act.reason.clone()).unwrap_or_default(),
            events: kept.events,
            addresses: kept.addresses,
            examples: kept.examples.iter().map(ToString::to_string).collect(),
        }
    };
    Ok(OutageReply { outages: masks.outages().iter().map(row).collect() })
}

/// What a word about an outage would do. Reads the whole journal; changes nothing.
///
/// # Errors
/// `Bad` when there is no such outage, or that was said of it already; else when index or journal cannot be read.
pub fn preview(gate: &Gate, id: &str, word: Resolution, now: Timestamp) -> Result<Undone, Fault> {
    undo::foreseen(gate, &decree(gate, id, word)?, now)
}

/// Hands the word to the gate.
///
/// # Errors
/// `Bad` says what is wrong with the request; then nothing is done.
pub fn order(
    gate: &Gate,
    id: &str,
    word: Resolution,
    request: &ResolveRequest,
    now: Timestamp,
) -> Result<Obeying, Fault> {
    let (decree, act) = (decree(gate, id, word)?, signed(&request.reason, &request.by)?);
    Ok(gate.order(OrderDraft { at: now, decree, act }))
}

fn decree(gate: &Gate, id: &str, word: Resolution) -> Result<Decree, Fault> {
    let (masks, outage) = (gate.masks(), OrderId(id.to_owned()));
    let known = masks.outage(&outage);
    let state = known.ok_or_else(|| Fault::Bad(format!("there is no outage {id:?}")))?.state();
    if state.word == Some(word) {
        return Err(Fault::Bad(format!("outage {id} is {} already", name(state))));
    }
    Ok(match word {
        Resolution::Apply => Decree::OutageApply { outage },
        Resolution::Void => Decree::OutageVoid { outage },
    })
}

const fn name(state: State) -> &'static str {
    match state.word {
        Some(Resolution::Apply) => "applied",
        Some(Resolution::Void) => "voided",
        None if state.lasts() => "open",
        None => "ended",
    }
}
