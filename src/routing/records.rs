//! Answers of DNS as plain values.

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
