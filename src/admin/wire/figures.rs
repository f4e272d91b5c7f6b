//! Figures of a gate, and what a comparison of index and journal found.

use serde::{Deserialize, Serialize};

use crate::gate::VerifyReport;

/// Figures of a gate.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Figures {
    /// The version of the program.
    pub version: String,
    /// `enforce` or `monitor`.
    pub mode: String,
    /// Whether everything works.
    pub ready: bool,
    /// What does not.
    pub why: Vec<String>,
    /// Addresses that have a record; none while the index is being opened again.
    pub records: Option<u64>,
    /// Records by standing, when that was asked for: it reads all of them.
    pub standings: Option<Standings>,
    /// Client sessions open now.
    pub sessions: i64,
    /// RCPTs judged since the start.
    pub judged: u64,
    /// Events learnt since the start.
    pub learnt: u64,
    /// Events that could not be learnt.
    pub unlearnt: u64,
    /// Events whose reply no longer waited for them.
    pub late: u64,
    /// Replies that said nothing about the address.
    pub ignored: u64,
    /// Look-ups, writes to the journal and writes to the index that failed.
    pub failures: u64,
    /// Times that learning resumed after a failure.
    pub recoveries: u64,
    /// Undos in force.
    #[serde(default)]
    pub orders: u64,
    /// Imports in force, those that were undone since too.
    #[serde(default)]
    pub imports: u64,
    /// Orders that are being carried out.
    #[serde(default)]
    pub refolding: u64,
}

/// How many records have which standing. A blacklist counts once for each tenant.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names of the standings")]
pub struct Standings {
    pub clear: u64,
    pub on_watch: u64,
    pub quarantined: u64,
    pub quarantined_long_term: u64,
    pub blacklisted: u64,
    pub allowed: u64,
}

/// What a comparison of index and journal found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verified {
    /// Whether they agree.
    pub agrees: bool,
    /// Events in the journal.
    pub events: u64,
    /// Orders in the journal.
    #[serde(default)]
    pub orders: u64,
    /// Rows of imports that were never finished, or not yet: they do not count.
    #[serde(default)]
    pub unfinished: u64,
    /// Addresses that have events.
    pub addresses: u64,
    /// Records in the index.
    pub records: u64,
    /// Differences.
    pub differences: u64,
    /// The first few of them, in words.
    pub first: Vec<String>,
}

impl From<VerifyReport> for Verified {
    fn from(report: VerifyReport) -> Self {
        Self {
            agrees: report.agrees(),
            events: report.events,
            orders: report.orders,
            unfinished: report.unfinished,
            addresses: report.addresses,
            records: report.records,
            differences: report.differences,
            first: report.first,
        }
    }
}
