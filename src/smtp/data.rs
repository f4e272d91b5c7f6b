//! The content of a message between 354 and its end, RFC 5321 §4.5.2.
//!
//! Every byte passes as it came, dot-stuffing included: nothing is unstuffed, so nothing need be stuffed again. The only end is
//! the client's own `CRLF.CRLF`. Whatever the client sends, what is passed on holds no NUL and no CR or LF outside a CRLF:
//! servers differ in what else they take for the end of a line, and that difference is SMTP smuggling (CVE-2023-51764 and kin).

use bytes::{Buf, BytesMut};
use memchr::{memchr, memmem, memrchr};

/// Why content is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DataFault {
    /// A CR or LF outside a CRLF, or a NUL.
    #[error("bare CR, bare LF or NUL")]
    Smuggling,
    /// A line over the limit.
    #[error("line too long")]
    LineTooLong,
}

/// Whether the content goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// More is to come.
    More,
    /// The end has been taken; what is left in the input is the next command.
    End,
}

/// Finds the end of content that arrives in any pieces.
#[derive(Debug)]
pub struct DataDecoder {
    lines: LineMeter,
    at_line_start: bool,
    octets: u64,
    /// Dots at the start of a line, which stuffing or the end put there.
    dots: u64,
    ended: bool,
}

impl DataDecoder {
    /// A decoder right behind 354, which counts as the start of a line.
    pub const fn new(line_limit: usize) -> Self {
        let lines = LineMeter::new(line_limit);
        Self { lines, at_line_start: true, octets: 0, dots: 0, ended: false }
    }

    /// Octets taken so far, the end included.
    pub const fn octets(&self) -> u64 {
        self.octets
    }

    /// Octets of the message so far as SIZE counts them: without stuffed dots and the end (RFC 1870 §3).
    pub const fn message_octets(&self) -> u64 {
        let end = if self.ended { 2 } else { 0 };
        self.octets.saturating_sub(self.dots + end)
    }

    /// Moves content from `input` to `output` as far as it is known to be clean, up to and including the end.
    ///
    /// A CR that nothing follows yet, and a dot at the start of a line, stay in `input` until their meaning is known.
    ///
    /// # Errors
    /// Nothing of the faulty stretch has been moved; go on with [`Self::swallow`].
    pub fn transfer(
        &mut self,
        input: &mut BytesMut,
        output: &mut BytesMut,
    ) -> Result<Progress, DataFault> {
        let (length, progress) = self.stretch(input);
        let stretch = input.get(..length).unwrap_or_default();
        if !is_clean(stretch) {
            return Err(DataFault::Smuggling);
        }
        self.lines.measure(stretch)?;
        output.extend_from_slice(stretch);
        self.dots += u64::from(self.at_line_start && stretch.starts_with(b"."));
        self.dots += memmem::find_iter(stretch, b"\n.").count() as u64;
        self.ended = progress == Progress::End;
        self.take(input, length);
        Ok(progress)
    }

    /// Throws content away up to and including its end: what is refused is still consumed, or its lines would become commands.
    pub fn swallow(&mut self, input: &mut BytesMut) -> Progress {
        let (length, progress) = self.stretch(input);
        self.take(input, length);
        progress
    }

    /// How much of the input can be judged now, and whether the end is at the end of it.
    fn stretch(&self, input: &[u8]) -> (usize, Progress) {
        if self.at_line_start && input.starts_with(b".\r\n") {
            return (3, Progress::End);
        }
        if let Some(at) = memmem::find(input, b"\r\n.\r\n") {
            return (at + 5, Progress::End);
        }
        let known = input.strip_suffix(b"\r").unwrap_or(input);
        let known = match known.strip_suffix(b".") {
            Some(before) if self.is_line_start(before) => before,
            Some(_) | None => known,
        };
        (known.len(), Progress::More)
    }

    fn is_line_start(&self, before: &[u8]) -> bool {
        if before.is_empty() { self.at_line_start } else { before.ends_with(b"\r\n") }
    }

    fn take(&mut self, input: &mut BytesMut, length: usize) {
        let stretch = input.get(..length).unwrap_or_default();
        if !stretch.is_empty() {
            self.at_line_start = stretch.ends_with(b"\r\n");
        }
        self.octets += length as u64;
        input.advance(length);
    }
}

/// Holds lines to their limit, however they arrive.
#[derive(Debug)]
pub(super) struct LineMeter {
    limit: usize,
    octets: usize,
}

impl LineMeter {
    /// At the start of a line; `limit` is octets with the CRLF.
    pub(super) const fn new(limit: usize) -> Self {
        Self { limit, octets: 0 }
    }

    /// Takes a stretch. Lines within one shorter than the limit fit by themselves; only those that cross a boundary are counted.
    pub(super) fn measure(&mut self, stretch: &[u8]) -> Result<(), DataFault> {
        for piece in stretch.chunks(self.limit.max(1)) {
            let (first, behind_last) = match (memchr(b'\n', piece), memrchr(b'\n', piece)) {
                (Some(first), Some(last)) => (first + 1, Some(piece.len() - last - 1)),
                (None, _) | (_, None) => (piece.len(), None),
            };
            if self.octets + first > self.limit {
                return Err(DataFault::LineTooLong);
            }
            self.octets = behind_last.unwrap_or(self.octets + first);
        }
        Ok(())
    }
}

/// No NUL, every CR followed by LF, every LF behind a CR. The stretch is whole in this: it ends in no CR.
///
/// Written as one pass without branches, so that the compiler makes vector code of it.
pub(super) fn is_clean(stretch: &[u8]) -> bool {
    let (Some(first), Some(last)) = (stretch.first(), stretch.last()) else { return true };
    let next = stretch.get(1..).unwrap_or_default();
    let pairs = stretch.iter().zip(next).fold(0u8, |bad, (byte, next)| {
        bad | u8::from((*byte == b'\r') != (*next == b'\n')) | u8::from(*byte == 0)
    });
    pairs == 0 && *first != b'\n' && *last != b'\r' && *last != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds pieces; returns what came out, and how it ended.
    fn run(pieces: &[&[u8]]) -> (Vec<u8>, Result<Progress, DataFault>, Vec<u8>) {
        let mut decoder = DataDecoder::new(100);
        let (mut input, mut output) = (BytesMut::new(), BytesMut::new());
        for piece in pieces {
            input.extend_from_slice(piece);
            match decoder.transfer(&mut input, &mut output) {
                Ok(Progress::More) => {}
                Ok(Progress::End) => return (output.to_vec(), Ok(Progress::End), input.to_vec()),
                Err(fault) => return (output.to_vec(), Err(fault), input.to_vec()),
            }
        }
        (output.to_vec(), Ok(Progress::More), input.to_vec())
    }

    const CLEAN: &[&[u8]] = &[
        b".\r\n",
        b"a\r\n.\r\n",
        b"..\r\n.\r\n",
        b".a\r\n..\r\n...\r\n.\r\n",
        b"\r\n\r\n.\r\n",
        b"Subject: x\r\n\r\nbody. \r\n . \r\n.\r\n",
        b"\xff\x80\r\n.\r\n",
    ];

    #[test]
    fn clean_content_passes_byte_for_byte_however_it_is_cut() {
        for content in CLEAN {
            let with_next = [content, b"MAIL".as_slice()].concat();
            for cut in 0..with_next.len() {
                let (head, tail) = with_next.split_at(cut);
                let (out, end, left) = run(&[head, tail]);
                assert_eq!((out.as_slice(), end), (*content, Ok(Progress::End)), "{cut}");
                assert!(b"MAIL".starts_with(&left));
            }
            let bytes: Vec<&[u8]> = content.chunks(1).collect();
            assert_eq!(run(&bytes), (content.to_vec(), Ok(Progress::End), Vec::new()));
        }
    }

    #[test]
    fn no_other_spelling_ends_the_message() {
        let vectors: &[&[u8]] = &[
            b"\n.\n",
            b"\n.\r\n",
            b"\n.\r",
            b"\r.\r",
            b"\r.\n",
            b"\r.\r\n",
            b"\r\n.\n",
            b"\r\n.\r",
            b"\r\n\0.\r\n",
            b"\0\r\n.\r\n",
            b"\r\0\n.\r\n",
            b"\r\n.\0\r\n",
            b"\r\n.\r\0\n",
            b"\r\n.\r\r\n",
            b"\r\r\n.\r\r\n",
            b"\n.\r\r\n",
        ];
        for vector in vectors {
            let content = [b"x", *vector, b"MAIL FROM:<evil@x.test>\r\n", b".\r\n"].concat();
            for cut in 0..=content.len() {
                let (head, tail) = content.split_at(cut);
                let (out, end, _) = run(&[head, tail]);
                assert_eq!(end, Err(DataFault::Smuggling), "{vector:?} cut at {cut}");
                assert!(!out.contains(&0) && is_clean(&out), "{vector:?} let {out:?} pass");
                assert!(memmem::find(&out, b"MAIL").is_none(), "{vector:?}");
            }
        }
    }

    #[test]
    fn what_is_refused_is_swallowed_to_its_true_end() {
        let mut decoder = DataDecoder::new(100);
        let mut input = BytesMut::from(&b"a\n.\nMAIL\r\n.\nx\r\n..\r\n.\r\nNEXT"[..]);
        let mut output = BytesMut::new();
        assert!(decoder.transfer(&mut input, &mut output).is_err());
        assert_eq!(decoder.swallow(&mut input), Progress::End);
        assert_eq!(&input[..], b"NEXT");
        assert!(output.is_empty());
    }

    #[test]
    fn line_length_at_its_edge() {
        let line = |octets: usize| [&vec![b'x'; octets - 2][..], b"\r\n.\r\n"].concat();
        for cut in 0..100 {
            let fits = line(100);
            let (head, tail) = fits.split_at(cut);
            assert_eq!(run(&[head, tail]).1, Ok(Progress::End), "cut at {cut}");
            let long = line(101);
            let (head, tail) = long.split_at(cut);
            assert_eq!(run(&[head, tail]).1, Err(DataFault::LineTooLong), "cut at {cut}");
        }
    }
}
