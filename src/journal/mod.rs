//! The journal: every event that was ever learnt, one JSON line each, in append-only segments. It is the truth; all else is folded from it.
//!
//! `data_dir/journal/0000000001.jsonl` and on, contiguous from 1. A line is `{"seq":17,"id":...,"at":...}`: `tail -f` and `jq` read it.
//! Between the events stand orders about them: they have no address, and a field `order` instead.
//! Sequences only grow, within a segment and across segments; a gap is allowed (a line may have been erased on purpose), going back is not.
//!
//! What a crash can leave is a torn last line of the last segment: it was never acknowledged, so [`Writer::open`] cuts it off (and keeps
//! the bytes beside the segment). A broken line anywhere else is damage: an error that names file and line, never skipped.

mod reader;
mod segment;
mod writer;

use std::fmt;
use std::io;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::event::Event;
use crate::event::order::Order;

pub use reader::{Located, Reader, orders, read_at, segment_of};
pub use segment::{begin_of_last, begin_since, bytes_from, parse};
#[cfg(test)]
pub(crate) use writer::Fault;
pub use writer::{Torn, Writer};

/// Longest line in bytes, newline included. Replies are bounded far below by the session; this bounds what a reader holds.
pub const LINE_MAX: usize = 1 << 20;

/// Where a line begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Position {
    /// The number of the segment, from 1.
    pub segment: u32,
    /// Bytes from the start of the segment.
    pub offset: u64,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:010}:{}", self.segment, self.offset)
    }
}

/// One line, and its place in the order of all lines.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Entry {
    /// The sequence number, from 1.
    pub seq: u64,
    /// What it says.
    #[serde(flatten)]
    pub said: Said,
}

/// What a line says.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Said {
    /// Something happened to one address.
    Event(Event),
    /// Something was ordered about events.
    Order(Order),
}

impl Said {
    /// The name of the event or the order.
    pub fn id(&self) -> &str {
        match self {
            Self::Event(event) => &event.id.0,
            Self::Order(order) => &order.id.0,
        }
    }
}

impl Entry {
    /// The event, if it is one.
    pub const fn event(&self) -> Option<&Event> {
        match &self.said {
            Said::Event(event) => Some(event),
            Said::Order(_) => None,
        }
    }
}

impl From<Event> for Said {
    fn from(event: Event) -> Self {
        Self::Event(event)
    }
}

impl From<Order> for Said {
    fn from(order: Order) -> Self {
        Self::Order(order)
    }
}

/// Why the journal cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The file system failed.
    #[error("{}: {source}", path.display())]
    Io {
        /// Which file or directory.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
    /// A line that is not an event, or not in order.
    #[error("{}:{line}: {why}; mend this line, or delete it to go on without it", path.display())]
    Broken {
        /// Which segment.
        path: PathBuf,
        /// Which line, from 1.
        line: u64,
        /// What is wrong with it.
        why: String,
    },
    /// A segment is not there although a later one is.
    #[error("{}: this segment of the journal is missing", path.display())]
    Missing {
        /// Which segment.
        path: PathBuf,
    },
    /// An event or an order that could not be read back if it were written: a fault of whoever made it.
    #[error("event {id} cannot be written: {why}")]
    Unwritable {
        /// Which one.
        id: String,
        /// What is wrong with it.
        why: String,
    },
    /// An earlier write failed and [`Writer::recover`] has not succeeded since.
    #[error("the journal waits to recover from a failed write")]
    Paused,
}

/// Ties a file to what went wrong with it.
fn io_error(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> JournalError {
    let path = path.into();
    move |source| JournalError::Io { path, source }
}

#[cfg(test)]
mod tests;
