//! The deadline of a connection: for what the session waits for, counted from when it began to wait for that.

use std::pin::Pin;
use std::time::Duration;

use tokio::time::{Instant, Sleep};

use super::Timeouts;
use crate::bounce::Stage;
use crate::session::{Session, Waiting};

/// Octets of content that a client must send in a second, on the average (Postfix `smtpd_min_data_rate`): one that sends an octet
/// now and then would keep its session, and a connection to the next hop, for as long as it likes.
const RATE: f64 = 500.0;

/// What is waited for, and since when.
#[derive(Debug, Default)]
pub(super) struct Watch {
    since: Option<((Waiting, u64), Instant)>,
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
        let due = since + patience(session, timeouts);
        if sleep.deadline() != due {
            sleep.reset(due);
        }
    }

    /// The client sent so many octets. Content has no turns: there each octet gives the time back in which it is due, up to the
    /// whole of it. What a next hop does not take off our hands holds up the client too, so it has to keep the same pace.
    pub(super) fn took(&mut self, octets: usize) {
        if let Some(((Waiting::Content, _), since)) = &mut self.since {
            #[expect(clippy::cast_precision_loss, reason = "at most what one read returns")]
            let gained = Duration::from_secs_f64(octets as f64 / RATE);
            *since = (*since + gained).min(Instant::now());
        }
    }
}

fn patience(session: &Session, timeouts: &Timeouts) -> Duration {
    match session.waiting() {
        // The next hop is left first; the client's own time goes on.
        Waiting::Client if session.leg_is_idle() => timeouts.idle_connection.min(timeouts.client),
        // One silent connection must not hold up the end of the program for minutes.
        Waiting::Client if session.is_unwelcome() => timeouts.quit.min(timeouts.client),
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
