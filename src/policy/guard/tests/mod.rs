//! Outages told as streams of outcomes.

mod bounds;
mod filter;
mod outages;
mod properties;
mod quiet;

use super::*;
use crate::smtp::address::RecipientKey;

pub(super) const MINUTE: i64 = 60;
pub(super) const HOUR: i64 = 3600;
pub(super) const DAY: i64 = 24 * HOUR;

/// Seconds after the start of the story.
pub(super) fn at(secs: i64) -> Timestamp {
    Timestamp::from_secs(1_767_225_600 + secs)
}

pub(super) fn key(address: &str) -> RecipientKey {
    RecipientKey::parse(address).expect("an address")
}

pub(super) fn gmail() -> OutageKey {
    OutageKey::Domain("gmail.com".to_owned())
}

/// A guard, and all that it has said.
pub(super) struct World {
    pub guard: Guard,
    pub said: Vec<Notice>,
}

impl World {
    pub(super) fn new() -> Self {
        Self::with(OutageSettings { capacity: 100_000, ..OutageSettings::default() })
    }

    pub(super) fn with(settings: OutageSettings) -> Self {
        Self { guard: Guard::new(settings, 1), said: Vec::new() }
    }

    pub(super) fn saw(&mut self, secs: i64, address: &str, receiver: &str, outcome: Outcome) {
        let receiver = Some(receiver).filter(|receiver| !receiver.is_empty());
        let address = key(address);
        let seen = Observation { address: &address, receiver, at: at(secs), outcome };
        self.said.extend(self.guard.observe(&seen));
    }

    pub(super) fn accepts(&mut self, secs: i64, address: &str, receiver: &str) {
        self.saw(secs, address, receiver, Outcome::Accepted);
    }

    pub(super) fn refuses(&mut self, secs: i64, address: &str, receiver: &str) {
        self.saw(secs, address, receiver, Outcome::HardRefused);
    }

    /// So many users of a domain are good from `secs` on.
    pub(super) fn accepts_all(&mut self, secs: i64, users: std::ops::Range<usize>, domain: &str) {
        for user in users {
            self.accepts(secs, &format!("user{user}@{domain}"), "");
        }
    }

    pub(super) fn trips(&self) -> Vec<&OutageKey> {
        let trips = self.said.iter().filter_map(|notice| match notice {
            Notice::Trip { key, .. } => Some(key),
            Notice::Ended { .. } => None,
        });
        trips.collect()
    }
}
