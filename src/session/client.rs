//! The client's side: framing, and the commands that concern the session rather than a message.

use std::borrow::Cow;

use bytes::BytesMut;

use super::{Action, Farewell, Outcome, Outputs, Phase, Session, Waiting, replies};
use crate::smtp::command::Command;
use crate::smtp::extensions::Size;
use crate::smtp::line::{LineFault, take_line};
use crate::smtp::reply::Reply;

impl Session {
    pub(super) fn greet(&self, out: &mut Outputs) {
        replies::greeting(&self.settings.hostname).encode(false, &mut out.to_client);
    }

    pub(super) fn client_bytes(&mut self, bytes: &mut BytesMut, out: &mut Outputs) {
        loop {
            match self.phase {
                Phase::Command if self.is_held_up() => return,
                Phase::Command => match take_line(bytes, self.settings.limits.line) {
                    Ok(None) => return,
                    Ok(Some(line)) => self.line(&line, !bytes.is_empty(), out),
                    Err(fault) => self.line_fault(fault, out),
                },
                Phase::Content(_) | Phase::Swallow(..) => {
                    if !self.content(bytes, out) {
                        return;
                    }
                }
                // Nothing may follow DATA before 354 (RFC 2920 §3.1): content taken for commands, or the reverse, is how
                // mail is smuggled.
                Phase::GoAhead if !bytes.is_empty() => return self.send_away(replies::SYNC, out),
                Phase::Over => return bytes.clear(),
                Phase::GoAhead | Phase::Asking(_) | Phase::Opening(_) | Phase::Final(_) => return,
            }
        }
    }

    /// Whether commands wait in the client's buffer: too many replies are owed, or a next hop without PIPELINING must answer
    /// the last command first.
    pub(super) fn is_held_up(&self) -> bool {
        self.owed.len() >= self.settings.limits.pipeline || self.leg.is_lock_step_busy()
    }

    fn line(&mut self, line: &[u8], more: bool, out: &mut Outputs) {
        self.turns += 1;
        let command = match Command::parse(line) {
            Ok(command) => command,
            Err(fault) => return self.error(replies::fault(fault), out),
        };
        match command {
            Command::Ehlo(_) => self.hello(true, out),
            Command::Helo(_) => self.hello(false, out),
            Command::Mail(sender, parameters) => self.mail(sender, parameters, out),
            Command::Rcpt(recipient, parameters) => self.rcpt(recipient, parameters, out),
            Command::Data => self.data(more, out),
            Command::Rset => {
                self.drop_transaction(out);
                self.junk(replies::OK, out);
            }
            Command::Noop => self.junk(replies::OK, out),
            Command::Help => self.junk(replies::HELP, out),
            Command::Vrfy => self.junk(replies::VRFY, out),
            Command::Xforward(attributes) => self.xforward(attributes, out),
            Command::Xclient => self.error(replies::NOT_YOU, out),
            Command::NotImplemented => self.error(replies::NOT_IMPLEMENTED, out),
            Command::Quit => self.send_away(replies::BYE, out),
            // What follows is content of a length that we have not agreed on: it must never be read as commands.
            Command::Bdat => self.send_away(replies::BDAT, out),
            Command::NotSmtp => self.send_away(replies::NOT_SMTP, out),
        }
    }

    fn line_fault(&mut self, fault: LineFault, out: &mut Outputs) {
        match fault {
            LineFault::TooLong => self.error(replies::LINE_TOO_LONG, out),
            LineFault::Endless => self.send_away(replies::LINE_TOO_LONG, out),
            LineFault::BareLineEnd => self.send_away(replies::BARE_LINE_END, out),
        }
    }

    fn hello(&mut self, esmtp: bool, out: &mut Outputs) {
        // RFC 5321 §4.1.4: a later EHLO resets as RSET does.
        self.drop_transaction(out);
        self.ident = None;
        self.greeted = Some(esmtp);
        self.owed.enhanced = esmtp;
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
        let xforward = "XFORWARD NAME ADDR PORT PROTO HELO IDENT SOURCE".to_owned();
        let lines = [
            Some(self.settings.hostname.to_string()),
            offer.pipelining.then(|| "PIPELINING".to_owned()),
            size,
            offer.eight_bit_mime.then(|| "8BITMIME".to_owned()),
            offer.enhanced_status_codes.then(|| "ENHANCEDSTATUSCODES".to_owned()),
            offer.dsn.then(|| "DSN".to_owned()),
            self.settings.xforward.then_some(xforward),
            offer.smtputf8.then(|| "SMTPUTF8".to_owned()),
        ];
        lines.into_iter().flatten().collect::<Vec<_>>().join("\n")
    }

    /// The smaller of our own limit and the next hop's; `None` without any.
    pub(super) fn offered_size(&self) -> Option<u64> {
        let own = (self.settings.limits.size > 0).then_some(self.settings.limits.size);
        match (own, self.settings.offer.size.limit()) {
            (Some(own), Some(theirs)) => Some(own.min(theirs)),
            (own, theirs) => own.or(theirs),
        }
    }

    fn xforward(&mut self, attributes: Vec<(String, String)>, out: &mut Outputs) {
        if !self.settings.xforward {
            return self.error(replies::NOT_YOU, out);
        }
        if self.transaction.is_some() {
            return self.error(replies::IN_TRANSACTION, out);
        }
        for (name, value) in attributes {
            if name == "IDENT" {
                self.ident = Some(value).filter(|ident| ident != "[UNAVAILABLE]");
            }
        }
        self.owed.push(replies::OK);
    }

    /// A command that does nothing: harmless in small numbers.
    fn junk(&mut self, reply: Reply, out: &mut Outputs) {
        self.junk += 1;
        if self.junk > self.settings.limits.junk {
            self.error(reply, out)
        } else {
            self.owed.push(reply)
        }
    }

    /// A fault of the client's. Policy refusals do not come here: a client may legally hear a thousand of them.
    pub(super) fn error(&mut self, reply: Reply, out: &mut Outputs) {
        self.errors += 1;
        self.owed.push(reply);
        if self.errors >= self.settings.limits.errors {
            self.send_away(replies::TOO_MANY_ERRORS, out);
        }
    }

    /// The last reply of the session. It still waits its turn behind those that the next hop owes.
    pub(super) fn send_away(&mut self, last: Reply, out: &mut Outputs) {
        self.owed.push(last);
        self.transaction = None;
        if matches!(self.phase, Phase::GoAhead) {
            self.abort_leg(&replies::SYNC, out);
        }
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
            | Phase::GoAhead
            | Phase::Content(_)
            | Phase::Swallow(..) => self.give_up(out),
        }
    }

    pub(super) fn expired(&mut self, waiting: Waiting, out: &mut Outputs) {
        match waiting {
            Waiting::Client => self.send_away(replies::IDLE, out),
            Waiting::Content => {
                self.owed.push(replies::IDLE);
                self.give_up(out);
            }
            Waiting::Downstream(_) => self.lose_leg(&replies::TIMED_OUT, out),
            Waiting::Driver => self.owed.release_all(),
            Waiting::Nothing => {}
        }
    }

    /// Nothing further is worth doing for this client: the transaction is broken off without an end.
    pub(super) fn give_up(&mut self, out: &mut Outputs) {
        if let Phase::Content(decoder) = &self.phase {
            let octets = decoder.octets();
            self.finish(Outcome::Aborted, octets, &replies::CLIENT_LOST, out);
        }
        self.transaction = None;
        self.abort_leg(&replies::LOST, out);
        self.phase = Phase::Over;
    }

    /// Drops the transaction; a next hop that knows of it is told RSET.
    pub(super) fn drop_transaction(&mut self, out: &mut Outputs) {
        if let Some(transaction) = self.transaction.take() {
            self.leg.forget(transaction, out);
        }
    }

    /// The end of a step: leaves when there is nothing left to say.
    pub(super) fn leave_if_done(&mut self, out: &mut Outputs) {
        let between = matches!(self.phase, Phase::Command)
            && self.transaction.is_none()
            && self.owed.is_empty();
        if self.client_gone && matches!(self.phase, Phase::Command) && self.owed.is_empty() {
            self.give_up(out);
        } else if between && self.draining && self.greeted.is_some() {
            replies::SHUTDOWN.encode(self.owed.enhanced, &mut out.to_client);
            self.phase = Phase::Over;
        }
        if matches!(self.phase, Phase::Over) && self.owed.is_empty() && !self.leaving {
            self.leaving = true;
            self.close_leg(Farewell::Quit, out);
            out.actions.push_back(Action::CloseClient);
        }
    }
}
