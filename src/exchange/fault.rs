//! What is wrong with a file, and where.

use std::fmt;
use std::io;

use serde::Serialize;

/// Faults that are shown; more are counted.
const SHOWN_MAX: usize = 20;
/// Characters of a value that are kept.
const VALUE_MAX: usize = 200;

/// One cell, or row, that cannot be imported. `value` is as it stands in the file: escape it before showing it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// The row, from 1, heading not counted.
    pub row: u64,
    /// The line of the file on which the row begins, from 1.
    pub line: u64,
    /// The column; empty when the row as a whole is wrong.
    pub column: String,
    /// What stands there, cut.
    pub value: String,
    /// What is wrong with it.
    pub why: String,
}

/// The faults of a file: the first few, and how many more there are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Faults {
    /// The first ones.
    pub shown: Vec<Fault>,
    /// How many there are besides.
    pub more: u64,
}

/// Why a file cannot be read to its end, or not at all.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// It makes no sense as a whole: no columns, an unknown form.
    #[error("{0}")]
    Form(String),
    /// From this row on nothing can be told.
    #[error("{0}")]
    Row(Fault),
    /// Reading failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl Fault {
    /// A fault with its value cut.
    pub fn new(place: (u64, u64), column: &str, value: &str, why: impl Into<String>) -> Self {
        let (row, line) = place;
        let value = value.chars().take(VALUE_MAX).collect();
        Self { row, line, column: column.to_owned(), value, why: why.into() }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "row {} (line {})", self.row, self.line)?;
        if !self.column.is_empty() {
            write!(f, ", column {}", self.column)?;
        }
        if !self.value.is_empty() {
            write!(f, ", {:?}", self.value)?;
        }
        write!(f, ": {}", self.why)
    }
}

impl Faults {
    /// Takes one more.
    pub fn push(&mut self, fault: Fault) {
        if self.shown.len() < SHOWN_MAX {
            self.shown.push(fault);
        } else {
            self.more += 1;
        }
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.more + self.shown.len() as u64
    }
}
