//! Addresses, RFC 5321 §4.1.2 and RFC 6531 §3.3, and the one key that the store is looked up by.
//!
//! The same parsed value serves for the look-up and for the wire: what is sent on is written from the parse, never copied from
//! the client's bytes, so that no spelling can mean one address here and another there.

mod parse;

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization;

pub use parse::NotAnAddress;

/// Longest local part of a recipient in octets (RFC 5321 §4.5.3.1.1). That of a sender may fill the path: VERP and SRS write whole
/// addresses there, and to refuse a sender is to lose the message.
const LOCAL_MAX: usize = 64;
/// Longest domain in octets (RFC 5321 §4.5.3.1.2).
const DOMAIN_MAX: usize = 255;
/// Longest path in octets, angle brackets included (RFC 5321 §4.5.3.1.3).
const PATH_MAX: usize = 256;

/// Where a message goes: a domain name or an address literal.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Domain {
    /// A name, as it was given but for a trailing dot.
    Name(String),
    /// An address literal with its brackets, `[192.0.2.1]` or `[IPv6:2001:db8::1]`.
    Literal(String),
}

impl Domain {
    /// The domain as keys and look-ups use it: lower case, A-labels, no trailing dot. Literals keep their brackets.
    pub fn key(&self) -> String {
        match self {
            Self::Name(name) => domain_key(name),
            Self::Literal(literal) => literal.to_ascii_lowercase(),
        }
    }
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(text) | Self::Literal(text) => f.write_str(text),
        }
    }
}

/// A domain name in the form that keys have: lower case, A-labels, no trailing dot.
///
/// A name that IDNA refuses (an underscore, for one, exists in mail) is lower-cased as it is.
pub fn domain_key(name: &str) -> String {
    let mut key = String::with_capacity(name.len());
    push_domain_key(&mut key, name);
    key
}

fn push_lower_case(key: &mut String, ascii: &str) {
    let from = key.len();
    key.push_str(ascii);
    if let Some(added) = key.get_mut(from..) {
        added.make_ascii_lowercase();
    }
}

/// Appends a domain's key.
fn push_domain_key(key: &mut String, name: &str) {
    let name = name.strip_suffix('.').unwrap_or(name);
    let is_a_label =
        |label: &str| label.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("xn--"));
    let may_have_a_label = || name.as_bytes().windows(2).any(|pair| pair == b"--");
    if name.is_ascii() && !(may_have_a_label() && name.split('.').any(is_a_label)) {
        push_lower_case(key, name);
        return;
    }
    let mapped = idna::domain_to_ascii_strict(name).or_else(|_| idna::domain_to_ascii(name));
    key.push_str(&mapped.unwrap_or_else(|_| name.to_lowercase()));
}

/// A mailbox: local part and domain.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Mailbox {
    /// The local part, unquoted.
    pub local: String,
    /// The domain.
    pub domain: Domain,
}

impl Mailbox {
    /// Whether the address needs SMTPUTF8 (RFC 6531 §3.4).
    pub fn needs_smtputf8(&self) -> bool {
        !self.local.is_ascii() || matches!(&self.domain, Domain::Name(name) if !name.is_ascii())
    }
}

impl Mailbox {
    /// Writes what [`fmt::Display`] shows, without the detour over a formatter.
    fn show(&self, to: &mut impl fmt::Write) -> fmt::Result {
        let (Domain::Name(domain) | Domain::Literal(domain)) = &self.domain;
        show_address(&self.local, domain, to)
    }
}

/// The local part is quoted only where it must be (RFC 5321 §4.1.2).
fn show_address(local: &str, domain: &str, to: &mut impl fmt::Write) -> fmt::Result {
    if parse::is_dot_string(local) {
        to.write_str(local)?;
    } else {
        to.write_char('"')?;
        for character in local.chars() {
            if matches!(character, '"' | '\\') {
                to.write_char('\\')?;
            }
            to.write_char(character)?;
        }
        to.write_char('"')?;
    }
    to.write_char('@')?;
    to.write_str(domain)
}

/// As it goes over the wire, without angle brackets; the local part is quoted only where it must be.
impl fmt::Display for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.show(f)
    }
}

/// The sender of a transaction (RFC 5321 §4.5.5: `<>` is a sender of its own, not an empty string).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ReversePath {
    /// `<>`, the sender of bounces.
    Null,
    /// Everyone else.
    Mailbox(Mailbox),
}

impl ReversePath {
    /// Reads `<...>`, the brackets included.
    ///
    /// # Errors
    /// Says what is wrong with the path.
    pub fn parse(path: &str) -> Result<Self, NotAnAddress> {
        if path == "<>" {
            return Ok(Self::Null);
        }
        parse::path(path, PATH_MAX).map(Self::Mailbox)
    }

    /// The address without brackets, for patterns to look at; that of the null sender is empty. The local part is unquoted: quotes
    /// are no part of it (RFC 5321 §4.1.2), and come and go with a recipient that VERP puts into it.
    pub fn address(&self) -> String {
        match self {
            Self::Null => String::new(),
            Self::Mailbox(Mailbox { local, domain }) => {
                let (Domain::Name(domain) | Domain::Literal(domain)) = domain;
                format!("{local}@{domain}")
            }
        }
    }
}

/// With angle brackets.
impl fmt::Display for ReversePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("<>"),
            Self::Mailbox(mailbox) => write!(f, "<{mailbox}>"),
        }
    }
}

/// A recipient of a transaction as it goes over the wire. A clone is the same one: it passes through many hands.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Recipient {
    /// `<postmaster>` without a domain, which every server must take (RFC 5321 §4.5.1).
    Postmaster,
    /// Everyone else.
    Mailbox(Arc<Keyed>),
}

/// A mailbox with its key, which is made once: it is asked for at every turn.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct Keyed {
    mailbox: Mailbox,
    key: RecipientKey,
}

impl Deref for Keyed {
    type Target = Mailbox;

    fn deref(&self) -> &Mailbox {
        &self.mailbox
    }
}

impl Recipient {
    /// Reads `<...>`, the brackets included. A source route is dropped (RFC 5321 §3.6.1).
    ///
    /// # Errors
    /// Says what is wrong with the path.
    pub fn parse(path: &str) -> Result<Self, NotAnAddress> {
        if path.eq_ignore_ascii_case("<postmaster>") {
            return Ok(Self::Postmaster);
        }
        let mailbox = parse::path(path, LOCAL_MAX)?;
        let key = RecipientKey::of(&mailbox);
        Ok(Self::Mailbox(Arc::new(Keyed { mailbox, key })))
    }

    /// What the store is keyed by; `None` for the bare postmaster, who is nobody's suppressed recipient.
    pub fn key(&self) -> Option<&RecipientKey> {
        match self {
            Self::Postmaster => None,
            Self::Mailbox(keyed) => Some(&keyed.key),
        }
    }
}

impl Recipient {
    /// Writes what [`fmt::Display`] shows, without the detour over a formatter.
    ///
    /// # Errors
    /// When `to` fails.
    pub fn show(&self, to: &mut impl fmt::Write) -> fmt::Result {
        match self {
            Self::Postmaster => to.write_str("<postmaster>"),
            Self::Mailbox(keyed) => {
                to.write_char('<')?;
                keyed.mailbox.show(to)?;
                to.write_char('>')
            }
        }
    }
}

/// With angle brackets.
impl fmt::Display for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.show(f)
    }
}

/// A character without its case: whatever has one upper-case form in common is one. Lower-casing alone keeps `ſ` apart from `s`, and
/// writes `Σ` in one of two ways, depending on what stands behind it. Only the dotless `ı` is not the `i` whose capital it shares.
fn fold(character: char) -> impl Iterator<Item = char> {
    let upper = (character != 'ı').then(|| character.to_uppercase());
    let kept = upper.is_none().then_some(character);
    kept.into_iter().chain(upper.into_iter().flatten().flat_map(char::to_lowercase))
}

/// A recipient in normal form: the only thing that the store is keyed by.
///
/// Domain lower-cased to A-labels without trailing dot; local part unquoted, NFC, case-folded. `+tag` and dots are kept.
/// The text reads `local@domain`; the domain is what follows the last `@`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RecipientKey {
    // First, so that it alone decides about the order.
    text: String,
    /// Where the last `@` stands.
    at: usize,
}

impl RecipientKey {
    /// The key of a mailbox.
    pub fn of(mailbox: &Mailbox) -> Self {
        let (Domain::Name(domain) | Domain::Literal(domain)) = &mailbox.domain;
        let mut key = String::with_capacity(mailbox.local.len() + 1 + domain.len());
        if mailbox.local.is_ascii() {
            push_lower_case(&mut key, &mailbox.local);
        } else {
            // Folding can undo composition, so compose again behind it.
            key.extend(mailbox.local.nfc().flat_map(fold).nfc());
        }
        let at = key.len();
        key.push('@');
        match &mailbox.domain {
            Domain::Name(name) => push_domain_key(&mut key, name),
            Domain::Literal(literal) => key.push_str(&literal.to_ascii_lowercase()),
        }
        Self { text: key, at }
    }

    /// Reads an address as people and files write it: `user@example.com`, with or without angle brackets.
    ///
    /// # Errors
    /// Says what is wrong with the address.
    pub fn parse(address: &str) -> Result<Self, NotAnAddress> {
        let address = address.trim();
        let bare =
            address.strip_prefix('<').and_then(|rest| rest.strip_suffix('>')).unwrap_or(address);
        parse::mailbox(bare, LOCAL_MAX).map(|mailbox| Self::of(&mailbox))
    }

    /// The whole key, by which everything is stored. What is read again as an address is shown by [`fmt::Display`].
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The part before the last `@`.
    pub fn local(&self) -> &str {
        self.text.get(..self.at).unwrap_or_default()
    }

    /// The part behind the last `@`.
    pub fn domain(&self) -> &str {
        self.text.get(self.at + 1..).unwrap_or_default()
    }
}

/// As people, files and commands have it, and [`RecipientKey::parse`] reads it back to the same key: quoted where it must be, which the key
/// itself ([`RecipientKey::as_str`]) never is. Unquoted, `"\"x\""@example.com` would be read as the address of somebody else.
impl fmt::Display for RecipientKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        show_address(self.local(), self.domain(), f)
    }
}

impl Serialize for RecipientKey {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

/// Reads the normal form back; it is normalised once more, so a file edited by hand cannot hold a key that nothing finds.
impl<'de> Deserialize<'de> for RecipientKey {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        // A key keeps its local part unquoted, so the last `@` parts it and nothing needs quoting.
        let (local, domain) =
            text.rsplit_once('@').ok_or_else(|| serde::de::Error::custom(NotAnAddress::NoAt))?;
        let domain = parse::domain(domain).map_err(serde::de::Error::custom)?;
        Ok(Self::of(&Mailbox { local: local.to_owned(), domain }))
    }
}

#[cfg(test)]
mod tests;
