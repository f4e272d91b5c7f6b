//! The values: xtext, and what each attribute may be.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use super::{Attribute, Attributes, Identity};

/// Longest value, decoded: that of a host name (RFC 5321 §4.5.3.1.2).
const VALUE_MAX: usize = 255;

/// The value of an attribute; `Some(None)` when the sender says that it does not know, for now or at all. Control characters
/// are refused, NUL above all.
pub(super) fn decode(value: &str) -> Option<Option<String>> {
    let text = xtext(value)?;
    let fits = text.len() <= VALUE_MAX && !text.chars().any(char::is_control);
    let nothing = ["", "[UNAVAILABLE]", "[TEMPUNAVAIL]"];
    let unknown = nothing.iter().any(|nothing| text.eq_ignore_ascii_case(nothing));
    fits.then_some((!unknown).then_some(text))
}

fn xtext(value: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'+' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || (rest.next()? as char).to_digit(16);
        let decoded = digit()? * 16 + digit()?;
        bytes.push(u8::try_from(decoded).ok()?);
    }
    String::from_utf8(bytes).ok()
}

impl Identity {
    /// Takes one value; `None` if it is no value of this attribute.
    pub(super) fn set(
        &mut self,
        attribute: Attribute,
        value: Option<&str>,
        known: Attributes,
    ) -> Option<()> {
        match attribute {
            Attribute::Name => self.name = checked(value, host_name)?.map(Arc::from),
            Attribute::Addr => self.address = checked(value, address)?,
            Attribute::Port => self.port = checked(value, port)?,
            Attribute::Proto => self.protocol = checked(value, |text| protocol(text, known))?,
            Attribute::Helo => self.helo = value.map(Arc::from),
            Attribute::Ident => self.ident = value.map(Arc::from),
            Attribute::Source => self.source = checked(value, source)?,
            Attribute::Login => self.login = value.map(Arc::from),
            // Where the client meant to go changes nothing here.
            Attribute::DestAddr => drop(checked(value, address)?),
            Attribute::DestPort => drop(checked(value, port)?),
        }
        Some(())
    }
}

/// What a value is; `None` when it is malformed, `Some(None)` when there is none.
fn checked<'a, T>(
    value: Option<&'a str>,
    read: impl FnOnce(&'a str) -> Option<T>,
) -> Option<Option<T>> {
    match value {
        Some(text) => read(text).map(Some),
        None => Some(None),
    }
}

fn host_name(text: &str) -> Option<&str> {
    let letters = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    text.bytes().all(letters).then_some(text)
}

/// `192.0.2.1` or `IPV6:2001:db8::1`. A v4 address in v6 clothes is judged as what it is.
fn address(text: &str) -> Option<IpAddr> {
    let v6 = text.split_at_checked(5).filter(|(tag, _)| tag.eq_ignore_ascii_case("IPV6:"));
    let address: IpAddr = match v6 {
        Some((_, v6)) => v6.parse::<Ipv6Addr>().ok()?.into(),
        None => text.parse::<Ipv4Addr>().ok()?.into(),
    };
    Some(address.to_canonical())
}

fn port(text: &str) -> Option<u16> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

/// XCLIENT sets what the server believes to speak, XFORWARD what the log says (LMTP, HTTP ...).
fn protocol(text: &str, known: Attributes) -> Option<Arc<str>> {
    let fits = match known == Attributes::XCLIENT {
        true => ["SMTP", "ESMTP"].iter().any(|one| one.eq_ignore_ascii_case(text)),
        false => text.len() <= 64,
    };
    fits.then(|| Arc::from(text))
}

fn source(text: &str) -> Option<Arc<str>> {
    let known = ["LOCAL", "REMOTE"].into_iter().find(|one| one.eq_ignore_ascii_case(text));
    known.map(Arc::from)
}
