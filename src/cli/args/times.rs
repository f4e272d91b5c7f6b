//! Points and spans of time on the command line.

use std::time::Duration;

use crate::time::Timestamp;

/// A point in time, or how long ago it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Since {
    /// The point.
    At(Timestamp),
    /// Before now.
    Ago(Duration),
}

impl Since {
    /// The point, for one who says it now.
    pub fn point(self, now: Timestamp) -> Timestamp {
        match self {
            Self::At(at) => at,
            Self::Ago(span) => {
                let millis = i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
                // Nothing is older than the epoch, and what is cannot be written down.
                Timestamp::from_millis(now.as_millis().saturating_sub(millis).max(0))
            }
        }
    }
}

/// A span of time that is no nothing.
pub(super) fn length(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(length) if !length.is_zero() => Ok(length),
        Ok(_) | Err(_) => Err("expected a span of time such as 36h, 7d or 2weeks".to_owned()),
    }
}

/// `2026-11-23T10:00:00Z`, `2026-11-23`, or `7d`.
pub(super) fn since(text: &str) -> Result<Since, String> {
    let day = format!("{text}T00:00:00Z");
    if let Ok(at) = text.parse().or_else(|_| day.parse()) {
        return Ok(Since::At(at));
    }
    humantime::parse_duration(text).map(Since::Ago).map_err(|_| {
        "expected a time (2026-11-23T10:00:00Z), a date (2026-11-23) or a span (36h, 7d)".to_owned()
    })
}
