//! The gate's own login with the next hop, RFC 4954: within TLS, behind the last EHLO, before any mail.
//!
//! A server that will not have it gets no mail: it would refuse each recipient for our sake, and be taken to speak of them.

use std::sync::Arc;
use std::vec;

use bytes::BytesMut;

use super::{Failed, Opened, Starttls};
use crate::bounce::Stage;
use crate::smtp::extensions::Capabilities;
use crate::smtp::reply::{Reply, Severity};
use crate::smtp::sasl::{Login, Mechanism, Secret, conversation};

/// Who logs in, and what is still to be said.
#[derive(Debug, Default)]
pub(super) struct LoggingIn {
    login: Option<Arc<Login>>,
    rest: vec::IntoIter<Secret>,
}

impl LoggingIn {
    pub(super) fn with(login: Option<Arc<Login>>) -> Self {
        Self { login, ..Self::default() }
    }

    /// Says AUTH where that is wanted; `None` when there is nothing to say. The strongest is PLAIN: within TLS none is stronger.
    pub(super) fn begin(
        &mut self,
        there: &Capabilities,
        starttls: Starttls,
        out: &mut BytesMut,
    ) -> Option<Opened> {
        let login = self.login.as_ref()?;
        let offered = [("PLAIN", Mechanism::Plain), ("LOGIN", Mechanism::Login)];
        let mechanism = offered.into_iter().find(|(name, _)| there.auth.has(name));
        let Some((_, mechanism)) = mechanism.filter(|_| starttls == Starttls::Up) else {
            return Some(failed(None));
        };
        let (command, rest) = conversation(mechanism, login);
        self.rest = rest.into_iter();
        write(&command, out);
        Some(Opened::More)
    }

    /// The server answered.
    pub(super) fn step(&mut self, there: Capabilities, reply: Reply, out: &mut BytesMut) -> Opened {
        match (reply.code.get(), reply.severity()) {
            (334, _) => match self.rest.next() {
                Some(response) => {
                    write(&response, out);
                    Opened::More
                }
                // It asks for more than the mechanism has.
                None => failed(None),
            },
            (235, _) if self.rest.len() == 0 => {
                Opened::Ready(Capabilities { authenticated: true, ..there })
            }
            (_, Severity::Transient | Severity::Permanent) => failed(Some(reply)),
            (_, Severity::Completion | Severity::Intermediate) => failed(None),
        }
    }
}

fn write(line: &Secret, out: &mut BytesMut) {
    out.extend_from_slice(line.expose());
    out.extend_from_slice(b"\r\n");
}

const fn failed(said: Option<Reply>) -> Opened {
    Opened::Failed(Failed { stage: Stage::Auth, said })
}

#[cfg(test)]
mod tests {
    use super::super::super::Protocol;
    use super::super::Opening;
    use super::*;
    use crate::smtp::status::EnhancedStatus;

    /// What came of it, and what was sent behind EHLO.
    fn log_in(offered: &str, script: &[&str]) -> (Opened, String) {
        let login = Login { user: "gate".into(), password: Secret::new("secret") };
        let mut out = BytesMut::new();
        let opening = Opening::within_tls("gate.test", Protocol::Smtp, &mut out);
        let mut opening = opening.logging_in(Some(Arc::new(login)));
        out.clear();
        let hello = format!("250-mx\r\n250 AUTH {offered}\r\n");
        let mut last = opening.step(&mut BytesMut::from(hello.as_str()), &mut out);
        for bytes in script {
            last = opening.step(&mut BytesMut::from(*bytes), &mut out);
        }
        (last, String::from_utf8(out.to_vec()).expect("ASCII"))
    }

    #[test]
    fn logs_in_with_what_is_offered() {
        let check = |offered: &str, script: &[&str], said: &str| {
            let (opened, sent) = log_in(offered, script);
            assert_eq!(sent, said, "{offered}");
            let Opened::Ready(there) = opened else { panic!("{offered}: {opened:?}") };
            assert!(there.authenticated, "{offered}");
        };
        check("LOGIN PLAIN", &["235 ok\r\n"], "AUTH PLAIN AGdhdGUAc2VjcmV0\r\n");
        let login = ["334 VXNlcm5hbWU6\r\n", "334 UGFzc3dvcmQ6\r\n", "235 ok\r\n"];
        check("CRAM-MD5 LOGIN", &login, "AUTH LOGIN\r\nZ2F0ZQ==\r\nc2VjcmV0\r\n");
    }

    #[test]
    fn a_login_that_fails_is_never_final_for_the_client() {
        let check = |offered: &str, script: &[&str], said: Option<u16>| {
            let (opened, _) = log_in(offered, script);
            let Opened::Failed(failed) = opened else { panic!("{offered} {script:?}: {opened:?}") };
            assert_eq!(failed.stage, Stage::Auth);
            assert_eq!(failed.said.as_ref().map(|reply| reply.code.get()), said, "{script:?}");
            let told = failed.for_client();
            assert_eq!((told.code.get(), told.status), (451, Some(EnhancedStatus::new(4, 7, 8))));
        };
        check("PLAIN", &["535 5.7.8 no\r\n"], Some(535));
        check("PLAIN", &["454 4.7.0 later\r\n"], Some(454));
        check("PLAIN", &["421 bye\r\n"], Some(421));
        // Nothing that we can use; and what answers no login that we made.
        check("CRAM-MD5 SCRAM-SHA-256", &[], None);
        check("PLAIN", &["250 ok\r\n"], None);
        check("PLAIN", &["334 more\r\n"], None);
        check("LOGIN", &["235 ok\r\n"], None);
        check("LOGIN", &["354 go on\r\n"], None);
    }

    #[test]
    fn no_password_goes_in_the_clear() {
        let login = Login { user: "gate".into(), password: Secret::new("secret") };
        for starttls in [Starttls::Off, Starttls::Opportunistic] {
            let mut out = BytesMut::new();
            let opening = Opening::new("gate.test", starttls);
            let mut opening = opening.logging_in(Some(Arc::new(login.clone())));
            opening.step(&mut BytesMut::from("220 mx\r\n"), &mut out);
            let opened =
                opening.step(&mut BytesMut::from("250-mx\r\n250 AUTH PLAIN\r\n"), &mut out);
            assert!(matches!(opened, Opened::Failed(_)), "{opened:?}");
            assert_eq!(&out[..], b"EHLO gate.test\r\n");
        }
    }
}
