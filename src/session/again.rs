//! A kept connection that turns out to be dead: the transaction begins anew on a fresh one.
//!
//! A server that has closed an idle connection, or says 421 on it, has taken nothing of what crosses with that. As long as it has not
//! answered any command of the transaction, and no content has gone out, nothing is lost by asking again elsewhere, once;
//! without that each recipient would be deferred for the sake of a connection that was kept to be quick.

use std::collections::VecDeque;
use std::sync::Arc;

use super::leg::{Awaited, Leg, Sent};
use super::owed::SlotId;
use super::phase::Need;
use super::transaction::MailState;
use super::{Action, Farewell, Outputs, Phase, Session, replies};
use crate::smtp::extensions::Capabilities;
use crate::smtp::reply::Reply;

impl Session {
    /// The next hop ended the connection, or said that it will.
    pub(super) fn lose_leg_or_begin_again(&mut self, reply: &Reply, out: &mut Outputs) {
        if !self.begin_again(out) {
            self.lose_leg(reply, out);
        }
    }

    /// Leaves a kept connection that was lost without an answer to this transaction, and asks for a fresh one; false if that is not
    /// how it stands.
    fn begin_again(&mut self, out: &mut Outputs) -> bool {
        let Some(now) = &self.transaction else { return false };
        let fits = |awaited: &Awaited| match awaited.command {
            // Of the transaction before: whoever is gone has forgotten it.
            Sent::Rset => true,
            Sent::Xforward | Sent::Mail | Sent::Rcpt(..) | Sent::Data(_) => {
                Arc::ptr_eq(&awaited.envelope, &now.envelope)
            }
            Sent::Chunk(_) | Sent::EndOfData(_) | Sent::Auth(_) => false,
        };
        // A login that was relayed went with the connection.
        let possible = matches!(self.phase, Phase::Command | Phase::GoAhead)
            && self.leg.is_unanswered()
            && !self.leg.is_logged_in()
            && now.chunks.is_none()
            && self.leg.awaited.iter().all(fits);
        if !possible {
            return false;
        }
        out.to_downstream.clear();
        out.actions.push_back(Action::CloseDownstream(Farewell::Abort));
        let mut leg = std::mem::take(&mut self.leg);
        leg.await_held();
        self.phase = Phase::Opening(Need::Again(leg.awaited));
        let to = self.transaction.as_ref().and_then(|now| now.destination.clone());
        out.actions.push_back(Action::Open { to, fresh: true });
        true
    }

    /// The fresh connection is there. A next hop that takes one command at a time, as the former did not, is not given several.
    pub(super) fn opened_again(
        &mut self,
        awaited: VecDeque<Awaited>,
        there: &Capabilities,
        out: &mut Outputs,
    ) {
        let places = awaited.iter().filter(|awaited| awaited.command.slot().is_some()).count();
        if !there.pipelining && places > 1 {
            self.leg = Leg::default();
            out.actions.push_back(Action::CloseDownstream(Farewell::Quit));
            return self.not_opened_again(awaited, &replies::LOST, out);
        }
        if let Some(transaction) = &mut self.transaction {
            transaction.mail = MailState::Unsent;
            transaction.pending = 0;
        }
        for Awaited { command, .. } in awaited {
            match command {
                Sent::Rcpt(asked, slot) => self.send_rcpt(asked, slot, out),
                Sent::Data(slot) => self.send_data_again(slot, out),
                // MAIL goes out with the first recipient, and what introduces it.
                Sent::Xforward
                | Sent::Mail
                | Sent::Rset
                | Sent::Chunk(_)
                | Sent::EndOfData(_)
                | Sent::Auth(_) => {}
            }
        }
    }

    /// DATA that goes out a second time; with nobody left it is answered here.
    fn send_data_again(&mut self, slot: SlotId, out: &mut Outputs) {
        if self.transaction.as_ref().is_some_and(|now| now.pending > 0) {
            return self.write_data(slot, out);
        }
        self.owed.settle(slot, self.no_valid_rcpt());
        self.drop_transaction(out);
    }

    /// There is none: all is as it would have been without another attempt.
    pub(super) fn not_opened_again(
        &mut self,
        awaited: VecDeque<Awaited>,
        reply: &Reply,
        out: &mut Outputs,
    ) {
        self.take_back(awaited);
        self.lost(reply, out);
    }

    /// The client is given up while the connection is being opened: its commands are settled like any others.
    pub(super) fn stop_opening_again(&mut self) {
        if let Phase::Opening(Need::Again(awaited)) = &mut self.phase {
            let awaited = std::mem::take(awaited);
            self.take_back(awaited);
        }
    }

    /// Back to where things stood when the connection was lost.
    fn take_back(&mut self, awaited: VecDeque<Awaited>) {
        let data = awaited.back().is_some_and(|last| matches!(last.command, Sent::Data(_)));
        self.phase = if data { Phase::GoAhead } else { Phase::Command };
        self.leg.awaited = awaited;
    }
}

impl Leg {
    /// A transaction begins.
    pub(super) const fn begin(&mut self) {
        self.unanswered = self.used;
        self.used = true;
        self.clean = false;
    }

    /// A command of the transaction under way was answered.
    pub(super) const fn answered(&mut self) {
        self.unanswered = false;
    }

    /// Whether the connection was kept from an earlier transaction, and has not answered a command of this one.
    pub(super) const fn is_unanswered(&self) -> bool {
        self.unanswered
    }

    /// The recipient that is held back is awaited like those that have gone.
    pub(super) fn await_held(&mut self) {
        if let (Some((asked, slot)), Some(before)) = (self.held.take(), self.awaited.back()) {
            let (command, envelope) = (Sent::Rcpt(asked, slot), before.envelope.clone());
            self.awaited.push_back(Awaited { command, envelope });
        }
    }
}
