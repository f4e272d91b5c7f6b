//! Under what an outage of a receiver is seen, and which evidence is under it.

use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::routing::receiver::organisation;

/// Under what an outage is seen.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutageKey {
    /// The organisation of the receivers ([`organisation`]): `google.com`.
    Receiver(String),
    /// The domain of the recipients.
    Domain(String),
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
pub fn named(receiver: &str) -> Option<String> {
    let name = organisation(receiver);
    (!name.is_empty() && name.parse::<IpAddr>().is_err()).then_some(name)
}
