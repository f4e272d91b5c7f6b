//! From the file to the compiled rules, with every fault at once.

use std::collections::BTreeMap;
use std::ops::Range;

use regex::bytes::{Regex, RegexBuilder};
use toml::Spanned;

use super::{File, Rule, RuleFault, Rules, Specimen, StatusPattern, Written, pattern};
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
    if compiler.faults.is_empty() {
        Ok(Rules { rules, noise, specimens: compiler.specimens })
    } else {
        Err(compiler.faults)
    }
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
        for specimen in &written.specimens {
            self.specimens.push(Specimen {
                line: line_of(self.file, specimen.span().start),
                rule: rule_name.clone(),
                stage: written.stages.first().copied().unwrap_or(Stage::Rcpt),
                receiver: written.receivers.first().cloned(),
                reply: specimen.get_ref().clone(),
            });
        }
        Rule {
            category: written.category,
            scope: written.scope,
            whole: written.whole,
            codes: self.codes(&name, &written.codes),
            status: self.status(&name, &written.status),
            stages: written.stages,
            receivers: written.receivers,
            text: self.patterns(&name, &written.text),
            raw: self.raw_patterns(&name, &written.raw),
            except: self.patterns(&name, &written.except),
            name: rule_name,
        }
    }

    /// Patterns over words.
    fn patterns(&mut self, rule: &str, patterns: &[Spanned<String>]) -> Option<Regex> {
        let mut expanded = Vec::with_capacity(patterns.len());
        for written in patterns {
            match pattern::words(written.get_ref(), &self.lists) {
                // Half boundaries hold beside bytes that are not ASCII: CJK writes no spaces.
                Ok(regex) => expanded
                    .push((written.span(), format!(r"\b{{start-half}}(?:{regex})\b{{end-half}}"))),
                Err(message) => self.fault(written.span(), format!("rule {rule:?}: {message}")),
            }
        }
        self.one_of(rule, &expanded)
    }

    /// Patterns over the text as it came.
    fn raw_patterns(&mut self, rule: &str, patterns: &[Spanned<String>]) -> Option<Regex> {
        let patterns: Vec<_> =
            patterns.iter().map(|written| (written.span(), written.get_ref().clone())).collect();
        self.one_of(rule, &patterns)
    }

    /// One expression for all patterns; if that fails, the patterns at fault one by one.
    fn one_of(&mut self, rule: &str, patterns: &[(Range<usize>, String)]) -> Option<Regex> {
        if patterns.is_empty() {
            return None;
        }
        let all: Vec<_> = patterns.iter().map(|(_, regex)| format!("(?:{regex})")).collect();
        let error = match build(&all.join("|")) {
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

    fn codes(&mut self, rule: &str, codes: &[Spanned<String>]) -> Vec<String> {
        for code in codes {
            let text = code.get_ref();
            if !(1..=3).contains(&text.len()) || !text.bytes().all(|byte| byte.is_ascii_digit()) {
                self.fault(
                    code.span(),
                    format!("rule {rule:?}: {text:?} is not the start of a reply code"),
                );
            }
        }
        codes.iter().map(|code| code.get_ref().clone()).collect()
    }

    fn status(&mut self, rule: &str, patterns: &[Spanned<String>]) -> Vec<StatusPattern> {
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

fn build(pattern: &str) -> Result<Regex, regex::Error> {
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
