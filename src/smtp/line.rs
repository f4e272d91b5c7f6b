//! Command lines: CRLF framing, bounded (RFC 5321 §2.3.8: no bare CR, no bare LF).

use bytes::BytesMut;
use memchr::memchr;

/// What is wrong with the framing of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LineFault {
    /// A complete line over the limit; it has been taken off, the next may be read.
    #[error("line too long")]
    TooLong,
    /// No end in sight at twice the limit: what follows cannot be told from a command.
    #[error("line without end")]
    Endless,
    /// A CR or LF on its own. Peers disagree on whether it ends a line, so nothing behind it can be trusted.
    #[error("bare CR or LF")]
    BareLineEnd,
    /// The first octet of a TLS handshake, which no command begins with: it may never send a line end.
    #[error("a TLS handshake on a plain port")]
    Tls,
}

/// Takes the next line off the front of `buffer`, without its CRLF; `None` asks for more bytes.
///
/// `limit` is the octets of a line with its CRLF.
///
/// # Errors
/// [`LineFault::TooLong`] consumes the line; after the other faults the connection is of no further use.
pub fn take_line(buffer: &mut BytesMut, limit: usize) -> Result<Option<BytesMut>, LineFault> {
    if buffer.first() == Some(&0x16) {
        return Err(LineFault::Tls);
    }
    let Some(at) = memchr(b'\n', buffer) else {
        return if buffer.len() > limit * 2 { Err(LineFault::Endless) } else { Ok(None) };
    };
    if at >= limit * 2 {
        return Err(LineFault::Endless);
    }
    let mut line = buffer.split_to(at + 1);
    if !line.ends_with(b"\r\n") {
        return Err(LineFault::BareLineEnd);
    }
    line.truncate(at - 1);
    if memchr(b'\r', &line).is_some() {
        return Err(LineFault::BareLineEnd);
    }
    if at + 1 > limit { Err(LineFault::TooLong) } else { Ok(Some(line)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn framing() {
        let check = |bytes: &[u8], expected: Result<Option<&[u8]>, LineFault>, left: usize| {
            let mut buffer = BytesMut::from(bytes);
            let got = take_line(&mut buffer, 10);
            assert_eq!(got.as_ref().map(|line| line.as_deref()), expected.as_ref().map(|l| *l));
            assert_eq!(buffer.len(), left, "{bytes:?}");
        };
        check(b"NOOP\r\nQUIT\r\n", Ok(Some(b"NOOP")), 6);
        check(b"\r\n", Ok(Some(b"")), 0);
        check(b"NOOP\r", Ok(None), 5);
        check(b"12345678\r\n", Ok(Some(b"12345678")), 0);
        check(b"123456789\r\nx", Err(LineFault::TooLong), 1);
        check(b"NOOP\n", Err(LineFault::BareLineEnd), 0);
        check(b"NO\rOP\r\n", Err(LineFault::BareLineEnd), 0);
        check(b"\n", Err(LineFault::BareLineEnd), 0);
        check(b"\x16\x03\x01", Err(LineFault::Tls), 3);
        check(&[b'x'; 20], Ok(None), 20);
        check(&[b'x'; 21], Err(LineFault::Endless), 21);
    }
}
