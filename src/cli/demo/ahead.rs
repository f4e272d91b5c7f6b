//! What the policy would make of the bounces to come: the same fold that the gate runs, over events that have not happened.

use std::io::Write;

use super::cast::{FULL, GONE, MOVED};
use super::show::Show;
use super::stage::Stage;
use crate::event::{Event, EventId, What};
use crate::failure::Failure;
use crate::policy::{Policy, Record, transition};
use crate::time::Timestamp;

/// Bounces looked ahead, more than any preset has steps.
const AHEAD_MAX: usize = 100;

/// Tells how three of the addresses would go on.
pub(super) fn tell(stage: &Stage, show: &mut Show<impl Write>) -> Result<(), Failure> {
    let policy = stage.policy();
    show.heading(
        "What would come next (the same rules, applied to bounces that have not happened yet)",
    )?;
    let full = Address::of(stage, FULL)?;
    let (steps, long_term) = full.steps(&policy);
    let date = full.release().map(Timestamp::date).unwrap_or_default();
    let steps: Vec<String> = steps.iter().map(ToString::to_string).collect();
    let end = if long_term { ", and the next for good" } else { "" };
    show.say(&format!(
        "  {FULL}  is let through again on {date}; each bounce after a release would\n      \
         quarantine it for {} days{end}. A delivery starts over.",
        steps.join(", then "),
    ))?;
    let moved = Address::of(stage, MOVED)?;
    show.say(&format!(
        "  {MOVED}  {} more hard bounces, an hour or more apart, quarantine it for good.",
        moved.until_quarantined(&policy),
    ))?;
    show.say(&format!("  {GONE}  stays refused, to all tenants, until an operator releases it."))
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

    fn release(&self) -> Option<Timestamp> {
        self.record.learnt.as_ref().and_then(|learnt| learnt.until)
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

    /// The lengths in days of the quarantines to come if each release is followed by a bounce, and whether the last is for good.
    fn steps(&self, policy: &Policy) -> (Vec<u64>, bool) {
        let mut record = self.record.clone();
        let mut days = Vec::new();
        let Some(mut at) = self.release() else { return (days, false) };
        for number in 0..AHEAD_MAX {
            record = transition(record, &self.bounce(number, at), policy);
            match record.learnt.as_ref().map(|learnt| learnt.until) {
                Some(Some(until)) => {
                    days.push(until.since(at).as_secs() / 86_400);
                    at = until;
                }
                Some(None) => return (days, true),
                None => break,
            }
        }
        (days, false)
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
