//! What another system knew of an address, as an import brought it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Act;
use crate::bounce::Category;
use crate::time::Timestamp;

/// Longest reason or reply of an entry, in bytes.
pub const DETAIL_MAX: usize = 500;
/// No list has an entry from before then (1990): reports that a program can read came with RFC 1894, in 1996. Such a date is a slip.
pub const EARLIEST: Timestamp = Timestamp::from_secs(631_152_000);
/// How far a date may lie ahead of this clock: another clock, or a time that was written without its zone.
const AHEAD_MAX: Duration = Duration::from_secs(86_400);

/// The date of an entry, if it can be one.
///
/// # Errors
/// Says why it cannot.
pub fn fit_date(dated: Timestamp, now: Timestamp) -> Result<Timestamp, &'static str> {
    match dated {
        _ if dated < EARLIEST => Err("lies before 1990: no list is that old"),
        _ if dated > now.plus(AHEAD_MAX) => Err("lies in the future"),
        _ => Ok(dated),
    }
}

/// The end of an entry, if it can be one.
///
/// # Errors
/// Says why it cannot.
pub fn fit_end(until: Timestamp) -> Result<Timestamp, &'static str> {
    match until {
        _ if until < EARLIEST => Err("lies before 1990: no list is that old"),
        // What the journal cannot say, it would not take.
        _ if until.to_string().parse() != Ok(until) => Err("lies later than can be written down"),
        _ => Ok(until),
    }
}

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
    /// A hard or soft entry that a gate had learnt from replies: what lifts such a quarantine lifts this one.
    #[serde(default, skip_serializing_if = "is_false")]
    pub learnt: bool,
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

    /// Whether an entry goes to the blacklist of a tenant, which must then be named.
    pub fn blacklists(self, forced: bool) -> bool {
        matches!(self, Self::Complaint | Self::Unsubscribe) && !forced
    }

    /// Whether entries of this kind can be what a gate has learnt from replies.
    pub const fn is_bounce(self) -> bool {
        match self {
            Self::Hard | Self::Soft => true,
            Self::Blocked | Self::Complaint | Self::Unsubscribe | Self::Active | Self::Allowed => {
                false
            }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_of_our_time_and_an_end_can_be_written_down() {
        let now = Timestamp::from_secs(1_767_225_600);
        let at = |text: &str| text.parse::<Timestamp>().expect("a time");
        assert_eq!(fit_date(EARLIEST, now), Ok(at("1990-01-01T00:00:00Z")));
        for bad in ["1989-12-31T23:59:59Z", "0001-06-01T00:00:00Z", "2026-01-02T00:00:01Z"] {
            assert!(fit_date(at(bad), now).is_err(), "{bad}");
        }
        assert_eq!(fit_end(at("9999-12-30T00:00:00Z")), Ok(at("9999-12-30T00:00:00Z")));
        for bad in [at("1989-12-31T23:59:59Z"), Timestamp::from_millis(i64::MAX)] {
            assert!(fit_end(bad).is_err(), "{bad}");
        }
    }
}
