//! One step of the fold: what one event does to a record. Pure and total: any event, in any order, gives a record.

use super::episode::{attempt, campaign_of, finish, settle};
use super::import::import;
use super::record::{
    Blacklisting, Cause, EpisodeKey, Learnt, Manual, Note, Origin, Record, bounded,
};
use super::settings::Policy;
use crate::bounce::Effect;
use crate::event::{Act, Delivery, Event, Evidence, List, What};
use crate::smtp::address::RecipientKey;

/// The record after one more event of its address.
///
/// An event that can say nothing about the address (`Evidence::effect` is none) is the identity, and so is a delivery to an
/// address of which nothing is known.
pub fn transition(record: Record, event: &Event, policy: &Policy) -> Record {
    match &event.what {
        What::Reply(evidence) => observe(record, event, evidence, policy),
        What::Delivered(delivery) => clear(record, event, Some(delivery), policy),
        What::Engaged if policy.engaged_clears => clear(record, event, None, policy),
        What::Engaged => record,
        What::Complaint { source } => complain(record, event, source.as_deref()),
        What::Quarantine { until, act } => {
            let mut record = record;
            let newest = record.manual.as_ref().is_none_or(|old| old.note.since <= event.at);
            if newest {
                record.manual = Some(Manual { until: *until, note: note(event, act) });
            }
            record
        }
        What::Blacklist { act } => blacklist(record, event, act),
        What::Allow { act } => {
            let mut record = record;
            record.allowed.get_or_insert_with(|| note(event, act));
            record
        }
        What::Release { from, .. } => release(record, event, *from, policy),
        What::Imported(imported) => import(record, event, imported, policy),
    }
}

/// A reply that refused the recipient.
fn observe(mut record: Record, event: &Event, evidence: &Evidence, policy: &Policy) -> Record {
    let effect = policy.effect_of(evidence);
    if effect == Effect::None && !policy.counts_as_blocked(evidence) {
        return record;
    }
    if is_role(&event.address) || record.answers(event.at) {
        return record;
    }
    if effect == Effect::None {
        if record.blocked.is_new_message(event, &evidence.context) {
            record.blocked.count(event.at);
        }
        return record;
    }
    record = settle(record, event.at, policy);
    if record.is_gone() {
        return record;
    }
    match effect {
        Effect::Hard => hard(&mut record, event, evidence, policy),
        Effect::Soft if evidence.is_permanent() => finish(&mut record, event, evidence, policy),
        Effect::Soft => attempt(&mut record, event, evidence, policy),
        Effect::None => {}
    }
    record
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
fn clear(
    mut record: Record,
    event: &Event,
    delivery: Option<&Delivery>,
    policy: &Policy,
) -> Record {
    let at = event.at;
    record.held = record.held.filter(|held| *held > at);
    if !record.can_be_cleared() {
        return record;
    }
    let mut record = settle(record, at, policy);
    if !record.can_be_cleared() {
        return record;
    }
    record.reset(at);
    record.learnt = record.learnt.filter(|learnt| learnt.since > at);
    record.released = record.released.filter(|released| *released > at);
    // A message that was counted stays known, or its next attempt would begin again; the one that arrived is over.
    record.episodes.retain(|episode| {
        let arrived = delivery.is_some_and(|delivery| episode.key.is_of(&delivery.context));
        episode.last > at || (episode.counted && !arrived)
    });
    record.cleared = record.cleared.max(Some(at));
    record
}

fn complain(mut record: Record, event: &Event, source: Option<&str>) -> Record {
    let entry = record.blacklists.entry(event.tenant.clone()).or_insert_with(|| Blacklisting {
        origin: Origin::Complaint,
        complained: None,
        note: note(event, &Act { reason: source.unwrap_or("").to_owned(), by: String::new() }),
    });
    entry.complained = Some(entry.complained.map_or(event.at, |first| first.min(event.at)));
    record
}

fn blacklist(mut record: Record, event: &Event, act: &Act) -> Record {
    record.blacklists.entry(event.tenant.clone()).or_insert_with(|| Blacklisting {
        origin: Origin::Operator,
        complained: None,
        note: note(event, act),
    });
    record
}

fn release(record: Record, event: &Event, from: List, policy: &Policy) -> Record {
    let at = event.at;
    let mut record = settle(record, at, policy);
    match from {
        List::Quarantine => {
            record.reset(at);
            record.learnt = record.learnt.filter(|learnt| learnt.since > at);
            record.manual = record.manual.filter(|manual| manual.note.since > at);
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
            }
        }
        List::Allow => record.allowed = record.allowed.filter(|note| note.since > at),
    }
    record
}

pub(super) fn note(event: &Event, act: &Act) -> Note {
    Note {
        since: event.at,
        id: event.id.clone(),
        reason: bounded(&act.reason).into_owned(),
        by: bounded(&act.by).into_owned(),
    }
}
