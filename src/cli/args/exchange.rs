//! `import` and `export`.

use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use clap::{Args, ValueEnum};

use super::Signed;
use crate::admin::rows::STANDINGS;
use crate::event::ImportKind;
use crate::exchange::{Field, Format, Meaning, column, value};

/// `import`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  rcptgate import suppressions.csv --source old-esp --tenant acme --reason 'moved from old-esp' --dry-run
  rcptgate import dead.txt --source crm --kind hard --trust --reason 'ticket 4711'
  rcptgate import list.csv --source crm --columns address=Email,kind=Status,at=Date --value Dead=hard --reason R --dry-run

Files of Amazon SES, SendGrid, Mailgun, SparkPost, Postmark, Mailchimp, Brevo and of `rcptgate export` are told by their columns,
and so are tables with plain headings: address or email, kind, type or status, at or date, until, reason, tenant, category.
One bad row, and nothing is imported. Kinds: hard and blocked become long-term quarantine, soft a temporary one, complaint and
unsubscribe the blacklist of the tenant, allowed an address that is never refused; active does nothing without --reset. No delivery
lifts a quarantine that was imported, but for one that another gate had learnt and `rcptgate export` wrote.")]
pub struct Import {
    /// The file, CSV or JSON lines; - is standard input, for a dry run
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Where the list is from: one plain word, kept with every entry
    #[arg(long, value_name = "NAME")]
    pub source: String,
    /// Whose blacklist complaints and unsubscribes go to, where the rows do not say
    #[arg(long, value_name = "T")]
    pub tenant: Option<String>,
    /// Which columns to read: address, kind, at, until, reason, tenant, category; by name, by number (#2), or joined (a+b)
    #[arg(long, value_name = "FIELD=COLUMN", value_delimiter = ',', value_parser = column)]
    pub columns: Vec<(Field, Vec<String>)>,
    /// What all rows are, where no column says it
    #[arg(long, value_name = "K", value_parser = PossibleValuesParser::new(ImportKind::ALL.map(ImportKind::name)))]
    pub kind: Option<String>,
    /// What a value of the column of kinds stands for: one of the kinds, or skip
    #[arg(long, value_name = "VALUE=KIND", value_parser = value)]
    pub value: Vec<(String, Meaning)>,
    /// Whose file it is, or only how it is written (csv, jsonl); told by its columns without
    #[arg(long, value_name = "F", value_parser = PossibleValuesParser::new(Format::ALL.map(Format::name)))]
    pub format: Option<String>,
    /// Believe this file though its source is not trusted in the configuration
    #[arg(long)]
    pub trust: bool,
    /// Quarantine unsubscribes for all tenants, which they say nothing about
    #[arg(long)]
    pub force_unsubscribes_into_quarantine: bool,
    /// Let rows without a date count of addresses that an operator has released
    #[arg(long)]
    pub again: bool,
    /// Let active rows clear counts and what replies earned
    #[arg(long)]
    pub reset: bool,
    /// Say what would come of it, and change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Import, after what will come of it has been shown
    #[arg(long)]
    pub yes: bool,
    #[command(flatten)]
    pub signed: Signed,
}

/// `export`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  rcptgate export > standings.jsonl
  rcptgate export --format csv --standing blacklisted --tenant acme > acme.csv
  rcptgate export --events | gzip > journal.jsonl.gz")]
pub struct Export {
    /// How rows are written
    #[arg(long, value_enum, default_value = "jsonl", value_name = "F")]
    pub format: ExportFormat,
    /// Only this standing; without it all but clear
    #[arg(long, value_name = "S", value_parser = PossibleValuesParser::new(STANDINGS))]
    pub standing: Option<String>,
    /// As this tenant sees it; without, what all tenants share and every tenant's blacklist
    #[arg(long, value_name = "T")]
    pub tenant: Option<String>,
    /// The journal instead, event by event, as JSON lines
    #[arg(long, conflicts_with_all = ["standing", "tenant", "format"])]
    pub events: bool,
}

/// How rows are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ExportFormat {
    /// JSON lines
    Jsonl,
    /// Comma-separated values with a heading
    Csv,
}
