//! `outages`.

use clap::{Args, Subcommand};

use super::Ordered;

/// `outages`.
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "\
Examples:
  rcptgate outages
  rcptgate outages void 01KB5J6Z8Q4V0M3T7X9YHC2DRE --reason 'Google has confirmed an outage'
  rcptgate outages apply 01KB5J6Z8Q4V0M3T7X9YHC2DRE --reason 'the company has closed' --yes

While a receiver refuses as unknown what it used to accept, hard bounces from there are held: they are in the journal and move no standing.
They stay held until somebody says what that was."
)]
pub struct Outages {
    #[command(subcommand)]
    pub command: Option<OutageCommand>,
    /// Print them as JSON
    #[arg(long)]
    pub json: bool,
}

/// What to do about outages.
#[derive(Debug, Subcommand)]
pub enum OutageCommand {
    /// Show all there were and are, and what each keeps from counting
    List {
        /// Print them as JSON
        #[arg(long)]
        json: bool,
    },
    /// It was no outage: what it held counts, as if it had never been held. Nothing is held under its key for a week
    Apply(Resolve),
    /// It was one: what it held never counts
    Void(Resolve),
}

/// `outages apply` and `outages void`.
#[derive(Debug, Args)]
pub struct Resolve {
    /// The outage, as the list names it
    #[arg(value_name = "ID")]
    pub id: String,
    #[command(flatten)]
    pub order: Ordered,
}
