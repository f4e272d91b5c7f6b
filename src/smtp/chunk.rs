//! Chunks of a message, RFC 3030: content by count of octets, so nothing in it can be an end, and nothing is stuffed.
//!
//! Every byte passes as it came. Unless the client asked for `BODY=BINARYMIME` the content is lines, as behind DATA: no NUL, and
//! no CR or LF outside a CRLF, since somebody further on will speak DATA. A CRLF may be cut by the end of a chunk, so what is
//! carried from one chunk to the next is part of the decoder.

use bytes::{Buf, BytesMut};

use super::command::Chunk;
use super::data::{DataFault, LineMeter, Progress, is_clean};

/// What the content of a message is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Lines of so many octets at most, each with its CRLF.
    Lines(usize),
    /// Any octets, `BODY=BINARYMIME` (RFC 3030 §3).
    Binary,
}

/// Takes the chunks of one message, each in any pieces.
#[derive(Debug)]
pub struct ChunkDecoder {
    lines: Option<LineMeter>,
    /// The last chunk ended between a CR and what must be its LF.
    open_cr: bool,
    octets: u64,
    left: u64,
    last: bool,
}

impl ChunkDecoder {
    /// A decoder before the first chunk.
    pub const fn new(form: Form) -> Self {
        let lines = match form {
            Form::Lines(limit) => Some(LineMeter::new(limit)),
            Form::Binary => None,
        };
        Self { lines, open_cr: false, octets: 0, left: 0, last: false }
    }

    /// Octets of the message so far, which is what SIZE counts.
    pub const fn octets(&self) -> u64 {
        self.octets
    }

    /// Octets of this chunk that have not been taken.
    pub const fn left(&self) -> u64 {
        self.left
    }

    /// Whether the message ends with this chunk.
    pub const fn is_last(&self) -> bool {
        self.last
    }

    /// Begins the next chunk.
    ///
    /// # Errors
    /// The message would end in half a CRLF: the chunk must not go out at all.
    pub const fn begin(&mut self, chunk: Chunk) -> Result<(), DataFault> {
        self.left = chunk.octets;
        self.last = chunk.last;
        if chunk.last && chunk.octets == 0 && self.open_cr {
            return Err(DataFault::Smuggling);
        }
        Ok(())
    }

    /// Moves content of this chunk from `input` to `output` as far as it is known to be clean; [`Progress::End`] is the end of the
    /// chunk.
    ///
    /// A CR within the chunk stays in `input` until it is known what follows. One at the end of the chunk goes out, for the
    /// octets were promised; what then does not begin with its LF is refused before the message has its end.
    ///
    /// # Errors
    /// Nothing of the faulty stretch has been moved; the [`Self::left`] octets of the chunk are still to be thrown away.
    pub fn transfer(
        &mut self,
        input: &mut BytesMut,
        output: &mut BytesMut,
    ) -> Result<Progress, DataFault> {
        let there = input.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let mut stretch = input.get(..there).unwrap_or_default();
        let ends = there as u64 == self.left;
        if let Some(lines) = &mut self.lines {
            if !ends {
                stretch = stretch.strip_suffix(b"\r").unwrap_or(stretch);
            }
            let open_cr = carry(self.open_cr, stretch, ends && !self.last)?;
            lines.measure(stretch)?;
            self.open_cr = open_cr;
        }
        let length = stretch.len();
        output.extend_from_slice(stretch);
        input.advance(length);
        self.octets += length as u64;
        self.left -= length as u64;
        Ok(if ends { Progress::End } else { Progress::More })
    }
}

/// Checks a stretch behind what was carried; says whether half a CRLF is carried on, which only the end of a chunk may do.
fn carry(open_cr: bool, stretch: &[u8], may_carry: bool) -> Result<bool, DataFault> {
    if stretch.is_empty() {
        return Ok(open_cr);
    }
    let rest = match (open_cr, stretch.split_first()) {
        (true, Some((b'\n', rest))) => rest,
        (true, _) => return Err(DataFault::Smuggling),
        (false, _) => stretch,
    };
    let (whole, open) = match rest.strip_suffix(b"\r") {
        Some(whole) if may_carry => (whole, true),
        Some(_) | None => (rest, false),
    };
    if is_clean(whole) { Ok(open) } else { Err(DataFault::Smuggling) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds chunks, the last one LAST, each in pieces of so many octets with something behind; what came out, and how it ended.
    fn run(form: Form, chunks: &[&[u8]], size: usize) -> (Vec<u8>, Result<(), DataFault>) {
        let mut decoder = ChunkDecoder::new(form);
        let mut output = BytesMut::new();
        for (index, content) in chunks.iter().enumerate() {
            let chunk = Chunk { octets: content.len() as u64, last: index + 1 == chunks.len() };
            let sent = [content, b"BDAT".as_slice()].concat();
            let mut pieces = sent.chunks(size);
            let mut input = BytesMut::new();
            let mut result = decoder.begin(chunk).map(|()| Progress::More);
            while result == Ok(Progress::More) {
                if decoder.left() > 0 {
                    input.extend_from_slice(pieces.next().expect("more"));
                }
                result = decoder.transfer(&mut input, &mut output);
            }
            if let Err(fault) = result {
                return (output.to_vec(), Err(fault));
            }
            assert!(b"BDAT".starts_with(&input), "{input:?} is left of {content:?}");
            assert_eq!(decoder.is_last(), chunk.last);
        }
        assert_eq!(decoder.octets(), output.len() as u64);
        (output.to_vec(), Ok(()))
    }

    const LINES: Form = Form::Lines(100);

    #[test]
    fn clean_content_passes_byte_for_byte_however_it_is_cut() {
        let contents: &[&[&[u8]]] = &[
            &[b""],
            &[b"a\r\n", b""],
            &[b"", b"", b"a"],
            &[b"a\r", b"\nb", b"\r\n.\r\n", b"..\r\n"],
            &[b"\r", b"", b"\n"],
            &[b"BDAT 5 LAST\r\nMAIL FROM:<a@b>\r\n\r\n.\r\n", b"\xff\x80 no end of line"],
        ];
        for chunks in contents {
            for size in 1..50 {
                assert_eq!(run(LINES, chunks, size), (chunks.concat(), Ok(())), "{chunks:?}");
            }
        }
    }

    #[test]
    fn nothing_bare_passes_wherever_the_chunks_end() {
        let contents: &[&[&[u8]]] = &[
            &[b"a\nb"],
            &[b"a\rb"],
            &[b"a\0b"],
            &[b"a", b"\n"],
            &[b"a\r", b"b"],
            &[b"a\r", b"\r\n"],
            &[b"a\r", b"", b"b"],
            &[b"a\r", b""],
            &[b"a\r"],
            &[b"a\r", b"\n\n"],
            &[b"a\r\n\r"],
        ];
        for chunks in contents {
            for size in 1..10 {
                let (out, end) = run(LINES, chunks, size);
                assert_eq!(end, Err(DataFault::Smuggling), "{chunks:?} by {size}");
                let clean = out.strip_suffix(b"\r").unwrap_or(&out);
                assert!(is_clean(clean), "{chunks:?} let {out:?} pass");
                assert_eq!(run(Form::Binary, chunks, size), (chunks.concat(), Ok(())));
            }
        }
    }

    #[test]
    fn line_length_at_its_edge() {
        let line = |octets: usize| [&vec![b'x'; octets - 2][..], b"\r\n"].concat();
        for cut in 0..100 {
            for size in [1, 7, 1000] {
                let (fits, long) = (line(100), line(101));
                let (head, tail) = fits.split_at(cut);
                assert_eq!(run(LINES, &[head, tail], size).1, Ok(()), "cut at {cut}");
                let (head, tail) = long.split_at(cut);
                assert_eq!(run(LINES, &[head, tail], size).1, Err(DataFault::LineTooLong));
            }
        }
    }

    #[test]
    fn a_faulty_stretch_stays_to_be_thrown_away() {
        let mut decoder = ChunkDecoder::new(LINES);
        decoder.begin(Chunk { octets: 5, last: false }).expect("it begins");
        let (mut input, mut output) = (BytesMut::from(&b"a\nbcdNOOP"[..]), BytesMut::new());
        assert!(decoder.transfer(&mut input, &mut output).is_err());
        assert_eq!((decoder.left(), input.len(), output.len()), (5, 9, 0));
    }
}
