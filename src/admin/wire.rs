//! What the admin API reads and writes, as JSON. The commands speak it too, whether a gate runs or not.
//!
//! Names of standings, reasons and categories are text here: a client of another version must read an answer that it does not
//! know every word of. Times are RFC 3339 in UTC.

mod figures;
mod import;
mod outages;
mod reports;
mod story;
mod undo;

use serde::{Deserialize, Serialize};

use crate::event::{List, Tenant};
use crate::gate::VerifyReport;
use crate::policy::Record;
use crate::policy::answer::Answer;
use crate::policy::verdict::Decision;
use crate::time::Timestamp;
pub use figures::{Figures, Standings};
pub use import::{ImportHead, ImportProgress, ImportReply, ImportRow};
pub use outages::{OutageReply, OutageRow, ResolveRequest};
pub use reports::{ComplaintRequest, EngagementRequest};
pub use story::{Chapter, Holding, Story, Voided};
pub use undo::{Move, Moved, UndoRequest, Undone};

/// Addresses to look up for a tenant.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LookupRequest {
    /// The addresses, [`super::desk::BATCH_MAX`] at most.
    pub addresses: Vec<String>,
    /// For which tenant; `default` without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// Whether all that is remembered of the addresses is wanted too.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub record: bool,
}

/// One answer for each address, in the same order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LookupReply {
    /// The answers.
    pub answers: Vec<Found>,
}

/// What a RCPT would get now, and why: an answer of `simulate`, with more behind it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    /// When it was looked up.
    pub at: Timestamp,
    /// The address as it was asked.
    pub address: String,
    /// `forward`, `refuse` or `defer`.
    pub verdict: String,
    /// `clear`, `on_watch`, `quarantined`, `quarantined_long_term`, `blacklisted` or `allowed`.
    pub standing: String,
    /// The ground of the verdict: `none`, `allowed`, `blacklist`, `quarantine`, `quarantine_long_term`, `manual`,
    /// `imported` or `disposable`.
    pub reason: String,
    /// Until when that ground holds; for good without.
    pub until: Option<Timestamp>,
    /// Since when.
    pub since: Option<Timestamp>,
    /// The tenant for which it was asked.
    pub tenant: String,
    /// The address in normal form.
    pub key: String,
    /// What the client of such a RCPT is told.
    pub reply: Option<String>,
    /// The event behind the ground.
    pub id: Option<String>,
    /// The category of the reply behind the ground.
    pub category: Option<String>,
    /// The reply behind the ground, on one line.
    pub cause: Option<String>,
    /// The rule that read that reply; unknown of what another gate had learnt, which an import brought.
    pub rule: Option<String>,
    /// Who ordered it.
    pub by: Option<String>,
    /// Why, in that person's words.
    pub note: Option<String>,
    /// When the recipient complained to this tenant.
    pub complained: Option<Timestamp>,
    /// The system that the ground was imported from.
    #[serde(default)]
    pub source: Option<String>,
    /// The import that brought it, which `undo` can take back whole.
    #[serde(default)]
    pub batch: Option<String>,
    /// The tenants that may not write to it, whatever it is to the one that asked.
    #[serde(default)]
    pub blacklisted: Vec<Tenant>,
    /// The standing that all tenants share.
    #[serde(default)]
    pub shared: String,
    /// Hard bounces that count against the address.
    pub hards: u32,
    /// Soft bounces that count against it.
    pub softs: u32,
    /// Refusals for the sender's name, means or content in a row, if the policy counts them. They move nothing.
    #[serde(default)]
    pub blocked: u32,
    /// Whether refusals are carried out (`enforce`) or only logged (`monitor`).
    pub mode: String,
    /// All that is remembered of the address, if it was wanted and there is something. Only the same version is sure to read it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record: Option<Box<Record>>,
}

impl Found {
    /// The part that a decision tells, and in which it agrees with `simulate`.
    pub fn new(at: Timestamp, address: &str, decision: &Decision) -> Self {
        let answer = Answer::new(at, address.to_owned(), decision);
        Self {
            at: answer.at,
            address: answer.address,
            verdict: answer.verdict.to_owned(),
            standing: answer.standing.to_owned(),
            reason: answer.reason.to_owned(),
            until: answer.until,
            since: decision.since,
            reply: decision.verdict.reply().map(ToString::to_string),
            id: decision.id.as_ref().map(ToString::to_string),
            category: decision.category.map(|category| category.name().to_owned()),
            ..Self::default()
        }
    }
}

/// Which records are wanted; all that is given must fit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListRequest {
    /// The standing. Without it all but `clear`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub standing: Option<String>,
    /// The category of the reply behind it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    /// The domain, without its sub-domains.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
    /// The standing as this tenant sees it; without, what all tenants share and every tenant's blacklist.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// Standings that began then or later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// Addresses with so many soft bounces in a row at least.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recurring: Option<u32>,
    /// Addresses to clean out: mailboxes that are not used, and long-term those that do not exist.
    #[serde(default)]
    pub inactive: bool,
    /// So many rows at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
}

/// One standing of one address.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// The address in normal form.
    pub address: String,
    /// The standing.
    pub standing: String,
    /// The tenant whose blacklist it is, or who was asked about.
    pub tenant: Option<String>,
    /// The ground, as in a look-up.
    pub reason: String,
    /// The category of the reply behind it.
    pub category: Option<String>,
    /// Since when.
    pub since: Option<Timestamp>,
    /// Until when, if there is an end.
    pub until: Option<Timestamp>,
    /// The reply behind it, on one line.
    pub cause: Option<String>,
    /// Who ordered it.
    pub by: Option<String>,
    /// Why, in that person's words.
    pub note: Option<String>,
    /// The event behind it.
    pub id: Option<String>,
    /// When the recipient complained to the tenant whose blacklist it is.
    #[serde(default)]
    pub complained: Option<Timestamp>,
    /// The system that it was imported from.
    #[serde(default)]
    pub source: Option<String>,
    /// The import that brought it.
    #[serde(default)]
    pub batch: Option<String>,
    /// Hard bounces that count against the address.
    #[serde(default)]
    pub hards: u32,
    /// Soft bounces in a row.
    #[serde(default)]
    pub softs: u32,
}

/// An operator's act on one address. Which fields it takes depends on the act.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ActRequest {
    /// The address.
    pub address: String,
    /// Why.
    pub reason: String,
    /// Who.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub by: String,
    /// `quarantine`: how long, `7d`; for good without.
    #[serde(default, rename = "for", skip_serializing_if = "Option::is_none")]
    pub length: Option<String>,
    /// `blacklist`: whose.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
}

/// A release of some addresses from one list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReleaseRequest {
    /// The addresses, [`super::desk::BATCH_MAX`] at most.
    pub addresses: Vec<String>,
    /// From which list.
    #[serde(default)]
    pub from: List,
    /// From whose blacklist; `default` without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// Why.
    pub reason: String,
    /// Who.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub by: String,
}

/// One result for each address of a release or report, in the same order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleaseReply {
    /// The results.
    pub results: Vec<Done>,
}

/// What an act came to. It is on disk.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    /// The address in normal form.
    pub address: String,
    /// Whether anything was done: a release of what is not on the list does nothing.
    pub done: bool,
    /// The event, if anything was done.
    pub id: Option<String>,
    /// The standing before.
    pub before: String,
    /// The standing after.
    pub after: String,
    /// Until when, if there is an end.
    pub until: Option<Timestamp>,
    /// When there was nothing to do: the tenants on whose blacklist it is.
    #[serde(default)]
    pub blacklisted: Vec<Tenant>,
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
    /// Whether an import is under way, to which some of those may belong.
    #[serde(default)]
    pub importing: bool,
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
            importing: report.importing,
            addresses: report.addresses,
            records: report.records,
            differences: report.differences,
            first: report.first,
        }
    }
}

/// Whether the gate is ready.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ready {
    /// Whether it is.
    pub ready: bool,
    /// What does not work.
    pub why: Vec<String>,
}

/// Something went wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wrong {
    /// What, in a sentence.
    pub error: String,
}

mod report;

pub use report::{CauseRow, EventsRequest, Happened, Report, ReportRequest, Share, Tallied};

#[cfg(test)]
mod tests;
