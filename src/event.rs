//! Events: the lines of the journal, and all that a standing is folded from. Beside them stand orders about them ([`order`]).

pub mod order;
pub mod outage;
pub mod select;

mod imported;
mod parts;

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::bounce::{Category, Effect, Scope, Stage};
use crate::smtp::address::RecipientKey;
use crate::time::Timestamp;

pub use imported::{DETAIL_MAX, ImportKind, Imported, fit_date, fit_end};

/// Names an event for good, on every node: delivering it twice changes nothing.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EventId(pub String);

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A licence or customer of the sending platform. Quarantine is shared by all tenants; a blacklist belongs to one.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Tenant(pub String);

impl Tenant {
    /// A tenant of this name. It stands in logs, journals and URLs, so it is one plain word.
    ///
    /// # Errors
    /// Says what such a name may consist of.
    pub fn named(text: &str) -> Result<Self, String> {
        plain_word(text).map(|word| Self(word.to_owned()))
    }
}

/// A word that may stand in logs, journals, URLs and replies as it is.
///
/// # Errors
/// Says what such a word may consist of.
pub fn plain_word(text: &str) -> Result<&str, String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if (1..=64).contains(&text.len()) && text.chars().all(plain) {
        Ok(text)
    } else {
        Err("expected 1 to 64 letters, digits, - _ or .".to_owned())
    }
}

impl Default for Tenant {
    fn default() -> Self {
        Self("default".to_owned())
    }
}

impl fmt::Display for Tenant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Something that happened to one recipient.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// The event's own name.
    pub id: EventId,
    /// When it happened.
    pub at: Timestamp,
    /// To whom.
    pub address: RecipientKey,
    /// On whose account.
    #[serde(default)]
    pub tenant: Tenant,
    /// What happened.
    #[serde(flatten)]
    pub what: What,
}

impl Event {
    /// What it is, in a word: the category of a reply, `delivered`, `complaint`, `engaged`, `imported`, or the name of an operator's act.
    pub const fn kind(&self) -> &'static str {
        match &self.what {
            What::Reply(evidence) => evidence.category.name(),
            What::Delivered(_) => "delivered",
            What::Complaint { .. } => "complaint",
            What::Engaged => "engaged",
            What::Quarantine { .. } => "quarantine",
            What::Blacklist { .. } => "blacklist",
            What::Allow { .. } => "allow",
            What::Release { .. } => "release",
            What::Imported(_) => "imported",
        }
    }
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum What {
    /// A downstream reply refused the recipient.
    Reply(Evidence),
    /// The message was accepted for the recipient: 250 to end-of-data. RCPT alone proves nothing.
    Delivered(Delivery),
    /// The recipient called a message spam.
    Complaint {
        /// Where the complaint came from.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        source: Option<String>,
    },
    /// The recipient opened or clicked.
    Engaged,
    /// An operator quarantines the address.
    Quarantine {
        /// Until when; for good without.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<Timestamp>,
        /// Who says so, and why.
        #[serde(flatten)]
        act: Act,
    },
    /// An operator blacklists the address for the event's tenant.
    Blacklist {
        /// Who says so, and why.
        #[serde(flatten)]
        act: Act,
    },
    /// An operator allows the address, whatever is learnt about it.
    Allow {
        /// Who says so, and why.
        #[serde(flatten)]
        act: Act,
    },
    /// An operator releases the address from one list.
    Release {
        /// From which list.
        #[serde(default)]
        from: List,
        /// Who says so, and why.
        #[serde(flatten)]
        act: Act,
    },
    /// An import brought what another system knew of the address.
    Imported(Imported),
}

/// The list that a release takes an address off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum List {
    /// Quarantine, of either length and whoever made it.
    #[default]
    Quarantine,
    /// The blacklist of the event's tenant.
    Blacklist,
    /// The allow entry that an operator made.
    Allow,
}

impl List {
    /// As JSON and logs have it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Quarantine => "quarantine",
            Self::Blacklist => "blacklist",
            Self::Allow => "allow",
        }
    }
}

/// Who did it and why.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Act {
    /// Why, in the operator's words.
    #[serde(default)]
    pub reason: String,
    /// Who: a login name, an API client.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub by: String,
}

/// One observation about one recipient.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// Why it was refused.
    pub category: Category,
    /// Whom the refusal is about.
    pub scope: Scope,
    /// The command that the reply answered.
    pub stage: Stage,
    /// The reply, code and status on every line, lines joined by `\n`.
    pub reply: String,
    /// The rule that decided.
    pub rule: String,
    /// Which message of which campaign, as far as it is known.
    #[serde(flatten)]
    pub context: Context,
}

/// A message that was accepted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// The downstream's reply to end-of-data.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reply: String,
    /// Which message of which campaign, as far as it is known.
    #[serde(flatten)]
    pub context: Context,
}

/// What is known of the message that drew a reply.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Context {
    /// Tells messages apart and joins attempts of one: XFORWARD IDENT with the client's name, or ENVID. Absent when the client gave none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The envelope sender, `<>` included: joins attempts when there is no message key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sender: Option<String>,
    /// The campaign.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub campaign: Option<String>,
    /// The receiver that answered: today the downstream's name and port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receiver: Option<String>,
}

impl Evidence {
    /// Whether the reply said 5yz. A reply that does not parse is taken as 4yz, which is never hard.
    pub fn is_permanent(&self) -> bool {
        self.reply.starts_with('5')
    }

    /// What this observation can do: nothing unless it is about this recipient or its domain, and a 4yz is never hard.
    pub fn effect(&self) -> Effect {
        let about_recipient = match self.scope {
            Scope::Recipient | Scope::Domain => true,
            Scope::Session | Scope::Message => false,
        };
        match self.category.effect() {
            Effect::Hard if about_recipient && self.is_permanent() => Effect::Hard,
            Effect::Soft if about_recipient => Effect::Soft,
            Effect::Hard | Effect::Soft | Effect::None => Effect::None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_flat_line() {
        let line = r#"{"id":"01","at":"2026-11-23T10:00:00Z","address":"gone@gmail.com","tenant":"default","type":"reply","category":"user_unknown","scope":"recipient","stage":"rcpt","reply":"550 5.1.1 no","rule":"r","message":"m1"}"#;
        let event: Event = serde_json::from_str(line).expect("an event");
        assert_eq!(serde_json::to_string(&event).expect("serialises"), line);
        let line = r#"{"id":"02","at":"2026-11-23T10:00:00Z","address":"a@b.test","tenant":"t","type":"release","from":"blacklist","reason":"asked"}"#;
        let event: Event = serde_json::from_str(line).expect("an event");
        assert_eq!(serde_json::to_string(&event).expect("serialises"), line);
        let line = r#"{"id":"03","at":"2026-11-23T10:00:00Z","address":"a@b.test","tenant":"t","type":"imported","kind":"hard","source":"old-esp","batch":"b1","row":7,"dated":"2019-11-29T16:36:40Z","category":"user_unknown","detail":"550 no","reason":"move","by":"eve"}"#;
        let event: Event = serde_json::from_str(line).expect("an event");
        assert_eq!(serde_json::to_string(&event).expect("serialises"), line);
    }
}
