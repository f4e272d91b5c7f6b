//! How fast a client sends content: a drip of one byte a minute would hold a session, and the next hop's, for days.
//!
//! Postfix has `smtpd_min_data_rate`; here the rate is averaged over windows, so that a stutter is no offence.

use std::time::Duration;

use tokio::time::Instant;

/// Over how long the rate is averaged.
pub(super) const WINDOW: Duration = Duration::from_secs(60);

/// What has come in the window under way.
#[derive(Debug, Default)]
pub(super) struct Pace {
    window: Option<(Instant, u64)>,
}

impl Pace {
    /// Content has come.
    pub(super) fn add(&mut self, octets: usize, now: Instant) {
        if octets == 0 {
            return;
        }
        let (_, sum) = self.window.get_or_insert((now, 0));
        *sum = sum.saturating_add(octets as u64);
    }

    /// The next window begins now: the content has ended, or somebody else held it up.
    pub(super) const fn restart(&mut self) {
        self.window = None;
    }

    /// When the window ends. None begins before an octet has come: silence has a deadline of its own.
    pub(super) fn due(&self) -> Option<Instant> {
        self.window.map(|(since, _)| since + WINDOW)
    }

    /// Whether the window is over and held less than `rate` octets a second; a window that held enough is followed by the next.
    pub(super) fn is_too_slow(&mut self, rate: u64, now: Instant) -> bool {
        let Some((since, sum)) = self.window else { return false };
        if now.duration_since(since) < WINDOW {
            return false;
        }
        self.window = None;
        sum < rate.saturating_mul(WINDOW.as_secs())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_judged_as_a_whole() {
        let start = Instant::now();
        let mut pace = Pace::default();
        assert!(!pace.is_too_slow(500, start + WINDOW), "silence has a deadline of its own");
        pace.add(500 * 60 - 1, start);
        assert!(!pace.is_too_slow(500, start + WINDOW / 2), "the window is not over");
        assert!(pace.is_too_slow(500, start + WINDOW));
        pace.add(500 * 60 - 1, start);
        pace.add(1, start + WINDOW / 2);
        assert!(!pace.is_too_slow(500, start + WINDOW));
        assert!(!pace.is_too_slow(500, start + 3 * WINDOW), "a window begins with its first octet");
    }
}
