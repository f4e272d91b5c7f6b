//! EHLO keywords, RFC 5321 §2.2: a whitelist of what both legs can carry, never a pass-through.

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
    /// Postfix XFORWARD: the attributes are not distinguished.
    pub xforward: bool,
    /// RFC 4954: the mechanisms that can pass through the gate.
    pub auth: Mechanisms,
    /// We have logged in there: AUTH= of MAIL means something to it (RFC 4954 §5).
    pub authenticated: bool,
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
        xforward: false,
        auth: Mechanisms::NONE,
        authenticated: false,
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
                "XFORWARD" => all.xforward = true,
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
            auth: self.auth,
            // A declared size is of use to the gate whether or not the next hop hears of it.
            size: match self.size {
                Size::Absent => Size::Unlimited,
                limit @ (Size::Unlimited | Size::Limited(_)) => limit,
            },
            ..Self::GATE
        }
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
            xforward: self.xforward && other.xforward,
            auth: self.auth.and(other.auth),
            authenticated: false,
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
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_knows_and_nothing_else() {
        let text =
            "mx.test greets you\nPIPELINING\nsize 1000\nXEVIL\n8BITMIME\nCHUNKING\nAUTH PLAIN";
        let all = Capabilities::from_ehlo(text);
        let expected = Capabilities {
            pipelining: true,
            eight_bit_mime: true,
            size: Size::Limited(1000),
            auth: Mechanisms::from_words(["PLAIN"].into_iter()),
            ..Capabilities::default()
        };
        assert_eq!(all, expected);
        assert_eq!(Capabilities::from_ehlo("SIZE"), Capabilities::default());
        assert_eq!(Capabilities::from_ehlo("x\nSIZE 0").size, Size::Unlimited);
    }

    #[test]
    fn two_hops_share_the_smaller() {
        let one = Capabilities { size: Size::Limited(10), dsn: true, ..Capabilities::GATE };
        let two = Capabilities { size: Size::Limited(7), ..Capabilities::GATE };
        assert_eq!(one.and(two).size, Size::Limited(7));
        assert!(!one.and(two).dsn);
        let without = Capabilities::default();
        assert_eq!(without.and(without).size, Size::Absent);
        assert_eq!(without.and(one).size, Size::Limited(10));
        assert_eq!(without.offered_over().size, Size::Unlimited);
    }
}
