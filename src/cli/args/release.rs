//! The flags of `release`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::Signed;
use crate::event::List;

/// `release`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  rcptgate release someone@example.com --reason 'mailbox exists again'
  rcptgate release --file addresses.txt --reason 'receiver had an outage' --yes
  rcptgate release --file active.txt --campaign-size 200000 --slice 500 --reason 'bought with the list' --yes
  rcptgate release someone@example.com --from blacklist --tenant acme --reason 'subscribed again'

The next hard bounce of a released address is believed at once.")]
pub struct Release {
    /// The addresses
    #[arg(value_name = "ADDRESS", required_unless_present = "file")]
    pub addresses: Vec<String>,
    /// A file of addresses, one a line, from the blacklist each with its reason behind a comma; - is standard input
    #[arg(long, value_name = "F", conflicts_with = "addresses")]
    pub file: Option<PathBuf>,
    /// From which list
    #[arg(long, value_enum, default_value = "quarantine", value_name = "LIST")]
    pub from: From,
    /// From whose blacklist
    #[arg(long, value_name = "T")]
    pub tenant: Option<String>,
    /// Release more than ten, after their causes have been shown
    #[arg(long)]
    pub yes: bool,
    /// How many the next mailing goes to: shows which share of hard bounces the release risks
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub campaign_size: Option<u64>,
    /// Release so many of those that are on the list, and leave the rest for later
    #[arg(long, value_name = "N", value_parser = positive)]
    pub slice: Option<usize>,
    #[command(flatten)]
    pub signed: Signed,
}

fn positive(text: &str) -> Result<usize, String> {
    text.parse()
        .ok()
        .filter(|count| *count > 0)
        .ok_or_else(|| "expected a whole number from 1 on".to_owned())
}

/// The lists that an address can be taken off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum From {
    /// What refuses it to everybody, learnt or ordered
    Quarantine,
    /// What refuses it to one tenant
    Blacklist,
    /// What keeps it from being refused
    Allow,
}

impl std::convert::From<From> for List {
    fn from(from: From) -> Self {
        match from {
            From::Quarantine => Self::Quarantine,
            From::Blacklist => Self::Blacklist,
            From::Allow => Self::Allow,
        }
    }
}
