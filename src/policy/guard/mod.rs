//! The outage guard: tells when a receiver refuses, as unknown, what it used to accept (DESIGN §6).
//!
//! Gmail did so to a part of its mailboxes for 6 h 41 on 14 and 15 December 2020, in words that mean nothing else. No reading of a
//! reply can tell; only that many addresses which took mail of late are gone at once. What is said of one is then held, not applied.
//!
//! Outcomes are watched under two kinds of key, the recipient's domain and the receiver's organisation. Both are watched always, and
//! an alarm of either holds; what an alarmed domain does says nothing more of the receiver. Two rules (`rules`): of the recipients
//! *known good* a share is refused; or, where nobody is known, the share of all refused is many times the usual.
//!
//! Pure: no clock, no randomness but a seed. Bounded: windows, addresses, outages; what does not fit is forgotten, oldest first. Invariant:
//! without a refusal there is no notice.

mod clock;
mod duty;
mod filter;
mod hash;
mod keys;
mod open;
mod rules;
mod settings;
mod window;
mod words;

use std::collections::BTreeMap;
use std::time::Duration;

pub use duty::{decree_of, observation, refusal};
pub use filter::{KnownGood, NotAFilter};
pub use rules::Sign;
pub use settings::OutageSettings;
pub use window::History;
pub use words::{Notice, Observation, Outcome};

pub use crate::event::outage::OutageKey;

use crate::event::outage::named;
use crate::time::Timestamp;
use clock::Clock;
use filter::Generations;
use keys::Keys;
use open::{Open, Turn};
use rules::Enough;
use window::{Pace, Seen};

/// Most outages that last at once; the one that began first is ended for one more.
const OPEN_MAX: usize = 256;
/// How long a key is not watched after an operator has said that what it refused is gone indeed: longer than a sender takes to try
/// all the rest of a closed company.
const EXCUSED_FOR: Duration = Duration::from_secs(7 * 86_400);
/// Most keys that are not watched at once.
const EXCUSED_MAX: usize = 1024;
/// Outcomes of one bucket that are told from repetitions of one: beyond it repetitions count again.
const RECENT_ROOM: u64 = 1 << 18;
/// Sets the hashes of receivers apart from those of domains.
const RECEIVER: u64 = 0xA5A5_5A5A_C3C3_3C3C;
/// Odd: 2^64 divided by the golden ratio.
const SPREAD: u64 = 0x9E37_79B9_7F4A_7C15;

/// Watches outcomes; see the head of this module.
#[derive(Clone, Debug)]
pub struct Guard {
    settings: OutageSettings,
    pace: Pace,
    clock: Clock,
    known: KnownGood,
    /// Outcomes of this bucket and the one before, so that an address that is tried often counts once.
    recent: Generations,
    keys: Keys,
    open: BTreeMap<u64, Open>,
    excused: BTreeMap<u64, Timestamp>,
}

impl Guard {
    /// A guard that knows nobody yet. The seed, random for each installation, goes with what is kept of it.
    pub fn new(settings: OutageSettings, seed: u64) -> Self {
        let capacity = if settings.enabled { settings.capacity } else { 1 };
        let known = KnownGood::new(capacity, settings.known_good_for, seed);
        Self::with_known_good(settings, known)
    }

    /// A guard that knows these addresses: after a restart.
    pub fn with_known_good(settings: OutageSettings, known: KnownGood) -> Self {
        let pace = Pace::of(settings.window);
        let room = if settings.enabled { RECENT_ROOM } else { 1 };
        Self {
            recent: Generations::new(2, room, pace.bucket()),
            pace,
            settings,
            known,
            clock: Clock::default(),
            keys: Keys::default(),
            open: BTreeMap::new(),
            excused: BTreeMap::new(),
        }
    }

    /// Counts an outcome. What it brings to light is to be acted on before [`Self::held`] is asked about it.
    pub fn observe(&mut self, seen: &Observation<'_>) -> Vec<Notice> {
        let mut notices = Vec::new();
        let hard = match seen.outcome {
            Outcome::HardRefused => true,
            Outcome::Accepted => false,
            Outcome::Other => return notices,
        };
        if !self.settings.enabled {
            return notices;
        }
        let counts = self.clock.admits(seen.at, self.settings.window);
        let address = self.known.hash(seen.address.as_str());
        let good = self.known.contains_hash(address);
        if !hard {
            self.known.insert_hash(address, self.clock.now_or(seen.at));
        }
        if !counts {
            return notices;
        }
        let domain = self.known.hash(seen.address.domain());
        let outcome = Seen {
            address,
            domain: domain_part(domain),
            good,
            fresh: self.is_fresh(address, hard, good, seen.at),
            hard,
            at: seen.at,
        };
        let name = || OutageKey::Domain(seen.address.domain().to_owned());
        self.watch(domain, &outcome, name, &mut notices);
        // What is wrong with one domain is no sign of an outage of its receiver, nor is what goes well there one against it.
        if !self.open.contains_key(&domain)
            && let Some(receiver) = seen.receiver.and_then(named)
        {
            let key = self.known.hash(&receiver) ^ RECEIVER;
            self.watch(key, &outcome, || OutageKey::Receiver(receiver), &mut notices);
        }
        notices
    }

    /// The outage by which hard evidence of this date is held.
    pub fn held(&self, domain: &str, receiver: Option<&str>, at: Timestamp) -> Option<&OutageKey> {
        if self.open.is_empty() {
            return None;
        }
        let holds = |key| self.open.get(&key).filter(|open: &&Open| open.since <= at);
        let by_domain = holds(self.known.hash(domain));
        let open = by_domain.or_else(|| {
            let receiver = receiver.and_then(named)?;
            holds(self.known.hash(&receiver) ^ RECEIVER)
        });
        open.map(|open| &open.key)
    }

    /// Outages that nothing has been heard of for long. For somebody to ask now and then: each minute will do.
    pub fn tick(&mut self, now: Timestamp) -> Vec<Notice> {
        let mut notices = Vec::new();
        if self.clock.is_plausible(now) {
            let settings = &self.settings;
            self.open.retain(|_, open| match open.silent(now, settings) {
                None => true,
                Some(until) => {
                    notices.push(Notice::Ended { key: open.key.clone(), until });
                    false
                }
            });
        }
        notices
    }

    /// Goes on with an outage that lasted when the process ended.
    pub fn resume(&mut self, key: OutageKey, since: Timestamp) {
        let hash = self.hash_of(&key);
        self.open.insert(hash, Open::new(key, since, None, &self.settings));
    }

    /// An operator's word about an outage: it ends, without a notice. If what was refused is gone indeed (`genuine`), nothing is
    /// watched under the key for a week, or the rest of it would be an outage again.
    pub fn resolve(&mut self, key: &OutageKey, now: Timestamp, genuine: bool) {
        let hash = self.hash_of(key);
        self.open.remove(&hash);
        let number = self.pace.number(self.clock.now_or(now));
        self.keys.window(hash, number).clear(number);
        if genuine {
            if self.excused.len() >= EXCUSED_MAX {
                let first = self.excused.iter().min_by_key(|(_, until)| **until);
                let first = first.map(|(key, _)| *key);
                first.map(|key| self.excused.remove(&key));
            }
            self.excused.insert(hash, now.plus(EXCUSED_FOR));
        }
    }

    /// The outages that last, and since when.
    pub fn open(&self) -> impl Iterator<Item = (&OutageKey, Timestamp)> {
        self.open.values().map(|open| (&open.key, open.since))
    }

    /// The addresses that accepted mail of late, to be kept over a restart.
    pub const fn known_good(&self) -> &KnownGood {
        &self.known
    }

    /// What is usual under the keys of which something can be said, to be kept over a restart with the known good: it is by hashes
    /// that depend on their seed.
    pub fn histories(&self) -> Vec<(u64, History)> {
        let all = self.keys.iter().map(|(key, window)| (key, window.history));
        all.filter(|(_, history)| history.outcomes() >= 100.0).collect()
    }

    /// Takes `histories` back in.
    pub fn remember(
        &mut self,
        histories: impl IntoIterator<Item = (u64, History)>,
        now: Timestamp,
    ) {
        let number = self.pace.number(now);
        for (key, history) in histories.into_iter().take(keys::KEYS_MAX) {
            self.keys.window(key, number).history = history.sane();
        }
    }

    /// How many keys are watched, and the memory of all that is remembered, in bytes.
    pub fn size(&self) -> (usize, usize) {
        let bytes = self.known.bytes() + self.recent.bytes() + self.keys.bytes();
        (self.keys.len(), bytes)
    }

    fn watch(
        &mut self,
        key: u64,
        seen: &Seen,
        name: impl FnOnce() -> OutageKey,
        notices: &mut Vec<Notice>,
    ) {
        if let Some(open) = self.open.get_mut(&key) {
            match open.note(seen, &self.settings) {
                Turn::Lasts => return,
                Turn::Widened => return notices.push(open.notice(seen.at)),
                Turn::Ended(until) => {
                    notices.push(Notice::Ended { key: open.key.clone(), until });
                    self.open.remove(&key);
                    let number = self.pace.number(seen.at);
                    self.keys.window(key, number).clear(number);
                }
            }
        }
        if self.is_excused(key, seen.at) {
            return;
        }
        let now = self.clock.now_or(seen.at);
        let window = self.keys.window(key, self.pace.number(now));
        let most = usize::try_from(self.settings.min_recipients).unwrap_or(usize::MAX);
        window.note(seen, now, self.pace, most);
        if !seen.hard {
            return;
        }
        let alarmed = |domain| self.open.keys().any(|key| domain_part(*key) == domain);
        let of_domain = domain_part(key) == seen.domain;
        let enough = Enough {
            least: self.settings.min_recipients,
            alarmed: if of_domain { None } else { Some(&alarmed) },
        };
        if let Some(sign) = rules::sign(window, &self.settings, &enough) {
            let since = window.first_hard(self.pace).map_or(seen.at, |first| first.min(seen.at));
            self.make_room(notices, seen.at);
            let open = Open::new(name(), since, Some((seen.at, sign)), &self.settings);
            notices.push(open.notice(seen.at));
            self.open.insert(key, open);
        }
    }

    fn make_room(&mut self, notices: &mut Vec<Notice>, now: Timestamp) {
        if self.open.len() < OPEN_MAX {
            return;
        }
        let first = self.open.iter().min_by_key(|(_, open)| open.since).map(|(key, _)| *key);
        if let Some(open) = first.and_then(|key| self.open.remove(&key)) {
            notices.push(Notice::Ended { key: open.key, until: now });
        }
    }

    fn is_excused(&mut self, key: u64, at: Timestamp) -> bool {
        let Some(until) = self.excused.get(&key) else { return false };
        // A clock that was set back must not excuse for longer than was meant.
        let excused = at < *until && until.since(at) <= EXCUSED_FOR;
        if !excused {
            self.excused.remove(&key);
        }
        excused
    }

    /// Whether the address has not come to this in this bucket. "Known good" belongs to it: of an address that becomes so, both count.
    fn is_fresh(&mut self, address: u64, hard: bool, good: bool, at: Timestamp) -> bool {
        let number = u64::from(self.pace.number(at).cast_unsigned());
        let what = number << 2 | u64::from(hard) << 1 | u64::from(good);
        let hash = address ^ what.wrapping_mul(SPREAD);
        let fresh = !self.recent.contains(hash);
        if fresh {
            self.recent.insert(hash, at);
        }
        fresh
    }

    fn hash_of(&self, key: &OutageKey) -> u64 {
        match key {
            OutageKey::Receiver(name) => self.known.hash(name) ^ RECEIVER,
            OutageKey::Domain(name) => self.known.hash(name),
        }
    }
}

/// What windows remember of a domain's hash.
#[expect(clippy::cast_possible_truncation, reason = "the lower half is what is wanted")]
const fn domain_part(hash: u64) -> u32 {
    hash as u32
}

#[cfg(test)]
mod tests;
