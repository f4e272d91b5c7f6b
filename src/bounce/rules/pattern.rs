//! The small languages within a rule: patterns over words, and patterns over enhanced codes.

use std::collections::BTreeMap;
use std::str::FromStr;

use crate::bounce::normalize::fold_accents;
use crate::smtp::reply::ReplyCode;
use crate::smtp::status::EnhancedStatus;

/// Up to five words, not beyond the end of a sentence.
const GAP: &str = "(?: [^ .][^ ]*){0,5} ";

/// A pattern over words as a regular expression: `%name%` is one of a list, ` ~ ` leaves room for up to five words, and
/// the whole matches whole words only.
///
/// # Errors
/// The name of a list that does not exist.
pub fn words(pattern: &str, lists: &BTreeMap<String, Vec<String>>) -> Result<String, String> {
    let pattern = fold_accents(pattern).replace(" ~ ", GAP);
    let mut out = String::with_capacity(pattern.len() + 16);
    for (index, part) in pattern.split('%').enumerate() {
        if index % 2 == 0 {
            out.push_str(part);
            continue;
        }
        let list = lists.get(part).ok_or_else(|| format!("no list of words called {part:?}"))?;
        out.push_str("(?:");
        out.push_str(&fold_accents(&list.join("|")));
        out.push(')');
    }
    Ok(out)
}

/// An expression that begins and ends where words do. Half boundaries hold beside bytes that are not ASCII: CJK writes no spaces.
pub fn bounded(any: &str) -> String {
    format!(r"\b{{start-half}}(?:{any})\b{{end-half}}")
}

/// The start of a reply code: `5`, `55`, `552`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CodePattern {
    first: u16,
    last: u16,
}

impl CodePattern {
    /// Whether `code` starts so.
    pub fn matches(&self, code: ReplyCode) -> bool {
        (self.first..=self.last).contains(&code.get())
    }

    /// Whether it matches whatever `other` does.
    pub const fn covers(&self, other: &Self) -> bool {
        self.first <= other.first && other.last <= self.last
    }

    /// The first digit.
    pub const fn class(&self) -> u16 {
        self.first / 100
    }
}

impl FromStr for CodePattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let fault = || "not the start of a reply code".to_owned();
        if !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(fault());
        }
        let span = match text.len() {
            1 => 100,
            2 => 10,
            3 => 1,
            _ => return Err(fault()),
        };
        let first = text.parse::<u16>().map_err(|_| fault())? * span;
        if !(400..600).contains(&first) {
            return Err("no refusal begins so: only 4yz and 5yz are read".to_owned());
        }
        Ok(Self { first, last: first + span - 1 })
    }
}

/// `5.1.1`, `x.2.2` (any class), `5.7.x` (any detail), `5.7.500-599`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatusPattern {
    class: Option<u8>,
    subject: Option<u16>,
    detail: (u16, u16),
}

impl StatusPattern {
    /// Whether `status` is one of these.
    pub fn matches(&self, status: EnhancedStatus) -> bool {
        let (first, last) = self.detail;
        self.class.is_none_or(|class| class == status.class)
            && self.subject.is_none_or(|subject| subject == status.subject)
            && (first..=last).contains(&status.detail)
    }

    /// Whether it matches whatever `other` does.
    pub fn covers(&self, other: &Self) -> bool {
        (self.class.is_none() || self.class == other.class)
            && (self.subject.is_none() || self.subject == other.subject)
            && self.detail.0 <= other.detail.0
            && other.detail.1 <= self.detail.1
    }

    /// The class, unless it is any.
    pub const fn class(&self) -> Option<u8> {
        self.class
    }
}

impl FromStr for StatusPattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let fault =
            || "no pattern of enhanced codes, such as 5.1.1, x.2.2 or 5.7.500-599".to_owned();
        let mut parts = text.split('.');
        let mut part = || parts.next().ok_or_else(fault);
        let (class, subject, detail) = (part()?, part()?, part()?);
        if parts.next().is_some() {
            return Err(fault());
        }
        let number = |text: &str| text.parse::<u16>().map_err(|_| fault());
        let class = match class {
            "x" => None,
            "4" => Some(4),
            "5" => Some(5),
            "2" => {
                return Err("no refusal has this class: only 4.y.z and 5.y.z are read".to_owned());
            }
            _ => return Err(fault()),
        };
        let subject = if subject == "x" { None } else { Some(number(subject)?) };
        let detail = match detail.split_once('-') {
            _ if detail == "x" => (0, u16::MAX),
            Some((first, last)) => (number(first)?, number(last)?),
            None => (number(detail)?, number(detail)?),
        };
        if detail.0 > detail.1 {
            return Err("ends before it begins".to_owned());
        }
        Ok(Self { class, subject, detail })
    }
}
