//! What goes wrong around TLS: peers that stop, speak out of turn, or cannot agree.

use std::io::Write as _;
use std::sync::{Arc, Mutex};

use rcptgate::proxy::route::Protection;
use rcptgate::session::ClientTls;
use rcptgate::tls::{Connector, Trust};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ServerConfig};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::client::TlsStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::harness::{Client, Downstream, Lab, Wish};
use crate::tls::{Pair, encrypt, handshake, lab, say, server};

/// A client within TLS that has sent half a message; what it sends from here on is up to the test.
async fn in_content(lab: &Lab, pair: &Pair) -> TlsStream<TcpStream> {
    let stream = TcpStream::connect(lab.door).await.expect("a connection");
    let mut stream = handshake(stream, &pair.der).await.expect("a handshake");
    let dialogue = ["", "EHLO a", "MAIL FROM:<a@x.test>", "RCPT TO:<b@y.test>", "DATA"];
    for line in dialogue {
        let end = if line.is_empty() { "" } else { "\r\n" };
        say(&mut stream, format!("{line}{end}").as_bytes()).await;
    }
    stream.write_all(b"half a message\r\n").await.expect("a write");
    stream.flush().await.expect("a flush");
    lab.downstream.until(|heard| heard.contains(&"half a message".to_owned())).await;
    stream
}

/// The message was broken off: the next hop saw no end of it.
async fn broken_off(lab: &Lab) {
    lab.downstream.until(|heard| heard.contains(&"CLOSED".to_owned())).await;
    assert!(!lab.downstream.heard().contains(&".".to_owned()));
    assert!(lab.metrics.text().contains("rcptgate_message_total{kind=\"aborted\"} 1"));
}

/// J12.
#[tokio::test]
async fn content_that_ends_without_close_notify_is_no_message() {
    let pair = Pair::new();
    let lab = lab(ClientTls::Up, &pair).await;
    drop(in_content(&lab, &pair).await);
    broken_off(&lab).await;
}

/// J12.
#[tokio::test]
async fn content_that_ends_with_close_notify_is_no_message_either() {
    let pair = Pair::new();
    let lab = lab(ClientTls::Up, &pair).await;
    let mut stream = in_content(&lab, &pair).await;
    stream.shutdown().await.expect("a goodbye");
    broken_off(&lab).await;
}

/// J12.
#[tokio::test]
async fn nothing_counts_behind_close_notify() {
    let pair = Pair::new();
    let lab = lab(ClientTls::Up, &pair).await;
    let mut stream = in_content(&lab, &pair).await;
    let (tcp, tls) = stream.get_mut();
    tls.send_close_notify();
    let mut bytes = Vec::new();
    while tls.wants_write() {
        tls.write_tls(&mut bytes).expect("a record");
    }
    bytes.extend_from_slice(b".\r\n");
    tcp.write_all(&bytes).await.expect("a write");
    // The client stays: the gate leaves by itself.
    broken_off(&lab).await;
}

/// J01: what is sent in the clear behind the 220 is part of no dialogue.
#[tokio::test]
async fn commands_in_place_of_a_handshake_are_not_answered() {
    let pair = Pair::new();
    let lab = lab(ClientTls::Offered, &pair).await;
    let mut stream = TcpStream::connect(lab.door).await.expect("a connection");
    say(&mut stream, b"").await;
    say(&mut stream, b"EHLO client.test\r\n").await;
    assert!(say(&mut stream, b"STARTTLS\r\n").await.starts_with("220 "));
    stream.write_all(b"EHLO evil.test\r\nMAIL FROM:<evil@x.test>\r\n").await.expect("a write");
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    assert!(!answer.starts_with(b"2") && !answer.starts_with(b"5"), "{answer:?}");
}

fn trusting(pair: &Pair) -> Arc<ClientConfig> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(pair.der.clone()).expect("a root");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    Arc::new(config)
}

/// J15: there is one certificate for everybody, whatever name is asked for.
#[tokio::test]
async fn any_name_or_none_gets_the_certificate() {
    let pair = Pair::new();
    let names = vec!["127.0.0.1".to_owned(), "unknown.test".to_owned()];
    let made = rcgen::generate_simple_self_signed(names).expect("a certificate");
    std::fs::write(pair.chain(), made.cert.pem()).expect("a file");
    std::fs::write(pair.key(), made.signing_key.serialize_pem()).expect("a file");
    let pair = Pair { der: made.cert.der().clone(), ..pair };
    let lab = lab(ClientTls::Up, &pair).await;
    let mut silent = ClientConfig::clone(&trusting(&pair));
    silent.enable_sni = false;
    for (config, name) in [(trusting(&pair), "unknown.test"), (Arc::new(silent), "unknown.test")] {
        let stream = TcpStream::connect(lab.door).await.expect("a connection");
        let name = ServerName::try_from(name).expect("a name");
        let stream = TlsConnector::from(config).connect(name, stream).await.expect("a handshake");
        Client::over(stream).expect("220 gate.test").await;
    }
}

/// J15: the gate asks clients for no certificate.
#[tokio::test]
async fn a_certificate_that_nobody_asked_for_changes_nothing() {
    let (pair, own) = (Pair::new(), Pair::new());
    let lab = lab(ClientTls::Up, &pair).await;
    let key = PrivateKeyDer::from_pem_file(own.key()).expect("a key");
    let mut roots = rustls::RootCertStore::empty();
    roots.add(pair.der.clone()).expect("a root");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_client_auth_cert(vec![own.der.clone()], key)
        .expect("a pair");
    let stream = TcpStream::connect(lab.door).await.expect("a connection");
    let name = ServerName::try_from("127.0.0.1").expect("a name");
    let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await;
    Client::over(stream.expect("a handshake")).expect("220 gate.test").await;
}

/// A ClientHello that knows nothing newer than TLS 1.0.
fn old_hello() -> Vec<u8> {
    let body = [&[3, 1][..], &[7; 32], &[0, 0, 2, 0xc0, 0x14, 1, 0]].concat();
    let length = |bytes: usize| u8::try_from(bytes).expect("short");
    let message = [&[1, 0, 0, length(body.len())][..], &body].concat();
    [&[0x16, 3, 1, 0, length(message.len())][..], &message].concat()
}

/// J15.
#[tokio::test]
async fn tls_of_the_last_century_is_refused_and_harms_nobody() {
    let pair = Pair::new();
    let lab = lab(ClientTls::Up, &pair).await;
    let mut stream = TcpStream::connect(lab.door).await.expect("a connection");
    stream.write_all(&old_hello()).await.expect("a write");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.expect("an end");
    // An alert, fatal: protocol_version (70) or handshake_failure (40).
    assert!(matches!(answer.as_slice(), [0x15, _, _, 0, 2, 2, 70 | 40]), "{answer:?}");
    let stream = TcpStream::connect(lab.door).await.expect("a connection");
    encrypt(stream, &pair.der).await.expect("a handshake").expect("220 gate.test").await;
    assert!(lab.metrics.text().contains("rcptgate_session_total{kind=\"tls_handshake\"} 1"));
}

/// J04: where TLS is required, a handshake that fails is the end of the attempt.
#[tokio::test]
async fn required_tls_never_goes_on_in_the_clear() {
    let hangs_up = [("EHLO", "250-sink.test\r\n250 STARTTLS"), ("STARTTLS", "220 go")];
    let refuses = [("EHLO", "250-sink.test\r\n250 STARTTLS"), ("STARTTLS", "454 not now")];
    let stripped = [("EHLO", "250 sink.test"), ("", "220 sink.test")];
    for answers in [&hangs_up, &refuses, &stripped] {
        let connector = Connector::new(&Trust::Anybody).expect("a connector");
        let wish = Wish { protection: Protection::Required(connector), ..Wish::default() };
        let lab = Lab::with(Downstream::answering(answers).await, wish).await;
        let mut client = lab.client().await;
        client.ask("MAIL FROM:<a@x.test>", "250").await;
        client.ask("RCPT TO:<b@y.test>", "451 4.7.5 rcptgate:").await;
        let heard = lab.downstream.heard();
        assert!(!heard.iter().any(|line| line.starts_with("MAIL")), "{heard:?}");
        assert_eq!(heard.iter().filter(|line| *line == "CONNECT").count(), 1, "{heard:?}");
    }
}

/// A server that says something within TLS along with the end of the handshake, and what it hears there.
async fn early(config: ServerConfig) -> (u16, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let heard = Arc::new(Mutex::new(Vec::new()));
    let (log, acceptor) = (Arc::clone(&heard), TlsAcceptor::from(Arc::new(config)));
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            log.lock().expect("the log").push("CONNECT".to_owned());
            let (mut lines, replies) =
                (BufReader::new(&mut stream), ["250-x\r\n250 STARTTLS", "220 go"]);
            lines.write_all(b"220 x\r\n").await.expect("a write");
            for reply in replies {
                lines.read_line(&mut String::new()).await.expect("a line");
                lines.write_all(format!("{reply}\r\n").as_bytes()).await.expect("a write");
            }
            let speak = |tls: &mut rustls::ServerConnection| {
                tls.writer().write_all(b"250 x\r\n").expect("a record");
            };
            let Ok(stream) = acceptor.accept_with(stream, speak).await else { continue };
            let mut lines = BufReader::new(stream).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                log.lock().expect("the log").push(line);
            }
        }
    });
    (port, heard)
}

/// J18, the class of CVE-2009-3555: a reply that comes with the handshake would be taken for the one to our EHLO, and each later one
/// for the next command's.
#[tokio::test]
async fn a_next_hop_that_speaks_before_it_is_asked_is_left() {
    let pair = Pair::new();
    let mut config = ServerConfig::clone(&server(pair.chain(), pair.key()));
    config.send_half_rtt_data = true;
    let (port, heard) = early(config).await;
    let connector = Connector::new(&Trust::File(pair.chain())).expect("a connector");
    let host = rcptgate::proxy::route::Host { name: "127.0.0.1".to_owned(), port };
    let wish =
        Wish { protection: Protection::Verify(connector), before: vec![host], ..Wish::default() };
    // Behind it stands one without TLS, which is not good enough.
    let lab = Lab::with(Downstream::answering(&[]).await, wish).await;
    let mut client = lab.client().await;
    client.ask("MAIL FROM:<a@x.test>", "250").await;
    client.ask("RCPT TO:<b@y.test>", "451 ").await;
    assert_eq!(*heard.lock().expect("the log"), ["CONNECT"]);
}

/// J19: what TLS holds back until it is flushed would wait for ever for a peer that says nothing more.
#[tokio::test]
async fn single_bytes_within_tls_on_both_legs_hang_nowhere() {
    let (pair, theirs) = (Pair::new(), Pair::new());
    let connector = Connector::new(&Trust::File(theirs.chain())).expect("a connector");
    let wish = Wish {
        tls: ClientTls::Up,
        acceptor: Some(pair.certificate()),
        protection: Protection::Verify(connector),
        ..Wish::default()
    };
    let downstream = Downstream::with_starttls(server(theirs.chain(), theirs.key()).into()).await;
    let lab = Lab::with(downstream, wish).await;
    let stream = TcpStream::connect(lab.door).await.expect("a connection");
    let mut client = encrypt(stream, &pair.der).await.expect("a handshake");
    client.expect("220").await;
    let dialogue = [
        ("EHLO client.test\r\n", "250"),
        ("MAIL FROM:<a@x.test>\r\n", "250"),
        ("RCPT TO:<b@y.test>\r\n", "250"),
        ("DATA\r\n", "354"),
        ("body\r\n.\r\n", "250 2.0.0 ok queued"),
        ("QUIT\r\n", "221"),
    ];
    for (line, reply) in dialogue {
        for byte in line.bytes() {
            client.raw(&[byte]).await;
        }
        client.expect(reply).await;
    }
    assert!(lab.downstream.heard().contains(&"body".to_owned()));
}
