//! The client's side of TLS: whom to believe, and what to show when asked.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, InvalidDnsNameError, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use rustls_platform_verifier::BuilderVerifierExt as _;
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client};

use super::expiry::not_after;
use super::{TlsFault, certificates, private_key};
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
    trust: Trust,
    own: Option<(PathBuf, PathBuf)>,
    current: Arc<ArcSwap<Current>>,
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
        let current = Arc::new(ArcSwap::from_pointee(Current::load(trust, own.as_ref())?));
        Ok(Self { trust: trust.clone(), own, current })
    }

    /// The handshake with a host of this name.
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
        format!("{:?} {:?}", self.trust, self.own)
    }

    /// The files that it was made of.
    pub fn files(&self) -> Vec<PathBuf> {
        let own = self.own.iter().flat_map(|(chain, key)| [chain.clone(), key.clone()]);
        match &self.trust {
            Trust::File(roots) => own.chain([roots.clone()]).collect(),
            Trust::Anybody | Trust::System => own.collect(),
        }
    }

    /// Reads the files again. Handshakes to come use what they hold now, and resume nothing that was agreed on before.
    ///
    /// # Errors
    /// As [`Connector::presenting`]; everything stays as it was.
    pub fn reload(&self) -> Result<(), TlsFault> {
        self.current.store(Arc::new(Current::load(&self.trust, self.own.as_ref())?));
        Ok(())
    }
}

impl Current {
    fn load(trust: &Trust, own: Option<&(PathBuf, PathBuf)>) -> Result<Self, TlsFault> {
        let provider = Arc::new(ring::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()?;
        let builder = match trust {
            Trust::Anybody => builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(Unverified { provider })),
            Trust::System => builder.with_platform_verifier()?,
            Trust::File(file) => builder.with_root_certificates(roots(file)?),
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
struct Unverified {
    provider: Arc<CryptoProvider>,
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
