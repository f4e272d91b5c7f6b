//! What the gate says to one RCPT, and why (DESIGN §5).

use std::fmt;

use super::episode::settled;
use super::record::Record;
use super::replies::{Template, Values};
use super::settings::Policy;
use super::standing::{Holding, Standing};
use crate::bounce::Category;
use crate::event::{EventId, Tenant};
use crate::smtp::reply::Reply;
use crate::time::Timestamp;

/// The answer to one RCPT.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It may pass.
    Forward,
    /// It may not, for good (5yz).
    Refuse(Reply),
    /// It may not now (4yz).
    Defer(Reply),
}

/// What the operator's and the built-in lists say about a recipient.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// On the allow list.
    pub allowed: bool,
    /// The matching entry of the disposable list.
    pub disposable: Option<String>,
}

/// Why a verdict is what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// Nothing speaks against the recipient.
    None,
    /// The allow list, or an operator's word.
    Allowed,
    /// The blacklist of this tenant.
    Blacklist,
    /// A temporary quarantine that replies earned.
    Quarantine,
    /// A quarantine for good that replies earned.
    QuarantineLongTerm,
    /// An operator's quarantine, of either length.
    Manual,
    /// A disposable domain.
    Disposable,
    /// A quarantine that another system had, of either length.
    Imported,
}

/// A verdict with its grounds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// What the client gets.
    pub verdict: Verdict,
    /// The standing of the address for this tenant.
    pub standing: Standing,
    /// The ground of the verdict.
    pub reason: Reason,
    /// Since when that ground holds.
    pub since: Option<Timestamp>,
    /// Until when; for good without.
    pub until: Option<Timestamp>,
    /// The event behind it.
    pub id: Option<EventId>,
    /// The category of the reply behind it.
    pub category: Option<Category>,
}

/// Decides on one recipient: allow, blacklist of this tenant, quarantine, disposable domain, forward, in this order.
///
/// Reads only: a refused attempt leaves no trace.
pub fn decide(
    record: Option<&Record>,
    listing: &Listing,
    tenant: &Tenant,
    now: Timestamp,
    policy: &Policy,
) -> Decision {
    let Some(record) = record else {
        return decide_on_lists(listing, Standing::Clear, policy);
    };
    let record = settled(record, now, policy);
    let standing = Standing::of(&record, tenant, now, policy);
    if listing.allowed {
        return decide_on_lists(listing, standing, policy);
    }
    if let Some(note) = &record.allowed {
        let decision = Decision::forward(Standing::Allowed, Reason::Allowed);
        return Decision { since: Some(note.since), id: Some(note.id.clone()), ..decision };
    }
    if let Some(entry) = record.blacklists.get(tenant) {
        let note = &entry.note;
        let values = Values { since: note.since.date(), id: &note.id.0, ..Values::default() };
        return Decision {
            verdict: refusal(&policy.replies.blacklist, &values),
            since: Some(note.since),
            id: Some(note.id.clone()),
            ..Decision::forward(standing, Reason::Blacklist)
        };
    }
    match Holding::of(&record, now) {
        Some(holding) => quarantined(holding, standing, now, policy),
        None => decide_on_lists(listing, standing, policy),
    }
}

fn decide_on_lists(listing: &Listing, standing: Standing, policy: &Policy) -> Decision {
    if listing.allowed {
        return Decision::forward(Standing::Allowed, Reason::Allowed);
    }
    let Some(entry) = &listing.disposable else {
        return Decision::forward(standing, Reason::None);
    };
    let values = Values { entry, ..Values::default() };
    Decision {
        verdict: refusal(&policy.replies.disposable, &values),
        ..Decision::forward(standing, Reason::Disposable)
    }
}

fn quarantined(
    holding: Holding<'_>,
    standing: Standing,
    now: Timestamp,
    policy: &Policy,
) -> Decision {
    let replies = &policy.replies;
    let (reason, template) = match (holding, holding.until()) {
        (Holding::Manual(_), _) => (Reason::Manual, &replies.manual),
        (Holding::Imported(_), _) => (Reason::Imported, &replies.imported),
        (Holding::Learnt(_), None) => (Reason::QuarantineLongTerm, &replies.quarantine_long_term),
        (Holding::Learnt(_), Some(until)) if until.since(now) <= policy.defer_within => {
            (Reason::Quarantine, &replies.quarantine_ending)
        }
        (Holding::Learnt(_), Some(_)) => (Reason::Quarantine, &replies.quarantine),
    };
    let (since, id) = match holding {
        Holding::Manual(manual) => (manual.note.since, &manual.note.id),
        Holding::Learnt(learnt) => (learnt.since, &learnt.cause.id),
        Holding::Imported(entry) => (entry.note.since, &entry.note.id),
    };
    let values = Values {
        why: holding
            .category()
            .map(|category| category.name().replace('_', " "))
            .unwrap_or_default()
            .into(),
        since: since.date(),
        until: holding.until().map(Timestamp::date).unwrap_or_default(),
        reply: holding.cause().map_or("", |cause| &cause.reply),
        id: &id.0,
        entry: "",
        source: match holding {
            Holding::Imported(entry) => &entry.source,
            Holding::Manual(_) | Holding::Learnt(_) => "",
        },
    };
    Decision {
        verdict: refusal(template, &values),
        standing,
        reason,
        since: Some(since),
        until: holding.until(),
        id: Some(id.clone()),
        category: holding.category(),
    }
}

/// The class of the code tells a refusal from a deferral, so the operator's choice of code is the choice between them.
fn refusal(template: &Template, values: &Values<'_>) -> Verdict {
    let reply = template.fill(values);
    if reply.is_permanent() { Verdict::Refuse(reply) } else { Verdict::Defer(reply) }
}

impl Decision {
    const fn forward(standing: Standing, reason: Reason) -> Self {
        Self {
            verdict: Verdict::Forward,
            standing,
            reason,
            since: None,
            until: None,
            id: None,
            category: None,
        }
    }
}

impl Verdict {
    /// The name as logs and answers have it.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Forward => "forward",
            Self::Refuse(_) => "refuse",
            Self::Defer(_) => "defer",
        }
    }

    /// What the client gets instead of the downstream's reply.
    pub const fn reply(&self) -> Option<&Reply> {
        match self {
            Self::Forward => None,
            Self::Refuse(reply) | Self::Defer(reply) => Some(reply),
        }
    }
}

impl Reason {
    /// The name as logs and answers have it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Allowed => "allowed",
            Self::Blacklist => "blacklist",
            Self::Quarantine => "quarantine",
            Self::QuarantineLongTerm => "quarantine_long_term",
            Self::Manual => "manual",
            Self::Disposable => "disposable",
            Self::Imported => "imported",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
