//! The numbers of the outage guard. Documented in `config/policies/quarantine.toml`.

use std::time::Duration;

use serde::Deserialize;

use crate::policy::settings::span;

/// Fewer recipients than this are an accident, not an outage; more than that are never reached.
const RECIPIENTS: std::ops::RangeInclusive<u32> = 5..=1000;
/// Shortest and longest window.
const WINDOW: std::ops::RangeInclusive<Duration> =
    Duration::from_secs(600)..=Duration::from_secs(7 * 86_400);
/// Most addresses that may be remembered as good: 530 MB.
const CAPACITY_MAX: u64 = 200_000_000;

/// When a receiver is thought to refuse, as unknown, what it used to accept.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OutageSettings {
    /// Whether anything is watched.
    pub enabled: bool,
    /// Distinct recipients refused within the window, below which there is no alarm.
    pub min_recipients: u32,
    /// How far back is looked; evidence of this time before the alarm is held too.
    #[serde(deserialize_with = "span")]
    pub window: Duration,
    /// Of the recipients known to be good, the share refused that is an alarm, 0 to 1.
    pub known_good_share: f64,
    /// Where nobody is known: of all recipients, the share refused that is an alarm, 0 to 1 ...
    pub share: f64,
    /// ... if it is also so many times what is usual there.
    pub factor: f64,
    /// How long the sign must be gone.
    #[serde(deserialize_with = "span")]
    pub quiet: Duration,
    /// How long an address that accepted mail is known to be good.
    #[serde(deserialize_with = "span")]
    pub known_good_for: Duration,
    /// How many such addresses there is room for.
    pub capacity: u64,
}

impl Default for OutageSettings {
    fn default() -> Self {
        Self {
            enabled: true,
            min_recipients: 20,
            window: Duration::from_secs(6 * 3600),
            known_good_share: 0.05,
            share: 0.10,
            factor: 10.0,
            quiet: Duration::from_secs(3600),
            known_good_for: Duration::from_secs(35 * 86_400),
            capacity: 2_000_000,
        }
    }
}

impl OutageSettings {
    /// What is out of bounds: the key below `outage`, and the problem.
    pub(in crate::policy) fn faults(&self) -> Vec<(&'static str, String)> {
        let mut faults = Vec::new();
        let mut bound = |fine: bool, key, problem: String| {
            if !fine {
                faults.push((key, problem));
            }
        };
        let least = self.min_recipients;
        bound(
            RECIPIENTS.contains(&least),
            "outage.min_recipients",
            format!("{least} is not within {} to {}", RECIPIENTS.start(), RECIPIENTS.end()),
        );
        bound(
            WINDOW.contains(&self.window),
            "outage.window",
            format!("{:?} is not within 10 minutes to 7 days", self.window),
        );
        for (key, share) in
            [("outage.known_good_share", self.known_good_share), ("outage.share", self.share)]
        {
            // Nothing that is no number is within.
            bound((0.001..=1.0).contains(&share), key, format!("{share} is not within 0.001 to 1"));
        }
        bound(
            (1.0..=1000.0).contains(&self.factor),
            "outage.factor",
            format!("{} is not within 1 to 1000", self.factor),
        );
        bound(!self.quiet.is_zero(), "outage.quiet", "\"0s\" would end it at once".to_owned());
        bound(
            self.known_good_for >= Duration::from_secs(86_400),
            "outage.known_good_for",
            format!("{:?} is less than a day", self.known_good_for),
        );
        bound(
            (1..=CAPACITY_MAX).contains(&self.capacity),
            "outage.capacity",
            format!("{} is not within 1 to {CAPACITY_MAX}", self.capacity),
        );
        faults
    }
}
