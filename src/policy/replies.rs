//! The replies of a refusal: templates from the policy file, filled in for one recipient.

use std::borrow::Cow;

use serde::Deserialize;

use super::settings::PolicyFault;
use crate::smtp::reply::{Reply, ReplyCode, Severity};
use crate::smtp::status::EnhancedStatus;

/// What every text starts with. Another gate's refusal is known by it and never becomes evidence (DESIGN §3 rule 6).
pub const MARK: &str = "rcptgate:";

/// Longest template.
const TEMPLATE_MAX: usize = 200;
/// Longest text behind code and status: one line of RFC 5321 §4.5.3.1.5 with room to spare.
const TEXT_MAX: usize = 399;
/// Longest value of a placeholder.
const VALUE_MAX: usize = 160;

/// One template for each ground on which a recipient is refused.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Replies {
    /// Learnt, temporary.
    pub quarantine: Template,
    /// Learnt, temporary, and over soon.
    pub quarantine_ending: Template,
    /// Learnt, for good.
    pub quarantine_long_term: Template,
    /// By an operator.
    pub manual: Template,
    /// Blacklisted for this tenant. Must not tell whether the recipient complained.
    pub blacklist: Template,
    /// A disposable domain.
    pub disposable: Template,
    /// Quarantined because another system had it so.
    pub imported: Template,
}

/// A reply with placeholders in its text.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Template {
    /// The reply code, 4yz or 5yz.
    pub code: u16,
    /// The enhanced status, of the class of the code.
    pub status: EnhancedStatus,
    /// The text with `{placeholders}`.
    pub text: String,
}

/// What the placeholders stand for. What is not known is empty.
#[derive(Clone, Debug, Default)]
pub struct Values<'a> {
    /// The category in words.
    pub why: Cow<'a, str>,
    /// The date from which it holds.
    pub since: String,
    /// The date until which it holds.
    pub until: String,
    /// The reply that caused it.
    pub reply: &'a str,
    /// The event that caused it.
    pub id: &'a str,
    /// The matching entry of a list.
    pub entry: &'a str,
    /// The system that an import is from.
    pub source: &'a str,
}

impl Values<'_> {
    fn get(&self, name: &str) -> Option<&str> {
        Some(match name {
            "why" => &self.why,
            "since" => &self.since,
            "until" => &self.until,
            "reply" => self.reply,
            "id" => self.id,
            "entry" => self.entry,
            "source" => self.source,
            _ => return None,
        })
    }
}

impl Template {
    /// The reply with its text filled in: one line of printable ASCII, below 400 characters.
    pub fn fill(&self, values: &Values<'_>) -> Reply {
        let mut text = String::with_capacity(self.text.len() + VALUE_MAX);
        for piece in pieces(&self.text) {
            match piece {
                Piece::Text(plain) => push_printable(&mut text, plain, TEMPLATE_MAX),
                Piece::Name(name) => {
                    push_printable(&mut text, values.get(name).unwrap_or(""), VALUE_MAX);
                }
            }
        }
        // ASCII by construction, so any cut is between characters.
        text.truncate(TEXT_MAX);
        Reply::with_text(self.code, self.status, text.into())
    }

    fn faults<'a>(&'a self, key: &'a str) -> impl Iterator<Item = PolicyFault> + 'a {
        let severity = ReplyCode::new(self.code).map(ReplyCode::severity);
        let refuses = matches!(severity, Some(Severity::Transient | Severity::Permanent));
        let unknown = pieces(&self.text).find(
            |piece| matches!(piece, Piece::Name(name) if Values::default().get(name).is_none()),
        );
        [
            (!refuses).then(|| format!("code {} is neither 4yz nor 5yz", self.code)),
            (self.code == 421)
                .then(|| "code 421 makes clients defer every recipient; take 450".to_owned()),
            (self.code == 452).then(|| "code 452 makes Exim loop; take 450".to_owned()),
            (refuses && u16::from(self.status.class) != self.code / 100).then(|| {
                format!("status {} is not of the class of code {}", self.status, self.code)
            }),
            (!self.text.starts_with(MARK))
                .then(|| format!("text {:?} does not start with {MARK:?}", self.text)),
            (self.text.len() > TEMPLATE_MAX)
                .then(|| format!("text is longer than {TEMPLATE_MAX} characters")),
            (!self.text.bytes().all(|byte| matches!(byte, b' '..=b'~')))
                .then(|| format!("text {:?} is not printable ASCII", self.text)),
            unknown.map(|piece| format!("unknown placeholder {piece}")),
        ]
        .into_iter()
        .flatten()
        .map(move |problem| PolicyFault {
            line: None,
            key: format!("replies.{key}"),
            problem,
        })
    }
}

impl Replies {
    /// What is wrong with any of the templates.
    pub fn faults(&self) -> Vec<PolicyFault> {
        [
            ("quarantine", &self.quarantine),
            ("quarantine_ending", &self.quarantine_ending),
            ("quarantine_long_term", &self.quarantine_long_term),
            ("manual", &self.manual),
            ("blacklist", &self.blacklist),
            ("disposable", &self.disposable),
            ("imported", &self.imported),
        ]
        .into_iter()
        .flat_map(|(key, template)| template.faults(key))
        .collect()
    }
}

impl Default for Replies {
    fn default() -> Self {
        let refused = |text: &str| Template {
            code: 550,
            status: EnhancedStatus::new(5, 7, 1),
            text: text.to_owned(),
        };
        let quarantine = refused("rcptgate: quarantined until {until} after {reply} [{id}]");
        Self {
            quarantine_ending: Template {
                code: 450,
                status: EnhancedStatus::new(4, 7, 1),
                ..quarantine.clone()
            },
            quarantine,
            quarantine_long_term: refused("rcptgate: {why}, quarantined since {since} [{id}]"),
            manual: refused("rcptgate: quarantined by the operator since {since} [{id}]"),
            blacklist: refused("rcptgate: blacklisted for this sender since {since} [{id}]"),
            disposable: refused("rcptgate: disposable address [{entry}]"),
            imported: refused("rcptgate: quarantined since {since}, imported from {source} [{id}]"),
        }
    }
}

/// Appends at most `max` characters of `text`; what could start a line or colour a terminal becomes a space, the rest `?`.
pub(super) fn push_printable(out: &mut String, text: &str, max: usize) {
    // Nearly always: then it is a copy.
    if text.len() <= max && text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return out.push_str(text);
    }
    out.extend(text.chars().take(max).map(|character| match character {
        ' '..='~' => character,
        _ if character.is_control() => ' ',
        _ => '?',
    }));
}

enum Piece<'a> {
    Text(&'a str),
    Name(&'a str),
}

impl std::fmt::Display for Piece<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Name(name) => write!(f, "{{{name}}}"),
        }
    }
}

/// Splits a template at its placeholders. A brace without partner is plain text.
fn pieces(template: &str) -> impl Iterator<Item = Piece<'_>> {
    let mut rest = template;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        if let Some((name, behind)) = rest.strip_prefix('{').and_then(|open| open.split_once('}')) {
            rest = behind;
            return Some(Piece::Name(name));
        }
        let skip = rest.chars().next().map_or(0, char::len_utf8);
        let end =
            rest.get(skip..).and_then(|tail| tail.find('{')).map_or(rest.len(), |at| at + skip);
        let (text, behind) = rest.split_at(end);
        rest = behind;
        Some(Piece::Text(text))
    })
}
