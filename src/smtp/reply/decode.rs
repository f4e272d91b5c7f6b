//! Reading replies off the wire, strictly and within bounds.
//!
//! A gate must not guess between accept and refuse, so anything that RFC 5321 §4.2 does not allow is a fault: lines of one
//! reply with differing codes, a code outside 200..=599, a missing separator, an LF without its CR.

use std::borrow::Cow;

use bytes::{Buf, BytesMut};
use memchr::memchr;

use super::{Reply, ReplyCode};
use crate::smtp::status::EnhancedStatus;

/// Bounds on one reply.
#[derive(Clone, Copy, Debug)]
pub struct ReplyLimits {
    /// Octets in a line, CRLF included. RFC 5321 says 512; Postfix takes 2048.
    pub line: usize,
    /// Lines in a reply.
    pub lines: usize,
    /// Octets of a whole reply.
    pub octets: usize,
}

impl Default for ReplyLimits {
    fn default() -> Self {
        Self { line: 2048, lines: 100, octets: 16 * 1024 }
    }
}

/// What is wrong with a reply. The connection that sent it is of no further use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReplyFault {
    /// A line over the limit.
    #[error("reply line too long")]
    LineTooLong,
    /// More lines than the limit.
    #[error("reply with too many lines")]
    TooManyLines,
    /// More octets than the limit.
    #[error("reply too long")]
    TooLong,
    /// LF without CR, or CR within a line.
    #[error("reply line not ended by CRLF")]
    LineEnd,
    /// Not three digits from 200 to 599, followed by a space, a hyphen or the end of the line.
    #[error("not a reply")]
    NotAReply,
    /// The lines of one reply say different codes.
    #[error("lines of one reply with differing codes")]
    DifferingCodes,
}

/// A whole reply as it stands in a log or a journal, read where it stands.
#[derive(Clone, Copy, Debug)]
pub struct Outline<'a> {
    /// The basic code.
    pub code: ReplyCode,
    /// The enhanced status, if there was one whose class agrees with the code.
    pub status: Option<EnhancedStatus>,
    text: &'a str,
}

/// Assembles replies from bytes that arrive in any pieces.
#[derive(Debug, Default)]
pub struct ReplyDecoder {
    limits: ReplyLimits,
    scanned: usize,
    octets: usize,
    lines: usize,
    partial: Option<Reply>,
}

impl ReplyDecoder {
    /// A decoder with these bounds.
    pub fn new(limits: ReplyLimits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// From here on a line may have so many octets.
    pub const fn limit_line(&mut self, octets: usize) {
        self.limits.line = octets;
    }

    /// Takes the next complete reply off the front of `buffer`; `None` asks for more bytes.
    ///
    /// # Errors
    /// After a fault the decoder and the connection are not to be used again.
    pub fn decode(&mut self, buffer: &mut BytesMut) -> Result<Option<Reply>, ReplyFault> {
        while let Some(found) = buffer.get(self.scanned..).and_then(|fresh| memchr(b'\n', fresh)) {
            let end = self.scanned + found + 1;
            self.scanned = 0;
            if end > self.limits.line {
                return Err(ReplyFault::LineTooLong);
            }
            let line = buffer.get(..end).unwrap_or_default();
            let Some(line) = line.strip_suffix(b"\r\n") else { return Err(ReplyFault::LineEnd) };
            if memchr(b'\r', line).is_some() {
                return Err(ReplyFault::LineEnd);
            }
            let last = self.take_line(line, end)?;
            buffer.advance(end);
            if last {
                self.octets = 0;
                self.lines = 0;
                return Ok(self.partial.take());
            }
        }
        self.scanned = buffer.len();
        if self.scanned > self.limits.line { Err(ReplyFault::LineTooLong) } else { Ok(None) }
    }

    /// Whether lines of a reply have been taken whose last one is to come.
    pub const fn is_within(&self) -> bool {
        self.partial.is_some()
    }

    fn take_line(&mut self, line: &[u8], octets: usize) -> Result<bool, ReplyFault> {
        self.octets += octets;
        self.lines += 1;
        if self.lines > self.limits.lines {
            return Err(ReplyFault::TooManyLines);
        }
        if self.octets > self.limits.octets {
            return Err(ReplyFault::TooLong);
        }
        let (code, last, text) = split(line).ok_or(ReplyFault::NotAReply)?;
        add_line(&mut self.partial, code, text).ok_or(ReplyFault::DifferingCodes)?;
        Ok(last)
    }
}

pub(super) fn outline(text: &str) -> Option<Outline<'_>> {
    let mut lines = text.lines().filter(|line| !line.is_empty());
    let (code, _, rest) = split(lines.next()?.as_bytes())?;
    let status = status_of(code, rest).map(|(status, _)| status);
    let agrees = |line: &str| split(line.as_bytes()).is_some_and(|(other, _, _)| other == code);
    lines.all(agrees).then_some(Outline { code, status, text })
}

impl<'a> Outline<'a> {
    /// The text of each line behind code and status, as [`Reply::text`] joins them.
    pub fn lines(self) -> impl Iterator<Item = &'a str> {
        self.text.lines().filter(|line| !line.is_empty()).map(move |line| {
            let text = line.get(4..).unwrap_or_default();
            let repeated = status_of(self.code, text.as_bytes())
                .filter(|(status, _)| Some(*status) == self.status);
            let skipped = repeated
                .map_or(0, |(_, used)| text.len() - behind_status(text.as_bytes(), used).len());
            text.get(skipped..).unwrap_or_default()
        })
    }
}

pub(super) fn from_text(text: &str) -> Option<Reply> {
    let mut reply = None;
    for line in text.lines().filter(|line| !line.is_empty()) {
        let (code, _, text) = split(line.as_bytes())?;
        add_line(&mut reply, code, text)?;
    }
    reply
}

/// One line into code, whether it is the last, and text.
fn split(line: &[u8]) -> Option<(ReplyCode, bool, &[u8])> {
    let (digits, rest) = line.split_at_checked(3)?;
    if !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let code = digits.iter().fold(0, |sum, digit| sum * 10 + u16::from(digit - b'0'));
    let code = ReplyCode::new(code)?;
    match rest.split_first() {
        None => Some((code, true, b"")),
        Some((b' ', text)) => Some((code, true, text)),
        Some((b'-', text)) => Some((code, false, text)),
        Some(_) => None,
    }
}

/// What most servers say to most commands (Postfix and Sendmail, Exim, those who answer in small letters): a text that needs no
/// memory, however many hands it passes through.
const COMMON: [&str; 4] = ["Ok", "OK", "Accepted", "ok"];

/// The status at the start of a line's text, if its class agrees with the code, and how many bytes it took.
fn status_of(code: ReplyCode, text: &[u8]) -> Option<(EnhancedStatus, usize)> {
    EnhancedStatus::leading(text).filter(|(status, _)| u16::from(status.class) == code.get() / 100)
}

/// Adds a line to a reply under way; `None` if its code differs from the first line's.
fn add_line(partial: &mut Option<Reply>, code: ReplyCode, text: &[u8]) -> Option<()> {
    let status = status_of(code, text);
    match partial {
        None => {
            let text = status.map_or(text, |(_, used)| behind_status(text, used));
            let common = COMMON.iter().find(|common| common.as_bytes() == text);
            let text = match common {
                Some(common) => Cow::Borrowed(*common),
                None => String::from_utf8_lossy(text).into_owned().into(),
            };
            *partial = Some(Reply { code, status: status.map(|(status, _)| status), text });
        }
        Some(reply) if reply.code != code => return None,
        Some(reply) => {
            // A continuation repeats the status of the first line (RFC 2034 §4); another one stays in the text.
            let repeated = status.filter(|(status, _)| Some(*status) == reply.status);
            let text = repeated.map_or(text, |(_, used)| behind_status(text, used));
            let all = reply.text.to_mut();
            all.push('\n');
            all.push_str(&String::from_utf8_lossy(text));
        }
    }
    Some(())
}

/// The text behind a status, without the space or the punctuation that some receivers put there (`5.1.1: no such user`).
fn behind_status(text: &[u8], used: usize) -> &[u8] {
    let rest = text.get(used..).unwrap_or_default();
    let rest = match rest.split_first() {
        Some((b':' | b';' | b',' | b'-' | b')', rest)) => rest,
        Some(_) | None => rest,
    };
    rest.strip_prefix(b" ").unwrap_or(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(bytes: &[u8]) -> Result<Option<String>, ReplyFault> {
        let mut decoder = ReplyDecoder::default();
        let mut buffer = BytesMut::from(bytes);
        decoder.decode(&mut buffer).map(|reply| reply.map(|reply| format!("{reply:?}")))
    }

    fn fields(bytes: &[u8]) -> (u16, String, String) {
        let mut decoder = ReplyDecoder::default();
        let reply =
            decoder.decode(&mut BytesMut::from(bytes)).expect("no fault").expect("complete");
        let status = reply.status.map(|status| status.to_string()).unwrap_or_default();
        (reply.code.get(), status, reply.text.into_owned())
    }

    #[test]
    fn code_status_and_text_are_three_fields() {
        let check = |bytes: &[u8], code: u16, status: &str, text: &str| {
            assert_eq!(fields(bytes), (code, status.to_owned(), text.to_owned()), "{bytes:?}");
        };
        check(b"250 ok\r\n", 250, "", "ok");
        check(b"250\r\n", 250, "", "");
        check(b"550 5.1.1\r\n", 550, "5.1.1", "");
        check(b"550 5.1.1: no such user\r\n", 550, "5.1.1", "no such user");
        check(b"550-5.1.1 no such\r\n550 5.1.1 user\r\n", 550, "5.1.1", "no such\nuser");
        check(b"550-5.1.1 no such\r\n550 user\r\n", 550, "5.1.1", "no such\nuser");
        // The class contradicts the code: the code is believed and the status stays mere text.
        check(b"550 2.1.1 odd\r\n", 550, "", "2.1.1 odd");
    }

    #[test]
    fn faults() {
        let long = [b"250 ".as_slice(), &b"x".repeat(3000), b"\r\n"].concat();
        let endless = b"250-x\r\n".repeat(101);
        let cases: &[(&[u8], ReplyFault)] = &[
            (b"250-a\r\n550 b\r\n", ReplyFault::DifferingCodes),
            (b"250 ok\n", ReplyFault::LineEnd),
            (b"250 o\rk\r\n", ReplyFault::LineEnd),
            (b"\r\n", ReplyFault::NotAReply),
            (b"-250 ok\r\n", ReplyFault::NotAReply),
            (b"250Text\r\n", ReplyFault::NotAReply),
            (b"2500\r\n", ReplyFault::NotAReply),
            (b"25\r\n", ReplyFault::NotAReply),
            (b"000 x\r\n", ReplyFault::NotAReply),
            (b"199 x\r\n", ReplyFault::NotAReply),
            (b"600 x\r\n", ReplyFault::NotAReply),
            (&long, ReplyFault::LineTooLong),
            (&endless, ReplyFault::TooManyLines),
        ];
        for (bytes, fault) in cases {
            assert_eq!(decode(bytes), Err(*fault), "{:?}", String::from_utf8_lossy(bytes));
        }
    }

    #[test]
    fn too_many_octets_in_all() {
        let line = [b"250-".as_slice(), &b"x".repeat(1000), b"\r\n"].concat();
        assert_eq!(decode(&line.repeat(17)), Err(ReplyFault::TooLong));
        assert_eq!(decode(&line.repeat(16)), Ok(None));
    }

    #[test]
    fn split_anywhere_it_reads_the_same() {
        let bytes = b"550-5.1.1 a\r\n550-5.1.1 b\r\n550 5.1.1 c\r\n";
        for cut in 0..bytes.len() {
            let mut decoder = ReplyDecoder::default();
            let mut buffer = BytesMut::from(&bytes[..cut]);
            assert_eq!(decoder.decode(&mut buffer), Ok(None), "cut at {cut}");
            buffer.extend_from_slice(&bytes[cut..]);
            let reply = decoder.decode(&mut buffer).expect("no fault").expect("complete");
            assert_eq!(reply.text, "a\nb\nc");
            assert!(buffer.is_empty());
        }
    }
}
