//! The story of an address.

use serde::{Deserialize, Serialize};

use super::Found;
use crate::event::Event;
use crate::time::Timestamp;

/// The whole story of one address.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Story {
    /// What it comes to.
    pub now: Found,
    /// What happened, in order.
    pub events: Vec<Chapter>,
    /// What will move the standing next, in words.
    pub next: Vec<String>,
}

/// One event and what it did.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Chapter {
    /// Its place among all events.
    pub seq: u64,
    /// The event, as the journal has it.
    pub event: Event,
    /// The standing before, for the event's tenant and at its time.
    pub before: String,
    /// The standing after.
    pub after: String,
    /// Until when the standing after holds, if there is an end.
    pub until: Option<Timestamp>,
    /// What it did, in words.
    pub did: String,
    /// The order by which it no longer counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub voided: Option<Voided>,
    /// The outage that keeps it from counting, until an operator says what that was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<Holding>,
}

/// The outage that holds an event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holding {
    /// Its name.
    pub outage: String,
    /// Under what it is: `receiver google.com`, `domain gmail.com`.
    pub key: String,
    /// Since when.
    pub since: Timestamp,
}

/// The order that took an event out of the standing of its address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Voided {
    /// Its name.
    pub id: String,
    /// When it was given.
    pub at: Timestamp,
    /// Why.
    pub reason: String,
    /// Who.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub by: String,
}
