//! TLS on both legs, with certificates made for the occasion.

use std::path::PathBuf;
use std::sync::Arc;

use rcptgate::proxy::route::Protection;
use rcptgate::session::ClientTls;
use rcptgate::tls::{Acceptor, Certificate, Connector, Trust};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::harness::{Client, Downstream, Lab, Wish};

/// A self-signed certificate for 127.0.0.1, and the files it is in.
pub struct Pair {
    folder: tempfile::TempDir,
    pub der: CertificateDer<'static>,
}

impl Pair {
    pub fn new() -> Self {
        let pair = Self { folder: tempfile::tempdir().expect("a folder"), der: Vec::new().into() };
        let der = pair.write();
        Self { der, ..pair }
    }

    fn write(&self) -> CertificateDer<'static> {
        let names = vec!["127.0.0.1".to_owned()];
        let made = rcgen::generate_simple_self_signed(names).expect("a certificate");
        std::fs::write(self.chain(), made.cert.pem()).expect("a file");
        std::fs::write(self.key(), made.signing_key.serialize_pem()).expect("a file");
        made.cert.der().clone()
    }

    pub fn chain(&self) -> PathBuf {
        self.folder.path().join("chain.pem")
    }

    pub fn key(&self) -> PathBuf {
        self.folder.path().join("key.pem")
    }

    pub fn certificate(&self) -> Certificate {
        Certificate::open(&self.chain(), &self.key()).expect("a certificate")
    }
}

pub async fn encrypt(
    stream: TcpStream,
    trusted: &CertificateDer<'static>,
) -> std::io::Result<Client> {
    Ok(Client::over(handshake(stream, trusted).await?))
}

async fn handshake(
    stream: TcpStream,
    trusted: &CertificateDer<'static>,
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.clone()).expect("a root");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("127.0.0.1").expect("a name");
    TlsConnector::from(Arc::new(config)).connect(name, stream).await
}

/// Sends in the clear and reads one answer.
async fn say(stream: &mut TcpStream, bytes: &[u8]) -> String {
    stream.write_all(bytes).await.expect("a write");
    let mut answer = Vec::new();
    let is_whole = |answer: &[u8]| {
        let text = String::from_utf8_lossy(answer);
        text.ends_with("\r\n")
            && text.lines().last().is_some_and(|line| line.get(3..4) == Some(" "))
    };
    while !is_whole(&answer) {
        if stream.read_buf(&mut answer).await.expect("a read") == 0 {
            break;
        }
    }
    String::from_utf8(answer).expect("text")
}

async fn lab(tls: ClientTls, pair: &Pair) -> Lab {
    let wish = Wish { tls, acceptor: Some(pair.certificate()), ..Wish::default() };
    Lab::with(Downstream::answering(&[]).await, wish).await
}

#[tokio::test]
async fn starttls_forgets_what_was_said_before() {
    let pair = Pair::new();
    let lab = lab(ClientTls::Required, &pair).await;
    let mut stream = TcpStream::connect(lab.door).await.expect("a connection");
    assert!(say(&mut stream, b"").await.starts_with("220 "));
    assert!(say(&mut stream, b"EHLO client.test\r\n").await.contains("250 STARTTLS\r\n"));
    assert!(say(&mut stream, b"MAIL FROM:<a@x.test>\r\n").await.starts_with("530 5.7.0 "));
    assert!(say(&mut stream, b"STARTTLS\r\n").await.starts_with("220 2.0.0 "));
    let mut client = encrypt(stream, &pair.der).await.expect("a handshake");
    client.ask("MAIL FROM:<a@x.test>", "503 ").await;
    client.send("EHLO client.test").await;
    assert!(!client.reply().await.contains("STARTTLS"));
    client.ask("STARTTLS", "502 ").await;
    client.ask("MAIL FROM:<a@x.test>", "250 ").await;
    client.ask("RCPT TO:<b@y.test>", "250 ").await;
    client.ask("DATA", "354").await;
    client.ask("body\n.", "250 ").await;
    assert!(lab.downstream.heard().contains(&"body".to_owned()));
}

#[tokio::test]
async fn commands_sent_along_with_starttls_are_an_injection() {
    let pair = Pair::new();
    let lab = lab(ClientTls::Offered, &pair).await;
    let mut stream = TcpStream::connect(lab.door).await.expect("a connection");
    say(&mut stream, b"").await;
    say(&mut stream, b"EHLO client.test\r\n").await;
    let answer = say(&mut stream, b"STARTTLS\r\nEHLO evil.test\r\n").await;
    assert!(answer.starts_with("554 5.5.0 rcptgate:"), "{answer}");
    assert_eq!(stream.read(&mut [0; 64]).await.expect("a read"), 0);
}

#[tokio::test]
async fn implicit_tls_greets_within() {
    let pair = Pair::new();
    let lab = lab(ClientTls::Up, &pair).await;
    let stream = TcpStream::connect(lab.door).await.expect("a connection");
    let mut client = encrypt(stream, &pair.der).await.expect("a handshake");
    client.expect("220 gate.test").await;
    client.ask("QUIT", "221").await;
    client.expect_end().await;
    // Plain text gets no greeting, and harms nobody else.
    let mut stream = TcpStream::connect(lab.door).await.expect("a connection");
    stream.write_all(b"EHLO client.test\r\n").await.expect("a write");
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    assert!(!answer.starts_with(b"220"));
}

#[tokio::test]
async fn a_client_that_half_closes_is_told_the_end_all_the_same() {
    let pair = Pair::new();
    let lab = lab(ClientTls::Up, &pair).await;
    let stream = TcpStream::connect(lab.door).await.expect("a connection");
    let mut stream = handshake(stream, &pair.der).await.expect("a handshake");
    stream.write_all(b"EHLO client.test\r\n").await.expect("a write");
    stream.shutdown().await.expect("a half close");
    let mut said = String::new();
    // Without a close_notify of the gate's this is an error: somebody on the way may have cut off the rest.
    stream.read_to_string(&mut said).await.expect("an end within TLS");
    assert!(said.contains("250-gate.test"), "{said}");
}

#[tokio::test]
async fn a_broken_certificate_leaves_the_old_one_in_force() {
    let pair = Pair::new();
    let certificate = pair.certificate();
    let wish = Wish { tls: ClientTls::Up, acceptor: Some(certificate.clone()), ..Wish::default() };
    let lab = Lab::with(Downstream::answering(&[]).await, wish).await;
    std::fs::write(pair.chain(), "no certificate").expect("a file");
    assert!(certificate.reload().is_err());
    let stream = TcpStream::connect(lab.door).await.expect("a connection");
    encrypt(stream, &pair.der).await.expect("the old certificate");
    let fresh = pair.write();
    certificate.reload().expect("the new certificate");
    let stream = TcpStream::connect(lab.door).await.expect("a connection");
    assert!(encrypt(stream, &pair.der).await.is_err());
    let stream = TcpStream::connect(lab.door).await.expect("a connection");
    encrypt(stream, &fresh).await.expect("the new certificate");
}

/// A message through the gate to a next hop that speaks TLS with this pair; what the recipient was told.
async fn towards(pair: &Pair, protection: Protection) -> (String, Downstream) {
    let acceptor = Acceptor::load(&pair.chain(), &pair.key()).expect("a certificate");
    let downstream = Downstream::with_starttls(acceptor).await;
    let lab = Lab::with(downstream, Wish { protection, ..Wish::default() }).await;
    let mut client = lab.client().await;
    client.ask("MAIL FROM:<a@x.test>", "250").await;
    client.send("RCPT TO:<b@y.test>").await;
    let told = client.reply().await;
    (told, lab.into_downstream())
}

#[tokio::test]
async fn the_next_hop_is_spoken_to_within_tls() {
    let pair = Pair::new();
    let anybody = || Connector::new(&Trust::Anybody).expect("a connector");
    for protection in [Protection::Opportunistic(anybody()), Protection::Required(anybody())] {
        let (told, downstream) = towards(&pair, protection).await;
        assert_eq!(told, "250 2.1.0 ok");
        let heard = downstream.heard();
        assert_eq!(
            heard.get(1..5).unwrap_or_default(),
            ["EHLO gate.test", "STARTTLS", "TLS", "EHLO gate.test",]
        );
    }
    let ours = Connector::new(&Trust::File(pair.chain())).expect("a connector");
    let (told, _) = towards(&pair, Protection::Verify(ours)).await;
    assert_eq!(told, "250 2.1.0 ok");
}

#[tokio::test]
async fn a_next_hop_that_proves_nothing_gets_no_mail_where_proof_is_wanted() {
    let (pair, other) = (Pair::new(), Pair::new());
    let theirs = Connector::new(&Trust::File(other.chain())).expect("a connector");
    let (told, downstream) = towards(&pair, Protection::Verify(theirs)).await;
    assert!(told.starts_with("451 4.7.5 rcptgate:"), "{told}");
    assert!(!downstream.heard().iter().any(|line| line.starts_with("MAIL")));
}

#[tokio::test]
async fn opportunistic_tls_goes_on_in_the_clear_when_the_handshake_fails() {
    let hangs_up = [("EHLO", "250-sink.test\r\n250 STARTTLS"), ("STARTTLS", "220 go")];
    let anybody = Connector::new(&Trust::Anybody).expect("a connector");
    let wish = Wish { protection: Protection::Opportunistic(anybody), ..Wish::default() };
    let lab = Lab::with(Downstream::answering(&hangs_up).await, wish).await;
    let mut client = lab.client().await;
    client.ask("MAIL FROM:<a@x.test>", "250").await;
    client.ask("RCPT TO:<b@y.test>", "250 2.1.0 ok").await;
    let connections = lab.downstream.heard().iter().filter(|line| *line == "CONNECT").count();
    assert_eq!(connections, 2);
}

#[tokio::test]
async fn a_next_hop_that_injects_a_reply_is_left() {
    let downstream = Downstream::answering(&[
        ("EHLO", "250-sink.test\r\n250 STARTTLS"),
        ("STARTTLS", "220 go\r\nthis is no handshake"),
    ])
    .await;
    let anybody = Connector::new(&Trust::Anybody).expect("a connector");
    let wish = Wish { protection: Protection::Opportunistic(anybody), ..Wish::default() };
    let lab = Lab::with(downstream, wish).await;
    let mut client = lab.client().await;
    client.ask("MAIL FROM:<a@x.test>", "250").await;
    client.ask("RCPT TO:<b@y.test>", "451 4.7.5").await;
}
