//! From the file to the compiled rules, with every fault at once.

use std::collections::BTreeMap;
use std::ops::Range;
use std::str::FromStr;

use regex::bytes::{Regex, RegexBuilder};
use toml::Spanned;

use super::prefilter::Prefilter;
use super::{Condition, Field, File, Rule, RuleFault, Rules, Specimen, Written, pattern};
use crate::bounce::Stage;

/// Octets that the compiled patterns of one rule may take; the largest of the built-in ones needs about a tenth.
const SIZE_MAX: usize = 4 << 20;

/// Octets of the automaton built while matching. Too few and it is thrown away again and again.
const CACHE_MAX: usize = 2 << 20;

/// Compiles a rule file.
///
/// # Errors
/// Every fault found, each with its line.
pub fn compile(text: &str) -> Result<Rules, Vec<RuleFault>> {
    let file: File = toml::from_str(text).map_err(|error| {
        let at = error.span().map_or(0, |span| span.start);
        vec![RuleFault { line: line_of(text, at), message: error.message().to_owned() }]
    })?;
    let mut compiler = Compiler::new(text, file.words);
    let noise = compiler.noise(&file.noise);
    let rules: Vec<_> = file.rule.into_iter().map(|rule| compiler.rule(rule)).collect();
    if !compiler.faults.is_empty() {
        return Err(compiler.faults);
    }
    let prefilter =
        Prefilter::new(&rules).map_err(|message| vec![RuleFault { line: 1, message }])?;
    let Compiler { lists, specimens, .. } = compiler;
    Ok(Rules { rules, prefilter, noise, lists, specimens })
}

struct Compiler<'a> {
    file: &'a str,
    lists: BTreeMap<String, Vec<String>>,
    specimens: Vec<Specimen>,
    faults: Vec<RuleFault>,
}

impl<'a> Compiler<'a> {
    fn new(file: &'a str, lists: BTreeMap<String, Spanned<Vec<String>>>) -> Self {
        let mut faults = Vec::new();
        for (name, list) in &lists {
            if list.get_ref().is_empty() {
                let line = line_of(file, list.span().start);
                faults
                    .push(RuleFault { line, message: format!("list of words {name:?} is empty") });
            }
        }
        let lists = lists.into_iter().map(|(name, list)| (name, list.into_inner())).collect();
        Self { file, lists, specimens: Vec::new(), faults }
    }

    fn fault(&mut self, at: Range<usize>, message: String) {
        self.faults.push(RuleFault { line: line_of(self.file, at.start), message });
    }

    fn noise(&mut self, patterns: &[Spanned<String>]) -> Option<regex::Regex> {
        let mut all = Vec::new();
        for written in patterns {
            let compiled = pattern::words(written.get_ref(), &self.lists)
                .and_then(|regex| regex_of(&regex).map(|_| regex));
            match compiled {
                Ok(regex) => all.push(regex),
                Err(message) => self.fault(written.span(), format!("noise: {message}")),
            }
        }
        if all.is_empty() {
            return None;
        }
        regex_of(&format!("(?:^| )(?:{})(?: |$)", all.join("|"))).ok()
    }

    fn rule(&mut self, written: Written) -> Rule {
        let name = written.name.get_ref().clone();
        let at = written.name.span();
        if self.specimens.iter().any(|specimen| *specimen.rule == *name) {
            self.fault(at.clone(), format!("rule {name:?} stands here a second time"));
        }
        if written.specimens.is_empty() {
            self.fault(at.clone(), format!("rule {name:?} has no specimen"));
        }
        if written.text.is_empty()
            && written.raw.is_empty()
            && written.codes.is_empty()
            && written.status.is_empty()
        {
            self.fault(
                at,
                format!("rule {name:?} would match everything: give text, raw, codes or status"),
            );
        }
        let rule_name: std::sync::Arc<str> = name.as_str().into();
        let won = written.specimens.iter().map(|specimen| (true, specimen));
        let lost = written.not.iter().map(|specimen| (false, specimen));
        for (wins, specimen) in won.chain(lost) {
            self.specimens.push(Specimen {
                wins,
                line: line_of(self.file, specimen.span().start),
                rule: rule_name.clone(),
                stage: written.stages.first().copied().unwrap_or(Stage::Rcpt),
                receiver: written.receivers.first().cloned(),
                reply: specimen.get_ref().clone(),
            });
        }
        let conditions = self.conditions(&written);
        Rule {
            written: conditions,
            line: line_of(self.file, written.name.span().start),
            category: written.category,
            scope: written.scope,
            whole: written.whole,
            codes: self.parsed(&name, &written.codes),
            status: self.parsed(&name, &written.status),
            stages: written.stages,
            receivers: written.receivers,
            text: self.patterns(&name, &written.text),
            raw: self.raw_patterns(&name, &written.raw),
            except: self.patterns(&name, &written.except),
            name: rule_name,
        }
    }

    /// What a rule asks for, as it was written.
    fn conditions(&self, rule: &Written) -> Vec<Condition> {
        let fields = [
            (Field::Text, &rule.text),
            (Field::Raw, &rule.raw),
            (Field::Codes, &rule.codes),
            (Field::Status, &rule.status),
        ];
        let all = fields.into_iter().flat_map(|(kind, all)| all.iter().map(move |one| (kind, one)));
        all.map(|(kind, one)| Condition {
            kind,
            line: line_of(self.file, one.span().start),
            text: one.get_ref().clone(),
        })
        .collect()
    }

    /// Patterns over words.
    fn patterns(&mut self, rule: &str, patterns: &[Spanned<String>]) -> Option<Regex> {
        let mut expanded = Vec::with_capacity(patterns.len());
        for written in patterns {
            match pattern::words(written.get_ref(), &self.lists) {
                Ok(regex) => expanded.push((written.span(), regex)),
                Err(message) => self.fault(written.span(), format!("rule {rule:?}: {message}")),
            }
        }
        self.one_of(rule, &expanded, whole_words)
    }

    /// Patterns over the text as it came.
    fn raw_patterns(&mut self, rule: &str, patterns: &[Spanned<String>]) -> Option<Regex> {
        let patterns: Vec<_> =
            patterns.iter().map(|written| (written.span(), written.get_ref().clone())).collect();
        self.one_of(rule, &patterns, str::to_owned)
    }

    /// One expression for all patterns; if that fails, the patterns at fault one by one.
    fn one_of(
        &mut self,
        rule: &str,
        patterns: &[(Range<usize>, String)],
        within: impl Fn(&str) -> String,
    ) -> Option<Regex> {
        if patterns.is_empty() {
            return None;
        }
        let all: Vec<_> = patterns.iter().map(|(_, regex)| format!("(?:{regex})")).collect();
        let error = match build(&within(&all.join("|"))) {
            Ok(regex) => return Some(regex),
            Err(error) => error,
        };
        let before = self.faults.len();
        for (at, regex) in patterns {
            if let Err(error) = build(regex) {
                self.fault(at.clone(), format!("rule {rule:?}: {}", one_line(&error)));
            }
        }
        if self.faults.len() == before
            && let Some((at, _)) = patterns.first()
        {
            self.fault(at.clone(), format!("rule {rule:?}: {}", one_line(&error)));
        }
        None
    }

    /// Patterns of codes.
    fn parsed<T: FromStr<Err = String>>(
        &mut self,
        rule: &str,
        patterns: &[Spanned<String>],
    ) -> Vec<T> {
        let mut parsed = Vec::with_capacity(patterns.len());
        for written in patterns {
            match written.get_ref().parse() {
                Ok(pattern) => parsed.push(pattern),
                Err(message) => self.fault(written.span(), format!("rule {rule:?}: {message}")),
            }
        }
        parsed
    }
}

/// Half boundaries hold beside bytes that are not ASCII: CJK writes no spaces.
pub(super) fn whole_words(any: &str) -> String {
    format!(r"\b{{start-half}}(?:{any})\b{{end-half}}")
}

pub(super) fn build(pattern: &str) -> Result<Regex, regex::Error> {
    RegexBuilder::new(pattern).unicode(false).size_limit(SIZE_MAX).dfa_size_limit(CACHE_MAX).build()
}

fn regex_of(pattern: &str) -> Result<regex::Regex, String> {
    regex::RegexBuilder::new(pattern).size_limit(SIZE_MAX).build().map_err(|error| one_line(&error))
}

/// The crate's messages draw an arrow under the pattern; a log line has no room for that.
fn one_line(error: &regex::Error) -> String {
    let text = error.to_string();
    text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned()
}

fn line_of(text: &str, at: usize) -> usize {
    1 + text.bytes().take(at).filter(|byte| *byte == b'\n').count()
}
