//! The rules by which replies are classified: a file, its faults, and what it compiles to.
//!
//! Rules are data because receivers change their words without notice. A rule says what it matches and proves it with a
//! specimen; the first rule of the file that matches wins.

mod compile;
mod matching;
mod pattern;
mod prefilter;

use std::borrow::Cow;
use std::collections::BTreeMap;

use regex::bytes::Regex;
use serde::Deserialize;
use toml::Spanned;

use super::normalize::Layer;
use super::{Category, Scope, Stage, host_of};
use prefilter::Prefilter;

pub use compile::compile;
pub use matching::Matched;
pub use pattern::{CodePattern, StatusPattern};

/// Something wrong in a rule file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {message}")]
pub struct RuleFault {
    /// The line of the file, from 1.
    pub line: usize,
    /// What is wrong, with the rule's name.
    pub message: String,
}

/// The file as written. `config/classification.toml` explains every field.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    words: BTreeMap<String, Spanned<Vec<String>>>,
    #[serde(default)]
    noise: Vec<Spanned<String>>,
    #[serde(default)]
    rule: Vec<Written>,
}

/// A rule as written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    name: Spanned<String>,
    category: Category,
    scope: Option<Scope>,
    #[serde(default)]
    whole: bool,
    #[serde(default)]
    text: Vec<Spanned<String>>,
    #[serde(default)]
    raw: Vec<Spanned<String>>,
    #[serde(default)]
    except: Vec<Spanned<String>>,
    #[serde(default)]
    codes: Vec<Spanned<String>>,
    #[serde(default)]
    status: Vec<Spanned<String>>,
    #[serde(default)]
    stages: Vec<Stage>,
    #[serde(default)]
    receivers: Vec<String>,
    #[serde(default)]
    specimens: Vec<Spanned<String>>,
    #[serde(default)]
    not: Vec<Spanned<String>>,
}

/// A rule, compiled: the patterns of each kind are one expression.
///
/// One set over the patterns of all rules was tried: its automaton has so many states that it is thrown away and rebuilt all
/// the time, which made it many times slower than asking the rules one by one. `prefilter` spares most of them instead.
#[derive(Debug)]
pub struct Rule {
    /// Its name in logs and records.
    pub name: std::sync::Arc<str>,
    /// The line of the file that names it.
    pub line: usize,
    /// What a reply means that it matches.
    pub category: Category,
    /// Whom such a reply is about, where that does not follow from the category.
    pub scope: Option<Scope>,
    /// Whether it decides over whatever the reply quotes: a suppression list quotes the bounce that it remembers.
    pub whole: bool,
    codes: Vec<CodePattern>,
    status: Vec<StatusPattern>,
    stages: Vec<Stage>,
    receivers: Vec<String>,
    text: Option<Regex>,
    raw: Option<Regex>,
    except: Option<Regex>,
    /// Its conditions as they were written, for explanations.
    written: Vec<Condition>,
}

/// One condition of a rule as it was written.
#[derive(Debug)]
struct Condition {
    kind: Field,
    line: usize,
    text: String,
}

/// The field of a rule that a condition stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// A pattern over the words.
    Text,
    /// A pattern over the text as it came.
    Raw,
    /// The start of a reply code.
    Codes,
    /// A pattern over the enhanced code.
    Status,
}

/// A reply that a rule must win, or must not.
#[derive(Clone, Debug)]
pub struct Specimen {
    /// Whether it must.
    pub wins: bool,
    /// Where it stands in the file.
    pub line: usize,
    /// The rule.
    pub rule: std::sync::Arc<str>,
    /// The stage to read it at: the rule's first, else RCPT.
    pub stage: Stage,
    /// The receiver to have it from: the rule's first.
    pub receiver: Option<String>,
    /// The reply.
    pub reply: String,
}

/// Rules in order of precedence.
#[derive(Debug)]
pub struct Rules {
    rules: Vec<Rule>,
    prefilter: Prefilter,
    noise: Option<regex::Regex>,
    lists: BTreeMap<String, Vec<String>>,
    specimens: Vec<Specimen>,
}

/// The rule that a layer matched first.
#[derive(Clone, Copy, Debug)]
pub struct Hit<'a> {
    /// The rule.
    pub rule: &'a Rule,
    /// Whether the text decided, or codes alone.
    pub by_text: bool,
}

impl Rules {
    /// The first rule that matches.
    pub fn find(&self, layer: &Layer, stage: Stage, receiver: Option<&str>) -> Option<Hit<'_>> {
        let words = self.without_noise(layer);
        let possible = self.prefilter.possible(&words, &layer.raw);
        self.rules
            .iter()
            .zip(possible)
            .find(|(rule, possible)| *possible && rule.matches(&words, layer, stage, receiver))
            .map(|(rule, _)| Hit { rule, by_text: rule.reads_text() })
    }

    /// The words of a layer that patterns are matched against.
    pub fn without_noise<'a>(&self, layer: &'a Layer) -> Cow<'a, str> {
        match &self.noise {
            Some(noise) => noise.replace_all(&layer.words, " "),
            None => layer.words.as_str().into(),
        }
    }

    /// The rule of that name.
    pub fn named(&self, name: &str) -> Option<&Rule> {
        self.rules.iter().find(|rule| *rule.name == *name)
    }

    /// What the rules must be able to tell.
    pub fn specimens(&self) -> &[Specimen] {
        &self.specimens
    }

    /// The rules' names, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.rules.iter().map(|rule| &*rule.name)
    }
}

impl Rule {
    pub(super) fn reads_text(&self) -> bool {
        self.text.is_some() || self.raw.is_some()
    }

    fn matches(&self, words: &str, layer: &Layer, stage: Stage, receiver: Option<&str>) -> bool {
        let matches = |regex: &Option<Regex>, text: &str| {
            regex.as_ref().is_some_and(|regex| regex.is_match(text.as_bytes()))
        };
        self.applies(layer, stage, receiver)
            && (!self.reads_text() || matches(&self.text, words) || matches(&self.raw, &layer.raw))
            && !matches(&self.except, words)
    }

    fn applies(&self, layer: &Layer, stage: Stage, receiver: Option<&str>) -> bool {
        (self.codes.is_empty() || self.codes.iter().any(|prefix| prefix.matches(layer.code)))
            && (self.status.is_empty()
                || layer.status.is_some_and(|status| {
                    self.status.iter().any(|pattern| pattern.matches(status))
                }))
            && (self.stages.is_empty() || self.stages.contains(&stage))
            && (self.receivers.is_empty()
                || receiver
                    .is_some_and(|host| self.receivers.iter().any(|zone| within(host, zone))))
    }
}

/// Whether `host`, which a port may follow, is `zone` or lies below it.
fn within(host: &str, zone: &str) -> bool {
    let host = host_of(host);
    let cut = host.len().checked_sub(zone.len());
    let Some((below, same)) = cut.and_then(|cut| host.split_at_checked(cut)) else { return false };
    same.eq_ignore_ascii_case(zone) && (below.is_empty() || below.ends_with('.'))
}

#[cfg(test)]
mod tests;
