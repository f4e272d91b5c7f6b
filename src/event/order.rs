//! Orders: the lines of the journal that are about other lines, not about an address.
//!
//! An order of a new kind is a variant of [`Decree`]; what it does to earlier events is said in `policy::mask`, and the compiler names
//! every other place that must know it. The journal, the index and the refold treat all orders alike.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Act;
use super::outage::OutageKey;
use super::select::Selector;
use crate::time::Timestamp;

/// Names an order for good, on every node.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct OrderId(pub String);

impl fmt::Display for OrderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Something that was ordered about events.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// The order's own name.
    pub id: OrderId,
    /// When it was given.
    pub at: Timestamp,
    /// What was ordered.
    #[serde(flatten)]
    pub decree: Decree,
    /// Who says so, and why.
    #[serde(flatten)]
    pub act: Act,
}

/// What was ordered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "order", rename_all = "snake_case")]
pub enum Decree {
    /// The events selected, of those before the order, are taken out of the fold. They stay in the journal.
    Void {
        /// Which.
        select: Selector,
    },
    /// A receiver refuses what it used to accept: hard evidence under the key is held from `since` on, that which came before the order
    /// and that which comes after it, until the end. Of a key that has an outage already which lasts: it began then or earlier.
    Outage {
        /// Under what.
        key: OutageKey,
        /// From when on.
        since: Timestamp,
    },
    /// The outage that lasts under the key is over. What was held stays held.
    OutageEnd {
        /// Under what.
        key: OutageKey,
        /// Evidence of then and later counts.
        until: Timestamp,
    },
    /// It was no outage: what it held counts. One that lasts ends.
    OutageApply {
        /// The order that began it.
        outage: OrderId,
    },
    /// It was one: what it held never counts. One that lasts ends.
    OutageVoid {
        /// The order that began it.
        outage: OrderId,
    },
    /// An import is complete: its rows, which stand before the order, begin to count. Rows of an import without such an order never do.
    ImportCommit {
        /// The import.
        batch: String,
        /// How many of its rows were journaled.
        rows: u64,
        /// The sequence of the first of them; what is older and has the same name is left over from another import.
        first: u64,
    },
}

impl Decree {
    /// As JSON and logs have it.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Void { .. } => "void",
            Self::Outage { .. } => "outage",
            Self::OutageEnd { .. } => "outage_end",
            Self::OutageApply { .. } => "outage_apply",
            Self::OutageVoid { .. } => "outage_void",
            Self::ImportCommit { .. } => "import_commit",
        }
    }

    /// What it is about, in words.
    pub fn words(&self) -> String {
        match self {
            Self::Void { select } => select.to_string(),
            Self::Outage { key, since } => format!("{key} since {since}"),
            Self::OutageEnd { key, until } => format!("{key} until {until}"),
            Self::OutageApply { outage } | Self::OutageVoid { outage } => outage.to_string(),
            Self::ImportCommit { batch, rows, .. } => format!("batch={batch} rows={rows}"),
        }
    }

    /// The sequence of the first event that it can be about.
    pub const fn first(&self) -> u64 {
        match self {
            Self::Void { .. }
            | Self::Outage { .. }
            | Self::OutageEnd { .. }
            | Self::OutageApply { .. }
            | Self::OutageVoid { .. } => 1,
            Self::ImportCommit { first, .. } => *first,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_is_one_flat_line() {
        let line = r#"{"id":"01","at":"2026-11-23T10:00:00Z","order":"void","select":{"since":"2026-11-22T00:00:00Z","receiver":"google.com"},"reason":"outage","by":"eve"}"#;
        let order: Order = serde_json::from_str(line).expect("an order");
        assert_eq!(serde_json::to_string(&order).expect("serialises"), line);
        assert_eq!(order.decree.name(), "void");
        for line in [
            r#"{"id":"02","at":"2020-12-14T22:40:00Z","order":"outage","key":{"receiver":"google.com"},"since":"2020-12-14T22:16:00Z","reason":"r","by":"outage guard"}"#,
            r#"{"id":"03","at":"2020-12-15T05:00:00Z","order":"outage_end","key":{"domain":"gmail.com"},"until":"2020-12-15T04:57:00Z","reason":"r"}"#,
            r#"{"id":"04","at":"2020-12-15T09:00:00Z","order":"outage_void","outage":"02","reason":"r","by":"eve"}"#,
        ] {
            let order: Order = serde_json::from_str(line).expect("an order");
            assert_eq!(serde_json::to_string(&order).expect("serialises"), line);
        }
        let line = r#"{"id":"02","at":"2026-11-23T10:00:00Z","order":"import_commit","batch":"b1","rows":3,"first":17,"reason":"moved","by":"eve"}"#;
        let order: Order = serde_json::from_str(line).expect("an order");
        assert_eq!(serde_json::to_string(&order).expect("serialises"), line);
        assert_eq!((order.decree.name(), order.decree.first()), ("import_commit", 17));
    }

    #[test]
    fn an_order_that_is_not_understood_is_none() {
        // Passed over, it would leave a standing in force that somebody took back.
        let refused = |line: &str| serde_json::from_str::<Order>(line).is_err();
        assert!(refused(
            r#"{"id":"01","at":"2026-11-23T10:00:00Z","order":"forget","reason":"r"}"#
        ));
        assert!(refused(r#"{"id":"01","at":"2026-11-23T10:00:00Z","order":"void","select":{}}"#));
        assert!(refused(
            r#"{"id":"01","at":"2026-11-23T10:00:00Z","order":"void","select":{"colour":"red"}}"#
        ));
    }
}
