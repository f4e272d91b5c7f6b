//! Answers of DNS as plain values.

use std::net::IpAddr;

/// An MX record (RFC 5321 §5.1).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Exchange {
    /// Lower is tried first.
    pub preference: u16,
    /// The mail host: lower-case A-labels without a last dot; empty for the root, which is "no mail here" (RFC 7505).
    pub host: String,
}

/// A TLSA record (RFC 6698 §2.1), not yet looked at.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Tlsa {
    /// Certificate usage: 2 is DANE-TA, 3 DANE-EE; others are of no use to SMTP (RFC 7672 §3.1.3).
    pub usage: u8,
    /// 0: the whole certificate; 1: its public key.
    pub selector: u8,
    /// 0: as it is; 1: SHA-256; 2: SHA-512.
    pub matching: u8,
    /// The certificate association data.
    pub data: Vec<u8>,
}

/// Records, and whether a resolver that validates vouches for them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found<T> {
    /// What there is; never nothing.
    pub records: Vec<T>,
    /// The AD bit of a resolver that is trusted to set it: all of the answer, aliases too, is signed and true (RFC 4035 §3.2.3).
    pub authentic: bool,
    /// The name that has them: the one asked for, or the one at the end of its aliases. Lower case, no last dot.
    pub name: String,
}

/// The addresses of a mail host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// IPv6 and IPv4 in turn; never none.
    pub records: Vec<IpAddr>,
    /// The names that have them, each once: one, unless the aliases of one family lead elsewhere than those of the other, as at a
    /// server that is broken or was changed between two questions.
    pub ends: Vec<End>,
}

/// Where the aliases of a mail host end; without aliases, at itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    /// As [`Found::name`].
    pub name: String,
    /// As [`Found::authentic`]: all the way from the mail host to its addresses.
    pub authentic: bool,
}

/// Why there are no records.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LookupFault {
    /// The name does not exist (NXDOMAIN). This is said of the name, whatever the type that was asked for (RFC 8020).
    #[error("no such domain")]
    NoSuchDomain,
    /// The name exists and has no record of this type (RFC 2308 §2.2).
    #[error("no such records")]
    NoRecords,
    /// Nobody could say: no answer, a refusal, or an answer that makes no sense. Nothing is known about the name.
    #[error("look-up failed: {0}")]
    Failed(String),
}
