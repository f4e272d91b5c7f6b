//! Outages of receivers, and what an operator makes of them.

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// All outages, by their beginning in the journal.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutageReply {
    /// The outages.
    pub outages: Vec<OutageRow>,
}

/// One outage.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutageRow {
    /// Its name.
    pub id: String,
    /// Under what it is: `receiver google.com`, `domain gmail.com`.
    pub key: String,
    /// `open`: it lasts. `ended`: it is over, and nobody has said what it was. `applied`: it was none. `voided`: it was one.
    pub state: String,
    /// Evidence of then and later is held.
    pub since: Timestamp,
    /// Evidence of then and later counts; none while it lasts.
    pub until: Option<Timestamp>,
    /// What gave it away.
    pub why: String,
    /// Events that it keeps from counting.
    pub events: u64,
    /// Addresses that have such events.
    pub addresses: u64,
    /// A few of those.
    pub examples: Vec<String>,
}

/// What an operator makes of an outage.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResolveRequest {
    /// Only say what it would do.
    #[serde(default)]
    pub dry_run: bool,
    /// Why. A dry run needs no reason.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// Who.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub by: String,
}
