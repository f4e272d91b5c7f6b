//! `rcptgate classify --unmatched`: the replies of the journal that no rule understands.
//!
//! Read from the journal's files, line by line, whether a gate runs or not; what is kept in memory is bounded by `bounce::unmatched`.

use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use serde::Serialize;

use crate::app::build;
use crate::bounce::classify::Classifier;
use crate::bounce::unmatched::{GROUPS_MAX, Group, Unmatched};
use crate::bounce::{Category, Stage};
use crate::cli::args::{Classify, Since};
use crate::cli::out::{self, Out, Tone, harmless};
use crate::cli::{access, keep, tail};
use crate::config::Settings;
use crate::failure::Failure;
use crate::journal::{self, JournalError, Position, Reader};
use crate::time::Timestamp;

/// How far back is looked when nobody says.
const SPAN: Duration = Duration::from_secs(7 * 24 * 3600);
/// Groups shown when nobody says.
const LIMIT: u64 = 20;
/// How much of the journal `check` reads: a second or so.
const GLANCE: u64 = 64 << 20;

/// A group as JSON.
#[derive(Serialize)]
struct Row<'a> {
    count: u64,
    text: &'a str,
    stages: &'a [Stage],
    /// At most 64 are told apart.
    receivers: usize,
    receiver: Option<&'a str>,
    first: Timestamp,
    last: Timestamp,
    reply: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    skeleton: Option<String>,
}

/// The last line of JSON.
#[derive(Serialize)]
struct Sum {
    since: Timestamp,
    undetermined: u64,
    texts: usize,
    understood_now: u64,
    left_out: u64,
}

/// Shows what the journal of this configuration holds.
///
/// # Errors
/// `Unavailable` when there is no journal, `Io` when it cannot be read.
pub(super) fn run(
    config: Option<&Path>,
    asked: &Classify,
    classifier: &Classifier,
    out: &mut Out,
) -> Result<(), Failure> {
    let settings = access::settings(config)?;
    let journal = build::gate_settings(&settings).journal_dir();
    let since = asked.since.unwrap_or(Since::Ago(SPAN)).point(Timestamp::now());
    let begin = journal::begin_since(&journal, since).map_err(tail::unreadable)?;
    let total = journal::bytes_from(&journal, begin).map_err(tail::unreadable)?;
    let bar = keep::bar("reading the journal");
    bar.set_length(total);
    let tally = tally(&journal, begin, since, classifier, |bytes| bar.inc(bytes));
    bar.finish_and_clear();
    let tally = tally.map_err(tail::unreadable)?;
    let groups = tally.groups();
    let limit = usize::try_from(asked.limit.unwrap_or(LIMIT)).unwrap_or(usize::MAX);
    let shown = groups.get(..limit.min(groups.len())).unwrap_or_default();
    let skeletons = asked.skeleton.then(|| skeletons(shown, classifier));
    if asked.json {
        return as_json(&tally, since, shown, groups.len(), skeletons, out);
    }
    if let Some(skeletons) = skeletons {
        for (group, skeleton) in shown.iter().zip(skeletons) {
            writeln!(out, "# {}\n{skeleton}", about(group))?;
        }
        return Ok(());
    }
    Ok(for_people(&tally, since, shown, groups.len(), out)?)
}

/// How many replies of the last seven days these rules do not understand, as far as the last part of the journal tells; `None` when it cannot be read.
pub(in crate::cli) fn glance(settings: &Settings, rules: &Classifier) -> Option<u64> {
    let journal = build::gate_settings(settings).journal_dir();
    let since = Since::Ago(SPAN).point(Timestamp::now());
    let begin = journal::begin_of_last(&journal, GLANCE).ok()?;
    let begin = begin.max(journal::begin_since(&journal, since).ok()?);
    let tally = tally(&journal, begin, since, rules, |_| {}).ok()?;
    Some(tally.undetermined)
}

/// Puts together what was undetermined when it came. `read` gets the bytes of each line.
fn tally(
    journal: &Path,
    begin: Position,
    since: Timestamp,
    classifier: &Classifier,
    mut read: impl FnMut(u64),
) -> Result<Unmatched, JournalError> {
    let mut tally = Unmatched::with_room(GROUPS_MAX);
    for located in Reader::at(journal, begin)? {
        let located = located?;
        read(located.bytes);
        let Some(event) = located.entry.event() else { continue };
        let Some(evidence) = event.evidence() else { continue };
        if event.at < since || evidence.category != Category::Undetermined {
            continue;
        }
        let receiver = evidence.context.receiver.as_deref();
        tally.add(classifier, evidence.stage, &evidence.reply, receiver, event.at);
    }
    Ok(tally)
}

fn as_json(
    tally: &Unmatched,
    since: Timestamp,
    shown: &[&Group],
    texts: usize,
    skeletons: Option<Vec<String>>,
    out: &mut Out,
) -> Result<(), Failure> {
    let mut skeletons = skeletons.map(Vec::into_iter);
    for group in shown {
        let row = Row {
            count: group.count,
            text: &group.text,
            stages: &group.stages,
            receivers: group.receivers().0,
            receiver: group.receiver.as_deref(),
            first: group.first,
            last: group.last,
            reply: &group.reply,
            skeleton: skeletons.as_mut().and_then(Iterator::next),
        };
        out::json(out, &row)?;
    }
    let Unmatched { undetermined, understood, left_out, .. } = *tally;
    let sum = Sum { since, undetermined, texts, understood_now: understood, left_out };
    Ok(out::json(out, &serde_json::json!({ "sum": sum }))?)
}

/// Rules to fill in. Their names are those of no rule yet, so that they can stand in one file with rules made of earlier ones.
fn skeletons(shown: &[&Group], rules: &Classifier) -> Vec<String> {
    let is_free = |name: &String| !rules.rules().any(|known| known == name);
    let names = (1_u32..).map(|number| format!("unmatched-{number}")).filter(is_free);
    shown.iter().zip(names).map(|(group, name)| group.skeleton(&name)).collect()
}

fn for_people(
    tally: &Unmatched,
    since: Timestamp,
    shown: &[&Group],
    texts: usize,
    out: &mut Out,
) -> std::io::Result<()> {
    let (count, since) = (tally.undetermined, since.date());
    writeln!(out, "{count} replies since {since} are still undetermined, of {texts} texts")?;
    if tally.understood > 0 {
        writeln!(
            out,
            "{} more were when they came; the rules of today know them",
            tally.understood
        )?;
    }
    if tally.left_out > 0 {
        let (left_out, max) = (tally.left_out, GROUPS_MAX);
        writeln!(out, "{left_out} of rare texts were left out: no more than {max} texts are kept")?;
    }
    for group in shown {
        let text = if group.text.is_empty() { "(no words)" } else { &group.text };
        let text = out.paint(Tone::Head, &harmless(text));
        writeln!(out, "\n{:>8}  {text}", group.count)?;
        writeln!(out, "          {}", harmless(&group.reply))?;
        let about = out.paint(Tone::Dim, &about(group));
        writeln!(out, "          {about}")?;
    }
    let more = texts.saturating_sub(shown.len());
    if more > 0 {
        writeln!(out, "\n{more} more texts: --limit shows them")?;
    }
    if !shown.is_empty() {
        writeln!(
            out,
            "\nA rule to fill in for each: --skeleton; why a reply is undetermined: --explain"
        )?;
    }
    Ok(())
}

/// Whence and when, on one line.
fn about(group: &Group) -> String {
    let stages: Vec<_> = group.stages.iter().map(|stage| stage.name()).collect();
    let stages = stages.join(" ");
    let (number, more) = group.receivers();
    let receivers = match &group.receiver {
        None => "receiver unknown".to_owned(),
        Some(host) if number == 1 => format!("from {}", harmless(host)),
        Some(host) => {
            let more = if more { " or more" } else { "" };
            format!("from {number}{more} receivers such as {}", harmless(host))
        }
    };
    let (count, first, last) = (group.count, group.first.date(), group.last.date());
    format!("{count} at {stages}, {receivers}, {first} to {last}")
}
