//! BDAT, RFC 3030: chunk by chunk to the next hop, each with a reply of its own.
//!
//! A chunk goes out with its command and is never held back: nothing waits for a 354, so nothing need be waited for. Only the
//! reply to the LAST one is the end of the message. A chunk that is refused, by anybody, ends the transaction, and the chunks
//! that the client had sent behind it are thrown away: a message must never be put together from what is left of it.

use bytes::BytesMut;

use super::content::{Charge, Unwanted, fault_reply};
use super::downstream::answer_all;
use super::leg::{Awaited, Sent};
use super::owed::SlotId;
use super::transaction::Envelope;
use super::{Arc, Outcome, Outputs, Phase, Protocol, Session, replies};
use crate::bounce::Stage;
use crate::smtp::chunk::{ChunkDecoder, Form};
use crate::smtp::command::Chunk;
use crate::smtp::data::Progress;
use crate::smtp::reply::{Reply, Severity};

/// Octets of a chunk below which it counts as a command that does nothing, unless it is the last: each costs the next hop a reply.
const TINY: u64 = 256;

impl Session {
    /// Whether the message under way comes in chunks.
    pub(super) fn is_in_chunks(&self) -> bool {
        self.transaction.as_ref().is_some_and(|now| now.chunks.is_some())
    }

    fn offers_chunking(&self) -> bool {
        self.greeted == Some(true) && self.settings.offer.chunking
    }

    pub(super) fn bdat(&mut self, chunk: Option<Chunk>, out: &mut Outputs) {
        // What follows is content of a length that we have not agreed on: it must never be read as commands.
        if !self.offers_chunking() {
            return self.send_away(replies::BDAT);
        }
        let Some(chunk) = chunk else { return self.send_away(replies::BDAT_SIZE) };
        let chunk_is_tiny = chunk.octets < TINY && !chunk.last;
        if let (Some(_), true) = (&self.transaction, chunk_is_tiny) {
            self.count_junk();
            if let Phase::Over = self.phase {
                return;
            }
        }
        match self.begin_chunk(chunk) {
            Ok(decoder) => {
                let last = if chunk.last { " LAST" } else { "" };
                let line = format!("BDAT {}{last}\r\n", chunk.octets);
                out.to_downstream.extend_from_slice(line.as_bytes());
                self.phase = Phase::Chunk(decoder);
            }
            Err((reply, charge)) => {
                self.finals = self.finals_due();
                let pending = self.transaction.as_ref().is_some_and(|now| now.pending > 0);
                if pending && self.settings.protocol == Protocol::Lmtp {
                    // Whether they will be accepted decides on how many replies this chunk owes.
                    self.abort_leg(&replies::BROKEN_OFF, out);
                }
                self.report_chunks(Outcome::Aborted, &reply, out);
                self.drop_transaction(out);
                self.phase = Phase::Discard(self.refused(chunk.octets, chunk.last, reply, charge));
            }
        }
    }

    /// Whether a chunk may go to the next hop; if so, with the decoder that takes it.
    fn begin_chunk(&mut self, chunk: Chunk) -> Result<ChunkDecoder, (Reply, Charge)> {
        let no_valid_rcpt = self.no_valid_rcpt();
        let limit = self.settings.limits.size;
        let form = Form::Lines(self.settings.limits.content_line);
        let there = self.leg.capabilities();
        let Some(transaction) = &mut self.transaction else {
            let charge = if self.excused { Charge::Junk } else { Charge::Error };
            return Err((replies::NO_MAIL, charge));
        };
        if transaction.asked == 0 {
            return Err((replies::NO_RCPT, Charge::Error));
        }
        if let Some(refusal) = transaction.no_content(no_valid_rcpt) {
            return Err((refusal, Charge::Nothing));
        }
        if !there.is_some_and(|there| there.chunking) {
            return Err((replies::NO_CHUNKING_THERE, Charge::Nothing));
        }
        let form = if transaction.wants.binary_mime { Form::Binary } else { form };
        let decoder = transaction.chunks.take();
        let mut decoder = decoder.unwrap_or_else(|| ChunkDecoder::new(form));
        let total = decoder.octets().saturating_add(chunk.octets);
        let fault = match decoder.begin(chunk) {
            Ok(()) if limit > 0 && total > limit => replies::TOO_LARGE,
            Ok(()) => return Ok(decoder),
            Err(fault) => fault_reply(fault),
        };
        transaction.chunks = Some(decoder);
        Err((fault, Charge::Nothing))
    }

    pub(super) fn pass_chunk(
        &mut self,
        mut decoder: ChunkDecoder,
        bytes: &mut BytesMut,
        out: &mut Outputs,
    ) {
        let kept = out.to_downstream.len();
        let transferred = decoder.transfer(bytes, &mut out.to_downstream);
        self.look_at(kept, out);
        match transferred {
            Ok(Progress::More) => self.phase = Phase::Chunk(decoder),
            Ok(Progress::End) => {
                let Some(transaction) = &mut self.transaction else { return };
                let (octets, last) = (decoder.octets(), decoder.is_last());
                transaction.chunks = Some(decoder);
                if last {
                    return self.end_content(octets);
                }
                let (slot, envelope) = (self.owed.push_awaited(), transaction.envelope.clone());
                self.leg.awaited.push_back(Awaited { command: Sent::Chunk(slot), envelope });
            }
            Err(fault) => {
                let unwanted = self.break_off_chunk(&decoder, fault_reply(fault), out);
                self.discard(unwanted, bytes);
            }
        }
    }

    /// Breaks the message off within a chunk: the next hop is left without the rest of it, the client's rest is thrown away.
    pub(super) fn break_off_chunk(
        &mut self,
        decoder: &ChunkDecoder,
        reply: Reply,
        out: &mut Outputs,
    ) -> Unwanted {
        self.finals = self.finals_due();
        self.finish(Outcome::Aborted, decoder.octets(), &reply, out);
        // Recipients that have not been answered are not to blame for the content.
        match reply.severity() {
            Severity::Permanent => self.abort_leg(&replies::BROKEN_OFF, out),
            Severity::Completion | Severity::Intermediate | Severity::Transient => {
                self.abort_leg(&reply, out);
            }
        }
        self.refused(decoder.left(), decoder.is_last(), reply, Charge::Nothing)
    }

    /// The next hop answered a chunk that is not the last. Its 2yz says nothing of the message.
    pub(super) fn chunk_answered(
        &mut self,
        envelope: &Arc<Envelope>,
        slot: SlotId,
        reply: Reply,
        out: &mut Outputs,
    ) {
        let nobody = self.no_valid_rcpt();
        let Some(transaction) = self.current(envelope) else {
            return self.owed.settle(slot, reply);
        };
        let reply = match transaction.accepted.is_empty() {
            true => nobody,
            false if reply.is_success() => return self.owed.settle(slot, reply),
            false => {
                answer_all(transaction, Stage::Data, &reply, None, out);
                reply
            }
        };
        self.owed.settle(slot, reply.clone());
        self.refused_chunk(&reply, out);
    }

    /// A chunk was refused: what the client sent behind it is out of order, and the next hop is not waited for to say so.
    fn refused_chunk(&mut self, reply: &Reply, out: &mut Outputs) {
        let behind = std::mem::take(&mut self.leg.awaited);
        for slot in behind.iter().filter_map(|awaited| awaited.command.slot()) {
            self.owed.set_copies(slot, 1);
            self.owed.settle(slot, replies::NO_MAIL);
        }
        self.finals = 1;
        match self.phase.take() {
            Phase::Chunk(decoder) => {
                self.finish(Outcome::Refused, decoder.octets(), reply, out);
                self.abort_leg(reply, out);
                let (left, last) = (decoder.left(), decoder.is_last());
                let unwanted = self.refused(left, last, replies::NO_MAIL, Charge::Nothing);
                return self.phase = Phase::Discard(unwanted);
            }
            Phase::Final(octets) => self.finish(Outcome::Refused, octets, reply, out),
            phase @ (Phase::Command
            | Phase::Asking(_)
            | Phase::Parked(..)
            | Phase::Opening(_)
            | Phase::Securing
            | Phase::Login(_)
            | Phase::GoAhead
            | Phase::Content(_)
            | Phase::Swallow(..)
            | Phase::Discard(_)
            | Phase::Over) => {
                self.phase = phase;
                self.report_chunks(Outcome::Refused, reply, out);
            }
        }
        self.excused = true;
        if behind.is_empty() {
            self.drop_transaction(out);
        } else {
            self.transaction = None;
            self.abort_leg(reply, out);
        }
    }

    /// The last chunk went out before the next hop had refused every recipient.
    pub(super) fn sent_to_nobody(&mut self, slot: SlotId, reply: &Reply, out: &mut Outputs) {
        self.owed.settle(slot, self.no_valid_rcpt());
        if reply.is_success() {
            // It takes mail for nobody: whatever it thinks, it is not to be asked further.
            self.transaction = None;
            return self.abort_leg(&replies::LOST, out);
        }
        self.forget_chunks(out);
    }

    /// Drops a transaction whose end was refused. Behind a failed chunk some servers take nothing but RSET (RFC 3030 §2).
    pub(super) fn forget_chunks(&mut self, out: &mut Outputs) {
        if let Some(transaction) = self.transaction.take()
            && transaction.chunks.is_some()
        {
            self.leg.forget(transaction, out);
        }
    }

    /// The next hop is lost while it owes the reply to a chunk: that chunk has failed, and the transaction with it.
    pub(super) fn lose_chunks(&mut self, reply: &Reply, out: &mut Outputs) {
        let owing = |awaited: &Awaited| matches!(awaited.command, Sent::Chunk(_));
        if self.transaction.is_some() && self.leg.awaited.iter().any(owing) {
            self.report_chunks(Outcome::Aborted, reply, out);
            self.transaction = None;
            self.excused = true;
        }
    }

    /// Reports a transaction that its client leaves between two chunks.
    pub(super) fn report_chunks_left(&mut self, out: &mut Outputs) {
        if self.is_in_chunks() {
            self.report_chunks(Outcome::Aborted, &replies::BROKEN_OFF, out);
        }
    }

    /// Reports a transaction that ends between two chunks, or at one that was not taken.
    fn report_chunks(&mut self, outcome: Outcome, reply: &Reply, out: &mut Outputs) {
        let begun = self.transaction.as_ref().and_then(|now| now.chunks.as_ref());
        let octets = begun.map_or(0, ChunkDecoder::octets);
        self.report(outcome, octets, reply, out);
    }

    /// How many final replies the message under way owes: in LMTP one for each recipient that was accepted, but never none.
    pub(super) fn finals_due(&self) -> usize {
        match (self.settings.protocol, &self.transaction) {
            (Protocol::Lmtp, Some(transaction)) => transaction.accepted.len().max(1),
            (Protocol::Lmtp, None) | (Protocol::Smtp, _) => 1,
        }
    }
}
