//! An outage while it lasts, and how its end is told.

use super::Notice;
use super::rules::{Sign, share};
use super::settings::OutageSettings;
use super::window::Seen;
use crate::event::outage::OutageKey;
use crate::time::Timestamp;

/// Below this part of what is an alarm the sign is gone: an outage that wavers must not end and begin by turns.
const GONE: f64 = 0.25;
/// So many times as many recipients as make an alarm must be tried to tell that it is over: of a small outage, a few tries may by chance all
/// go well.
const TRIED: u32 = 4;
/// So many times as long as the sign must be gone, nothing at all must be refused where too little is tried to tell.
const SILENCE: u32 = 6;

/// An outage that lasts.
#[derive(Clone, Debug)]
pub(super) struct Open {
    pub key: OutageKey,
    pub since: Timestamp,
    sign: Option<Sign>,
    /// The latest refusal; none yet of one that was resumed.
    last_hard: Option<Timestamp>,
    /// The span that is being judged, from its first outcome on.
    span: Option<Span>,
    /// Below this share of all recipients the sign is gone, where too few are known to be good.
    gone: f64,
}

/// What one more outcome makes of an outage.
pub(super) enum Turn {
    Lasts,
    /// It began earlier than was thought.
    Widened,
    Ended(Timestamp),
}

#[derive(Clone, Copy, Debug)]
struct Span {
    since: Timestamp,
    tried: u32,
    refused: u32,
    tried_good: u32,
    refused_good: u32,
}

impl Open {
    /// One that was found out, when and how; or one that is resumed.
    pub(super) fn new(
        key: OutageKey,
        since: Timestamp,
        found: Option<(Timestamp, Sign)>,
        settings: &OutageSettings,
    ) -> Self {
        let sign = found.map(|(_, sign)| sign);
        let alarm = match sign {
            Some(Sign::Share { usual, .. }) => settings.share.max(settings.factor * usual),
            Some(Sign::KnownGood { .. }) | None => settings.share,
        };
        Self {
            key,
            since,
            sign,
            last_hard: found.map(|(at, _)| at),
            span: None,
            gone: alarm * GONE,
        }
    }

    pub(super) fn notice(&self, at: Timestamp) -> Notice {
        Notice::Trip { key: self.key.clone(), since: self.since, at, sign: self.sign }
    }

    pub(super) fn note(&mut self, seen: &Seen, settings: &OutageSettings) -> Turn {
        let at = seen.at;
        if let Some(end) = self.silent(at, settings) {
            return Turn::Ended(end);
        }
        let span = self.span.get_or_insert(Span::new(at));
        // A clock that was set back must not make a span last for ever.
        span.since = span.since.min(at);
        if seen.fresh {
            span.count(seen);
        }
        if at.since(span.since) >= settings.quiet
            && let Some(gone) = span.is_gone(settings, self.gone)
        {
            self.span = None;
            if gone {
                return Turn::Ended(at);
            }
        }
        if !seen.hard {
            return Turn::Lasts;
        }
        self.last_hard = self.last_hard.max(Some(at));
        if at >= self.since {
            return Turn::Lasts;
        }
        self.since = at;
        Turn::Widened
    }

    /// The moment of the end, if nothing was refused for so long.
    pub(super) fn silent(
        &mut self,
        now: Timestamp,
        settings: &OutageSettings,
    ) -> Option<Timestamp> {
        let silence = settings.quiet.saturating_mul(SILENCE);
        let last = self.last_hard.get_or_insert(now);
        // Dated far ahead of now: the clock was set back.
        if last.since(now) > silence {
            *last = now;
        }
        (now.since(*last) >= silence).then(|| last.plus(silence))
    }
}

impl Span {
    const fn new(since: Timestamp) -> Self {
        Self { since, tried: 0, refused: 0, tried_good: 0, refused_good: 0 }
    }

    fn count(&mut self, seen: &Seen) {
        let (hard, good) = (u32::from(seen.hard), u32::from(seen.good));
        self.tried = self.tried.saturating_add(1);
        self.refused = self.refused.saturating_add(hard);
        self.tried_good = self.tried_good.saturating_add(good);
        self.refused_good = self.refused_good.saturating_add(hard & good);
    }

    /// Whether the sign is gone; nothing while too little was tried to tell.
    fn is_gone(&self, settings: &OutageSettings, gone: f64) -> Option<bool> {
        let least = settings.min_recipients.saturating_mul(TRIED);
        if self.tried_good >= least {
            Some(share(self.refused_good, self.tried_good) < settings.known_good_share * GONE)
        } else if self.tried >= least {
            Some(share(self.refused, self.tried) < gone)
        } else {
            None
        }
    }
}
