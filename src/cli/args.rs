//! The command line: every command and flag, in plain words.

mod asked;
mod classify;
mod exchange;
mod outages;
mod release;
mod replay;
mod times;
mod undo;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;

pub use asked::{EventsArgs, ListArgs, ReportArgs};
pub use classify::Classify;
pub use exchange::{Export, ExportFormat, Import};
pub use outages::{OutageCommand, Outages, Resolve};
pub use release::{From, Release};
pub use replay::Replay;
pub use times::Since;
use times::{length, since};
pub use undo::Undo;

const EXAMPLES: &str = "\
Examples:
  rcptgate check && rcptgate serve
  rcptgate lookup someone@example.com
  rcptgate list --since 7d --csv > quarantined.csv
  rcptgate release someone@example.com --reason 'mailbox exists again, ticket 4711'

Exit codes: 0 done, 64 usage, 65 bad data, 69 the running gate does not answer, 70 internal, 74 I/O, 75 try later, 78 configuration";

/// A gate for outgoing mail: refuses quarantined, blacklisted and disposable recipients at RCPT TO, and learns from the replies
/// that it relays.
#[derive(Debug, Parser)]
#[command(name = "rcptgate", version, after_help = EXAMPLES, max_term_width = 110)]
pub struct Cli {
    /// The configuration file [default: $RCPTGATE_CONFIG, else config/rcptgate.toml, else /etc/rcptgate/rcptgate.toml]
    #[arg(short, long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands, in the order in which an operator meets them.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the gate; prints a line with "ready" once its listeners accept
    Serve,
    /// Say everything that is wrong with the configuration and its lists; opens nothing
    Check(Check),
    /// Show the gate at work between a small campaign and scripted receivers, all on this machine
    Demo(Demo),
    /// Say what a recipient would get now, and why
    Lookup(Lookup),
    /// Tell the whole story of an address: every event, and what comes next
    Explain(Explain),
    /// List the records: who is quarantined, blacklisted, allowed or on watch
    List(ListArgs),
    /// Report what became of recipients: rates of hard and soft bounces and of blocks, by day, receiver, tenant, campaign or cause
    Report(ReportArgs),
    /// Print what bounced: each with its code, reason and what other platforms call it, across all campaigns
    Events(EventsArgs),
    /// Refuse an address to everybody
    Quarantine(Quarantine),
    /// Refuse an address to one tenant
    Blacklist(Blacklist),
    /// Never refuse an address, whatever is learnt about it
    Allow(Allow),
    /// Take addresses off the quarantine, or off another list
    Release(Release),
    /// Take back what was learnt, by what it was and when: after an outage, a wrong rule, a wrong import
    Undo(Undo),
    /// Receivers that refused of a sudden what they used to accept: see what is held, apply it or void it
    Outages(Outages),
    /// Bring in what another system knew: bounces, complaints, unsubscribes; from CSV or JSON lines
    Import(Box<Import>),
    /// Write all standings out, in a form that `import` reads back
    Export(Export),
    /// Change and ask the operator's list of disposable domains
    Disposable(Disposable),
    /// Change who may log in to the gate, and with which password
    Credentials(Credentials),
    /// Say what a reply of a mail server means
    Classify(Classify),
    /// Fold events from standard input under a policy, and answer its questions
    Simulate(Simulate),
    /// Fold the journal under another policy, or its replies by other rules, and say whose standing would be another
    Replay(Replay),
    /// Show figures of the gate
    Stats(Json),
    /// Show what is learnt as it is learnt
    Tail(Tail),
    /// Compare the index with the journal
    Verify(Json),
    /// Build the index anew from the journal, while no gate runs
    Rebuild,
    /// Print completions for a shell
    #[command(
        after_help = "Example:\n  rcptgate completions bash > /etc/bash_completion.d/rcptgate"
    )]
    Completions(Completions),
    /// Print the manual page
    #[command(after_help = "Example:\n  rcptgate man | man -l -")]
    Man,
}

/// `--json` alone.
#[derive(Clone, Copy, Debug, Args)]
pub struct Json {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `check`.
#[derive(Clone, Copy, Debug, Args)]
#[command(after_help = "Example:\n  rcptgate check -c /etc/rcptgate/rcptgate.toml")]
pub struct Check {
    /// Print the faults as JSON
    #[arg(long)]
    pub json: bool,
}

/// `demo`.
#[derive(Clone, Copy, Debug, Args)]
pub struct Demo {
    /// End after one round instead of staying up
    #[arg(long)]
    pub once: bool,
}

/// `lookup`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  rcptgate lookup someone@example.com other@example.com
  rcptgate lookup someone@example.com --json | jq .verdict")]
pub struct Lookup {
    /// The addresses
    #[arg(required = true, value_name = "ADDRESS")]
    pub addresses: Vec<String>,
    /// For which tenant: blacklists belong to one
    #[arg(long, value_name = "T")]
    pub tenant: Option<String>,
    /// Print one JSON line for each address
    #[arg(long)]
    pub json: bool,
}

/// `explain`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  rcptgate explain someone@example.com")]
pub struct Explain {
    /// The address
    #[arg(value_name = "ADDRESS")]
    pub address: String,
    /// For which tenant
    #[arg(long, value_name = "T")]
    pub tenant: Option<String>,
    /// Print the story as JSON
    #[arg(long)]
    pub json: bool,
}

/// Who signs an act, and why.
#[derive(Debug, Args)]
pub struct Signed {
    /// Why; it is kept with the record
    #[arg(long, value_name = "R")]
    pub reason: String,
    /// Who does it [default: $SUDO_USER, else $USER, else whoever runs this]
    #[arg(long, value_name = "WHO")]
    pub by: Option<String>,
    /// Print the result as JSON
    #[arg(long)]
    pub json: bool,
}

/// An order about what was learnt, which is shown before it is given.
#[derive(Debug, Args)]
pub struct Ordered {
    /// Say what it would do, and do nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Do what touches more than ten addresses, after it has been shown
    #[arg(long)]
    pub yes: bool,
    /// Why; it is kept with the events
    #[arg(long, value_name = "R", required_unless_present = "dry_run")]
    pub reason: Option<String>,
    /// Who does it [default: $SUDO_USER, else $USER, else whoever runs this]
    #[arg(long, value_name = "WHO")]
    pub by: Option<String>,
    /// Print the result as JSON
    #[arg(long)]
    pub json: bool,
}

/// `quarantine`.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  rcptgate quarantine someone@example.com --for 7d --reason 'asked us to pause'"
)]
pub struct Quarantine {
    /// The address
    #[arg(value_name = "ADDRESS")]
    pub address: String,
    /// For how long, such as 36h, 7d or 2weeks; without, until it is released. However short, the reply is a final 550 that
    /// does not say when it ends
    #[arg(long = "for", value_name = "7d", value_parser = length)]
    pub length: Option<Duration>,
    #[command(flatten)]
    pub signed: Signed,
}

/// `blacklist`.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  rcptgate blacklist someone@example.com --tenant acme --reason 'unsubscribed by phone'"
)]
pub struct Blacklist {
    /// The address
    #[arg(value_name = "ADDRESS")]
    pub address: String,
    /// The tenant that may no longer write to it
    #[arg(long, value_name = "T")]
    pub tenant: String,
    #[command(flatten)]
    pub signed: Signed,
}

/// `allow`.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  rcptgate allow ceo@example.com --reason 'must always get through'"
)]
pub struct Allow {
    /// The address
    #[arg(value_name = "ADDRESS")]
    pub address: String,
    #[command(flatten)]
    pub signed: Signed,
}

/// `disposable`.
#[derive(Debug, Args)]
pub struct Disposable {
    #[command(subcommand)]
    pub command: super::disposable::Command,
}

/// `credentials`.
#[derive(Debug, Args)]
pub struct Credentials {
    #[command(subcommand)]
    pub command: super::credentials::Command,
}

/// `simulate`.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  rcptgate simulate --policy config/policies/mine.toml < events.jsonl\n\n\
Only -c brings in a configuration, with its lists, policy and rules for replies; without it the built-in ones hold.\n\
Lines of a journal, as `rcptgate export --events` prints them, are taken as they stand: replies as they were read then, undos, imports\n\
and outages as they were ordered. `rcptgate replay` does the same with a whole journal, and reads its replies again if it is told to."
)]
pub struct Simulate {
    /// A policy file, or the name of a preset
    #[arg(long, value_name = "FILE|PRESET")]
    pub policy: Option<String>,
}

/// `tail`.
#[derive(Clone, Copy, Debug, Args)]
#[command(
    after_help = "Example:\n  rcptgate tail --json | jq 'select(.category == \"user_unknown\")'"
)]
pub struct Tail {
    /// Begin with so many events that were learnt before
    #[arg(short = 'n', long, value_name = "N", default_value_t = 10)]
    pub lines: usize,
    /// End there instead of waiting for more
    #[arg(long)]
    pub once: bool,
    /// Print the lines of the journal as they are
    #[arg(long)]
    pub json: bool,
}

/// `completions`.
#[derive(Clone, Copy, Debug, Args)]
pub struct Completions {
    /// The shell
    pub shell: Shell,
}

#[cfg(test)]
mod tests;
