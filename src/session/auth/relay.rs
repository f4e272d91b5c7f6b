//! AUTH relayed: the next hop knows the users, the gate passes the exchange on line by line and understands none of it.
//!
//! The login belongs to the connection on which it was made. So that connection is the client's alone, stays open while
//! nothing goes on, and once it is lost the client is told 421: another one would be that of a stranger, and the gate,
//! which must not keep passwords, cannot log in there for the client.
//!
//! What the next hop offers must be known before EHLO is answered, and within TLS only. Until a host has been seen, EHLO
//! therefore connects: before any recipient is known, which is allowed for this alone.

use std::sync::Arc;

use bytes::BytesMut;

use super::super::leg::{Awaited, Sent};
use super::super::owed::SlotId;
use super::super::transaction::Envelope;
use super::super::{Action, Need, Outputs, Phase, Session, replies};
use super::{Auth, Checked, ClientTls, LoggedIn, Step};
use crate::smtp::address::ReversePath;
use crate::smtp::line::LineFault;
use crate::smtp::reply::{Reply, Severity};
use crate::smtp::sasl::{self, SaslFault, Start};

impl Session {
    /// Whether EHLO has to wait for a connection to say what is offered there.
    pub(in crate::session) fn must_see_mechanisms(&self) -> bool {
        self.settings.auth == Auth::Relay
            && self.settings.tls == ClientTls::Up
            && self.settings.offer.auth.is_empty()
            && !self.leg.is_open()
    }

    /// EHLO waits.
    pub(in crate::session) fn see_mechanisms(&mut self, out: &mut Outputs) {
        self.phase = Phase::Opening(Need::Hello);
        out.actions.push_back(Action::Open { to: None, fresh: false });
    }

    /// Whether the connection on which the client logged in has gone.
    pub(in crate::session) fn login_is_lost(&self) -> bool {
        self.login == LoggedIn::There && !self.leg.is_logged_in()
    }

    pub(super) fn relay_auth(&mut self, start: Start, out: &mut Outputs) {
        if start.initial.as_ref().is_some_and(|word| sasl::initial(word).is_err()) {
            self.error(replies::LOGIN_MALFORMED);
        } else if self.leg.is_open() {
            self.send_auth(&start, out);
        } else {
            self.phase = Phase::Opening(Need::Login(start));
            out.actions.push_back(Action::Open { to: None, fresh: false });
        }
    }

    /// There is no connection. Without AUTH in the reply to EHLO a client would think that it can never log in here; whoever
    /// needs no login goes on.
    pub(in crate::session) fn mechanisms_unseen(&mut self) {
        if self.settings.may_relay && !self.settings.auth_required {
            self.greet_back();
        } else {
            self.send_away(replies::NO_NEXT_HOP);
        }
    }

    pub(in crate::session) fn send_auth(&mut self, start: &Start, out: &mut Outputs) {
        // What was offered may have been another host's, or yesterday's.
        if !self.leg.takes_mechanism(&start.mechanism) {
            return self.error(replies::UNKNOWN_MECHANISM);
        }
        let to = &mut out.to_downstream;
        to.extend_from_slice(b"AUTH ");
        to.extend_from_slice(start.mechanism.as_bytes());
        if let Some(word) = &start.initial {
            to.extend_from_slice(b" ");
            to.extend_from_slice(word.expose());
        }
        self.await_auth(None, out);
    }

    /// Ends the line for the next hop and waits for its reply. `told` is what the client hears instead of it.
    fn await_auth(&mut self, told: Option<Reply>, out: &mut Outputs) {
        out.to_downstream.extend_from_slice(b"\r\n");
        let slot = self.owed.push_awaited();
        let envelope = Arc::new(Envelope::of(ReversePath::Null));
        self.leg.awaited.push_back(Awaited { command: Sent::Auth(slot), envelope });
        self.leg.in_exchange(true);
        self.phase = Phase::Login(Step::Relaying(told));
    }

    /// A response of the client for the next hop. What cannot be passed on cancels the exchange there too.
    pub(super) fn relay_response(&mut self, line: &BytesMut, out: &mut Outputs) {
        match sasl::response(line) {
            Ok(_) => {
                out.to_downstream.extend_from_slice(line);
                self.await_auth(None, out);
            }
            Err(SaslFault::Cancelled) => self.cancel_there(replies::LOGIN_CANCELLED, out),
            Err(SaslFault::Malformed | SaslFault::OnBehalf) => {
                self.cancel_there(replies::LOGIN_MALFORMED, out);
            }
        }
    }

    /// A response that is no line.
    pub(super) fn relay_fault(&mut self, fault: LineFault, out: &mut Outputs) {
        match fault {
            LineFault::TooLong => self.cancel_there(replies::LOGIN_LINE, out),
            LineFault::Endless | LineFault::BareLineEnd | LineFault::Tls => {
                self.phase = Phase::Command;
                self.line_fault(fault);
            }
        }
    }

    fn cancel_there(&mut self, told: Reply, out: &mut Outputs) {
        out.to_downstream.extend_from_slice(b"*");
        self.await_auth(Some(told), out);
    }

    /// The next hop answered AUTH, or a response.
    pub(in crate::session) fn auth_answered(
        &mut self,
        slot: SlotId,
        reply: Reply,
        out: &mut Outputs,
    ) {
        let phase = self.phase.take();
        let told = if let Phase::Login(Step::Relaying(told)) = phase { told } else { None };
        self.leg.in_exchange(reply.severity() == Severity::Intermediate);
        match (told, reply.severity()) {
            (Some(told), Severity::Transient | Severity::Permanent) => {
                self.owed.settle(slot, told);
                self.count_error();
            }
            // A login that was called off, and goes on all the same.
            (Some(told), Severity::Completion | Severity::Intermediate) => {
                self.owed.settle(slot, told);
                self.lose_leg(&replies::VIOLATION, out);
            }
            (None, Severity::Intermediate) => {
                self.owed.settle(slot, reply);
                self.phase = Phase::Login(Step::Relayed);
            }
            (None, Severity::Completion) => {
                self.leg.log_in();
                self.login = LoggedIn::There;
                self.owed.settle(slot, reply);
                out.actions.push_back(Action::LoginRelayed(Checked::Right));
            }
            (None, Severity::Transient) => {
                self.owed.settle(slot, reply);
                out.actions.push_back(Action::LoginRelayed(Checked::Unavailable));
            }
            (None, Severity::Permanent) => {
                self.owed.settle(slot, reply);
                self.count_failed_login();
                out.actions.push_back(Action::LoginRelayed(Checked::Wrong));
            }
        }
    }

    /// The next hop was lost within an exchange, and AUTH has been answered.
    pub(in crate::session) fn login_without_leg(&mut self, step: Step) {
        self.phase = match step {
            Step::Relaying(_) => Phase::Command,
            // The client was asked for a response: what it sends next is one, and must not be taken for a command.
            Step::Relayed => Phase::Login(Step::Lost),
            Step::Plain | Step::User | Step::Password(_) | Step::Checking | Step::Lost => {
                Phase::Login(step)
            }
        };
    }

    pub(in crate::session) fn login_unavailable(&mut self, out: &mut Outputs) {
        self.owed.push(replies::LOGIN_LOST);
        out.actions.push_back(Action::LoginRelayed(Checked::Unavailable));
    }
}
