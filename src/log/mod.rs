//! The log: one event a line, to standard output, `key=value` or JSON.
//!
//! Events are `tracing` events with fields: `info!(event = "rcpt", verdict = "refuse", reply = %reply)`. What a peer sent may
//! stand in any field: it is escaped and cut here, so that it can start neither a line nor a field, nor move a terminal.
//! The one event that comes for every recipient is written by [`record`], which `tracing` does not slow down.
//! An event without an `event` field (a library's) becomes `event=log target= text=`.
//!
//! Mail never waits for the log: lines go through a bounded queue to one thread; what does not fit is dropped and counted.

mod addresses;
mod escape;
mod line;
mod writer;

use std::fs::File;
use std::io::Write;
use std::os::fd::AsFd as _;

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::{SubscriberInitExt as _, TryInitError};

pub use addresses::Addresses;
pub use escape::{shows, visible};
pub use line::{Common, Line, Lines, record};
pub use writer::{Writer, WriterGuard};

/// How a line is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// `2026-11-23T10:00:00.123Z INFO event=rcpt verdict=refuse`.
    #[default]
    Text,
    /// `{"time":"2026-11-23T10:00:00.123Z","level":"info","event":"rcpt","verdict":"refuse"}`.
    Json,
}

/// Sends the program's events to standard output from here on: ours from `level`, a library's from warning. Drop the guard
/// last: it waits, for a second at most, until what was logged is written.
///
/// # Errors
/// When the process already has a subscriber.
pub fn start(format: Format, level: LevelFilter) -> Result<WriterGuard, TryInitError> {
    let (writer, guard) = Writer::start(format, output());
    let targets = Targets::new()
        .with_default(level.min(LevelFilter::WARN))
        .with_target("rcptgate", level)
        // That the gate is ready, and where, is told at any level: scripts wait for that line.
        .with_target("rcptgate::app", level.max(LevelFilter::INFO));
    tracing_subscriber::registry().with(targets).with(Lines::new(format, writer)).try_init()?;
    Ok(guard)
}

/// Standard output, by a handle of our own: a line that nobody takes must not hold the lock of `std::io::stdout`, or the end of
/// the program would wait for it.
fn output() -> Box<dyn Write + Send> {
    match std::io::stdout().as_fd().try_clone_to_owned() {
        Ok(own) => Box::new(File::from(own)),
        Err(_) => Box::new(std::io::stdout()),
    }
}

#[cfg(test)]
mod tests;
