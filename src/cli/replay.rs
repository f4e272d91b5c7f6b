//! `rcptgate replay`: the journal under another policy, or with its replies read by other rules; what would be another standing.
//!
//! The journal is read where it lies, and nothing is written, so it does not matter whether a gate runs. Memory is bounded by the size
//! of the journal, not by guessing: for each [`PASS_BYTES`] of it there is one pass, which takes the addresses whose hash falls to it.
//! Addresses that fall to another pass cost a look at their line, and no memory.

mod fold;
mod show;
mod tally;

use std::hash::BuildHasher as _;
use std::path::Path;

use foldhash::quality::RandomState;

use super::args::Replay;
use super::keep::{bar, named};
use super::out::{self, Out, unwritten};
use super::tail::unreadable;
use crate::app::build;
use crate::bounce::classify::Classifier;
use crate::config::{self, ClassificationSettings, PolicyChoice, PolicySource};
use crate::failure::Failure;
use crate::journal::{self, Position, Reader};
use crate::lists::Lists;
use crate::policy::Masks;
use crate::policy::verdict::Listing;
use crate::smtp::address::RecipientKey;
use crate::time::Timestamp;
use fold::{Fold, Means, Window};
use tally::{Moved, Report, Tried};

/// Bytes of the journal whose addresses are held at once. Reckoned: two records of an address take some one and a half kilobytes with
/// what they hold, and its events at least three hundred bytes of journal, so memory stays within five times this (1.3 GiB) where every
/// address has one event, and is a third of that where it has three.
const PASS_BYTES: u64 = 256 << 20;
/// Where a journal begins.
const START: Position = Position { segment: 1, offset: 0 };
/// Lines between two looks at how far the reader is.
const LOOK_EVERY: u64 = 4096;
/// What no journal can tell, and whoever reads the figures must know.
const UNKNOWN: [&str; 4] = [
    "recipients that were refused: what their receivers would have said was never asked",
    "replies that no rule in force took for a sign about the recipient: of most the journal has no event",
    "what a recipient that would have been refused would not have drawn: those replies and deliveries are counted all the same",
    "outages that the guard would have seen under this policy: only those that it did see hold anything",
];

pub fn run(config: Option<&Path>, args: &Replay, out: &mut Out) -> Result<(), Failure> {
    if args.diff && args.policy.is_none() && args.rules.is_none() {
        let why = "--diff compares with what is in force: say --policy or --rules as well";
        return Err(Failure::Usage(why.to_owned()));
    }
    let window = window(args, Timestamp::now())?;
    let settings = super::access::settings(config)?;
    let lists = config::load_lists(&settings.lists).map_err(|errors| build::faults(&errors))?;
    let tried = match &args.policy {
        Some(name) => PolicyChoice { source: named(name)?, ..settings.policy.clone() },
        None => settings.policy.clone(),
    };
    let load =
        |choice| config::load_policy(choice, &lists).map_err(|errors| build::faults(&errors));
    let (before, after) = (load(&settings.policy)?, load(&tried)?);
    let rules = args.rules.as_deref().map(rules).transpose()?;
    let journal = build::gate_settings(&settings).journal_dir();
    let tried = Tried {
        policy: name_of(&tried.source),
        rules: args.rules.as_ref().map(|file| file.display().to_string()),
        against: args.diff.then(|| name_of(&settings.policy.source)),
        as_of: window.as_of,
        unknown: UNKNOWN,
    };
    let before = args.diff.then_some(&before);
    let means = Means { before, after: &after, rules: rules.as_ref(), window };
    if args.csv {
        let mut table = csv::Writer::from_writer(&mut *out);
        table.write_record(tally::COLUMNS).map_err(unwritten)?;
        let row = |moved: &Moved<'_>| table.write_record(moved.cells()).map_err(unwritten);
        replay(&journal, PASS_BYTES, &means, &lists, tried, row)?;
        return Ok(table.flush()?);
    }
    let report = replay(&journal, PASS_BYTES, &means, &lists, tried, |_| Ok(()))?;
    if args.json { Ok(out::json(out, &report)?) } else { Ok(show::show(&report, out)?) }
}

/// Folds the journal as it is now, and hands each address with another standing to `moved`.
fn replay(
    journal: &Path,
    pass_bytes: u64,
    means: &Means<'_>,
    lists: &Lists,
    tried: Tried,
    mut moved: impl FnMut(&Moved<'_>) -> Result<(), Failure>,
) -> Result<Report, Failure> {
    let last = Reader::latest(journal, 1).map_err(unreadable)?.last().transpose();
    let end = last.map_err(unreadable)?.map_or(0, |located| located.entry.seq);
    let masks = Masks::new(journal::orders(journal, end).map_err(unreadable)?);
    let total = journal::bytes_from(journal, START).map_err(unreadable)?;
    let passes = total.div_ceil(pass_bytes.max(1)).max(1);
    let (hasher, bar) = (RandomState::default(), bar("folding the journal"));
    bar.set_length(total.saturating_mul(passes));
    let mut report = Report::new(tried, passes);
    for pass in 0..passes {
        let mine = |address: &str| passes == 1 || hasher.hash_one(address) % passes == pass;
        let mut fold = Fold::new(means, &masks);
        let mut reader = Reader::open(journal).map_err(unreadable)?;
        for line in 0_u64.. {
            let Some(located) = reader.next_about(&mine) else { break };
            let located = located.map_err(unreadable)?;
            if located.entry.seq > end {
                break;
            }
            if let Some(event) = located.entry.event() {
                fold.learn(located.entry.seq, event, &mut report.counts);
            }
            if line % LOOK_EVERY == 0 {
                let ahead = journal::bytes_from(journal, located.position).map_err(unreadable)?;
                bar.set_position(total.saturating_mul(pass + 1).saturating_sub(ahead));
            }
        }
        let listing = |address: &RecipientKey| {
            let (allowed, disposable) = lists.listing(address);
            Listing { allowed, disposable: disposable.map(str::to_owned) }
        };
        fold.compare(&listing, &mut |found| {
            report.add(found);
            if found.is_moved() { moved(found) } else { Ok(()) }
        })?;
    }
    bar.finish_and_clear();
    report.finish();
    Ok(report)
}

/// The rules of a file, before the built-in ones.
fn rules(file: &Path) -> Result<Classifier, Failure> {
    let choice = ClassificationSettings { file: Some(file.to_owned()) };
    config::load_rules(&choice).map_err(|errors| build::faults(&errors))
}

fn window(args: &Replay, now: Timestamp) -> Result<Window, Failure> {
    let point = |since: super::args::Since| since.point(now);
    let (since, until) = (args.since.map(point), args.until.map(point));
    if let (Some(since), Some(until)) = (since, until)
        && until <= since
    {
        let why = format!("no time is before {until} and not before {since}");
        return Err(Failure::Usage(why));
    }
    Ok(Window { since, until, as_of: until.map_or(now, |until| until.min(now)) })
}

fn name_of(source: &PolicySource) -> String {
    match source {
        PolicySource::Preset(name) => name.clone(),
        PolicySource::File(file) => file.display().to_string(),
    }
}

#[cfg(test)]
mod tests;
