//! Which rules can match a text at all, by the pieces of text that each of them needs.
//!
//! `%who% ~ unknown` cannot match where `unknown` does not stand. Such pieces are taken out of the patterns when they are
//! compiled and looked for together, in one pass; the expressions are then asked for a handful of rules, not for all.

use std::sync::Arc;

use aho_corasick::{AhoCorasick, AhoCorasickBuilder};
use regex::bytes::Regex;
use regex_syntax::ParserBuilder;
use regex_syntax::hir::{Hir, HirKind};

use super::Rule;

/// Shorter pieces stand everywhere; a rule that has no longer one is always asked.
const PIECE_MIN: usize = 2;

/// The pieces that one rule needs: of the words, or of the text as it came.
#[derive(Debug)]
pub struct Needs {
    words: Vec<Vec<u8>>,
    raw: Vec<Vec<u8>>,
}

impl Needs {
    /// Those of a rule's two expressions; `None` if it must always be asked.
    pub fn of(text: Option<&Regex>, raw: Option<&Regex>) -> Option<Self> {
        let needed_by = |regex: Option<&Regex>| regex.map_or(Some(Vec::new()), needed);
        (text.is_some() || raw.is_some()).then_some(())?;
        Some(Self { words: needed_by(text)?, raw: needed_by(raw)? })
    }
}

/// Which rules need what.
#[derive(Debug, Default)]
pub struct Prefilter {
    always: Vec<bool>,
    words: Pieces,
    raw: Pieces,
}

/// Pieces of text, and for each the rules that it makes possible.
#[derive(Debug, Default)]
struct Pieces {
    /// None while there are no pieces.
    automaton: Option<AhoCorasick>,
    rules: Vec<Vec<usize>>,
}

impl Prefilter {
    /// For rules in their order.
    ///
    /// # Errors
    /// What does not fit: there are too many pieces for one automaton.
    pub fn new(rules: &[Arc<Rule>]) -> Result<Self, String> {
        let (mut words, mut raw) = (Vec::new(), Vec::new());
        let mut always = Vec::with_capacity(rules.len());
        for (index, rule) in rules.iter().enumerate() {
            if let Some(needs) = &rule.needs {
                words.extend(needs.words.iter().map(|piece| (piece.clone(), index)));
                raw.extend(needs.raw.iter().map(|piece| (piece.clone(), index)));
            }
            always.push(rule.needs.is_none());
        }
        Ok(Self { always, words: Pieces::new(words)?, raw: Pieces::new(raw)? })
    }

    /// For each rule whether it is worth asking. `words` and `raw` are what patterns are matched against.
    pub fn possible(&self, words: &str, raw: &str) -> Vec<bool> {
        let mut possible = self.always.clone();
        self.words.mark(words, &mut possible);
        self.raw.mark(raw, &mut possible);
        possible
    }
}

impl Pieces {
    fn new(mut pieces: Vec<(Vec<u8>, usize)>) -> Result<Self, String> {
        pieces.sort();
        pieces.dedup();
        let mut texts: Vec<Vec<u8>> = Vec::with_capacity(pieces.len());
        let mut rules: Vec<Vec<usize>> = Vec::with_capacity(pieces.len());
        for (text, rule) in pieces {
            match rules.last_mut() {
                Some(last) if texts.last() == Some(&text) => last.push(rule),
                Some(_) | None => {
                    texts.push(text);
                    rules.push(vec![rule]);
                }
            }
        }
        let automaton = AhoCorasickBuilder::new().build(&texts).map_err(|error| error.to_string());
        Ok(Self { automaton: Some(automaton?), rules })
    }

    fn mark(&self, text: &str, possible: &mut [bool]) {
        let Some(automaton) = &self.automaton else { return };
        for found in automaton.find_overlapping_iter(text) {
            for rule in self.rules.get(found.pattern().as_usize()).into_iter().flatten() {
                if let Some(possible) = possible.get_mut(*rule) {
                    *possible = true;
                }
            }
        }
    }
}

/// Pieces of which every match of the expression holds at least one; `None` if there are none.
fn needed(regex: &Regex) -> Option<Vec<Vec<u8>>> {
    let parsed = ParserBuilder::new().unicode(false).utf8(false).build().parse(regex.as_str());
    pieces_of(&parsed.ok()?)
}

fn pieces_of(hir: &Hir) -> Option<Vec<Vec<u8>>> {
    match hir.kind() {
        HirKind::Literal(literal) => {
            (literal.0.len() >= PIECE_MIN).then(|| vec![literal.0.to_vec()])
        }
        HirKind::Capture(capture) => pieces_of(&capture.sub),
        HirKind::Repetition(repeated) if repeated.min > 0 => pieces_of(&repeated.sub),
        // All of these are needed: the rarest will do, and long ones are rare.
        HirKind::Concat(all) => all.iter().filter_map(pieces_of).max_by_key(|pieces| {
            let shortest = pieces.iter().map(Vec::len).min();
            (shortest, std::cmp::Reverse(pieces.len()))
        }),
        // One of these is: the pieces of each.
        HirKind::Alternation(any) => {
            any.iter().map(pieces_of).collect::<Option<Vec<_>>>().map(|pieces| pieces.concat())
        }
        HirKind::Empty | HirKind::Class(_) | HirKind::Look(_) | HirKind::Repetition(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_expression_needs() {
        let check = |pattern: &str, expected: Option<&[&str]>| {
            let regex = regex::bytes::RegexBuilder::new(pattern).unicode(false).build();
            let pieces = needed(&regex.expect("an expression")).map(|pieces| {
                let texts = pieces.into_iter().map(|piece| String::from_utf8(piece).expect("text"));
                texts.collect::<Vec<_>>()
            });
            let expected =
                expected.map(|pieces| pieces.iter().map(|piece| (*piece).to_owned()).collect());
            assert_eq!(pieces, expected, "{pattern}");
        };
        check("unknown", Some(&["unknown"]));
        check("(?:user|mailbox) unknown", Some(&[" unknown"]));
        check("(?:user|mailbox)(?: x){0,5} is", Some(&["user", "mailbox"]));
        check("mail ?box", Some(&["mail"]));
        check("(?:no)+ such", Some(&[" such"]));
        check("(?:full)?", None);
        check("full|a", None);
        check("[ab] .*", None);
        check("宛先", Some(&["宛先"]));
    }
}
