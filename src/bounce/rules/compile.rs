//! From the file to the compiled rules, with every fault at once.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::sync::{Arc, LazyLock};

use regex::bytes::{Regex, RegexBuilder};

use super::dead::{self, Pattern, Shape};
use super::prefilter::{Needs, Prefilter};
use super::read::{self, File, Text, Written};
use super::{Condition, Field, Rule, RuleFault, Rules, Specimen, pattern};
use crate::bounce::Stage;

/// Octets that the compiled patterns of one rule may take; the largest of the built-in ones needs about a tenth.
const SIZE_MAX: usize = 4 << 20;

/// Octets of the automaton built while matching. Too few and it is thrown away again and again.
const CACHE_MAX: usize = 2 << 20;

/// What a reply is said to have been read by when no rule read it.
const RESERVED: &[&str] =
    &["none", "not-a-failure", "no-code", "lookup-failed", "dns-null-mx", "dns-no-such-domain"];

/// Rules that were compiled, and what is wrong with their file. Rules with a fault are not among them.
#[derive(Debug)]
pub struct Draft {
    /// The rules.
    pub rules: Rules,
    /// Every fault but those that only specimens show.
    pub faults: Vec<RuleFault>,
    /// What was turned off of the built-in rules.
    pub disable: Vec<Text>,
    /// The first phrase that is taken out beside the built-in ones.
    pub noise: Option<Text>,
    /// How many of the specimens are those of the file, which come first.
    pub specimens: usize,
    /// The rules of the file.
    own: Vec<(Arc<Rule>, Shape)>,
}

/// Compiles a file of rules. They are asked before those of `builtin`, unless the file says that it replaces them; without, they are
/// the built-in ones.
pub fn compile(text: &str, builtin: Option<&LazyLock<Arc<Rules>>>) -> Draft {
    let (mut file, faults) = read::read(text);
    let mut compiler = Compiler { own: builtin.is_some(), faults, ..Compiler::default() };
    let builtin = builtin.filter(|_| !file.replace).map(|rules| Arc::clone(rules));
    if let Some(builtin) = &builtin {
        compiler.lists.clone_from(&builtin.lists);
    }
    compiler.words(&file);
    let noise = compiler.noise(&file.noise);
    compiler.names(&mut file, builtin.as_deref());
    let File { disable, noise: own_noise, rules: written, .. } = file;
    let own: Vec<_> = written.into_iter().filter_map(|rule| compiler.whole(rule)).collect();
    let rules = own.iter().map(|(rule, _)| Arc::clone(rule)).collect();
    let Compiler { lists, specimens, faults, .. } = compiler;
    let count = specimens.len();
    let mut all = Rules { lists, noises: noise, specimens, rules, ..Rules::default() };
    if let Some(builtin) = &builtin {
        all.put_before(builtin, |name| disable.iter().any(|off| off.value == name));
    }
    let noise = own_noise.into_iter().next();
    let mut draft = Draft { rules: all, faults, disable, noise, specimens: count, own };
    draft.finish();
    draft
}

impl Draft {
    /// Rules of the file that can never win, as far as that shows in how they are written.
    pub fn dead(&self) -> Vec<RuleFault> {
        let alone = self.own.iter().flat_map(|(rule, shape)| dead::alone(rule, shape));
        alone.chain(dead::covered(&self.own)).collect()
    }

    /// What is made of all rules together.
    fn finish(&mut self) {
        if !self.rules.noises.is_empty() {
            let all = format!("(?:^| )(?:{})(?: |$)", self.rules.noises.join("|"));
            match regex_of(&all) {
                Ok(regex) => self.rules.noise = Some(regex),
                Err(why) => self.faults.extend(self.noise.iter().map(|text| text.fault(&why))),
            }
        }
        match Prefilter::new(&self.rules.rules) {
            Ok(prefilter) => self.rules.prefilter = prefilter,
            Err(why) => self.faults.push(RuleFault {
                line: 1,
                key: String::new(),
                value: String::new(),
                why,
            }),
        }
    }
}

#[derive(Default)]
struct Compiler {
    /// Whether the rules are an operator's.
    own: bool,
    lists: BTreeMap<String, Vec<String>>,
    specimens: Vec<Specimen>,
    faults: Vec<RuleFault>,
}

impl Compiler {
    fn fault(&mut self, at: &Text, why: impl Into<String>) {
        self.faults.push(at.fault(why));
    }

    /// The lists of words.
    fn words(&mut self, file: &File) {
        for (name, words) in &file.words {
            if self.lists.contains_key(&name.value) {
                self.fault(
                    name,
                    "is a list of the built-in rules, which can be used; call this one otherwise",
                );
                continue;
            }
            if words.is_empty() {
                self.fault(name, "a list of words must not be empty");
            }
            let mut good = Vec::with_capacity(words.len());
            for word in words {
                match regex_syntax::parse(&word.value) {
                    Ok(_) => good.push(word.value.clone()),
                    Err(error) => self.fault(word, one_line(&error.to_string())),
                }
            }
            self.lists.insert(name.value.clone(), good);
        }
    }

    fn noise(&mut self, patterns: &[Text]) -> Vec<String> {
        let mut all = Vec::new();
        for written in patterns {
            let compiled = pattern::words(&written.value, &self.lists)
                .and_then(|regex| regex_of(&regex).map(|_| regex));
            match compiled {
                Ok(regex) => all.push(regex),
                Err(why) => self.fault(written, why),
            }
        }
        all
    }

    /// Names that are there twice, and those of built-in rules that there are not.
    fn names(&mut self, file: &mut File, builtin: Option<&Rules>) {
        let is_builtin = |name: &str| builtin.is_some_and(|rules| rules.named(name).is_some());
        let is_off = |name: &str| file.disable.iter().any(|off| off.value == name);
        for named in file.disable.iter().chain(file.rules.iter().flat_map(|rule| &rule.over)) {
            if builtin.is_none() {
                self.fault(named, "these rules stand alone: there are no others");
            } else if !is_builtin(&named.value) {
                self.fault(named, "there is no built-in rule of that name");
            }
        }
        for named in file.rules.iter().flat_map(|rule| &rule.over) {
            if is_off(&named.value) {
                self.fault(named, "this built-in rule is turned off: nothing is taken from it");
            }
        }
        let mut seen = BTreeMap::new();
        for rule in &mut file.rules {
            let (name, line) = (rule.name.value.clone(), rule.name.line);
            let off = file.disable.iter().any(|off| off.value == name);
            let why = if let Some(earlier) = seen.get(&name).filter(|_| !name.is_empty()) {
                format!("stands here a second time, after line {earlier}")
            } else if RESERVED.contains(&name.as_str()) {
                "this name means that no rule decided".to_owned()
            } else if is_builtin(&name) && !off {
                format!(
                    "is the name of a built-in rule: choose another, or turn that one off with disable = [{name:?}]"
                )
            } else {
                seen.insert(name, line);
                continue;
            };
            // Who is meant by the name is not known, so it is not asked what the rule takes.
            rule.broken = true;
            self.faults.push(rule.name.fault(why));
        }
    }

    /// A rule without fault.
    fn whole(&mut self, written: Written) -> Option<(Arc<Rule>, Shape)> {
        let before = self.faults.len();
        let specimens = self.specimens.len();
        let broken = written.broken;
        let rule = self.rule(written);
        if broken || self.faults.len() > before {
            self.specimens.truncate(specimens);
            return None;
        }
        rule.map(|(rule, shape)| (Arc::new(rule), shape))
    }

    fn rule(&mut self, written: Written) -> Option<(Rule, Shape)> {
        let name = &written.name;
        let rule_name: Arc<str> = name.value.as_str().into();
        if written.specimens.is_empty() {
            self.fault(name, "has no specimen");
        }
        let reads_text = !written.text.is_empty() || !written.raw.is_empty();
        if !reads_text && written.codes.is_empty() && written.status.is_empty() {
            self.fault(name, "would match everything: give text, raw, codes or status");
        }
        let won = written.specimens.iter().map(|specimen| (true, specimen));
        let lost = written.not.iter().map(|specimen| (false, specimen));
        self.specimens.extend(won.chain(lost).map(|(wins, reply)| Specimen {
            wins,
            reply: reply.clone(),
            rule: rule_name.clone(),
            stage: written.stages.first().copied().unwrap_or(Stage::Rcpt),
            receiver: written.receivers.first().map(|text| text.value.clone()),
        }));
        let codes = self.parsed(&written.codes);
        let status = self.parsed(&written.status);
        let (text, text_parts) = self.patterns(&written.text);
        let (raw, raw_parts) = self.raw_patterns(&written.raw);
        let (except, except_parts) = self.patterns(&written.except);
        self.faults.extend(dead::receivers(&written));
        let rule = Rule {
            written: conditions(&written),
            line: name.line,
            own: self.own,
            category: written.category?,
            scope: written.scope,
            whole: written.whole,
            over: written.over.iter().map(|text| text.value.clone()).collect(),
            needs: Needs::of(text.as_ref(), raw.as_ref()),
            receivers: written.receivers.iter().map(|text| text.value.clone()).collect(),
            stages: written.stages.clone(),
            name: rule_name,
            codes,
            status,
            text,
            raw,
            except,
        };
        let shape = Shape {
            name: written.name.clone(),
            text: text_parts,
            raw: raw_parts,
            except: except_parts,
        };
        Some((rule, shape))
    }

    /// Patterns over words, and the expression that is all of them.
    fn patterns(&mut self, patterns: &[Text]) -> (Option<Regex>, Vec<Pattern>) {
        let mut expanded = Vec::with_capacity(patterns.len());
        for written in patterns {
            match pattern::words(&written.value, &self.lists) {
                Ok(regex) => expanded.push((written, regex)),
                Err(why) => self.fault(written, why),
            }
        }
        let regex = self.one_of(&expanded, pattern::bounded);
        (regex, expanded.into_iter().map(|(_, regex)| Pattern::new(regex)).collect())
    }

    /// Patterns over the text as it came.
    fn raw_patterns(&mut self, patterns: &[Text]) -> (Option<Regex>, Vec<Pattern>) {
        let expanded: Vec<_> =
            patterns.iter().map(|written| (written, written.value.clone())).collect();
        let regex = self.one_of(&expanded, str::to_owned);
        (regex, expanded.into_iter().map(|(_, regex)| Pattern::new(regex)).collect())
    }

    /// One expression for all patterns; if that fails, the patterns at fault one by one.
    fn one_of(
        &mut self,
        patterns: &[(&Text, String)],
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
                self.fault(at, one_line(&error.to_string()));
            }
        }
        if self.faults.len() == before
            && let Some((at, _)) = patterns.first()
        {
            self.fault(at, one_line(&error.to_string()));
        }
        None
    }

    /// Patterns of codes.
    fn parsed<T: FromStr<Err = String>>(&mut self, patterns: &[Text]) -> Vec<T> {
        let mut parsed = Vec::with_capacity(patterns.len());
        for written in patterns {
            match written.value.parse() {
                Ok(pattern) => parsed.push(pattern),
                Err(why) => self.fault(written, why),
            }
        }
        parsed
    }
}

/// What a rule asks for, as it was written.
fn conditions(rule: &Written) -> Vec<Condition> {
    let fields = [
        (Field::Text, &rule.text),
        (Field::Raw, &rule.raw),
        (Field::Codes, &rule.codes),
        (Field::Status, &rule.status),
    ];
    let all = fields.into_iter().flat_map(|(kind, all)| all.iter().map(move |one| (kind, one)));
    all.map(|(kind, one)| Condition { kind, line: one.line, text: one.value.clone() }).collect()
}

pub(super) fn build(pattern: &str) -> Result<Regex, regex::Error> {
    RegexBuilder::new(pattern).unicode(false).size_limit(SIZE_MAX).dfa_size_limit(CACHE_MAX).build()
}

fn regex_of(pattern: &str) -> Result<regex::Regex, String> {
    let built = regex::RegexBuilder::new(pattern).size_limit(SIZE_MAX).build();
    built.map_err(|error| one_line(&error.to_string()))
}

/// The crates' messages draw an arrow under the pattern; a log line has no room for that.
fn one_line(error: &str) -> String {
    error.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned()
}
