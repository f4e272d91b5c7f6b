//! Next hops that prove themselves by TLSA records (RFC 7672 §3), each over a real handshake.

use std::io;
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, PublicKeyData as _,
};
use rcptgate::routing::records::Tlsa;
use rcptgate::routing::tlsa::reference_names;
use rcptgate::tls::{Connector, Trust};
use ring::digest::{SHA256, SHA512, digest};
use rustls::ServerConfig;
use rustls::pki_types::CertificateDer;
use rustls::server::WebPkiClientVerifier;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::certificates::{Authority, named};

const HOST: &str = "mx.example.net";
const DOMAIN: &str = "example.com";

/// What a host shows: its own certificate first; and the key it signs with.
struct Host {
    chain: Vec<CertificateDer<'static>>,
    key: KeyPair,
}

type Issuer = CertifiedIssuer<'static, KeyPair>;

/// A certification authority; signed by another, or by itself.
fn authority(name: &str, by: Option<&Issuer>) -> Issuer {
    let mut parameters = CertificateParams::default();
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    parameters.distinguished_name.push(DnType::CommonName, name);
    let key = KeyPair::generate().expect("a key");
    let issuer = match by {
        Some(by) => CertifiedIssuer::signed_by(parameters, key, by),
        None => CertifiedIssuer::self_signed(parameters, key),
    };
    issuer.expect("an authority")
}

fn expired(names: &[&str]) -> CertificateParams {
    let mut parameters = named(names);
    parameters.not_before = rcgen::date_time_ymd(2000, 1, 1);
    parameters.not_after = rcgen::date_time_ymd(2001, 1, 1);
    parameters
}

impl Host {
    fn self_signed(parameters: &CertificateParams) -> Self {
        let key = KeyPair::generate().expect("a key");
        let own = parameters.self_signed(&key).expect("a certificate");
        Self { chain: vec![own.der().clone()], key }
    }

    fn signed(parameters: &CertificateParams, by: &Issuer, shown: &[&Issuer]) -> Self {
        let key = KeyPair::generate().expect("a key");
        let own = parameters.signed_by(&key, by).expect("a certificate");
        let shown = shown.iter().map(|issuer| issuer.der().clone());
        Self { chain: [own.der().clone()].into_iter().chain(shown).collect(), key }
    }

    fn record(&self, selector: u8, matching: u8) -> Tlsa {
        let own = self.chain.first().expect("a certificate");
        tlsa(3, selector, matching, own, &self.key.subject_public_key_info())
    }
}

fn of(issuer: &Issuer, selector: u8, matching: u8) -> Tlsa {
    tlsa(2, selector, matching, issuer.der(), &issuer.key().subject_public_key_info())
}

fn tlsa(usage: u8, selector: u8, matching: u8, certificate: &[u8], key: &[u8]) -> Tlsa {
    let thing = if selector == 0 { certificate } else { key };
    let data = match matching {
        0 => thing.to_vec(),
        1 => digest(&SHA256, thing).as_ref().to_vec(),
        _ => digest(&SHA512, thing).as_ref().to_vec(),
    };
    Tlsa { usage, selector, matching, data }
}

fn config(host: &Host) -> ServerConfig {
    let key = host.key.serialize_der().try_into().expect("a key");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(host.chain.clone(), key)
        .expect("a pair")
}

/// One handshake; what the server was asked for by SNI.
async fn meet(config: ServerConfig, connector: &Connector) -> io::Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let server = async {
        let (stream, _) = listener.accept().await.expect("a client");
        TlsAcceptor::from(Arc::new(config)).accept(stream).await
    };
    let client = async {
        let stream = TcpStream::connect(address).await.expect("a connection");
        connector.connect(HOST, stream).await
    };
    let (server, client) = tokio::join!(server, client);
    client?;
    Ok(server?.get_ref().1.server_name().unwrap_or_default().to_owned())
}

async fn proves(host: &Host, records: &[Tlsa]) -> io::Result<()> {
    // It trusts nobody by itself.
    let nobody = Authority::new();
    let connector = Connector::new(&Trust::File(nobody.file())).expect("a connector");
    let connector = connector.proving_by_tlsa(records, &reference_names(HOST, DOMAIN, DOMAIN));
    meet(config(host), &connector).await.map(|asked| assert_eq!(asked, HOST))
}

async fn takes(what: &str, host: &Host, records: &[Tlsa]) {
    let outcome = proves(host, records).await;
    assert!(outcome.is_ok(), "{what}: {outcome:?}");
}

async fn leaves(what: &str, host: &Host, records: &[Tlsa], why: &str) {
    let told = proves(host, records).await.expect_err(what).to_string();
    assert!(told.contains(why), "{what}: {told}");
}

#[tokio::test]
async fn the_hosts_own_certificate_or_key() {
    let (root, other) = (authority("root", None), Host::self_signed(&named(&[HOST])));
    for (what, host) in [
        ("good", Host::signed(&named(&[HOST]), &root, &[])),
        ("self-signed", Host::self_signed(&named(&[HOST]))),
        ("expired", Host::self_signed(&expired(&[HOST]))),
        ("wrong name", Host::self_signed(&named(&["elsewhere.test"]))),
        ("no name", Host::self_signed(&named(&[]))),
    ] {
        for (selector, matching) in [(1, 1), (0, 1), (1, 2), (0, 2), (0, 0), (1, 0)] {
            let what = format!("{what} 3 {selector} {matching}");
            let (right, wrong) =
                (host.record(selector, matching), other.record(selector, matching));
            takes(&what, &host, std::slice::from_ref(&right)).await;
            leaves(&what, &host, std::slice::from_ref(&wrong), "NoTlsaRecordMatches").await;
            // The next key is announced before it is used, the last one for a while after.
            takes(&what, &host, &[wrong.clone(), right.clone()]).await;
            takes(&what, &host, &[right, wrong]).await;
        }
    }
}

#[tokio::test]
async fn an_authority_that_the_host_shows() {
    let root = authority("root", None);
    let (middle, other) = (authority("middle", Some(&root)), authority("other", None));
    let shown = [&middle, &root];
    let host = |parameters: CertificateParams| Host::signed(&parameters, &middle, &shown);
    for (selector, matching) in [(0, 1), (1, 1), (0, 2), (1, 2), (0, 0), (1, 0)] {
        let what = format!("2 {selector} {matching}");
        let wrong = of(&other, selector, matching);
        for right in [of(&root, selector, matching), of(&middle, selector, matching)] {
            let right = &[wrong.clone(), right];
            takes(&what, &host(named(&[HOST])), right).await;
            takes(&what, &host(named(&["x.test", DOMAIN])), right).await;
            takes(&what, &host(named(&["*.example.net"])), right).await;
            leaves(&what, &host(named(&["elsewhere.test"])), right, "not valid for name").await;
            leaves(&what, &host(named(&[])), right, "not valid for name").await;
            leaves(&what, &host(expired(&[HOST])), right, "expired").await;
        }
        let why = match (selector, matching) {
            (0, 0) => "UnknownIssuer",
            (1, 0) => "BadSignature",
            _ => "NoTlsaRecordMatches",
        };
        leaves(&what, &host(named(&[HOST])), &[wrong], why).await;
    }
}

/// Only what a record holds whole can be missing from what the host shows (RFC 7671 §5.2.2).
#[tokio::test]
async fn an_authority_that_the_host_does_not_show() {
    let root = authority("root", None);
    let host = Host::signed(&named(&[HOST]), &root, &[]);
    for selector in [0, 1] {
        takes("whole", &host, &[of(&root, selector, 0)]).await;
        leaves("digest", &host, &[of(&root, selector, 1)], "NoTlsaRecordMatches").await;
        leaves("digest", &host, &[of(&root, selector, 2)], "NoTlsaRecordMatches").await;
    }
    let middle = authority("middle", Some(&root));
    let host = Host::signed(&named(&[HOST]), &middle, &[&middle]);
    takes("root not shown", &host, &[of(&root, 0, 0)]).await;
    takes("key not shown", &host, &[of(&root, 1, 0)]).await;
}

/// To show the certificate of an authority is not to be signed by it.
#[tokio::test]
async fn an_authority_that_has_not_signed() {
    let (root, mallory) = (authority("root", None), authority("root", None));
    let forged = Host::signed(&named(&[HOST]), &mallory, &[&root, &mallory]);
    let own = Host { chain: vec![forged.chain[0].clone(), root.der().clone()], ..forged };
    for (selector, matching) in [(0, 1), (1, 1), (0, 0), (1, 0)] {
        let outcome = proves(&own, &[of(&root, selector, matching)]).await;
        assert!(outcome.is_err(), "2 {selector} {matching}");
    }
    // Without a name to look for, none is right.
    let host = Host::signed(&named(&[HOST]), &root, &[&root]);
    let connector = Connector::new(&Trust::Anybody).expect("a connector");
    let connector = connector.proving_by_tlsa(&[of(&root, 0, 1)], &[]);
    meet(config(&host), &connector).await.expect_err("no name");
    // A record for an authority says nothing for a host, and the reverse.
    let swapped = |record: Tlsa, usage: u8| Tlsa { usage, ..record };
    let why = "NoTlsaRecordMatches";
    leaves("3 for an authority", &host, &[swapped(of(&root, 0, 1), 3)], why).await;
    leaves("2 for a host", &host, &[swapped(host.record(0, 1), 2)], why).await;
}

/// The handshake is signed with the certificate that matched: who copies one has not its key.
#[tokio::test]
async fn a_copied_certificate_proves_nothing() {
    let host = Host::self_signed(&named(&[HOST]));
    let record = host.record(1, 1);
    let thief = KeyPair::generate().expect("a key");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let key = thief.serialize_der().try_into().expect("a key");
    let key = provider.key_provider.load_private_key(key).expect("a key");
    let resolver = rustls::sign::CertifiedKey::new(host.chain, key);
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(resolver)));
    let connector = Connector::new(&Trust::Anybody).expect("a connector");
    let connector = connector.proving_by_tlsa(&[record], &[HOST.to_owned()]);
    let told = meet(config, &connector).await.expect_err("a thief").to_string();
    assert!(told.contains("BadSignature"), "{told}");
}

/// J08: they match nothing and break nothing.
#[tokio::test]
async fn records_of_no_use_match_nothing() {
    let host = Host::self_signed(&named(&[HOST]));
    let good = host.record(1, 1);
    let odd = |usage, length| Tlsa { usage, data: vec![0; length], ..good.clone() };
    let unusable = [odd(3, 0), odd(2, 0), odd(3, 3), odd(2, 3), Tlsa { usage: 1, ..good.clone() }];
    let rubbish =
        [0, 1].map(|selector| Tlsa { usage: 2, selector, matching: 0, data: vec![0x30; 9] });
    leaves("none", &host, &[], "NoTlsaRecordMatches").await;
    leaves("unusable", &host, &unusable, "NoTlsaRecordMatches").await;
    leaves("rubbish", &host, &rubbish, "NoTlsaRecordMatches").await;
    takes("among others", &host, &[&unusable[..], &rubbish, &[good]].concat()).await;
}

#[tokio::test]
async fn our_own_certificate_is_still_shown() {
    let authority = Authority::new();
    let own = authority.sign("gate", &named(&["gate.test"]));
    let host = Host::self_signed(&named(&[HOST]));
    let demanding = || {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let roots = Arc::new(authority.root());
        let verifier = WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(&provider));
        let key = host.key.serialize_der().try_into().expect("a key");
        ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS12])
            .expect("versions")
            .with_client_cert_verifier(verifier.build().expect("a verifier"))
            .with_single_cert(host.chain.clone(), key)
            .expect("a pair")
    };
    let records = [host.record(1, 1)];
    let bare = Connector::new(&Trust::Anybody).expect("a connector");
    let bare = bare.proving_by_tlsa(&records, &[HOST.to_owned()]);
    assert!(meet(demanding(), &bare).await.is_err());
    let showing = Connector::presenting(&Trust::Anybody, Some(own)).expect("a connector");
    let showing = showing.proving_by_tlsa(&records, &[HOST.to_owned()]);
    meet(demanding(), &showing).await.expect("a handshake");
    // Nor does it lose either when its files are read again.
    showing.reload().expect("the same files");
    meet(demanding(), &showing).await.expect("a handshake");
    let stranger = Host::self_signed(&named(&[HOST]));
    meet(config(&stranger), &showing).await.expect_err("a stranger");
    assert_eq!(showing.files().len(), 2);
}
