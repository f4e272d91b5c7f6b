//! The fold of some addresses, once or under two policies side by side.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::tally::{Counts, Moved, Side};
use crate::bounce::classify::Classifier;
use crate::bounce::{Category, Effect};
use crate::event::{Event, Evidence, Tenant, What};
use crate::failure::Failure;
use crate::policy::verdict::{Decision, Listing, Reason, Verdict};
use crate::policy::{Masks, Policy, Record, Standing, decide, settled, step};
use crate::routing::receiver::organisation;
use crate::smtp::address::RecipientKey;
use crate::smtp::reply::Reply;
use crate::time::Timestamp;

/// The tenant of what all tenants share: no tenant has this name.
const NOBODY: Tenant = Tenant(String::new());

/// Which events are folded, and as of when standings are read.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    /// Events before then are left out.
    pub since: Option<Timestamp>,
    /// Events from then on are left out.
    pub until: Option<Timestamp>,
    /// When standings are read.
    pub as_of: Timestamp,
}

/// What is folded under.
#[derive(Clone, Copy, Debug)]
pub struct Means<'a> {
    /// The policy in force, if it is compared with.
    pub before: Option<&'a Policy>,
    /// The policy that is tried.
    pub after: &'a Policy,
    /// The rules that are tried, if they are.
    pub rules: Option<&'a Classifier>,
    /// Which events, and as of when.
    pub window: Window,
}

/// Records of addresses under one policy or two.
pub struct Fold<'a> {
    means: &'a Means<'a>,
    masks: &'a Masks,
    stories: HashMap<RecipientKey, Story>,
    /// Names of receivers, each once.
    receivers: HashSet<Arc<str>>,
}

#[derive(Default)]
struct Story {
    before: Record,
    after: Record,
    /// The latest reply that counts on each side: what an address is on watch for, which no record keeps.
    counted: [Option<Category>; 2],
    /// Who answered last.
    receiver: Option<Arc<str>>,
}

impl<'a> Fold<'a> {
    /// Nothing folded yet.
    pub fn new(means: &'a Means<'a>, masks: &'a Masks) -> Self {
        Self { means, masks, stories: HashMap::new(), receivers: HashSet::new() }
    }

    /// Folds one more event, unless it was undone or lies outside of the window; what an outage holds moves nothing.
    pub fn learn(&mut self, seq: u64, event: &Event, counts: &mut Counts) {
        let Means { before, after, rules, window } = *self.means;
        let within = window.since.is_none_or(|since| event.at >= since)
            && window.until.is_none_or(|until| event.at < until);
        if !within {
            counts.outside += 1;
            return;
        }
        // By the event as it was learnt: that is what the orders selected.
        if self.masks.ordered(seq, event).is_some() {
            counts.undone += 1;
            return;
        }
        let again = rules.map_or(Cow::Borrowed(event), |rules| read_again(event, rules));
        counts.read_otherwise += u64::from(matches!(again, Cow::Owned(_)));
        let receiver = event.context().and_then(|context| context.receiver.as_deref());
        let receiver = receiver.map(|name| self.shared(&organisation(name)));
        let story = self.stories.entry(event.address.clone()).or_default();
        story.receiver = receiver.or_else(|| story.receiver.take());
        if event.context().is_some() && refuses(&story.after, event.at, after) {
            counts.attempts_refused += 1;
        }
        // What is hard, and so what an outage holds, is for each policy and reading to say.
        let held = self.masks.outage_of(&again, after);
        counts.events += u64::from(held.is_none());
        counts.held += u64::from(held.is_some());
        let [counted_before, counted_after] = &mut story.counted;
        *counted_after = counts_as(&again, held.is_some(), after).or(*counted_after);
        story.after = step(std::mem::take(&mut story.after), &again, held, after);
        if let Some(before) = before {
            let held = self.masks.outage_of(event, before);
            *counted_before = counts_as(event, held.is_some(), before).or(*counted_before);
            story.before = step(std::mem::take(&mut story.before), event, held, before);
        }
    }

    /// Hands every address on as it stands at the end.
    ///
    /// # Errors
    /// The first that `found` gives.
    pub fn compare(
        self,
        listing: &dyn Fn(&RecipientKey) -> Listing,
        found: &mut dyn FnMut(&Moved<'_>) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let Means { before, after, window, .. } = *self.means;
        for (address, story) in &self.stories {
            let listing = listing(address);
            let read = |record: &Record, counted: Option<Category>, policy: &Policy| {
                side(&decide(Some(record), &listing, &NOBODY, window.as_of, policy), counted)
            };
            let [counted_before, counted_after] = story.counted;
            found(&Moved {
                address,
                before: before.map(|policy| read(&story.before, counted_before, policy)),
                after: read(&story.after, counted_after, after),
                receiver: story.receiver.as_deref(),
            })?;
        }
        Ok(())
    }

    fn shared(&mut self, name: &str) -> Arc<str> {
        if let Some(known) = self.receivers.get(name) {
            return Arc::clone(known);
        }
        let name: Arc<str> = name.into();
        self.receivers.insert(Arc::clone(&name));
        name
    }
}

/// The event with its reply read by other rules, if they read it otherwise. The journal has only replies about one recipient.
fn read_again<'e>(event: &'e Event, rules: &Classifier) -> Cow<'e, Event> {
    let Some(evidence) = event.evidence() else { return Cow::Borrowed(event) };
    let Some(reply) = Reply::from_text(&evidence.reply) else { return Cow::Borrowed(event) };
    let receiver = evidence.context.receiver.as_deref();
    let read = rules.classify(evidence.stage, &reply, 1, receiver);
    let same = (read.category, read.scope) == (evidence.category, evidence.scope);
    if same && *read.rule == *evidence.rule {
        return Cow::Borrowed(event);
    }
    let what = What::Reply(Evidence {
        category: read.category,
        scope: read.scope,
        rule: read.rule.to_string(),
        ..evidence.clone()
    });
    Cow::Owned(Event { what, ..event.clone() })
}

/// Whether the recipient would have been refused at that time for what all tenants share.
fn refuses(record: &Record, at: Timestamp, policy: &Policy) -> bool {
    match Standing::of(&settled(record, at, policy), &NOBODY, at, policy) {
        Standing::Quarantined { .. } | Standing::QuarantinedLongTerm | Standing::Blacklisted => {
            true
        }
        Standing::Clear | Standing::OnWatch | Standing::Allowed => false,
    }
}

/// The category of a reply that can move a standing, and is not held.
fn counts_as(event: &Event, held: bool, policy: &Policy) -> Option<Category> {
    let evidence = event.evidence().filter(|_| !held)?;
    (policy.effect_of(evidence) != Effect::None).then_some(evidence.category)
}

fn side(decision: &Decision, counted: Option<Category>) -> Side {
    // A disposable domain is refused under any policy.
    let refused = decision.reason != Reason::Disposable
        && match &decision.verdict {
            Verdict::Forward => false,
            Verdict::Refuse(_) | Verdict::Defer(_) => true,
        };
    let watched = counted.filter(|_| decision.standing == Standing::OnWatch);
    let cause = match decision.category.or(watched) {
        Some(category) => category.name(),
        None => decision.reason.name(),
    };
    Side { standing: decision.standing, refused, cause }
}
