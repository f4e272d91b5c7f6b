//! What a reply means: whom it is about and why. Scope is asked before category (DESIGN: a fault of the message says nothing
//! about the mailbox).

pub mod activecampaign;
pub mod classify;
pub mod explain;
pub mod labels;
pub mod normalize;
pub mod rules;
pub mod unmatched;

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::smtp::reply::{Reply, Severity};

/// The command that a reply answered (RFC 5321 §4.1.1), in the order of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// The gate's own look-up of the domain, where its answer is that the domain takes no mail.
    Lookup,
    /// The greeting, or its absence.
    #[serde(alias = "conn", alias = "banner", alias = "greeting")]
    Connect,
    /// EHLO, HELO or LHLO.
    #[serde(alias = "helo", alias = "lhlo")]
    Ehlo,
    /// STARTTLS and the handshake.
    Starttls,
    /// AUTH.
    Auth,
    /// MAIL FROM.
    #[serde(alias = "mail-from", alias = "mail_from")]
    Mail,
    /// RCPT TO.
    #[serde(alias = "rcpt-to", alias = "rcpt_to")]
    Rcpt,
    /// DATA itself, before any content.
    Data,
    /// The end of the content: the final answer to the message.
    #[serde(alias = "end_of_data", alias = "eod", alias = "dot")]
    EndOfData,
    /// RSET.
    Rset,
    /// QUIT.
    Quit,
    /// A delivery report that came by mail: about one recipient, some time later (RFC 3464).
    #[serde(alias = "report")]
    Dsn,
}

/// Whom a failure is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// The conversation between two servers.
    Session,
    /// The message, its sender or its content.
    Message,
    /// The recipient's domain.
    Domain,
    /// This recipient.
    Recipient,
}

/// Why a reply refused, in thirteen names, and two more that only mail brings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Category {
    /// No such mailbox: never existed, closed, moved.
    UserUnknown,
    /// No such domain, or one that takes no mail.
    DomainUnknown,
    /// Over quota.
    MailboxFull,
    /// It exists and is disabled, suspended or not used.
    MailboxInactive,
    /// Greylisting, busy, try later.
    Deferred,
    /// Too much mail too fast.
    Throttled,
    /// Host, network, DNS, TLS, protocol.
    Technical,
    /// The sender's address or domain is on a list or has a bad name.
    Blocked,
    /// SPF, DKIM, DMARC, reverse DNS, HELO, sender address.
    AuthFailed,
    /// The content looks like spam, or worse.
    SpamContent,
    /// Size, format.
    MessageRejected,
    /// Refused by a rule that is not explained; relaying denied.
    Policy,
    /// Nothing matched, or two causes at once.
    Undetermined,
    /// The recipient pressed "this is spam" (RFC 5965).
    Complaint,
    /// Out of office: proof that the mailbox works.
    AutoReply,
}

/// The most that a category can do to a standing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// The address does not exist.
    Hard,
    /// The address exists and does not take mail now.
    Soft,
    /// Nothing is said about the address.
    None,
}

impl Effect {
    /// The name as logs and records have it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hard => "hard",
            Self::Soft => "soft",
            Self::None => "none",
        }
    }
}

impl Category {
    /// What this category can do when the reply is about the recipient or its domain.
    pub const fn effect(self) -> Effect {
        match self {
            Self::UserUnknown | Self::DomainUnknown => Effect::Hard,
            Self::MailboxFull | Self::MailboxInactive => Effect::Soft,
            Self::Deferred
            | Self::Throttled
            | Self::Technical
            | Self::Blocked
            | Self::AuthFailed
            | Self::SpamContent
            | Self::MessageRejected
            | Self::Policy
            | Self::Undetermined
            | Self::Complaint
            | Self::AutoReply => Effect::None,
        }
    }

    /// The name as logs, records and rules have it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::UserUnknown => "user_unknown",
            Self::DomainUnknown => "domain_unknown",
            Self::MailboxFull => "mailbox_full",
            Self::MailboxInactive => "mailbox_inactive",
            Self::Deferred => "deferred",
            Self::Throttled => "throttled",
            Self::Technical => "technical",
            Self::Blocked => "blocked",
            Self::AuthFailed => "auth_failed",
            Self::SpamContent => "spam_content",
            Self::MessageRejected => "message_rejected",
            Self::Policy => "policy",
            Self::Undetermined => "undetermined",
            Self::Complaint => "complaint",
            Self::AutoReply => "auto_reply",
        }
    }
}

impl fmt::Display for Category {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Scope {
    /// The name as logs and records have it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::Message => "message",
            Self::Domain => "domain",
            Self::Recipient => "recipient",
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Stage {
    /// Whether every reply at this stage is about one recipient.
    const fn is_about_one(self) -> bool {
        match self {
            Self::Rcpt | Self::Dsn | Self::Lookup => true,
            Self::Connect
            | Self::Ehlo
            | Self::Starttls
            | Self::Auth
            | Self::Mail
            | Self::Data
            | Self::EndOfData
            | Self::Rset
            | Self::Quit => false,
        }
    }

    /// Whether a reply at this stage can be about one recipient: after DATA it is when the recipient is alone.
    pub const fn may_be_about_one(self) -> bool {
        self.is_about_one() || matches!(self, Self::Data | Self::EndOfData)
    }

    /// The name as logs and records have it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Lookup => "lookup",
            Self::Connect => "connect",
            Self::Ehlo => "ehlo",
            Self::Starttls => "starttls",
            Self::Auth => "auth",
            Self::Mail => "mail",
            Self::Rcpt => "rcpt",
            Self::Data => "data",
            Self::EndOfData => "end-of-data",
            Self::Rset => "rset",
            Self::Quit => "quit",
            Self::Dsn => "dsn",
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What every reply of a gate begins with: what another gate, or this one, refuses says nothing new about the address.
const GATE: &str = "rcptgate:";

/// Evidence purity (DESIGN §3, rule 6): whether a reply refuses one recipient and is about nobody else. `recipients` is how many it is
/// about: those accepted, for one after DATA.
pub fn is_about_one_recipient(stage: Stage, reply: &Reply, recipients: u32) -> bool {
    let refusal = match reply.severity() {
        Severity::Transient | Severity::Permanent => true,
        Severity::Completion | Severity::Intermediate => false,
    };
    let alone = stage.is_about_one() || (stage.may_be_about_one() && recipients == 1);
    // What DNS says of a domain comes in the gate's own words.
    let own = reply.text.trim_start().starts_with(GATE) && stage != Stage::Lookup;
    refusal && alone && !own
}

/// The host of a receiver as replies and events name it: without a port (`mx.example:25`, `[2001:db8::1]:25`), without the brackets
/// of an address, without a last dot.
pub fn host_of(receiver: &str) -> &str {
    let host = match receiver.strip_prefix('[') {
        Some(rest) => rest.split_once(']').map_or(rest, |(address, _)| address),
        // Two colons are an address without a port.
        None => match receiver.split_once(':') {
            Some((host, port)) if !port.contains(':') => host,
            Some(_) | None => receiver,
        },
    };
    host.trim_end_matches('.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receiver_is_a_host() {
        let check = |receiver: &str, host: &str| assert_eq!(host_of(receiver), host);
        check("mx.example:25", "mx.example");
        check("mx.example", "mx.example");
        check("mx.example.:25", "mx.example");
        check("192.0.2.1:25", "192.0.2.1");
        check("[2001:db8::1]:25", "2001:db8::1");
        check("2001:db8::1", "2001:db8::1");
        check("", "");
    }
}
