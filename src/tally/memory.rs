//! What is counted and not yet written down. No peer makes it grow: a day has so many keys at most, and there are few days.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use foldhash::fast::RandomState;

use super::counts::Counts;
use super::files::Line;
use super::outcome::{Cause, Outcome};
use super::{Campaign, OTHER, Place};

/// Days at a time. Two are usual, around midnight; a clock that jumps makes more.
const DAYS: usize = 3;
/// Longest name of a receiver or a campaign, in bytes.
const NAME_MAX: usize = 120;
/// Longest example, in bytes.
const EXAMPLE_MAX: usize = 200;
/// Before the name of a campaign that would be taken for [`OTHER`].
const ESCAPE: char = '\\';
/// Between the parts of a key.
const BETWEEN: char = '\u{1f}';

/// What was counted, by day.
#[derive(Debug)]
pub(super) struct Memory {
    days: BTreeMap<i64, Day>,
    keys: usize,
    /// The key at hand, so that counting makes none.
    scratch: String,
}

/// Keys of one day and what moved there.
#[derive(Debug, Default)]
struct Day {
    places: HashMap<Arc<str>, usize, RandomState>,
    kept: Vec<Kept>,
    /// Which of them moved since they were last taken.
    moved: Vec<usize>,
    /// Causes that have an example, a bit each.
    exemplified: u32,
    examples: Vec<Line>,
}

#[derive(Debug)]
struct Kept {
    key: Arc<str>,
    counts: Counts,
    moved: bool,
}

/// What is to be written down.
#[derive(Debug)]
pub(super) struct Moved {
    pub(super) day: i64,
    pub(super) lines: Vec<Line>,
}

/// How much of a place a key says.
#[derive(Clone, Copy)]
enum Detail {
    All,
    NoCampaign,
    NoReceiver,
    Nothing,
}

impl Memory {
    pub(super) fn new(keys: usize) -> Self {
        Self { days: BTreeMap::new(), keys, scratch: String::new() }
    }

    /// A key that the day has already, as it was written down.
    pub(super) fn know(&mut self, day: i64, tenant: &str, receiver: &str, campaign: &str) {
        let Some(day) = of_day(&mut self.days, day) else { return };
        let key = format!("{tenant}{BETWEEN}{receiver}{BETWEEN}{campaign}");
        if day.kept.len() < self.keys && !day.places.contains_key(key.as_str()) {
            day.keep(key.into());
        }
    }

    /// A cause for which the day has an example already.
    pub(super) fn know_example(&mut self, day: i64, cause: Cause) {
        let Some(day) = of_day(&mut self.days, day) else { return };
        day.exemplified |= 1 << cause as u32;
    }

    pub(super) fn count(
        &mut self,
        day: i64,
        place: &Place<'_>,
        outcome: Outcome,
        reply: Option<&str>,
    ) {
        let Some(day) = of_day(&mut self.days, day) else { return };
        let at = find(day, &mut self.scratch, place, self.keys);
        if let Some(kept) = day.kept.get_mut(at) {
            kept.counts.add(outcome, 1);
            if !std::mem::replace(&mut kept.moved, true) {
                day.moved.push(at);
            }
        }
        let (Outcome::Bounced(cause) | Outcome::Deferred(cause), Some(reply)) = (outcome, reply)
        else {
            return;
        };
        let bit = 1 << cause as u32;
        if day.exemplified & bit == 0 {
            day.exemplified |= bit;
            let reply = cut(reply, EXAMPLE_MAX).to_owned();
            day.examples.push(Line::Example { cause, example: reply });
        }
    }

    /// What moved in the oldest day, so many keys at most; `None` when nothing did. A day that is over is forgotten with that.
    pub(super) fn take(&mut self, most: usize) -> Option<Moved> {
        let latest = *self.days.last_key_value()?.0;
        self.days.retain(|number, day| *number == latest || !day.is_still());
        let (number, day) = self.days.iter_mut().find(|(_, day)| !day.is_still())?;
        let mut lines = std::mem::take(&mut day.examples);
        for at in day.moved.split_off(day.moved.len().saturating_sub(most)) {
            let Some(kept) = day.kept.get_mut(at) else { continue };
            kept.moved = false;
            lines.push(line(&kept.key, std::mem::take(&mut kept.counts)));
        }
        Some(Moved { day: *number, lines })
    }
}

impl Day {
    fn is_still(&self) -> bool {
        self.moved.is_empty() && self.examples.is_empty()
    }

    /// Takes in a key that is not there yet; its place.
    fn keep(&mut self, key: Arc<str>) -> usize {
        let at = self.kept.len();
        self.places.insert(Arc::clone(&key), at);
        self.kept.push(Kept { key, counts: Counts::default(), moved: false });
        at
    }
}

/// The day; the latest instead, when there are too many.
fn of_day(days: &mut BTreeMap<i64, Day>, number: i64) -> Option<&mut Day> {
    let full = days.len() >= DAYS && !days.contains_key(&number);
    if full {
        return days.last_entry().map(std::collections::btree_map::OccupiedEntry::into_mut);
    }
    Some(days.entry(number).or_default())
}

/// Where this place is counted, a new key or not.
///
/// Three quarters of the keys may be anything; then campaigns are no longer told apart, then receivers, at last nothing is: whoever
/// makes up campaigns does not take the receivers' places.
fn find(day: &mut Day, scratch: &mut String, place: &Place<'_>, keys: usize) -> usize {
    let steps = [
        (Detail::All, keys / 4 * 3),
        (Detail::NoCampaign, keys / 8 * 7),
        (Detail::NoReceiver, keys.saturating_sub(1)),
        (Detail::Nothing, usize::MAX),
    ];
    for (detail, room) in steps {
        write_key(scratch, place, detail);
        if let Some(at) = day.places.get(scratch.as_str()) {
            return *at;
        }
        if day.kept.len() < room {
            break;
        }
    }
    day.keep(scratch.as_str().into())
}

fn write_key(key: &mut String, place: &Place<'_>, detail: Detail) {
    key.clear();
    let (tenant, receiver, campaign) = match detail {
        Detail::All => (place.tenant, place.receiver, Some(place.campaign)),
        Detail::NoCampaign => (place.tenant, place.receiver, None),
        Detail::NoReceiver => (place.tenant, OTHER, None),
        Detail::Nothing => (OTHER, OTHER, None),
    };
    key.push_str(cut(tenant, NAME_MAX));
    key.push(BETWEEN);
    key.push_str(cut(receiver, NAME_MAX));
    key.push(BETWEEN);
    match campaign {
        Some(Campaign::Named(name)) => {
            let name = cut(name, NAME_MAX);
            // A campaign is what a header says. One that is called like the row of all others is told from it, and from one that is
            // called as that is written.
            if name.trim_start_matches(ESCAPE) == OTHER {
                key.push(ESCAPE);
            }
            key.push_str(name);
        }
        Some(Campaign::Sender(domain)) => {
            key.push('@');
            key.extend(cut(domain, NAME_MAX).chars().map(|letter| letter.to_ascii_lowercase()));
        }
        None => key.push_str(OTHER),
    }
}

/// Neither tenants nor host names have the mark between in them; a campaign, which may, is last.
fn line(key: &str, counts: Counts) -> Line {
    let mut parts = key.splitn(3, BETWEEN).map(str::to_owned);
    let mut part = || parts.next().unwrap_or_default();
    Line::Counts { tenant: part(), receiver: part(), campaign: part(), counts }
}

fn cut(text: &str, most: usize) -> &str {
    text.get(..text.floor_char_boundary(most)).unwrap_or_default()
}
