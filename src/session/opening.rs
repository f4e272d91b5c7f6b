//! A fresh connection to the next hop: greeting, EHLO or LHLO, STARTTLS, without input or output.
//!
//! A reply here is about the gate and its network address, never about a recipient. What was said before TLS is forgotten
//! when TLS is up (RFC 3207 §4.2): only the EHLO behind it counts, and a byte that came along with the 220 ends it all
//! (response injection, CVE-2011-0411 and kin).

mod login;

use std::sync::Arc;

use bytes::BytesMut;

use super::{Protocol, replies};
use crate::bounce::Stage;
use crate::smtp::extensions::Capabilities;
use crate::smtp::identity::Identity;
use crate::smtp::reply::{Reply, ReplyDecoder, Severity};
use crate::smtp::sasl::{Login, Mechanisms};
use crate::smtp::status::EnhancedStatus;
use login::LoggingIn;

/// The opening of one connection.
#[derive(Debug)]
pub struct Opening {
    hostname: String,
    protocol: Protocol,
    step: Step,
    starttls: Starttls,
    introduction: Introduction,
    /// What must not be met: our own word, and the client's own name at another gate.
    unlike: (Arc<str>, Option<Arc<str>>),
    login: LoggingIn,
    replies: ReplyDecoder,
}

/// XCLIENT: whether the server knows on whose behalf we speak.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Introduction {
    /// It is not to be told.
    #[default]
    None,
    /// It will be, when it lists XCLIENT.
    Due(Box<Identity>),
    /// It has been.
    Done,
    /// It does not list XCLIENT.
    NotOffered,
    /// It does, and would not have it from us.
    Refused(Reply),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Greeting,
    Ehlo,
    Helo,
    Starttls(Capabilities),
    Xclient(Capabilities),
    Auth(Capabilities),
}

/// Whether to ask for TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Starttls {
    /// Never.
    Off,
    /// If it is offered.
    Opportunistic,
    /// It must be there.
    Required,
    /// It is up: this is the conversation within it.
    Up,
}

/// What came of some bytes.
#[derive(Debug, PartialEq, Eq)]
pub enum Opened {
    /// Not yet complete.
    More,
    /// The server said 220 to STARTTLS: make the handshake, then begin again with [`Starttls::Up`].
    Handshake,
    /// Ready for mail.
    Ready(Capabilities),
    /// This server is the gate itself, or a gate whose mail came here from there.
    Loop,
    /// This server will not have us.
    Failed(Failed),
}

/// Why a server could not be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failed {
    /// At which command.
    pub stage: Stage,
    /// What it said; `None` when it broke the protocol.
    pub said: Option<Reply>,
}

impl Failed {
    /// What the client is told when no other server is left. Always 4yz: even a 554 greeting is about the gate, and somebody can
    /// put it right while the client's queue holds the message.
    pub fn for_client(&self) -> Reply {
        match &self.said {
            _ if self.stage == Stage::Starttls => replies::NO_TLS,
            _ if self.stage == Stage::Auth => replies::NO_LOGIN_THERE,
            Some(reply) => Reply::with_text(
                451,
                EnhancedStatus::new(4, 3, 2),
                format!("rcptgate: the next hop is not taking mail: {}", reply.text).into(),
            ),
            None => replies::VIOLATION,
        }
    }
}

impl Opening {
    /// Of a connection just made; `hostname` is the name that the gate gives itself.
    pub fn new(hostname: &str, starttls: Starttls) -> Self {
        let hostname = hostname.to_owned();
        let (introduction, login) = (Introduction::None, LoggingIn::default());
        let (protocol, replies) = (Protocol::Smtp, ReplyDecoder::default());
        let (step, unlike) = (Step::Greeting, (Arc::from(""), None));
        Self { hostname, protocol, step, starttls, introduction, unlike, login, replies }
    }

    /// What is spoken there; SMTP if nothing is said.
    #[must_use]
    pub fn speaking(mut self, protocol: Protocol) -> Self {
        self.protocol = protocol;
        self
    }

    /// The server is to be told on whose behalf we speak: behind TLS and EHLO, before any mail.
    #[must_use]
    pub fn introducing(mut self, client: Option<Box<Identity>>) -> Self {
        self.introduction = client.map_or(Introduction::None, Introduction::Due);
        self
    }

    /// What came of that.
    pub const fn introduction(&self) -> &Introduction {
        &self.introduction
    }

    /// A greeting with this word is our own, and one of another gate that has the client's name leads back to the client:
    /// mail would go round until connections run out.
    #[must_use]
    pub fn unlike(mut self, instance: Arc<str>, client: Option<Arc<str>>) -> Self {
        self.unlike = (instance, client);
        self
    }

    fn is_loop(&self, greeting: &Reply) -> bool {
        let (instance, client) = &self.unlike;
        let mut words = greeting.text.split_ascii_whitespace();
        let name = words.next().unwrap_or_default();
        let has = |wanted: &str| !wanted.is_empty() && words.clone().any(|word| word == wanted);
        let clients = client.as_ref().is_some_and(|client| name.eq_ignore_ascii_case(client));
        has(instance) || clients && has(replies::GATE)
    }

    /// The gate is to log in there: within TLS, before any mail.
    #[must_use]
    pub fn logging_in(mut self, login: Option<Arc<Login>>) -> Self {
        self.login = LoggingIn::with(login);
        self
    }

    /// Of a connection whose TLS is up: says EHLO, since the server greets only once.
    pub fn within_tls(hostname: &str, protocol: Protocol, out: &mut BytesMut) -> Self {
        let mut opening = Self::new(hostname, Starttls::Up).speaking(protocol);
        let _ = opening.ehlo(out);
        opening
    }

    /// Which command's reply is awaited.
    pub const fn stage(&self) -> Stage {
        match self.step {
            Step::Greeting => Stage::Connect,
            Step::Ehlo | Step::Helo | Step::Xclient(_) => Stage::Ehlo,
            Step::Starttls(_) => Stage::Starttls,
            Step::Auth(_) => Stage::Auth,
        }
    }

    /// Takes bytes of the server; what is to be sent to it is appended to `out`.
    pub fn step(&mut self, bytes: &mut BytesMut, out: &mut BytesMut) -> Opened {
        let reply = match self.replies.decode(bytes) {
            Ok(None) => return Opened::More,
            // Nothing may follow a reply before the next command.
            Ok(Some(reply)) if bytes.is_empty() => reply,
            Ok(Some(_)) | Err(_) => return self.failed(None),
        };
        match (self.step, reply.severity()) {
            (Step::Auth(there), _) => self.login.step(there, reply, out),
            (Step::Greeting, Severity::Completion) if self.is_loop(&reply) => Opened::Loop,
            (Step::Greeting, Severity::Completion) => self.ehlo(out),
            (Step::Ehlo, Severity::Completion) => {
                let lmtp = self.protocol == Protocol::Lmtp;
                let there = Capabilities { lmtp, ..Capabilities::from_ehlo(&reply.text) };
                self.greeted(there, out)
            }
            (Step::Starttls(_), Severity::Completion) => Opened::Handshake,
            // It greets again, and forgets what it said before: only the EHLO that follows counts.
            (Step::Xclient(_), Severity::Completion) => {
                self.introduction = Introduction::Done;
                self.ehlo(out)
            }
            (Step::Xclient(before), Severity::Permanent) => {
                self.introduction = Introduction::Refused(reply);
                self.ready(before, out)
            }
            (Step::Starttls(clear), Severity::Transient | Severity::Permanent)
                if self.starttls == Starttls::Opportunistic && reply.code.get() != 421 =>
            {
                self.ready(clear, out)
            }
            // A server without extensions (RFC 5321 §3.2): nothing is assumed of it. LMTP has one hello only.
            (Step::Ehlo, Severity::Permanent) if self.protocol == Protocol::Smtp => {
                self.step = Step::Helo;
                self.hello("HELO", out)
            }
            (Step::Helo, Severity::Completion) => self.greeted(Capabilities::default(), out),
            (_, Severity::Intermediate) => self.failed(None),
            (_, Severity::Transient | Severity::Permanent) => self.failed(Some(reply)),
        }
    }

    fn greeted(&mut self, capabilities: Capabilities, out: &mut BytesMut) -> Opened {
        match self.starttls {
            Starttls::Opportunistic | Starttls::Required if capabilities.starttls => {
                self.step = Step::Starttls(capabilities);
                out.extend_from_slice(b"STARTTLS\r\n");
                Opened::More
            }
            // Stripped on the way, perhaps: never in the clear (RFC 3207 §6).
            Starttls::Required => Opened::Failed(Failed { stage: Stage::Starttls, said: None }),
            Starttls::Off | Starttls::Opportunistic | Starttls::Up => self.ready(capabilities, out),
        }
    }

    /// Nothing is left but to say on whose behalf we speak.
    fn ready(&mut self, capabilities: Capabilities, out: &mut BytesMut) -> Opened {
        if let Introduction::Due(client) = &self.introduction {
            if let Some(line) = client.xclient(capabilities.xclient) {
                out.extend_from_slice(line.as_bytes());
                self.step = Step::Xclient(capabilities);
                return Opened::More;
            }
            self.introduction = Introduction::NotOffered;
        }
        self.log_in(capabilities, out)
    }

    /// Nothing is left but to log in. What is offered of AUTH in the clear is not for us, and for no client.
    fn log_in(&mut self, mut there: Capabilities, out: &mut BytesMut) -> Opened {
        if self.starttls != Starttls::Up {
            there.auth = Mechanisms::NONE;
        }
        let said = self.login.begin(&there, self.starttls, out);
        if said == Some(Opened::More) {
            self.step = Step::Auth(there);
        }
        said.unwrap_or(Opened::Ready(there))
    }

    fn ehlo(&mut self, out: &mut BytesMut) -> Opened {
        self.step = Step::Ehlo;
        match self.protocol {
            Protocol::Smtp => self.hello("EHLO", out),
            Protocol::Lmtp => self.hello("LHLO", out),
        }
    }

    fn hello(&self, verb: &str, out: &mut BytesMut) -> Opened {
        out.extend_from_slice(format!("{verb} {}\r\n", self.hostname).as_bytes());
        Opened::More
    }

    fn failed(&self, said: Option<Reply>) -> Opened {
        Opened::Failed(Failed { stage: self.stage(), said })
    }
}

#[cfg(test)]
mod tests;
