//! What another system knew of an address, as an import brought it.

use serde::{Deserialize, Serialize};

use super::Act;
use crate::bounce::Category;
use crate::time::Timestamp;

/// An entry of another system's list. The event's time is that of the import.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Imported {
    /// What the other system says of the address.
    pub kind: ImportKind,
    /// Which system, as the operator calls it: a plain word.
    pub source: String,
    /// The import that brought it: all events of one import have the same.
    pub batch: String,
    /// The row of the file, from 1, heading not counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub row: Option<u64>,
    /// The date of the entry there, as far as it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dated: Option<Timestamp>,
    /// When the quarantine ends; `soft` without it lasts as long as the policy's first step, everything else for good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// Why, as far as it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category: Option<Category>,
    /// The other system's reason or the reply that it kept, cut.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
    /// An unsubscribe that goes into the quarantine all the same, because the operator insisted.
    #[serde(default, skip_serializing_if = "is_false")]
    pub forced: bool,
    /// Whether it counts although an operator has released the address and it has no date of its own.
    #[serde(default, skip_serializing_if = "is_false")]
    pub again: bool,
    /// Who imported it, and why.
    #[serde(flatten)]
    pub act: Act,
}

impl Imported {
    /// Since when the entry counts, in an event of that time: its date, which no clock of another system makes later.
    pub fn since(&self, at: Timestamp) -> Timestamp {
        self.dated.map_or(at, |dated| dated.min(at))
    }
}

/// What another system says of an address, and so what becomes of it here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ImportKind {
    /// The mailbox does not exist: long-term quarantine.
    Hard,
    /// The mailbox was full or inactive: temporary quarantine.
    Soft,
    /// Suppressed for another reason, or by hand: quarantine, long-term unless an end is given.
    Blocked,
    /// The recipient called a message spam: blacklist of the tenant.
    Complaint,
    /// The recipient wants no more: blacklist of the tenant, never quarantine unless forced.
    Unsubscribe,
    /// The mailbox works: counts and what replies earned are reset. Lifts nothing that people or imports ordered.
    Active,
    /// Never to be refused.
    Allowed,
}

impl ImportKind {
    /// All of them, in the order of reports.
    pub const ALL: [Self; 7] = [
        Self::Hard,
        Self::Soft,
        Self::Blocked,
        Self::Complaint,
        Self::Unsubscribe,
        Self::Active,
        Self::Allowed,
    ];

    /// As JSON, files and the command line have it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hard => "hard",
            Self::Soft => "soft",
            Self::Blocked => "blocked",
            Self::Complaint => "complaint",
            Self::Unsubscribe => "unsubscribe",
            Self::Active => "active",
            Self::Allowed => "allowed",
        }
    }

    /// The kind of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
const fn is_false(flag: &bool) -> bool {
    !*flag
}
