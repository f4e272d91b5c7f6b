//! What domains demand of the way to their mail hosts, through the gate: from DNS and policies of our own to a real handshake.

mod alias;
mod dane;
mod policies;
mod start;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;
use rcptgate::dns::{Dnssec, Resolver};
use rcptgate::proxy::route::{Protection, RouteSettings, Way};
use rcptgate::routing::target::Targets;
use rcptgate::tls::{Connector, Trust};
use ring::digest::{SHA256, digest};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use crate::certificates::{Authority, named};
use crate::dns_server::{Answer, DnsServer};
use crate::harness::{Downstream, Lab, Wish};

/// What a recipient is told whose mail may go out.
const TAKEN: &str = "250 2.1.0 ok";

/// A mail host that has TLS, a name service, and an authority that the gate trusts where names are to be proved.
pub struct World {
    pub dns: DnsServer,
    pub hop: Downstream,
    pub authority: Authority,
    /// What the mail host shows.
    pub certificate: Vec<u8>,
    asked: Arc<Mutex<Vec<String>>>,
}

/// Shows one certificate, and writes down the names that it is asked for.
#[derive(Debug)]
struct Shown {
    key: Arc<CertifiedKey>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let name = hello.server_name().unwrap_or_default().to_owned();
        self.asked.lock().expect("a list").push(name);
        Some(Arc::clone(&self.key))
    }
}

fn showing((chain, key): &(PathBuf, PathBuf), asked: &Arc<Mutex<Vec<String>>>) -> ServerConfig {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let key = PrivateKeyDer::from_pem_file(key).expect("a key");
    let key = provider.key_provider.load_private_key(key).expect("a key");
    let key = Arc::new(CertifiedKey::new(vec![der(chain).into()], key));
    ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(Shown { key, asked: Arc::clone(asked) }))
}

fn der(file: &Path) -> Vec<u8> {
    CertificateDer::from_pem_file(file).expect("a certificate").to_vec()
}

impl World {
    /// The mail host's certificate is signed by the authority, for these names.
    pub async fn new(names: &[&str]) -> Self {
        let (authority, asked) = (Authority::new(), Arc::default());
        let files = authority.sign("mail-host", &named(names));
        let acceptor = Arc::new(showing(&files, &asked)).into();
        Self::with(Downstream::with_starttls(acceptor).await, authority, der(&files.0), asked).await
    }

    /// The mail host has no TLS, or an attacker has taken it away.
    pub async fn in_the_clear() -> Self {
        let hop = Downstream::answering(&[]).await;
        Self::with(hop, Authority::new(), Vec::new(), Arc::default()).await
    }

    async fn with(
        hop: Downstream,
        authority: Authority,
        certificate: Vec<u8>,
        asked: Arc<Mutex<Vec<String>>>,
    ) -> Self {
        Self { dns: DnsServer::start().await, hop, authority, certificate, asked }
    }

    /// Its mail host is this one, as an answer that is signed.
    pub fn mail_host(&self, domain: &str, host: &str) {
        let mx = Answer::mx(&[(10, &format!("{host}."))]).signed();
        self.dns.answer(domain, RecordType::MX, mx);
    }

    /// Its address, with nothing said of IPv6.
    pub fn address(&self, host: &str, says: impl Fn(Answer) -> Answer) {
        let v4 = Answer::addresses(&[&self.hop.address.ip().to_string()]);
        self.dns.answer(host, RecordType::A, says(v4));
        self.dns.answer(host, RecordType::AAAA, says(Answer::no_records()));
    }

    /// TLSA records of a name, at the port where the mail host is.
    pub fn tlsa(&self, base: &str, answer: Answer) {
        let port = self.hop.address.port();
        self.dns.answer(&format!("_{port}._tcp.{base}"), RecordType::TLSA, answer);
    }

    /// Whether TLSA records of this name were asked for.
    pub fn was_asked_for_tlsa(&self, base: &str) -> bool {
        let name = format!("_{}._tcp.{base}", self.hop.address.port());
        self.dns.asked().contains(&(name, RecordType::TLSA))
    }

    /// `3 0 1` of the mail host's certificate.
    pub fn its_own(&self) -> Answer {
        Answer::tlsa(3, 0, 1, digest(&SHA256, &self.certificate).as_ref()).signed()
    }

    /// `3 0 1` of another one's.
    pub fn anothers() -> Answer {
        Answer::tlsa(3, 0, 1, &[7; 32]).signed()
    }

    /// `2 0 0`: the authority, whole.
    pub fn its_authority(&self) -> Answer {
        Answer::tlsa(2, 0, 0, &der(&self.authority.file())).signed()
    }

    /// Names that the mail host was asked for by SNI so far.
    pub fn asked_for(&self) -> Vec<String> {
        self.asked.lock().expect("a list").clone()
    }

    /// The way out by `mx`, with TLS if it is offered, unless domains demand more.
    pub fn way(&self) -> RouteSettings {
        let trusting = |trust| Connector::new(&trust).expect("a connector");
        RouteSettings {
            way: Way::Mx { port: self.hop.address.port() },
            dane: true,
            mta_sts: Some(trusting(Trust::File(self.authority.file()))),
            ..RouteSettings::fixed(Vec::new(), Protection::Opportunistic(trusting(Trust::Anybody)))
        }
    }

    pub fn resolver(&self) -> Resolver {
        Resolver::new(&[self.dns.address], Dnssec::TrustAd).expect("a resolver")
    }

    /// A gate that finds mail hosts here, and knows nothing yet.
    pub async fn gate(&self, wish: Wish) -> Lab {
        let wish = Wish {
            resolver: Some(wish.resolver.unwrap_or_else(|| self.resolver())),
            rest: Some(wish.rest.unwrap_or_else(|| self.way())),
            targets: Targets::new(Vec::new()),
            ..wish
        };
        Lab::with(self.hop.clone(), wish).await
    }

    /// What a recipient is told by a gate that knows nothing yet, and how that gate logs the connection: `tls=` and `trust=`.
    pub async fn told(&self, recipient: &str) -> String {
        tell(&self.gate(Wish::default()).await, recipient).await
    }
}

/// What a recipient is told.
pub async fn tell(lab: &Lab, recipient: &str) -> String {
    let mut client = lab.client().await;
    client.ask("MAIL FROM:<s@x.test>", "250").await;
    client.send(&format!("RCPT TO:<{recipient}>")).await;
    client.reply().await
}

/// It was told that mail waits, and no mail went out.
pub fn is_put_off(world: &World, told: &str) {
    assert!(told.starts_with("451 4.7.5 rcptgate:"), "{told}");
    let heard = world.hop.heard();
    assert!(!heard.iter().any(|line| line.starts_with("MAIL")), "{heard:?}");
}
