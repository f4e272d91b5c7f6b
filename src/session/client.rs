//! The client's side: framing, and the commands that concern the session rather than a message.

use bytes::BytesMut;

use super::auth;
use super::{Need, Outputs, Phase, Protocol, Session, replies};
use crate::smtp::command::{Command, is_bdat};
use crate::smtp::line::{LineFault, take_line};
use crate::smtp::reply::Reply;

impl Session {
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
                // The go-ahead waits behind a reply that is not on disk: the client cannot have seen it.
                Phase::Content(_) | Phase::Swallow(..)
                    if !self.owed.is_empty() && !bytes.is_empty() =>
                {
                    self.out_of_step(out);
                }
                Phase::Content(_) | Phase::Swallow(..) | Phase::Chunk(_) | Phase::Discard(_) => {
                    if !self.content(bytes, out) {
                        return;
                    }
                }
                // Nothing may follow DATA before 354 (RFC 2920 §3.1): content taken for commands, or the reverse, is how
                // mail is smuggled.
                Phase::GoAhead if !bytes.is_empty() => self.out_of_step(out),
                // Nor may anything follow AUTH before its reply: see `auth`.
                Phase::Opening(Need::Login(_)) if !bytes.is_empty() => self.out_of_step(out),
                Phase::Login(_) => {
                    if !self.login_bytes(bytes, out) {
                        return;
                    }
                }
                Phase::Over => return bytes.clear(),
                Phase::GoAhead
                | Phase::Asking(_)
                | Phase::Parked(..)
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

    /// Drops the transaction; a next hop that knows of it is told RSET.
    pub(super) fn drop_transaction(&mut self, out: &mut Outputs) {
        self.report_chunks_left(out);
        if let Some(transaction) = self.transaction.take() {
            self.leg.forget(transaction, out);
        }
    }
}
