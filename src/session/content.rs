//! From 354 to the final reply.

use std::sync::Arc;

use bytes::BytesMut;

use super::leg::{Awaited, Sent};
use super::{Action, Finished, Outcome, Outputs, Phase, Session, replies};
use crate::smtp::data::{DataDecoder, DataFault, Progress};
use crate::smtp::reply::Reply;

/// How often the largest message fits into content that is thrown away before the client is left; a message of so many octets at
/// least is read to its end whatever the limit.
const SWALLOWED_MAX: u64 = 4;
const SWALLOWED_MIN: u64 = 1024 * 1024;

impl Session {
    /// The next hop said 354 and so does the gate.
    pub(super) fn begin_content(&mut self) {
        self.phase = Phase::Content(DataDecoder::new(self.settings.limits.content_line));
    }

    /// Takes content from the client. Says whether commands may follow at once.
    pub(super) fn content(&mut self, bytes: &mut BytesMut, out: &mut Outputs) -> bool {
        match std::mem::replace(&mut self.phase, Phase::Command) {
            Phase::Content(decoder) => self.pass_on(decoder, bytes, out),
            Phase::Swallow(mut decoder, reply) => match decoder.swallow(bytes) {
                Progress::End => self.owed.push_copies(reply, self.finals),
                Progress::More if self.is_endless(&decoder) => {
                    self.owed.push_copies(reply, self.finals);
                    self.phase = Phase::Over;
                }
                Progress::More => {
                    self.phase = Phase::Swallow(decoder, reply);
                    return false;
                }
            },
            phase @ (Phase::Command
            | Phase::Asking(_)
            | Phase::Opening(_)
            | Phase::Securing
            | Phase::Login(_)
            | Phase::GoAhead
            | Phase::Chunk(_)
            | Phase::Discard(_)
            | Phase::Final(_)
            | Phase::Over) => self.phase = phase,
        }
        match self.phase {
            Phase::Content(_) => false,
            Phase::Swallow(..) => !bytes.is_empty(),
            Phase::Command
            | Phase::Asking(_)
            | Phase::Opening(_)
            | Phase::Securing
            | Phase::Login(_)
            | Phase::GoAhead
            | Phase::Chunk(_)
            | Phase::Discard(_)
            | Phase::Final(_)
            | Phase::Over => true,
        }
    }

    fn pass_on(&mut self, mut decoder: DataDecoder, bytes: &mut BytesMut, out: &mut Outputs) {
        let kept = out.to_downstream.len();
        let fault = match decoder.transfer(bytes, &mut out.to_downstream) {
            Err(DataFault::Smuggling) => replies::BARE_IN_CONTENT,
            Err(DataFault::LineTooLong) => replies::CONTENT_LINE,
            Ok(Progress::More) if self.is_too_large(&decoder) => replies::TOO_LARGE,
            Ok(Progress::More) => return self.phase = Phase::Content(decoder),
            Ok(Progress::End) if self.is_too_large(&decoder) => {
                // The end is among the bytes just added: it must not go out.
                out.to_downstream.truncate(kept);
                self.break_off(decoder.octets(), &replies::TOO_LARGE, out);
                self.phase = Phase::Command;
                return self.owed.push_copies(replies::TOO_LARGE, self.finals);
            }
            Ok(Progress::End) => return self.end_content(decoder.octets()),
        };
        self.break_off(decoder.octets(), &fault, out);
        self.phase = Phase::Swallow(decoder, fault);
    }

    fn is_too_large(&self, decoder: &DataDecoder) -> bool {
        self.settings.limits.size > 0 && decoder.message_octets() > self.settings.limits.size
    }

    /// Whether what is thrown away has been enough: the client is left rather than read to its end, and whatever more it sends is
    /// no command.
    fn is_endless(&self, decoder: &DataDecoder) -> bool {
        decoder.octets() > self.thrown_away_max()
    }

    /// Octets of content that are read in order to be thrown away.
    pub(super) const fn thrown_away_max(&self) -> u64 {
        match self.settings.limits.size.saturating_mul(SWALLOWED_MAX) {
            0 => u64::MAX,
            max if max < SWALLOWED_MIN => SWALLOWED_MIN,
            max => max,
        }
    }

    pub(super) fn end_content(&mut self, octets: u64) {
        let Some(transaction) = &self.transaction else { return };
        let slot = self.owed.push_awaited_copies(self.finals_due());
        let envelope = transaction.envelope.clone();
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
            recipients: std::mem::take(&mut transaction.accepted),
            octets,
            outcome,
            reply: reply.clone(),
            client_gone: self.client_gone,
        }));
    }
}
