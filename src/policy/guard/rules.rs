//! When a window is an alarm.

use std::collections::BTreeMap;

use super::settings::OutageSettings;
use super::window::{BUCKETS, Counts, Refused, Window};

/// The spans that are looked at, in buckets: the last hour or less, where a fast outage stands out from the good hours before it,
/// and the whole window, in which a sender of little mail comes to enough recipients.
const LOOKS: [i32; 2] = [2, BUCKETS];
/// Of all that are refused, at least this share must be known to be good. The filter takes a few strangers in a thousand for known,
/// so a large dead list has some such.
const BEYOND_CHANCE: f64 = 0.05;
/// Where fewer of those accepted were known to be good, the filter cannot say: it is new, or recipients do not come twice.
const BLIND: f64 = 0.2;
/// A share seen of few recipients is uncertain: so many standard deviations more than the setting are needed, that is 20 of 200, 34 of
/// 400, 568 of 10000. A monthly mailing finds what closed in a month, just below the setting, and is cut into many windows.
const DEVIATIONS: f64 = 3.0;
/// Fewer outcomes than this say nothing of what is usual.
const HISTORY_MIN: f64 = 1000.0;

/// What gave an outage away.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Sign {
    /// Recipients that accepted mail of late were refused: so many of so many tried.
    KnownGood {
        /// Refused.
        refused: u32,
        /// Refused or accepted.
        tried: u32,
    },
    /// Far more were refused than is usual under this key.
    Share {
        /// Refused.
        refused: u32,
        /// Refused or accepted.
        tried: u32,
        /// The usual share, 0 to 1.
        usual: f64,
    },
}

/// How recipients refused are told to be enough.
pub(super) struct Enough<'a> {
    /// Distinct ones.
    pub least: u32,
    /// Of a receiver: domains that have an alarm of their own. Of a domain: nothing.
    pub alarmed: Option<&'a dyn Fn(u32) -> bool>,
}

/// The sign of an outage in a window, if there is one.
pub(super) fn sign(
    window: &Window,
    settings: &OutageSettings,
    enough: &Enough<'_>,
) -> Option<Sign> {
    LOOKS.iter().find_map(|look| {
        let counts = window.sum(*look);
        let (good, strange) = window.refused(*look);
        let good: Vec<&Refused> = good.collect();
        if enough.holds(&good) {
            let tried = counts.accepted_good.saturating_add(counts.refused_good);
            let refused = counts.refused_good;
            if is_beyond(refused, tried, settings.known_good_share)
                && share(refused, counts.refused) >= BEYOND_CHANCE
            {
                return Some(Sign::KnownGood { refused, tried });
            }
        }
        let all: Vec<&Refused> = good.into_iter().chain(strange).collect();
        if enough.holds(&all) { unusual(window, &counts, settings) } else { None }
    })
}

/// The second rule, for where the filter cannot say.
fn unusual(window: &Window, counts: &Counts, settings: &OutageSettings) -> Option<Sign> {
    let history = &window.history;
    let accepted = f64::from(history.accepted) + f64::from(counts.accepted);
    let known = f64::from(history.accepted_good) + f64::from(counts.accepted_good);
    if history.outcomes() < HISTORY_MIN || known >= BLIND * accepted {
        return None;
    }
    let usual = f64::from(history.refused) / history.outcomes();
    let (refused, tried) = (counts.refused, counts.accepted.saturating_add(counts.refused));
    let now = share(refused, tried);
    (now >= settings.share && now >= settings.factor * usual).then_some(Sign::Share {
        refused,
        tried,
        usual,
    })
}

/// Whether a part is more of the whole than this share, and not by chance.
fn is_beyond(part: u32, whole: u32, share: f64) -> bool {
    let expected = share * f64::from(whole);
    f64::from(part) >= expected + DEVIATIONS * expected.sqrt()
}

pub(super) fn share(part: u32, whole: u32) -> f64 {
    f64::from(part) / f64::from(whole.max(1))
}

impl Enough<'_> {
    /// Whether there are enough distinct recipients. Under a receiver those of domains with an alarm of their own do not count, and
    /// no domain may have more than half of the rest: what is wrong with one domain is no outage of all that are beside it.
    fn holds(&self, refused: &[&Refused]) -> bool {
        let least = usize::try_from(self.least).unwrap_or(usize::MAX);
        if refused.len() < least {
            return false;
        }
        let Some(alarmed) = self.alarmed else { return true };
        let mut domains = BTreeMap::<u32, usize>::new();
        for refused in refused.iter().filter(|refused| !alarmed(refused.domain)) {
            *domains.entry(refused.domain).or_default() += 1;
        }
        let rest: usize = domains.values().sum();
        rest >= least && domains.values().all(|count| count * 2 <= rest)
    }
}
