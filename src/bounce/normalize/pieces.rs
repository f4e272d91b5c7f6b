//! The pieces that a text is taken apart into, and what each of them is.

use std::net::IpAddr;

use crate::smtp::status::EnhancedStatus;

/// What a piece of a text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The address of a web page.
    Link,
    /// A mail address, whole or masked.
    Address,
    /// An address of a host.
    Ip,
    /// A host or a domain.
    Host,
    /// A queue or session id.
    Id,
    /// An enhanced code.
    Status,
    /// Words.
    Words,
}

impl Kind {
    /// What a piece is.
    pub(super) fn of(piece: &str) -> Self {
        let bare = bare(piece);
        if piece.contains("://") || bare.starts_with("www.") {
            Self::Link
        } else if piece.contains('@') {
            Self::Address
        } else if is_address_literal(bare) {
            Self::Ip
        } else if is_host(bare) {
            Self::Host
        } else if is_id(bare) {
            Self::Id
        } else if EnhancedStatus::leading(bare.as_bytes()).is_some() {
            Self::Status
        } else {
            Self::Words
        }
    }

    /// Its name, for people.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Link => "link",
            Self::Address => "address",
            Self::Ip => "IP address",
            Self::Host => "host",
            Self::Id => "id",
            Self::Status => "code",
            Self::Words => "words",
        }
    }
}

/// The pieces of a folded text, without spaces and brackets.
pub(super) fn of(raw: &str) -> impl Iterator<Item = &str> {
    raw.split(' ')
        .flat_map(|word| word.split(['<', '>', '(', ')', '[', ']', '{', '}', '"', '|', ',', ';']))
}

/// A piece without the punctuation around it.
pub(super) fn bare(piece: &str) -> &str {
    piece.trim_matches(|character: char| !character.is_alphanumeric())
}

fn is_address_literal(piece: &str) -> bool {
    let piece = piece.strip_prefix("ipv6:").unwrap_or(piece);
    let without_port = piece.rsplit_once(':').map_or(piece, |(host, _)| host);
    piece.parse::<IpAddr>().is_ok() || without_port.parse::<IpAddr>().is_ok()
}

/// Top levels that are nobody's and yet in use: RFC 6761, RFC 6762, and ICANN's choice for private networks.
const RESERVED: &[&str] = &[".example", ".test", ".local", ".internal"];

/// A domain name under a top level that exists; `resolver.adr.recipnotfound` and `here.this` are words.
fn is_host(piece: &str) -> bool {
    let piece = piece.rsplit_once(':').map_or(piece, |(host, _)| host);
    let piece = piece.split_once('/').map_or(piece, |(host, _)| host);
    piece.len() <= 253
        && piece.contains('.')
        && piece.split('.').all(is_label)
        && (psl::suffix(piece.as_bytes()).is_some_and(|suffix| suffix.is_known())
            || RESERVED.iter().any(|suffix| piece.ends_with(suffix)))
}

fn is_label(label: &str) -> bool {
    !label.is_empty()
        && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

/// A queue or session id: long, and with more than a few digits among letters.
fn is_id(piece: &str) -> bool {
    let digits = piece.bytes().filter(u8::is_ascii_digit).count();
    piece.len() >= 12 && digits >= 4 && piece.is_ascii()
}
