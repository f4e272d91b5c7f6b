//! The arguments of `classify`.

use std::path::PathBuf;

use clap::Args;

use super::times::{Since, since};

/// `classify`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  rcptgate classify '550 5.1.1 no such user'
  rcptgate classify --explain '550 5.7.1 <a@b.example>: mailbox unavailable'
  rcptgate classify --unmatched --since 30d
  rcptgate classify --unmatched --skeleton >> my-rules.toml
  rcptgate classify --rules my-rules.toml '550 5.0.0 handed back to the town'
  rcptgate classify < replies.jsonl      {\"stage\":\"rcpt\",\"reply\":\"550 5.1.1 ...\"}

Replies are read as the gate of the configuration reads them: by the rules in its [classification] file and the built-in ones. Where
no configuration is given or found, by the built-in rules.")]
pub struct Classify {
    /// The reply; without it, JSON lines on standard input
    pub reply: Option<String>,
    /// Tell the story instead of JSON: what was read, which rule decided and why, which others lost
    #[arg(long, requires = "reply", conflicts_with = "json")]
    pub explain: bool,
    /// Print JSON, which is the default
    #[arg(long)]
    pub json: bool,
    /// The command that the reply answered [default: rcpt]
    #[arg(long, value_name = "S", requires = "reply")]
    pub stage: Option<String>,
    /// How many recipients the reply is about
    #[arg(long, value_name = "N", requires = "reply", default_value_t = 1)]
    pub recipients: u32,
    /// The host that gave the reply
    #[arg(long, value_name = "HOST", requires = "reply")]
    pub receiver: Option<String>,
    /// Show which replies of the journal no rule understands, by text, most frequent first
    #[arg(long, conflicts_with_all = ["reply", "explain"])]
    pub unmatched: bool,
    /// Only those that came since then: a time, a date, or a span [default: 7d]
    #[arg(long, value_name = "T|7d", value_parser = since, requires = "unmatched")]
    pub since: Option<Since>,
    /// So many texts at most [default: 20]
    #[arg(long, value_name = "N", requires = "unmatched")]
    pub limit: Option<u64>,
    /// Print a rule for each, ready but for its category
    #[arg(long, requires = "unmatched")]
    pub skeleton: bool,
    /// Try this file in place of the one that `[classification]` names; says what is wrong with it
    #[arg(long, value_name = "FILE")]
    pub rules: Option<PathBuf>,
}
