//! The import of a list: one line that says what it is, then a line for each row.

use serde::{Deserialize, Serialize};

use crate::bounce::Category;
use crate::event::ImportKind;
use crate::time::Timestamp;

/// The first line.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImportHead {
    /// Which system the list is from: a plain word.
    pub source: String,
    /// The name of the import, a plain word that no import had before.
    pub batch: String,
    /// How many rows follow. With fewer or more nothing is imported.
    pub rows: u64,
    /// Whether to believe a source that the configuration does not trust.
    #[serde(default)]
    pub trust: bool,
    /// Why.
    pub reason: String,
    /// Who.
    #[serde(default)]
    pub by: String,
}

/// Every other line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImportRow {
    /// The address.
    pub address: String,
    /// What the other system says of it.
    pub kind: ImportKind,
    /// On whose account; it owns the blacklist entry, if the row is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// The row of the file that it was read from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub row: Option<u64>,
    /// The date of the entry there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dated: Option<Timestamp>,
    /// When the quarantine ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category: Option<Category>,
    /// The other system's reason or reply.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
    /// An unsubscribe that goes into the quarantine all the same.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub forced: bool,
    /// Whether it counts, without a date, of an address that was released.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub again: bool,
    /// Whether a gate had learnt it from replies: a delivery lifts it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub learnt: bool,
}

/// How far the import is that is under way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportProgress {
    /// Rows that are on disk and do not count yet; none when no import is under way, or its rows count by now.
    pub journaled: Option<u64>,
    /// Addresses that the order was about so far that is being carried out; none when there is none.
    pub folded: Option<u64>,
}

/// What an import did, on disk and in force.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportReply {
    /// The name of the import.
    pub batch: String,
    /// The order that made it count; none when no row did anything.
    pub id: Option<String>,
    /// Rows that were kept.
    pub rows: u64,
    /// Rows that reset what is known of an address of which nothing is: they were not kept.
    pub skipped: u64,
    /// Addresses that the rows are about; none when the index was built anew meanwhile.
    pub addresses: Option<u64>,
    /// Addresses of which something else is known now.
    pub changed: Option<u64>,
}
