//! The grammar of paths: RFC 5321 §4.1.2 and §4.1.3, with UTF-8 by RFC 6531 §3.3.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::{DOMAIN_MAX, Domain, Mailbox, PATH_MAX};

/// What is wrong with an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAnAddress {
    /// No `<` at the start or no `>` at the end.
    #[error("not enclosed in angle brackets")]
    Brackets,
    /// No `@`.
    #[error("no @ in it")]
    NoAt,
    /// The local part is empty or has a character, or a quoting, that it may not have.
    #[error("malformed local part")]
    Local,
    /// The domain is empty or malformed.
    #[error("malformed domain")]
    Domain,
    /// An address literal that is neither IPv4 nor IPv6.
    #[error("malformed address literal")]
    Literal,
    /// A source route that does not parse.
    #[error("malformed source route")]
    Route,
    /// Over one of the lengths of RFC 5321 §4.5.3.1.
    #[error("too long")]
    TooLong,
}

pub(super) fn path(path: &str, local_max: usize) -> Result<Mailbox, NotAnAddress> {
    if path.len() > PATH_MAX {
        return Err(NotAnAddress::TooLong);
    }
    let inner = path.strip_prefix('<').and_then(|rest| rest.strip_suffix('>'));
    mailbox(without_route(inner.ok_or(NotAnAddress::Brackets)?)?, local_max)
}

/// Drops `@relay,@relay:` from the front (RFC 5321 §4.1.2 A-d-l, appendix C).
fn without_route(path: &str) -> Result<&str, NotAnAddress> {
    if !path.starts_with('@') {
        return Ok(path);
    }
    let (route, rest) = path.split_once(':').ok_or(NotAnAddress::Route)?;
    for hop in route.split(',') {
        let name = hop.strip_prefix('@').ok_or(NotAnAddress::Route)?;
        domain(name).map_err(|_| NotAnAddress::Route)?;
    }
    Ok(rest)
}

pub(super) fn mailbox(text: &str, local_max: usize) -> Result<Mailbox, NotAnAddress> {
    if text.len() > PATH_MAX {
        return Err(NotAnAddress::TooLong);
    }
    let (local, rest) = match text.strip_prefix('"') {
        Some(quoted) => unquote(quoted)?,
        None => {
            let at = text.find('@').ok_or(NotAnAddress::NoAt)?;
            let (local, rest) = text.split_at(at);
            if !is_dot_string(local) {
                return Err(NotAnAddress::Local);
            }
            (local.to_owned(), rest)
        }
    };
    if local.len() > local_max {
        return Err(NotAnAddress::TooLong);
    }
    let rest = rest.strip_prefix('@').ok_or(NotAnAddress::NoAt)?;
    Ok(Mailbox { local, domain: domain(rest)? })
}

/// Reads a Quoted-string behind its opening quote: the content, and what follows the closing quote.
fn unquote(quoted: &str) -> Result<(String, &str), NotAnAddress> {
    let mut content = String::new();
    let mut characters = quoted.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' if content.is_empty() => return Err(NotAnAddress::Local),
            '"' => return Ok((content, quoted.get(at + 1..).unwrap_or_default())),
            // quoted-pairSMTP: any printable ASCII or space.
            '\\' => match characters.next() {
                Some((_, escaped @ ' '..='~')) => content.push(escaped),
                Some(_) | None => return Err(NotAnAddress::Local),
            },
            // qtextSMTP; control characters, CR and LF above all, never.
            _ if character.is_control() => return Err(NotAnAddress::Local),
            _ => content.push(character),
        }
    }
    Err(NotAnAddress::Local)
}

/// Dot-string: atoms of `atext` (or UTF-8, RFC 6531 §3.3) with single dots between them.
pub(super) fn is_dot_string(local: &str) -> bool {
    if !local.is_ascii() {
        return local.split('.').all(|atom| !atom.is_empty() && atom.chars().all(is_atext));
    }
    let mut within = false;
    for octet in local.bytes() {
        match octet {
            b'.' if within => within = false,
            _ if is_ascii_atext(octet) => within = true,
            _ => return false,
        }
    }
    within
}

fn is_atext(character: char) -> bool {
    match u8::try_from(character) {
        Ok(octet) if octet.is_ascii() => is_ascii_atext(octet),
        Ok(_) | Err(_) => !character.is_control() && !character.is_whitespace(),
    }
}

fn is_ascii_atext(octet: u8) -> bool {
    ATEXT.get(usize::from(octet)).copied().unwrap_or(false)
}

/// Looked up, since every octet of every address is asked for.
const ATEXT: [bool; 128] = {
    let mut table = [false; 128];
    let mut octet = 0;
    while octet < 128 {
        #[expect(clippy::indexing_slicing, reason = "within the table, and at compile time")]
        {
            table[octet] = matches!(
                octet as u8,
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'/' | b'='
                    | b'?' | b'^'..=b'`' | b'{'..=b'~'
            );
        }
        octet += 1;
    }
    table
};

pub(super) fn domain(text: &str) -> Result<Domain, NotAnAddress> {
    if text.len() > DOMAIN_MAX {
        return Err(NotAnAddress::TooLong);
    }
    if let Some(inner) = text.strip_prefix('[') {
        let inner = inner.strip_suffix(']').ok_or(NotAnAddress::Literal)?;
        return literal(inner);
    }
    let name = text.strip_suffix('.').unwrap_or(text);
    if !is_name(name) {
        return Err(NotAnAddress::Domain);
    }
    // Mapping may turn a look-alike into an address or into nothing: what IDNA refuses outright is no domain.
    if !name.is_ascii() && idna::domain_to_ascii_strict(name).is_err() {
        return Err(NotAnAddress::Domain);
    }
    Ok(Domain::Name(name.to_owned()))
}

/// Labels with single dots between them. By octets, since none of a longer character looks like a dot.
fn is_name(name: &str) -> bool {
    if !name.is_ascii() {
        return name.split('.').all(is_label);
    }
    name.as_bytes().split(|octet| *octet == b'.').all(is_ascii_label)
}

fn is_ascii_label(label: &[u8]) -> bool {
    let fits = |octet: &u8| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_');
    (1..=63).contains(&label.len())
        && label.first() != Some(&b'-')
        && label.last() != Some(&b'-')
        && label.iter().all(fits)
}

/// One label: letters, digits, hyphens inside, at most 63 octets. The underscore is no host name but exists in mail.
fn is_label(label: &str) -> bool {
    if label.is_ascii() {
        return is_ascii_label(label.as_bytes());
    }
    let inner_only = |character: char| character == '-';
    let fits = |character: char| match u8::try_from(character) {
        Ok(octet) if octet.is_ascii() => {
            octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_')
        }
        Ok(_) | Err(_) => !character.is_control() && !character.is_whitespace(),
    };
    label.len() <= 63
        && !label.starts_with(inner_only)
        && !label.ends_with(inner_only)
        && label.chars().all(fits)
}

fn literal(inner: &str) -> Result<Domain, NotAnAddress> {
    let tag = inner.get(..5).unwrap_or_default();
    let canonical = if tag.eq_ignore_ascii_case("IPv6:") {
        let address = inner.get(5..).unwrap_or_default();
        let address: Ipv6Addr = address.parse().map_err(|_| NotAnAddress::Literal)?;
        format!("[IPv6:{address}]")
    } else {
        let address: Ipv4Addr = inner.parse().map_err(|_| NotAnAddress::Literal)?;
        format!("[{address}]")
    };
    Ok(Domain::Literal(canonical))
}
