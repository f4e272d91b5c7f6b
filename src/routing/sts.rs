//! MTA-STS (RFC 8461): the record that announces a policy, the policy itself, and when it is to be fetched.
//!
//! A policy belongs to a recipient domain, never to a mail host that several domains share.

mod policy;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

pub use policy::{Mode, Pattern, Policy, PolicyFault, TEXT_MAX, is_host_name};

use crate::time::Timestamp;

/// Longest id of a policy, in octets (RFC 8461 §3.1).
const ID_MAX: usize = 32;
/// A policy that is used is fetched again after so long, well before it ends (RFC 8461 §10.2).
const REFRESH_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

/// The id of a policy: when it differs from the one that is known, the policy has changed. 1 to 32 letters and digits.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PolicyId(String);

impl PolicyId {
    /// An id, if this is one.
    pub fn new(text: &str) -> Option<Self> {
        let is_id = (1..=ID_MAX).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
        is_id.then(|| Self(text.to_owned()))
    }

    /// The id in the TXT records of `_mta-sts.DOMAIN`, each with its strings joined. `None` when not exactly one of them is
    /// about MTA-STS, or that one is malformed: then the domain has no policy (RFC 8461 §3.1).
    pub fn announced<S: AsRef<str>>(records: &[S]) -> Option<Self> {
        let mut bodies = records.iter().filter_map(|one| one.as_ref().strip_prefix("v=STSv1;"));
        let body = bodies.next()?;
        if bodies.next().is_some() {
            return None;
        }
        let fields = body.split(';').map(|field| field.trim_matches([' ', '\t']));
        let mut fields = fields.filter(|field| !field.is_empty());
        fields.find_map(|field| field.strip_prefix("id=")).and_then(Self::new)
    }
}

impl fmt::Display for PolicyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What the record of a domain says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// There is a policy, with this id.
    Policy(PolicyId),
    /// There is none; or an attacker keeps it from us, which looks the same.
    Nothing,
    /// The look-up failed.
    Unknown,
}

/// A policy as it was fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cached {
    /// Which one it is.
    pub id: PolicyId,
    /// What it says.
    pub policy: Arc<Policy>,
    /// When it was fetched.
    pub fetched: Timestamp,
}

impl Cached {
    /// When it ends: nothing that DNS or the policy's host says shortens its life, or an attacker could end it (RFC 8461 §5.1).
    pub fn until(&self) -> Timestamp {
        self.fetched.plus(self.policy.max_age)
    }

    /// Whether it is in force.
    pub fn applies(&self, now: Timestamp) -> bool {
        now < self.until()
    }

    /// Whether it is time to fetch it again, though it is in force: after a day, or half its life when that is shorter.
    pub fn is_due(&self, now: Timestamp) -> bool {
        now.since(self.fetched) >= REFRESH_AFTER.min(self.policy.max_age / 2)
    }
}

/// What is to be done about a domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step<'a> {
    /// This policy is in force.
    Use(&'a Cached),
    /// Fetch the policy that has this id. When that fails, one that is known and in force goes on (RFC 8461 §5.1); without one
    /// there is none.
    Fetch(&'a PolicyId),
    /// There is no policy.
    None,
}

/// What is to be done about a domain of which this is known, whose record says this. Total.
pub fn step<'a>(cached: Option<&'a Cached>, record: &'a Record, now: Timestamp) -> Step<'a> {
    let cached = cached.filter(|cached| cached.applies(now));
    match (cached, record) {
        (Some(cached), Record::Policy(id)) if cached.id == *id => Step::Use(cached),
        (_, Record::Policy(id)) => Step::Fetch(id),
        (Some(cached), Record::Nothing | Record::Unknown) => Step::Use(cached),
        (None, Record::Nothing | Record::Unknown) => Step::None,
    }
}
