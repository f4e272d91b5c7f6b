//! What others report of recipients.

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// Recipients who opened a message or clicked in one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EngagementRequest {
    /// The addresses, [`crate::admin::desk::BATCH_MAX`] at most.
    pub addresses: Vec<String>,
    /// Whose message it was; `default` without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// When; now without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
}

/// Recipients who called a message of one tenant spam.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ComplaintRequest {
    /// The addresses, [`crate::admin::desk::BATCH_MAX`] at most.
    pub addresses: Vec<String>,
    /// Whose message it was.
    pub tenant: String,
    /// When; now without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    /// Where the complaint came from, such as the name of a feedback loop.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
}
