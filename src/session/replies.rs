//! What the gate itself says. Every text starts with `rcptgate:`, so that a person, a classifier or another gate can tell it
//! from the next hop's; the catalogue is in the tests' README.

use std::borrow::Cow;

use super::{Protocol, Settings};
use crate::smtp::command::CommandFault;
use crate::smtp::reply::Reply;
use crate::smtp::status::EnhancedStatus;

const fn reply(code: u16, status: (u8, u16, u16), text: &'static str) -> Reply {
    Reply::new(code, EnhancedStatus::new(status.0, status.1, status.2), text)
}

pub(super) const OK: Reply = reply(250, (2, 0, 0), "rcptgate: ok");
pub(super) const SENDER_OK: Reply = reply(250, (2, 1, 0), "rcptgate: sender ok");
pub(super) const GO_TLS: Reply = reply(220, (2, 0, 0), "rcptgate: ready for TLS");
pub(super) const NEED_TLS: Reply =
    reply(530, (5, 7, 0), "rcptgate: must issue a STARTTLS command first");
pub(super) const LOGGED_IN: Reply = reply(235, (2, 7, 0), "rcptgate: logged in");
pub(super) const NEED_LOGIN: Reply = reply(530, (5, 7, 0), "rcptgate: log in first");
pub(super) const WRONG_LOGIN: Reply = reply(535, (5, 7, 8), "rcptgate: wrong name or password");
pub(super) const LOGIN_IN_CLEAR: Reply =
    reply(538, (5, 7, 11), "rcptgate: no AUTH without TLS, issue STARTTLS first");
pub(super) const LOGIN_CANCELLED: Reply = reply(501, (5, 7, 0), "rcptgate: AUTH cancelled");
pub(super) const LOGIN_MALFORMED: Reply =
    reply(501, (5, 5, 2), "rcptgate: malformed AUTH response");
pub(super) const LOGIN_LINE: Reply = reply(500, (5, 5, 6), "rcptgate: AUTH response too long");
pub(super) const NO_MECHANISM: Reply = reply(501, (5, 5, 4), "rcptgate: AUTH names no mechanism");
pub(super) const UNKNOWN_MECHANISM: Reply =
    reply(504, (5, 5, 4), "rcptgate: mechanism not offered");
pub(super) const LOGGED_IN_ALREADY: Reply = reply(503, (5, 5, 1), "rcptgate: logged in already");
pub(super) const LOGIN_LATER: Reply =
    reply(454, (4, 7, 0), "rcptgate: the login cannot be checked now");
pub(super) const LOGIN_LOST: Reply =
    reply(454, (4, 7, 0), "rcptgate: the next hop, which checks logins, cannot be reached");
pub(super) const LOGIN_GONE: Reply =
    reply(421, (4, 4, 2), "rcptgate: the next hop, and your login with it, was lost; log in anew");
pub(super) const NO_NEXT_HOP: Reply =
    reply(421, (4, 4, 1), "rcptgate: the next hop, which checks logins, cannot be reached");
pub(super) const TOO_MANY_LOGINS: Reply = reply(421, (4, 7, 0), "rcptgate: too many failed logins");
pub(super) const BYE: Reply = reply(221, (2, 0, 0), "rcptgate: bye");
pub(super) const VRFY: Reply = reply(252, (2, 5, 0), "rcptgate: send some mail and see");
pub(super) const HELP: Reply =
    reply(214, (2, 0, 0), "rcptgate: HELO EHLO MAIL RCPT DATA RSET NOOP QUIT VRFY HELP");

pub(super) const SHUTDOWN: Reply = reply(421, (4, 3, 2), "rcptgate: shutting down, try again");
pub(super) const IDLE: Reply = reply(421, (4, 4, 2), "rcptgate: idle for too long");
pub(super) const TOO_MANY_ERRORS: Reply = reply(421, (4, 7, 0), "rcptgate: too many errors");
pub(super) const TOO_MANY_TRANSACTIONS: Reply =
    reply(421, (4, 7, 0), "rcptgate: enough messages for one connection");

pub(super) const SYNC: Reply =
    reply(554, (5, 5, 0), "rcptgate: protocol synchronization: you spoke before you were asked");
pub(super) const LINE_TOO_LONG: Reply = reply(500, (5, 5, 2), "rcptgate: line too long");
pub(super) const BARE_LINE_END: Reply =
    reply(500, (5, 5, 2), "rcptgate: bare CR or LF in a command");
pub(super) const NOT_SMTP: Reply = reply(502, (5, 5, 1), "rcptgate: this is an SMTP server");
pub(super) const NOT_IMPLEMENTED: Reply = reply(502, (5, 5, 1), "rcptgate: not implemented");
pub(super) const BDAT: Reply = reply(521, (5, 5, 1), "rcptgate: CHUNKING is not offered here");
pub(super) const BDAT_SIZE: Reply =
    reply(501, (5, 5, 4), "rcptgate: malformed BDAT, and what is content can no longer be told");
pub(super) const NOT_BOTH: Reply =
    reply(503, (5, 5, 1), "rcptgate: DATA and BDAT in one transaction");
pub(super) const BINARY_NEEDS_BDAT: Reply =
    reply(503, (5, 5, 1), "rcptgate: BODY=BINARYMIME needs BDAT");
pub(super) const RCPT_AFTER_BDAT: Reply = reply(503, (5, 5, 1), "rcptgate: RCPT behind BDAT");
pub(super) const NOT_YOU: Reply = reply(550, (5, 7, 0), "rcptgate: not authorized");

pub(super) const USE_LHLO: Reply = reply(500, (5, 5, 1), "rcptgate: this is LMTP, use LHLO");
pub(super) const USE_EHLO: Reply = reply(500, (5, 5, 1), "rcptgate: this is SMTP, use EHLO");
pub(super) const NO_EHLO: Reply = reply(503, (5, 5, 1), "rcptgate: send EHLO first");
pub(super) const NESTED_MAIL: Reply = reply(503, (5, 5, 1), "rcptgate: nested MAIL command");
pub(super) const NO_MAIL: Reply = reply(503, (5, 5, 1), "rcptgate: need MAIL command");
pub(super) const NO_RCPT: Reply = reply(503, (5, 5, 1), "rcptgate: need RCPT command");
pub(super) const NO_VALID_RCPT: Reply = reply(554, (5, 5, 1), "rcptgate: no valid recipients");
/// The same in LMTP, which wants a 503 (RFC 2033 §4.2).
pub(super) const NO_VALID_RCPT_LMTP: Reply = reply(503, (5, 5, 1), "rcptgate: no valid recipients");
pub(super) const IN_TRANSACTION: Reply =
    reply(503, (5, 5, 1), "rcptgate: not within a transaction");
pub(super) const NO_RELAY: Reply = reply(550, (5, 7, 1), "rcptgate: you may not relay here");
pub(super) const TOO_MANY_RCPT: Reply = reply(452, (4, 5, 3), "rcptgate: too many recipients");
/// 452, not 450: Exim and KumoMTA send the rest at once, on the same connection.
pub(super) const ONE_DESTINATION: Reply =
    reply(452, (4, 5, 3), "rcptgate: one destination domain per transaction");
pub(super) const PARAMETER: Reply =
    reply(555, (5, 5, 4), "rcptgate: parameter not offered or malformed");
pub(super) const NEED_UTF8: Reply =
    reply(553, (5, 6, 7), "rcptgate: address needs SMTPUTF8, which MAIL did not ask for");
pub(super) const TOO_LARGE: Reply = reply(552, (5, 3, 4), "rcptgate: message larger than is taken");

pub(super) const ONE_RECIPIENT: Reply =
    reply(452, (4, 5, 3), "rcptgate: one recipient per message here");
pub(super) const TOO_MANY_DESTINATIONS: Reply =
    reply(452, (4, 5, 3), "rcptgate: too many destinations in one message");
/// For content that no next hop takes, so that each recipient gets the reply of its own.
pub(super) const GO_AHEAD: Reply = Reply::plain(354, Cow::Borrowed("rcptgate: go ahead"));
pub(super) const NO_UTF8_THERE: Reply =
    reply(550, (5, 6, 7), "rcptgate: the next hop does not take SMTPUTF8");
pub(super) const NO_8BIT_THERE: Reply =
    reply(554, (5, 6, 3), "rcptgate: the next hop does not take 8BITMIME");
pub(super) const NO_REQUIRETLS_THERE: Reply =
    reply(550, (5, 7, 30), "rcptgate: the next hop does not keep REQUIRETLS");
pub(super) const NO_BINARY_THERE: Reply =
    reply(554, (5, 6, 3), "rcptgate: the next hop does not take BINARYMIME");
pub(super) const NO_CHUNKING_THERE: Reply =
    reply(451, (4, 3, 0), "rcptgate: the next hop no longer offers CHUNKING, try again");
pub(super) const NO_DSN_THERE: Reply =
    reply(451, (4, 3, 0), "rcptgate: the next hop no longer offers DSN, try again");

pub(super) const LOST: Reply = reply(451, (4, 4, 2), "rcptgate: connection to the next hop lost");
pub(super) const BROKEN_OFF: Reply = reply(451, (4, 5, 0), "rcptgate: broken off with the message");
/// What nobody hears, for the log.
pub(super) const CLIENT_LOST: Reply =
    reply(451, (4, 4, 2), "rcptgate: not sent, the client had gone");
pub(super) const TIMED_OUT: Reply = reply(451, (4, 4, 2), "rcptgate: the next hop took too long");
pub(super) const NO_TLS: Reply =
    reply(451, (4, 7, 5), "rcptgate: the next hop does not offer the TLS that is required");
pub(super) const NO_LOGIN_THERE: Reply =
    reply(451, (4, 7, 8), "rcptgate: the next hop does not accept the gate's login");
pub(super) const UNKNOWN_OUTCOME: Reply = reply(
    451,
    (4, 4, 2),
    "rcptgate: the next hop was lost before its final reply, outcome unknown",
);
pub(super) const VIOLATION: Reply =
    reply(451, (4, 5, 0), "rcptgate: the next hop broke the protocol");

pub(super) const BARE_IN_CONTENT: Reply =
    reply(550, (5, 5, 2), "rcptgate: bare CR, bare LF or NUL in the message");
pub(super) const CONTENT_LINE: Reply =
    reply(554, (5, 6, 0), "rcptgate: line too long in the message");

/// The word in its greeting by which one gate knows another.
pub(super) const GATE: &str = "rcptgate";

/// The greeting. Its last word is this process's own.
pub(super) fn greeting(settings: &Settings) -> Reply {
    let Settings { hostname, instance, .. } = settings;
    let protocol = match settings.protocol {
        Protocol::Smtp => "ESMTP",
        Protocol::Lmtp => "LMTP",
    };
    let space = if instance.is_empty() { "" } else { " " };
    Reply::plain(220, Cow::Owned(format!("{hostname} {protocol} {GATE}{space}{instance}")))
}

/// What a line that is no command gets.
pub(super) fn fault(fault: CommandFault) -> Reply {
    let (code, status) = match fault {
        CommandFault::Character => (500, (5, 5, 2)),
        CommandFault::Unknown => (500, (5, 5, 1)),
        CommandFault::Argument => (501, (5, 5, 4)),
        CommandFault::Sender(_) => (501, (5, 1, 7)),
        CommandFault::Recipient(_) => (501, (5, 1, 3)),
    };
    let status = EnhancedStatus::new(status.0, status.1, status.2);
    Reply::with_text(code, status, Cow::Owned(format!("rcptgate: {fault}")))
}

/// A 421 of the next hop: its connection has ended, the client's goes on (a 421 would make the client defer all its mail).
pub(super) fn instead_of_421(said: &Reply) -> Reply {
    let status = said.status.unwrap_or(EnhancedStatus::new(4, 4, 2));
    Reply::with_text(451, status, said.text.clone())
}
