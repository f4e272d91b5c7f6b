//! The thread that writes the lines, so that nobody waits for a slow or closed standard output.
//!
//! Lines gather in one text, which the thread takes whole: a busy gate logs fifty thousand lines a second, and a wake-up and a
//! system call for each would cost it more than the mail does.

use std::io::{ErrorKind, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use memchr::memchr_iter;

use crate::time::Timestamp;

use super::Format;
use super::line::Line;

/// Octets of lines that may wait to be written: some ten thousand lines.
const QUEUE: usize = 2 << 20;
/// How long lines gather behind the first one.
const GATHER: Duration = Duration::from_millis(5);
/// How long the end of the program waits for the last lines: longer, a blocked pipe would keep it from ending.
const LAST_LINES: Duration = Duration::from_secs(1);

/// Hands lines to the writing thread and never waits.
#[derive(Clone, Debug)]
pub struct Writer {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    queue: Mutex<Queue>,
    /// The first line has come, or the end.
    filled: Condvar,
    /// All that was taken has been written.
    written: Condvar,
    dropped: AtomicU64,
}

#[derive(Debug, Default)]
struct Queue {
    text: String,
    writing: bool,
    ended: bool,
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn drop_lines(&self, lines: usize) {
        self.dropped.fetch_add(u64::try_from(lines).unwrap_or(u64::MAX), Ordering::Relaxed);
    }
}

impl Writer {
    /// Starts the thread that writes to `out`. A line that cannot be written is counted as dropped, and the next is tried.
    pub fn start(format: Format, out: impl Write + Send + 'static) -> (Self, WriterGuard) {
        let shared = Arc::new(Shared::default());
        let writing = Arc::clone(&shared);
        let spawned = std::thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || write_all(&writing, format, out));
        // Without its thread there is no log: every line counts as dropped, and mail flows.
        shared.queue().ended = spawned.is_err();
        let writer = Self { shared };
        (writer.clone(), WriterGuard { writer })
    }

    /// Takes one line, its end included.
    pub(super) fn send(&self, line: &str) {
        let mut queue = self.shared.queue();
        if queue.ended || queue.text.len() + line.len() > QUEUE {
            drop(queue);
            return self.shared.drop_lines(1);
        }
        let first = queue.text.is_empty();
        queue.text.push_str(line);
        drop(queue);
        if first {
            self.shared.filled.notify_one();
        }
    }

    /// Lines lost so far, for the metrics.
    pub fn dropped(&self) -> u64 {
        self.shared.dropped.load(Ordering::Relaxed)
    }
}

/// Ends the log in order: when dropped, what was logged before is written out, unless that takes more than a second. What is
/// logged later is dropped.
#[derive(Debug)]
pub struct WriterGuard {
    writer: Writer,
}

impl WriterGuard {
    /// The writer, to ask what it dropped.
    pub const fn writer(&self) -> &Writer {
        &self.writer
    }
}

impl Drop for WriterGuard {
    fn drop(&mut self) {
        let shared = &self.writer.shared;
        let mut queue = shared.queue();
        queue.ended = true;
        shared.filled.notify_one();
        let unwritten = |queue: &mut Queue| queue.writing || !queue.text.is_empty();
        drop(shared.written.wait_timeout_while(queue, LAST_LINES, unwritten));
    }
}

fn write_all(shared: &Shared, format: Format, mut out: impl Write) {
    let (mut text, mut told, mut torn) = (String::new(), 0, false);
    while take(shared, &mut text) {
        // A closed pipe fails each time (the runtime ignores SIGPIPE); a full disk may take the next lines, which must not
        // continue the torn one.
        let parted = !torn || put(&mut out, b"\n").is_empty();
        let rest = if parted { put(&mut out, text.as_bytes()) } else { text.as_bytes() };
        torn = !rest.is_empty();
        shared.drop_lines(memchr_iter(b'\n', rest).count());
        let lost = shared.dropped.load(Ordering::Relaxed);
        if lost > told && !torn {
            torn = !put(&mut out, gap(format, lost - told).as_bytes()).is_empty();
            told = if torn { told } else { lost };
        }
        _ = out.flush();
        text.clear();
    }
}

/// Waits for lines, and takes all that have gathered; false when no more will come.
fn take(shared: &Shared, text: &mut String) -> bool {
    let mut queue = shared.queue();
    queue.writing = false;
    if queue.text.is_empty() {
        shared.written.notify_all();
        let nothing = |queue: &mut Queue| queue.text.is_empty() && !queue.ended;
        queue = shared.filled.wait_while(queue, nothing).unwrap_or_else(PoisonError::into_inner);
        if !queue.ended {
            let more = |queue: &mut Queue| !queue.ended;
            let gathered = shared.filled.wait_timeout_while(queue, GATHER, more);
            queue = gathered.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
    std::mem::swap(&mut queue.text, text);
    queue.writing = !text.is_empty();
    queue.writing
}

/// Writes; returns what could not be written.
fn put<'text>(out: &mut impl Write, mut text: &'text [u8]) -> &'text [u8] {
    while !text.is_empty() {
        match out.write(text) {
            Ok(written @ 1..) => text = text.get(written..).unwrap_or_default(),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Ok(0) | Err(_) => break,
        }
    }
    text
}

/// A hole in the log is part of the log.
fn gap(format: Format, lines: u64) -> String {
    let mut line = Line::new(format, Timestamp::now(), "WARN", String::new());
    line.text("event", "log_dropped");
    line.bare("lines", lines);
    line.finish()
}
