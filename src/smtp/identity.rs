//! Who a client is, as Postfix's XCLIENT and XFORWARD say it: `NAME=value` pairs, the values in xtext (RFC 3461 §4).
//!
//! What comes in is checked to the letter, since it decides who may relay and stands in logs. What goes out is escaped byte by
//! byte: nothing that a client says of itself can end the line (nginx CVE-2026-28753).

mod say;
mod values;

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

/// What can be said of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attribute {
    /// Its host name.
    Name,
    /// Its network address.
    Addr,
    /// Its port.
    Port,
    /// `SMTP` or `ESMTP`.
    Proto,
    /// What it said in EHLO.
    Helo,
    /// The queue id of its message.
    Ident,
    /// Whether the message is of its own site: `LOCAL` or `REMOTE`.
    Source,
    /// Its user name.
    Login,
    /// The address that it connected to.
    DestAddr,
    /// The port that it connected to.
    DestPort,
}

impl Attribute {
    /// All of them, in the order in which they are listed and said.
    const ALL: [Self; 10] = [
        Self::Name,
        Self::Addr,
        Self::Port,
        Self::Proto,
        Self::Helo,
        Self::Ident,
        Self::Source,
        Self::Login,
        Self::DestAddr,
        Self::DestPort,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::Name => "NAME",
            Self::Addr => "ADDR",
            Self::Port => "PORT",
            Self::Proto => "PROTO",
            Self::Helo => "HELO",
            Self::Ident => "IDENT",
            Self::Source => "SOURCE",
            Self::Login => "LOGIN",
            Self::DestAddr => "DESTADDR",
            Self::DestPort => "DESTPORT",
        }
    }

    fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.name().eq_ignore_ascii_case(word))
    }
}

/// A set of attributes: what a command takes, or a server lists behind its keyword.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attributes(u16);

impl Attributes {
    /// None at all.
    pub const NONE: Self = Self(0);
    /// Those of XCLIENT.
    pub const XCLIENT: Self = Self(0b11_1001_1111);
    /// Those of XFORWARD.
    pub const XFORWARD: Self = Self(0b00_0111_1111);

    /// Reads what stands behind a keyword of EHLO; what is not known is passed over.
    pub fn from_words<'a>(words: impl IntoIterator<Item = &'a str>) -> Self {
        let known = words.into_iter().filter_map(Attribute::of);
        Self(known.fold(0, |all, one| all | 1 << one as u16))
    }

    /// Whether it is among them.
    pub const fn has(self, attribute: Attribute) -> bool {
        self.0 & 1 << attribute as u16 != 0
    }

    /// Those in both.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Whether there is none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    fn iter(self) -> impl Iterator<Item = Attribute> {
        Attribute::ALL.into_iter().filter(move |one| self.has(*one))
    }
}

/// As EHLO lists them.
impl fmt::Display for Attributes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, attribute) in self.iter().enumerate() {
            let separator = if index == 0 { "" } else { " " };
            write!(f, "{separator}{}", attribute.name())?;
        }
        Ok(())
    }
}

/// What is known of a client; what is not, is `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// Its host name.
    pub name: Option<Arc<str>>,
    /// Its network address.
    pub address: Option<IpAddr>,
    /// Its port.
    pub port: Option<u16>,
    /// What it spoke.
    pub protocol: Option<Arc<str>>,
    /// What it said in EHLO.
    pub helo: Option<Arc<str>>,
    /// The queue id of its message.
    pub ident: Option<Arc<str>>,
    /// `LOCAL` or `REMOTE`.
    pub source: Option<Arc<str>>,
    /// Its user name.
    pub login: Option<Arc<str>>,
}

impl Identity {
    /// Of a connection: nothing but where it comes from.
    pub fn of(address: IpAddr, port: u16) -> Self {
        let address = Some(address.to_canonical());
        Self { address, port: Some(port), ..Self::default() }
    }

    /// The address as text; `unknown` without one, which is in no network.
    pub fn address_text(&self) -> String {
        self.address.map_or_else(|| "unknown".to_owned(), |address| address.to_string())
    }

    /// Changed by the argument of XCLIENT or XFORWARD, whose attributes are `known`.
    ///
    /// A new address in XCLIENT makes it another client: what was known of the former one and is not said anew is forgotten, so
    /// that nobody inherits a name.
    pub fn told(&self, known: Attributes, argument: &str) -> Option<Self> {
        let mut given = Vec::new();
        for word in argument.split([' ', '\t']).filter(|word| !word.is_empty()) {
            let (name, value) = word.split_once('=')?;
            let attribute = Attribute::of(name).filter(|attribute| known.has(*attribute))?;
            // Of two addresses one would be judged and the other logged.
            if given.iter().any(|(before, _)| *before == attribute) {
                return None;
            }
            given.push((attribute, values::decode(value)?));
        }
        if given.is_empty() {
            return None;
        }
        let another = known == Attributes::XCLIENT
            && given.iter().any(|(attribute, _)| *attribute == Attribute::Addr);
        let mut identity = if another { Self::default() } else { self.clone() };
        for (attribute, value) in given {
            identity.set(attribute, value.as_deref(), known)?;
        }
        Some(identity)
    }
}

#[cfg(test)]
mod tests;
