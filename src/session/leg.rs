//! The connection to the next hop: what has been sent over it and not been answered.

use std::collections::VecDeque;
use std::fmt::Write;
use std::sync::Arc;

use super::owed::SlotId;
use super::transaction::{Asked, Envelope, MailState, Transaction};
use super::{Action, Answered, Farewell, Outcome, Outputs, Phase, Session, replies};
use crate::bounce::Stage;
use crate::smtp::command::Parameter;
use crate::smtp::extensions::{Capabilities, Size};
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
    later: VecDeque<(Sent, String)>,
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
    /// A transaction has begun here.
    pub(super) used: bool,
    /// Another had begun here before the one under way, none of whose commands has been answered.
    pub(super) unanswered: bool,
}

impl Leg {
    pub(super) fn open(&mut self, capabilities: Capabilities) {
        *self = Self { capabilities: Some(capabilities), ..Self::default() };
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
            MailState::Sent | MailState::Failed(_) => self.is_open(),
        };
        if knows {
            out.to_downstream.extend_from_slice(b"RSET\r\n");
            let envelope = transaction.envelope;
            self.awaited.push_back(Awaited { command: Sent::Rset, envelope });
        }
    }
}

impl Session {
    /// Sends MAIL if it has not gone, then RCPT; behind PIPELINING both in one write.
    pub(super) fn send_rcpt(&mut self, asked: Asked, slot: SlotId, out: &mut Outputs) {
        let Some(there) = self.leg.capabilities else { return };
        let introduction = self.introduction(there.xforward);
        let Some(transaction) = &mut self.transaction else { return };
        if let Some(refusal) = lacking(transaction, &asked, &there) {
            return self.turn_away(asked.recipient, slot, refusal, out);
        }
        if let MailState::Unsent = transaction.mail {
            transaction.mail = MailState::Sent;
            self.leg.begin();
            if introduction.is_empty() {
                write_mail(transaction, &there, &mut out.to_downstream);
                let envelope = Arc::clone(&transaction.envelope);
                self.leg.awaited.push_back(Awaited { command: Sent::Mail, envelope });
            } else {
                let told = introduction.into_iter().map(|line| (Sent::Xforward, line));
                self.leg.later.extend(told);
                let mut mail = String::new();
                write_mail(transaction, &there, &mut mail);
                self.leg.later.push_back((Sent::Mail, mail));
                self.leg.send_later(&transaction.envelope, out);
            }
        }
        transaction.pending += 1;
        let envelope = Arc::clone(&transaction.envelope);
        if self.leg.is_lock_step_busy() {
            self.leg.held = Some((asked, slot));
        } else {
            self.write_rcpt(asked, slot, envelope, out);
        }
    }

    pub(super) fn write_rcpt(
        &mut self,
        asked: Asked,
        slot: SlotId,
        envelope: Arc<Envelope>,
        out: &mut Outputs,
    ) {
        out.to_downstream.extend_from_slice(b"RCPT TO:");
        // Writing to a `BytesMut` cannot fail: it grows.
        let _ = asked.recipient.show(&mut out.to_downstream);
        write_parameters(&asked.parameters, &mut out.to_downstream);
        let command = Sent::Rcpt(asked, slot);
        self.leg.awaited.push_back(Awaited { command, envelope });
    }

    pub(super) fn send_data(&mut self, out: &mut Outputs) {
        let slot = self.owed.push_awaited();
        self.write_data(slot, out);
    }

    pub(super) fn write_data(&mut self, slot: SlotId, out: &mut Outputs) {
        let Some(transaction) = &self.transaction else { return };
        out.to_downstream.extend_from_slice(b"DATA\r\n");
        let envelope = Arc::clone(&transaction.envelope);
        self.leg.awaited.push_back(Awaited { command: Sent::Data(slot), envelope });
        self.phase = Phase::GoAhead;
    }

    /// Leaves the next hop, if there is one, when nothing is awaited; at once when something is.
    pub(super) fn close_leg(&mut self, farewell: Farewell, out: &mut Outputs) {
        if !self.leg.is_open() {
            return;
        }
        // Behind an unanswered command a QUIT's reply could be taken for that command's.
        let farewell = if self.leg.is_idle() { farewell } else { Farewell::Abort };
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
        match std::mem::replace(&mut self.phase, Phase::Command) {
            Phase::Content(decoder) => {
                self.break_off(decoder.octets(), reply, out);
                self.phase = Phase::Swallow(decoder, reply.clone());
            }
            Phase::Chunk(decoder) => self.break_off_chunk(decoder, reply.clone(), out),
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
            | Phase::Opening(_)
            | Phase::Securing
            | Phase::Swallow(..)
            | Phase::Discard(_)
            | Phase::Over) => {
                self.phase = phase;
                self.lose_chunks(reply, out);
                self.abort_leg(reply, out);
                if let Some(transaction) = &mut self.transaction
                    && let MailState::Sent = transaction.mail
                {
                    transaction.pending = 0;
                    transaction.mail = MailState::Failed(reply.clone());
                }
            }
        }
    }
}

/// A recipient whose answer never came: for the log, no evidence.
fn report_lost(awaited: Awaited, reply: &Reply, out: &mut Outputs) {
    if let Sent::Rcpt(asked, _) = awaited.command {
        out.actions.push_back(Action::Answered(Answered {
            envelope: awaited.envelope,
            recipient: asked.recipient,
            stage: Stage::Connect,
            reply: reply.clone(),
            recipients: 1,
            ticket: None,
        }));
    }
}

/// What the transaction was promised and this next hop does not have: refused for the recipient, never dropped silently.
fn lacking(transaction: &Transaction, asked: &Asked, there: &Capabilities) -> Option<Reply> {
    let wants = &transaction.wants;
    let too_large = wants.size.zip(there.size.limit()).is_some_and(|(size, limit)| size > limit);
    if wants.require_tls && !there.require_tls {
        Some(replies::NO_REQUIRETLS_THERE)
    } else if wants.smtputf8 && !there.smtputf8 {
        Some(replies::NO_UTF8_THERE)
    } else if wants.binary_mime && !(there.binary_mime && there.chunking) {
        Some(replies::NO_BINARY_THERE)
    } else if wants.eight_bit_mime && !there.eight_bit_mime {
        Some(replies::NO_8BIT_THERE)
    } else if (wants.dsn || !asked.parameters.is_empty()) && !there.dsn {
        Some(replies::NO_DSN_THERE)
    } else if too_large {
        Some(replies::TOO_LARGE)
    } else {
        None
    }
}

fn write_mail(transaction: &Transaction, there: &Capabilities, to: &mut impl Write) {
    let _ = write!(to, "MAIL FROM:{}", transaction.envelope.sender);
    // SIZE and BODY=7BIT state what is so anyway: a next hop that does not know them loses nothing.
    let known = |parameter: &&Parameter| match parameter.keyword.as_str() {
        "SIZE" => there.size != Size::Absent,
        "BODY" => there.eight_bit_mime || there.binary_mime,
        // RFC 4954 §5: to a server that does not know us it says nothing, and may be left out.
        "AUTH" => there.authenticated,
        _ => true,
    };
    write_parameters(transaction.parameters.iter().filter(known), to);
}

fn write_parameters<'all>(
    parameters: impl IntoIterator<Item = &'all Parameter>,
    to: &mut impl Write,
) {
    for Parameter { keyword, value } in parameters {
        let _ = match value {
            Some(value) => write!(to, " {keyword}={value}"),
            None => write!(to, " {keyword}"),
        };
    }
    let _ = to.write_str("\r\n");
}
