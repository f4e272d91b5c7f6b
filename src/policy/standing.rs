//! What a record means for one tenant at one time.

use std::fmt;

use super::episode::is_open;
use super::record::{Cause, Import, Learnt, Manual, Record};
use super::settings::Policy;
use crate::bounce::Category;
use crate::event::Tenant;
use crate::time::Timestamp;

/// What the fold of an address's events says now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Nothing counts against it.
    Clear,
    /// Something counts against it, not enough to refuse it.
    OnWatch,
    /// Refused until then, to all tenants.
    Quarantined {
        /// The moment of release.
        until: Timestamp,
    },
    /// Refused for good, to all tenants.
    QuarantinedLongTerm,
    /// Refused for good, to this tenant.
    Blacklisted,
    /// Never refused.
    Allowed,
}

/// The quarantine that holds: manual entries beat the others, of which the longer one holds.
#[derive(Clone, Copy, Debug)]
pub(super) enum Holding<'a> {
    Manual(&'a Manual),
    Learnt(&'a Learnt),
    Imported(&'a Import),
}

impl Standing {
    /// The standing at `now`. The record must be settled (`policy::settled`).
    pub fn of(record: &Record, tenant: &Tenant, now: Timestamp, policy: &Policy) -> Self {
        if record.allowed.is_some() {
            return Self::Allowed;
        }
        if record.blacklists.contains_key(tenant) {
            return Self::Blacklisted;
        }
        match Holding::of(record, now) {
            Some(holding) => holding
                .until()
                .map_or(Self::QuarantinedLongTerm, |until| Self::Quarantined { until }),
            None if record.hard.count > 0 || record.soft.count > 0 => Self::OnWatch,
            None if is_open(record, now, policy) => Self::OnWatch,
            None => Self::Clear,
        }
    }

    /// The name as logs, records and answers have it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Clear => "clear",
            Self::OnWatch => "on_watch",
            Self::Quarantined { .. } => "quarantined",
            Self::QuarantinedLongTerm => "quarantined_long_term",
            Self::Blacklisted => "blacklisted",
            Self::Allowed => "allowed",
        }
    }
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl<'a> Holding<'a> {
    pub(super) fn of(record: &'a Record, now: Timestamp) -> Option<Self> {
        let manual = record.manual.as_deref().filter(|manual| manual.holds(now)).map(Self::Manual);
        let learnt = record.learnt.as_ref().filter(|learnt| learnt.holds(now)).map(Self::Learnt);
        let imported =
            record.imported.as_deref().filter(|entry| entry.holds(now)).map(Self::Imported);
        manual.or(match (learnt, imported) {
            (Some(learnt), Some(imported)) if imported.outlasts(learnt) => Some(imported),
            (Some(learnt), _) => Some(learnt),
            (None, imported) => imported,
        })
    }

    fn outlasts(self, other: Self) -> bool {
        match (self.until(), other.until()) {
            (_, None) => false,
            (None, Some(_)) => true,
            (Some(until), Some(other)) => until > other,
        }
    }

    pub(super) const fn until(self) -> Option<Timestamp> {
        match self {
            Self::Manual(manual) => manual.until,
            Self::Learnt(learnt) => learnt.until,
            Self::Imported(entry) => entry.until,
        }
    }

    pub(super) const fn cause(self) -> Option<&'a Cause> {
        match self {
            Self::Manual(_) | Self::Imported(_) => None,
            Self::Learnt(learnt) => Some(&learnt.cause),
        }
    }

    pub(super) fn category(self) -> Option<Category> {
        match self {
            Self::Manual(_) => None,
            Self::Learnt(learnt) => Some(learnt.cause.category),
            Self::Imported(entry) => entry.category,
        }
    }
}
