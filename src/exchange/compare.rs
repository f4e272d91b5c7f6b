//! What an entry comes to where something is known already: it is folded onto the record, and what holds before and after is compared.

use super::plan::{Becomes, Entry};
use crate::event::{Event, EventId, What};
use crate::policy::{Policy, Record, settled, transition};
use crate::time::Timestamp;

/// What comes of an entry, beside what it comes to for an address of which nothing is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comes {
    /// What it comes to.
    New,
    /// It is so already, and the entry is added to what made it so: what lifts the one need not lift the other.
    Added,
    /// It is so already, and stays as it is, the end of a quarantine too.
    Already,
    /// Nothing, though it is not so: a release, a delivery or a newer entry answers it.
    Answered,
}

/// The end of a quarantine, so that the later one is greater: whether it is for good, else when it is over.
type End = (bool, Option<Timestamp>);

/// The quarantines that hold, by who ordered them: an operator, replies, another system.
#[derive(PartialEq)]
struct Ends([Option<End>; 3]);

/// What comes of an entry that is imported at `now`, where this record is known. A reset is always new: what it clears may come until then.
pub fn comes_of(entry: &Entry, record: &Record, now: Timestamp, policy: &Policy) -> Comes {
    let event = Event {
        id: EventId(entry.imported.batch.clone()),
        at: now,
        address: entry.address.clone(),
        tenant: entry.tenant.clone(),
        what: What::Imported(entry.imported.clone()),
    };
    let after = transition(record.clone(), &event, policy);
    let (before, after) = (settled(record, now, policy), settled(&after, now, policy));
    let listed = |record: &Record| record.blacklists.contains_key(&entry.tenant);
    match entry.becomes {
        Becomes::LongTerm => quarantined(&before, &after, now, |end| end.0),
        Becomes::Quarantined => quarantined(&before, &after, now, |_| true),
        Becomes::Blacklisted => noted(listed(&before), listed(&after)),
        Becomes::Allowed => noted(before.allowed.is_some(), after.allowed.is_some()),
        Becomes::Reset => Comes::New,
    }
}

fn quarantined(
    before: &Record,
    after: &Record,
    now: Timestamp,
    is_so: impl Fn(End) -> bool,
) -> Comes {
    let (old, new) = (Ends::of(before, now), Ends::of(after, now));
    if old == new {
        let so = old.0.into_iter().flatten().any(is_so);
        if so { Comes::Already } else { Comes::Answered }
    } else if old.last() == new.last() {
        Comes::Added
    } else {
        Comes::New
    }
}

const fn noted(before: bool, after: bool) -> Comes {
    match (before, after) {
        (true, _) => Comes::Already,
        (false, true) => Comes::New,
        (false, false) => Comes::Answered,
    }
}

impl Ends {
    fn of(record: &Record, now: Timestamp) -> Self {
        let end = |until: Option<Timestamp>| (until.is_none(), until);
        let Record { manual, learnt, imported, .. } = record;
        Self([
            manual.as_ref().filter(|manual| manual.holds(now)).map(|manual| end(manual.until)),
            learnt.as_ref().filter(|learnt| learnt.holds(now)).map(|learnt| end(learnt.until)),
            imported.as_ref().filter(|entry| entry.holds(now)).map(|entry| end(entry.until)),
        ])
    }

    fn last(&self) -> Option<End> {
        self.0.into_iter().flatten().max()
    }
}

#[cfg(test)]
mod tests;
