//! The figures of a replay.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;

use crate::policy::Standing;
use crate::smtp::address::RecipientKey;
use crate::time::Timestamp;

/// Most addresses named for each change.
const EXAMPLES_MAX: usize = 5;
/// Most domains, and receivers, that are shown.
const TOP: usize = 10;
/// Most names counted, of each; what comes later is counted as one.
const NAMES_MAX: usize = 100_000;
/// The name of what is beyond that.
const OTHERS: &str = "(others)";

/// The heading of the table of addresses.
pub const COLUMNS: [&str; 6] = ["address", "before", "after", "until", "cause", "receiver"];

/// What was tried.
#[derive(Clone, Debug, Serialize)]
pub struct Tried {
    /// The policy.
    pub policy: String,
    /// The file of rules, if replies were read again.
    pub rules: Option<String>,
    /// The policy that it is compared with.
    pub against: Option<String>,
    /// When standings are read.
    pub as_of: Timestamp,
    /// What the journal cannot tell.
    pub unknown: [&'static str; 4],
}

/// What went into the fold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Events folded.
    pub events: u64,
    /// Events left out because they were undone, or are rows of an import that was not finished.
    pub undone: u64,
    /// Events that an outage keeps from counting under the policy tried.
    pub held: u64,
    /// Events left out because they happened at another time than was asked for.
    pub outside: u64,
    /// Replies that the other rules read otherwise.
    pub read_otherwise: u64,
    /// Replies and deliveries at times when the policy tried would have refused the recipient: so many messages at least.
    pub attempts_refused: u64,
}

/// One side of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Side {
    /// The standing.
    pub standing: Standing,
    /// Whether a RCPT would be refused or put off.
    pub refused: bool,
    /// The category of the reply behind it, or of the latest that counts; else the ground.
    pub cause: &'static str,
}

/// An address as it ends up.
#[derive(Clone, Copy, Debug)]
pub struct Moved<'a> {
    /// The address.
    pub address: &'a RecipientKey,
    /// Under the policy in force, if it is compared with.
    pub before: Option<Side>,
    /// Under the policy tried.
    pub after: Side,
    /// Who answered last.
    pub receiver: Option<&'a str>,
}

/// All figures.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    #[serde(flatten)]
    pub tried: Tried,
    #[serde(flatten)]
    pub counts: Counts,
    /// How often the journal was read.
    pub passes: u64,
    /// Addresses that have events.
    pub addresses: u64,
    /// Addresses that would be refused and are not; without a comparison, that would be.
    pub quarantined: u64,
    /// Addresses that are refused and would not be.
    pub released: u64,
    /// Standings by name, under the policy in force.
    pub before: BTreeMap<&'static str, u64>,
    /// Standings by name, under the policy tried.
    pub after: BTreeMap<&'static str, u64>,
    /// Changes of standing by cause, the most frequent first.
    pub moves: Vec<Change>,
    /// The domains with most addresses quarantined or released.
    pub domains: Vec<Place>,
    /// The same of who answered.
    pub receivers: Vec<Place>,
    #[serde(skip)]
    open: Open,
}

/// A cause, and the standings before and after.
type Kind = (&'static str, Option<&'static str>, &'static str);

/// What is counted until the end.
#[derive(Clone, Debug, Default)]
struct Open {
    moves: BTreeMap<Kind, (u64, Vec<String>)>,
    domains: Places,
    receivers: Places,
}

/// A change of standing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// The cause: of the refusal under the policy tried, else of the one in force; where none refuses, of what counts.
    pub cause: &'static str,
    /// The standing under the policy in force, if it is compared with. The same as `after` when another end is all that changes.
    pub before: Option<&'static str>,
    /// The standing under the policy tried.
    pub after: &'static str,
    /// How many addresses.
    pub count: u64,
    /// A few of them.
    pub examples: Vec<String>,
}

/// A domain or a receiver.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Place {
    /// Its name.
    pub name: String,
    /// Addresses that would be refused and are not.
    pub quarantined: u64,
    /// Addresses that are refused and would not be.
    pub released: u64,
}

#[derive(Clone, Debug, Default)]
struct Places(HashMap<String, (u64, u64)>);

impl Side {
    /// Whether nothing counts against the address.
    fn is_clear(&self) -> bool {
        self.standing == Standing::Clear
    }
}

impl Moved<'_> {
    /// Whether the standing is another one; without a comparison, whether it is anything but clear.
    pub fn is_moved(&self) -> bool {
        let before = self.before.map_or(Standing::Clear, |before| before.standing);
        before != self.after.standing
    }

    /// That of the refusal, if one side is one; else that of the side on which there is anything.
    fn cause(&self) -> &'static str {
        match self.before {
            Some(before) if !self.after.refused && (before.refused || self.after.is_clear()) => {
                before.cause
            }
            Some(_) | None => self.after.cause,
        }
    }

    /// As a row of the table.
    pub fn cells(&self) -> [String; 6] {
        let until = match self.after.standing {
            Standing::Quarantined { until } => until.to_string(),
            Standing::Clear
            | Standing::OnWatch
            | Standing::QuarantinedLongTerm
            | Standing::Blacklisted
            | Standing::Allowed => String::new(),
        };
        let before = self.before.map_or("", |before| before.standing.name());
        let texts = [before, self.after.standing.name(), &until, self.cause()];
        let [before, after, until, cause] = texts.map(str::to_owned);
        let receiver = self.receiver.unwrap_or_default().to_owned();
        [self.address.to_string(), before, after, until, cause, receiver]
    }
}

impl Report {
    /// Nothing counted yet.
    pub fn new(tried: Tried, passes: u64) -> Self {
        Self {
            tried,
            counts: Counts::default(),
            passes,
            addresses: 0,
            quarantined: 0,
            released: 0,
            before: BTreeMap::new(),
            after: BTreeMap::new(),
            moves: Vec::new(),
            domains: Vec::new(),
            receivers: Vec::new(),
            open: Open::default(),
        }
    }

    /// Counts one address.
    pub fn add(&mut self, found: &Moved<'_>) {
        self.addresses += 1;
        *self.after.entry(found.after.standing.name()).or_default() += 1;
        if let Some(before) = found.before {
            *self.before.entry(before.standing.name()).or_default() += 1;
        }
        let was = found.before.is_some_and(|before| before.refused);
        let (quarantined, released) = (!was && found.after.refused, was && !found.after.refused);
        self.quarantined += u64::from(quarantined);
        self.released += u64::from(released);
        if quarantined || released {
            self.open.domains.count(found.address.domain(), quarantined);
            self.open.receivers.count(found.receiver.unwrap_or("(unknown)"), quarantined);
        }
        if found.is_moved() {
            let before = found.before.map(|before| before.standing.name());
            let change = (found.cause(), before, found.after.standing.name());
            let (count, examples) = self.open.moves.entry(change).or_default();
            *count += 1;
            if examples.len() < EXAMPLES_MAX {
                examples.push(found.address.to_string());
            }
        }
    }

    /// Puts what was counted in order.
    pub fn finish(&mut self) {
        let Open { moves, domains, receivers } = std::mem::take(&mut self.open);
        let change = |((cause, before, after), (count, mut examples)): (_, (_, Vec<_>))| {
            examples.sort();
            Change { cause, before, after, count, examples }
        };
        self.moves = moves.into_iter().map(change).collect();
        self.moves.sort_by_key(|change| std::cmp::Reverse(change.count));
        (self.domains, self.receivers) = (domains.top(), receivers.top());
    }
}

impl Places {
    fn count(&mut self, name: &str, quarantined: bool) {
        let name =
            if self.0.len() < NAMES_MAX || self.0.contains_key(name) { name } else { OTHERS };
        let (into, out) = self.0.entry(name.to_owned()).or_default();
        *(if quarantined { into } else { out }) += 1;
    }

    fn top(self) -> Vec<Place> {
        let place = |(name, (quarantined, released))| Place { name, quarantined, released };
        let mut places: Vec<_> = self.0.into_iter().map(place).collect();
        places.sort_by(|one, other| {
            let weight = |place: &Place| place.quarantined + place.released;
            weight(other).cmp(&weight(one)).then_with(|| one.name.cmp(&other.name))
        });
        places.truncate(TOP);
        places
    }
}
