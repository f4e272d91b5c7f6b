//! What the fold remembers of one address. Bounded in size; what it forgets is in the journal.
//!
//! Serialised with postcard, which has no names: fields and variants are told by their order, so no attribute of serde here may
//! skip, flatten or untag anything.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::settings::Distinct;
use super::text::{bounded, one_line, set_bounded, set_line};
use crate::bounce::{Category, Stage};
use crate::event::{Context, Event, EventId, Evidence, ImportKind, Imported, Tenant};
use crate::time::Timestamp;

/// Most episodes remembered at once, open ones and those already counted.
pub const EPISODES_MAX: usize = 8;
/// Most message or campaign keys remembered of one run.
pub const KEYS_MAX: usize = 16;

/// What stands where a cause has its rule, before the name of the import that brought it. No rule's name has a space.
const BROUGHT_BY: &str = "import ";

/// Everything that the fold remembers of one address. The default is an address of which nothing is known. What few addresses have is in
/// a box: a record is moved at every step.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Hard bounces since the address last proved good.
    pub hard: Run,
    /// Soft bounces since then; each is a step.
    pub soft: Run,
    /// Messages that are being deferred, and those whose attempts were counted already.
    pub episodes: Vec<Episode>,
    /// The quarantine that replies earned. It stays when it is over, until something replaces or lifts it.
    pub learnt: Option<Learnt>,
    /// The quarantine that an operator ordered.
    pub manual: Option<Box<Manual>>,
    /// The tenants for which the address is blacklisted. As many as the operator has tenants.
    pub blacklists: BTreeMap<Tenant, Blacklisting>,
    /// An operator's word that the address may always be written to.
    pub allowed: Option<Box<Note>>,
    /// When an operator released the address from quarantine, if nothing happened since: the next hard quarantines at once.
    pub released: Option<Timestamp>,
    /// The latest delivery or release: evidence that is dated before it is answered already.
    pub cleared: Option<Timestamp>,
    /// Refusals for the sender's name, means or content in a row, if the policy counts them. They move nothing.
    pub blocked: Run,
    /// The quarantine that another system had.
    pub imported: Option<Box<Import>>,
    /// When one of that kind was last released: what is dated before it comes back by no import.
    pub import_released: Option<Timestamp>,
    /// The latest evidence that an outage keeps from counting, if the address has not proved good since. It moves nothing: it makes
    /// the gate keep the delivery that answers what may be applied later.
    pub held: Option<Timestamp>,
    /// When the address was last released from the blacklist of a tenant, which holds for imports as `import_released` does.
    pub blacklist_released: BTreeMap<Tenant, Timestamp>,
}

/// Bounces in a row.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// How many were counted.
    pub count: u32,
    /// The first counted one.
    pub first: Option<Timestamp>,
    /// The latest counted one.
    pub last: Option<Timestamp>,
    /// The latest messages that had their say, so that none has it twice; of one without a key, the event's own name.
    pub messages: Vec<String>,
    /// The latest campaigns that were counted, when the policy counts those.
    pub campaigns: Vec<String>,
}

/// Attempts of one message that were deferred.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Episode {
    /// What holds the attempts together.
    pub key: EpisodeKey,
    /// The first attempt.
    pub first: Timestamp,
    /// The latest attempt.
    pub last: Timestamp,
    /// Whether it has become a soft bounce: further attempts change nothing.
    pub counted: bool,
    /// The campaign of the message.
    pub campaign: String,
    /// The latest attempt that mattered.
    pub cause: Cause,
}

/// What holds the attempts of a message together: the best that is known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum EpisodeKey {
    /// The message key.
    Message(String),
    /// The envelope sender, within the window.
    Sender(String),
    /// Nothing but the recipient, within the window.
    Recipient,
}

/// The observation that decided something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cause {
    /// The event.
    pub id: EventId,
    /// Why.
    pub category: Category,
    /// The command that was answered; RCPT of what another gate had learnt, since it is not told which that was.
    pub stage: Stage,
    /// The reply, cut and on one line.
    pub reply: String,
    /// The rule that read it, or [`Cause::batch`] as this field has it: ask [`Cause::rule`].
    pub rule: String,
    /// On whose account it was learnt, because all tenants share it.
    pub tenant: Tenant,
}

/// A quarantine earned by replies, to this gate or to one that it was moved from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Learnt {
    /// The date of the bounce.
    pub since: Timestamp,
    /// The moment of release; for good without.
    pub until: Option<Timestamp>,
    /// The bounce.
    pub cause: Cause,
}

/// An operator's quarantine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manual {
    /// The moment of release; for good without.
    pub until: Option<Timestamp>,
    /// Who, when and why.
    pub note: Note,
}

/// A quarantine that another system had. A delivery does not lift it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Import {
    /// The moment of release; for good without.
    pub until: Option<Timestamp>,
    /// What the other system said of the address.
    pub kind: ImportKind,
    /// Why, as far as it is known.
    pub category: Option<Category>,
    /// The other system.
    pub source: String,
    /// The import that brought it.
    pub batch: String,
    /// The other system's reason or reply, cut and on one line.
    pub detail: String,
    /// Since when: the date of the entry there, else of the import; who imported it, and why.
    pub note: Note,
}

/// Who said so, when and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// When.
    pub since: Timestamp,
    /// The event.
    pub id: EventId,
    /// Why, in the operator's words.
    pub reason: String,
    /// Who.
    pub by: String,
}

/// One tenant's blacklist entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blacklisting {
    /// Who wanted it first.
    pub origin: Origin,
    /// When the recipient complained, whoever made the entry.
    pub complained: Option<Timestamp>,
    /// Who, when and why; of a complaint, where it came from.
    pub note: Note,
}

/// Who wanted a blacklist entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// The recipient.
    Complaint,
    /// An operator.
    Operator,
    /// Another system, of which it was imported.
    Import,
}

impl Record {
    /// Whether nothing is known: such a record need not be stored.
    pub fn is_blank(&self) -> bool {
        *self == Self::default()
    }

    /// Whether a delivery would change anything, so whether it must be journaled.
    pub fn awaits_delivery(&self) -> bool {
        self.held.is_some() || self.can_be_cleared()
    }

    /// Whether it is quarantined for good by what was learnt: one more refusal is no news.
    pub fn is_gone(&self) -> bool {
        self.learnt.as_ref().is_some_and(|learnt| learnt.until.is_none())
    }

    /// Whether there is anything that a proof of the mailbox clears.
    pub(super) fn can_be_cleared(&self) -> bool {
        self.hard != Run::default()
            || self.soft != Run::default()
            || !self.episodes.is_empty()
            || self.learnt.is_some()
            || self.released.is_some()
            || self.blocked != Run::default()
    }

    /// Begins all counts again, whatever is not newer than `at`.
    pub(super) fn reset(&mut self, at: Timestamp) {
        self.hard.reset(at);
        self.soft.reset(at);
        self.blocked.reset(at);
    }

    /// Whether evidence of this date is answered by a later delivery or release.
    pub(super) fn answers(&self, at: Timestamp) -> bool {
        self.cleared.is_some_and(|cleared| cleared > at)
    }
}

impl Learnt {
    /// Whether it holds at `now`; no longer at the very moment of release.
    pub fn holds(&self, now: Timestamp) -> bool {
        self.until.is_none_or(|until| now < until)
    }

    /// Whether this one stands and the other does not: one for good beats one that ends, then the one that ends later stands.
    pub(super) fn outlasts(&self, other: &Self) -> bool {
        let weight = |learnt: &Self| (learnt.until.is_none(), learnt.until, learnt.since);
        weight(self) > weight(other)
    }
}

impl Import {
    /// Whether it holds at `now`; no longer at the very moment of release.
    pub fn holds(&self, now: Timestamp) -> bool {
        self.until.is_none_or(|until| now < until)
    }

    /// Whether this entry stands and the other does not: one for good beats one that ends, then the newer one stands.
    pub(super) fn outlasts(&self, other: &Self) -> bool {
        let weight = |entry: &Self| (entry.until.is_none(), entry.note.since);
        weight(self) > weight(other)
    }
}

impl Manual {
    /// Whether it holds at `now`; no longer at the very moment of release.
    pub fn holds(&self, now: Timestamp) -> bool {
        self.until.is_none_or(|until| now < until)
    }
}

impl Run {
    /// Counts one bounce of this date; dates may come out of order.
    pub(super) fn count(&mut self, at: Timestamp) {
        self.count = self.count.saturating_add(1);
        self.first = Some(self.first.map_or(at, |first| first.min(at)));
        self.last = Some(self.last.map_or(at, |last| last.max(at)));
    }

    /// From the first counted bounce to the latest.
    pub fn span(&self) -> Duration {
        match (self.first, self.last) {
            (Some(first), Some(last)) => last.since(first),
            (None, _) | (_, None) => Duration::ZERO,
        }
    }

    /// Forgets everything unless it has seen a bounce after `at`.
    pub(super) fn reset(&mut self, at: Timestamp) {
        if self.last.is_none_or(|last| last <= at) {
            *self = Self::default();
        }
    }

    /// Notes a message; false if it had its say already. Without a key every final reply ends a message of its own, and the event's
    /// name tells a second one from the same one delivered again.
    pub(super) fn is_new_message(&mut self, event: &Event, context: &Context) -> bool {
        remember(&mut self.messages, context.message.as_deref().unwrap_or(&event.id.0))
    }

    /// Notes a campaign; false if it was there already and the policy counts campaigns.
    pub(super) fn is_new_campaign<'a>(
        &mut self,
        distinct: Distinct,
        campaign: impl FnOnce() -> Cow<'a, str>,
    ) -> bool {
        match distinct {
            Distinct::Message => true,
            Distinct::Campaign => remember(&mut self.campaigns, &campaign()),
        }
    }
}

impl EpisodeKey {
    /// The best key that the context offers.
    pub(super) fn of(context: &Context) -> Self {
        match (&context.message, &context.sender) {
            (Some(message), _) => Self::Message(bounded(message).into_owned()),
            (None, Some(sender)) => Self::Sender(bounded(sender).into_owned()),
            (None, None) => Self::Recipient,
        }
    }

    /// Whether `of(context)` would be this key.
    pub(super) fn is_of(&self, context: &Context) -> bool {
        match (self, &context.message, &context.sender) {
            (Self::Message(key), Some(message), _) => *key == bounded(message),
            (Self::Sender(key), None, Some(sender)) => *key == bounded(sender),
            (Self::Recipient, None, None) => true,
            (Self::Message(_), None, _)
            | (Self::Sender(_), Some(_), _)
            | (Self::Sender(_), None, None)
            | (Self::Recipient, Some(_), _)
            | (Self::Recipient, None, Some(_)) => false,
        }
    }

    /// Whether the client named the message, so that nothing else can be taken for it.
    pub(super) const fn is_message(&self) -> bool {
        matches!(self, Self::Message(_))
    }
}

impl Cause {
    pub(super) fn of(event: &Event, evidence: &Evidence) -> Self {
        Self {
            id: event.id.clone(),
            category: evidence.category,
            stage: evidence.stage,
            reply: one_line(&evidence.reply),
            rule: bounded(&evidence.rule).into_owned(),
            tenant: event.tenant.clone(),
        }
    }

    /// The rule that read the reply; unknown of what another gate had learnt.
    pub fn rule(&self) -> Option<&str> {
        self.batch().is_none().then_some(&*self.rule)
    }

    /// The import that brought it, if another gate had learnt it.
    pub fn batch(&self) -> Option<&str> {
        self.rule.strip_prefix(BROUGHT_BY)
    }

    /// That of an entry which another gate had learnt; the rule that read the reply is not known here.
    pub(super) fn imported(event: &Event, imported: &Imported) -> Self {
        Self {
            id: event.id.clone(),
            category: imported.category.unwrap_or(Category::Undetermined),
            stage: Stage::Rcpt,
            reply: one_line(&imported.detail),
            rule: bounded(&format!("{BROUGHT_BY}{}", imported.batch)).into_owned(),
            tenant: event.tenant.clone(),
        }
    }

    /// What [`Self::of`] makes, in the memory of the one before: the attempts of a message are many and much alike.
    pub(super) fn set(&mut self, event: &Event, evidence: &Evidence) {
        let Self { id, category, stage, reply, rule, tenant } = self;
        id.0.clone_from(&event.id.0);
        (*category, *stage) = (evidence.category, evidence.stage);
        set_line(reply, &evidence.reply);
        set_bounded(rule, &evidence.rule);
        tenant.0.clone_from(&event.tenant.0);
    }
}

/// Notes a key among the latest few; false if it was there already.
pub(super) fn remember(keys: &mut Vec<String>, key: &str) -> bool {
    let key = bounded(key);
    if keys.iter().any(|known| *known == key) {
        return false;
    }
    if keys.len() >= KEYS_MAX {
        keys.remove(0);
    }
    keys.push(key.into_owned());
    true
}
