//! What the guard is told and what it says.

use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::rules::Sign;
use crate::routing::receiver::organisation;
use crate::smtp::address::RecipientKey;
use crate::time::Timestamp;

/// Under what an outage is seen.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutageKey {
    /// The organisation of the receivers ([`organisation`]): `google.com`.
    Receiver(String),
    /// The domain of the recipients.
    Domain(String),
}

/// What came of one recipient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Refused for good as unknown: evidence whose effect is hard.
    HardRefused,
    /// A message was accepted for it, or it proved to exist in another way.
    Accepted,
    /// Anything else. It says nothing here.
    Other,
}

/// One outcome, to be watched.
#[derive(Clone, Copy, Debug)]
pub struct Observation<'a> {
    /// Whose outcome it is.
    pub address: &'a RecipientKey,
    /// Who said so: a host's name, a port may follow.
    pub receiver: Option<&'a str>,
    /// When.
    pub at: Timestamp,
    /// What.
    pub outcome: Outcome,
}

/// What the guard has found out.
#[derive(Clone, Debug, PartialEq)]
pub enum Notice {
    /// An outage: hard evidence under the key is to be held, from `since` on. Said again of one that lasts, it is the same outage
    /// with an earlier beginning.
    Trip {
        /// Under what.
        key: OutageKey,
        /// The first refusal of the window, so before the alarm.
        since: Timestamp,
        /// When it was found out.
        at: Timestamp,
        /// What gave it away; nothing of one that was resumed.
        sign: Option<Sign>,
    },
    /// The outage is over: evidence from `until` on counts.
    Ended {
        /// Under what.
        key: OutageKey,
        /// The end.
        until: Timestamp,
    },
}

impl OutageKey {
    /// The key as evidence has it: whether evidence about this domain, from this receiver, is under it.
    pub fn covers(&self, domain: &str, receiver: Option<&str>) -> bool {
        match self {
            Self::Domain(name) => name == domain,
            Self::Receiver(name) => receiver.and_then(named).is_some_and(|own| own == *name),
        }
    }
}

impl fmt::Display for OutageKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Receiver(name) => write!(f, "receiver {name}"),
            Self::Domain(name) => write!(f, "domain {name}"),
        }
    }
}

/// The organisation of a receiver that has a name. An address is that of one machine among many of its owner's.
pub(super) fn named(receiver: &str) -> Option<String> {
    let name = organisation(receiver);
    (!name.is_empty() && name.parse::<IpAddr>().is_err()).then_some(name)
}
