//! One step of the fold: what one event does to a record. Pure and total: any event, in any order, gives a record.

use super::episode::{attempt, campaign_of, finish, pass};
use super::import::import;
use super::record::{Blacklisting, Cause, EpisodeKey, Learnt, Manual, Note, Origin, Record};
use super::settings::Policy;
use super::text::bounded;
use crate::bounce::Effect;
use crate::event::{Act, Delivery, Event, Evidence, List, What};
use crate::smtp::address::RecipientKey;

/// The record after one more event of its address.
///
/// An event that can say nothing about the address (`Evidence::effect` is none) is the identity, and so is a delivery to an
/// address of which nothing is known.
pub fn transition(mut record: Record, event: &Event, policy: &Policy) -> Record {
    advance(&mut record, event, policy);
    record
}

fn advance(record: &mut Record, event: &Event, policy: &Policy) {
    match &event.what {
        What::Reply(evidence) => observe(record, event, evidence, policy),
        What::Delivered(delivery) => clear(record, event, Some(delivery), policy),
        What::Engaged if policy.engaged_clears => clear(record, event, None, policy),
        What::Engaged => {}
        What::Complaint { source } => complain(record, event, source.as_deref()),
        What::Quarantine { until, act } => {
            let newest = record.manual.as_ref().is_none_or(|old| old.note.since <= event.at);
            if newest {
                record.manual = Some(Box::new(Manual { until: *until, note: note(event, act) }));
            }
        }
        What::Blacklist { act } => blacklist(record, event, act),
        What::Allow { act } => {
            record.allowed.get_or_insert_with(|| Box::new(note(event, act)));
        }
        What::Release { from, .. } => release(record, event, *from, policy),
        What::Imported(imported) => import(record, event, imported, policy),
    }
}

/// A reply that refused the recipient.
fn observe(record: &mut Record, event: &Event, evidence: &Evidence, policy: &Policy) {
    let effect = policy.effect_of(evidence);
    if effect == Effect::None && !policy.counts_as_blocked(evidence) {
        return;
    }
    if is_role(&event.address) || record.answers(event.at) {
        return;
    }
    if effect == Effect::None {
        if record.blocked.is_new_message(event, &evidence.context) {
            record.blocked.count(event.at);
        }
        return;
    }
    pass(record, event.at, policy);
    if record.is_gone() {
        return;
    }
    match effect {
        Effect::Hard => hard(record, event, evidence, policy),
        Effect::Soft if evidence.is_permanent() => finish(record, event, evidence, policy),
        Effect::Soft => attempt(record, event, evidence, policy),
        Effect::None => {}
    }
}

/// Postmaster and abuse must stay reachable (RFC 5321 §4.5.1, RFC 2142 §4): nothing is learnt from replies about them.
pub fn is_role(address: &RecipientKey) -> bool {
    matches!(address.local(), "postmaster" | "abuse")
}

fn hard(record: &mut Record, event: &Event, evidence: &Evidence, policy: &Policy) {
    let context = &evidence.context;
    let run = &mut record.hard;
    if let Some(message) = &context.message {
        // The message has ended, so it is no longer being deferred.
        record.episodes.retain(|episode| {
            episode.counted
                || !matches!(&episode.key, EpisodeKey::Message(key) if *key == bounded(message))
        });
    }
    if !run.is_new_message(event, context) {
        return;
    }
    let crowded = run
        .last
        .is_some_and(|last| event.at.since(last).max(last.since(event.at)) < policy.hard.min_gap);
    if crowded || !run.is_new_campaign(policy.hard.distinct, || campaign_of(event, context)) {
        return;
    }
    run.count(event.at);
    let believed = if record.released.is_some() {
        true
    } else if policy.trusts(event.address.domain(), context.receiver.as_deref()) {
        run.count > policy.hard.trusted_tolerated
    } else {
        let long_enough = policy.hard.longer_than.is_zero() || run.span() > policy.hard.longer_than;
        run.count > policy.hard.tolerated && long_enough
    };
    if believed {
        record.released = None;
        record.learnt =
            Some(Learnt { since: event.at, until: None, cause: Cause::of(event, evidence) });
    }
}

/// A proof that the mailbox works: counts, steps and the learnt quarantine go, whatever is not newer than the proof.
fn clear(record: &mut Record, event: &Event, delivery: Option<&Delivery>, policy: &Policy) {
    let at = event.at;
    record.held = record.held.filter(|held| *held > at);
    if !record.can_be_cleared() {
        return;
    }
    pass(record, at, policy);
    if !record.can_be_cleared() {
        return;
    }
    record.reset(at);
    record.learnt.take_if(|learnt| learnt.since <= at);
    record.released = record.released.filter(|released| *released > at);
    // A message that was counted stays known, or its next attempt would begin again; the one that arrived is over.
    record.episodes.retain(|episode| {
        let arrived = delivery.is_some_and(|delivery| episode.key.is_of(&delivery.context));
        episode.last > at || (episode.counted && !arrived)
    });
    record.cleared = record.cleared.max(Some(at));
}

fn complain(record: &mut Record, event: &Event, source: Option<&str>) {
    let entry = record.blacklists.entry(event.tenant.clone()).or_insert_with(|| Blacklisting {
        origin: Origin::Complaint,
        complained: None,
        note: note(event, &Act { reason: source.unwrap_or("").to_owned(), by: String::new() }),
    });
    entry.complained = Some(entry.complained.map_or(event.at, |first| first.min(event.at)));
}

fn blacklist(record: &mut Record, event: &Event, act: &Act) {
    record.blacklists.entry(event.tenant.clone()).or_insert_with(|| Blacklisting {
        origin: Origin::Operator,
        complained: None,
        note: note(event, act),
    });
}

fn release(record: &mut Record, event: &Event, from: List, policy: &Policy) {
    let at = event.at;
    pass(record, at, policy);
    match from {
        List::Quarantine => {
            record.reset(at);
            record.learnt.take_if(|learnt| learnt.since <= at);
            record.manual.take_if(|manual| manual.note.since <= at);
            // One that comes late, or again, adds nothing to what was proven since.
            if record.cleared.is_none_or(|cleared| cleared < at) {
                record.released = Some(at);
            }
            if record.imported.as_ref().is_some_and(|entry| entry.note.since <= at) {
                record.imported = None;
                record.import_released = record.import_released.max(Some(at));
            }
            record.cleared = record.cleared.max(Some(at));
        }
        List::Blacklist => {
            if record.blacklists.get(&event.tenant).is_some_and(|entry| entry.note.since <= at) {
                record.blacklists.remove(&event.tenant);
                let released = record.blacklist_released.entry(event.tenant.clone()).or_insert(at);
                *released = (*released).max(at);
            }
        }
        List::Allow => {
            record.allowed.take_if(|note| note.since <= at);
        }
    }
}

pub(super) fn note(event: &Event, act: &Act) -> Note {
    Note {
        since: event.at,
        id: event.id.clone(),
        reason: bounded(&act.reason).into_owned(),
        by: bounded(&act.by).into_owned(),
    }
}
