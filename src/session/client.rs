//! The client's side: framing, and the commands that concern the session rather than a message.

use std::borrow::Cow;

use bytes::BytesMut;

use super::auth;
use super::{
    Action, ClientTls, Farewell, Limits, Outcome, Outputs, Phase, Protocol, Session, TellClient,
    Waiting, replies,
};
use crate::smtp::command::{Command, is_bdat};
use crate::smtp::extensions::{Maxima, Size};
use crate::smtp::identity::Attributes;
use crate::smtp::line::{LineFault, take_line};
use crate::smtp::reply::Reply;

impl Session {
    pub(super) fn greet(&self, out: &mut Outputs) {
        replies::greeting(&self.settings.hostname, self.settings.protocol)
            .encode(false, &mut out.to_client);
    }

    pub(super) fn client_bytes(&mut self, bytes: &mut BytesMut, out: &mut Outputs) {
        loop {
            if self.owes_too_much() {
                self.owed.flush(&mut out.to_client);
            }
            match self.phase {
                Phase::Command if self.is_held_up() => return,
                Phase::Command => {
                    let chunk = is_bdat(bytes);
                    match take_line(bytes, self.settings.limits.line) {
                        Ok(None) => return,
                        Ok(Some(mut line)) => {
                            self.line(&line, !bytes.is_empty(), out);
                            auth::wipe(&mut line);
                        }
                        Err(LineFault::TooLong) if chunk => self.bdat(None, out),
                        Err(fault) => self.line_fault(fault),
                    }
                }
                Phase::Chunk(_) | Phase::Discard(_) => {
                    if !self.chunk(bytes, out) {
                        return;
                    }
                }
                // The go-ahead waits behind a reply that is not on disk: the client cannot have seen it.
                Phase::Content(_) | Phase::Swallow(..)
                    if !self.owed.is_empty() && !bytes.is_empty() =>
                {
                    self.out_of_step(out);
                }
                Phase::Content(_) | Phase::Swallow(..) => {
                    if !self.content(bytes, out) {
                        return;
                    }
                }
                // Nothing may follow DATA before 354 (RFC 2920 §3.1): content taken for commands, or the reverse, is how
                // mail is smuggled.
                Phase::GoAhead if !bytes.is_empty() => self.out_of_step(out),
                Phase::Login(_) => {
                    if !self.login_bytes(bytes, out) {
                        return;
                    }
                }
                Phase::Over => return bytes.clear(),
                Phase::GoAhead
                | Phase::Asking(_)
                | Phase::Opening(_)
                | Phase::Securing
                | Phase::Final(_) => return,
            }
        }
    }

    /// Whether commands wait in the client's buffer: too many replies are owed, or a next hop without PIPELINING must answer
    /// the last command first.
    pub(super) fn is_held_up(&self) -> bool {
        self.owes_too_much() || self.leg.is_lock_step_busy()
    }

    pub(super) const fn is_in_content(&self) -> bool {
        matches!(self.phase, Phase::Content(_) | Phase::Chunk(_))
    }

    fn owes_too_much(&self) -> bool {
        self.owed.len() >= self.settings.limits.pipeline
    }

    fn line(&mut self, line: &[u8], more: bool, out: &mut Outputs) {
        self.turns += 1;
        let command = match Command::parse(line) {
            Ok(command) => command,
            Err(fault) => return self.error(replies::fault(fault)),
        };
        match command {
            Command::Ehlo(name) if self.settings.protocol == Protocol::Smtp => {
                self.hello(true, &name, out);
            }
            Command::Helo(name) if self.settings.protocol == Protocol::Smtp => {
                self.hello(false, &name, out);
            }
            Command::Lhlo(name) if self.settings.protocol == Protocol::Lmtp => {
                self.hello(true, &name, out);
            }
            // RFC 2033 §4.1: neither is a command of the other protocol.
            Command::Ehlo(_) | Command::Helo(_) => self.error(replies::USE_LHLO),
            Command::Lhlo(_) => self.error(replies::USE_EHLO),
            Command::Mail(sender, parameters) => self.mail(sender, parameters),
            Command::Rcpt(recipient, parameters) => self.rcpt(recipient, parameters, out),
            Command::Data => self.data(more, out),
            Command::Rset => self.rset(out),
            Command::Noop => self.junk(replies::OK),
            Command::Help => self.junk(replies::HELP),
            Command::Vrfy => self.junk(replies::VRFY),
            Command::Xforward(argument) => self.xforward(&argument),
            Command::Xclient(argument) => self.xclient(&argument, out),
            Command::NotImplemented => self.error(replies::NOT_IMPLEMENTED),
            Command::Auth(start) => self.auth(start, more, out),
            Command::Starttls => self.starttls(more, out),
            Command::Quit => self.send_away(replies::BYE),
            Command::Bdat(chunk) => self.bdat(chunk, out),
            Command::NotSmtp => self.send_away(replies::NOT_SMTP),
        }
    }

    fn rset(&mut self, out: &mut Outputs) {
        self.excused = false;
        self.forwarded = None;
        // One that ends a transaction is no idle talk: Postfix sends it behind every message whose recipients were all refused.
        if self.transaction.is_some() {
            self.drop_transaction(out);
            self.owed.push(replies::OK);
        } else {
            self.junk(replies::OK);
        }
    }

    pub(super) fn line_fault(&mut self, fault: LineFault) {
        match fault {
            LineFault::TooLong => self.error(replies::LINE_TOO_LONG),
            LineFault::Endless => self.send_away(replies::LINE_TOO_LONG),
            LineFault::BareLineEnd => self.send_away(replies::BARE_LINE_END),
            LineFault::Tls => self.send_away(replies::NOT_SMTP),
        }
    }

    fn hello(&mut self, esmtp: bool, name: &str, out: &mut Outputs) {
        // RFC 5321 §4.1.4: a later EHLO resets as RSET does.
        self.drop_transaction(out);
        self.excused = false;
        self.forwarded = None;
        self.helo = (self.settings.tell_client != TellClient::Off).then(|| name.into());
        let again = self.greeted.replace(esmtp).is_some();
        self.owed.enhanced = esmtp && self.settings.offer.enhanced_status_codes;
        if esmtp && self.must_see_mechanisms() {
            self.see_mechanisms(out);
        } else {
            self.greet_back();
        }
        if again {
            self.count_junk();
        }
    }

    /// Answers EHLO or HELO.
    pub(super) fn greet_back(&mut self) {
        let esmtp = self.greeted == Some(true);
        let text = if esmtp { self.keywords() } else { self.settings.hostname.to_string() };
        self.owed.push_plain(Reply::plain(250, Cow::Owned(text)));
    }

    fn keywords(&self) -> String {
        let offer = &self.settings.offer;
        let size = match self.offered_size() {
            Some(limit) => format!("SIZE {limit}"),
            None => "SIZE".to_owned(),
        };
        let size = (offer.size != Size::Absent).then_some(size);
        let settings = &self.settings;
        let lines = [
            Some(self.settings.hostname.to_string()),
            offer.pipelining.then(|| "PIPELINING".to_owned()),
            size,
            offer.eight_bit_mime.then(|| "8BITMIME".to_owned()),
            offer.enhanced_status_codes.then(|| "ENHANCEDSTATUSCODES".to_owned()),
            offer.dsn.then(|| "DSN".to_owned()),
            settings.xforward.then(|| format!("XFORWARD {}", Attributes::XFORWARD)),
            settings.xclient.is_some().then(|| format!("XCLIENT {}", Attributes::XCLIENT)),
            offer.smtputf8.then(|| "SMTPUTF8".to_owned()),
            offer.chunking.then(|| "CHUNKING".to_owned()),
            offer.binary_mime.then(|| "BINARYMIME".to_owned()),
            offer.limits.map(|theirs| format!("LIMITS {}", self.limits_with(theirs))),
            self.offers_require_tls().then(|| "REQUIRETLS".to_owned()),
            self.offers_starttls().then(|| "STARTTLS".to_owned()),
            self.mechanisms().map(|words| format!("AUTH {words}")),
        ];
        lines.into_iter().flatten().collect::<Vec<_>>().join("\n")
    }

    /// What the gate takes, lowered to what the next hops take (RFC 9422).
    fn limits_with(&self, theirs: Maxima) -> Maxima {
        let Limits { transactions, recipients, .. } = self.settings.limits;
        let own = Maxima { mail: Some(transactions), rcpt: Some(recipients), rcpt_domain: None };
        own.and(theirs)
    }

    /// RFC 8689 §2: only within TLS, and only when the next hop keeps the promise too.
    pub(super) fn offers_require_tls(&self) -> bool {
        self.settings.offer.require_tls && self.settings.tls == ClientTls::Up
    }

    /// The smaller of our own limit and the next hop's; `None` without any.
    pub(super) fn offered_size(&self) -> Option<u64> {
        let own = (self.settings.limits.size > 0).then_some(self.settings.limits.size);
        match (own, self.settings.offer.size.limit()) {
            (Some(own), Some(theirs)) => Some(own.min(theirs)),
            (own, theirs) => own.or(theirs),
        }
    }

    /// A command that does nothing: harmless in small numbers.
    fn junk(&mut self, reply: Reply) {
        self.owed.push(reply);
        self.count_junk();
    }

    pub(super) fn count_junk(&mut self) {
        self.junk += 1;
        if self.junk > self.settings.limits.junk {
            self.count_error();
        }
    }

    /// RCPT or DATA without a MAIL that was taken. Behind a refused one they come in numbers, from a client that pipelines.
    pub(super) fn without_mail(&mut self) {
        match self.greeted {
            None => self.error(replies::NO_EHLO),
            Some(_) if self.excused => self.junk(replies::NO_MAIL),
            Some(_) => self.error(replies::NO_MAIL),
        }
    }

    /// A fault of the client's. Policy refusals do not come here: a client may legally hear a thousand of them.
    pub(super) fn error(&mut self, reply: Reply) {
        self.owed.push(reply);
        self.count_error();
    }

    pub(super) fn count_error(&mut self) {
        self.errors += 1;
        if self.errors >= self.settings.limits.errors {
            self.send_away(replies::TOO_MANY_ERRORS);
        }
    }

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
        match self.phase {
            // The message may have been accepted: only the next hop's reply tells (RFC 1047), so it is awaited and recorded.
            Phase::Final(_) | Phase::Over => {}
            // A client that half-closes may still read what it is owed.
            Phase::Command if !self.owed.is_empty() => {}
            Phase::Command
            | Phase::Asking(_)
            | Phase::Opening(_)
            | Phase::Securing
            | Phase::Login(_)
            | Phase::GoAhead
            | Phase::Content(_)
            | Phase::Swallow(..)
            | Phase::Chunk(_)
            | Phase::Discard(_) => self.give_up(&replies::CLIENT_LOST, out),
        }
    }

    /// Nobody hears what is still owed, so nothing is worth waiting for but the reply to an end of data: as in
    /// [`Self::client_closed`], it is recorded.
    pub(super) fn client_lost(&mut self, out: &mut Outputs) {
        self.client_gone = true;
        match self.phase {
            Phase::Final(_) => {}
            Phase::Command
            | Phase::Asking(_)
            | Phase::Opening(_)
            | Phase::Securing
            | Phase::Login(_)
            | Phase::GoAhead
            | Phase::Content(_)
            | Phase::Chunk(_)
            | Phase::Discard(_)
            | Phase::Swallow(..)
            | Phase::Over => self.give_up(&replies::CLIENT_LOST, out),
        }
    }

    pub(super) fn expired(&mut self, waiting: Waiting, out: &mut Outputs) {
        match waiting {
            // A deadline may fire in the instant in which what it waited for arrived.
            Waiting::Client | Waiting::Content if waiting != self.waiting() => {}
            Waiting::Downstream(_) if self.leg.is_idle() && !self.is_in_content() => {}
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
        match &self.phase {
            Phase::Content(decoder) => {
                let octets = decoder.octets();
                self.break_off(octets, reply, out);
            }
            Phase::Chunk(decoder) => {
                let octets = decoder.octets();
                self.break_off(octets, reply, out);
            }
            Phase::GoAhead => self.break_off(0, reply, out),
            Phase::Command
            | Phase::Asking(_)
            | Phase::Opening(_)
            | Phase::Securing
            | Phase::Login(_)
            | Phase::Swallow(..)
            | Phase::Discard(_)
            | Phase::Final(_)
            | Phase::Over => {
                self.report_chunks_left(out);
                self.transaction = None;
                if !self.leg.is_idle() {
                    self.abort_leg(reply, out);
                }
            }
        }
        self.phase = Phase::Over;
    }

    /// Drops the transaction; a next hop that knows of it is told RSET.
    pub(super) fn drop_transaction(&mut self, out: &mut Outputs) {
        self.report_chunks_left(out);
        if let Some(transaction) = self.transaction.take() {
            self.leg.forget(transaction, out);
        }
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
            self.close_leg(Farewell::Quit, out);
            out.actions.push_back(Action::CloseClient);
        }
    }
}
