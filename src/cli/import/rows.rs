//! The rows of a file that was looked at before, as they go to the gate: the second pass over it.

use std::io::{self, Read};

use super::super::out;
use super::sum::Sum;
use crate::admin::wire::{ImportHead, ImportRow};
use crate::exchange::{Entry, Outcome, Reader, Terms};
use crate::failure::Failure;
use crate::policy::Policy;

/// The rows that are kept.
pub(in crate::cli) struct Rows<'a, R: Read> {
    pub(super) reader: Reader<R>,
    pub(super) terms: &'a Terms,
    pub(super) policy: &'a Policy,
    pub(super) name: &'a str,
    /// What is read now, and what was read before.
    pub(super) sums: (Sum, (u64, u32)),
    pub(super) over: bool,
}

impl<R: Read> Iterator for Rows<'_, R> {
    type Item = Result<ImportRow, Failure>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.over {
            match self.reader.outcome(self.terms, self.policy) {
                Ok(None) => {
                    self.over = true;
                    let (now, before) = &self.sums;
                    return (now.value() != *before)
                        .then(|| Err(self.changed(&"other bytes than before")));
                }
                Ok(Some(Ok(Outcome::Entry(entry)))) => return Some(Ok(row(*entry))),
                Ok(Some(Ok(Outcome::Nothing(..)))) => {}
                Ok(Some(Err(fault))) => return Some(Err(self.changed(&fault))),
                Err(error) => return Some(Err(self.changed(&error))),
            }
        }
        None
    }
}

impl<R: Read> Rows<'_, R> {
    fn changed(&mut self, why: &dyn std::fmt::Display) -> Failure {
        self.over = true;
        let why = out::harmless(&why.to_string());
        Failure::Data(format!(
            "{}: changed while it was read, so nothing was imported: {why}",
            self.name
        ))
    }
}

fn row(entry: Entry) -> ImportRow {
    let imported = entry.imported;
    ImportRow {
        address: entry.address.to_string(),
        kind: imported.kind,
        tenant: Some(entry.tenant.0),
        row: imported.row,
        dated: imported.dated,
        until: imported.until,
        category: imported.category,
        detail: imported.detail,
        forced: imported.forced,
        again: imported.again,
        learnt: imported.learnt,
    }
}

/// The body of a request: the head, and a line for each row. It breaks off at the first failure, which is kept, so that the gate commits
/// nothing.
pub(in crate::cli) struct Body<I, P> {
    rows: I,
    line: Vec<u8>,
    read: usize,
    sent: u64,
    progress: P,
    /// Why it broke off.
    pub(in crate::cli) failure: Option<Failure>,
}

impl<I, P> Body<I, P> {
    /// The body of an import. `progress` gets the rows that were read from it.
    ///
    /// # Errors
    /// When the head cannot be written as JSON.
    pub(in crate::cli) fn new(head: &ImportHead, rows: I, progress: P) -> Result<Self, Failure> {
        let mut line = serde_json::to_vec(head).map_err(io::Error::from)?;
        line.push(b'\n');
        Ok(Self { rows, line, read: 0, sent: 0, progress, failure: None })
    }
}

/// Bytes of lines that are made at once.
const PIECE: usize = 32 * 1024;

impl<I: Iterator<Item = Result<ImportRow, Failure>>, P: FnMut(u64)> Body<I, P> {
    fn refill(&mut self) -> io::Result<()> {
        self.line.clear();
        self.read = 0;
        while self.line.len() < PIECE {
            match self.rows.next() {
                None => break,
                Some(Ok(row)) => {
                    serde_json::to_writer(&mut self.line, &row)?;
                    self.line.push(b'\n');
                    self.sent += 1;
                }
                Some(Err(failure)) => {
                    let why = io::Error::other(failure.to_string());
                    self.failure = Some(failure);
                    return Err(why);
                }
            }
        }
        (self.progress)(self.sent);
        Ok(())
    }
}

impl<I: Iterator<Item = Result<ImportRow, Failure>>, P: FnMut(u64)> Read for Body<I, P> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.failure.is_some() {
            return Err(io::Error::other("broken off before"));
        }
        if self.read == self.line.len() {
            self.refill()?;
        }
        let mut rest = self.line.get(self.read..).unwrap_or_default();
        let read = rest.read(buffer)?;
        self.read += read;
        Ok(read)
    }
}
