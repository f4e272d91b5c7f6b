//! The file in which a domain publishes its policy (RFC 8461 §3.2), and which mail hosts it admits (§4.1).

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// Longest policy, in octets (RFC 8461 §3.3 suggests it).
pub const TEXT_MAX: usize = 64 * 1024;
/// Longest life of a policy, in seconds: a year (RFC 8461 §3.2).
const MAX_AGE_MAX: u64 = 31_557_600;
/// Longest name of a host, in octets (RFC 1035 §2.3.4, without a last dot).
const NAME_MAX: usize = 253;
/// Longest part of a name between two dots, in octets.
const LABEL_MAX: usize = 63;

/// What a host that does not fit the policy means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// It gets no mail.
    Enforce,
    /// It gets mail; the failure is told.
    Testing,
    /// Nothing: the domain has given MTA-STS up.
    None,
}

impl Mode {
    /// The word in a policy.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Enforce => "enforce",
            Self::Testing => "testing",
            Self::None => "none",
        }
    }
}

/// The mail hosts that one `mx` line admits: one name, or each name with one more label on the left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    is_wildcard: bool,
    name: String,
}

impl Pattern {
    /// Whether a host fits; upper and lower case are one, a last dot is nothing.
    pub fn matches(&self, host: &str) -> bool {
        let host = host.strip_suffix('.').unwrap_or(host);
        if !self.is_wildcard {
            return host.eq_ignore_ascii_case(&self.name);
        }
        let parent = host.split_once('.').filter(|(label, _)| !label.is_empty());
        parent.is_some_and(|(_, parent)| parent.eq_ignore_ascii_case(&self.name))
    }
}

impl FromStr for Pattern {
    type Err = PolicyFault;

    fn from_str(text: &str) -> Result<Self, PolicyFault> {
        let (is_wildcard, name) =
            text.strip_prefix("*.").map_or((false, text), |parent| (true, parent));
        if !is_host_name(name) {
            return Err(PolicyFault::Mx);
        }
        Ok(Self { is_wildcard, name: name.to_ascii_lowercase() })
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", if self.is_wildcard { "*." } else { "" }, self.name)
    }
}

/// Whether this can be the name of a host, by length and characters: letters, digits, hyphens and underscores between dots, without
/// a last one. Whatever else strangers publish belongs into no question, log or file name.
pub fn is_host_name(name: &str) -> bool {
    let is_label = |label: &str| {
        (1..=LABEL_MAX).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    name.len() <= NAME_MAX && name.split('.').all(is_label)
}

/// A policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// What a host that does not fit means.
    pub mode: Mode,
    /// The hosts that fit; never empty unless the mode is `none`.
    pub mx: Vec<Pattern>,
    /// How long it applies after it was fetched: a year at most, in whole seconds.
    pub max_age: Duration,
}

/// Why a text is no policy. All of it is the fault of the domain that publishes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PolicyFault {
    /// More than [`TEXT_MAX`] octets.
    #[error("longer than 64 KiB")]
    TooLong,
    /// Not UTF-8.
    #[error("not UTF-8")]
    NotText,
    /// A line that is no `key: value`.
    #[error("a line without a key")]
    Line,
    /// `version` is missing or is not `STSv1`.
    #[error("version is not STSv1")]
    Version,
    /// `mode` is missing or unknown.
    #[error("no mode that is known")]
    Mode,
    /// `max_age` is missing, no number, or more than a year.
    #[error("max_age is not 0 to 31557600 seconds")]
    MaxAge,
    /// An `mx` that is no name, or none at all where the mode wants one.
    #[error("no mx, or one that is no name")]
    Mx,
}

impl Policy {
    /// Reads a policy. Lines end in CRLF or LF, unknown keys are ignored, of a key other than `mx` the first counts.
    ///
    /// # Errors
    /// Why it is none; then the domain has no policy.
    pub fn parse(bytes: &[u8]) -> Result<Self, PolicyFault> {
        if bytes.len() > TEXT_MAX {
            return Err(PolicyFault::TooLong);
        }
        let text = std::str::from_utf8(bytes).map_err(|_| PolicyFault::NotText)?;
        let (mut version, mut mode, mut max_age) = (None, None, None);
        let mut mx: Vec<Pattern> = Vec::new();
        for line in text.split('\n').map(|line| line.trim_matches([' ', '\t', '\r'])) {
            if line.is_empty() {
                continue;
            }
            let (key, value) = line.split_once(':').ok_or(PolicyFault::Line)?;
            let value = value.trim_start_matches([' ', '\t']);
            match key.trim_end_matches([' ', '\t']) {
                "version" => _ = version.get_or_insert(value),
                "mode" => _ = mode.get_or_insert(value),
                "max_age" => _ = max_age.get_or_insert(value),
                "mx" => mx.push(value.parse()?),
                _ => {}
            }
        }
        if version != Some("STSv1") {
            return Err(PolicyFault::Version);
        }
        let mode = mode.and_then(mode_named).ok_or(PolicyFault::Mode)?;
        let max_age = max_age.and_then(seconds).ok_or(PolicyFault::MaxAge)?;
        if mx.is_empty() && mode != Mode::None {
            return Err(PolicyFault::Mx);
        }
        Ok(Self { mode, mx, max_age })
    }

    /// Whether mail for the domain may go to this host, as far as its name goes; its certificate must be right as well.
    pub fn admits(&self, host: &str) -> bool {
        self.mx.iter().any(|pattern| pattern.matches(host))
    }
}

/// As a text that reads back as the same policy, and is no longer than what it was read from.
impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "version:STSv1\nmode:{}\n", self.mode.name())?;
        self.mx.iter().try_for_each(|pattern| writeln!(f, "mx:{pattern}"))?;
        write!(f, "max_age:{}", self.max_age.as_secs())
    }
}

fn mode_named(word: &str) -> Option<Mode> {
    [Mode::Enforce, Mode::Testing, Mode::None].into_iter().find(|mode| mode.name() == word)
}

/// Digits only: a number parser takes a sign as well.
fn seconds(text: &str) -> Option<Duration> {
    let is_number =
        (1..=10).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    let seconds: u64 = text.parse().ok().filter(|_| is_number)?;
    (seconds <= MAX_AGE_MAX).then(|| Duration::from_secs(seconds))
}
