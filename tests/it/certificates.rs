//! Certificates on both legs: what proves a next hop, what is shown to it, and files that change.

use std::path::PathBuf;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, SanType};
use rcptgate::proxy::route::Protection;
use rcptgate::session::ClientTls;
use rcptgate::tls::{Connector, Trust};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::net::TcpStream;

use crate::harness::{Downstream, Lab, Wish};
use crate::tls::{Pair, encrypt};

/// A certification authority and the files of what it signs.
pub struct Authority {
    folder: tempfile::TempDir,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    pub fn new() -> Self {
        let mut parameters = CertificateParams::default();
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let issuer = CertifiedIssuer::self_signed(parameters, key).expect("a root");
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("ca.pem"), issuer.pem()).expect("a file");
        Self { folder, issuer }
    }

    pub fn file(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// Signs a certificate; its chain and key are in files of that name.
    pub fn sign(&self, name: &str, parameters: &CertificateParams) -> (PathBuf, PathBuf) {
        let key = KeyPair::generate().expect("a key");
        let signed = parameters.signed_by(&key, &self.issuer).expect("a certificate");
        self.write(name, &signed.pem(), &key)
    }

    fn write(&self, name: &str, chain: &str, key: &KeyPair) -> (PathBuf, PathBuf) {
        let files = ["pem", "key"].map(|end| self.folder.path().join(format!("{name}.{end}")));
        let [chain_file, key_file] = files;
        std::fs::write(&chain_file, chain).expect("a file");
        std::fs::write(&key_file, key.serialize_pem()).expect("a file");
        (chain_file, key_file)
    }

    pub fn root(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(self.issuer.der().clone()).expect("a root");
        roots
    }
}

pub fn named(names: &[&str]) -> CertificateParams {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    CertificateParams::new(names).expect("names")
}

/// What a recipient is told when the next hop shows this certificate.
async fn towards(
    (chain, key): (PathBuf, PathBuf),
    protection: Protection,
) -> (String, Vec<String>, String) {
    let downstream = Downstream::with_starttls(crate::tls::server(chain, key).into()).await;
    let lab = Lab::with(downstream, Wish { protection, ..Wish::default() }).await;
    let mut client = lab.client().await;
    client.ask("MAIL FROM:<a@x.test>", "250").await;
    client.send("RCPT TO:<b@y.test>").await;
    let told = client.reply().await;
    (told, lab.downstream.heard(), lab.metrics.text())
}

/// J05. SHA-1 is not among them: neither rcgen nor webpki knows such signatures.
#[tokio::test]
async fn verify_takes_the_right_certificate_and_no_other() {
    let (authority, other) = (Authority::new(), Authority::new());
    let trust = Trust::File(authority.file());
    let connector = || Protection::Verify(Connector::new(&trust).expect("a connector"));
    let right = authority.sign("right", &named(&["127.0.0.1"]));
    let (told, heard, _) = towards(right, connector()).await;
    assert_eq!(told, "250 2.1.0 ok", "{heard:?}");

    let mut expired = named(&["127.0.0.1"]);
    expired.not_after = rcgen::date_time_ymd(2001, 1, 1);
    expired.not_before = rcgen::date_time_ymd(2000, 1, 1);
    let mut early = named(&["127.0.0.1"]);
    early.not_before = rcgen::date_time_ymd(4000, 1, 1);
    let mut common_name = named(&[]);
    common_name.distinguished_name.push(rcgen::DnType::CommonName, "127.0.0.1");
    let own_key = KeyPair::generate().expect("a key");
    let own = named(&["127.0.0.1"]).self_signed(&own_key).expect("a certificate");
    let faulty = [
        ("wrong name", authority.sign("name", &named(&["127.0.0.2", "localhost"]))),
        ("expired", authority.sign("expired", &expired)),
        ("not yet valid", authority.sign("early", &early)),
        ("self-signed", authority.write("own", &own.pem(), &own_key)),
        ("unknown authority", other.sign("other", &named(&["127.0.0.1"]))),
        ("no subject alternative name", authority.sign("san", &common_name)),
    ];
    for (what, files) in faulty {
        let (told, heard, _) = towards(files, connector()).await;
        assert!(told.starts_with("451 4.7.5 rcptgate:"), "{what}: {told}");
        assert!(!heard.iter().any(|line| line.starts_with("MAIL")), "{what}: {heard:?}");
        // One connection: no second attempt, in the clear or otherwise.
        assert_eq!(heard.iter().filter(|line| *line == "CONNECT").count(), 1, "{what}");
    }
}

/// J06: TLS with whoever answers is kept; what is wrong with the certificate is no reason for clear text.
#[tokio::test]
async fn opportunistic_tls_is_kept_whatever_the_certificate() {
    let authority = Authority::new();
    let mut expired = named(&["elsewhere.test"]);
    expired.not_before = rcgen::date_time_ymd(2000, 1, 1);
    expired.not_after = rcgen::date_time_ymd(2001, 1, 1);
    let anybody = Connector::new(&Trust::Anybody).expect("a connector");
    let files = authority.sign("expired", &expired);
    let (told, heard, _) = towards(files, Protection::Opportunistic(anybody)).await;
    assert_eq!(told, "250 2.1.0 ok");
    let begun = ["CONNECT", "EHLO gate.test", "STARTTLS", "TLS", "EHLO gate.test"];
    assert_eq!(heard.get(..5).unwrap_or_default(), begun);
}

/// The log says of each message whether its next hop has proved who it is.
#[tokio::test]
async fn the_log_says_what_was_proved() {
    let authority = Authority::new();
    let anybody = || Connector::new(&Trust::Anybody).expect("a connector");
    let known = Connector::new(&Trust::File(authority.file())).expect("a connector");
    for (protection, expected) in [
        (Protection::Off, r#"tls="none" trust="" "#),
        (Protection::Opportunistic(anybody()), r#"tls="opportunistic" trust="untrusted" "#),
        (Protection::Required(anybody()), r#"tls="required" trust="untrusted" "#),
        (Protection::Verify(known), r#"tls="verify" trust="verified" "#),
    ] {
        let (heard, _guard) = crate::login::listen();
        let (chain, key) = authority.sign("server", &named(&["127.0.0.1"]));
        let downstream = Downstream::with_starttls(crate::tls::server(chain, key).into()).await;
        let lab = Lab::with(downstream, Wish { protection, ..Wish::default() }).await;
        let mut client = lab.client().await;
        client.ask("MAIL FROM:<a@x.test>", "250").await;
        client.ask("RCPT TO:<b@y.test>", "250").await;
        client.ask("DATA", "354").await;
        client.ask("body\n.", "250").await;
        let log = heard.text();
        let message = log.lines().find(|line| line.contains("event=\"message\"")).expect("a line");
        let address = "receiver=\"127.0.0.1\" ";
        assert!(message.contains(&format!("{address}{expected}")), "{expected}: {message}");
        let (tls, _) = expected.split_once(' ').expect("two fields");
        for figure in ["downstream_connection_tls", "message_tls"] {
            let line = format!("rcptgate_{figure}_total{{{tls}}} 1");
            assert!(lab.metrics.text().contains(&line), "{line}: {}", lab.metrics.text());
        }
    }
}

/// A next hop that takes nobody without a certificate of this authority.
async fn demanding(authority: &Authority) -> Downstream {
    let (chain, key) = authority.sign("server", &named(&["127.0.0.1"]));
    let chain = CertificateDer::pem_file_iter(chain).expect("a chain");
    let chain = chain.map(|one| one.expect("a certificate")).collect();
    let key = PrivateKeyDer::from_pem_file(key).expect("a key");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let roots = Arc::new(authority.root());
    let verifier = WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(&provider));
    // TLS 1.2: the client hears within the handshake that it is refused.
    let config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS12])
        .expect("versions")
        .with_client_cert_verifier(verifier.build().expect("a verifier"))
        .with_single_cert(chain, key)
        .expect("a configuration");
    Downstream::with_starttls(Arc::new(config).into()).await
}

async fn told_by(downstream: Downstream, connector: &Connector) -> (String, Lab) {
    let protection = Protection::Verify(connector.clone());
    let lab = Lab::with(downstream, Wish { protection, ..Wish::default() }).await;
    let mut client = lab.client().await;
    client.ask("MAIL FROM:<a@x.test>", "250").await;
    client.send("RCPT TO:<b@y.test>").await;
    (client.reply().await, lab)
}

#[tokio::test]
async fn a_certificate_is_shown_to_a_next_hop_that_demands_one() {
    let authority = Authority::new();
    let trust = Trust::File(authority.file());
    let nothing = Connector::new(&trust).expect("a connector");
    let (told, _) = told_by(demanding(&authority).await, &nothing).await;
    assert!(told.starts_with("451 4.7.5 rcptgate:"), "{told}");
    let own = authority.sign("gate", &named(&["gate.test"]));
    let connector = Connector::presenting(&trust, Some(own)).expect("a connector");
    let (told, _) = told_by(demanding(&authority).await, &connector).await;
    assert_eq!(told, "250 2.1.0 ok");
}

#[tokio::test]
async fn what_is_shown_changes_with_its_files_and_stays_when_they_are_broken() {
    let (authority, other) = (Authority::new(), Authority::new());
    let trust = Trust::File(authority.file());
    let (chain, key) = authority.sign("gate", &named(&["gate.test"]));
    let own = Some((chain.clone(), key.clone()));
    let connector = Connector::presenting(&trust, own).expect("a connector");
    let copy = |(from_chain, from_key): (PathBuf, PathBuf)| {
        std::fs::copy(from_chain, &chain).expect("a copy");
        std::fs::copy(from_key, &key).expect("a copy");
    };
    // A key that does not fit.
    let (_, unfit) = authority.sign("unfit", &named(&["gate.test"]));
    let good = std::fs::read(&key).expect("a file");
    std::fs::copy(unfit, &key).expect("a copy");
    assert!(connector.reload().is_err());
    let (told, _) = told_by(demanding(&authority).await, &connector).await;
    assert_eq!(told, "250 2.1.0 ok");
    std::fs::write(&key, good).expect("a file");
    // One of a stranger's, which the server does not take.
    copy(other.sign("stranger", &named(&["gate.test"])));
    connector.reload().expect("a good pair");
    let (told, _) = told_by(demanding(&authority).await, &connector).await;
    assert!(told.starts_with("451 4.7.5 rcptgate:"), "{told}");
    copy(authority.sign("again", &named(&["gate.test"])));
    connector.reload().expect("a good pair");
    let (told, _) = told_by(demanding(&authority).await, &connector).await;
    assert_eq!(told, "250 2.1.0 ok");
}

/// J13: under load each handshake gets the one or the other, whole, and what is up goes on.
#[tokio::test]
async fn a_swap_disturbs_nobody() {
    let pair = Pair::new();
    let certificate = pair.certificate();
    let wish = Wish { tls: ClientTls::Up, acceptor: Some(certificate.clone()), ..Wish::default() };
    let lab = Lab::with(Downstream::answering(&[]).await, wish).await;
    let stream = TcpStream::connect(lab.door).await.expect("a connection");
    let mut before = encrypt(stream, &pair.der).await.expect("a handshake");
    before.expect("220 gate.test").await;
    before.ask("EHLO client.test", "250").await;

    let fresh = pair.write();
    let (door, old, new) = (lab.door, pair.der.clone(), fresh.clone());
    let load = tokio::spawn(async move {
        let mut seen = [0_u32; 2];
        while seen.iter().sum::<u32>() < 200 && seen[1] == 0 {
            let stream = TcpStream::connect(door).await.expect("a connection");
            let by_old = encrypt(stream, &old).await.is_ok();
            let stream = TcpStream::connect(door).await.expect("a connection");
            let by_new = encrypt(stream, &new).await.is_ok();
            // The swap may fall between the two, and then both are right; never is neither.
            assert!(by_old || by_new, "a handshake that nobody could trust");
            seen[0] += u32::from(by_old);
            seen[1] += u32::from(by_new);
        }
        seen[1]
    });
    certificate.reload().expect("the new certificate");
    assert_ne!(load.await.expect("the load"), 0, "the new certificate was never seen");

    before.ask("MAIL FROM:<a@x.test>", "250").await;
    before.ask("RCPT TO:<b@y.test>", "250").await;
    before.ask("DATA", "354").await;
    before.ask("body\n.", "250").await;
}

/// J14: the end of a certificate is known, that of one that has ended too, and it is no reason to stop.
#[tokio::test]
async fn the_end_of_a_certificate_is_known() {
    let authority = Authority::new();
    let mut expired = named(&["127.0.0.1"]);
    expired.not_before = rcgen::date_time_ymd(2000, 1, 1);
    expired.not_after = rcgen::date_time_ymd(2001, 2, 3);
    expired.subject_alt_names.push(SanType::DnsName("gate.test".try_into().expect("a name")));
    let (chain, key) = authority.sign("expired", &expired);
    let certificate = rcptgate::tls::Certificate::open(&chain, &key).expect("a certificate");
    let end = "2001-02-03T00:00:00Z".parse().ok();
    assert_eq!(certificate.expiry(), (chain.as_path(), end));
    let own = Some((chain.clone(), key));
    let connector = Connector::presenting(&Trust::Anybody, own).expect("a connector");
    assert_eq!(connector.expiry(), Some((chain.as_path(), end)));
}
