//! Logins over real sockets: a password within TLS, checked on a thread of its own, and never written down.

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rcptgate::credentials::{Account, Credentials, hash};
use rcptgate::proxy::route::Protection;
use rcptgate::session::{Auth, ClientTls};
use rcptgate::tls::{Connector, Trust};
use tokio::net::TcpStream;
use tracing::level_filters::LevelFilter;
use tracing::subscriber::DefaultGuard;

use crate::harness::{Client, Downstream, Lab, Wish};
use crate::tls::{Pair, encrypt};

/// `\0ann@x.test\0hunter2` in base64, and its parts.
pub const PLAIN: &str = "AGFubkB4LnRlc3QAaHVudGVyMg==";
const NAME: &str = "YW5uQHgudGVzdA==";
const PASSWORD: &str = "aHVudGVyMg==";
/// `\0ann@x.test\0Hunter3`.
const WRONG: &str = "AGFubkB4LnRlc3QASHVudGVyMw==";

pub fn users(folder: &Path) -> Credentials {
    let file = folder.join("users.txt");
    let hash = hash(b"hunter2").expect("a hash");
    std::fs::write(&file, format!("ann@x.test:{hash}:acme\n")).expect("written");
    Credentials::open(&file, 1, Duration::from_secs(60)).expect("users")
}

async fn lab(pair: &Pair) -> Lab {
    let wish = Wish {
        tls: ClientTls::Up,
        acceptor: Some(pair.certificate()),
        auth: Auth::Local,
        credentials: Some(users(pair.chain().parent().expect("a folder"))),
        may_relay: false,
        ..Wish::default()
    };
    Lab::with(Downstream::answering(&[("RCPT TO:<gone", "550 5.1.1 no such user")]).await, wish)
        .await
}

async fn client(lab: &Lab, pair: &Pair) -> Client {
    let stream = TcpStream::connect(lab.door).await.expect("a connection");
    let mut client = encrypt(stream, &pair.der).await.expect("a handshake");
    client.expect("220 ").await;
    let offered = client.ask("EHLO client.test", "250-").await;
    assert!(offered.ends_with("AUTH PLAIN LOGIN"), "{offered}");
    client
}

/// What is logged, for a test to read.
#[derive(Clone, Default)]
pub struct Heard(Arc<Mutex<Vec<u8>>>);

impl Heard {
    pub fn text(&self) -> String {
        String::from_utf8(self.0.lock().expect("the log").clone()).expect("text")
    }
}

impl io::Write for Heard {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("the log").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Everything that this thread logs from here on, whatever its level.
pub fn listen() -> (Heard, DefaultGuard) {
    let heard = Heard::default();
    let writer = heard.clone();
    let log = tracing_subscriber::fmt()
        .with_max_level(LevelFilter::TRACE)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    (heard, tracing::subscriber::set_default(log))
}

#[tokio::test]
async fn a_password_lets_a_stranger_relay_on_the_users_account() {
    let pair = Pair::new();
    let lab = lab(&pair).await;
    let mut client = client(&lab, &pair).await;
    client.ask("MAIL FROM:<a@x.test>", "250 ").await;
    client.ask("RCPT TO:<b@y.test>", "530 5.7.0 rcptgate:").await;
    client.ask("RSET", "250 ").await;
    client.ask(&format!("AUTH PLAIN {PLAIN}"), "235 2.7.0 ").await;
    client.ask("MAIL FROM:<a@x.test>", "250 ").await;
    client.ask("RCPT TO:<gone@y.test>", "550 5.1.1 ").await;
    assert!(lab.journal().contains("\"tenant\":\"acme\""), "{}", lab.journal());
    client.ask("RCPT TO:<b@y.test>", "250 ").await;
    client.ask("DATA", "354").await;
    client.ask("body\n.", "250 ").await;
    assert!(!lab.downstream.heard().iter().any(|line| line.contains("AUTH")));
}

#[tokio::test]
async fn passwords_are_not_logged_and_attempts_are() {
    let (heard, _guard) = listen();
    let pair = Pair::new();
    let lab = lab(&pair).await;
    let mut client = client(&lab, &pair).await;
    client.ask(&format!("AUTH PLAIN {WRONG}"), "535 5.7.8 ").await;
    client.ask("AUTH LOGIN", "334 ").await;
    client.ask(NAME, "334 ").await;
    client.ask(PASSWORD, "235 ").await;
    client.ask("QUIT", "221").await;
    client.expect_end().await;
    let log = heard.text();
    let events: Vec<_> = log.lines().filter(|line| line.contains("event=\"auth\"")).collect();
    assert_eq!(events.len(), 2, "{log}");
    assert!(events[0].contains("result=\"failed\"") && events[0].contains("user=\"ann@x.test\""));
    assert!(events[1].contains("result=\"ok\"") && events[1].contains("tenant=\"acme\""));
    for secret in [PLAIN, PASSWORD, WRONG, "hunter2", "Hunter3"] {
        assert!(!log.contains(secret), "{secret}");
    }
    let figures = lab.metrics.text();
    assert!(figures.contains("rcptgate_login_total{kind=\"failed\"} 1"), "{figures}");
    assert!(figures.contains("rcptgate_login_total{kind=\"ok\"} 1"), "{figures}");
}

#[tokio::test]
async fn one_password_at_a_time_and_the_others_wait() {
    let pair = Pair::new();
    let lab = lab(&pair).await;
    let mut clients =
        [client(&lab, &pair).await, client(&lab, &pair).await, client(&lab, &pair).await];
    for client in &mut clients {
        client.send(&format!("AUTH PLAIN {PLAIN}")).await;
    }
    for client in &mut clients {
        client.expect("235 ").await;
    }
}

#[tokio::test]
async fn guessing_ends_the_session() {
    let pair = Pair::new();
    let lab = lab(&pair).await;
    let mut client = client(&lab, &pair).await;
    for _ in 0..3 {
        client.ask(&format!("AUTH PLAIN {WRONG}"), "535 5.7.8 ").await;
    }
    client.expect("421 4.7.0 rcptgate:").await;
    client.expect_end().await;
}

/// What the next hop says to EHLO, in the clear and within TLS.
const OFFERS: &str =
    "250-sink.test\r\n250-STARTTLS\r\n250 AUTH LOGIN PLAIN EXTERNAL SCRAM-SHA-256-PLUS XEVIL";

/// The reply to a recipient from a next hop that answers so, and what was heard there.
async fn with_own_login(answers: &[(&'static str, &'static str)]) -> (String, Vec<String>) {
    let pair = Pair::new();
    let acceptor = crate::tls::server(pair.chain(), pair.key());
    let file = pair.chain().with_file_name("password");
    std::fs::write(&file, "hunter2\n").expect("written");
    let wish = Wish {
        protection: Protection::Required(Connector::new(&Trust::Anybody).expect("a connector")),
        account: Some(Account::open("ann@x.test", &file).expect("an account")),
        ..Wish::default()
    };
    let lab = Lab::with(Downstream::within_tls(acceptor.into(), answers).await, wish).await;
    let mut client = lab.client().await;
    client.ask("MAIL FROM:<a@x.test>", "250").await;
    client.send("RCPT TO:<b@y.test>").await;
    let told = client.reply().await;
    assert_eq!(lab.journal(), "");
    (told, lab.downstream.heard())
}

#[tokio::test]
async fn the_gate_logs_in_with_the_next_hop_within_tls_only() {
    let (log, _guard) = listen();
    let (told, heard) = with_own_login(&[("EHLO", OFFERS), ("AUTH", "235 2.7.0 ok")]).await;
    assert_eq!(told, "250 2.1.0 ok");
    let plain = format!("AUTH PLAIN {PLAIN}");
    let expected = [
        "CONNECT",
        "EHLO gate.test",
        "STARTTLS",
        "TLS",
        "EHLO gate.test",
        &plain,
        "MAIL FROM:<a@x.test>",
    ];
    assert_eq!(heard.get(..7).unwrap_or_default(), expected);
    assert!(!log.text().contains(PLAIN) && !log.text().contains("hunter2"), "{}", log.text());
}

#[tokio::test]
async fn a_next_hop_that_does_not_know_the_gate_gets_no_mail_and_teaches_nothing() {
    let refuses = [("EHLO", OFFERS), ("AUTH", "535 5.7.8 who are you")];
    let without = [("EHLO", "250-sink.test\r\n250 STARTTLS")];
    for answers in [refuses.as_slice(), without.as_slice()] {
        let (log, _guard) = listen();
        let (told, heard) = with_own_login(answers).await;
        assert!(told.starts_with("451 4.7.8 rcptgate:"), "{told}");
        assert!(!heard.iter().any(|line| line.starts_with("MAIL")), "{heard:?}");
        let log = log.text();
        assert!(log.contains("at auth: ") && !log.contains(PLAIN), "{log}");
    }
}

#[tokio::test]
async fn a_login_is_relayed_within_tls_on_both_legs_and_never_logged() {
    let (log, _guard) = listen();
    let pair = Pair::new();
    let acceptor = crate::tls::server(pair.chain(), pair.key());
    let answers = [
        ("EHLO", OFFERS),
        ("AUTH LOGIN", "334 VXNlcm5hbWU6"),
        (NAME, "334 UGFzc3dvcmQ6"),
        (PASSWORD, "235 2.7.0 welcome"),
        ("AUTH PLAIN", "535 5.7.8 who are you"),
    ];
    let wish = Wish {
        tls: ClientTls::Up,
        acceptor: Some(pair.certificate()),
        auth: Auth::Relay,
        protection: Protection::Required(Connector::new(&Trust::Anybody).expect("a connector")),
        may_relay: false,
        ..Wish::default()
    };
    let lab = Lab::with(Downstream::within_tls(acceptor.into(), &answers).await, wish).await;
    // Whatever the next hop offers: neither EXTERNAL nor what is bound to the TLS connection (I10).
    let mut client = client(&lab, &pair).await;
    client.ask("AUTH EXTERNAL =", "504 5.5.4 ").await;
    client.ask(&format!("AUTH PLAIN {WRONG}"), "535 5.7.8 who are you").await;
    client.ask("AUTH LOGIN", "334 VXNlcm5hbWU6").await;
    client.ask(NAME, "334 UGFzc3dvcmQ6").await;
    client.ask(PASSWORD, "235 2.7.0 welcome").await;
    client.ask("MAIL FROM:<a@x.test>", "250 ").await;
    client.ask("RCPT TO:<b@y.test>", "250 ").await;
    client.ask("QUIT", "221").await;
    client.expect_end().await;
    let heard = lab.downstream.heard();
    let auth = heard.iter().position(|line| line.starts_with("AUTH")).expect("AUTH");
    assert!(
        heard.get(..auth).is_some_and(|before| before.contains(&"TLS".to_owned())),
        "{heard:?}"
    );
    let log = log.text();
    for secret in [PLAIN, PASSWORD, WRONG, NAME, "hunter2", "Hunter3"] {
        assert!(!log.contains(secret), "{secret}");
    }
    assert_eq!(log.matches("event=\"auth\"").count(), 2, "{log}");
    let figures = lab.metrics.text();
    assert!(figures.contains("rcptgate_login_total{kind=\"ok\"} 1"), "{figures}");
}

#[tokio::test]
async fn a_next_hop_without_tls_is_offered_no_login() {
    let pair = Pair::new();
    let wish = Wish {
        tls: ClientTls::Up,
        acceptor: Some(pair.certificate()),
        auth: Auth::Relay,
        ..Wish::default()
    };
    let lab = Lab::with(Downstream::answering(&[("EHLO", OFFERS)]).await, wish).await;
    let stream = TcpStream::connect(lab.door).await.expect("a connection");
    let mut client = encrypt(stream, &pair.der).await.expect("a handshake");
    client.expect("220 ").await;
    let offered = client.ask("EHLO client.test", "250-").await;
    assert!(!offered.contains("AUTH"), "{offered}");
    client.ask(&format!("AUTH PLAIN {PLAIN}"), "504 ").await;
    assert!(!lab.downstream.heard().iter().any(|line| line.starts_with("AUTH")));
}
