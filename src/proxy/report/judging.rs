//! What the gate says to a recipient, and where it goes.

use std::sync::Arc;

use super::{Passed, Reporter};
use crate::policy::verdict::Verdict;
use crate::routing::Destination;
use crate::session::{Envelope, Input};
use crate::smtp::address::{Recipient, RecipientKey};
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
        let door = Arc::clone(&self.door);
        match (self.verdict(envelope, recipient), door.outbound.routes.destination(recipient)) {
            (Verdict::Forward, Ok(destination)) => Input::Forward(destination),
            (Verdict::Forward, Err(reply)) => {
                door.metrics.decided("refuse", NO_ROUTE);
                if let Some(key) = recipient.key() {
                    let passed = Passed { reason: NO_ROUTE, ..Passed::default() };
                    self.rcpt(envelope, key, "refuse", &passed, None, &reply);
                }
                Input::Refused(reply)
            }
            (Verdict::Refuse(reply) | Verdict::Defer(reply), _) => Input::Refused(reply),
        }
    }

    fn verdict(&mut self, envelope: &Envelope, recipient: &Recipient) -> Verdict {
        let Some(key) = recipient.key() else { return Verdict::Forward };
        let decision = self.door.gate.judge(key, &self.tenant, Timestamp::now());
        let reason = decision.reason.name();
        let (verdict, reply) = match &decision.verdict {
            Verdict::Forward => {
                self.door.metrics.decided("forward", reason);
                self.passes(key, Passed { reason, ..Passed::default() });
                return decision.verdict;
            }
            Verdict::Refuse(reply) => ("refuse", reply),
            Verdict::Defer(reply) => ("defer", reply),
        };
        if self.door.settings.monitor {
            self.door.metrics.decided("forward", reason);
            self.passes(
                key,
                Passed { reason, would: verdict, would_reply: Some(reply.to_string()) },
            );
            return Verdict::Forward;
        }
        self.door.metrics.decided(verdict, reason);
        self.rcpt(envelope, key, verdict, &Passed { reason, ..Passed::default() }, None, reply);
        decision.verdict
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
