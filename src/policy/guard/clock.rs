//! What time the guard believes it is. A clock that jumps, or one event with an absurd date, must neither empty the windows nor
//! age what is known.

use std::time::Duration;

use crate::time::Timestamp;

/// Forward steps up to this are believed at once: a gate may be idle over a holiday.
const STEP_MAX: Duration = Duration::from_secs(7 * 86_400);
/// So many observations in a row that agree about a time farther off are believed.
const WITNESSES: u8 = 16;
/// They agree when each is this close to the one before.
const AGREEING: Duration = Duration::from_secs(3600);

/// The latest time that is believed.
#[derive(Clone, Debug, Default)]
pub(super) struct Clock {
    now: Option<Timestamp>,
    /// A time that is not believed yet, and how many said so.
    doubted: Option<(Timestamp, u8)>,
}

impl Clock {
    /// Whether something dated `at` may be counted. It may be late by `late`, and ahead by what a quiet week makes.
    pub(super) fn admits(&mut self, at: Timestamp, late: Duration) -> bool {
        let now = *self.now.get_or_insert(at);
        if at.since(now) <= STEP_MAX && now.since(at) <= late {
            self.now = Some(now.max(at));
            self.doubted = None;
            return true;
        }
        let witnesses = match self.doubted {
            Some((before, count)) if at.since(before).max(before.since(at)) <= AGREEING => {
                count.saturating_add(1)
            }
            Some(_) | None => 1,
        };
        if witnesses >= WITNESSES {
            (self.now, self.doubted) = (Some(at), None);
            return true;
        }
        self.doubted = Some((at, witnesses));
        false
    }

    /// The time that is believed; `at` before anything was.
    pub(super) fn now_or(&self, at: Timestamp) -> Timestamp {
        self.now.unwrap_or(at)
    }

    /// Whether `at` would be believed without witnesses, looking forward.
    pub(super) fn is_plausible(&self, at: Timestamp) -> bool {
        self.now.is_none_or(|now| at.since(now) <= STEP_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_absurd_date_moves_no_clock_and_a_late_one_does_not_set_it_back() {
        let (start, hour) = (Timestamp::from_secs(1_767_225_600), Duration::from_secs(3600));
        let mut clock = Clock::default();
        assert!(clock.admits(start, hour));
        assert!(clock.admits(start.plus(hour), hour));
        assert!(clock.admits(start, hour), "late, and not too late");
        assert_eq!(clock.now_or(start), start.plus(hour));
        let absurd = start.plus(hour).plus(STEP_MAX).plus(Duration::from_millis(1));
        assert!(!clock.is_plausible(absurd) && !clock.admits(absurd, hour));
        assert_eq!(clock.now_or(start), start.plus(hour));
        let far = start.plus(hour).plus(STEP_MAX);
        assert!(clock.is_plausible(far) && clock.admits(far, hour), "as far as that it may go");
        assert!(!clock.admits(start, hour), "too late");
    }
}
