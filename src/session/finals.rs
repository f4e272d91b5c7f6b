//! The final replies of a next hop that speaks LMTP: one for each recipient that it accepted, in the order of RCPT, the same
//! address twice if it was accepted twice (RFC 2033 §4.2).
//!
//! Each is about its own recipient, whatever the others get: a delivery of it or evidence about it, and reported at once. When the
//! next hop is lost on the way, those that came stand.

use super::leg::{Awaited, Sent};
use super::owed::SlotId;
use super::transaction::Transaction;
use super::{Arc, Outcome, Outputs, Phase, Protocol, Session, replies};
use crate::bounce::Stage;
use crate::smtp::extensions::Capabilities;
use crate::smtp::reply::Reply;

impl Protocol {
    /// Whether a client hears one final reply only, however many recipients its message has.
    pub(super) const fn tells_one_end(self) -> bool {
        match self {
            Self::Smtp => true,
            Self::Lmtp => false,
        }
    }
}

impl Transaction {
    /// Whether it has a recipient for a next hop that answers for each: one more, and a client that hears one final reply would
    /// be told of somebody else's refusal, or of nobody's.
    pub(super) fn is_taken(&self, there: &Capabilities) -> bool {
        there.lmtp && (self.pending > 0 || !self.accepted.is_empty())
    }
}

impl Session {
    /// Whether the final reply that has come is not the last.
    pub(super) fn more_finals_due(&self) -> bool {
        let due = self.transaction.as_ref().map_or(0, |now| now.accepted.len());
        self.leg.speaks_lmtp() && due > 1
    }

    /// The final reply for the first recipient that has none yet.
    pub(super) fn recipient_ended(&mut self, slot: SlotId, reply: &Reply, out: &mut Outputs) {
        let Phase::Final(octets) = self.phase else { return };
        let Some(transaction) = &mut self.transaction else { return };
        let mut others = std::mem::take(&mut transaction.accepted);
        transaction.accepted.extend(others.pop_front());
        self.owed.set_copies(slot, 1);
        let goodbye = reply.code.get() == 421;
        if reply.is_success() {
            (self.errors, self.junk) = (0, 0);
            self.owed.settle(slot, reply.clone());
            self.report(Outcome::Delivered, octets, reply, out);
        } else {
            self.refused_message(Stage::EndOfData, slot, reply, out);
            let told = if goodbye { replies::instead_of_421(reply) } else { reply.clone() };
            self.report(Outcome::Refused, octets, &told, out);
        }
        let Some(transaction) = &mut self.transaction else { return };
        if others.is_empty() {
            self.phase = Phase::Command;
            if !reply.is_success() {
                self.forget_chunks(out);
            }
            self.transaction = None;
        } else {
            transaction.accepted = others;
            let envelope = Arc::clone(&transaction.envelope);
            let next = self.owed.push_awaited_copies(self.finals_due());
            self.leg.awaited.push_back(Awaited { command: Sent::EndOfData(next), envelope });
            // With one reply too many it could no longer be told which of them was whose.
            self.leg.in_step = false;
        }
        if goodbye {
            self.lose_leg(&replies::LOST, out);
        }
    }

    /// The last chunk has gone out and nobody was accepted: how many replies it draws, one or none, is not agreed on among servers, so
    /// the next hop is left.
    pub(super) fn expect_no_final_of_nobody(&mut self, out: &mut Outputs) {
        let nobody =
            self.transaction.as_ref().is_some_and(|it| it.pending == 0 && it.accepted.is_empty());
        let Some(Awaited { command: Sent::EndOfData(slot), .. }) = self.leg.awaited.front() else {
            return;
        };
        if self.leg.speaks_lmtp() && nobody {
            let slot = *slot;
            self.leg.awaited.clear();
            self.owed.settle(slot, self.no_valid_rcpt());
            self.phase = Phase::Command;
            self.transaction = None;
            self.abort_leg(&replies::LOST, out);
        }
    }
}
