//! The undo of what was learnt.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::event::select::Conditions;

/// Which events are to be undone, and why.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UndoRequest {
    /// Conditions of which all must hold; at least one.
    pub select: Conditions,
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

/// What an undo did, on disk and in force, or would do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Undone {
    /// Whether it was done.
    pub done: bool,
    /// The order, if it was.
    pub id: Option<String>,
    /// Events that no longer count.
    pub events: u64,
    /// Addresses that they are about.
    pub addresses: u64,
    /// When it was done: addresses of which something else is known now.
    pub changed: Option<u64>,
    /// When it was not: the events by what they are.
    #[serde(default)]
    pub kinds: BTreeMap<String, u64>,
    /// The standings that would move. A blacklist counts for each tenant.
    #[serde(default)]
    pub moves: Vec<Move>,
    /// A few of those.
    #[serde(default)]
    pub examples: Vec<Moved>,
}

/// How many standings would move so.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Move {
    /// The standing before.
    pub before: String,
    /// The standing after.
    pub after: String,
    /// How many.
    pub count: u64,
}

/// A standing that would move.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moved {
    /// The address.
    pub address: String,
    /// The standing before.
    pub before: String,
    /// The standing after.
    pub after: String,
}
