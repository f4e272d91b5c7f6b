//! The events of an address in words: what each did to its standing, and what will move it next.
//!
//! Nothing here knows the rules of a policy. Each event is folded with the policy in force and the records before and after are
//! compared; what comes next is found by trying: bounces that have not happened are folded in until the standing moves.

mod masked;

use std::time::Duration;

use super::desk::{self, Fault, end_of, found};
use super::wire::{Chapter, Story};
use crate::bounce::{Category, Effect, Scope, Stage};
use crate::event::{Context, Event, EventId, Evidence, ImportKind, Imported, List, Tenant, What};
use crate::gate::Gate;
use crate::policy::{Policy, Record, Standing, settled, transition};
use crate::smtp::address::RecipientKey;
use crate::time::Timestamp;
use masked::without_effect;

/// Bounces that are tried before it is said that no number of them matters: beyond what a policy may tolerate.
const TRIES: u32 = 1100;

/// The whole story of an address, with its standing for a tenant.
///
/// # Errors
/// `Bad` when the address or the tenant is none; else when index or journal cannot be read.
pub fn tell(
    gate: &Gate,
    address: &str,
    tenant: Option<&str>,
    now: Timestamp,
) -> Result<Story, Fault> {
    let (key, tenant) = (desk::address(address)?, desk::tenant(tenant)?);
    let answer = found(gate, &key, address, &tenant, now)?;
    let (policy, masks) = (gate.policy(), gate.masks());
    let mut record = Record::default();
    let mut events = Vec::new();
    for (seq, event) in gate.history(&key)? {
        if let (next, Some(masked)) = masks.step(record.clone(), seq, &event, &policy) {
            events.push(without_effect(&record, (seq, &event), masked, &masks, &policy));
            record = next;
            continue;
        }
        let before = settled(&record, event.at, &policy).into_owned();
        let silent = before.soft.count > record.soft.count;
        let after = transition(record, &event, &policy);
        let standing = |record: &Record| {
            Standing::of(&settled(record, event.at, &policy), &event.tenant, event.at, &policy)
        };
        let mut words = did(&before, &after, &event, &policy);
        if silent {
            words = format!("the message deferred before counts as a soft bounce; then {words}");
        }
        let now = standing(&after);
        events.push(Chapter {
            seq,
            before: standing(&before).name().to_owned(),
            after: now.name().to_owned(),
            until: end_of(now),
            did: words,
            voided: None,
            held: None,
            event,
        });
        record = after;
    }
    let next = next(&key, &settled(&record, now, &policy), &tenant, now, &policy);
    Ok(Story { now: answer, events, next })
}

/// What an event did.
fn did(before: &Record, after: &Record, event: &Event, policy: &Policy) -> String {
    match &event.what {
        What::Reply(evidence) => reply_did(before, after, evidence, policy),
        What::Delivered(_) | What::Engaged => proof_did(before, after),
        What::Complaint { .. } if before.blacklists.contains_key(&event.tenant) => {
            format!("on the blacklist of tenant {} already; the complaint is noted", event.tenant)
        }
        What::Complaint { .. } => format!("put on the blacklist of tenant {}", event.tenant),
        What::Quarantine { .. } if before.manual == after.manual => {
            "changes nothing: a later order stands".to_owned()
        }
        What::Quarantine { until: Some(until), .. } => format!("quarantined until {until}"),
        What::Quarantine { until: None, .. } => "quarantined long-term".to_owned(),
        What::Blacklist { .. } if before.blacklists.contains_key(&event.tenant) => {
            format!("on the blacklist of tenant {} already", event.tenant)
        }
        What::Blacklist { .. } => format!("put on the blacklist of tenant {}", event.tenant),
        What::Allow { .. } if before.allowed.is_some() => "allowed already".to_owned(),
        What::Allow { .. } => "allowed, whatever else is known".to_owned(),
        What::Release { from, .. } => released(*from, &event.tenant),
        What::Imported(imported) => import_did(before, after, imported, &event.tenant),
    }
}

fn import_did(before: &Record, after: &Record, imported: &Imported, tenant: &Tenant) -> String {
    let source = &imported.source;
    if before == after {
        return match imported.kind {
            ImportKind::Active => "changes nothing: there was nothing to reset".to_owned(),
            ImportKind::Complaint | ImportKind::Unsubscribe if !imported.forced => {
                format!("on the blacklist of tenant {tenant} already")
            }
            ImportKind::Allowed => "allowed already".to_owned(),
            ImportKind::Hard
            | ImportKind::Soft
            | ImportKind::Blocked
            | ImportKind::Complaint
            | ImportKind::Unsubscribe => {
                "changes nothing: a later or a longer entry, or a release, stands".to_owned()
            }
        };
    }
    let entry = after.imported.as_ref().filter(|entry| before.imported.as_ref() != Some(*entry));
    let learnt = after.learnt.as_ref().filter(|learnt| before.learnt.as_ref() != Some(*learnt));
    if let Some(learnt) = learnt {
        let end = learnt.until.map(|until| format!("until {until}"));
        let end = end.unwrap_or_else(|| "long-term".to_owned());
        return format!("quarantined {end}, as {source} had learnt it; a delivery lifts it");
    }
    match (imported.kind, entry.and_then(|entry| entry.until)) {
        (ImportKind::Active, _) => {
            format!("{source} says that the mailbox works: counts are reset")
        }
        (ImportKind::Allowed, _) => "allowed, whatever else is known".to_owned(),
        (_, Some(until)) => format!("quarantined until {until}, as by {source}"),
        (_, None) if entry.is_some() => format!("quarantined long-term, as by {source}"),
        (_, None) => format!("put on the blacklist of tenant {tenant}, as by {source}"),
    }
}

fn released(from: List, tenant: &Tenant) -> String {
    match from {
        List::Quarantine => {
            "released from quarantine: counts start again, and the next hard bounce is believed at once"
                .to_owned()
        }
        List::Blacklist => format!("taken off the blacklist of tenant {tenant}"),
        List::Allow => "no longer allowed: what else is known holds again".to_owned(),
    }
}

fn proof_did(before: &Record, after: &Record) -> String {
    if before == after {
        return "changes nothing".to_owned();
    }
    let lifted = before.learnt.is_some() && after.learnt.is_none();
    let counts = |record: &Record| record.hard.count + record.soft.count + record.blocked.count;
    let counted = counts(before) > counts(after);
    let parts = [
        lifted.then_some("lifts the quarantine"),
        counted.then_some("clears the counts"),
        (before.episodes.len() > after.episodes.len()).then_some("ends the deferral without trace"),
    ];
    let parts: Vec<&str> = parts.into_iter().flatten().collect();
    let words = parts.join(", ");
    format!("proof that the mailbox works{}{words}", if words.is_empty() { "" } else { ": " })
}

fn reply_did(before: &Record, after: &Record, evidence: &Evidence, policy: &Policy) -> String {
    let effect = policy.effect_of(evidence);
    let kind = match effect {
        Effect::None if after.blocked.count > before.blocked.count => {
            return format!("blocked {} in a row: counted, moves nothing", after.blocked.count);
        }
        Effect::None => {
            return "says nothing about the mailbox: kept for the record".to_owned();
        }
        Effect::Hard => "hard",
        Effect::Soft => "soft",
    };
    let number = match effect {
        Effect::Hard => after.hard.count,
        Effect::Soft | Effect::None => after.soft.count,
    };
    let counted = after.hard.count > before.hard.count || after.soft.count > before.soft.count;
    let newly = after.learnt.as_ref().filter(|_| before.learnt != after.learnt);
    match newly.map(|learnt| learnt.until) {
        Some(None) => return format!("{kind} bounce {number}: quarantined long-term"),
        Some(Some(until)) => return format!("{kind} bounce {number}: quarantined until {until}"),
        None if counted => return format!("{kind} bounce {number} counted, tolerated"),
        None => {}
    }
    let held = before.learnt.as_ref().is_some_and(|learnt| learnt.until.is_none());
    if held {
        "quarantined long-term already: changes nothing".to_owned()
    } else if before == after {
        "changes nothing".to_owned()
    } else if effect == Effect::Hard {
        let gap = span(policy.hard.min_gap);
        format!("counts with the one before: the same message, or less than {gap} apart")
    } else if !evidence.is_permanent() {
        let window = span(policy.soft.retry_window);
        format!(
            "deferred: an attempt, no bounce yet; one if the message is still deferred after {window}"
        )
    } else {
        "another attempt of a message that was counted: changes nothing".to_owned()
    }
}

/// What will move the standing next.
fn next(
    key: &RecipientKey,
    record: &Record,
    tenant: &Tenant,
    now: Timestamp,
    policy: &Policy,
) -> Vec<String> {
    let standing = Standing::of(record, tenant, now, policy);
    let address = in_a_shell(&key.to_string());
    let release = |from: &str| format!("rcptgate release {address}{from} --reason R");
    match standing {
        Standing::Allowed => {
            vec![format!("stays allowed until `{}`", release(" --from allow"))]
        }
        Standing::Blacklisted => {
            let from = format!(" --from blacklist --tenant {tenant}");
            vec![format!("stays refused to tenant {tenant} until `{}`", release(&from))]
        }
        Standing::QuarantinedLongTerm => {
            vec![format!("stays refused until `{}`", release(""))]
        }
        Standing::Quarantined { until } => {
            let mut words = vec![format!("may be written to again from {until}")];
            words.extend(
                foreseen(key, record, until, policy).into_iter().map(|word| format!("then {word}")),
            );
            words
        }
        Standing::OnWatch | Standing::Clear => {
            let mut words = foreseen(key, record, now, policy);
            if record.hard.count + record.soft.count > 0 {
                words.push("a delivery clears the counts".to_owned());
            }
            words
        }
    }
}

/// An address as a shell takes it for one word.
fn in_a_shell(address: &str) -> String {
    let plain = |character: char| character.is_alphanumeric() || "@._+-=:[]".contains(character);
    match address.chars().all(plain) {
        true => address.to_owned(),
        false => format!("'{}'", address.replace('\'', r"'\''")),
    }
}

/// What bounces would do from that time on.
fn foreseen(key: &RecipientKey, record: &Record, from: Timestamp, policy: &Policy) -> Vec<String> {
    let step = policy.hard.min_gap.max(policy.hard.longer_than).max(Duration::from_secs(86_400));
    let hard = tried(key, record, Category::UserUnknown, from, step, policy);
    let soft = tried(key, record, Category::MailboxFull, from, step, policy);
    [("hard", hard), ("soft", soft)]
        .into_iter()
        .filter_map(|(kind, outcome)| outcome.map(|outcome| words_of(kind, outcome)))
        .collect()
}

fn words_of(kind: &str, (bounces, length): (u32, Option<Duration>)) -> String {
    let effect = match length {
        Some(length) => format!("for {}", span(length)),
        None => "long-term".to_owned(),
    };
    match bounces {
        1 => format!("one more {kind} bounce of another message quarantines {effect}"),
        more => format!("{more} more {kind} bounces of other messages quarantine {effect}"),
    }
}

/// How many more bounces, each of a message and a campaign of its own, make a quarantine, and how long that is; for good without.
fn tried(
    key: &RecipientKey,
    record: &Record,
    category: Category,
    from: Timestamp,
    step: Duration,
    policy: &Policy,
) -> Option<(u32, Option<Duration>)> {
    let mut record = record.clone();
    let mut at = from;
    for bounces in 1..=TRIES {
        at = at.plus(step);
        let before = record.learnt.clone();
        record = transition(record, &imagined(key, category, bounces, at), policy);
        match &record.learnt {
            Some(learnt) if before.as_ref() != Some(learnt) => {
                return Some((bounces, learnt.until.map(|until| until.since(at))));
            }
            Some(_) | None => {}
        }
    }
    None
}

fn imagined(key: &RecipientKey, category: Category, number: u32, at: Timestamp) -> Event {
    let name = format!("imagined {number}");
    let evidence = Evidence {
        category,
        scope: Scope::Recipient,
        stage: Stage::Rcpt,
        reply: "550".to_owned(),
        rule: String::new(),
        context: Context {
            message: Some(name.clone()),
            campaign: Some(name.clone()),
            ..Context::default()
        },
    };
    let (id, tenant) = (EventId(name), Tenant::default());
    Event { id, at, address: key.clone(), tenant, what: What::Reply(evidence) }
}

/// A span in the largest unit that says it exactly, without the years and months of humantime.
fn span(length: Duration) -> String {
    let seconds = length.as_secs();
    let units = [("week", 604_800), ("day", 86_400), ("hour", 3600), ("minute", 60), ("second", 1)];
    let fits = |(_, unit): &&(&str, u64)| seconds.is_multiple_of(*unit) && seconds >= *unit;
    match units.iter().find(fits) {
        Some((name, unit)) => {
            let count = seconds / unit;
            format!("{count} {name}{}", if count == 1 { "" } else { "s" })
        }
        None => humantime::format_duration(length).to_string(),
    }
}

#[cfg(test)]
mod tests;
