//! TLS on either leg: the only user of rustls, beside the streams that carry it.
//!
//! One provider, named everywhere, since two linked providers make the process-wide default panic.

mod connector;
mod dane;
mod x509;

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{Error, ServerConfig};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, server};

pub use connector::{Connector, Trust};
use x509::not_after;

use crate::time::Timestamp;

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

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, TlsFault> {
    let pem = fs::read(file).map_err(|error| TlsFault::of(file, error))?;
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let all = all.map_err(|error| TlsFault::of(file, error))?;
    if all.is_empty() { Err(TlsFault::of(file, "no certificate in it")) } else { Ok(all) }
}

fn private_key(file: &Path) -> Result<PrivateKeyDer<'static>, TlsFault> {
    let pem = fs::read(file).map_err(|error| TlsFault::of(file, error))?;
    PrivateKeyDer::from_pem_slice(&pem).map_err(|error| TlsFault::of(file, error))
}

/// The server's side of TLS, towards clients.
#[derive(Clone)]
pub struct Acceptor {
    acceptor: TlsAcceptor,
    not_after: Option<Timestamp>,
}

impl Acceptor {
    /// From a chain and its key, both PEM.
    ///
    /// # Errors
    /// Which file is wrong, and how; also when the key does not fit the certificate.
    pub fn load(chain: &Path, key: &Path) -> Result<Self, TlsFault> {
        let certificates = certificates(chain)?;
        let key = private_key(key)?;
        let not_after = certificates.first().and_then(not_after);
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(certificates, key)?;
        Ok(Self { acceptor: TlsAcceptor::from(Arc::new(config)), not_after })
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

    /// The chain's file, and when the certificate in force ends, as far as it says so.
    pub fn expiry(&self) -> (&Path, Option<Timestamp>) {
        (&self.chain, self.current.load().not_after)
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
