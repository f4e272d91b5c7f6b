//! The next hop's replies. They come in the order of the commands, so each belongs to the oldest that is awaited; whatever does
//! not fit is a violation, after which nothing that this connection says is believed.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::BytesMut;

use super::leg::{Awaited, Sent as Command};
use super::owed::SlotId;
use super::transaction::{Envelope, MailState, Transaction};
use super::{Action, Answered, Outcome, Outputs, Phase, Sent, Session, replies};
use crate::bounce::Stage;
use crate::smtp::address::Recipient;
use crate::smtp::reply::{Reply, ReplyCode, Severity};
use crate::smtp::status::EnhancedStatus;

impl Session {
    pub(super) fn downstream_bytes(&mut self, bytes: &mut BytesMut, sent: Sent, out: &mut Outputs) {
        while self.leg.is_open() {
            match self.leg.replies.decode(bytes) {
                Ok(Some(reply)) => self.downstream_reply(reply, bytes, sent, out),
                Ok(None) => {
                    let begun = !bytes.is_empty() || self.leg.replies.is_within();
                    self.leg.early |=
                        begun && self.leg.is_unasked(sent, self.phase.passes_content());
                    return;
                }
                Err(_) => self.lose_leg(&replies::VIOLATION, out),
            }
        }
        bytes.clear();
    }

    fn downstream_reply(&mut self, reply: Reply, behind: &[u8], sent: Sent, out: &mut Outputs) {
        self.turns += 1;
        let unasked = self.leg.is_unasked(sent, self.phase.passes_content());
        let early = std::mem::take(&mut self.leg.early) && reply.code.get() != 421;
        let Some(awaited) = self.leg.awaited.pop_front() else {
            return self.unasked(&reply, out);
        };
        let is_final = matches!(awaited.command, Command::EndOfData(_));
        if is_final && sent == Sent::Partly {
            return self.answered_early(&awaited.command, &reply, out);
        }
        // Another reply right behind the last one that is due: which of the two answers the command? A 421 is no such riddle,
        // a server may say it at any time (RFC 5321 §3.8); and a 2yz to our end of data stands, whatever follows, unless it left
        // behind commands that had no reply: a chunk need not wait for them, and one reply too many would shift them all.
        let stands = is_final && reply.is_success() && self.leg.in_step;
        // Nor is a refusal behind 354: whatever the segments are, it is one within content.
        let refused = matches!(awaited.command, Command::Data(_))
            && matches!(behind.first(), Some(b'4' | b'5'));
        let due = self.leg.awaited.is_empty() && !(is_final && self.more_finals_due());
        let riddle = !refused && due && !is_goodbye(behind) && !stands;
        // What began before the command had left answers nothing, wherever it ends. A refusal may come early.
        let early = early || unasked && matches!(reply.code.get(), 200..=399);
        let odd = riddle || early || !is_due(&awaited.command, &reply);
        if odd || reply.code.get() == 421 && !is_final {
            self.leg.awaited.push_front(awaited);
            if odd {
                return self.lose_leg(&replies::VIOLATION, out);
            }
            return self.lose_leg_or_begin_again(&replies::instead_of_421(&reply), out);
        }
        if !matches!(awaited.command, Command::Rset) {
            self.leg.answered();
        }
        let Awaited { command, envelope } = awaited;
        match command {
            Command::Xforward => self.introduced(&envelope, reply, out),
            Command::Mail => self.mail_answered(&envelope, reply, out),
            Command::Rcpt(asked, slot) => {
                self.rcpt_answered(envelope, asked.recipient, slot, reply, out);
                self.expect_no_final_of_nobody(out);
            }
            Command::Data(slot) => self.data_answered(slot, reply, out),
            Command::Chunk(slot) => self.chunk_answered(&envelope, slot, reply, out),
            Command::EndOfData(slot) => self.message_answered(slot, reply, out),
            Command::Auth(slot) => self.auth_answered(slot, reply, out),
            // A server that cannot forget is left (Haraka #1852, #2375).
            Command::Rset if !reply.is_success() => self.lose_leg(&replies::LOST, out),
            Command::Rset => {}
        }
    }

    /// A reply to nothing. During content it is an early refusal, which Postfix and others do send; otherwise the server is
    /// saying goodbye, or is out of step.
    fn unasked(&mut self, reply: &Reply, out: &mut Outputs) {
        self.lose_leg(&early_refusal(reply, self.phase.passes_content()), out);
    }

    /// A reply to an end of data that has not left here: it is about what came before, and the end never goes out.
    fn answered_early(&mut self, command: &Command, reply: &Reply, out: &mut Outputs) {
        let told = early_refusal(reply, true);
        if let Phase::Final(octets) = self.phase {
            self.phase = Phase::Command;
            self.break_off(octets, &told, out);
        }
        if let Some(slot) = command.slot() {
            self.owed.set_copies(slot, self.finals);
            self.owed.settle(slot, told);
        }
    }

    /// What becomes of XFORWARD is for logs alone: as with Postfix, the message goes on without.
    fn introduced(&mut self, envelope: &Arc<Envelope>, reply: Reply, out: &mut Outputs) {
        if !reply.is_success() {
            out.actions.push_back(Action::Untold(reply));
        }
        self.leg.send_later(envelope, out);
    }

    fn mail_answered(&mut self, envelope: &Arc<Envelope>, reply: Reply, out: &mut Outputs) {
        let held = self.leg.held.take();
        if reply.is_success() {
            self.leg.refused_mail = None;
            if let Some((asked, slot)) = held {
                self.write_rcpt(asked, slot, Arc::clone(envelope), out);
            }
            return;
        }
        if let Some((asked, slot)) = held {
            self.refused_with_mail(envelope, asked.recipient, slot, &reply, out);
        }
        if let Some(transaction) = self.current(envelope) {
            transaction.mail = MailState::Failed(reply.clone(), Stage::Connect);
        }
        self.leg.refused_mail = Some(reply);
    }

    /// A refused MAIL, told to a recipient: about the sender, never evidence about the recipient.
    fn refused_with_mail(
        &mut self,
        envelope: &Arc<Envelope>,
        recipient: Recipient,
        slot: SlotId,
        reply: &Reply,
        out: &mut Outputs,
    ) {
        if let Some(transaction) = self.current(envelope) {
            transaction.pending -= 1;
        }
        self.owed.settle(slot, reply.clone());
        let envelope = Arc::clone(envelope);
        let answered = Answered::alone(envelope, recipient, Stage::Mail, reply.clone());
        out.actions.push_back(Action::Answered(answered));
    }

    fn rcpt_answered(
        &mut self,
        envelope: Arc<Envelope>,
        recipient: Recipient,
        slot: SlotId,
        reply: Reply,
        out: &mut Outputs,
    ) {
        if let Some(refused) = self.leg.refused_mail.clone() {
            return self.refused_with_mail(&envelope, recipient, slot, &refused, out);
        }
        if let Some(transaction) = self.current(&envelope) {
            transaction.pending -= 1;
            if reply.is_success() {
                transaction.accepted.push_back(recipient.clone());
            }
        }
        let mut ticket = None;
        if reply.is_success() {
            self.owed.settle(slot, reply.clone());
        } else {
            self.owed.hold(slot, for_client(&reply));
            ticket = Some(slot);
        }
        let answered = Answered::alone(envelope, recipient, Stage::Rcpt, reply);
        out.actions.push_back(Action::Answered(Answered { ticket, ..answered }));
    }

    fn data_answered(&mut self, slot: SlotId, reply: Reply, out: &mut Outputs) {
        let anyone = self.transaction.as_ref().is_some_and(|now| !now.accepted.is_empty());
        if reply.severity() == Severity::Intermediate && anyone {
            self.owed.settle(slot, reply);
            return self.begin_content();
        }
        self.phase = Phase::Command;
        if reply.severity() == Severity::Intermediate {
            // A server that wants content for nobody: it must not get an end that the client never sent.
            self.owed.settle(slot, self.no_valid_rcpt());
            self.transaction = None;
            return self.abort_leg(&replies::LOST, out);
        }
        if anyone {
            self.refused_message(Stage::Data, slot, &reply, out);
            self.report(Outcome::Refused, 0, &reply, out);
        } else {
            self.owed.settle(slot, self.no_valid_rcpt());
        }
        self.drop_transaction(out);
    }

    fn message_answered(&mut self, slot: SlotId, reply: Reply, out: &mut Outputs) {
        // Taken or not, a message is over there too; but behind a refused chunk RSET follows (RFC 3030 §2).
        self.leg.clean = reply.is_success() || !self.is_in_chunks();
        if self.leg.speaks_lmtp() {
            return self.recipient_ended(slot, &reply, out);
        }
        let Phase::Final(octets) = self.phase else { return };
        self.phase = Phase::Command;
        self.owed.set_copies(slot, self.finals_due());
        if self.transaction.as_ref().is_some_and(|now| now.accepted.is_empty()) {
            return self.sent_to_nobody(slot, &reply, out);
        }
        if reply.is_success() {
            // Whoever delivers is neither confused nor idle: a connection that is kept for a thousand messages starts anew.
            (self.errors, self.junk) = (0, 0);
            self.owed.settle(slot, reply.clone());
            return self.finish(Outcome::Delivered, octets, &reply, out);
        }
        self.refused_message(Stage::EndOfData, slot, &reply, out);
        if reply.code.get() == 421 {
            self.finish(Outcome::Refused, octets, &replies::instead_of_421(&reply), out);
            self.abort_leg(&replies::LOST, out);
        } else {
            self.report(Outcome::Refused, octets, &reply, out);
            self.forget_chunks(out);
        }
    }

    /// A reply to DATA or to the end of data refuses the message for all accepted recipients at once: with more than one it
    /// says nothing about any of them; nor does a 421, which is about the connection.
    pub(super) fn refused_message(
        &mut self,
        stage: Stage,
        slot: SlotId,
        reply: &Reply,
        out: &mut Outputs,
    ) {
        let Some(transaction) = &self.transaction else { return };
        let goodbye = reply.code.get() == 421;
        let alone = transaction.accepted.len() == 1 && !goodbye;
        answer_all(transaction, stage, reply, alone.then_some(slot), out);
        let told = if goodbye { replies::instead_of_421(reply) } else { reply.clone() };
        if alone { self.owed.hold(slot, told) } else { self.owed.settle(slot, told) }
    }

    /// The transaction under way, if it is the one that a reply belongs to.
    pub(super) fn current(&mut self, envelope: &Arc<Envelope>) -> Option<&mut Transaction> {
        self.transaction.as_mut().filter(|now| Arc::ptr_eq(&now.envelope, envelope))
    }
}

/// Tells of a refusal that is about the message, or a piece of it, for each recipient that had been accepted.
pub(super) fn answer_all(
    transaction: &Transaction,
    stage: Stage,
    reply: &Reply,
    ticket: Option<SlotId>,
    out: &mut Outputs,
) {
    let recipients = u32::try_from(transaction.accepted.len()).unwrap_or(u32::MAX);
    for recipient in &transaction.accepted {
        let (envelope, recipient) = (Arc::clone(&transaction.envelope), recipient.clone());
        let answered = Answered::alone(envelope, recipient, stage, reply.clone());
        out.actions.push_back(Action::Answered(Answered { recipients, ticket, ..answered }));
    }
}

/// Whether what follows a reply is nothing, or as far as it goes a 421.
fn is_goodbye(behind: &[u8]) -> bool {
    behind.iter().zip(b"421").all(|(byte, expected)| byte == expected)
}

/// What a reply that comes before the end of data has left makes of the message.
fn early_refusal(reply: &Reply, in_content: bool) -> Reply {
    match reply.severity() {
        Severity::Transient if reply.code.get() == 421 => replies::instead_of_421(reply),
        Severity::Transient | Severity::Permanent if in_content => reply.clone(),
        Severity::Transient
        | Severity::Permanent
        | Severity::Completion
        | Severity::Intermediate => replies::VIOLATION,
    }
}

/// Whether a command may draw such a reply at all: 354 and nothing else to DATA, no 3yz to anything else.
fn is_due(command: &Command, reply: &Reply) -> bool {
    match (command, reply.severity()) {
        (_, Severity::Transient | Severity::Permanent) => true,
        (Command::Data(_), Severity::Intermediate) => reply.code.get() == 354,
        (Command::Data(_), Severity::Completion) => false,
        // A challenge is one line, and nothing but 235 is a login (RFC 4954 §6).
        (Command::Auth(_), Severity::Intermediate) => {
            reply.code.get() == 334 && !reply.text.contains('\n')
        }
        (Command::Auth(_), Severity::Completion) => reply.code.get() == 235,
        (_, Severity::Completion) => true,
        (_, Severity::Intermediate) => false,
    }
}

/// A RCPT reply as the client is to hear it: `552 x.5.3`, too many recipients, is an old spelling of 452 (RFC 5321
/// §4.5.3.1.10) that clients would take for final.
fn for_client(reply: &Reply) -> Reply {
    let too_many = reply.code.get() == 552
        && reply.status.is_some_and(|status| status.subject == 5 && status.detail == 3);
    match ReplyCode::new(452) {
        Some(code) if too_many => {
            let status = Some(EnhancedStatus::new(4, 5, 3));
            Reply { code, status, text: Cow::clone(&reply.text) }
        }
        Some(_) | None => reply.clone(),
    }
}
