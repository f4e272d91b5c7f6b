//! What the gate says to a recipient, and where it goes.

use super::{Passed, Reporter};
use crate::policy::verdict::{Reason, Verdict};
use crate::routing::Destination;
use crate::session::{Envelope, Input};
use crate::smtp::address::{Recipient, RecipientKey};
use crate::smtp::reply::Reply;
use crate::tally::Ground;
use crate::time::Timestamp;

/// Why a recipient is refused that goes nowhere.
const NO_ROUTE: &str = "route";
/// Reasons that are kept at most, more than a transaction has recipients.
const PASSED_MAX: usize = 1024;

impl Reporter {
    /// What the gate says to this recipient, and where it goes if it passes. In monitor mode what would have been refused is
    /// counted, and passes.
    pub(in crate::proxy) fn judge(
        &mut self,
        envelope: &Envelope,
        recipient: &Recipient,
    ) -> Input<'static> {
        if !self.part().has_mail() {
            // Where it goes is asked by the connections behind.
            return Input::Forward(Destination::default());
        }
        self.account_of(envelope);
        let passed = match recipient.key().map(|key| self.verdict(envelope, key)) {
            Some(Ok(passed)) => Some(passed),
            Some(Err(reply)) => return Input::Refused(reply),
            None => None,
        };
        match self.door.outbound.routes.destination(recipient) {
            Ok(destination) => {
                if let (Some(key), Some(passed)) = (recipient.key(), passed) {
                    self.door.metrics.decided("forward", passed.reason);
                    self.passes(key, passed);
                }
                Input::Forward(destination)
            }
            Err(reply) => {
                self.door.metrics.decided("refuse", NO_ROUTE);
                if let Some(key) = recipient.key() {
                    let passed = Passed { reason: NO_ROUTE, ..Passed::default() };
                    self.rcpt(envelope, key, "refuse", &passed, None, &reply);
                    self.count_refused(envelope, key, Ground::NoRoute);
                }
                Input::Refused(reply)
            }
        }
    }

    /// Why the gate lets the recipient pass; it is counted once it is known that there is a way for it.
    ///
    /// # Errors
    /// It does not.
    fn verdict(&mut self, envelope: &Envelope, key: &RecipientKey) -> Result<Passed, Reply> {
        let decision = self.door.gate.judge(key, &self.tenant, Timestamp::now());
        let passed = Passed { reason: decision.reason.name(), ..Passed::default() };
        let (verdict, reply) = match decision.verdict {
            Verdict::Forward => return Ok(passed),
            Verdict::Refuse(reply) => ("refuse", reply),
            Verdict::Defer(reply) => ("defer", reply),
        };
        if self.door.settings.monitor {
            let would_reply = Some(reply.to_string());
            return Ok(Passed { would: verdict, would_reply, ..passed });
        }
        self.door.metrics.decided(verdict, passed.reason);
        self.rcpt(envelope, key, verdict, &passed, None, &reply);
        self.count_refused(envelope, key, ground(decision.reason));
        Err(reply)
    }

    /// Keeps why a recipient passes until the next hop has answered: one decision is one line of the log.
    fn passes(&mut self, key: &RecipientKey, passed: Passed) {
        // Of a transaction that breaks off some are never asked for.
        if passed.reason != Passed::default().reason && self.passed.len() < PASSED_MAX {
            self.passed.push((key.clone(), passed));
        }
    }

    pub(super) fn why_passed(&mut self, key: &RecipientKey) -> Passed {
        let found = self.passed.iter().position(|(of, _)| of == key);
        found.map(|at| self.passed.remove(at).1).unwrap_or_default()
    }
}

/// What a refusal for this reason is counted as.
const fn ground(reason: Reason) -> Ground {
    match reason {
        Reason::Quarantine => Ground::Quarantine,
        Reason::QuarantineLongTerm => Ground::QuarantineLongTerm,
        // Most of what other systems had is for good.
        Reason::Imported => Ground::QuarantineLongTerm,
        Reason::Manual => Ground::Manual,
        Reason::Blacklist => Ground::Blacklist,
        Reason::Disposable => Ground::Disposable,
        // Nothing speaks against the recipient, as far as could be read.
        Reason::None | Reason::Allowed => Ground::Unreadable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_counted_under_what_it_is_for() {
        for (reason, wanted) in [
            (Reason::Quarantine, Ground::Quarantine),
            (Reason::QuarantineLongTerm, Ground::QuarantineLongTerm),
            (Reason::Imported, Ground::QuarantineLongTerm),
            (Reason::Manual, Ground::Manual),
            (Reason::Blacklist, Ground::Blacklist),
            (Reason::Disposable, Ground::Disposable),
            (Reason::None, Ground::Unreadable),
        ] {
            assert_eq!(ground(reason), wanted, "{reason:?}");
        }
    }
}
