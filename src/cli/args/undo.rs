//! `undo`.

use clap::Args;
use clap::builder::PossibleValuesParser;

use super::asked::CATEGORIES;
use super::times::since;
use super::{Ordered, Since};
use crate::bounce::Category;

/// `undo`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  rcptgate undo --receiver google.com --since 2026-12-14 --until 2026-12-15 --category user_unknown --dry-run
  rcptgate undo --receiver google.com --since 8h --category user_unknown --reason 'their outage' --yes
  rcptgate undo --rule handed-back --since 2h --reason 'the rule was wrong'

An event is undone if all conditions hold; it stays in the journal and no longer counts. Events that come later do count.")]
pub struct Undo {
    /// Events that happened then or later: a time, a date, or a span such as 2h or 7d
    #[arg(long, value_name = "T|2h", value_parser = since)]
    pub since: Option<Since>,
    /// Events that happened before then
    #[arg(long, value_name = "T|2h", value_parser = since)]
    pub until: Option<Since>,
    /// Answers of this host, or of hosts below this domain
    #[arg(long, value_name = "H")]
    pub receiver: Option<String>,
    /// Replies that this rule read
    #[arg(long, value_name = "R")]
    pub rule: Option<String>,
    /// What came from there: complaints, imports
    #[arg(long, value_name = "S")]
    pub source: Option<String>,
    /// What this import brought
    #[arg(long, value_name = "B")]
    pub batch: Option<String>,
    /// Replies of this category, or complaints
    #[arg(long, value_name = "C", value_parser = PossibleValuesParser::new(CATEGORIES.map(Category::name)))]
    pub category: Option<String>,
    /// Addresses of this domain, without its sub-domains
    #[arg(long, value_name = "D")]
    pub domain: Option<String>,
    /// Acts that this person signed
    #[arg(long, value_name = "WHO")]
    pub signed_by: Option<String>,
    #[command(flatten)]
    pub order: Ordered,
}
