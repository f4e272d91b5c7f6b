//! STARTTLS on the client's side, RFC 3207: what must be empty, and what must be forgotten.

use super::{Action, LoggedIn, Outputs, Phase, Session, replies};

/// TLS towards the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientTls {
    /// There is none to be had.
    Off,
    /// STARTTLS is offered.
    Offered,
    /// STARTTLS is offered, and nothing goes on without it.
    Required,
    /// It was up before the greeting.
    Up,
}

impl Session {
    /// Whether the next EHLO reply offers STARTTLS.
    pub(super) fn offers_starttls(&self) -> bool {
        match self.settings.tls {
            ClientTls::Offered | ClientTls::Required => true,
            ClientTls::Off | ClientTls::Up => false,
        }
    }

    /// `more` says that bytes came along with the command: sent in the clear, they would be taken for what was said within TLS
    /// (CVE-2011-0411).
    pub(super) fn starttls(&mut self, more: bool, out: &mut Outputs) {
        if !self.offers_starttls() {
            return self.error(replies::NOT_IMPLEMENTED);
        }
        if more {
            return self.send_away(replies::SYNC);
        }
        // Recipients of a transaction that was reset may still be owed their replies, which belong before the handshake.
        self.owed.flush(&mut out.to_client);
        if self.transaction.is_some() || !self.owed.is_empty() {
            return self.error(replies::IN_TRANSACTION);
        }
        self.owed.push(replies::GO_TLS);
        self.phase = Phase::Securing;
        out.actions.push_back(Action::StartTls);
    }

    /// The handshake is done. Everything the client said before is forgotten (RFC 3207 §4.2): it begins with EHLO.
    pub(super) fn secured(&mut self, out: &mut Outputs) {
        if let Phase::Securing = self.phase {
            self.phase = Phase::Command;
            self.settings.tls = ClientTls::Up;
            self.greeted = None;
            self.helo = None;
            self.forwarded = None;
            self.login = LoggedIn::No;
            self.owed.enhanced = false;
            self.unmask(out);
        }
    }
}
