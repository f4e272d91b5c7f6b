//! What the policy would make of the bounces to come: the same fold that the gate runs, over events that have not happened.

use std::io::Write;
use std::time::Duration;

use super::cast::{FULL, GONE, MOVED};
use super::show::Show;
use super::stage::Stage;
use crate::event::{Act, Event, EventId, List, What};
use crate::failure::Failure;
use crate::policy::verdict::{Listing, Verdict};
use crate::policy::{Policy, Record, decide, transition};
use crate::time::Timestamp;

/// Bounces looked ahead, more than any preset has steps.
const AHEAD_MAX: usize = 100;
/// Between two mailings.
const WEEK: Duration = Duration::from_secs(7 * 86_400);

/// Tells how three of the addresses would go on.
pub(super) fn tell(stage: &Stage, show: &mut Show<impl Write>) -> Result<(), Failure> {
    let policy = stage.policy();
    show.heading(
        "What would come next (the same rules, applied to bounces that have not happened yet)",
    )?;
    climb(&Address::of(stage, FULL)?, &policy, show)?;
    let moved = Address::of(stage, MOVED)?;
    show.say(&format!(
        "  {MOVED}  {} more hard bounces, an hour or more apart, quarantine it for good.",
        moved.until_quarantined(&policy),
    ))?;
    show.say(&format!("  {GONE}  stays refused, to all tenants, until an operator releases it."))
}

/// Runs the clock ahead, a mailing a week, until the mailbox is quarantined for good; then an operator releases it.
fn climb(full: &Address, policy: &Policy, show: &mut Show<impl Write>) -> Result<(), Failure> {
    show.say(&format!(
        "\n  {FULL} on a clock that runs ahead: its mailbox stays full, and it is written to every week.\n"
    ))?;
    let mut rows = Vec::new();
    let mut record = full.record.clone();
    let mut refused = 0_usize;
    let mut at = full.latest.at;
    for number in 0..AHEAD_MAX {
        at = at.plus(WEEK);
        if full.verdict(&record, at, policy) != Verdict::Forward {
            refused += 1;
            if record.learnt.as_ref().is_some_and(|learnt| learnt.until.is_none()) {
                rows.push(row(at, "refused by the gate, until it is released", refused));
                break;
            }
            continue;
        }
        record = transition(record, &full.bounce(number, at), policy);
        let standing = match record.learnt.as_ref().map(|learnt| learnt.until) {
            Some(Some(until)) => format!("passes, bounces, quarantined until {}", until.date()),
            Some(None) => "passes, bounces, quarantined for good".to_owned(),
            None => "passes, bounces, watched".to_owned(),
        };
        rows.push(row(at, &standing, std::mem::take(&mut refused)));
    }
    let released = full.happens(&record, "released", at, released(), policy);
    let after = full.verdict(&released, at, policy);
    let heard =
        if after == Verdict::Forward { "released by an operator: passes" } else { "still refused" };
    rows.push(row(at, heard, 0));
    show.table(&["on", "what happens", "refused since"], rows)?;
    show.say("A delivery at any step would start over.\n")
}

fn row(at: Timestamp, what: &str, refused: usize) -> Vec<String> {
    vec![at.date(), what.to_owned(), refused.to_string()]
}

fn released() -> What {
    What::Release { from: List::Quarantine, act: Act::default() }
}

/// An address with its latest bounce, from which further ones are made.
struct Address {
    record: Record,
    latest: Event,
}

impl Address {
    fn of(stage: &Stage, address: &str) -> Result<Self, Failure> {
        let latest =
            stage.history(address)?.into_iter().rfind(|event| matches!(event.what, What::Reply(_)));
        let latest =
            latest.ok_or_else(|| Failure::Internal(format!("{address} has not bounced")))?;
        Ok(Self { record: stage.record(address)?, latest })
    }

    /// What a RCPT would get at this time.
    fn verdict(&self, record: &Record, at: Timestamp, policy: &Policy) -> Verdict {
        decide(Some(record), &Listing::default(), &self.latest.tenant, at, policy).verdict
    }

    /// The record after one more event.
    fn happens(
        &self,
        record: &Record,
        id: &str,
        at: Timestamp,
        what: What,
        policy: &Policy,
    ) -> Record {
        let event = Event { id: EventId(id.to_owned()), at, what, ..self.latest.clone() };
        transition(record.clone(), &event, policy)
    }

    /// The same bounce again, of another message.
    fn bounce(&self, number: usize, at: Timestamp) -> Event {
        let mut event = self.latest.clone();
        event.id = EventId(format!("ahead-{number}"));
        event.at = at;
        if let What::Reply(evidence) = &mut event.what {
            evidence.context.message = Some(format!("ahead-{number}"));
        }
        event
    }

    /// How many more bounces it takes.
    fn until_quarantined(&self, policy: &Policy) -> usize {
        let mut record = self.record.clone();
        let mut at = self.latest.at;
        for number in 0..AHEAD_MAX {
            if record.learnt.is_some() {
                return number;
            }
            at = at.plus(policy.hard.min_gap);
            record = transition(record, &self.bounce(number, at), policy);
        }
        AHEAD_MAX
    }
}
