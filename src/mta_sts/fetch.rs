//! One fetch of a policy: `https://mta-sts.DOMAIN/.well-known/mta-sts.txt` (RFC 8461 §3.3).

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use http_body_util::{BodyExt as _, Empty, LengthLimitError, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::header::{ACCEPT, CONNECTION, CONTENT_TYPE, HOST, USER_AGENT};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::{Settings, Surroundings};
use crate::routing::sts::{Policy, PolicyFault, TEXT_MAX};
use crate::tls::Connector;

/// Before a domain it names the host of its policy.
pub(super) const PREFIX: &str = "mta-sts.";
/// Addresses of one host that are tried.
const ADDRESSES_MAX: usize = 4;
/// Longest head of a response, in octets.
const HEAD_MAX: usize = 16 * 1024;

/// Why there is no policy to be had. But for the last one, the domain's fault, or that of the way to it.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// The policy's host has no address.
    #[error("the policy's host has no address")]
    NoAddress,
    /// It has none that may be connected to.
    #[error("the policy's host is at {0}, which is refused")]
    Refused(IpAddr),
    /// No connection, or the host does not prove its name.
    #[error("{0}: {1}")]
    NoConnection(SocketAddr, io::Error),
    /// No HTTP, or less of it than announced.
    #[error("HTTP: {0}")]
    Http(String),
    /// Any status but 200; redirects are not followed.
    #[error("HTTP status {0}")]
    Status(u16),
    /// Something else than text/plain.
    #[error("the content is not text/plain")]
    ContentType,
    /// Text that is no policy.
    #[error("policy: {0}")]
    Policy(#[from] PolicyFault),
    /// Not within the time there is.
    #[error("not within the time there is")]
    TooSlow,
    /// The policy is in force, but a restart will lose it. A fault of our disk.
    #[error("the policy cannot be written down: {0}")]
    NotKept(io::Error),
}

impl Fault {
    /// Its name among the figures.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::NoAddress => "no_address",
            Self::Refused(_) => "refused_address",
            Self::NoConnection(..) => "no_connection",
            Self::Http(_) => "http",
            Self::Status(_) => "status",
            Self::ContentType => "content_type",
            Self::Policy(_) => "policy",
            Self::TooSlow => "too_slow",
            Self::NotKept(_) => "not_kept",
        }
    }
}

/// Fetches the policy of a domain. The caller bounds the time.
pub(super) async fn fetch<S: Surroundings>(
    domain: &str,
    settings: &Settings,
    connector: &Connector,
    surroundings: &S,
) -> Result<Policy, Fault> {
    let host = format!("{PREFIX}{domain}");
    let addresses = surroundings.addresses(&host).await;
    let first = addresses.first().ok_or(Fault::NoAddress)?;
    let refused = Fault::Refused(*first);
    let open = addresses.into_iter().filter(|address| !surroundings.refuses(*address));
    let open: Vec<_> = open.take(ADDRESSES_MAX).collect();
    // One that hangs leaves some time for the others, and for the answer.
    let share = settings.deadline / u32::try_from(open.len() + 1).unwrap_or(1);
    let mut outcome = Err(refused);
    for address in open {
        let address = SocketAddr::new(address, settings.port);
        outcome = connect(address, &host, connector, share).await;
        if outcome.is_ok() {
            break;
        }
    }
    let authority = if settings.port == 443 { host } else { format!("{host}:{}", settings.port) };
    let text = ask(outcome?, &authority).await?;
    Ok(Policy::parse(&text)?)
}

async fn connect(
    address: SocketAddr,
    host: &str,
    connector: &Connector,
    share: Duration,
) -> Result<impl AsyncRead + AsyncWrite + Send + Unpin + 'static, Fault> {
    let connect = async { connector.connect(host, TcpStream::connect(address).await?).await };
    let outcome = timeout(share, connect).await.unwrap_or_else(|late| Err(late.into()));
    outcome.map_err(|error| Fault::NoConnection(address, error))
}

async fn ask(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    authority: &str,
) -> Result<Bytes, Fault> {
    let mut builder = http1::Builder::new();
    builder.max_buf_size(HEAD_MAX);
    let (mut sender, connection) = builder.handshake(TokioIo::new(stream)).await.map_err(http)?;
    // Ends with this function, whichever way.
    let mut tasks = JoinSet::new();
    tasks.spawn(connection);
    let request = Request::get("/.well-known/mta-sts.txt")
        .header(HOST, authority)
        .header(USER_AGENT, concat!("rcptgate/", env!("CARGO_PKG_VERSION")))
        .header(ACCEPT, "text/plain")
        .header(CONNECTION, "close")
        .body(Empty::<Bytes>::new());
    let response = sender.send_request(request.map_err(http)?).await.map_err(http)?;
    read(response).await
}

fn http(error: impl ToString) -> Fault {
    Fault::Http(error.to_string())
}

async fn read(response: Response<Incoming>) -> Result<Bytes, Fault> {
    if response.status() != StatusCode::OK {
        return Err(Fault::Status(response.status().as_u16()));
    }
    let kind = response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let kind = kind.and_then(|kind| kind.split(';').next()).unwrap_or_default();
    // Who may put a picture on that host cannot make a policy (RFC 8461 §3.3).
    if !kind.trim().eq_ignore_ascii_case("text/plain") {
        return Err(Fault::ContentType);
    }
    let body = Limited::new(response.into_body(), TEXT_MAX).collect().await;
    body.map(|body| body.to_bytes()).map_err(|error| {
        if error.is::<LengthLimitError>() { PolicyFault::TooLong.into() } else { http(error) }
    })
}
