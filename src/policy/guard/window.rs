//! What came of late under one key: counts in buckets of time, the latest distinct recipients refused, and what is usual.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// Buckets of a window.
pub(super) const BUCKETS: i32 = 12;
/// What is usual is a mean in which a week ago weighs 1/e of now.
const MEMORY: Duration = Duration::from_secs(7 * 86_400);
/// Most that is forgotten of it in one go, so that a clock that jumps does not take it all.
const FORGOTTEN_MAX: Duration = Duration::from_secs(86_400);

/// Distinct recipients, by outcome; an address counts once in a bucket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub accepted: u32,
    /// Of those accepted, how many were known to be good before.
    pub accepted_good: u32,
    pub refused: u32,
    /// Of those refused, how many were known to be good.
    pub refused_good: u32,
}

/// What is usual under one key, as it can be kept over a restart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct History {
    /// Recipients accepted, the older the less.
    pub accepted: f32,
    /// Of those, known to be good before.
    pub accepted_good: f32,
    /// Recipients refused as unknown.
    pub refused: f32,
}

/// A recipient that was refused.
#[derive(Clone, Copy, Debug)]
pub(super) struct Refused {
    pub address: u64,
    /// Enough of its domain to tell domains apart.
    pub domain: u32,
    bucket: i32,
}

/// The latest so many distinct recipients, the latest last.
#[derive(Clone, Debug, Default)]
struct Latest(Vec<Refused>);

#[derive(Clone, Copy, Debug, Default)]
struct Bucket {
    counts: Counts,
    /// The first refusal, in milliseconds from the start of the bucket.
    first_hard: Option<u32>,
}

/// The window of one key.
#[derive(Clone, Debug, Default)]
pub(super) struct Window {
    /// Bucket number `n` is at `n` modulo their number; those up to `newest` are here.
    buckets: [Bucket; BUCKETS as usize],
    newest: i32,
    good: Latest,
    strange: Latest,
    pub history: History,
}

/// One outcome, as windows count it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    pub address: u64,
    pub domain: u32,
    /// Whether the address was known to be good.
    pub good: bool,
    /// Whether it was not seen to come to this in this bucket.
    pub fresh: bool,
    pub hard: bool,
    pub at: Timestamp,
}

/// Time in buckets.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    millis: i64,
}

impl Pace {
    pub(super) fn of(window: Duration) -> Self {
        let millis = i64::try_from(window.as_millis()).unwrap_or(i64::MAX) / i64::from(BUCKETS);
        // A bucket's milliseconds fit its 32 bits: the setting ends at seven days.
        Self { millis: millis.clamp(1, i64::from(u32::MAX)) }
    }

    /// The number of the bucket that `at` is in. With the shortest buckets there are numbers for more than a thousand years.
    pub(super) fn number(self, at: Timestamp) -> i32 {
        let number = at.as_millis().div_euclid(self.millis);
        // Far from both ends, so that sums of a few do not overflow.
        let number = number.clamp(i64::from(i32::MIN / 2), i64::from(i32::MAX / 2));
        i32::try_from(number).unwrap_or_default()
    }

    fn start(self, number: i32) -> Timestamp {
        Timestamp::from_millis(i64::from(number).saturating_mul(self.millis))
    }

    pub(super) fn bucket(self) -> Duration {
        Duration::from_millis(self.millis.unsigned_abs())
    }
}

impl Window {
    /// Counts an outcome. `most` distinct recipients are remembered of each kind.
    pub(super) fn note(&mut self, seen: &Seen, now: Timestamp, pace: Pace, most: usize) {
        self.advance(pace.number(now), pace);
        let number = pace.number(seen.at).clamp(self.newest - (BUCKETS - 1), self.newest);
        let Some(bucket) = self.buckets.get_mut(place(number)) else { return };
        if seen.fresh {
            bucket.counts.count(seen.hard, seen.good);
        }
        if seen.hard {
            let offset = seen.at.since(pace.start(number)).as_millis();
            let offset = u32::try_from(offset).unwrap_or(u32::MAX);
            bucket.first_hard = Some(bucket.first_hard.map_or(offset, |first| first.min(offset)));
            let latest = if seen.good { &mut self.good } else { &mut self.strange };
            latest
                .push(Refused { address: seen.address, domain: seen.domain, bucket: number }, most);
        }
    }

    /// Moves on to a bucket: what leaves the window becomes what is usual.
    fn advance(&mut self, to: i32, pace: Pace) {
        if to < self.newest {
            // The clock was set back. What is dated later is in no window that will come.
            self.clear(to);
        }
        let steps = to.saturating_sub(self.newest);
        if steps == 0 {
            return;
        }
        self.history.fade(pace.bucket().saturating_mul(steps.unsigned_abs()));
        for step in 1..=steps.min(BUCKETS) {
            if let Some(bucket) = self.buckets.get_mut(place(self.newest + step)) {
                self.history.add(std::mem::take(bucket).counts);
            }
        }
        self.newest = to;
    }

    /// Forgets the window, not what is usual: an outage is over and is no measure of anything.
    pub(super) fn clear(&mut self, newest: i32) {
        *self = Self { newest, history: self.history, ..Self::default() };
    }

    /// The sum of the latest so many buckets.
    pub(super) fn sum(&self, latest: i32) -> Counts {
        let mut sum = Counts::default();
        for number in self.newest - (latest - 1)..=self.newest {
            sum.add(self.buckets.get(place(number)).copied().unwrap_or_default().counts);
        }
        sum
    }

    /// The recipients refused in the latest so many buckets, first those known to be good, then the others.
    pub(super) fn refused(
        &self,
        latest: i32,
    ) -> (impl Iterator<Item = &Refused>, impl Iterator<Item = &Refused>) {
        let oldest = self.newest - (latest - 1);
        let within = move |refused: &&Refused| refused.bucket >= oldest;
        (self.good.0.iter().filter(within), self.strange.0.iter().filter(within))
    }

    /// The memory that it takes besides itself.
    pub(super) fn heap_bytes(&self) -> usize {
        (self.good.0.capacity() + self.strange.0.capacity()) * size_of::<Refused>()
    }

    /// The first refusal of the window.
    pub(super) fn first_hard(&self, pace: Pace) -> Option<Timestamp> {
        let numbers = self.newest - (BUCKETS - 1)..=self.newest;
        let mut firsts = numbers.filter_map(|number| {
            let offset = self.buckets.get(place(number))?.first_hard?;
            Some(pace.start(number).plus(Duration::from_millis(offset.into())))
        });
        firsts.next()
    }
}

fn place(number: i32) -> usize {
    usize::try_from(number.rem_euclid(BUCKETS)).unwrap_or(0)
}

impl Counts {
    fn count(&mut self, hard: bool, good: bool) {
        let (all, known) = if hard {
            (&mut self.refused, &mut self.refused_good)
        } else {
            (&mut self.accepted, &mut self.accepted_good)
        };
        *all = all.saturating_add(1);
        *known = known.saturating_add(u32::from(good));
    }

    fn add(&mut self, other: Self) {
        self.accepted = self.accepted.saturating_add(other.accepted);
        self.accepted_good = self.accepted_good.saturating_add(other.accepted_good);
        self.refused = self.refused.saturating_add(other.refused);
        self.refused_good = self.refused_good.saturating_add(other.refused_good);
    }
}

impl History {
    /// How many outcomes it is drawn from.
    pub(super) fn outcomes(&self) -> f64 {
        f64::from(self.accepted) + f64::from(self.refused)
    }

    /// What a damaged file could have made of it taken out.
    pub(super) fn sane(self) -> Self {
        let sane = |weight: f32| if weight.is_finite() { weight.max(0.0) } else { 0.0 };
        Self {
            accepted: sane(self.accepted),
            accepted_good: sane(self.accepted_good),
            refused: sane(self.refused),
        }
    }

    fn fade(&mut self, passed: Duration) {
        let left = (-passed.min(FORGOTTEN_MAX).as_secs_f32() / MEMORY.as_secs_f32()).exp();
        for weight in [&mut self.accepted, &mut self.accepted_good, &mut self.refused] {
            *weight *= left;
        }
    }

    fn add(&mut self, counts: Counts) {
        // Rounding is no matter in a mean.
        self.accepted += counts.accepted as f32;
        self.accepted_good += counts.accepted_good as f32;
        self.refused += counts.refused as f32;
    }
}

impl Latest {
    fn push(&mut self, refused: Refused, most: usize) {
        let known = self.0.iter().position(|known| known.address == refused.address);
        if let Some(known) = known.or_else(|| (self.0.len() >= most).then_some(0)) {
            self.0.remove(known);
        }
        self.0.push(refused);
    }
}
