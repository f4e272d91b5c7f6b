//! The figures of a gate.

use serde::{Deserialize, Serialize};

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
    /// Refusals that move no standing and were written down all the same.
    #[serde(default)]
    pub noted: u64,
    /// Such refusals that were left out because too much waited for the disk.
    #[serde(default)]
    pub left_out: u64,
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
    /// Outages of receivers that last.
    #[serde(default)]
    pub outages: u64,
    /// Outages, those that last among them, of which nobody has said what they were.
    #[serde(default)]
    pub unresolved: u64,
    /// Evidence that was held, since the start.
    #[serde(default)]
    pub held: u64,
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
