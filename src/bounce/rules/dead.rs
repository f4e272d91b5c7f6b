//! Rules that can never win, as far as that shows in how they are written.
//!
//! Nothing here guesses: what is called dead is dead for every reply. That no reply of an operator's is left to a rule is
//! shown by its specimens, whatever its form.

use std::cell::OnceCell;
use std::collections::BTreeSet;
use std::sync::Arc;

use regex::bytes::Regex;
use regex_syntax::ParserBuilder;
use regex_syntax::hir::Hir;
use regex_syntax::hir::literal::Extractor;

use super::read::{Text, Written};
use super::{Rule, RuleFault, pattern, within};
use crate::bounce::{Category, Stage};

/// The patterns of a rule one by one, expanded.
#[derive(Debug)]
pub struct Shape {
    pub name: Text,
    pub text: Vec<Pattern>,
    pub raw: Vec<Pattern>,
    pub except: Vec<Pattern>,
}

/// One pattern. What is made of it is made when it is asked for, and once: the built-in rules are never asked.
#[derive(Debug)]
pub struct Pattern {
    expanded: String,
    texts: OnceCell<Option<BTreeSet<Vec<u8>>>>,
    anchored: OnceCell<bool>,
}

impl Pattern {
    pub const fn new(expanded: String) -> Self {
        Self { expanded, texts: OnceCell::new(), anchored: OnceCell::new() }
    }

    /// All texts that it matches as a pattern over words, if they are a few.
    fn texts(&self) -> Option<&BTreeSet<Vec<u8>>> {
        let all = || {
            let literals = Extractor::new().extract(&parse(&pattern::bounded(&self.expanded))?);
            let literals = literals.literals().filter(|_| literals.is_exact())?;
            Some(literals.iter().map(|literal| literal.as_bytes().to_vec()).collect())
        };
        self.texts.get_or_init(all).as_ref()
    }

    /// Whether it asks for an end of the reply, which is not the end of another pattern's text.
    fn is_anchored(&self) -> bool {
        *self.anchored.get_or_init(|| {
            parse(&self.expanded).is_none_or(|hir| hir.properties().look_set().contains_anchor())
        })
    }
}

/// Receivers that no host lies in.
pub fn receivers(written: &Written) -> Vec<RuleFault> {
    let fits = |zone: &str| {
        let plain = |character: char| {
            character.is_ascii_alphanumeric() || matches!(character, '.' | '-' | '_' | ':')
        };
        !zone.is_empty()
            && zone.chars().all(plain)
            && !zone.starts_with('.')
            && !zone.ends_with('.')
    };
    let bad = written.receivers.iter().filter(|text| !fits(&text.value));
    bad.map(|text| text.fault("no domain: sub-domains are meant without a dot or * before it"))
        .collect()
}

/// What is wrong with a rule by itself.
pub fn alone(rule: &Rule, shape: &Shape) -> Vec<RuleFault> {
    let mut faults = Vec::new();
    let mut never = |why: String| faults.push(shape.name.fault(format!("can never win: {why}")));
    let agree = |code: &super::CodePattern| {
        rule.status
            .iter()
            .any(|status| status.class().is_none_or(|class| u16::from(class) == code.class()))
    };
    if !rule.codes.is_empty() && !rule.status.is_empty() && !rule.codes.iter().any(agree) {
        never("no reply has a code of these codes and an enhanced code of this status".to_owned());
    }
    let stages = &rule.stages;
    if !stages.is_empty() && stages.iter().all(|stage| *stage == Stage::Lookup) {
        never("what DNS says is not read by rules".to_owned());
    } else if !stages.is_empty() && !stages.iter().any(|stage| occurs(rule.category, *stage)) {
        let names: Vec<_> = stages.iter().map(|stage| stage.name()).collect();
        never(format!("{} is never said at {}", rule.category, names.join(" or ")));
    }
    let hard = matches!(rule.category, Category::UserUnknown | Category::DomainUnknown);
    if hard && !rule.codes.is_empty() && rule.codes.iter().all(|code| code.class() == 4) {
        never(format!("{} is never said of a 4yz, which is deferred", rule.category));
    }
    if let Some(except) = &rule.except
        && rule.reads_text()
        && rule.raw.is_none()
        && shape.text.iter().all(|text| takes(&shape.except, except, text))
    {
        never("except matches whatever text matches".to_owned());
    }
    faults
}

/// Whether a reply at that stage can be of that category, and mean what it says.
const fn occurs(category: Category, stage: Stage) -> bool {
    match category {
        // About a recipient: before RCPT, and at commands about nobody, there is none.
        Category::UserUnknown
        | Category::DomainUnknown
        | Category::MailboxFull
        | Category::MailboxInactive => match stage {
            Stage::Rcpt | Stage::Data | Stage::EndOfData | Stage::Dsn => true,
            Stage::Lookup
            | Stage::Connect
            | Stage::Ehlo
            | Stage::Starttls
            | Stage::Auth
            | Stage::Mail
            | Stage::Rset
            | Stage::Quit => false,
        },
        // Only mail brings these.
        Category::Complaint | Category::AutoReply => matches!(stage, Stage::Dsn),
        Category::Deferred
        | Category::Throttled
        | Category::Technical
        | Category::Blocked
        | Category::AuthFailed
        | Category::SpamContent
        | Category::MessageRejected
        | Category::Policy
        | Category::Undetermined => true,
    }
}

/// Rules that an earlier one of the same file covers.
pub fn covered(rules: &[(Arc<Rule>, Shape)]) -> Vec<RuleFault> {
    let mut faults = Vec::new();
    for (index, (later, shape)) in rules.iter().enumerate() {
        let earlier = rules.iter().take(index);
        let mut takers = earlier.filter(|(earlier, own)| covers((earlier, own), (later, shape)));
        if let Some((taker, _)) = takers.next() {
            let why = format!(
                "can never win: rule {:?} of line {} takes whatever it matches",
                taker.name, taker.line
            );
            faults.push(shape.name.fault(why));
        }
    }
    faults
}

/// Whether the first of two rules matches whatever the second matches.
fn covers(first: (&Rule, &Shape), second: (&Rule, &Shape)) -> bool {
    let ((earlier, broad), (later, narrow)) = (first, second);
    conditions(earlier, later)
        && broad.except.iter().all(|one| among(&narrow.except, one))
        && (!earlier.reads_text() || later.reads_text() && words(first, second))
}

/// Whether the words that the second asks for are words that the first asks for.
fn words(first: (&Rule, &Shape), second: (&Rule, &Shape)) -> bool {
    let ((earlier, broad), (_, narrow)) = (first, second);
    let text =
        |text: &Pattern| earlier.text.as_ref().is_some_and(|regex| takes(&broad.text, regex, text));
    // Nothing is known of what stands beside a piece of raw text, so only the same will do.
    narrow.text.iter().all(text) && narrow.raw.iter().all(|raw| among(&broad.raw, raw))
}

/// Codes, stages and receivers: whether those of `later` are among those of `earlier`.
fn conditions(earlier: &Rule, later: &Rule) -> bool {
    fn each_in<T>(all: &[T], some: &[T], covers: impl Fn(&T, &T) -> bool) -> bool {
        all.is_empty()
            || !some.is_empty() && some.iter().all(|one| all.iter().any(|wide| covers(wide, one)))
    }
    each_in(&earlier.codes, &later.codes, |wide, one| wide.covers(one))
        && each_in(&earlier.status, &later.status, |wide, one| wide.covers(one))
        && each_in(&earlier.stages, &later.stages, |wide, one| wide == one)
        && each_in(&earlier.receivers, &later.receivers, |zone, host| within(host, zone))
}

/// Whether an expression over words, made of these `parts`, matches wherever `text` does: because it is one of the parts, or
/// because `text` stands for a few texts only and each of them holds a match.
fn takes(parts: &[Pattern], whole: &Regex, text: &Pattern) -> bool {
    if among(parts, text) {
        return true;
    }
    let Some(texts) = text.texts() else { return false };
    !parts.iter().any(Pattern::is_anchored) && texts.iter().all(|text| whole.is_match(text))
}

fn among(all: &[Pattern], one: &Pattern) -> bool {
    all.iter().any(|own| own.expanded == one.expanded)
}

fn parse(pattern: &str) -> Option<Hir> {
    ParserBuilder::new().unicode(false).utf8(false).build().parse(pattern).ok()
}
