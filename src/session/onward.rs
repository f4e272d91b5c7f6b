//! MAIL, RCPT and DATA as they go on to the next hop.

use std::fmt::Write;
use std::sync::Arc;

use super::leg::{Awaited, Sent};
use super::owed::SlotId;
use super::transaction::{Asked, Envelope, MailState, Transaction};
use super::{Outputs, Phase, Session, replies};
use crate::bounce::Stage;
use crate::smtp::command::Parameter;
use crate::smtp::extensions::{Capabilities, Size};
use crate::smtp::reply::Reply;

impl Session {
    /// Sends MAIL if it has not gone, then RCPT; behind PIPELINING both in one write.
    pub(super) fn send_rcpt(&mut self, asked: Asked, slot: SlotId, out: &mut Outputs) {
        let Some(there) = self.leg.capabilities() else { return };
        let introduction = self.introduction(there.xforward);
        let Some(transaction) = &mut self.transaction else { return };
        let refusal = match lacking(transaction, &asked, &there) {
            None if self.settings.protocol.tells_one_end() && transaction.is_taken(&there) => {
                Some(replies::ONE_RECIPIENT)
            }
            refusal => refusal,
        };
        if let Some(refusal) = refusal {
            return self.turn_away(asked.recipient, slot, refusal, Stage::Connect, out);
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
