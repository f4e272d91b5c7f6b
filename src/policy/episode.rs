//! Attempts and bounces: many deferred attempts of one message are at most one soft bounce (DESIGN §6).
//!
//! Silence ends an episode when somebody asks, never by a timer. Asking at any time in between gives the same end: episodes
//! fall due in the order of their last attempts, and a bounce is dated by its attempt, not by the asking.

use std::borrow::Cow;
use std::time::Duration;

use super::record::{Cause, EPISODES_MAX, Episode, EpisodeKey, Learnt, Record};
use super::settings::{Policy, Sentence};
use crate::event::{Context, Event, Evidence};
use crate::time::Timestamp;

/// How long after its last attempt a named message is remembered, and a delivery or release against evidence that comes late: longer than any client's queue keeps one
/// (RFC 5321 §4.5.4.1 says four to five days; qmail keeps seven).
const MESSAGE_KEPT: Duration = Duration::from_secs(10 * 86_400);

/// Closes the episodes that have fallen silent by `now`, and forgets what can no longer matter.
pub fn settle(mut record: Record, now: Timestamp, policy: &Policy) -> Record {
    pass(&mut record, now, policy);
    record
}

/// [`settle`] where the record is: it is half a kilobyte, which the fold would else copy at every step.
pub(super) fn pass(record: &mut Record, now: Timestamp, policy: &Policy) {
    if record.episodes.is_empty() && record.cleared.is_none() {
        return;
    }
    while let Some(silent) = next_silent(record, now, policy) {
        silent.counted = true;
        let (at, cause, campaign) = (silent.last, silent.cause.clone(), silent.campaign.clone());
        bounce(record, at, || campaign.into(), || cause, policy);
    }
    let window = policy.soft.retry_window;
    let message_kept = MESSAGE_KEPT.max(window);
    record.episodes.retain(|episode| {
        let kept = if episode.key.is_message() { message_kept } else { window };
        now.since(episode.last) <= kept
    });
    record.cleared = record.cleared.filter(|cleared| now.since(*cleared) <= message_kept);
}

/// The record as it reads at `now`, without a copy when time has changed nothing.
pub fn settled<'a>(record: &'a Record, now: Timestamp, policy: &Policy) -> Cow<'a, Record> {
    let due = record
        .episodes
        .iter()
        .any(|episode| !episode.counted && now.since(episode.last) >= policy.soft.retry_window);
    if due { Cow::Owned(settle(record.clone(), now, policy)) } else { Cow::Borrowed(record) }
}

/// Whether some message is being deferred right now.
pub(super) fn is_open(record: &Record, now: Timestamp, policy: &Policy) -> bool {
    record
        .episodes
        .iter()
        .any(|episode| !episode.counted && now.since(episode.last) < policy.soft.retry_window)
}

fn next_silent<'a>(
    record: &'a mut Record,
    now: Timestamp,
    policy: &Policy,
) -> Option<&'a mut Episode> {
    record
        .episodes
        .iter_mut()
        .filter(|episode| {
            !episode.counted
                && now.since(episode.last) >= policy.soft.retry_window
                && episode.last.since(episode.first) >= policy.soft.min_span
        })
        .min_by_key(|episode| episode.last)
}

/// A deferred attempt: opens an episode or goes on with one.
pub(super) fn attempt(record: &mut Record, event: &Event, evidence: &Evidence, policy: &Policy) {
    let window = policy.soft.retry_window;
    let at = event.at;
    if let Some(open) = find(record, &evidence.context, at, window) {
        open.first = open.first.min(at);
        open.last = open.last.max(at);
        if open.counted {
            return;
        }
        if open.last.since(open.first) >= window {
            open.counted = true;
            let (at, campaign) = (open.last, open.campaign.clone());
            bounce(record, at, || campaign.into(), || Cause::of(event, evidence), policy);
        } else {
            open.cause.set(event, evidence);
        }
        return;
    }
    // The same sender again, but beyond what can be one message.
    record.episodes.retain(|episode| !episode.key.is_of(&evidence.context));
    remember(record, event, evidence, false, policy);
}

/// A final reply to a message (5yz): one soft bounce, unless its attempts were counted before.
pub(super) fn finish(record: &mut Record, event: &Event, evidence: &Evidence, policy: &Policy) {
    let context = &evidence.context;
    if let Some(episode) = find(record, context, event.at, policy.soft.retry_window) {
        // Without a message key every 5yz ends a message of its own.
        if episode.counted && episode.key.is_message() {
            episode.last = episode.last.max(event.at);
            return;
        }
    }
    if !record.soft.is_new_message(event, context) {
        return;
    }
    record.episodes.retain(|episode| !episode.key.is_of(context));
    if context.message.is_some() {
        remember(record, event, evidence, true, policy);
    }
    let campaign = || campaign_of(event, context);
    bounce(record, event.at, campaign, || Cause::of(event, evidence), policy);
}

/// One soft bounce: a step, unless it is dated before a release, a delivery or the end of the present quarantine.
fn bounce<'a>(
    record: &mut Record,
    at: Timestamp,
    campaign: impl FnOnce() -> Cow<'a, str>,
    cause: impl FnOnce() -> Cause,
    policy: &Policy,
) {
    let quarantined = record.learnt.as_ref().is_some_and(|learnt| learnt.holds(at));
    if quarantined || record.answers(at) {
        return;
    }
    if !record.soft.is_new_campaign(policy.soft.distinct, campaign) {
        return;
    }
    record.soft.count(at);
    let until = match policy.soft.sentence(record.soft.count) {
        Sentence::None => return,
        Sentence::For(length) => Some(at.plus(length)),
        Sentence::ForGood => None,
    };
    record.learnt = Some(Learnt { since: at, until, cause: cause() });
}

/// The episode that an attempt of this date belongs to.
fn find<'a>(
    record: &'a mut Record,
    context: &Context,
    at: Timestamp,
    window: Duration,
) -> Option<&'a mut Episode> {
    record.episodes.iter_mut().find(|episode| {
        episode.key.is_of(context) && (episode.key.is_message() || is_near(episode, at, window))
    })
}

/// Whether an attempt can be of the same message when only sender and recipient say so: within the window of its neighbours, and
/// not beyond two windows of the first one, or a daily mailing would be one message for ever.
fn is_near(episode: &Episode, at: Timestamp, window: Duration) -> bool {
    at.since(episode.last) <= window
        && episode.first.since(at) <= window
        && at.since(episode.first) <= window.saturating_mul(2)
}

fn remember(
    record: &mut Record,
    event: &Event,
    evidence: &Evidence,
    counted: bool,
    policy: &Policy,
) {
    if record.episodes.len() >= EPISODES_MAX {
        let spent = record
            .episodes
            .iter()
            .enumerate()
            .filter(|(_, episode)| {
                episode.counted || event.at.since(episode.last) >= policy.soft.retry_window
            })
            .min_by_key(|(_, episode)| episode.last)
            .map(|(index, _)| index);
        // Eight messages are failing at this very time: a ninth adds nothing to what they will show.
        let Some(spent) = spent else { return };
        record.episodes.swap_remove(spent);
    }
    record.episodes.push(Episode {
        key: EpisodeKey::of(&evidence.context),
        first: event.at,
        last: event.at,
        counted,
        campaign: campaign_of(event, &evidence.context).into_owned(),
        cause: Cause::of(event, evidence),
    });
}

/// The campaign of a message: its name, else its sender and the UTC day.
pub(super) fn campaign_of<'a>(event: &Event, context: &'a Context) -> Cow<'a, str> {
    match &context.campaign {
        Some(campaign) => super::text::bounded(campaign),
        None => {
            let sender = context.sender.as_deref().map_or(Cow::Borrowed(""), super::text::bounded);
            Cow::Owned(format!("{sender} day {}", event.at.utc_day()))
        }
    }
}
