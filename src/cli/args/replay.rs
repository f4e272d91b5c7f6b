//! `replay`.

use std::path::PathBuf;

use clap::Args;

use super::Since;
use super::times::since;

/// `replay`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  rcptgate replay --policy salesforce --diff
  rcptgate replay --policy config/policies/mine.toml --diff --since 90d --csv > moved.csv
  rcptgate replay --rules my-rules.toml --diff --json | jq '.moves[] | select(.cause == \"user_unknown\")'

Reads the journal alone, whether a gate runs or not, and changes nothing. Standings are as of now, or of --until. Events that were
undone do not count.")]
pub struct Replay {
    /// The policy to try: a file, or the name of a preset [default: the one in force]
    #[arg(long, value_name = "FILE|PRESET")]
    pub policy: Option<String>,
    /// Read the replies again by this file of rules before the built-in ones [default: as they were read]
    #[arg(long, value_name = "FILE")]
    pub rules: Option<PathBuf>,
    /// Compare with the policy in force, and replies as they were read
    #[arg(long)]
    pub diff: bool,
    /// Only events that happened then or later: a time, a date, or a span such as 2h or 7d
    #[arg(long, value_name = "T|7d", value_parser = since)]
    pub since: Option<Since>,
    /// Only events that happened before then; standings are as of then
    #[arg(long, value_name = "T|7d", value_parser = since)]
    pub until: Option<Since>,
    /// Print the result as JSON
    #[arg(long, conflicts_with = "csv")]
    pub json: bool,
    /// Print every address behind the counts, as comma-separated values with a heading
    #[arg(long)]
    pub csv: bool,
}
