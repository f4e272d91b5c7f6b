//! `rcptgate classify`: what a reply means, without a gate; why; and which replies of the journal nobody understands.

mod story;
pub(super) mod unmatched;

use std::io::{BufRead, Read as _, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::args;
use super::out::Out;
use crate::app::build;
use crate::bounce::classify::{Classifier, read_reply, status_of};
use crate::bounce::explain::{self, DecidedBy};
use crate::bounce::labels::{Labels, description, labels};
use crate::bounce::{Category, Effect, Scope, Stage};
use crate::config::{self, ClassificationSettings, LiveRules};
use crate::failure::Failure;

/// Octets of an input line; the longest reply that the gate takes is 16 KiB, and JSON may escape every octet as six.
const LINE_MAX: u64 = 256 * 1024;

/// A line of input.
#[derive(Debug, Deserialize)]
struct Question {
    reply: String,
    #[serde(default)]
    stage: Option<String>,
    #[serde(default = "one")]
    recipients: u32,
    #[serde(default)]
    receiver: Option<String>,
}

/// A line of output.
#[derive(Debug, Serialize)]
struct Answer<'a> {
    category: Category,
    scope: Scope,
    effect: Effect,
    rule: &'a str,
    labels: Labels,
    description: &'static str,
    decided_by: DecidedBy,
    /// The words that rules were asked about, of the reply that decided.
    normalized: String,
}

/// Does what the arguments ask for.
///
/// # Errors
/// `Usage` for a stage that there is none of; as `lines` and `unmatched::run`; `Config` with every fault of a configuration or of a file of
/// rules.
pub fn run(config: Option<&Path>, asked: &args::Classify, out: &mut Out) -> Result<(), Failure> {
    let rules = rules(config, asked.rules.as_deref())?;
    let classifier = rules.current();
    if asked.unmatched {
        return unmatched::run(config, asked, &classifier, out);
    }
    let Some(reply) = &asked.reply else {
        return lines(std::io::stdin().lock(), out, &classifier);
    };
    let stage = stage(asked.stage.as_deref()).map_err(Failure::Usage)?;
    // A shell user types the line break of a reply as logs show it.
    let reply = reply.replace("\\r\\n", "\n").replace("\\n", "\n");
    let (recipients, receiver) = (asked.recipients, asked.receiver.clone());
    let question = Question { reply, stage: None, recipients, receiver };
    if asked.explain {
        let explained = match read_reply(stage, &question.reply) {
            Some(reply) => {
                classifier.explain(stage, &reply, recipients, question.receiver.as_deref())
            }
            None => explain::without_code(),
        };
        story::tell(&question.reply, &explained, rules.file().map(PathBuf::as_path), out)?;
    } else {
        answer(&question, stage, &classifier, out)?;
    }
    Ok(out.flush()?)
}

/// The operator's rules before the built-in ones: those of the file that is to be tried, else those of the configuration that is given or
/// found. Where there is none, the built-in ones alone.
fn rules(config: Option<&Path>, tried: Option<&Path>) -> Result<LiveRules, Failure> {
    let choice = match tried {
        Some(file) => Ok(ClassificationSettings { file: Some(file.to_owned()) }),
        None => match config::find(config) {
            Ok(file) => config::read(&file).map(|settings| settings.classification),
            Err(_none) => Ok(ClassificationSettings::default()),
        },
    };
    let rules = choice.and_then(|choice| LiveRules::open(&choice));
    rules.map_err(|errors| build::faults(&errors))
}

/// Classifies JSON lines from `input`, one line of JSON out for each.
///
/// # Errors
/// `Data` with its line number for a line that is not the JSON wanted; answers to the lines before it stand. `Io` when
/// reading or writing fails.
fn lines(
    mut input: impl BufRead,
    mut output: impl Write,
    classifier: &Classifier,
) -> Result<(), Failure> {
    let mut line = Vec::new();
    for number in 1_u64.. {
        line.clear();
        if input.by_ref().take(LINE_MAX).read_until(b'\n', &mut line)? == 0 {
            break;
        }
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        let asked = parse(&line).map_err(|fault| Failure::Data(format!("line {number}: {fault}")));
        let (question, stage) = match asked {
            Ok(asked) => asked,
            Err(failure) => {
                output.flush()?;
                return Err(failure);
            }
        };
        answer(&question, stage, classifier, &mut output)?;
    }
    Ok(output.flush()?)
}

const fn one() -> u32 {
    1
}

fn parse(line: &[u8]) -> Result<(Question, Stage), String> {
    if !line.ends_with(b"\n") && line.len() as u64 >= LINE_MAX {
        return Err(format!("longer than {LINE_MAX} octets"));
    }
    let question: Question = serde_json::from_slice(line.trim_ascii_end()).map_err(|error| {
        // The parser counts lines of its own; ours is the one that matters.
        let text = error.to_string();
        text.replace(
            &format!(" at line 1 column {}", error.column()),
            &format!(" at column {}", error.column()),
        )
    })?;
    let stage = stage(question.stage.as_deref())?;
    Ok((question, stage))
}

/// A stage by any name that logs have for it; none at all is RCPT.
pub(super) fn stage(name: Option<&str>) -> Result<Stage, String> {
    let Some(name) = name.filter(|name| !matches!(*name, "" | "-")) else { return Ok(Stage::Rcpt) };
    let known = name.to_ascii_lowercase().replace([' ', '_'], "-");
    serde_json::from_value(known.into()).map_err(|_| {
        format!(
            "unknown stage {name:?} (expected connect, ehlo, starttls, auth, mail, rcpt, data, end-of-data, rset, quit or dsn)"
        )
    })
}

fn answer(
    question: &Question,
    stage: Stage,
    classifier: &Classifier,
    output: &mut impl Write,
) -> Result<(), Failure> {
    let reply = read_reply(stage, &question.reply);
    let status = reply.as_ref().and_then(status_of);
    let (recipients, receiver) = (question.recipients, question.receiver.as_deref());
    let (found, decided_by, normalized) = match &reply {
        Some(reply) => classifier.classify_with_words(stage, reply, recipients, receiver),
        None => (Classifier::without_code(), DecidedBy::NoCode, String::new()),
    };
    let answer = Answer {
        category: found.category,
        scope: found.scope,
        effect: found.effect,
        rule: &found.rule,
        labels: labels(found.category, status, &found.rule),
        description: description(found.category),
        decided_by,
        normalized,
    };
    let line = serde_json::to_string(&answer)
        .map_err(|error| Failure::Internal(format!("answer as JSON: {error}")))?;
    Ok(writeln!(output, "{line}")?)
}

#[cfg(test)]
mod tests;
