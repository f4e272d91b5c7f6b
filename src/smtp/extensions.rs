//! EHLO keywords, RFC 5321 §2.2: a whitelist of what both legs can carry, never a pass-through.

use std::fmt;

use super::identity::Attributes;
use super::sasl::Mechanisms;

/// What a server can do, as far as it concerns the gate. Unknown keywords are not kept: what the gate does not understand it cannot carry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// RFC 2920.
    pub pipelining: bool,
    /// RFC 2034.
    pub enhanced_status_codes: bool,
    /// RFC 6152.
    pub eight_bit_mime: bool,
    /// RFC 6531.
    pub smtputf8: bool,
    /// RFC 3461.
    pub dsn: bool,
    /// RFC 1870.
    pub size: Size,
    /// RFC 3207.
    pub starttls: bool,
    /// RFC 3030 §2.
    pub chunking: bool,
    /// RFC 3030 §3, which is nothing without CHUNKING.
    pub binary_mime: bool,
    /// RFC 9422.
    pub limits: Option<Maxima>,
    /// RFC 8689. Of a connection it says that it can be kept there: TLS is up, and the name was proved.
    pub require_tls: bool,
    /// Postfix XFORWARD: the attributes that it takes.
    pub xforward: Attributes,
    /// Postfix XCLIENT, likewise.
    pub xclient: Attributes,
    /// RFC 4954: the mechanisms that can pass through the gate.
    pub auth: Mechanisms,
    /// We have logged in there: AUTH= of MAIL means something to it (RFC 4954 §5).
    pub authenticated: bool,
    /// Of a connection: LMTP is spoken there, with a final reply for each accepted recipient (RFC 2033 §4.2).
    pub lmtp: bool,
}

/// The limits that a server declares, RFC 9422 §4; `None` where it says nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Maxima {
    /// Transactions in one session.
    pub mail: Option<u32>,
    /// Recipients of one transaction.
    pub rcpt: Option<u32>,
    /// Domains of the recipients in one session.
    pub rcpt_domain: Option<u32>,
}

/// Highest limit that can be declared: it has six digits (RFC 9422 §3).
const MAXIMUM: u32 = 999_999;

impl Maxima {
    /// Reads the words behind LIMITS. What is unknown or malformed limits nothing.
    fn read<'words>(words: impl Iterator<Item = &'words str>) -> Self {
        let mut all = Self::default();
        for (name, value) in words.filter_map(|word| word.split_once('=')) {
            let fits = value.len() <= 6 && value.bytes().all(|byte| byte.is_ascii_digit());
            let value = fits.then(|| value.parse().ok()).flatten().filter(|value| *value > 0);
            match name.to_ascii_uppercase().as_str() {
                "MAILMAX" => all.mail = value,
                "RCPTMAX" => all.rcpt = value,
                "RCPTDOMAINMAX" => all.rcpt_domain = value,
                _ => {}
            }
        }
        all
    }

    /// What holds when both hold.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        let least = |one: Option<u32>, two: Option<u32>| match (one, two) {
            (Some(one), Some(two)) => Some(one.min(two)),
            (one, two) => one.or(two),
        };
        Self {
            mail: least(self.mail, other.mail),
            rcpt: least(self.rcpt, other.rcpt),
            rcpt_domain: least(self.rcpt_domain, other.rcpt_domain),
        }
    }
}

impl fmt::Display for Maxima {
    /// As it stands behind LIMITS in the reply to EHLO.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all =
            [("MAILMAX", self.mail), ("RCPTMAX", self.rcpt), ("RCPTDOMAINMAX", self.rcpt_domain)];
        let given = all.iter().filter_map(|(name, value)| Some((name, (*value)?)));
        for (index, (name, value)) in given.enumerate() {
            let space = if index == 0 { "" } else { " " };
            write!(f, "{space}{name}={}", value.min(MAXIMUM))?;
        }
        Ok(())
    }
}

/// An extension that an operator may withhold from clients, by its EHLO keyword. STARTTLS and XFORWARD have settings of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extension {
    /// RFC 2920. Commands that come in groups are taken all the same.
    Pipelining,
    /// RFC 2034.
    EnhancedStatusCodes,
    /// RFC 6152.
    EightBitMime,
    /// RFC 6531.
    SmtpUtf8,
    /// RFC 3461.
    Dsn,
    /// RFC 1870. The limit holds all the same.
    Size,
    /// RFC 3030 §2, and with it BINARYMIME.
    Chunking,
    /// RFC 3030 §3.
    BinaryMime,
    /// RFC 9422. The limits hold all the same.
    Limits,
    /// RFC 8689.
    RequireTls,
}

impl Extension {
    /// All, by the names that a configuration gives them.
    pub const ALL: [(&str, Self); 10] = [
        ("pipelining", Self::Pipelining),
        ("enhancedstatuscodes", Self::EnhancedStatusCodes),
        ("8bitmime", Self::EightBitMime),
        ("smtputf8", Self::SmtpUtf8),
        ("dsn", Self::Dsn),
        ("size", Self::Size),
        ("chunking", Self::Chunking),
        ("binarymime", Self::BinaryMime),
        ("limits", Self::Limits),
        ("requiretls", Self::RequireTls),
    ];

    /// By its name, in any case.
    pub fn by_name(name: &str) -> Option<Self> {
        let found = Self::ALL.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, extension)| *extension)
    }
}

/// What a server says about sizes, RFC 1870 §3.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Size {
    /// The extension is not offered.
    #[default]
    Absent,
    /// Offered without a limit, or with 0, which means the same.
    Unlimited,
    /// Offered with a limit in octets.
    Limited(u64),
}

impl Size {
    /// The limit in octets, if there is one.
    pub const fn limit(self) -> Option<u64> {
        match self {
            Self::Limited(octets) => Some(octets),
            Self::Absent | Self::Unlimited => None,
        }
    }
}

impl Capabilities {
    /// What the gate itself can honour: offered before the next hop is known.
    pub const GATE: Self = Self {
        pipelining: true,
        enhanced_status_codes: true,
        eight_bit_mime: true,
        smtputf8: true,
        dsn: false,
        size: Size::Unlimited,
        starttls: false,
        chunking: false,
        binary_mime: false,
        limits: Some(Maxima { mail: None, rcpt: None, rcpt_domain: None }),
        require_tls: false,
        xforward: Attributes::NONE,
        xclient: Attributes::NONE,
        auth: Mechanisms::NONE,
        authenticated: false,
        lmtp: false,
    };

    /// Reads the text of an EHLO reply; its first line is the server's name.
    pub fn from_ehlo(text: &str) -> Self {
        let mut all = Self::default();
        for line in text.split('\n').skip(1) {
            let mut words = line.split_ascii_whitespace();
            match words.next().unwrap_or_default().to_ascii_uppercase().as_str() {
                "PIPELINING" => all.pipelining = true,
                "ENHANCEDSTATUSCODES" => all.enhanced_status_codes = true,
                "8BITMIME" => all.eight_bit_mime = true,
                "SMTPUTF8" => all.smtputf8 = true,
                "DSN" => all.dsn = true,
                "STARTTLS" => all.starttls = true,
                "CHUNKING" => all.chunking = true,
                "BINARYMIME" => all.binary_mime = true,
                "LIMITS" => all.limits = Some(Maxima::read(words)),
                "REQUIRETLS" => all.require_tls = true,
                "XFORWARD" => all.xforward = Attributes::from_words(words),
                "XCLIENT" => all.xclient = Attributes::from_words(words),
                "AUTH" => all.auth = Mechanisms::from_words(words),
                "SIZE" => all.size = size(words.next()),
                _ => {}
            }
        }
        all
    }

    /// What the gate may offer when this is what the next hop offers: its own properties always, the rest only if both have it.
    #[must_use]
    pub fn offered_over(self) -> Self {
        Self {
            eight_bit_mime: self.eight_bit_mime,
            smtputf8: self.smtputf8 && self.eight_bit_mime,
            dsn: self.dsn,
            chunking: self.chunking,
            binary_mime: self.binary_mime && self.chunking,
            limits: Some(self.limits.unwrap_or_default()),
            require_tls: self.require_tls,
            auth: self.auth,
            // A declared size is of use to the gate whether or not the next hop hears of it.
            size: match self.size {
                Size::Absent => Size::Unlimited,
                limit @ (Size::Unlimited | Size::Limited(_)) => limit,
            },
            ..Self::GATE
        }
    }

    /// The same without these, and without what is nothing without them.
    #[must_use]
    pub fn without(mut self, withheld: &[Extension]) -> Self {
        for extension in withheld {
            match extension {
                Extension::Pipelining => self.pipelining = false,
                Extension::EnhancedStatusCodes => self.enhanced_status_codes = false,
                // SMTPUTF8 needs it (RFC 6531 §3.1).
                Extension::EightBitMime => (self.eight_bit_mime, self.smtputf8) = (false, false),
                Extension::SmtpUtf8 => self.smtputf8 = false,
                Extension::Dsn => self.dsn = false,
                Extension::Size => self.size = Size::Absent,
                Extension::Chunking => (self.chunking, self.binary_mime) = (false, false),
                Extension::BinaryMime => self.binary_mime = false,
                Extension::Limits => self.limits = None,
                Extension::RequireTls => self.require_tls = false,
            }
        }
        self
    }

    /// What two next hops can both carry.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            pipelining: self.pipelining && other.pipelining,
            enhanced_status_codes: self.enhanced_status_codes && other.enhanced_status_codes,
            eight_bit_mime: self.eight_bit_mime && other.eight_bit_mime,
            smtputf8: self.smtputf8 && other.smtputf8,
            dsn: self.dsn && other.dsn,
            size: match (self.size.limit(), other.size.limit()) {
                (Some(one), Some(two)) => Size::Limited(one.min(two)),
                (Some(limit), None) | (None, Some(limit)) => Size::Limited(limit),
                (None, None) if self.size == Size::Absent || other.size == Size::Absent => {
                    Size::Absent
                }
                (None, None) => Size::Unlimited,
            },
            starttls: self.starttls && other.starttls,
            chunking: self.chunking && other.chunking,
            binary_mime: self.binary_mime && other.binary_mime,
            limits: match (self.limits, other.limits) {
                (Some(one), Some(two)) => Some(one.and(two)),
                (one, two) => one.or(two),
            },
            require_tls: self.require_tls && other.require_tls,
            xforward: self.xforward.and(other.xforward),
            xclient: self.xclient.and(other.xclient),
            auth: self.auth.and(other.auth),
            authenticated: false,
            lmtp: false,
        }
    }
}

fn size(parameter: Option<&str>) -> Size {
    match parameter.and_then(|digits| digits.parse().ok()) {
        None | Some(0) => Size::Unlimited,
        Some(octets) => Size::Limited(octets),
    }
}

#[cfg(test)]
mod tests;
