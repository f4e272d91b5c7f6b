//! The client's side of TLS: whom to believe, and what to show when asked.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{
    CertificateDer, InvalidDnsNameError, ServerName, SignatureVerificationAlgorithm, UnixTime,
};
use rustls::{ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use rustls_platform_verifier::BuilderVerifierExt as _;
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client};

use super::dane::ByTlsa;
use super::x509::not_after;
use super::{TlsFault, certificates, private_key};
use crate::routing::records::Tlsa;
use crate::time::Timestamp;

/// How a server is to prove who it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Trust {
    /// Not at all: the line is encrypted, the peer may be anybody (RFC 7435).
    #[default]
    Anybody,
    /// By a chain to one of the system's roots, and its name.
    System,
    /// By a chain to one of the certificates in this file, and its name.
    File(PathBuf),
}

/// The client's side of TLS, towards a next hop. Its files are read again when they change.
#[derive(Clone)]
pub struct Connector {
    proof: Proof,
    own: Option<(PathBuf, PathBuf)>,
    current: Arc<ArcSwap<Current>>,
}

/// What a server is asked for.
#[derive(Clone)]
enum Proof {
    Trust(Trust),
    Tlsa(Arc<ByTlsa>),
}

struct Current {
    connector: TlsConnector,
    not_after: Option<Timestamp>,
}

impl Connector {
    /// A connector that trusts as it is told, and has nothing to show.
    ///
    /// # Errors
    /// The certificates to trust cannot be read.
    pub fn new(trust: &Trust) -> Result<Self, TlsFault> {
        Self::presenting(trust, None)
    }

    /// Likewise; a server that asks for a certificate is shown this chain, with its key.
    ///
    /// # Errors
    /// Which file is wrong, and how; also when the key does not fit the certificate.
    pub fn presenting(trust: &Trust, own: Option<(PathBuf, PathBuf)>) -> Result<Self, TlsFault> {
        let proof = Proof::Trust(trust.clone());
        let current = Arc::new(ArcSwap::from_pointee(Current::load(&proof, own.as_ref())?));
        Ok(Self { proof, own, current })
    }

    /// One that shows the same, but to a server which proves itself by one of these records ([`crate::routing::tlsa`]), whatever
    /// this one trusts. `names` are those of which one must be in a certificate that an authority of usage 2 has signed
    /// ([`crate::routing::tlsa::reference_names`]). It is made for one host: nothing that was agreed on with others is resumed.
    pub fn proving_by_tlsa(&self, records: &[Tlsa], names: &[String]) -> Self {
        let verifier = Arc::new(ByTlsa::new(records, names));
        let current = self.current.load();
        let mut config = ClientConfig::clone(current.connector.config());
        config.dangerous().set_certificate_verifier(Arc::clone(&verifier) as _);
        config.resumption = Resumption::disabled();
        let connector = TlsConnector::from(Arc::new(config));
        let current = Current { connector, not_after: current.not_after };
        let current = Arc::new(ArcSwap::from_pointee(current));
        Self { proof: Proof::Tlsa(verifier), own: self.own.clone(), current }
    }

    /// The handshake with a host of this name, which is also asked for by SNI.
    ///
    /// # Errors
    /// The peer is not who it should be, or speaks no TLS that we do.
    pub async fn connect(
        &self,
        host: &str,
        stream: TcpStream,
    ) -> std::io::Result<client::TlsStream<TcpStream>> {
        let name = ServerName::try_from(host.to_owned())
            .map_err(|error: InvalidDnsNameError| std::io::Error::other(error))?;
        self.current.load_full().connector.connect(name, stream).await
    }

    /// What is shown to servers: the file, and when its certificate ends, as far as it says so.
    pub fn expiry(&self) -> Option<(&Path, Option<Timestamp>)> {
        self.own.as_ref().map(|(chain, _)| (chain.as_path(), self.current.load().not_after))
    }

    /// Whom it trusts and what it shows: two with one key stand for each other.
    pub fn key(&self) -> String {
        let trust = match &self.proof {
            Proof::Trust(trust) => format!("{trust:?}"),
            // Which records those are is said beside it.
            Proof::Tlsa(_) => "tlsa".to_owned(),
        };
        format!("{trust} {:?}", self.own)
    }

    /// The files that it was made of.
    pub fn files(&self) -> Vec<PathBuf> {
        let own = self.own.iter().flat_map(|(chain, key)| [chain.clone(), key.clone()]);
        match &self.proof {
            Proof::Trust(Trust::File(roots)) => own.chain([roots.clone()]).collect(),
            Proof::Trust(Trust::Anybody | Trust::System) | Proof::Tlsa(_) => own.collect(),
        }
    }

    /// Reads the files again. Handshakes to come use what they hold now, and resume nothing that was agreed on before.
    ///
    /// # Errors
    /// As [`Connector::presenting`]; everything stays as it was.
    pub fn reload(&self) -> Result<(), TlsFault> {
        self.current.store(Arc::new(Current::load(&self.proof, self.own.as_ref())?));
        Ok(())
    }
}

impl Current {
    fn load(proof: &Proof, own: Option<&(PathBuf, PathBuf)>) -> Result<Self, TlsFault> {
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?;
        let builder = match proof {
            Proof::Trust(Trust::Anybody) => {
                builder.dangerous().with_custom_certificate_verifier(Arc::new(Unverified::new()))
            }
            Proof::Trust(Trust::System) => builder.with_platform_verifier()?,
            Proof::Trust(Trust::File(file)) => builder.with_root_certificates(roots(file)?),
            Proof::Tlsa(verifier) => {
                builder.dangerous().with_custom_certificate_verifier(Arc::clone(verifier) as _)
            }
        };
        let (config, not_after) = match own {
            Some((chain, key)) => {
                let chain = certificates(chain)?;
                let not_after = chain.first().and_then(not_after);
                (builder.with_client_auth_cert(chain, private_key(key)?)?, not_after)
            }
            None => (builder.with_no_client_auth(), None),
        };
        Ok(Self { connector: TlsConnector::from(Arc::new(config)), not_after })
    }
}

fn roots(file: &Path) -> Result<RootCertStore, TlsFault> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(file)? {
        roots.add(certificate).map_err(|error| TlsFault::of(file, error))?;
    }
    Ok(roots)
}

/// Takes any certificate, but still wants the handshake to be signed with it.
#[derive(Debug)]
pub(super) struct Unverified {
    provider: CryptoProvider,
}

impl Unverified {
    pub(super) fn new() -> Self {
        Self { provider: ring::default_provider() }
    }

    /// What certificates may be signed with.
    pub(super) fn algorithms(&self) -> &'static [&'static dyn SignatureVerificationAlgorithm] {
        self.provider.signature_verification_algorithms.all
    }
}

impl ServerCertVerifier for Unverified {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
