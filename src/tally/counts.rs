//! How often what became of recipients.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::outcome::{Cause, Class, Ground, Outcome, PLACES};

/// How often each outcome was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counts([u64; PLACES]);

impl Default for Counts {
    fn default() -> Self {
        Self([0; PLACES])
    }
}

impl Counts {
    /// One more, or several.
    pub fn add(&mut self, outcome: Outcome, count: u64) {
        if let Some(place) = self.0.get_mut(outcome.place()) {
            *place = place.saturating_add(count);
        }
    }

    /// How often this was.
    pub fn of(&self, outcome: Outcome) -> u64 {
        self.0.get(outcome.place()).copied().unwrap_or_default()
    }

    /// All of another.
    pub fn merge(&mut self, other: &Self) {
        for (place, count) in self.0.iter_mut().zip(other.0) {
            *place = place.saturating_add(count);
        }
    }

    /// Bounces of one class.
    pub fn bounced(&self, class: Class) -> u64 {
        let of_it = Cause::ALL.into_iter().filter(|cause| cause.class() == class);
        of_it.map(|cause| self.of(Outcome::Bounced(cause))).sum()
    }

    /// Messages whose end is known: what a rate is of. Attempts that were deferred are none, or a message would count as often as it
    /// was tried.
    pub fn decided(&self) -> u64 {
        let bounced = Cause::ALL.map(|cause| self.of(Outcome::Bounced(cause)));
        self.of(Outcome::Delivered).saturating_add(bounced.into_iter().sum())
    }

    /// Attempts that were deferred.
    pub fn deferred(&self) -> u64 {
        Cause::ALL.map(|cause| self.of(Outcome::Deferred(cause))).into_iter().sum()
    }

    /// Refused by the gate.
    pub fn refused(&self) -> u64 {
        Ground::ALL.map(|ground| self.of(Outcome::Refused(ground))).into_iter().sum()
    }

    /// Attempts that were sent on.
    pub fn sent(&self) -> u64 {
        self.decided() + self.deferred() + self.of(Outcome::Unfinished)
    }
}

/// `{"delivered":3,"bounced.user_unknown":1}`: what is zero is left out.
impl Serialize for Counts {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(
            Outcome::all()
                .map(|outcome| (outcome, self.of(outcome)))
                .filter(|(_, count)| *count > 0)
                .map(|(outcome, count)| (outcome.name(), count)),
        )
    }
}

/// What another version counted under other names is left out.
impl<'de> Deserialize<'de> for Counts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let named = BTreeMap::<String, u64>::deserialize(deserializer)?;
        let mut counts = Self::default();
        for outcome in Outcome::all() {
            counts.add(outcome, named.get(&outcome.name()).copied().unwrap_or_default());
        }
        Ok(counts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_of_messages_not_of_attempts() {
        let mut counts = Counts::default();
        counts.add(Outcome::Delivered, 97);
        counts.add(Outcome::Bounced(Cause::UserUnknown), 1);
        counts.add(Outcome::Bounced(Cause::Blocked), 2);
        counts.add(Outcome::Deferred(Cause::MailboxFull), 288);
        counts.add(Outcome::Refused(Ground::Quarantine), 5);
        assert_eq!((counts.decided(), counts.bounced(Class::Hard)), (100, 1));
        assert_eq!((counts.sent(), counts.deferred(), counts.refused()), (388, 288, 5));
        let text = serde_json::to_string(&counts).unwrap();
        assert_eq!(serde_json::from_str::<Counts>(&text).unwrap(), counts);
        let newer: Counts = serde_json::from_str(r#"{"delivered":1,"teleported":2}"#).unwrap();
        assert_eq!(newer.sent(), 1);
    }
}
