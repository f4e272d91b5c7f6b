//! MAIL, RCPT and DATA as the client sends them.

use std::sync::Arc;

use super::again::Opening;
use super::owed::SlotId;
use super::transaction::{Asked, Envelope, MailState, Transaction, Wants};
use super::{
    Action, Answered, Auth, ClientTls, Farewell, Outcome, Outputs, Phase, Protocol, Session,
    replies,
};
use crate::bounce::Stage;
use crate::policy::verdict::Verdict;
use crate::smtp::address::{Recipient, ReversePath};
use crate::smtp::command::Parameter;
use crate::smtp::extensions::{Capabilities, Size};
use crate::smtp::reply::Reply;

impl Session {
    pub(super) fn mail(&mut self, sender: ReversePath, parameters: Vec<Parameter>) {
        let refusal = match self.greeted {
            None => Some(replies::NO_EHLO),
            Some(_) if self.settings.tls == ClientTls::Required => Some(replies::NEED_TLS),
            Some(_) if self.lacks_login() => Some(replies::NEED_LOGIN),
            Some(_) if self.transaction.is_some() => Some(replies::NESTED_MAIL),
            Some(_) => None,
        };
        if let Some(refusal) = refusal {
            return self.error(refusal);
        }
        if self.draining {
            return self.send_away(replies::SHUTDOWN);
        }
        if self.transactions >= self.settings.limits.transactions {
            return self.send_away(replies::TOO_MANY_TRANSACTIONS);
        }
        match self.begin(sender, parameters) {
            Ok(transaction) => {
                self.excused = false;
                self.transaction = Some(transaction);
                self.owed.push(replies::SENDER_OK);
            }
            Err(refusal) => {
                self.excused = true;
                self.error(refusal);
            }
        }
    }

    fn begin(
        &mut self,
        sender: ReversePath,
        mut parameters: Vec<Parameter>,
    ) -> Result<Transaction, Reply> {
        let wants = self.wants(&parameters)?;
        if let ReversePath::Mailbox(mailbox) = &sender
            && mailbox.needs_smtputf8()
            && !wants.smtputf8
        {
            return Err(replies::NEED_UTF8);
        }
        if let (Some(declared), Some(limit)) = (wants.size, self.offered_size())
            && declared > limit
        {
            return Err(replies::TOO_LARGE);
        }
        let origin = self.forwarded.take();
        let ident = origin.as_ref().and_then(|origin| origin.ident.as_deref().map(str::to_owned));
        self.disown(&mut parameters);
        let envid = parameters.iter().find(|parameter| parameter.keyword == "ENVID");
        let envid = envid.and_then(|parameter| parameter.value.clone());
        let message = match (&ident, &envid) {
            (Some(ident), _) => Some(format!("{}/{ident}", self.settings.client.address_text())),
            (None, Some(envid)) => Some(format!("envid/{envid}")),
            (None, None) => None,
        };
        self.transactions += 1;
        Ok(Transaction {
            envelope: Arc::new(Envelope { sender, ident, envid, message }),
            parameters,
            wants,
            origin,
            mail: MailState::Unsent,
            asked: 0,
            pending: 0,
            accepted: Vec::new(),
            chunks: None,
        })
    }

    /// Checks the parameters of MAIL against what was offered. After HELO nothing was.
    fn wants(&self, parameters: &[Parameter]) -> Result<Wants, Reply> {
        let offer =
            if self.greeted == Some(true) { self.settings.offer } else { Capabilities::default() };
        let mut wants = Wants::default();
        for Parameter { keyword, value } in parameters {
            let value = value.as_deref();
            let offered = match (keyword.as_str(), value) {
                ("SIZE", Some(digits)) => {
                    wants.size = Some(octets(digits).ok_or(replies::PARAMETER)?);
                    offer.size != Size::Absent
                }
                ("BODY", Some(body)) if body.eq_ignore_ascii_case("7BIT") => offer.eight_bit_mime,
                ("BODY", Some(body)) if body.eq_ignore_ascii_case("8BITMIME") => {
                    wants.eight_bit_mime = true;
                    offer.eight_bit_mime
                }
                ("BODY", Some(body)) if body.eq_ignore_ascii_case("BINARYMIME") => {
                    wants.binary_mime = true;
                    offer.binary_mime
                }
                ("REQUIRETLS", None) => {
                    wants.require_tls = true;
                    offer.require_tls && self.offers_require_tls()
                }
                ("SMTPUTF8", None) => {
                    wants.smtputf8 = true;
                    offer.smtputf8
                }
                ("AUTH", Some(value)) => {
                    self.mechanisms().is_some() && (value == "<>" || is_xtext(value))
                }
                ("RET" | "ENVID", Some(value)) => {
                    wants.dsn = true;
                    offer.dsn && is_xtext(value)
                }
                _ => false,
            };
            if !offered {
                return Err(replies::PARAMETER);
            }
        }
        Ok(wants)
    }

    pub(super) fn rcpt(
        &mut self,
        recipient: Recipient,
        parameters: Vec<Parameter>,
        out: &mut Outputs,
    ) {
        let (no_relay, dsn) = (self.no_relay(), self.settings.offer.dsn);
        let limit = self.settings.limits.recipients;
        let Some(transaction) = &mut self.transaction else {
            return self.without_mail();
        };
        let offered = |parameter: &Parameter| {
            matches!(parameter.keyword.as_str(), "NOTIFY" | "ORCPT")
                && parameter.value.as_deref().is_some_and(is_xtext)
        };
        if !parameters.iter().all(|parameter| dsn && offered(parameter)) {
            return self.error(replies::PARAMETER);
        }
        if transaction.chunks.is_some() {
            return self.error(replies::RCPT_AFTER_BDAT);
        }
        transaction.asked = transaction.asked.saturating_add(1);
        // A client may overshoot by a pipelined group; one that goes on and on does not listen.
        if transaction.asked > limit.saturating_mul(2) {
            return self.error(replies::TOO_MANY_RCPT);
        }
        let answer = match (&transaction.mail, &recipient) {
            _ if no_relay.is_some() => no_relay,
            _ if transaction.asked > limit => Some(replies::TOO_MANY_RCPT),
            (_, Recipient::Mailbox(mailbox))
                if mailbox.needs_smtputf8() && !transaction.wants.smtputf8 =>
            {
                Some(replies::NEED_UTF8)
            }
            _ => None,
        };
        if let Some(answer) = answer {
            return self.owed.push(answer);
        }
        let envelope = Arc::clone(&transaction.envelope);
        out.actions.push_back(Action::Ask(envelope, recipient.clone()));
        self.phase = Phase::Asking(Asked { recipient, parameters });
    }

    pub(super) fn judged(&mut self, verdict: Verdict, out: &mut Outputs) {
        let Phase::Asking(_) = self.phase else { return };
        let Phase::Asking(asked) = std::mem::replace(&mut self.phase, Phase::Command) else {
            return;
        };
        match verdict {
            Verdict::Refuse(reply) | Verdict::Defer(reply) => self.owed.push(reply),
            Verdict::Forward => self.forward(asked, out),
        }
    }

    /// Sends a recipient on, over a connection that is there or has to be opened first.
    fn forward(&mut self, asked: Asked, out: &mut Outputs) {
        let Some(transaction) = &self.transaction else { return };
        if let MailState::Failed(reply) = &transaction.mail {
            let reply = reply.clone();
            let slot = self.owed.push_awaited();
            return self.turn_away(asked.recipient, slot, reply, out);
        }
        if self.login_is_lost() {
            let slot = self.owed.push_awaited();
            return self.turn_away(asked.recipient, slot, replies::LOST, out);
        }
        if !self.leg.is_open() {
            self.phase = Phase::Opening(Opening::First(asked));
            return out.actions.push_back(Action::Open);
        }
        let slot = self.owed.push_awaited();
        self.send_rcpt(asked, slot, out);
    }

    pub(super) fn opened(&mut self, capabilities: Capabilities, out: &mut Outputs) {
        if self.settings.auth == Auth::Relay {
            self.settings.offer.auth = capabilities.auth;
        }
        match std::mem::replace(&mut self.phase, Phase::Command) {
            Phase::Login(step) => self.opened_for_login(step, capabilities, out),
            Phase::Opening(Opening::First(asked)) => {
                self.leg.open(capabilities);
                let slot = self.owed.push_awaited();
                self.send_rcpt(asked, slot, out);
            }
            Phase::Opening(Opening::Again(awaited)) => {
                self.opened_again(awaited, capabilities, out)
            }
            // The client left meanwhile: nobody would ever close it.
            phase @ (Phase::Command
            | Phase::Asking(_)
            | Phase::Securing
            | Phase::GoAhead
            | Phase::Content(_)
            | Phase::Swallow(..)
            | Phase::Chunk(_)
            | Phase::Discard(_)
            | Phase::Final(_)
            | Phase::Over) => {
                self.phase = phase;
                out.actions.push_back(Action::CloseDownstream(Farewell::Quit));
            }
        }
    }

    /// Answers for a next hop that cannot be asked: no evidence, but the operator wants to see it.
    pub(super) fn turn_away(
        &mut self,
        recipient: Recipient,
        slot: SlotId,
        reply: Reply,
        out: &mut Outputs,
    ) {
        if let Some(transaction) = &self.transaction {
            out.actions.push_back(Action::Answered(Answered {
                envelope: Arc::clone(&transaction.envelope),
                recipient,
                stage: Stage::Connect,
                reply: reply.clone(),
                recipients: 1,
                ticket: None,
            }));
        }
        self.owed.settle(slot, reply);
    }

    pub(super) fn not_opened(&mut self, reply: Reply, out: &mut Outputs) {
        if let Phase::Login(_) = self.phase
            && let Phase::Login(step) = std::mem::replace(&mut self.phase, Phase::Command)
        {
            return self.not_opened_for_login(step, out);
        }
        if let Phase::Opening(_) = self.phase
            && let Phase::Opening(opening) = std::mem::replace(&mut self.phase, Phase::Command)
        {
            let asked = match opening {
                Opening::First(asked) => asked,
                Opening::Again(awaited) => return self.not_opened_again(awaited, &reply, out),
            };
            let slot = self.owed.push_awaited();
            self.turn_away(asked.recipient, slot, reply.clone(), out);
            // One attempt a transaction: its further recipients need the same next hop.
            if let Some(transaction) = &mut self.transaction {
                transaction.mail = MailState::Failed(reply);
            }
        }
    }

    /// DATA for nobody.
    pub(super) const fn no_valid_rcpt(&self) -> Reply {
        match self.settings.protocol {
            Protocol::Smtp => replies::NO_VALID_RCPT,
            Protocol::Lmtp => replies::NO_VALID_RCPT_LMTP,
        }
    }

    pub(super) fn data(&mut self, more: bool, out: &mut Outputs) {
        let Some(transaction) = &self.transaction else {
            return self.without_mail();
        };
        if more {
            // See `Phase::GoAhead`: a client that does not wait for 354 is not to be believed about what is content.
            return self.out_of_step(out);
        }
        // What is left behind either is indeterminate (RFC 3030 §2, §3), so nothing is.
        let misplaced = match transaction.chunks {
            Some(_) => Some(replies::NOT_BOTH),
            None if transaction.wants.binary_mime => Some(replies::BINARY_NEEDS_BDAT),
            None => None,
        };
        if let Some(refusal) = misplaced {
            self.drop_transaction(out);
            return self.error(refusal);
        }
        if transaction.asked == 0 {
            return self.error(replies::NO_RCPT);
        }
        let refusal = match &transaction.mail {
            MailState::Failed(reply) if !transaction.accepted.is_empty() => reply.clone(),
            MailState::Sent if transaction.pending > 0 || !transaction.accepted.is_empty() => {
                return self.send_data(out);
            }
            MailState::Failed(_) | MailState::Unsent | MailState::Sent => self.no_valid_rcpt(),
        };
        // The transaction ends here as it does when the next hop refuses DATA: nothing of it is left for the next message.
        self.report(Outcome::Aborted, 0, &refusal, out);
        self.drop_transaction(out);
        self.owed.push(refusal);
    }
}

/// A number of octets: digits only, at most twenty (RFC 1870 §4), checked, so that no size wraps around.
fn octets(digits: &str) -> Option<u64> {
    let fits = (1..=20).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
    fits.then(|| digits.parse().ok()).flatten()
}

/// Whether a value is xtext or plain (RFC 3461 §4), printable ASCII, and decodes to no NUL or other control character.
fn is_xtext(value: &str) -> bool {
    if !value.bytes().all(|byte| byte.is_ascii_graphic()) {
        return false;
    }
    let mut bytes = value.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'+' {
            let mut digit = || bytes.next().and_then(|byte| (byte as char).to_digit(16));
            let decoded = digit().zip(digit()).map(|(high, low)| high * 16 + low);
            if decoded.is_none_or(|byte| byte < 0x20 || byte == 0x7f) {
                return false;
            }
        }
    }
    true
}
