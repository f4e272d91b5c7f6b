//! Why a reply means what it does: the same decision as [`Classifier::classify`], told.
//!
//! The decision is taken by the same code and only the story is made here, so that the two cannot differ; it takes many times as long,
//! since it asks every rule.

mod because;

use serde::Serialize;

use super::classify::{Classification, Classifier, Decisive, Reading, before_words, status_of};
use super::normalize::{Kind, Layer};
use super::rules::{Hit, Matched, Rule};
use super::{Scope, Stage};
use crate::smtp::reply::{Reply, ReplyCode, Severity};
use crate::smtp::status::EnhancedStatus;

/// What a decision rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DecidedBy {
    /// The first digit: no refusal at all.
    Class,
    /// The stage: what DNS says of a domain needs no words.
    Lookup,
    /// Words of the reply, or of the one that it quotes.
    Text,
    /// The codes alone.
    Codes,
    /// Nothing matched.
    Nothing,
    /// There is no code to go by.
    NoCode,
}

/// A decision, told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// The decision itself, as [`Classifier::classify`] gives it.
    pub classification: Classification,
    /// What it rests on.
    pub decided_by: DecidedBy,
    /// The enhanced code of the reply.
    pub status: Option<EnhancedStatus>,
    /// The texts that were read, the innermost first and the whole reply last. None where words did not matter.
    pub layers: Vec<Text>,
    /// The questions in the order in which they are asked.
    pub steps: Vec<Step>,
    /// The rule that decided.
    pub winner: Option<Match>,
    /// The other rules that matched, in the order of layers and of precedence: the operator's before the built-in ones.
    pub others: Vec<Match>,
    /// Why the category is not the one that the rule names, if so.
    pub category_because: Option<&'static str>,
    /// Why the reply is about whom it is about.
    pub scope_because: &'static str,
    /// Why it can do what it can.
    pub effect_because: &'static str,
}

/// A text as rules see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    /// The code that it goes with.
    pub code: ReplyCode,
    /// The enhanced code that it goes with.
    pub status: Option<EnhancedStatus>,
    /// The words that patterns are matched against.
    pub words: String,
    /// What was taken out of it, or replaced, in order.
    pub taken_out: Vec<(Kind, String)>,
    /// Phrases that hold words of rules and mean nothing.
    pub noise: Vec<String>,
}

/// One question of the decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// What is asked.
    pub question: &'static str,
    /// What came of it.
    pub answer: String,
    /// Whether it decided.
    pub decided: bool,
}

/// A rule that matched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Match {
    /// The rule's name.
    pub rule: String,
    /// Whether it stands in the operator's file; the built-in ones are those of `config/classification.toml`.
    pub own: bool,
    /// The line of its file that names it.
    pub line: usize,
    /// The text that it matched: its place in [`Explanation::layers`].
    pub layer: usize,
    /// The pattern that matched, and what it took. `None`: a condition that has no pattern.
    pub matched: Option<Matched>,
    /// Why it did not decide; `None` of the rule that did.
    pub lost: Option<Lost>,
}

/// Why a rule that matched did not decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lost {
    /// Another rule is asked before it: one above it in the file, or any of the operator's before any built-in one.
    Later,
    /// It goes by codes alone, and words come first.
    Codes,
    /// It matched the whole reply, and the reply that this one quotes comes first.
    Quoting,
    /// A rule for whole replies overrides what the reply quotes.
    Whole,
}

impl Lost {
    /// In a sentence.
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::Later => "another rule is asked before it",
            Self::Codes => "it goes by codes alone, and words are asked before codes",
            Self::Quoting => {
                "it matched the whole reply, and the reply that is quoted is asked first"
            }
            Self::Whole => "it matched what is quoted, which a rule with `whole = true` overrides",
        }
    }
}

impl Classifier {
    /// Classifies a reply and says why; parameters as for [`Classifier::classify`]. For people: every rule is asked.
    pub fn explain(
        &self,
        stage: Stage,
        reply: &Reply,
        recipients: u32,
        receiver: Option<&str>,
    ) -> Explanation {
        if let Some(found) = before_words(stage, reply) {
            return without_words(stage, reply, found);
        }
        let reading = self.read(stage, reply, receiver);
        let classification = reading.meaning(recipients);
        let decisive = reading.decisive;
        let mut winner = None;
        let mut others = Vec::new();
        for (place, layer) in reading.normal.layers.iter().enumerate() {
            for (rule, matched) in self.compiled().all(layer, reading.stage, receiver) {
                let one = matching(&reading, place, rule, matched);
                match one.lost {
                    None => winner = Some(one),
                    Some(_) => others.push(one),
                }
            }
        }
        let layers: Vec<_> = reading.normal.layers.iter().map(|layer| self.text(layer)).collect();
        let scope = classification.scope;
        Explanation {
            decided_by: decided_by(decisive),
            status: status_of(reply),
            steps: steps(&reading, stage, &layers, winner.as_ref()),
            category_because: decisive.and_then(|(_, hit)| because::category(&reading, hit.rule)),
            scope_because: because::scope(reading.stage, scope, recipients, decisive),
            effect_because: because::effect(&reading, &classification),
            classification,
            layers,
            winner,
            others,
        }
    }

    /// What the decision rests on, and the words that decided: for answers that are made by the million.
    pub fn classify_with_words(
        &self,
        stage: Stage,
        reply: &Reply,
        recipients: u32,
        receiver: Option<&str>,
    ) -> (Classification, DecidedBy, String) {
        if let Some(found) = before_words(stage, reply) {
            let by = without_words_by(stage, reply);
            return (found, by, String::new());
        }
        let reading = self.read(stage, reply, receiver);
        let layers = &reading.normal.layers;
        let place = reading.decisive.map_or(0, |(place, _)| place);
        let words =
            layers.get(place).map(|layer| self.compiled().without_noise(layer).trim().to_owned());
        (reading.meaning(recipients), decided_by(reading.decisive), words.unwrap_or_default())
    }

    fn text(&self, layer: &Layer) -> Text {
        let rules = self.compiled();
        Text {
            code: layer.code,
            status: layer.status,
            words: rules.without_noise(layer).trim().to_owned(),
            taken_out: layer.taken_out().map(|(kind, text)| (kind, text.to_owned())).collect(),
            noise: rules.noise_in(layer).into_iter().map(str::to_owned).collect(),
        }
    }
}

/// The story of a reply without any code.
pub fn without_code() -> Explanation {
    let step = Step {
        question: "class digit",
        answer: "there is no reply code, nor an enhanced one".to_owned(),
        decided: true,
    };
    bare(Classifier::without_code(), DecidedBy::NoCode, None, step)
}

fn without_words_by(stage: Stage, reply: &Reply) -> DecidedBy {
    match reply.severity() {
        Severity::Completion | Severity::Intermediate => DecidedBy::Class,
        Severity::Transient | Severity::Permanent if stage == Stage::Lookup => DecidedBy::Lookup,
        Severity::Transient | Severity::Permanent => DecidedBy::Nothing,
    }
}

fn without_words(stage: Stage, reply: &Reply, found: Classification) -> Explanation {
    let by = without_words_by(stage, reply);
    let (question, answer) = match by {
        DecidedBy::Lookup => ("stage", "lookup: what DNS itself says of the domain, in codes"),
        DecidedBy::Class
        | DecidedBy::Text
        | DecidedBy::Codes
        | DecidedBy::Nothing
        | DecidedBy::NoCode => {
            ("class digit", "2 or 3: no refusal, so there is nothing to explain")
        }
    };
    let step = Step { question, answer: answer.to_owned(), decided: true };
    bare(found, by, status_of(reply), step)
}

fn bare(
    classification: Classification,
    decided_by: DecidedBy,
    status: Option<EnhancedStatus>,
    step: Step,
) -> Explanation {
    let (scope_because, effect_because) = match classification.scope {
        Scope::Domain => ("DNS speaks of domains", "nothing can be delivered to such a domain"),
        Scope::Session | Scope::Message | Scope::Recipient => {
            ("nothing points at the recipient", "what is not understood does nothing")
        }
    };
    Explanation {
        classification,
        decided_by,
        status,
        layers: Vec::new(),
        steps: vec![step],
        winner: None,
        others: Vec::new(),
        category_because: None,
        scope_because,
        effect_because,
    }
}

fn decided_by(decisive: Option<Decisive<'_>>) -> DecidedBy {
    match decisive {
        Some((_, Hit { by_text: true, .. })) => DecidedBy::Text,
        Some((_, Hit { by_text: false, .. })) => DecidedBy::Codes,
        None => DecidedBy::Nothing,
    }
}

fn matching(reading: &Reading<'_>, place: usize, rule: &Rule, matched: Option<Matched>) -> Match {
    let lost = match reading.decisive {
        Some((layer, hit)) if layer == place && hit.rule.name == rule.name => None,
        Some((layer, _)) if layer == place => Some(Lost::Later),
        Some((layer, hit)) if layer > place && hit.rule.whole => Some(Lost::Whole),
        Some((_, hit)) if hit.by_text && !rule.reads_text() => Some(Lost::Codes),
        Some((layer, _)) if layer < place => Some(Lost::Quoting),
        Some(_) | None => Some(Lost::Later),
    };
    let (own, line) = (rule.own, rule.line);
    Match { rule: rule.name.to_string(), own, line, layer: place, matched, lost }
}

/// The questions of [`Classifier::classify`] in their order, and which of them decided.
fn steps(
    reading: &Reading<'_>,
    asked: Stage,
    layers: &[Text],
    winner: Option<&Match>,
) -> Vec<Step> {
    let text_decided = reading.decisive.is_some_and(|(_, hit)| hit.by_text);
    let place = winner.map(|winner| winner.layer);
    let mut steps = vec![
        step("class digit", because::class(reading.normal.transient).to_owned(), false),
        step("stage", because::stage(asked, reading.stage), false),
    ];
    let last = layers.len().saturating_sub(1);
    for (layer, text) in layers.iter().enumerate() {
        let question = if layer < last { "quoted words" } else { "words" };
        let decided = text_decided && place == Some(layer);
        let answer = match winner {
            Some(winner) if decided => told(winner),
            Some(_) | None if text.words.is_empty() => "there are none".to_owned(),
            Some(_) | None => "no rule that could decide knows them".to_owned(),
        };
        steps.push(step(question, answer, decided));
    }
    let answer = match winner {
        Some(_) if text_decided => "not asked: the words decided".to_owned(),
        Some(winner) => told(winner),
        None => "no rule goes by these codes".to_owned(),
    };
    steps.push(step("codes", answer, winner.is_some() && !text_decided));
    steps
}

fn step(question: &'static str, answer: String, decided: bool) -> Step {
    Step { question, answer, decided }
}

fn told(winner: &Match) -> String {
    format!("rule {}", winner.rule)
}

#[cfg(test)]
mod tests;
