//! What is asked about many: `list`, `report`, `events`.

use clap::Args;
use clap::builder::PossibleValuesParser;

use super::{Since, since};
use crate::admin::report::BY;
use crate::admin::rows::STANDINGS;
use crate::bounce::Category;

/// `list`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  rcptgate list --standing blacklisted --tenant acme
  rcptgate list --category user_unknown --since 7d
  rcptgate list --recurring 3
  rcptgate list --inactive --csv > to-clean.csv
  rcptgate list --count
  rcptgate list --domain example.com --json | jq -r .address")]
pub struct ListArgs {
    /// Only this standing; without it all but clear
    #[arg(long, value_name = "S", value_parser = PossibleValuesParser::new(STANDINGS))]
    pub standing: Option<String>,
    /// Only records whose cause is of this category
    #[arg(long, value_name = "C", value_parser = PossibleValuesParser::new(CATEGORIES.map(Category::name)))]
    pub category: Option<String>,
    /// Only this domain, without its sub-domains
    #[arg(long, value_name = "D")]
    pub domain: Option<String>,
    /// As this tenant sees it; without, what all tenants share and every tenant's blacklist
    #[arg(long, value_name = "T")]
    pub tenant: Option<String>,
    /// Only standings that began since then: a time, a date, or a span such as 36h or 7d
    #[arg(long, value_name = "T|7d", value_parser = since)]
    pub since: Option<Since>,
    /// Only addresses with so many soft bounces in a row, or more
    #[arg(long, value_name = "N")]
    pub recurring: Option<u32>,
    /// Only addresses to clean out: mailboxes that are not used, and, long-term, those that do not exist
    #[arg(long)]
    pub inactive: bool,
    /// Print how many there are instead, by standing: addresses in quarantine, and in quarantine or on a blacklist
    #[arg(long, conflicts_with = "csv")]
    pub count: bool,
    /// So many at most
    #[arg(long, value_name = "N")]
    pub limit: Option<u64>,
    /// Print one JSON line for each record
    #[arg(long, conflicts_with = "csv")]
    pub json: bool,
    /// Print comma-separated values with a heading
    #[arg(long)]
    pub csv: bool,
}

/// `report`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  rcptgate report --since 7d
  rcptgate report --by campaign --since 2026-11-01 --tenant acme
  rcptgate report --by receiver --limit 20
  rcptgate report --by cause --csv > causes.csv

Days are whole days in UTC. A rate is a share of the messages that were delivered or bounced; an attempt that was
deferred is neither.")]
pub struct ReportArgs {
    /// By what
    #[arg(long, value_name = "WHAT", default_value = "day", value_parser = PossibleValuesParser::new(BY))]
    pub by: String,
    /// From that day on: a time, a date, or a span such as 7d [default: all that is kept]
    #[arg(long, value_name = "T|7d", value_parser = since)]
    pub since: Option<Since>,
    /// Until that day, included
    #[arg(long, value_name = "T", value_parser = since)]
    pub until: Option<Since>,
    /// Only this tenant
    #[arg(long, value_name = "T")]
    pub tenant: Option<String>,
    /// Only this organisation that receives, such as google.com
    #[arg(long, value_name = "R")]
    pub receiver: Option<String>,
    /// Only this campaign; @DOMAIN is mail from there of none that is known
    #[arg(long, value_name = "C")]
    pub campaign: Option<String>,
    /// So many rows at most, those with the most mail
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub limit: u64,
    /// Print the report as JSON
    #[arg(long, conflicts_with = "csv")]
    pub json: bool,
    /// Print comma-separated values with a heading
    #[arg(long)]
    pub csv: bool,
}

/// `events`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  rcptgate events --since 7d --category user_unknown
  rcptgate events --campaign spring --csv > bounces.csv
  rcptgate events --receiver google.com --json | jq -r .reply

They come from the journal, which has what can move a standing: hard and soft bounces, complaints, and what else was said
of addresses that have a record. Counts of everything are in `rcptgate report`.")]
pub struct EventsArgs {
    /// From then on: a time, a date, or a span such as 36h or 7d
    #[arg(long, value_name = "T|7d", value_parser = since)]
    pub since: Option<Since>,
    /// Until then
    #[arg(long, value_name = "T|7d", value_parser = since)]
    pub until: Option<Since>,
    /// Only this category
    #[arg(long, value_name = "C", value_parser = PossibleValuesParser::new(CATEGORIES.map(Category::name)))]
    pub category: Option<String>,
    /// Only this campaign
    #[arg(long, value_name = "C")]
    pub campaign: Option<String>,
    /// Only this mail host, or all of this organisation
    #[arg(long, value_name = "R")]
    pub receiver: Option<String>,
    /// Only this address
    #[arg(long, value_name = "A")]
    pub address: Option<String>,
    /// Only this tenant
    #[arg(long, value_name = "T")]
    pub tenant: Option<String>,
    /// Print one JSON line for each
    #[arg(long, conflicts_with = "csv")]
    pub json: bool,
    /// Print comma-separated values with a heading
    #[arg(long)]
    pub csv: bool,
}

/// The categories that `list` filters by: those that can be behind a standing come first.
pub(super) const CATEGORIES: [Category; 15] = [
    Category::UserUnknown,
    Category::DomainUnknown,
    Category::MailboxFull,
    Category::MailboxInactive,
    Category::Deferred,
    Category::Throttled,
    Category::Technical,
    Category::Blocked,
    Category::AuthFailed,
    Category::SpamContent,
    Category::MessageRejected,
    Category::Policy,
    Category::Undetermined,
    Category::Complaint,
    Category::AutoReply,
];
