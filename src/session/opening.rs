//! A fresh connection to the next hop: greeting, EHLO, STARTTLS, without input or output.
//!
//! A reply here is about the gate and its network address, never about a recipient. What was said before TLS is forgotten
//! when TLS is up (RFC 3207 §4.2): only the EHLO behind it counts, and a byte that came along with the 220 ends it all
//! (response injection, CVE-2011-0411 and kin).

mod login;

use std::sync::Arc;

use bytes::BytesMut;

use super::replies;
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
    step: Step,
    starttls: Starttls,
    introduction: Introduction,
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
        let replies = ReplyDecoder::default();
        Self { hostname, step: Step::Greeting, starttls, introduction, login, replies }
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

    /// The gate is to log in there: within TLS, before any mail.
    #[must_use]
    pub fn logging_in(mut self, login: Option<Arc<Login>>) -> Self {
        self.login = LoggingIn::with(login);
        self
    }

    /// Of a connection whose TLS is up: says EHLO, since the server greets only once.
    pub fn within_tls(hostname: &str, out: &mut BytesMut) -> Self {
        let mut opening = Self::new(hostname, Starttls::Up);
        opening.step = Step::Ehlo;
        let _ = opening.hello("EHLO", out);
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
            (Step::Greeting, Severity::Completion) => {
                self.step = Step::Ehlo;
                self.hello("EHLO", out)
            }
            (Step::Ehlo, Severity::Completion) => {
                self.greeted(Capabilities::from_ehlo(&reply.text), out)
            }
            (Step::Starttls(_), Severity::Completion) => Opened::Handshake,
            // It greets again, and forgets what it said before: only the EHLO that follows counts.
            (Step::Xclient(_), Severity::Completion) => {
                self.introduction = Introduction::Done;
                self.step = Step::Ehlo;
                self.hello("EHLO", out)
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
            // A server without extensions (RFC 5321 §3.2): nothing is assumed of it.
            (Step::Ehlo, Severity::Permanent) => {
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

    fn hello(&self, verb: &str, out: &mut BytesMut) -> Opened {
        out.extend_from_slice(format!("{verb} {}\r\n", self.hostname).as_bytes());
        Opened::More
    }

    fn failed(&self, said: Option<Reply>) -> Opened {
        Opened::Failed(Failed { stage: self.stage(), said })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(script: &[&str]) -> (Opened, String) {
        open_with(Starttls::Off, script)
    }

    fn open_with(starttls: Starttls, script: &[&str]) -> (Opened, String) {
        let mut opening = Opening::new("gate.test", starttls);
        let mut out = BytesMut::new();
        let mut last = Opened::More;
        for bytes in script {
            last = opening.step(&mut BytesMut::from(*bytes), &mut out);
        }
        (last, String::from_utf8(out.to_vec()).expect("ASCII"))
    }

    #[test]
    fn greets_and_reads_what_the_server_can() {
        let (opened, sent) = open(&["220 mx ESMTP\r\n", "250-mx\r\n250 PIPELINING\r\n"]);
        let expected = Capabilities { pipelining: true, ..Capabilities::default() };
        assert_eq!(opened, Opened::Ready(expected));
        assert_eq!(sent, "EHLO gate.test\r\n");
    }

    #[test]
    fn falls_back_to_helo() {
        let (opened, sent) = open(&["220 mx\r\n", "502 what\r\n", "250 mx\r\n"]);
        assert_eq!(opened, Opened::Ready(Capabilities::default()));
        assert_eq!(sent, "EHLO gate.test\r\nHELO gate.test\r\n");
    }

    #[test]
    fn a_server_that_will_not_have_us_is_never_final_for_the_client() {
        for greeting in [
            "554 go away\r\n",
            "421 busy\r\n",
            "521 no mail\r\n",
            "250-a\r\n550 b\r\n",
            "220 a\r\n250 b\r\n",
        ] {
            let (opened, _) = open(&[greeting]);
            let Opened::Failed(failed) = opened else { panic!("{greeting}: {opened:?}") };
            assert_eq!(failed.for_client().code.get(), 451, "{greeting}");
        }
    }

    fn introduced(script: &[&str]) -> (Opened, Introduction, String) {
        let client = Identity::of("192.0.2.7".parse().expect("an address"), 4711);
        let opening = Opening::new("gate.test", Starttls::Opportunistic);
        let mut opening = opening.introducing(Some(Box::new(client)));
        let (mut out, mut last) = (BytesMut::new(), Opened::More);
        for bytes in script {
            last = opening.step(&mut BytesMut::from(*bytes), &mut out);
        }
        let sent = String::from_utf8(out.to_vec()).expect("ASCII");
        (last, opening.introduction().clone(), sent)
    }

    const OFFERS_XCLIENT: &str = "250-mx\r\n250-DSN\r\n250 XCLIENT NAME ADDR PORT HELO\r\n";

    #[test]
    fn behind_xclient_only_the_second_ehlo_counts() {
        let script = ["220 mx\r\n", OFFERS_XCLIENT, "220 mx\r\n", "250-mx\r\n250 PIPELINING\r\n"];
        let (opened, introduction, sent) = introduced(&script);
        let expected = Capabilities { pipelining: true, ..Capabilities::default() };
        assert_eq!((opened, introduction), (Opened::Ready(expected), Introduction::Done));
        let line = "XCLIENT ADDR=192.0.2.7 NAME=[UNAVAILABLE] PORT=4711 HELO=[UNAVAILABLE]\r\n";
        assert_eq!(sent, format!("EHLO gate.test\r\n{line}EHLO gate.test\r\n"));
    }

    #[test]
    fn without_xclient_the_mail_goes_all_the_same() {
        let (opened, introduction, _) = introduced(&["220 mx\r\n", "250 mx\r\n"]);
        assert_eq!(opened, Opened::Ready(Capabilities::default()));
        assert_eq!(introduction, Introduction::NotOffered);
        let both = "250-mx\r\n250-STARTTLS\r\n250 XCLIENT ADDR\r\n";
        let script = ["220 mx\r\n", both, "454 no TLS now\r\n"];
        let (_, _, sent) = introduced(&script);
        assert!(sent.ends_with("STARTTLS\r\nXCLIENT ADDR=192.0.2.7\r\n"), "{sent}");
        let refused = ["220 mx\r\n", OFFERS_XCLIENT, "550 5.7.0 not you\r\n"];
        let (opened, introduction, _) = introduced(&refused);
        assert!(matches!(opened, Opened::Ready(before) if before.dsn), "{opened:?}");
        assert!(matches!(introduction, Introduction::Refused(_)), "{introduction:?}");
        let (opened, ..) = introduced(&["220 mx\r\n", OFFERS_XCLIENT, "421 later\r\n"]);
        assert!(matches!(opened, Opened::Failed(_)), "{opened:?}");
    }

    const OFFERS_TLS: &str = "250-mx\r\n250-DSN\r\n250 STARTTLS\r\n";

    #[test]
    fn tls_is_asked_for_where_it_is_offered() {
        let script = ["220 mx\r\n", OFFERS_TLS, "220 go\r\n"];
        for starttls in [Starttls::Opportunistic, Starttls::Required] {
            let (opened, sent) = open_with(starttls, &script);
            assert_eq!(opened, Opened::Handshake);
            assert_eq!(sent, "EHLO gate.test\r\nSTARTTLS\r\n");
        }
        let (opened, _) = open_with(Starttls::Off, &["220 mx\r\n", OFFERS_TLS]);
        assert!(matches!(opened, Opened::Ready(_)));
    }

    #[test]
    fn required_tls_that_is_stripped_or_refused_is_no_delivery() {
        let stripped: &[&str] = &["220 mx\r\n", "250 mx\r\n"];
        let refused: &[&str] = &["220 mx\r\n", OFFERS_TLS, "454 not now\r\n"];
        for script in [stripped, refused] {
            let (opened, _) = open_with(Starttls::Required, script);
            let Opened::Failed(failed) = opened else { panic!("{opened:?}") };
            assert_eq!(failed.for_client().status, Some(EnhancedStatus::new(4, 7, 5)));
            let (opened, _) = open_with(Starttls::Opportunistic, script);
            assert!(matches!(opened, Opened::Ready(_)), "{opened:?}");
        }
    }

    #[test]
    fn a_byte_behind_the_220_is_an_injection() {
        for injected in ["220 go\r\n250-mx\r\n250 DSN\r\n", "220 go\r\n2"] {
            let script = ["220 mx\r\n", OFFERS_TLS, injected];
            let (opened, _) = open_with(Starttls::Opportunistic, &script);
            assert!(matches!(opened, Opened::Failed(_)), "{opened:?}");
        }
    }

    #[test]
    fn within_tls_only_the_second_ehlo_counts() {
        let mut out = BytesMut::new();
        let mut opening = Opening::within_tls("gate.test", &mut out);
        assert_eq!(&out[..], b"EHLO gate.test\r\n");
        let opened = opening.step(&mut BytesMut::from("250-mx\r\n250 STARTTLS\r\n"), &mut out);
        let expected = Capabilities { starttls: true, ..Capabilities::default() };
        assert_eq!(opened, Opened::Ready(expected));
    }
}
