//! `rcptgate classify`: what a reply means, without a gate.

use std::io::{BufRead, Read as _, Write};

use serde::{Deserialize, Serialize};

use crate::bounce::classify::{Classifier, read_reply, status_of};
use crate::bounce::labels::{Labels, description, labels};
use crate::bounce::{Category, Effect, Scope, Stage};
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
}

/// Classifies one reply given as an argument, or JSON lines from `input`, one line of JSON out for each.
///
/// # Errors
/// `Data` with its line number for a line that is not the JSON wanted; answers to the lines before it stand. `Io` when
/// reading or writing fails.
pub fn run(
    reply: Option<&str>,
    mut input: impl BufRead,
    mut output: impl Write,
    classifier: &Classifier,
) -> Result<(), Failure> {
    if let Some(reply) = reply {
        // A shell user types the line break of a reply as logs show it.
        let reply = reply.replace("\\r\\n", "\n").replace("\\n", "\n");
        let question = Question { reply, stage: None, recipients: one(), receiver: None };
        answer(&question, Stage::Rcpt, classifier, &mut output)?;
        return Ok(output.flush()?);
    }
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
    let found = match &reply {
        Some(reply) => {
            classifier.classify(stage, reply, question.recipients, question.receiver.as_deref())
        }
        None => Classifier::without_code(),
    };
    let answer = Answer {
        category: found.category,
        scope: found.scope,
        effect: found.effect,
        rule: &found.rule,
        labels: labels(found.category, status, &found.rule),
        description: description(found.category),
    };
    let line = serde_json::to_string(&answer)
        .map_err(|error| Failure::Internal(format!("answer as JSON: {error}")))?;
    Ok(writeln!(output, "{line}")?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is written, and how it ends.
    fn ask(reply: Option<&str>, input: &[u8]) -> (Vec<String>, Result<(), String>) {
        let mut output = Vec::new();
        let result = run(reply, input, &mut output, &Classifier::builtin());
        let output = String::from_utf8(output).expect("JSON is UTF-8");
        (output.lines().map(str::to_owned).collect(), result.map_err(|failure| failure.to_string()))
    }

    fn field(line: &str, name: &str) -> String {
        let line: serde_json::Value = serde_json::from_str(line).expect("JSON");
        line.get(name).and_then(|value| value.as_str()).unwrap_or_default().to_owned()
    }

    #[test]
    fn one_reply_as_argument() {
        let (lines, result) = ask(Some(r"550-5.1.1 No such\n550 5.1.1 user"), b"ignored");
        assert_eq!(result, Ok(()));
        assert_eq!(
            lines,
            [concat!(
                r#"{"category":"user_unknown","scope":"recipient","effect":"hard","rule":"no-such-user","labels":"#,
                r#"{"marketo":2,"salesforce":"hard","salesforce_cause":null,"activecampaign":{"code":"5.1.1","type":"hard","means":"No such recipient"},"quarantine":"long_term"},"#,
                r#""description":"No such mailbox: it never existed, was closed or has moved"}"#
            )]
        );
    }

    #[test]
    fn lines_in_lines_out() {
        let input = br#"{"stage":"rcpt","reply":"550 5.1.1 user unknown"}

{"reply":"452 4.2.2 mailbox full","more":1}
{"stage":"DATA","reply":"550 user unknown","recipients":2}
{"stage":"end_of_data","reply":"550 user unknown","recipients":1}
{"stage":"-","reply":"nothing to go by"}
{"stage":"dsn","reply":"5.1.1 unknown user"}"#;
        let (lines, result) = ask(None, input);
        assert_eq!(result, Ok(()));
        let effects: Vec<_> = lines.iter().map(|line| field(line, "effect")).collect();
        assert_eq!(effects, ["hard", "soft", "none", "hard", "none", "hard"]);
        assert_eq!(field(&lines[4], "category"), "undetermined");
    }

    #[test]
    fn a_bad_line_is_named_and_the_answers_before_it_stand() {
        let check = |bad: &[u8], fault: &str| {
            let (lines, result) = ask(None, &[b"{\"reply\":\"550 no\"}\n", bad].concat());
            assert_eq!(lines.len(), 1);
            assert_eq!(result, Err(fault.to_owned()));
        };
        check(b"{\"reply\":", "line 2: EOF while parsing a value at column 9");
        check(b"{}", "line 2: missing field `reply` at column 2");
        check(
            b"{\"reply\":\"550 no\",\"stage\":\"noon\"}",
            "line 2: unknown stage \"noon\" (expected connect, ehlo, starttls, auth, mail, rcpt, data, end-of-data, rset, quit or dsn)",
        );
        check(&vec![b'x'; LINE_MAX as usize], "line 2: longer than 262144 octets");
    }
}
