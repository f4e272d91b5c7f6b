//! Content: how it passes to the next hop or is thrown away, and how it ended.

use std::sync::Arc;

use bytes::{Buf as _, BytesMut};

use super::leg::{Awaited, Sent};
use super::{Action, Finished, Outcome, Outputs, Phase, Session, replies};
use crate::smtp::data::{DataDecoder, DataFault, Progress};
use crate::smtp::reply::Reply;

/// How often the largest message fits into content that is thrown away before the client is left; a message of so many octets at
/// least is read to its end whatever the limit.
const SWALLOWED_MAX: u64 = 4;
const SWALLOWED_MIN: u64 = 1024 * 1024;

/// A chunk that is thrown away, octet for octet; then the client is told.
#[derive(Debug)]
pub(super) struct Unwanted {
    left: u64,
    /// So much is thrown away at most; who sends more is left.
    patience: u64,
    reply: Reply,
    copies: usize,
    charge: Charge,
}

/// What a refused chunk counts as.
#[derive(Clone, Copy, Debug)]
pub(super) enum Charge {
    Nothing,
    Junk,
    Error,
}

impl Session {
    /// The next hop said 354 and so does the gate.
    pub(super) fn begin_content(&mut self) {
        self.phase = Phase::Content(DataDecoder::new(self.settings.limits.content_line));
    }

    /// Takes content from the client. Says whether commands may follow at once.
    pub(super) fn content(&mut self, bytes: &mut BytesMut, out: &mut Outputs) -> bool {
        match self.phase.take() {
            Phase::Content(decoder) => self.pass_on(decoder, bytes, out),
            Phase::Swallow(decoder, reply) => self.swallow(decoder, reply, bytes),
            Phase::Chunk(decoder) => self.pass_chunk(decoder, bytes, out),
            Phase::Discard(unwanted) => self.discard(unwanted, bytes),
            phase @ (Phase::Command
            | Phase::Asking(_)
            | Phase::Parked(..)
            | Phase::Opening(_)
            | Phase::Securing
            | Phase::Login(_)
            | Phase::GoAhead
            | Phase::Final(_)
            | Phase::Over) => self.phase = phase,
        }
        !self.phase.is_content()
    }

    fn pass_on(&mut self, mut decoder: DataDecoder, bytes: &mut BytesMut, out: &mut Outputs) {
        let kept = out.to_downstream.len();
        let transferred = decoder.transfer(bytes, &mut out.to_downstream);
        self.look_at(kept, out);
        let fault = match transferred {
            Err(fault) => fault_reply(fault),
            Ok(Progress::More) if self.is_too_large(&decoder) => replies::TOO_LARGE,
            Ok(Progress::More) => return self.phase = Phase::Content(decoder),
            Ok(Progress::End) if self.is_too_large(&decoder) => {
                // The end is among the bytes just added: it must not go out.
                out.to_downstream.truncate(kept);
                self.break_off(decoder.octets(), &replies::TOO_LARGE, out);
                return self.owed.push_copies(replies::TOO_LARGE, self.finals);
            }
            Ok(Progress::End) => return self.end_content(decoder.octets()),
        };
        self.break_off(decoder.octets(), &fault, out);
        self.swallow(decoder, fault, bytes);
    }

    /// Throws content away up to its end. A client whose content has none is left rather than read for ever, and whatever more
    /// it sends is no command.
    fn swallow(&mut self, mut decoder: DataDecoder, reply: Reply, bytes: &mut BytesMut) {
        let progress = decoder.swallow(bytes);
        let endless = decoder.octets() > self.thrown_away_max();
        self.phase = match progress {
            Progress::More if !endless => return self.phase = Phase::Swallow(decoder, reply),
            Progress::More => Phase::Over,
            Progress::End => Phase::Command,
        };
        self.owed.push_copies(reply, self.finals);
    }

    /// A chunk of which so many octets are still to come is not taken.
    pub(super) fn refused(
        &mut self,
        left: u64,
        last: bool,
        reply: Reply,
        charge: Charge,
    ) -> Unwanted {
        self.excused = true;
        // In LMTP the last chunk owes each accepted recipient a reply (RFC 2033 §4.2).
        let copies = if last { self.finals } else { 1 };
        let patience = self.thrown_away_max();
        Unwanted { left, patience, reply, copies, charge }
    }

    /// Throws a chunk away, and says so when it is over.
    pub(super) fn discard(&mut self, mut unwanted: Unwanted, bytes: &mut BytesMut) {
        let there = bytes.len().min(usize::try_from(unwanted.left).unwrap_or(usize::MAX));
        bytes.advance(there);
        unwanted.left -= there as u64;
        unwanted.patience = unwanted.patience.saturating_sub(there as u64);
        if unwanted.left > 0 && unwanted.patience > 0 {
            return self.phase = Phase::Discard(unwanted);
        }
        self.owed.push_copies(unwanted.reply, unwanted.copies);
        if unwanted.left > 0 {
            return self.phase = Phase::Over;
        }
        match unwanted.charge {
            Charge::Nothing => {}
            Charge::Junk => self.count_junk(),
            Charge::Error => self.count_error(),
        }
    }

    fn is_too_large(&self, decoder: &DataDecoder) -> bool {
        self.settings.limits.size > 0 && decoder.message_octets() > self.settings.limits.size
    }

    /// Octets of content that are read in order to be thrown away.
    pub(super) const fn thrown_away_max(&self) -> u64 {
        match self.settings.limits.size.saturating_mul(SWALLOWED_MAX) {
            0 => u64::MAX,
            max if max < SWALLOWED_MIN => SWALLOWED_MIN,
            max => max,
        }
    }

    /// Looks at the content that was just added to what goes to the next hop.
    pub(super) fn look_at(&mut self, kept: usize, out: &Outputs) {
        if let (Some(transaction), Some(added)) =
            (&mut self.transaction, out.to_downstream.get(kept..))
        {
            transaction.look_at(added);
        }
    }

    pub(super) fn end_content(&mut self, octets: u64) {
        let Some(transaction) = &mut self.transaction else { return };
        transaction.looked();
        let envelope = transaction.envelope.clone();
        let slot = self.owed.push_awaited_copies(self.finals_due());
        self.leg.in_step = self.leg.awaited.is_empty();
        self.leg.awaited.push_back(Awaited { command: Sent::EndOfData(slot), envelope });
        self.phase = Phase::Final(octets);
    }

    /// Breaks the message off: the next hop never sees its end, so it delivers nothing.
    pub(super) fn break_off(&mut self, octets: u64, reply: &Reply, out: &mut Outputs) {
        self.finals = self.finals_due();
        self.finish(Outcome::Aborted, octets, reply, out);
        self.abort_leg(reply, out);
    }

    /// Reports how the transaction ended, and drops it.
    pub(super) fn finish(
        &mut self,
        outcome: Outcome,
        octets: u64,
        reply: &Reply,
        out: &mut Outputs,
    ) {
        self.report(outcome, octets, reply, out);
        self.transaction = None;
    }

    /// Reports how a transaction ended for those whom the next hop had accepted, if there are any.
    pub(super) fn report(
        &mut self,
        outcome: Outcome,
        octets: u64,
        reply: &Reply,
        out: &mut Outputs,
    ) {
        let Some(transaction) = &mut self.transaction else { return };
        if transaction.accepted.is_empty() {
            return;
        }
        out.actions.push_back(Action::Finished(Finished {
            envelope: Arc::clone(&transaction.envelope),
            recipients: std::mem::take(&mut transaction.accepted).into(),
            octets,
            outcome,
            reply: reply.clone(),
            client_gone: self.client_gone,
        }));
    }
}

/// What the client is told of content that is no content.
pub(super) const fn fault_reply(fault: DataFault) -> Reply {
    match fault {
        DataFault::Smuggling => replies::BARE_IN_CONTENT,
        DataFault::LineTooLong => replies::CONTENT_LINE,
    }
}
