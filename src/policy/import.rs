//! What an imported entry does to a record (DESIGN §6): a quarantine of its own that no delivery lifts, one that a
//! gate had learnt, or a blacklist entry.

use super::episode::pass;
use super::record::{Blacklisting, Cause, Import, Learnt, Note, Origin, Record};
use super::settings::Policy;
use super::text::{bounded, one_line};
use super::transition::{is_role, note};
use crate::event::{Act, Event, ImportKind, Imported};
use crate::time::Timestamp;

/// The record after an imported entry. Of quarantines, and the steps that come with them, the order in which they come does not matter,
/// but for equal dates. Of two entries of one blacklist, or two allow entries, the words of the first stay; and a reset clears what came
/// before it.
pub(super) fn import(record: &mut Record, event: &Event, imported: &Imported, policy: &Policy) {
    match imported.kind {
        ImportKind::Hard if imported.learnt => learn(record, event, imported, policy),
        ImportKind::Soft if imported.learnt => learn(record, event, imported, policy),
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
            record
                .allowed
                .get_or_insert_with(|| Box::new(dated_note(event, imported, &signed(imported))));
        }
    }
}

/// When a soft bounce of that date stops refusing: as given, else behind the policy's first step; a policy without steps has none.
pub fn end_of_soft(given: Option<Timestamp>, at: Timestamp, policy: &Policy) -> Option<Timestamp> {
    given.or_else(|| policy.soft.steps.first().map(|step| at.plus(*step)))
}

/// Postmaster and abuse stay reachable, and what was released since then stays released, however often a file is imported again.
fn quarantine(record: &mut Record, event: &Event, imported: &Imported, until: Option<Timestamp>) {
    let released = record.import_released.max(record.released);
    if is_role(&event.address) || stays_released(released, event, imported) {
        return;
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
        record.imported = Some(Box::new(entry));
    }
}

/// What another gate had learnt is learnt here: whatever lifts such a quarantine lifts this one. A soft bounce is the step that is as long,
/// so that the next one takes the step behind it.
fn learn(record: &mut Record, event: &Event, imported: &Imported, policy: &Policy) {
    pass(record, event.at, policy);
    let since = imported.since(event.at);
    let released = record.import_released.max(record.released);
    if is_role(&event.address) || record.answers(since) || stays_released(released, event, imported)
    {
        return;
    }
    let soft = imported.kind == ImportKind::Soft;
    let until = match soft {
        true => end_of_soft(imported.until, since, policy),
        false => imported.until,
    };
    let learnt = Learnt { since, until, cause: Cause::imported(event, imported) };
    // Behind a longer one too, which may have come before it as well as after.
    if let Some(until) = until.filter(|_| soft) {
        let number = policy.soft.number_of(until.since(since)).max(record.soft.count);
        record.soft.count(since);
        record.soft.count = number;
    }
    if record.learnt.as_ref().is_some_and(|old| !learnt.outlasts(old)) {
        return;
    }
    record.released = record.released.filter(|_| soft);
    record.learnt = Some(learnt);
}

/// Whether an operator's release answers an entry: one that is dated later is news. One without a date may be as old as the one that was
/// released, so it is none, unless the operator says so.
fn stays_released(released: Option<Timestamp>, event: &Event, imported: &Imported) -> bool {
    released.is_some_and(|released| match imported.dated {
        Some(_) => released >= imported.since(event.at),
        None => !imported.again || released >= event.at,
    })
}

fn blacklist(record: &mut Record, event: &Event, imported: &Imported) {
    let released = record.blacklist_released.get(&event.tenant).copied();
    if stays_released(released, event, imported) {
        return;
    }
    let entry = record.blacklists.entry(event.tenant.clone()).or_insert_with(|| Blacklisting {
        origin: Origin::Import,
        complained: None,
        note: dated_note(event, imported, &signed(imported)),
    });
    let at = imported.since(event.at);
    if imported.kind == ImportKind::Complaint {
        entry.complained = Some(entry.complained.map_or(at, |first| first.min(at)));
    }
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
fn reset(record: &mut Record, at: Timestamp, policy: &Policy) {
    record.held = record.held.filter(|held| *held > at);
    if !record.can_be_cleared() {
        return;
    }
    pass(record, at, policy);
    // What has lapsed by then needs no answer, whether somebody asked in between or not.
    if !record.can_be_cleared() {
        return;
    }
    record.hard.reset(at);
    record.soft.reset(at);
    record.learnt.take_if(|learnt| learnt.since <= at);
    record.released = record.released.filter(|released| *released > at);
    record.cleared = record.cleared.max(Some(at));
}
