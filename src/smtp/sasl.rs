//! Words of AUTH, RFC 4954: base64 lines, PLAIN (RFC 4616) and LOGIN, without input or output.
//!
//! What a client says here is a password, or as good as one: it is never shown, not even for debugging, and its memory is
//! overwritten when it is dropped.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

/// Octets of one line of an exchange, CRLF included: what RFC 4954 §4.3 considers enough for every mechanism.
pub const LINE_MAX: usize = 12_288;
/// Longest command line of our own, CRLF included: beyond it an initial response is not allowed (RFC 4954 §4).
const COMMAND_MAX: usize = 512;

/// Bytes that nobody is shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// These bytes.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self(Zeroizing::new(bytes.into()))
    }

    /// The bytes themselves, for whoever checks or relays them.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// A user's name and password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// The name; from a client any text without NUL.
    pub user: String,
    /// The password.
    pub password: Secret,
}

/// The argument of AUTH.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Start {
    /// The mechanism in upper case; empty when what stands there is none.
    pub mechanism: String,
    /// The initial response as it was sent, in base64 or `=` for an empty one.
    pub initial: Option<Secret>,
}

impl Start {
    /// Reads `MECHANISM [initial-response]`.
    pub fn parse(argument: &str) -> Self {
        let mut words = argument.split([' ', '\t']).filter(|word| !word.is_empty());
        let name = words.next().unwrap_or_default();
        let initial = words.next().map(Secret::new);
        // RFC 4422 §3.1: 1 to 20 letters, digits, hyphens and underscores.
        let letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        let fits = name.len() <= 20 && name.bytes().all(letter) && words.next().is_none();
        let mechanism = if fits { name.to_ascii_uppercase() } else { String::new() };
        Self { mechanism, initial }
    }
}

/// The mechanisms that the gate can check against its own list of users, or use itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mechanism {
    /// RFC 4616: everything in one response.
    Plain,
    /// Never a standard, and what many clients speak: the name, then the password.
    Login,
}

impl Mechanism {
    /// The mechanism of this name.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "PLAIN" => Some(Self::Plain),
            "LOGIN" => Some(Self::Login),
            _ => None,
        }
    }
}

/// What is wrong with a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SaslFault {
    /// A lone `*`: the client gives up.
    #[error("cancelled")]
    Cancelled,
    /// Not base64, or not what the mechanism wants.
    #[error("malformed response")]
    Malformed,
    /// The client wants to act for somebody else.
    #[error("acting for another user")]
    OnBehalf,
}

/// The bytes of a response line.
///
/// # Errors
/// [`SaslFault::Cancelled`] and [`SaslFault::Malformed`].
pub fn response(line: &[u8]) -> Result<Secret, SaslFault> {
    if line == b"*" {
        return Err(SaslFault::Cancelled);
    }
    STANDARD.decode(line).map(Secret::new).map_err(|_| SaslFault::Malformed)
}

/// The bytes of an initial response, in which `=` stands for none at all.
///
/// # Errors
/// [`SaslFault::Malformed`].
pub fn initial(word: &Secret) -> Result<Secret, SaslFault> {
    match word.expose() {
        b"=" => Ok(Secret::new([])),
        b"*" => Err(SaslFault::Malformed),
        word => response(word),
    }
}

/// The response of PLAIN: `[authzid] NUL authcid NUL passwd`. Bytes are compared as they are; the one identity that a client
/// may act for is its own.
///
/// # Errors
/// [`SaslFault::Malformed`] and [`SaslFault::OnBehalf`].
pub fn plain(response: &Secret) -> Result<Login, SaslFault> {
    let mut parts = response.expose().split(|byte| *byte == 0);
    let (Some(authzid), Some(authcid), Some(password), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(SaslFault::Malformed);
    };
    let login = login(authcid, password)?;
    if authzid.is_empty() || authzid == authcid { Ok(login) } else { Err(SaslFault::OnBehalf) }
}

/// A name and a password as LOGIN brings them.
///
/// # Errors
/// [`SaslFault::Malformed`].
pub fn login(user: &[u8], password: &[u8]) -> Result<Login, SaslFault> {
    let whole = !user.is_empty() && !password.is_empty();
    let user = std::str::from_utf8(user).map_err(|_| SaslFault::Malformed)?;
    if whole && !user.contains('\0') && !password.contains(&0) {
        Ok(Login { user: user.to_owned(), password: Secret::new(password) })
    } else {
        Err(SaslFault::Malformed)
    }
}

/// The client's side of an exchange: what is said first, and what to each challenge.
pub fn conversation(mechanism: Mechanism, login: &Login) -> (Secret, Vec<Secret>) {
    let user = login.user.as_bytes();
    match mechanism {
        Mechanism::Plain => {
            let message = Secret::new([b"\0", user, b"\0", login.password.expose()].concat());
            let word = encode(message.expose());
            let command = Secret::new([b"AUTH PLAIN ".as_slice(), word.expose()].concat());
            if command.expose().len() + 2 <= COMMAND_MAX {
                (command, Vec::new())
            } else {
                (Secret::new("AUTH PLAIN"), vec![word])
            }
        }
        Mechanism::Login => {
            (Secret::new("AUTH LOGIN"), vec![encode(user), encode(login.password.expose())])
        }
    }
}

fn encode(bytes: &[u8]) -> Secret {
    Secret::new(STANDARD.encode(bytes))
}

/// What a server offers in AUTH of its EHLO reply, as far as a client behind the gate could use it. A list of ours, as all of
/// EHLO is: `EXTERNAL` and `*-PLUS` speak of the TLS connection, which is another one on each side of the gate, and
/// `ANONYMOUS` is no login.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Mechanisms(u16);

/// The mechanisms that can pass through the gate, in the order in which they are offered.
const KNOWN: [&str; 14] = [
    "PLAIN",
    "LOGIN",
    "CRAM-MD5",
    "DIGEST-MD5",
    "SCRAM-SHA-1",
    "SCRAM-SHA-256",
    "SCRAM-SHA-512",
    "XOAUTH2",
    "OAUTHBEARER",
    "GSSAPI",
    "GS2-KRB5",
    "NTLM",
    "GSS-SPNEGO",
    "SCRAM-SHA3-512",
];

impl Mechanisms {
    /// None.
    pub const NONE: Self = Self(0);

    /// From the words behind AUTH.
    pub fn from_words<'word>(words: impl Iterator<Item = &'word str>) -> Self {
        words.fold(Self::default(), |all, word| Self(all.0 | Self::bit(word)))
    }

    /// Whether this one is among them; the name in upper case.
    pub fn has(self, name: &str) -> bool {
        self.0 & Self::bit(name) != 0
    }

    /// Whether there are none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// What both have.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    fn bit(name: &str) -> u16 {
        let at = KNOWN.iter().position(|known| known.eq_ignore_ascii_case(name));
        at.map_or(0, |at| 1 << at)
    }
}

/// As EHLO has them: `PLAIN LOGIN`.
impl fmt::Display for Mechanisms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for name in KNOWN.into_iter().filter(|name| self.has(name)) {
            write!(f, "{separator}{name}")?;
            separator = " ";
        }
        Ok(())
    }
}

impl fmt::Debug for Mechanisms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Mechanisms({self})")
    }
}

#[cfg(test)]
mod tests;
