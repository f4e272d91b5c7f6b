//! Every rule that a text matches, and by which of its patterns: for explanations, which have time.
//!
//! The compiled rules join all patterns of a kind into one expression, which does not tell them apart; here the patterns of the few rules
//! that matched are compiled again, one by one.

use super::compile::build;
use super::{CodePattern, Condition, Field, Layer, Rule, Rules, StatusPattern, pattern};
use crate::bounce::Stage;

/// A condition of a rule that a text meets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Matched {
    /// The field that it stands in.
    pub field: Field,
    /// The line of the file that it stands in.
    pub line: usize,
    /// The condition as it was written.
    pub pattern: String,
    /// What of the text it took: words, or a code.
    pub found: String,
}

impl Rules {
    /// All rules that match, in order, each with what it matched.
    pub fn all(
        &self,
        layer: &Layer,
        stage: Stage,
        receiver: Option<&str>,
    ) -> Vec<(&Rule, Option<Matched>)> {
        let words = self.without_noise(layer);
        self.rules
            .iter()
            .filter(|rule| rule.matches(&words, layer, stage, receiver))
            .map(|rule| (rule.as_ref(), self.matched(rule, &words, layer)))
            .collect()
    }

    /// What noise there is in a layer, in order.
    pub fn noise_in<'a>(&self, layer: &'a Layer) -> Vec<&'a str> {
        let noise = self.noise.iter().flat_map(|noise| noise.find_iter(&layer.words));
        noise.map(|found| found.as_str().trim()).collect()
    }

    /// The first condition that decided: of patterns over text if the rule has some, else of codes.
    fn matched(&self, rule: &Rule, words: &str, layer: &Layer) -> Option<Matched> {
        rule.written.iter().find_map(|condition| {
            let found = self.found(condition, words, layer)?;
            let Condition { kind, line, text } = condition;
            Some(Matched { field: *kind, line: *line, pattern: text.clone(), found })
        })
    }

    fn found(&self, condition: &Condition, words: &str, layer: &Layer) -> Option<String> {
        let find = |expression: &str, text: &str| {
            let regex = build(expression).ok()?;
            let found = regex.find(text.as_bytes())?;
            Some(String::from_utf8_lossy(found.as_bytes()).into_owned())
        };
        let Condition { kind, text, .. } = condition;
        match kind {
            Field::Text => find(&pattern::bounded(&pattern::words(text, &self.lists).ok()?), words),
            Field::Raw => find(text, &layer.raw),
            Field::Codes => {
                let pattern: CodePattern = text.parse().ok()?;
                pattern.matches(layer.code).then(|| layer.code.to_string())
            }
            Field::Status => {
                let pattern: StatusPattern = text.parse().ok()?;
                layer.status.filter(|status| pattern.matches(*status)).map(|code| code.to_string())
            }
        }
    }
}
