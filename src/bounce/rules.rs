//! The rules by which replies are classified: a file, its faults, and what it compiles to.
//!
//! Rules are data because receivers change their words without notice. A rule says what it matches and proves it with a
//! specimen; the first rule of the file that matches wins.

mod compile;
mod dead;
mod matching;
mod pattern;
mod prefilter;
mod read;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use regex::bytes::Regex;

use super::normalize::Layer;
use super::{Category, Scope, Stage, host_of};
use prefilter::{Needs, Prefilter};

pub use compile::{Draft, compile};
pub use matching::Matched;
pub use pattern::{CodePattern, StatusPattern};
pub use read::Text;

/// Something wrong in a rule file. Shown as `line N: KEY = VALUE: WHY`, without what is not known.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct RuleFault {
    /// The line of the file, from 1.
    pub line: usize,
    /// The rule and the key: `rule "a", text[1]`; empty where the file is no TOML.
    pub key: String,
    /// The offending value as it stands in the file; may be empty.
    pub value: String,
    /// What is wrong.
    pub why: String,
}

impl fmt::Display for RuleFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: ", self.line)?;
        let known = [&self.key, &self.value].into_iter().filter(|part| !part.is_empty());
        let known: Vec<_> = known.map(String::as_str).collect();
        if !known.is_empty() {
            write!(f, "{}: ", known.join(" = "))?;
        }
        f.write_str(&self.why)
    }
}

/// A rule, compiled: the patterns of each kind are one expression.
///
/// One set over the patterns of all rules was tried: its automaton has so many states that it is thrown away and rebuilt all
/// the time, which made it many times slower than asking the rules one by one. `prefilter` spares most of them instead.
#[derive(Debug)]
pub struct Rule {
    /// Its name in logs and records.
    pub name: Arc<str>,
    /// The line of the file that names it.
    pub line: usize,
    /// Whether it stands in the operator's file, before the built-in ones.
    pub own: bool,
    /// The built-in rules that it may take specimens from.
    pub over: Vec<String>,
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
    needs: Option<Needs>,
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
    /// The rule.
    pub rule: Arc<str>,
    /// The stage to read it at: the rule's first, else RCPT.
    pub stage: Stage,
    /// The receiver to have it from: the rule's first.
    pub receiver: Option<String>,
    /// The reply, and where it stands in the file.
    pub reply: Text,
}

/// Rules in order of precedence.
#[derive(Debug, Default)]
pub struct Rules {
    rules: Vec<Arc<Rule>>,
    /// How many of the built-in ones were turned off.
    off: usize,
    prefilter: Prefilter,
    noise: Option<regex::Regex>,
    specimens: Vec<Specimen>,
    /// The lists of words and the phrases taken out, for rules that come before these and for explanations.
    lists: BTreeMap<String, Vec<String>>,
    noises: Vec<String>,
}

/// How many rules there are, and whose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    /// Those of the operator's file.
    pub own: usize,
    /// Built-in ones that are in force.
    pub builtin: usize,
    /// Built-in ones that are turned off.
    pub off: usize,
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
        self.rules.iter().find(|rule| *rule.name == *name).map(Arc::as_ref)
    }

    /// How many there are.
    pub fn counts(&self) -> Counts {
        let own = self.rules.iter().filter(|rule| rule.own).count();
        Counts { own, builtin: self.rules.len() - own, off: self.off }
    }

    /// Lets other rules follow these, but those that are `off`.
    fn put_before(&mut self, others: &Self, off: impl Fn(&str) -> bool) {
        let (out, more): (Vec<_>, Vec<_>) =
            others.rules.iter().cloned().partition(|rule| off(&rule.name));
        self.off = out.len();
        self.rules.extend(more);
        let specimens = others.specimens.iter().filter(|specimen| !off(&specimen.rule));
        self.specimens.extend(specimens.cloned());
        self.noises.splice(0..0, others.noises.iter().cloned());
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
