//! Which events an order is about.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Event;
use crate::bounce::{Category, host_of};
use crate::smtp::address::domain_key;
use crate::time::Timestamp;

/// Longest text of one condition, in bytes: what it is compared with is no longer.
const TEXT_MAX: usize = 1000;

/// Conditions on events, as people and JSON give them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Conditions {
    /// It happened then or later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// It happened before then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// The host that answered is this one or below this domain, whatever its port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receiver: Option<String>,
    /// This rule read the reply.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// It came from there: of a complaint or an import.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// This import brought it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<String>,
    /// The reply was of this category; a complaint is a `complaint`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category: Option<Category>,
    /// The address has this domain, without its sub-domains.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
    /// This person did it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}

/// Conditions of which all must hold: at least one, in the form in which they are compared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Conditions", into = "Conditions")]
pub struct Selector(Conditions);

/// Why conditions select nothing that anybody can have meant.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SelectFault {
    /// None is given: that would be everything.
    #[error("say which events: no condition is given, and that would be all there are")]
    Empty,
    /// The end is not behind the start.
    #[error("no time is before {until} and not before {since}")]
    Never {
        /// The start.
        since: Timestamp,
        /// The end.
        until: Timestamp,
    },
    /// A text is empty, or longer than what it is compared with.
    #[error("{0} needs 1 to {TEXT_MAX} bytes")]
    Text(&'static str),
}

impl Selector {
    /// Makes one of conditions.
    ///
    /// # Errors
    /// Says which condition makes no sense.
    pub fn new(mut conditions: Conditions) -> Result<Self, SelectFault> {
        if let Some(receiver) = &mut conditions.receiver {
            *receiver = host_of(receiver.trim_start_matches('.')).to_ascii_lowercase();
        }
        if let Some(domain) = &mut conditions.domain {
            *domain = domain_key(domain);
        }
        let Conditions { since, until, receiver, rule, source, batch, category, domain, by } =
            &conditions;
        if let (&Some(since), &Some(until)) = (since, until)
            && until <= since
        {
            return Err(SelectFault::Never { since, until });
        }
        let texts = [
            ("receiver", receiver),
            ("rule", rule),
            ("source", source),
            ("batch", batch),
            ("domain", domain),
            ("by", by),
        ];
        let wrong = |text: &String| text.is_empty() || text.len() > TEXT_MAX;
        if let Some((name, _)) = texts.iter().find(|(_, text)| text.as_ref().is_some_and(wrong)) {
            return Err(SelectFault::Text(name));
        }
        let timed = since.is_some() || until.is_some();
        if !timed && category.is_none() && texts.iter().all(|(_, text)| text.is_none()) {
            return Err(SelectFault::Empty);
        }
        Ok(Self(conditions))
    }

    /// The conditions.
    pub const fn conditions(&self) -> &Conditions {
        &self.0
    }

    /// Whether all conditions hold for an event. Allocates nothing.
    pub fn selects(&self, event: &Event) -> bool {
        let Conditions { since, until, receiver, rule, source, batch, category, domain, by } =
            &self.0;
        since.is_none_or(|since| event.at >= since)
            && until.is_none_or(|until| event.at < until)
            && category.is_none_or(|category| event.category() == Some(category))
            && holds(batch.as_ref(), |batch| event.batch() == Some(batch))
            && holds(domain.as_ref(), |domain| event.address.domain() == domain)
            && holds(rule.as_ref(), |rule| event.rule() == Some(rule))
            && holds(source.as_ref(), |source| event.source() == Some(source))
            && holds(by.as_ref(), |by| event.act().is_some_and(|act| act.by == *by))
            && holds(receiver.as_ref(), |receiver| {
                let answered = event.context().and_then(|context| context.receiver.as_deref());
                answered.is_some_and(|answered| is_below(host_of(answered), receiver))
            })
    }
}

fn holds(wanted: Option<&String>, fits: impl FnOnce(&str) -> bool) -> bool {
    wanted.is_none_or(|wanted| fits(wanted))
}

/// Whether a host is this name or below it, by whole labels.
fn is_below(host: &str, name: &str) -> bool {
    let Some(start) = host.len().checked_sub(name.len()) else { return false };
    let ends = host.get(start..).is_some_and(|end| end.eq_ignore_ascii_case(name));
    ends && (start == 0 || host.as_bytes().get(start - 1) == Some(&b'.'))
}

impl TryFrom<Conditions> for Selector {
    type Error = SelectFault;

    fn try_from(conditions: Conditions) -> Result<Self, SelectFault> {
        Self::new(conditions)
    }
}

impl From<Selector> for Conditions {
    fn from(selector: Selector) -> Self {
        selector.0
    }
}

/// `since=2026-11-23T10:00:00Z receiver=google.com`, for people.
impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Conditions { since, until, receiver, rule, source, batch, category, domain, by } =
            &self.0;
        let text = |text: &Option<String>| text.clone();
        let words = [
            ("since", since.map(|since| since.to_string())),
            ("until", until.map(|until| until.to_string())),
            ("receiver", text(receiver)),
            ("rule", text(rule)),
            ("source", text(source)),
            ("batch", text(batch)),
            ("category", category.map(|category| category.name().to_owned())),
            ("domain", text(domain)),
            ("by", text(by)),
        ];
        let mut gap = "";
        for (name, value) in words {
            if let Some(value) = value {
                write!(f, "{gap}{name}={value}")?;
                gap = " ";
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
