//! What can be asked of a gate, and done to it: one function for each question and act, over the shapes of `wire`.
//!
//! The HTTP side calls these, and so do the commands when no gate runs and they have the store to themselves.

mod fault;

use serde::de::IntoDeserializer as _;
use serde::de::value::{Error as NameFault, StrDeserializer};

use super::wire::{ActRequest, Done, Found, LookupRequest, ReleaseRequest, Verified};
use crate::bounce::Category;
use crate::event::{Act, List, Tenant, What};
use crate::gate::{Ack, Draft, Durable, Gate, Mode, Unlearnt};
use crate::policy::{Record, Standing, settled};
use crate::smtp::address::RecipientKey;
use crate::time::Timestamp;

pub use fault::Fault;

/// Longest text that an error shows of what is no address, in characters (RFC 5321 section 4.5.3.1.3: a path of 256 octets).
const QUOTED_MAX: usize = 256;

/// Most addresses of one request: each release waits in the writer's queue, beside the events of mail.
pub const BATCH_MAX: usize = 500;
/// Longest reason and name of a person, in bytes.
pub const WORDS_MAX: usize = 1000;

/// The acts on one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    /// Refuse it to everybody.
    Quarantine,
    /// Refuse it to one tenant.
    Blacklist,
    /// Never refuse it.
    Allow,
}

/// An act on its way to the disk.
#[derive(Debug)]
pub enum Step {
    /// Wait for this.
    Waiting(RecipientKey, Durable),
    /// There was nothing to do.
    Nothing(Done),
}

/// What a RCPT for each address would get now.
///
/// # Errors
/// `Bad` names the first address that is none; else when the index cannot be read.
pub fn lookup(gate: &Gate, request: &LookupRequest, now: Timestamp) -> Result<Vec<Found>, Fault> {
    let tenant = tenant(request.tenant.as_deref())?;
    addresses(&request.addresses)?
        .iter()
        .zip(&request.addresses)
        .map(|(key, asked)| {
            let mut found = found(gate, key, asked, &tenant, now)?;
            if request.record {
                found.record = gate.record(key)?.map(Box::new);
            }
            Ok(found)
        })
        .collect()
}

/// What a RCPT for one address would get now.
pub(super) fn found(
    gate: &Gate,
    key: &RecipientKey,
    asked: &str,
    tenant: &Tenant,
    now: Timestamp,
) -> Result<Found, Fault> {
    let decision = gate.consider(key, tenant, now);
    let record = gate.record(key)?.unwrap_or_default();
    let mut found = Found {
        tenant: tenant.0.clone(),
        key: key.to_string(),
        mode: mode(gate).to_owned(),
        ..Found::new(now, asked, &decision)
    };
    let policy = gate.policy();
    let record = settled(&record, now, &policy);
    found.shared = Standing::of(&record, &NOBODY, now, &policy).name().to_owned();
    (found.hards, found.softs) = (record.hard.count, record.soft.count);
    found.blocked = record.blocked.count;
    if record.allowed.is_none() {
        found.blacklisted = record.blacklists.keys().cloned().collect();
    }
    found.complained = record.blacklists.get(tenant).and_then(|entry| entry.complained);
    if let Some(learnt) =
        record.learnt.as_ref().filter(|learnt| Some(&learnt.cause.id) == decision.id.as_ref())
    {
        found.cause = Some(learnt.cause.reply.clone());
        found.rule = learnt.cause.rule().map(str::to_owned);
        found.batch = learnt.cause.batch().map(str::to_owned);
    }
    let manual = record.manual.as_ref().map(|manual| &manual.note);
    let blacklist = record.blacklists.get(tenant).map(|entry| &entry.note);
    let imported =
        record.imported.as_ref().filter(|entry| Some(&entry.note.id) == decision.id.as_ref());
    if let Some(entry) = imported {
        found.cause = Some(entry.detail.clone()).filter(|detail| !detail.is_empty());
        found.source = Some(entry.source.clone());
        found.batch = Some(entry.batch.clone());
    }
    let imported = imported.map(|entry| &entry.note);
    let notes = [record.allowed.as_deref(), blacklist, manual, imported];
    if let Some(note) =
        notes.into_iter().flatten().find(|note| Some(&note.id) == decision.id.as_ref())
    {
        found.by = Some(note.by.clone()).filter(|by| !by.is_empty());
        found.note = Some(note.reason.clone()).filter(|note| !note.is_empty());
    }
    Ok(found)
}

/// Hands an act to the gate.
///
/// # Errors
/// `Bad` says what is wrong with the request.
pub fn act(gate: &Gate, deed: Deed, request: &ActRequest, now: Timestamp) -> Result<Step, Fault> {
    let address = address(&request.address)?;
    let act = signed(&request.reason, &request.by)?;
    let refuse = |field: &str| Fault::Bad(format!("{field} has no meaning for this act"));
    if deed != Deed::Quarantine && request.length.is_some() {
        return Err(refuse("for"));
    }
    let what = match deed {
        Deed::Quarantine if request.tenant.is_some() => return Err(refuse("tenant")),
        Deed::Quarantine => What::Quarantine { until: until(request.length.as_deref(), now)?, act },
        Deed::Blacklist if request.tenant.is_none() => {
            return Err(Fault::Bad("a blacklist belongs to a tenant: say which".to_owned()));
        }
        Deed::Blacklist => What::Blacklist { act },
        Deed::Allow if request.tenant.is_some() => return Err(refuse("tenant")),
        Deed::Allow => What::Allow { act },
    };
    let tenant = tenant(request.tenant.as_deref())?;
    let draft = Draft { at: now, address: address.clone(), tenant, what };
    Ok(Step::Waiting(address, gate.learn(draft)))
}

/// Hands the release of some addresses to the gate. What is not on the list is left alone: a release is remembered, and makes the
/// next hard bounce count for more.
///
/// # Errors
/// `Bad` names the first address that is none, or says what else is wrong; then nothing is released.
pub fn release(gate: &Gate, request: &ReleaseRequest, now: Timestamp) -> Result<Vec<Step>, Fault> {
    let tenant = tenant(request.tenant.as_deref())?;
    let act = signed(&request.reason, &request.by)?;
    let release_one = |address: RecipientKey| {
        let record = gate.record(&address)?.unwrap_or_default();
        if !is_on(&record, request.from, &tenant) {
            return Ok(unchanged(gate, &address, &record, &tenant, now));
        }
        let what = What::Release { from: request.from, act: act.clone() };
        let draft = Draft { at: now, address: address.clone(), tenant: tenant.clone(), what };
        Ok(Step::Waiting(address, gate.learn(draft)))
    };
    addresses(&request.addresses)?.into_iter().map(release_one).collect()
}

/// There is nothing to do about this address.
pub(super) fn unchanged(
    gate: &Gate,
    address: &RecipientKey,
    record: &Record,
    tenant: &Tenant,
    now: Timestamp,
) -> Step {
    let policy = gate.policy();
    let standing = Standing::of(&settled(record, now, &policy), tenant, now, &policy);
    Step::Nothing(Done {
        blacklisted: record.blacklists.keys().cloned().collect(),
        ..done(address, false, None, standing, standing)
    })
}

fn is_on(record: &Record, list: List, tenant: &Tenant) -> bool {
    match list {
        // One that is over still has its step, which a release resets.
        List::Quarantine => {
            record.learnt.is_some() || record.manual.is_some() || record.imported.is_some()
        }
        List::Blacklist => record.blacklists.contains_key(tenant),
        List::Allow => record.allowed.is_some(),
    }
}

/// What an act came to.
///
/// # Errors
/// When it is not on disk.
pub fn outcome(address: &RecipientKey, outcome: Result<Ack, Unlearnt>) -> Result<Done, Fault> {
    let ack = outcome.map_err(|why| unlearnt(&address.to_string(), why))?;
    let id = Some(ack.id.to_string());
    Ok(match ack.change {
        Some(change) => done(address, true, id, change.before, change.after),
        // It is in the journal, and the index does not take it now: known as soon as that is open again.
        None => Done { address: address.to_string(), done: true, id, ..Done::default() },
    })
}

/// Whose fault it is that something is not on disk.
pub(super) fn unlearnt(what: &str, unlearnt: Unlearnt) -> Fault {
    let why = format!("{what}: not done: {unlearnt}");
    match unlearnt {
        Unlearnt::Disk(_) => Fault::Disk(why),
        Unlearnt::QueueFull | Unlearnt::WriterGone => Fault::Later(why),
        Unlearnt::Late => Fault::Later(format!("{what}: {unlearnt}; it may be yet")),
        Unlearnt::Unwritable(_) => Fault::Bad(why),
    }
}

fn done(
    address: &RecipientKey,
    done: bool,
    id: Option<String>,
    before: Standing,
    after: Standing,
) -> Done {
    Done {
        address: address.to_string(),
        done,
        id,
        before: before.name().to_owned(),
        after: after.name().to_owned(),
        until: end_of(after),
        blacklisted: Vec::new(),
    }
}

/// Compares index and journal. Takes long on much.
///
/// # Errors
/// When one of them cannot be read.
pub fn verify(gate: &Gate) -> Result<Verified, Fault> {
    Ok(gate.verify()?.into())
}

/// The tenant of what all tenants share: no tenant has this name, so no blacklist is its own.
pub(super) static NOBODY: Tenant = Tenant(String::new());

/// When a standing ends, if it does.
pub(super) const fn end_of(standing: Standing) -> Option<Timestamp> {
    match standing {
        Standing::Quarantined { until } => Some(until),
        Standing::Clear
        | Standing::OnWatch
        | Standing::QuarantinedLongTerm
        | Standing::Blacklisted
        | Standing::Allowed => None,
    }
}

pub(super) fn mode(gate: &Gate) -> &'static str {
    match gate.mode() {
        Mode::Enforce => "enforce",
        Mode::Monitor => "monitor",
    }
}

/// Reads an address, or says which one is none.
///
/// # Errors
/// `Bad`, with the text and what is wrong with it.
pub fn address(text: &str) -> Result<RecipientKey, Fault> {
    RecipientKey::parse(text)
        .map_err(|fault| Fault::Bad(format!("{} is no address: {fault}", quoted(text))))
}

/// What was taken for an address, up to a length that an address can have: it may be a line of a file that is no list at all.
fn quoted(text: &str) -> String {
    match text.char_indices().nth(QUOTED_MAX) {
        Some((end, _)) => format!("{:?}...", text.get(..end).unwrap_or_default()),
        None => format!("{text:?}"),
    }
}

pub(super) fn addresses(texts: &[String]) -> Result<Vec<RecipientKey>, Fault> {
    if texts.len() > BATCH_MAX {
        return Err(Fault::Bad(format!("{} addresses, {BATCH_MAX} at most", texts.len())));
    }
    texts.iter().map(|text| address(text)).collect()
}

/// Reads a tenant's name: one plain word, as the configuration has it.
///
/// # Errors
/// `Bad`, with the name.
pub fn tenant(name: Option<&str>) -> Result<Tenant, Fault> {
    let Some(name) = name else { return Ok(Tenant::default()) };
    Tenant::named(name).map_err(|why| Fault::Bad(format!("{name:?} is no tenant: {why}")))
}

/// Who does something, and why.
///
/// # Errors
/// `Bad` when no reason is given, or one of them is too long.
pub fn signed(reason: &str, by: &str) -> Result<Act, Fault> {
    let reason = reason.trim();
    if reason.is_empty() {
        return Err(Fault::Bad("an act needs a reason".to_owned()));
    }
    if reason.len() > WORDS_MAX || by.len() > WORDS_MAX {
        return Err(Fault::Bad(format!("reason and by have {WORDS_MAX} bytes at most")));
    }
    Ok(Act { reason: reason.to_owned(), by: by.to_owned() })
}

fn until(length: Option<&str>, now: Timestamp) -> Result<Option<Timestamp>, Fault> {
    let Some(text) = length else { return Ok(None) };
    match humantime::parse_duration(text) {
        Ok(length) if !length.is_zero() => {
            let end = now.plus(length);
            // What the journal cannot say, it would not take.
            if end.to_string().parse() != Ok(end) {
                return Err(Fault::Bad(format!("{text:?} ends later than can be written down")));
            }
            Ok(Some(end))
        }
        Ok(_) | Err(_) => {
            Err(Fault::Bad(format!("{text:?} is no span of time, such as 36h, 7d or 2weeks")))
        }
    }
}

/// Reads the name of a category.
pub fn category(name: &str) -> Option<Category> {
    use serde::Deserialize as _;

    let name: StrDeserializer<'_, NameFault> = name.into_deserializer();
    Category::deserialize(name).ok()
}
