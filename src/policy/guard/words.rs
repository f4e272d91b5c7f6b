//! What the guard is told and what it says.

use super::rules::Sign;
use crate::event::outage::OutageKey;
use crate::smtp::address::RecipientKey;
use crate::time::Timestamp;

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
