//! TLS on either leg: the only user of rustls, beside the streams that carry it.
//!
//! One provider, named everywhere, since two linked providers make the process-wide default panic.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, InvalidDnsNameError, PrivateKeyDer, ServerName, UnixTime};
use rustls::{
    ClientConfig, DigitallySignedStruct, Error, RootCertStore, ServerConfig, SignatureScheme,
};
use rustls_platform_verifier::BuilderVerifierExt as _;
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, TlsConnector, client, server};

/// A certificate or a key that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsFault {
    /// The file cannot be read, or is no PEM.
    #[error("{file}: {why}", file = .file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// Certificate and key do not fit, or rustls will not have them.
    #[error("TLS: {0}")]
    Rustls(#[from] Error),
}

impl TlsFault {
    fn of(file: &Path, why: impl fmt::Display) -> Self {
        Self::File { file: file.to_owned(), why: why.to_string() }
    }
}

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

/// The client's side of TLS, towards a next hop.
#[derive(Clone)]
pub struct Connector {
    connector: TlsConnector,
}

impl Connector {
    /// A connector that trusts as it is told.
    ///
    /// # Errors
    /// The certificates to trust cannot be read.
    pub fn new(trust: &Trust) -> Result<Self, TlsFault> {
        let provider = Arc::new(ring::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()?;
        let config = match trust {
            Trust::Anybody => builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(Unverified { provider }))
                .with_no_client_auth(),
            Trust::System => builder.with_platform_verifier()?.with_no_client_auth(),
            Trust::File(file) => builder.with_root_certificates(roots(file)?).with_no_client_auth(),
        };
        Ok(Self { connector: TlsConnector::from(Arc::new(config)) })
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
        self.connector.connect(name, stream).await
    }
}

fn roots(file: &Path) -> Result<RootCertStore, TlsFault> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(file)? {
        roots.add(certificate).map_err(|error| TlsFault::of(file, error))?;
    }
    Ok(roots)
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, TlsFault> {
    let pem = fs::read(file).map_err(|error| TlsFault::of(file, error))?;
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let all = all.map_err(|error| TlsFault::of(file, error))?;
    if all.is_empty() { Err(TlsFault::of(file, "no certificate in it")) } else { Ok(all) }
}

/// The server's side of TLS, towards clients.
#[derive(Clone)]
pub struct Acceptor {
    acceptor: TlsAcceptor,
}

impl Acceptor {
    /// From a chain and its key, both PEM.
    ///
    /// # Errors
    /// Which file is wrong, and how; also when the key does not fit the certificate.
    pub fn load(chain: &Path, key: &Path) -> Result<Self, TlsFault> {
        let certificates = certificates(chain)?;
        let pem = fs::read(key).map_err(|error| TlsFault::of(key, error))?;
        let key = PrivateKeyDer::from_pem_slice(&pem).map_err(|error| TlsFault::of(key, error))?;
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(certificates, key)?;
        Ok(Self { acceptor: TlsAcceptor::from(Arc::new(config)) })
    }

    /// The handshake with a client.
    ///
    /// # Errors
    /// The client speaks no TLS that we do.
    pub async fn accept(&self, stream: TcpStream) -> std::io::Result<server::TlsStream<TcpStream>> {
        self.acceptor.accept(stream).await
    }
}

/// A certificate in force, which is read again when its files change.
#[derive(Clone)]
pub struct Certificate {
    chain: PathBuf,
    key: PathBuf,
    current: Arc<ArcSwap<Acceptor>>,
}

impl Certificate {
    /// Reads the files for the first time.
    ///
    /// # Errors
    /// As [`Acceptor::load`].
    pub fn open(chain: &Path, key: &Path) -> Result<Self, TlsFault> {
        let current = Arc::new(ArcSwap::from_pointee(Acceptor::load(chain, key)?));
        Ok(Self { chain: chain.to_owned(), key: key.to_owned(), current })
    }

    /// What new connections use; those that are up keep theirs.
    pub fn current(&self) -> Arc<Acceptor> {
        self.current.load_full()
    }

    /// The files.
    pub fn files(&self) -> [PathBuf; 2] {
        [self.chain.clone(), self.key.clone()]
    }

    /// Reads the files again.
    ///
    /// # Errors
    /// As [`Acceptor::load`]; the old certificate stays in force.
    pub fn reload(&self) -> Result<(), TlsFault> {
        self.current.store(Arc::new(Acceptor::load(&self.chain, &self.key)?));
        Ok(())
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate").field("chain", &self.chain).finish_non_exhaustive()
    }
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
