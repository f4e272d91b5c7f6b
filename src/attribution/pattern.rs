//! Patterns of envelope senders.

use std::fmt;

use regex::Regex;

/// Longest pattern, in bytes.
const LENGTH_MAX: usize = 256;

/// Which envelope senders, and which part of them: `acme.example`, `bounce-{}-*@mail.example`.
///
/// Without an `@` it is a domain, with its sub-domains. With one it is the whole address: `*` stands for anything, `{}` for the
/// part that is wanted, the shortest that lets the rest match; neither `{}` nor what is before the `@` holds an `@`. Case does not
/// matter.
#[derive(Clone, Debug)]
pub struct AddressPattern {
    written: String,
    regex: Regex,
    has_part: bool,
}

/// What a pattern found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Match<'a> {
    /// The sender; the pattern asks for no part of it.
    Whole,
    /// The part that `{}` stands for.
    Part(&'a str),
}

impl AddressPattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() || text.len() > LENGTH_MAX {
            return Err(format!("expected a domain or a pattern of 1 to {LENGTH_MAX} bytes"));
        }
        if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return Err("a sender has no spaces in it".to_owned());
        }
        let has_part = match text.matches("{}").count() {
            0 => false,
            1 => true,
            _ => return Err("{} may stand once".to_owned()),
        };
        let regex = match text.split_once('@') {
            None if text.contains(['*', '{', '}']) => {
                return Err("a pattern needs an @, as in bounce-*@example.com".to_owned());
            }
            None => format!("@(?:[^@]+\\.)?{}", regex::escape(text)),
            Some((local, domain))
                if domain.contains('@') || local.is_empty() || domain.is_empty() =>
            {
                return Err("expected one @ with something on both sides".to_owned());
            }
            Some((local, domain)) => format!("^{}@{}", translated(local), translated(domain)),
        };
        // Anchored at its end, and linear in the length of the address whatever is written.
        let regex = Regex::new(&format!("(?i){regex}$")).map_err(|error| error.to_string())?;
        Ok(Self { written: text.to_owned(), regex, has_part })
    }

    /// Whether `{}` is in it.
    pub const fn has_part(&self) -> bool {
        self.has_part
    }

    /// Whether it matches a sender (`local@domain`, the local part unquoted; the null sender is empty), and what is at `{}`. One with an
    /// `@` in its local part matches a domain only.
    pub fn find<'a>(&self, sender: &'a str) -> Option<Match<'a>> {
        let found = self.regex.captures(sender)?;
        Some(match found.get(1) {
            Some(part) => Match::Part(part.as_str()),
            None => Match::Whole,
        })
    }
}

fn translated(text: &str) -> String {
    regex::escape(text).replace("\\*", "[^@]*").replace("\\{\\}", "([^@]+?)")
}

impl fmt::Display for AddressPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}

impl PartialEq for AddressPattern {
    fn eq(&self, other: &Self) -> bool {
        self.written == other.written
    }
}

impl Eq for AddressPattern {}
