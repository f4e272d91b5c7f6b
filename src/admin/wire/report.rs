//! Figures of recipients and what bounced, as JSON.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::bounce::labels::Labels;
use crate::time::Timestamp;

/// Which counts are wanted; all that is given must fit. Days are whole days in UTC.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReportRequest {
    /// `day`, `receiver`, `tenant`, `campaign` or `cause`; `day` without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// From the day of this time on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// Until the day of this time, included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// Of this tenant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// Of this organisation that receives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receiver: Option<String>,
    /// Of this campaign.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub campaign: Option<String>,
    /// So many rows at most, those with the most mail; the total has all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
}

/// What became of recipients.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// By what the rows are put together.
    pub by: String,
    /// All of it.
    pub total: Tallied,
    /// By group: days in order, all else by how much was sent.
    pub rows: Vec<Tallied>,
    /// By cause, when that was asked for.
    pub causes: Vec<CauseRow>,
    /// Groups that the limit left out.
    pub left_out: u64,
    /// Lines of the files that cannot be read: so much is missing.
    pub broken: u64,
    /// The share of hard bounces from which on a row is marked.
    pub hard_alert: f64,
    /// Likewise of soft bounces.
    pub soft_alert: f64,
}

/// What became of the recipients of one group.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Tallied {
    /// Of what.
    pub name: String,
    /// Attempts that were sent on to a next hop.
    pub sent: u64,
    /// Taken by the next hop.
    pub delivered: u64,
    /// Refused: the address does not exist.
    pub hard: Share,
    /// Refused: it may work later, or deferred for too long.
    pub soft: Share,
    /// Refused for what the sender or the message is. All five causes are there, and `other`.
    pub blocked: Share,
    /// Refused for any other reason.
    pub technical: Share,
    /// Attempts that were deferred. The message may have come again: of no rate.
    pub deferred: Share,
    /// The client left, or the next hop was lost, before it was known.
    pub unfinished: u64,
    /// Refused by the gate, by reason; a disposable domain is no quarantine.
    pub refused: Share,
    /// `hard` or `soft`: the rate is as high as the alert.
    pub alerts: Vec<String>,
}

/// A count, what share it is, and of what it consists.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Share {
    /// How many.
    pub count: u64,
    /// Of all messages that were delivered or bounced, from 0 to 1; of deferrals and refusals of the gate there is none.
    pub rate: Option<f64>,
    /// By cause; causes that never came are left out, but for those of a block.
    pub causes: BTreeMap<String, u64>,
}

/// One cause.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CauseRow {
    /// `bounced` or `deferred`.
    pub outcome: String,
    /// The cause.
    pub cause: String,
    /// `hard`, `soft`, `block` or `technical`.
    pub class: String,
    /// How many.
    pub count: u64,
    /// Its share of all that bounced, or that was deferred.
    pub share: f64,
    /// What it means.
    pub description: String,
    /// What other platforms call it. What depends on the code of a reply is that of one without a code.
    pub labels: Option<Labels>,
    /// A reply of this cause.
    pub example: Option<String>,
}

/// Which bounces are wanted; all that is given must fit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventsRequest {
    /// That came then or later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// That came before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// Of this category.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    /// Of this campaign.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub campaign: Option<String>,
    /// From this mail host, or from any of this organisation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receiver: Option<String>,
    /// Of this address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// Of this tenant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
}

/// One bounce or complaint.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Happened {
    /// When.
    pub at: Timestamp,
    /// To whom.
    pub address: String,
    /// `hard`, `soft`, or `none` for what says nothing about the address.
    #[serde(rename = "type")]
    pub kind: String,
    /// The SMTP code.
    pub code: Option<u16>,
    /// The enhanced status code.
    pub status: Option<String>,
    /// Why.
    pub category: String,
    /// The category in a sentence.
    pub description: String,
    /// The reply, code and status included.
    pub reply: Option<String>,
    /// The command that it answered.
    pub stage: Option<String>,
    /// The rule that read it.
    pub rule: Option<String>,
    /// What other platforms call it.
    pub labels: Option<Labels>,
    /// The campaign, as far as the message named one.
    pub campaign: Option<String>,
    /// What tells the message apart.
    pub message: Option<String>,
    /// The sender.
    pub sender: Option<String>,
    /// The mail host.
    pub receiver: Option<String>,
    /// On whose account.
    pub tenant: String,
    /// The event.
    pub id: String,
}
