//! The deadline of a connection: for what the session waits for, counted from when it began to wait for that.

use std::pin::Pin;
use std::time::Duration;

use tokio::time::{Instant, Sleep};

use super::Timeouts;
use crate::bounce::Stage;
use crate::session::{Session, Waiting};

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
            Some((key, since)) if key == now || is_part_of(key.0, now.0) => since,
            Some(_) | None => Instant::now(),
        };
        self.since = Some((now, since));
        let due = since + patience(session, timeouts);
        if sleep.deadline() != due {
            sleep.reset(due);
        }
    }

    /// The client sent so many octets. Content has no turns: there each octet gives the time back in which it is due, up to the
    /// whole of it, so that one octet now and then keeps nothing open (Postfix `smtpd_min_data_rate`). What a next hop does not
    /// take off our hands holds up the client too, so it has to keep the same pace. A `rate` of 0 octets a second asks for none.
    pub(super) fn took(&mut self, octets: usize, rate: u64) {
        if octets > 0
            && let Some(((Waiting::Content, _), since)) = &mut self.since
        {
            *since = credited(*since, octets, rate, Instant::now());
        }
    }
}

/// Whether the client has heard nothing between the two, and waits for one reply: to a recipient for whom a connection is opened and
/// MAIL is said first.
const fn is_part_of(before: Waiting, now: Waiting) -> bool {
    let before = matches!(before, Waiting::Driver | Waiting::Downstream(Stage::Mail));
    before && matches!(now, Waiting::Downstream(Stage::Mail | Stage::Rcpt))
}

/// Since when content counts as waited for, once so many octets have come.
fn credited(since: Instant, octets: usize, rate: u64, now: Instant) -> Instant {
    let gained = (octets as u64).saturating_mul(1000).checked_div(rate);
    gained.map_or(now, |millis| (since + Duration::from_millis(millis)).min(now))
}

fn patience(session: &Session, timeouts: &Timeouts) -> Duration {
    match session.waiting() {
        // The next hop is left first; the client's own time goes on.
        Waiting::Client if session.leg_is_idle() => timeouts.idle_connection.min(timeouts.client),
        // One silent connection must not hold up the end of the program for minutes.
        Waiting::Client if session.is_unwelcome() => timeouts.quit.min(timeouts.client),
        Waiting::Client if session.is_draining() => timeouts.drain.min(timeouts.client),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_gives_back_the_time_in_which_it_is_due() {
        let since = Instant::now();
        let now = since + Duration::from_secs(100);
        let check = |octets: usize, rate: u64, expected: u64| {
            let got = credited(since, octets, rate, now);
            assert_eq!(got, since + Duration::from_secs(expected), "{octets} octets at {rate}");
        };
        // A drip gains next to nothing, however often it comes; a second's worth gains a second; nobody gains what is to come.
        assert_eq!(credited(since, 1, 500, now), since + Duration::from_millis(2));
        check(500, 500, 1);
        check(49_500, 500, 99);
        check(50_000, 500, 100);
        check(1 << 20, 500, 100);
        check(1, 0, 100);
    }
}
