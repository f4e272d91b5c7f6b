//! The deadline of a connection: for what the session waits for, counted from when it began to wait for that.

use std::pin::Pin;
use std::time::Duration;

use tokio::time::{Instant, Sleep};

use super::Timeouts;
use super::pace::Pace;
use crate::bounce::Stage;
use crate::session::{Session, Waiting};

/// What is waited for, and since when.
#[derive(Debug, Default)]
pub(super) struct Watch {
    since: Option<((Waiting, u64), Instant)>,
    pace: Pace,
}

impl Watch {
    /// Sets the sleep to the deadline in force. It starts anew when the session waits for something else or has had a turn.
    pub(super) fn set(&mut self, session: &Session, timeouts: &Timeouts, sleep: Pin<&mut Sleep>) {
        let now = (session.waiting(), session.turns());
        let since = match self.since {
            Some((key, since)) if key == now => since,
            Some(_) | None => Instant::now(),
        };
        self.since = Some((now, since));
        let mut due = since + patience(session, timeouts);
        if session.waiting() == Waiting::Content {
            due = self.pace.due().map_or(due, |end| due.min(end));
        } else {
            self.pace.restart();
        }
        if sleep.deadline() != due {
            sleep.reset(due);
        }
    }

    /// A piece of content has moved: its deadline starts anew, and the client's pace is told how much of it was the client's.
    pub(super) fn moved(&mut self, octets: usize) {
        self.since = None;
        self.pace.add(octets, Instant::now());
    }

    /// Whether the client sends content too slowly. `held_up` says that it could not send, because the next hop took nothing.
    pub(super) fn is_too_slow(&mut self, rate: u64, held_up: bool) -> bool {
        if held_up {
            self.pace.restart();
        }
        self.pace.is_too_slow(rate, Instant::now())
    }

    /// Whether the deadline for what is waited for has passed, rather than a window of the pace ended.
    pub(super) fn has_passed(&self, session: &Session, timeouts: &Timeouts) -> bool {
        self.since.is_none_or(|(_, since)| since.elapsed() >= patience(session, timeouts))
    }
}

fn patience(session: &Session, timeouts: &Timeouts) -> Duration {
    match session.waiting() {
        // The next hop is left first; the client's own time goes on.
        Waiting::Client if session.leg_is_idle() => timeouts.idle_connection.min(timeouts.client),
        Waiting::Client => timeouts.client,
        Waiting::Content => timeouts.content.min(timeouts.block),
        Waiting::Downstream(Stage::Data) => timeouts.data,
        Waiting::Downstream(Stage::EndOfData) => timeouts.end_of_data,
        Waiting::Downstream(Stage::Rset | Stage::Quit) => timeouts.reset,
        Waiting::Downstream(_) => timeouts.reply,
        // Bounded by those who do it; this catches what they might miss.
        Waiting::Driver => timeouts.opening + timeouts.durable,
        Waiting::Nothing => timeouts.quit,
    }
}
