//! Whether a file that is read twice is the same both times.

use std::cell::RefCell;
use std::io::{self, Read};
use std::rc::Rc;

/// The bytes that were read, and their CRC-32: what was changed on purpose to match is no concern here.
#[derive(Clone, Default)]
pub(super) struct Sum(Rc<RefCell<(u64, crc32fast::Hasher)>>);

impl Sum {
    /// Their number and sum by now.
    pub(super) fn value(&self) -> (u64, u32) {
        let (bytes, hasher) = &*self.0.borrow();
        (*bytes, hasher.clone().finalize())
    }
}

/// A reader whose bytes are summed up.
pub(super) struct Summed<R> {
    inner: R,
    sum: Sum,
}

impl<R> Summed<R> {
    /// The reader, and what it will have read.
    pub(super) fn new(inner: R) -> (Self, Sum) {
        let sum = Sum::default();
        (Self { inner, sum: sum.clone() }, sum)
    }
}

impl<R: Read> Read for Summed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        let (bytes, hasher) = &mut *self.sum.0.borrow_mut();
        *bytes += u64::try_from(read).unwrap_or(u64::MAX);
        hasher.update(buffer.get(..read).unwrap_or_default());
        Ok(read)
    }
}
