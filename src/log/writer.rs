//! The thread that writes the lines, so that nobody waits for a slow or closed standard output.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, SyncSender, TrySendError};
use std::time::Duration;

use crate::time::Timestamp;

use super::Format;
use super::line::Line;

/// Lines that may wait to be written.
const QUEUE: usize = 8192;
/// How long the end of the program waits for the last lines: longer, a blocked pipe would keep it from ending.
const LAST_LINES: Duration = Duration::from_secs(1);

/// Looks for room in a full queue within that time.
const LAST_TRIES: u32 = 100;

enum Job {
    Line(String),
    Flush(SyncSender<()>),
}

/// Hands lines to the writing thread and never waits.
#[derive(Clone, Debug)]
pub struct Writer {
    queue: SyncSender<Job>,
    dropped: Arc<AtomicU64>,
}

impl Writer {
    /// Starts the thread that writes to `out`. A line that cannot be written is counted as dropped, and the next is tried.
    pub fn start(format: Format, out: impl Write + Send + 'static) -> (Self, WriterGuard) {
        let (queue, jobs) = mpsc::sync_channel(QUEUE);
        let dropped = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&dropped);
        let spawned = std::thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || write_all(&jobs, format, out, &counter));
        // Without its thread the queue is closed: every line counts as dropped, and mail flows.
        drop(spawned);
        let writer = Self { queue, dropped };
        (writer.clone(), WriterGuard { writer })
    }

    pub(super) fn send(&self, line: String) {
        match self.queue.try_send(Job::Line(line)) {
            Ok(()) => {}
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                self.dropped.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// Lines lost so far, for the metrics.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

/// Ends the log in order: when dropped, what was logged before is written out, unless that takes more than a second.
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
        let (done, wait) = mpsc::sync_channel(1);
        let mut flush = Job::Flush(done);
        for _ in 0..LAST_TRIES {
            match self.writer.queue.try_send(flush) {
                Ok(()) => {
                    _ = wait.recv_timeout(LAST_LINES);
                    return;
                }
                Err(TrySendError::Full(again)) => flush = again,
                Err(TrySendError::Disconnected(_)) => return,
            }
            std::thread::sleep(LAST_LINES / LAST_TRIES);
        }
    }
}

fn write_all(jobs: &Receiver<Job>, format: Format, mut out: impl Write, dropped: &AtomicU64) {
    let mut told = 0;
    let mut torn = false;
    while let Ok(job) = jobs.recv() {
        match job {
            Job::Line(line) => {
                // A closed pipe fails each time (the runtime ignores SIGPIPE); a full disk may take the next line, which must
                // not continue the torn one.
                let start: &[u8] = if torn { b"\n" } else { b"" };
                torn = out.write_all(start).and_then(|()| out.write_all(line.as_bytes())).is_err();
                if torn {
                    dropped.fetch_add(1, Ordering::Relaxed);
                }
            }
            Job::Flush(done) => {
                _ = out.flush();
                _ = done.try_send(());
            }
        }
        let lost = dropped.load(Ordering::Relaxed);
        if lost > told && !torn {
            torn = out.write_all(gap(format, lost - told).as_bytes()).is_err();
            told = if torn { told } else { lost };
        }
    }
}

/// A hole in the log is part of the log.
fn gap(format: Format, lines: u64) -> String {
    let mut line = Line::new(format, Timestamp::now(), "WARN");
    line.text("event", "log_dropped");
    line.bare("lines", lines);
    line.finish()
}
