//! Replies, RFC 5321 §4.2: code, enhanced status and text are three fields, never one string.

mod decode;

use std::borrow::Cow;
use std::fmt;

use bytes::{BufMut, BytesMut};
use memchr::memchr;

pub use decode::{Outline, ReplyDecoder, ReplyFault, ReplyLimits};

use super::status::{EnhancedStatus, write_number};

/// A reply code, 200 to 599 (RFC 5321 §4.2.1; 1yz is not used by SMTP).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ReplyCode(u16);

/// The first digit of a reply code, RFC 5321 §4.2.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Severity {
    /// 2yz: done.
    Completion,
    /// 3yz: go on.
    Intermediate,
    /// 4yz: not now.
    Transient,
    /// 5yz: not so.
    Permanent,
}

impl ReplyCode {
    /// A code of this program; `None` outside 200..=599.
    pub const fn new(code: u16) -> Option<Self> {
        if code >= 200 && code <= 599 { Some(Self(code)) } else { None }
    }

    /// The number.
    pub const fn get(self) -> u16 {
        self.0
    }

    /// What the first digit says.
    pub const fn severity(self) -> Severity {
        match self.0 / 100 {
            2 => Severity::Completion,
            3 => Severity::Intermediate,
            4 => Severity::Transient,
            _ => Severity::Permanent,
        }
    }
}

impl fmt::Display for ReplyCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_number(f, self.0)
    }
}

/// One reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The basic code.
    pub code: ReplyCode,
    /// The enhanced status, if there was one whose class agrees with the code.
    pub status: Option<EnhancedStatus>,
    /// The text behind code and status, one line each, joined by `\n`. From a peer it may hold anything but CR and LF.
    pub text: Cow<'static, str>,
}

/// Longest reply line that we write, CRLF included (RFC 5321 §4.5.3.1.5).
const LINE_MAX: usize = 512;

impl Reply {
    /// A reply of this program. The code is a constant of ours: anything outside 200..=599 becomes 451.
    pub const fn new(code: u16, status: EnhancedStatus, text: &'static str) -> Self {
        Self::with_text(code, status, Cow::Borrowed(text))
    }

    /// A reply of this program with a text made at run time.
    pub const fn with_text(code: u16, status: EnhancedStatus, text: Cow<'static, str>) -> Self {
        let code = match ReplyCode::new(code) {
            Some(code) => code,
            None => ReplyCode(451),
        };
        Self { code, status: Some(status), text }
    }

    /// A reply without enhanced status: greetings, EHLO, 354 and HELP carry none (RFC 2034 §4).
    pub const fn plain(code: u16, text: Cow<'static, str>) -> Self {
        let mut reply = Self::with_text(code, EnhancedStatus::new(2, 0, 0), text);
        reply.status = None;
        reply
    }

    /// Reads a whole reply as it stands in a log or a journal, lines joined by `\n` or CRLF.
    ///
    /// Lenient where the wire is strict: the last line may be marked as a continuation.
    pub fn from_text(text: &str) -> Option<Self> {
        decode::from_text(text)
    }

    /// The same without memory of its own: for those who read a million of them.
    pub fn outline(text: &str) -> Option<Outline<'_>> {
        decode::outline(text)
    }

    /// What the first digit says.
    pub const fn severity(&self) -> Severity {
        self.code.severity()
    }

    /// Whether this is a 2yz reply.
    pub const fn is_success(&self) -> bool {
        matches!(self.severity(), Severity::Completion)
    }

    /// Whether this is a 5yz reply.
    pub const fn is_permanent(&self) -> bool {
        matches!(self.severity(), Severity::Permanent)
    }

    /// Appends the reply as it goes over the wire: printable ASCII only, lines of at most 512 octets, the status on every line.
    ///
    /// With `enhanced`, a 2yz, 4yz or 5yz reply without status gets `x.0.0`, because our EHLO promised one (RFC 2034 §4).
    pub fn encode(&self, enhanced: bool, out: &mut BytesMut) {
        let status = self.status.or_else(|| self.default_status(enhanced));
        // The code, the longest status, their separators and the line end.
        let room = match self.code.get() {
            // A challenge is one line, however long (RFC 4954 §4.3).
            334 => usize::MAX,
            _ => LINE_MAX - "550 5.999.999 \r\n".len(),
        };
        let mut pieces = self.text.split('\n').flat_map(|line| wrap(line, room)).peekable();
        while let Some(piece) = pieces.next() {
            let last = pieces.peek().is_none();
            self.encode_line(status, piece, last, out);
        }
    }

    fn encode_line(
        &self,
        status: Option<EnhancedStatus>,
        text: &str,
        last: bool,
        out: &mut BytesMut,
    ) {
        let digit = |number: u16| b'0' + u8::try_from(number % 10).unwrap_or(0);
        let (code, separator) = (self.code.get(), if last { b' ' } else { b'-' });
        out.reserve(LINE_MAX.min(text.len() + 20));
        out.put_slice(&[digit(code / 100), digit(code / 10), digit(code), separator]);
        if let Some(status) = status {
            match status.octets() {
                Some(octets) => out.put_slice(&octets),
                // Writing to a `BytesMut` cannot fail: it grows.
                None => _ = status.show(out),
            }
            if !text.is_empty() {
                out.put_u8(b' ');
            }
        }
        if text.bytes().all(|octet| matches!(octet, b' '..=b'~')) {
            out.put_slice(text.as_bytes());
        } else {
            out.extend(text.chars().map(|character| match character {
                ' '..='~' => character as u8,
                _ => b'?',
            }));
        }
        out.put_slice(b"\r\n");
    }

    fn default_status(&self, enhanced: bool) -> Option<EnhancedStatus> {
        let class = match self.severity() {
            Severity::Completion => 2,
            Severity::Transient => 4,
            Severity::Permanent => 5,
            Severity::Intermediate => return None,
        };
        enhanced.then_some(EnhancedStatus::new(class, 0, 0))
    }
}

/// Cuts a line into pieces of at most `room` characters; each becomes one octet on the wire. An empty line stays one piece.
fn wrap(line: &str, room: usize) -> impl Iterator<Item = &str> {
    let mut rest = Some(line);
    std::iter::from_fn(move || {
        let line = rest.take()?;
        let cut = line.char_indices().nth(room).map_or(line.len(), |(at, _)| at);
        let (piece, more) = line.split_at(cut);
        if !more.is_empty() {
            rest = Some(more);
        }
        Some(piece)
    })
}

impl Reply {
    /// Writes what [`fmt::Display`] shows, without the detour over a formatter.
    ///
    /// # Errors
    /// When `to` fails.
    pub fn show(&self, to: &mut impl fmt::Write) -> fmt::Result {
        // Nearly every reply is one line.
        if memchr(b'\n', self.text.as_bytes()).is_none() {
            return self.show_line(&self.text, true, to);
        }
        let mut lines = self.text.split('\n').peekable();
        while let Some(line) = lines.next() {
            self.show_line(line, lines.peek().is_none(), to)?;
        }
        Ok(())
    }

    fn show_line(&self, line: &str, last: bool, to: &mut impl fmt::Write) -> fmt::Result {
        write_number(to, self.code.get())?;
        to.write_char(if last { ' ' } else { '-' })?;
        if let Some(status) = self.status {
            status.show(to)?;
            if !line.is_empty() {
                to.write_char(' ')?;
            }
        }
        to.write_str(line)?;
        if last { Ok(()) } else { to.write_char('\n') }
    }
}

/// The reply as logs and the journal show it: every line with code and status, joined by `\n`.
impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.show(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wire(reply: &Reply) -> String {
        let mut out = BytesMut::new();
        reply.encode(true, &mut out);
        String::from_utf8(out.to_vec()).expect("ASCII")
    }

    #[test]
    fn what_goes_over_the_wire() {
        let suppressed = Reply::new(550, EnhancedStatus::new(5, 7, 1), "rcptgate: no\nreally");
        assert_eq!(wire(&suppressed), "550-5.7.1 rcptgate: no\r\n550 5.7.1 really\r\n");
        let plain = Reply::from_text("250 queued as 1").expect("a reply");
        assert_eq!(wire(&plain), "250 2.0.0 queued as 1\r\n");
        let go_ahead = Reply::plain(354, "go".into());
        assert_eq!(wire(&go_ahead), "354 go\r\n");
    }

    #[test]
    fn hostile_text_cannot_make_a_line_or_a_colour() {
        let reply =
            Reply::with_text(550, EnhancedStatus::new(5, 0, 0), "a\u{1b}[31mb\0c\rd\u{e9}".into());
        assert_eq!(wire(&reply), "550 5.0.0 a?[31mb?c?d?\r\n");
    }

    #[test]
    fn long_text_is_wrapped_at_512_octets() {
        let reply = Reply::with_text(550, EnhancedStatus::new(5, 0, 0), "x".repeat(1200).into());
        let text = wire(&reply);
        assert_eq!(text.lines().count(), 3);
        assert!(text.split_inclusive("\r\n").all(|line| line.len() <= LINE_MAX));
        assert_eq!(text.matches('x').count(), 1200);
    }
}
