//! What of a file's bytes reaches the parser: every line ends in one LF, the last one too, and no row is endless.

use std::cell::Cell;
use std::io::{self, Read};
use std::rc::Rc;

use memchr::memchr;

/// Bytes read at once.
pub(super) const BUFFER: usize = 1 << 16;
/// Longest row, in bytes: a quote that is never closed would otherwise take the rest of the file into memory.
pub(super) const ROW_MAX: u64 = 1 << 20;

/// How many more bytes may be read before the row at hand must have ended.
#[derive(Clone, Debug)]
pub(super) struct Room(Rc<Cell<u64>>);

/// A reader that hands on universal newlines, within the room.
pub(super) struct Newlines<R> {
    inner: R,
    room: Room,
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
    /// The last byte was a CR, for which an LF was handed on.
    after_return: bool,
    ended: bool,
}

/// The error of a row that is too long.
#[derive(Debug, thiserror::Error)]
#[error("longer than {ROW_MAX} bytes: is there a quote that is never closed?")]
pub(super) struct TooLong;

impl Room {
    /// Room for one row.
    pub fn new() -> Self {
        Self(Rc::new(Cell::new(ROW_MAX)))
    }

    /// A row has ended.
    pub fn renew(&self) {
        // Part of the next one may be in the parser's buffer already.
        self.0.set(ROW_MAX);
    }

    fn take(&self, bytes: usize) -> io::Result<()> {
        match self.0.get().checked_sub(bytes as u64) {
            Some(left) => {
                self.0.set(left);
                Ok(())
            }
            None => Err(io::Error::other(TooLong)),
        }
    }
}

impl<R: Read> Newlines<R> {
    pub fn new(inner: R, room: Room) -> Self {
        let buffer = vec![0; BUFFER].into();
        Self { inner, room, buffer, start: 0, end: 0, after_return: false, ended: false }
    }

    /// Copies without CR; how many bytes were taken and given.
    fn copy(&mut self, out: &mut [u8]) -> (usize, usize) {
        let input = self.buffer.get(self.start..self.end).unwrap_or_default();
        let most = input.len().min(out.len());
        let (plain, room) = (input.get(..most), out.get_mut(..most));
        if let (Some(plain), Some(room), false) = (plain, room, self.after_return)
            && memchr(b'\r', plain).is_none()
        {
            room.copy_from_slice(plain);
            return (most, most);
        }
        let mut given = 0;
        for (taken, byte) in input.iter().enumerate() {
            let Some(slot) = out.get_mut(given) else { return (taken, given) };
            let after_return = std::mem::replace(&mut self.after_return, *byte == b'\r');
            if *byte == b'\n' && after_return {
                continue;
            }
            *slot = if *byte == b'\r' { b'\n' } else { *byte };
            given += 1;
        }
        (input.len(), given)
    }
}

impl<R: Read> Read for Newlines<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if out.is_empty() {
            return Ok(0);
        }
        loop {
            if self.start == self.end {
                if self.ended {
                    return Ok(0);
                }
                self.end = self.inner.read(&mut self.buffer)?;
                self.start = 0;
                if self.end == 0 {
                    // Behind a last line that has no end of its own, and harmless behind one that has.
                    self.ended = true;
                    if let Some(first) = out.first_mut() {
                        *first = b'\n';
                    }
                    return Ok(1);
                }
            }
            let (taken, given) = self.copy(out);
            self.start += taken;
            if given > 0 {
                self.room.take(given)?;
                return Ok(given);
            }
        }
    }
}
