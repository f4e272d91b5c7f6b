//! Saying to a server who a client is.

use std::fmt::Write as _;
use std::net::IpAddr;

use super::{Attribute, Attributes, Identity};

/// Longest command line, CRLF included: what every server takes (RFC 5321 §4.5.3.1.4).
const LINE_MAX: usize = 512;

impl Identity {
    /// XFORWARD for a server that lists these attributes, as many lines as it takes, each with its CRLF. What is not known is not
    /// said; no line if nothing is.
    pub fn xforward(&self, listed: Attributes) -> Vec<String> {
        let mut lines: Vec<String> = Vec::new();
        for attribute in listed.and(Attributes::XFORWARD).iter() {
            let Some(said) = self.said(attribute, "XFORWARD") else { continue };
            match lines.last_mut().filter(|line| line.len() + said.len() + 2 <= LINE_MAX) {
                Some(line) => line.push_str(&said),
                None => lines.push(format!("XFORWARD{said}")),
            }
        }
        lines.iter_mut().for_each(|line| line.push_str("\r\n"));
        lines
    }

    /// XCLIENT for a server that lists these attributes: one line with its CRLF. What is not known is said to be so, or the server
    /// would go on believing what it knows of the gate. `None` if the server does not take an address.
    pub fn xclient(&self, listed: Attributes) -> Option<String> {
        // The address first: a line that gets too long ends without what matters least.
        let order = [
            Attribute::Addr,
            Attribute::Name,
            Attribute::Port,
            Attribute::Login,
            Attribute::Proto,
            Attribute::Helo,
        ];
        if !listed.has(Attribute::Addr) {
            return None;
        }
        let mut line = "XCLIENT".to_owned();
        for (index, attribute) in order.into_iter().enumerate().filter(|(_, one)| listed.has(*one))
        {
            let unknown = || format!(" {}=[UNAVAILABLE]", attribute.name());
            // Room is kept for saying of each that follows that it is not known.
            let later = order.into_iter().skip(index + 1).filter(|one| listed.has(*one));
            let kept: usize = later.map(|one| one.name().len() + " =[UNAVAILABLE]".len()).sum();
            let said = if attribute == Attribute::Proto {
                self.spoken()
            } else {
                self.said(attribute, "XCLIENT")
            };
            let fits = |said: &String| line.len() + said.len() + kept + 2 <= LINE_MAX;
            match (said.filter(fits), attribute) {
                (Some(said), _) => line.push_str(&said),
                // The protocol cannot be said to be unknown.
                (None, Attribute::Proto) => {}
                (None, _) => line.push_str(&unknown()),
            }
        }
        line.push_str("\r\n");
        Some(line)
    }

    /// The protocol as XCLIENT has it: a server that refuses one value refuses them all, and knows but two. LMTP has extensions.
    fn spoken(&self) -> Option<String> {
        let known = [("SMTP", "SMTP"), ("ESMTP", "ESMTP"), ("LMTP", "ESMTP")];
        let protocol = self.protocol.as_deref()?;
        let said = known.into_iter().find(|(name, _)| name.eq_ignore_ascii_case(protocol));
        said.map(|(_, said)| format!(" PROTO={said}"))
    }

    /// ` NAME=value`; `None` when it is not known, or fits on no line.
    fn said(&self, attribute: Attribute, verb: &str) -> Option<String> {
        let mut said = format!(" {}=", attribute.name());
        match attribute {
            Attribute::Name => xtext(self.name.as_deref()?, &mut said),
            Attribute::Addr => match self.address? {
                IpAddr::V4(v4) => write!(said, "{v4}").ok()?,
                IpAddr::V6(v6) => write!(said, "IPV6:{v6}").ok()?,
            },
            Attribute::Port => write!(said, "{}", self.port?).ok()?,
            Attribute::Proto => xtext(self.protocol.as_deref()?, &mut said),
            Attribute::Helo => xtext(self.helo.as_deref()?, &mut said),
            Attribute::Ident => xtext(self.ident.as_deref()?, &mut said),
            Attribute::Source => xtext(self.source.as_deref()?, &mut said),
            Attribute::Login => xtext(self.login.as_deref()?, &mut said),
            Attribute::DestAddr | Attribute::DestPort => return None,
        }
        (verb.len() + said.len() + 2 <= LINE_MAX).then_some(said)
    }
}

/// Appends a value in xtext: whatever is not printable ASCII, and `+` and `=`, as `+XX`.
fn xtext(value: &str, to: &mut String) {
    for byte in value.bytes() {
        if byte.is_ascii_graphic() && byte != b'+' && byte != b'=' {
            to.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(to, "+{byte:02X}");
        }
    }
}
