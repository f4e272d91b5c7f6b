//! A fresh connection to the next hop: greeting and EHLO, without input or output.
//!
//! A reply here is about the gate and its network address, never about a recipient.

use bytes::BytesMut;

use super::replies;
use crate::bounce::Stage;
use crate::smtp::extensions::Capabilities;
use crate::smtp::reply::{Reply, ReplyDecoder, Severity};
use crate::smtp::status::EnhancedStatus;

/// The opening of one connection.
#[derive(Debug)]
pub struct Opening {
    hostname: String,
    step: Step,
    replies: ReplyDecoder,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Greeting,
    Ehlo,
    Helo,
}

/// What came of some bytes.
#[derive(Debug, PartialEq, Eq)]
pub enum Opened {
    /// Not yet complete.
    More,
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
    pub fn new(hostname: &str) -> Self {
        let hostname = hostname.to_owned();
        Self { hostname, step: Step::Greeting, replies: ReplyDecoder::default() }
    }

    /// Which command's reply is awaited.
    pub const fn stage(&self) -> Stage {
        match self.step {
            Step::Greeting => Stage::Connect,
            Step::Ehlo | Step::Helo => Stage::Ehlo,
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
            (Step::Greeting, Severity::Completion) => {
                self.step = Step::Ehlo;
                self.hello("EHLO", out)
            }
            (Step::Ehlo, Severity::Completion) => {
                Opened::Ready(Capabilities::from_ehlo(&reply.text))
            }
            // A server without extensions (RFC 5321 §3.2): nothing is assumed of it.
            (Step::Ehlo, Severity::Permanent) => {
                self.step = Step::Helo;
                self.hello("HELO", out)
            }
            (Step::Helo, Severity::Completion) => Opened::Ready(Capabilities::default()),
            (_, Severity::Intermediate) => self.failed(None),
            (_, Severity::Transient | Severity::Permanent) => self.failed(Some(reply)),
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
mod tests {
    use super::*;

    fn open(script: &[&str]) -> (Opened, String) {
        let mut opening = Opening::new("gate.test");
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
}
