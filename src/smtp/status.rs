//! Enhanced status codes, RFC 3463.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// `class.subject.detail`. The class is 2, 4 or 5; subject and detail have at most three digits (RFC 3463 §2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EnhancedStatus {
    /// 2 success, 4 persistent transient failure, 5 permanent failure.
    pub class: u8,
    /// What it is about: 1 address, 2 mailbox, 3 system, 4 network, 5 protocol, 6 content, 7 security.
    pub subject: u16,
    /// The detail within the subject.
    pub detail: u16,
}

impl EnhancedStatus {
    /// A status from its three numbers; for constants of this program.
    pub const fn new(class: u8, subject: u16, detail: u16) -> Self {
        Self { class, subject, detail }
    }

    /// Reads a status at the start of `text` and says how many bytes it took.
    ///
    /// The status must end at the end of the text, a space, or one of `: ; , - )` that receivers write behind it;
    /// `5.1.1.9` (an address) and `5.1.1x` are no status.
    pub fn leading(text: &[u8]) -> Option<(Self, usize)> {
        let (&class, rest) = text.split_first()?;
        if !matches!(class, b'2' | b'4' | b'5') || rest.first() != Some(&b'.') {
            return None;
        }
        let (subject, used) = number(rest.get(1..)?)?;
        let rest = rest.get(1 + used..)?;
        if rest.first() != Some(&b'.') {
            return None;
        }
        let (detail, used_detail) = number(rest.get(1..)?)?;
        let end = rest.get(1 + used_detail..)?;
        if !matches!(end.first(), None | Some(b' ' | b'\t' | b':' | b';' | b',' | b'-' | b')')) {
            return None;
        }
        Some((Self { class: class - b'0', subject, detail }, 3 + used + used_detail))
    }
}

/// One to three digits without a sign: RFC 3463 §2 allows no more.
fn number(text: &[u8]) -> Option<(u16, usize)> {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if !(1..=3).contains(&digits) {
        return None;
    }
    let value = text.iter().take(digits).fold(0, |sum, digit| sum * 10 + u16::from(digit - b'0'));
    Some((value, digits))
}

impl EnhancedStatus {
    /// The octets of nearly all statuses: those whose numbers have one digit each.
    pub(super) fn octets(self) -> Option<[u8; 5]> {
        let digit = |number: u16| b'0' + u8::try_from(number).unwrap_or(0);
        let short = self.class <= 9 && self.subject <= 9 && self.detail <= 9;
        short.then(|| {
            [digit(self.class.into()), b'.', digit(self.subject), b'.', digit(self.detail)]
        })
    }

    /// Writes what [`fmt::Display`] shows, without the detour over a formatter.
    pub(super) fn show(self, to: &mut impl fmt::Write) -> fmt::Result {
        write_number(to, self.class.into())?;
        to.write_char('.')?;
        write_number(to, self.subject)?;
        to.write_char('.')?;
        write_number(to, self.detail)
    }
}

impl fmt::Display for EnhancedStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.show(f)
    }
}

/// Writes a number of at most three digits. They stand on every line of every reply, and the general way takes ten times as long.
pub(super) fn write_number(f: &mut impl fmt::Write, number: u16) -> fmt::Result {
    if number > 999 {
        return write!(f, "{number}");
    }
    if number > 99 {
        f.write_char(digit(number / 100))?;
    }
    if number > 9 {
        f.write_char(digit(number / 10))?;
    }
    f.write_char(digit(number))
}

/// The last digit of a number.
pub(super) fn digit(number: u16) -> char {
    char::from(b'0' + u8::try_from(number % 10).unwrap_or(0))
}

/// Text that is not an enhanced status code.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an enhanced status code: {0:?} (expected class.subject.detail, such as 5.7.1)")]
pub struct NotAStatus(pub String);

impl FromStr for EnhancedStatus {
    type Err = NotAStatus;

    fn from_str(text: &str) -> Result<Self, NotAStatus> {
        match Self::leading(text.as_bytes()) {
            Some((status, used)) if used == text.len() => Ok(status),
            Some(_) | None => Err(NotAStatus(text.to_owned())),
        }
    }
}

impl Serialize for EnhancedStatus {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for EnhancedStatus {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leading_status() {
        let cases: &[(&str, Option<(&str, usize)>)] = &[
            ("5.1.1 no such user", Some(("5.1.1", 5))),
            ("5.1.1", Some(("5.1.1", 5))),
            ("5.1.1: user", Some(("5.1.1", 5))),
            ("4.2.122 full", Some(("4.2.122", 7))),
            ("5.10.905 odd", Some(("5.10.905", 8))),
            ("5.1.1.9 is an address", None),
            ("5.1.1x", None),
            ("3.1.1 no such class", None),
            ("5.1", None),
            ("5..1", None),
            ("5.1234.1", None),
            ("", None),
        ];
        for (text, expected) in cases {
            let got = EnhancedStatus::leading(text.as_bytes())
                .map(|(status, used)| (status.to_string(), used));
            assert_eq!(got, expected.map(|(status, used)| (status.to_owned(), used)), "{text}");
        }
    }
}
