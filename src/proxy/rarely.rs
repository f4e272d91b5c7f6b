//! Log lines that a peer could make without end: so many a minute, the rest counted.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

const WINDOW: Duration = Duration::from_secs(60);

/// Lets a few through each minute.
#[derive(Debug)]
pub(super) struct Rarely {
    most: u32,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    began: Option<Instant>,
    passed: u32,
    dropped: u64,
}

impl Rarely {
    /// So many a minute.
    pub(super) const fn new(most: u32) -> Self {
        Self { most, state: Mutex::new(State { began: None, passed: 0, dropped: 0 }) }
    }

    /// Whether this one is to be written, and then how many were not since the last that was.
    pub(super) fn may(&self, now: Instant) -> Option<u64> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.began.is_none_or(|began| now.saturating_duration_since(began) >= WINDOW) {
            (state.began, state.passed) = (Some(now), 0);
        }
        if state.passed >= self.most {
            state.dropped += 1;
            return None;
        }
        state.passed += 1;
        Some(std::mem::take(&mut state.dropped))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_a_minute_and_the_rest_counted() {
        let rarely = Rarely::new(2);
        let start = Instant::now();
        let at = |seconds| rarely.may(start + Duration::from_secs(seconds));
        assert_eq!([at(0), at(1), at(2), at(59)], [Some(0), Some(0), None, None]);
        assert_eq!([at(60), at(61), at(62)], [Some(2), Some(0), None]);
        // A clock that goes back opens no window of its own.
        assert_eq!(at(30), None);
        assert_eq!(at(200), Some(2));
    }
}
