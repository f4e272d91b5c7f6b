//! The connection to the next hop: what has been sent over it and not been answered.

use std::collections::VecDeque;
use std::sync::Arc;

use super::owed::SlotId;
use super::transaction::{Asked, Envelope, MailState, Transaction};
use super::{
    Action, Answered, Auth, Farewell, Need, Opened, Outcome, Outputs, Phase, Session, Unopened,
    replies,
};
use crate::bounce::Stage;
use crate::routing::Destination;
use crate::smtp::extensions::Capabilities;
use crate::smtp::reply::{Reply, ReplyDecoder, ReplyLimits};
use crate::smtp::sasl::LINE_MAX;

/// A command that the next hop has not answered.
#[derive(Debug)]
pub(super) struct Awaited {
    pub(super) command: Sent,
    /// The transaction it belongs to: it may have been dropped meanwhile.
    pub(super) envelope: Arc<Envelope>,
}

/// What was sent, and where its reply goes.
#[derive(Debug)]
pub(super) enum Sent {
    /// Who the client is; MAIL follows.
    Xforward,
    Mail,
    Rcpt(Asked, SlotId),
    Data(SlotId),
    /// A chunk that is not the last.
    Chunk(SlotId),
    /// The end of data, or the last chunk.
    EndOfData(SlotId),
    Rset,
    /// AUTH of the client, or a response of its.
    Auth(SlotId),
}

impl Sent {
    pub(super) const fn stage(&self) -> Stage {
        match self {
            // Part of beginning a message; what it says is no more than a line of the log.
            Self::Xforward | Self::Mail => Stage::Mail,
            Self::Rcpt(..) => Stage::Rcpt,
            Self::Data(_) | Self::Chunk(_) => Stage::Data,
            Self::EndOfData(_) => Stage::EndOfData,
            Self::Rset => Stage::Rset,
            Self::Auth(_) => Stage::Auth,
        }
    }

    /// The place of its reply; MAIL and RSET were answered by the gate itself.
    pub(super) const fn slot(&self) -> Option<SlotId> {
        match self {
            Self::Rcpt(_, slot)
            | Self::Data(slot)
            | Self::Chunk(slot)
            | Self::EndOfData(slot)
            | Self::Auth(slot) => Some(*slot),
            Self::Xforward | Self::Mail | Self::Rset => None,
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Leg {
    capabilities: Option<Capabilities>,
    pub(super) awaited: VecDeque<Awaited>,
    /// Without PIPELINING: what goes before the recipient and waits for the reply to the line before it.
    pub(super) later: VecDeque<(Sent, String)>,
    /// Without PIPELINING: the recipient that waits until MAIL is answered.
    pub(super) held: Option<(Asked, SlotId)>,
    /// The reply to the last MAIL that was answered, if it was refused: what follows it is refused for its sake.
    pub(super) refused_mail: Option<Reply>,
    pub(super) replies: ReplyDecoder,
    /// The reply under way began before anything that it could answer had left.
    pub(super) early: bool,
    /// When the end of data left, nothing else was awaited.
    pub(super) in_step: bool,
    /// Within an AUTH of the client: whatever is said here now would be taken for a response.
    exchange: bool,
    /// The client has logged in here.
    logged_in: bool,
    /// Whom it is for; without, for all mail: it was opened before a recipient was known.
    destination: Option<Destination>,
    /// Nothing is left of any transaction as soon as all is answered.
    pub(super) clean: bool,
    /// A transaction has begun here, this client's or another's.
    pub(super) used: bool,
    /// Another had begun here before the one under way, none of whose commands has been answered.
    pub(super) unanswered: bool,
}

impl Leg {
    pub(super) fn open(&mut self, opened: Opened, destination: Option<Destination>) {
        let Opened { capabilities, kept } = opened;
        let capabilities = Some(capabilities);
        *self = Self { capabilities, destination, clean: true, used: kept, ..Self::default() };
    }

    /// Whether it is, or would be, the way to there.
    pub(super) fn leads_to(&self, destination: &Destination) -> bool {
        self.destination.as_ref().is_none_or(|own| own == destination)
    }

    pub(super) const fn is_open(&self) -> bool {
        self.capabilities.is_some()
    }

    pub(super) fn is_idle(&self) -> bool {
        self.is_open() && self.awaited.is_empty() && !self.exchange
    }

    /// An exchange goes on, or has ended. Challenges are longer than replies.
    pub(super) fn in_exchange(&mut self, goes_on: bool) {
        self.exchange = goes_on;
        let line = ReplyLimits::default().line;
        self.replies.limit_line(if goes_on { LINE_MAX } else { line });
    }

    /// The client has logged in.
    pub(super) fn log_in(&mut self) {
        self.logged_in = true;
        if let Some(there) = &mut self.capabilities {
            there.authenticated = true;
        }
    }

    pub(super) const fn is_logged_in(&self) -> bool {
        self.logged_in
    }

    pub(super) fn takes_mechanism(&self, name: &str) -> bool {
        self.capabilities.is_some_and(|there| there.auth.has(name))
    }

    /// Whether what the next hop says now can be no answer: nothing is awaited, or what is awaited has not left. In `content` of a
    /// chunk it may be that which has not.
    pub(super) fn is_unasked(&self, sent: super::Sent, content: bool) -> bool {
        let left = |awaited: &Awaited| {
            let is_final = matches!(awaited.command, Sent::EndOfData(_));
            sent == super::Sent::All || !is_final && (content || self.awaited.len() > 1)
        };
        !self.awaited.front().is_some_and(left)
    }

    pub(super) fn awaited_stage(&self) -> Option<Stage> {
        self.awaited.front().map(|awaited| awaited.command.stage())
    }

    pub(super) const fn capabilities(&self) -> Option<Capabilities> {
        self.capabilities
    }

    /// Whether the next hop gives a final reply for each recipient.
    pub(super) fn speaks_lmtp(&self) -> bool {
        self.capabilities.is_some_and(|there| there.lmtp)
    }

    fn pipelining(&self) -> bool {
        self.capabilities.is_some_and(|capabilities| capabilities.pipelining)
    }

    /// Takes back a DATA that has not been answered: the place of its reply.
    pub(super) fn take_back_data(&mut self) -> Option<SlotId> {
        let Sent::Data(slot) = self.awaited.back()?.command else { return None };
        self.awaited.pop_back();
        Some(slot)
    }

    /// Whether a next hop without PIPELINING still owes a reply: it drops clients that do not wait.
    pub(super) fn is_lock_step_busy(&self) -> bool {
        !self.awaited.is_empty() && !self.pipelining()
    }

    /// Sends what begins a transaction, as far as the next hop takes it at once.
    pub(super) fn send_later(&mut self, envelope: &Arc<Envelope>, out: &mut Outputs) {
        while !self.is_lock_step_busy()
            && let Some((command, line)) = self.later.pop_front()
        {
            out.to_downstream.extend_from_slice(line.as_bytes());
            self.awaited.push_back(Awaited { command, envelope: Arc::clone(envelope) });
        }
    }

    /// Tells an open next hop to forget a transaction that it knows of.
    pub(super) fn forget(&mut self, transaction: Transaction, out: &mut Outputs) {
        let knows = match transaction.mail {
            MailState::Unsent => false,
            MailState::Sent | MailState::Failed(..) => self.is_open(),
        };
        if knows {
            out.to_downstream.extend_from_slice(b"RSET\r\n");
            self.clean = true;
            let envelope = transaction.envelope;
            self.awaited.push_back(Awaited { command: Sent::Rset, envelope });
        }
    }
}

impl Session {
    pub(super) fn opened(&mut self, opened: Opened, out: &mut Outputs) {
        let capabilities = opened.capabilities;
        if self.settings.auth == Auth::Relay {
            self.settings.offer.auth = capabilities.auth;
        }
        let Some(need) = self.need() else {
            // The client left meanwhile: nobody would ever close it.
            return out.actions.push_back(Action::CloseDownstream(Farewell::Keep));
        };
        let destination = self.transaction.as_ref().and_then(|now| now.destination.clone());
        self.leg.open(opened, destination);
        match need {
            Need::Recipient(asked) => {
                let slot = self.owed.push_awaited();
                self.send_rcpt(asked, slot, out);
            }
            Need::Hello => self.greet_back(),
            Need::Login(start) => self.send_auth(&start, out),
            Need::Again(awaited) => self.opened_again(awaited, &capabilities, out),
        }
    }

    pub(super) fn not_opened(&mut self, unopened: &Unopened, out: &mut Outputs) {
        let Unopened { reply, stage } = unopened;
        match self.need() {
            Some(Need::Recipient(asked)) => {
                let slot = self.owed.push_awaited();
                self.turn_away(asked.recipient, slot, reply.clone(), *stage, out);
                // One attempt a transaction: its further recipients need the same next hop.
                if let Some(transaction) = &mut self.transaction {
                    transaction.mail = MailState::Failed(reply.clone(), *stage);
                }
            }
            Some(Need::Hello) => self.mechanisms_unseen(),
            Some(Need::Login(_)) => self.login_unavailable(out),
            Some(Need::Again(awaited)) => self.not_opened_again(awaited, reply, out),
            None => {}
        }
    }

    /// What the connection that was asked for is needed for, if it still is.
    fn need(&mut self) -> Option<Need> {
        match self.phase.take() {
            Phase::Opening(need) => Some(need),
            phase @ (Phase::Command
            | Phase::Asking(_)
            | Phase::Parked(..)
            | Phase::Securing
            | Phase::Login(_)
            | Phase::GoAhead
            | Phase::Content(_)
            | Phase::Swallow(..)
            | Phase::Chunk(_)
            | Phase::Discard(_)
            | Phase::Final(_)
            | Phase::Over) => {
                self.phase = phase;
                None
            }
        }
    }

    /// Leaves the next hop, if there is one, when nothing is awaited; at once when something is.
    pub(super) fn close_leg(&mut self, farewell: Farewell, out: &mut Outputs) {
        if !self.leg.is_open() {
            return;
        }
        // Behind an unanswered command a QUIT's reply could be taken for that command's.
        let farewell = match farewell {
            _ if !self.leg.is_idle() => Farewell::Abort,
            Farewell::Keep if !self.leg.clean || self.leg.logged_in => Farewell::Quit,
            Farewell::Keep | Farewell::Quit | Farewell::Abort => farewell,
        };
        self.leg = Leg::default();
        out.actions.push_back(Action::CloseDownstream(farewell));
    }

    /// Closes the next hop's connection at once, and settles everything that it still owes with `reply`.
    pub(super) fn abort_leg(&mut self, reply: &Reply, out: &mut Outputs) {
        if self.leg.is_open() {
            out.to_downstream.clear();
            out.actions.push_back(Action::CloseDownstream(Farewell::Abort));
        }
        let mut leg = std::mem::take(&mut self.leg);
        leg.await_held();
        for awaited in leg.awaited {
            let Some(slot) = awaited.command.slot() else { continue };
            let reply = match &awaited.command {
                Sent::EndOfData(_) => {
                    self.owed.set_copies(slot, self.finals);
                    replies::UNKNOWN_OUTCOME
                }
                Sent::Xforward
                | Sent::Mail
                | Sent::Rcpt(..)
                | Sent::Data(_)
                | Sent::Chunk(_)
                | Sent::Rset => reply.clone(),
                Sent::Auth(_) => replies::LOGIN_LOST,
            };
            report_lost(awaited, &reply, out);
            self.owed.settle(slot, reply);
        }
    }

    /// The next hop is lost, whatever was going on. The client's session goes on: to a client with one relay host, a closed
    /// connection or a 421 would hold up all of its mail.
    pub(super) fn lose_leg(&mut self, reply: &Reply, out: &mut Outputs) {
        if self.leg.is_open() {
            self.lost(reply, out);
        }
    }

    pub(super) fn lost(&mut self, reply: &Reply, out: &mut Outputs) {
        match self.phase.take() {
            Phase::Content(decoder) => {
                self.break_off(decoder.octets(), reply, out);
                self.phase = Phase::Swallow(decoder, reply.clone());
            }
            Phase::Chunk(decoder) => {
                let unwanted = self.break_off_chunk(&decoder, reply.clone(), out);
                self.phase = Phase::Discard(unwanted);
            }
            Phase::Final(octets) => {
                self.finals = self.finals_due();
                self.finish(Outcome::Unknown, octets, &replies::UNKNOWN_OUTCOME, out);
                self.abort_leg(reply, out);
            }
            Phase::GoAhead => self.break_off(0, reply, out),
            Phase::Login(step) => {
                self.login_without_leg(step);
                self.abort_leg(reply, out);
            }
            phase @ (Phase::Command
            | Phase::Asking(_)
            | Phase::Parked(..)
            | Phase::Opening(_)
            | Phase::Securing
            | Phase::Swallow(..)
            | Phase::Discard(_)
            | Phase::Over) => {
                self.phase = phase;
                self.lose_chunks(reply, out);
                self.abort_leg(reply, out);
                if let Some(transaction) = &mut self.transaction {
                    // Also of one whose MAIL was refused: nobody answers any more, and a recipient that is parked waits for that.
                    transaction.pending = 0;
                    if let MailState::Sent = transaction.mail {
                        transaction.mail = MailState::Failed(reply.clone(), Stage::Connect);
                    }
                }
            }
        }
    }
}

/// A recipient whose answer never came: for the log, no evidence.
fn report_lost(awaited: Awaited, reply: &Reply, out: &mut Outputs) {
    if let Sent::Rcpt(asked, _) = awaited.command {
        let (envelope, reply) = (awaited.envelope, reply.clone());
        let answered = Answered::alone(envelope, asked.recipient, Stage::Connect, reply);
        out.actions.push_back(Action::Answered(answered));
    }
}
