//! How much of an address the log shows.

use std::borrow::Cow;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use crate::smtp::address::RecipientKey;

/// How much of an address the log shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Addresses {
    /// All of it.
    #[default]
    Full,
    /// `*@example.com`.
    Domain,
    /// 16 hexadecimal digits, the same for the same address, and another domain or gate's key another.
    ///
    /// Pseudonymisation only: whoever has the key can try addresses, and the hash is not made to resist one who has not.
    Hash(u64),
}

impl Addresses {
    /// Hashes under a secret of this gate, which the caller keeps so that hashes stay the same over restarts.
    pub fn hash_with(secret: &[u8]) -> Self {
        let mut hasher = DefaultHasher::new();
        secret.hash(&mut hasher);
        Self::Hash(hasher.finish())
    }

    /// An address as the log may show it.
    pub fn show<'a>(&self, address: &'a RecipientKey) -> Cow<'a, str> {
        match self {
            Self::Full => Cow::Borrowed(address.as_str()),
            Self::Domain => Cow::Owned(format!("*@{}", address.domain())),
            Self::Hash(secret) => Cow::Owned(hashed(*secret, address.as_str())),
        }
    }

    /// Free text, such as a reply, as the log may show it: what looks like an address loses its local part.
    pub fn scrub<'a>(&self, text: &'a str) -> Cow<'a, str> {
        match self {
            Self::Full => Cow::Borrowed(text),
            Self::Domain | Self::Hash(_) if text.contains('@') => Cow::Owned(without_locals(text)),
            Self::Domain | Self::Hash(_) => Cow::Borrowed(text),
        }
    }
}

fn hashed(secret: u64, text: &str) -> String {
    let mut hasher = DefaultHasher::new();
    (secret, text).hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

fn without_locals(text: &str) -> String {
    let mut scrubbed = String::with_capacity(text.len());
    let mut parts = text.split('@').peekable();
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            scrubbed.push_str(part);
            break;
        }
        let start = part.rfind(ends_local).map_or(0, |at| {
            at + part.get(at..).and_then(|rest| rest.chars().next()).map_or(1, char::len_utf8)
        });
        scrubbed.push_str(part.get(..start).unwrap_or_default());
        scrubbed.push_str("*@");
    }
    scrubbed
}

/// What cannot stand in a local part that is not quoted, so that the address begins behind it.
fn ends_local(character: char) -> bool {
    character.is_whitespace() || character.is_control() || "<>()[],;:\"\\".contains(character)
}
