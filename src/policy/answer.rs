//! A decision as programs read it: a line of `simulate`, an entry of `lookup --json`.

use serde::Serialize;

use super::verdict::Decision;
use crate::time::Timestamp;

/// The fields in which `simulate` and `lookup --json` agree.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Answer<At> {
    /// When it was asked, as the asker wrote it.
    pub at: At,
    /// About whom, as the asker wrote it.
    pub address: String,
    /// `forward`, `refuse` or `defer`.
    pub verdict: &'static str,
    /// The name of the standing.
    pub standing: &'static str,
    /// The name of the reason.
    pub reason: &'static str,
    /// Until when, if there is an end.
    pub until: Option<Timestamp>,
}

impl<At> Answer<At> {
    /// The answer to a question of that time about that address.
    pub fn new(at: At, address: String, decision: &Decision) -> Self {
        Self {
            at,
            address,
            verdict: decision.verdict.name(),
            standing: decision.standing.name(),
            reason: decision.reason.name(),
            until: decision.until,
        }
    }
}
