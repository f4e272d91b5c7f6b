//! What an imported entry does to a record (DESIGN §6): a quarantine of its own that no delivery lifts, or a blacklist entry.

use super::episode::settle;
use super::record::{Blacklisting, Import, Note, Origin, Record, bounded, one_line};
use super::settings::Policy;
use super::transition::{is_role, note};
use crate::event::{Act, Event, ImportKind, Imported};
use crate::time::Timestamp;

/// The record after an imported entry. The order in which entries come does not matter, but for equal dates.
pub(super) fn import(
    record: Record,
    event: &Event,
    imported: &Imported,
    policy: &Policy,
) -> Record {
    match imported.kind {
        ImportKind::Hard | ImportKind::Blocked => {
            quarantine(record, event, imported, imported.until)
        }
        ImportKind::Soft => {
            let since = imported.since(event.at);
            quarantine(record, event, imported, end_of_soft(imported.until, since, policy))
        }
        ImportKind::Unsubscribe if imported.forced => quarantine(record, event, imported, None),
        ImportKind::Complaint | ImportKind::Unsubscribe => blacklist(record, event, imported),
        ImportKind::Active => reset(record, event.at, policy),
        ImportKind::Allowed => {
            let mut record = record;
            record.allowed.get_or_insert_with(|| dated_note(event, imported, &signed(imported)));
            record
        }
    }
}

/// When a soft bounce of that date stops refusing: as given, else behind the policy's first step; a policy without steps has none.
pub fn end_of_soft(given: Option<Timestamp>, at: Timestamp, policy: &Policy) -> Option<Timestamp> {
    given.or_else(|| policy.soft.steps.first().map(|step| at.plus(*step)))
}

/// Postmaster and abuse stay reachable, and what was released since then stays released, however often a file is imported again.
fn quarantine(
    mut record: Record,
    event: &Event,
    imported: &Imported,
    until: Option<Timestamp>,
) -> Record {
    let released = record.import_released.max(record.released);
    if is_role(&event.address)
        || released.is_some_and(|released| released >= imported.since(event.at))
    {
        return record;
    }
    let entry = Import {
        until,
        kind: imported.kind,
        category: imported.category,
        source: bounded(&imported.source).into_owned(),
        batch: bounded(&imported.batch).into_owned(),
        detail: one_line(&imported.detail),
        note: dated_note(event, imported, &imported.act),
    };
    if record.imported.as_ref().is_none_or(|old| !old.outlasts(&entry)) {
        record.imported = Some(entry);
    }
    record
}

fn blacklist(mut record: Record, event: &Event, imported: &Imported) -> Record {
    let entry = record.blacklists.entry(event.tenant.clone()).or_insert_with(|| Blacklisting {
        origin: Origin::Import,
        complained: None,
        note: dated_note(event, imported, &signed(imported)),
    });
    let at = imported.since(event.at);
    if imported.kind == ImportKind::Complaint {
        entry.complained = Some(entry.complained.map_or(at, |first| first.min(at)));
    }
    record
}

fn dated_note(event: &Event, imported: &Imported, act: &Act) -> Note {
    Note { since: imported.since(event.at), ..note(event, act) }
}

/// A blacklist and an allow entry have no fields for where they came from, so their words say it.
fn signed(imported: &Imported) -> Act {
    let Imported { source, batch, act, .. } = imported;
    let reason = format!("imported from {source} (import {batch}): {}", act.reason);
    Act { reason, by: act.by.clone() }
}

/// As a release does, but the next hard bounce is one like any other, and nothing is lifted that a person or an import ordered.
fn reset(mut record: Record, at: Timestamp, policy: &Policy) -> Record {
    record.held = record.held.filter(|held| *held > at);
    if !record.can_be_cleared() {
        return record;
    }
    let mut record = settle(record, at, policy);
    record.hard.reset(at);
    record.soft.reset(at);
    record.learnt = record.learnt.filter(|learnt| learnt.since > at);
    record.released = record.released.filter(|released| *released > at);
    record.cleared = record.cleared.max(Some(at));
    record
}
