//! How a session ends: the client leaves or is sent away, a deadline passes, the program stops.

use super::{Action, Farewell, Outcome, Outputs, Phase, Session, Waiting, replies};
use crate::smtp::reply::Reply;

impl Session {
    /// The last reply of the session. It still waits its turn behind those that the next hop owes.
    pub(super) fn send_away(&mut self, last: Reply) {
        self.owed.push(last);
        self.phase = Phase::Over;
    }

    /// The client went on before it was asked to. DATA hears of it, in its turn; what the next hop still owed for recipients is
    /// put off, since no message will come of it.
    pub(super) fn out_of_step(&mut self, out: &mut Outputs) {
        match (self.leg.take_back_data(), &self.phase) {
            (Some(slot), _) => self.owed.settle(slot, replies::SYNC),
            (None, Phase::Content(_) | Phase::Swallow(..)) => self.owed.replace_last(replies::SYNC),
            (None, _) => self.owed.push(replies::SYNC),
        }
        self.finish(Outcome::Aborted, 0, &replies::SYNC, out);
        self.abort_leg(&replies::BROKEN_OFF, out);
        self.phase = Phase::Over;
    }

    pub(super) fn client_closed(&mut self, out: &mut Outputs) {
        self.client_gone = true;
        // The message may have been accepted: only the next hop's reply tells (RFC 1047), so it is awaited and recorded.
        let ends_anyway = matches!(self.phase, Phase::Final(_) | Phase::Over);
        // A client that half-closes may still read what it is owed.
        let reads_on = matches!(self.phase, Phase::Command) && !self.owed.is_empty();
        if !ends_anyway && !reads_on {
            self.give_up(&replies::CLIENT_LOST, out);
        }
    }

    /// Nobody hears what is still owed, so nothing is worth waiting for but the reply to an end of data: as in
    /// [`Self::client_closed`], it is recorded.
    pub(super) fn client_lost(&mut self, out: &mut Outputs) {
        self.client_gone = true;
        if !matches!(self.phase, Phase::Final(_)) {
            self.give_up(&replies::CLIENT_LOST, out);
        }
    }

    pub(super) fn expired(&mut self, waiting: Waiting, out: &mut Outputs) {
        match waiting {
            // A deadline may fire in the instant in which what it waited for arrived.
            Waiting::Client | Waiting::Content if waiting != self.waiting() => {}
            Waiting::Downstream(_) if self.leg.is_idle() && !self.phase.passes_content() => {}
            Waiting::Client if self.draining => self.send_away(replies::SHUTDOWN),
            Waiting::Client => self.send_away(replies::IDLE),
            Waiting::Content => {
                self.owed.push(replies::IDLE);
                self.give_up(&replies::IDLE, out);
            }
            Waiting::Downstream(_) => self.lose_leg(&replies::TIMED_OUT, out),
            Waiting::Driver => self.owed.release_all(),
            Waiting::Nothing => {}
        }
    }

    /// Nothing further is worth doing for this client: the transaction is broken off without an end.
    pub(super) fn give_up(&mut self, reply: &Reply, out: &mut Outputs) {
        self.stop_opening_again();
        match self.phase.begun() {
            Some(octets) => self.break_off(octets, reply, out),
            None => {
                self.report_chunks_left(out);
                self.transaction = None;
                if !self.leg.is_idle() {
                    self.abort_leg(reply, out);
                }
            }
        }
        self.phase = Phase::Over;
    }

    /// The end of a step: leaves when there is nothing left to say.
    pub(super) fn leave_if_done(&mut self, out: &mut Outputs) {
        if let Phase::Over = self.phase {
            self.report_chunks_left(out);
            self.transaction = None;
        }
        let between = matches!(self.phase, Phase::Command)
            && self.transaction.is_none()
            && self.owed.is_empty();
        if self.client_gone && matches!(self.phase, Phase::Command) && self.owed.is_empty() {
            self.give_up(&replies::CLIENT_LOST, out);
        } else if between && self.draining && self.greeted.is_some() {
            replies::SHUTDOWN.encode(self.owed.enhanced, &mut out.to_client);
            self.phase = Phase::Over;
        }
        if between && self.login_is_lost() && matches!(self.phase, Phase::Command) {
            replies::LOGIN_GONE.encode(self.owed.enhanced, &mut out.to_client);
            self.phase = Phase::Over;
        }
        if matches!(self.phase, Phase::Over) && self.owed.is_empty() && !self.leaving {
            self.leaving = true;
            self.close_leg(Farewell::Keep, out);
            out.actions.push_back(Action::CloseClient);
        }
    }
}
