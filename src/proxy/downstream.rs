//! Making a connection to the next hop: addresses in order, greeting, EHLO, TLS.

use std::future::poll_fn;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncRead as _, AsyncReadExt, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};

use super::Door;
use super::report::untold;
use super::route::Host;
use super::stream::Stream;
use crate::bounce::Stage;
use crate::credentials::Account;
use crate::session::TellClient;
use crate::session::opening::{Failed, Introduction, Opened, Opening, Starttls};
use crate::smtp::extensions::Capabilities;
use crate::smtp::identity::Identity;
use crate::smtp::reply::Reply;
use crate::smtp::status::EnhancedStatus;

/// A connection that has been greeted.
pub(super) struct Leg {
    pub(super) stream: Stream,
    pub(super) capabilities: Capabilities,
    pub(super) next_hop: NextHop,
}

/// Who answered, for the log and for evidence.
pub(super) struct NextHop {
    /// Its name and port, written once for all that is said of it.
    pub(super) name: String,
    /// What protects the way there: `none`, or the policy that TLS was made under.
    pub(super) tls: &'static str,
    /// Whether its certificate proved who it is: `verified`, `untrusted` when nobody asked for a proof, empty without TLS.
    pub(super) trust: &'static str,
}

/// Most addresses that are tried for one recipient (Postfix `smtp_mx_address_limit`).
const ADDRESSES_MAX: usize = 5;

/// Connects to the first host that takes us.
///
/// # Errors
/// What the client is to be told: always 4yz, since nothing was learnt about any recipient.
pub(super) async fn open(door: &Door, client: Option<Box<Identity>>) -> Result<Leg, Reply> {
    let deadline = Instant::now() + door.settings.timeouts.opening;
    let mut last = unreachable("rcptgate: no next hop");
    let mut tried = 0;
    let hosts = door.route.hosts();
    for (index, host) in hosts.iter().enumerate() {
        let share = share(deadline, hosts.len() - index);
        let addresses = match timeout_at(share, door.route.resolver().addresses(&host.name)).await {
            Ok(Ok(addresses)) => addresses,
            Ok(Err(fault)) => {
                failed(door, host, None, &fault.to_string());
                last = UNRESOLVED;
                continue;
            }
            Err(_) => {
                failed(door, host, None, "resolving timed out");
                last = TOO_LONG;
                continue;
            }
        };
        let count = addresses.len().min(ADDRESSES_MAX - tried);
        for (index, address) in addresses.into_iter().take(count).enumerate() {
            tried += 1;
            let share = self::share(share, count - index);
            match timeout_at(share, attempt(door, host, address, &client)).await {
                Ok(Ok(leg)) => return Ok(leg),
                Ok(Err(reply)) => last = reply,
                Err(_) => {
                    failed(door, host, Some(address), "timed out");
                    last = TOO_LONG;
                }
            }
        }
    }
    Err(last)
}

/// When the first of so many attempts must be over, so that one that hangs leaves time for the others.
fn share(deadline: Instant, attempts: usize) -> Instant {
    let now = Instant::now();
    let attempts = u32::try_from(attempts.max(1)).unwrap_or(u32::MAX);
    now + deadline.saturating_duration_since(now) / attempts
}

/// One address. Where TLS is wanted but not insisted on, a handshake that fails is followed by a second connection in the
/// clear, since the first cannot be trusted to be in step.
async fn attempt(
    door: &Door,
    host: &Host,
    address: IpAddr,
    client: &Option<Box<Identity>>,
) -> Result<Leg, Reply> {
    let starttls = door.route.tls().starttls();
    match connect(door, host, address, starttls, client).await {
        Err(Trouble::Handshake(why)) if starttls == Starttls::Opportunistic => {
            failed(
                door,
                host,
                Some(address),
                &format!("TLS handshake, going on in the clear: {why}"),
            );
            connect(door, host, address, Starttls::Off, client).await
        }
        result => result,
    }
    .map_err(|trouble| {
        let (reply, why) = match trouble {
            Trouble::Unreachable(why) => {
                (unreachable("rcptgate: the next hop cannot be reached"), why)
            }
            Trouble::Lost(why) => (unreachable("rcptgate: the next hop hung up"), why),
            Trouble::Refused(fault) => {
                let said = fault.said.as_ref().map(ToString::to_string);
                let nothing = match fault.stage == Stage::Auth {
                    true => "no AUTH PLAIN or LOGIN within TLS, or not as it should be",
                    false => "protocol violation",
                };
                let said = said.unwrap_or_else(|| nothing.to_owned());
                (fault.for_client(), format!("at {}: {said}", fault.stage))
            }
            Trouble::Handshake(why) => (NO_HANDSHAKE, format!("TLS handshake: {why}")),
        };
        failed(door, host, Some(address), &why);
        reply
    })
}

const UNRESOLVED: Reply =
    Reply::new(451, EnhancedStatus::new(4, 4, 3), "rcptgate: the next hop's name does not resolve");
const TOO_LONG: Reply = unreachable("rcptgate: the next hop took too long");
const NO_HANDSHAKE: Reply =
    Reply::new(451, EnhancedStatus::new(4, 7, 5), "rcptgate: no TLS handshake with the next hop");

/// Why an attempt failed.
enum Trouble {
    Unreachable(String),
    Lost(String),
    Refused(Failed),
    Handshake(String),
}

async fn connect(
    door: &Door,
    host: &Host,
    address: IpAddr,
    starttls: Starttls,
    client: &Option<Box<Identity>>,
) -> Result<Leg, Trouble> {
    let target = SocketAddr::new(address, host.port);
    let stream = match timeout(door.settings.timeouts.connect, TcpStream::connect(target)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return Err(Trouble::Unreachable(error.to_string())),
        Err(_) => return Err(Trouble::Unreachable("connecting timed out".to_owned())),
    };
    // Replies and commands are written whole: waiting for more only adds 40 ms steps.
    let _ = stream.set_nodelay(true);
    let hostname = &door.settings.hostname;
    let mut stream = Stream::Clear(stream);
    let mut output = BytesMut::new();
    let login = || door.route.account().map(Account::login);
    let protocol = door.route.protocol();
    let mut opening = Opening::new(hostname, starttls)
        .speaking(protocol)
        .introducing(client.clone())
        .logging_in(login());
    let first = converse(&mut stream, &mut opening, &mut output).await?;
    let (mut capabilities, tls, trust) = match first {
        Some(capabilities) => (capabilities, "none", ""),
        None => {
            stream = handshake(door, host, stream).await?;
            opening = Opening::within_tls(hostname, protocol, &mut output)
                .introducing(client.clone())
                .logging_in(login());
            let within = converse(&mut stream, &mut opening, &mut output).await?;
            let protection = door.route.tls();
            (within.unwrap_or_default(), protection.name(), protection.trust())
        }
    };
    // What the server promises is worth something only when it has proved who it is (RFC 8689 §4.2.1).
    capabilities.require_tls &= tls != "none" && door.route.tls().proves_the_name();
    door.metrics.connected("ok");
    door.route.saw(host, capabilities);
    let next_hop = NextHop { name: host.to_string(), tls, trust };
    match opening.introduction() {
        Introduction::Refused(reply) => untold(door, &next_hop.name, Some(reply)),
        Introduction::NotOffered => untold(door, &next_hop.name, None),
        Introduction::None | Introduction::Due(_) | Introduction::Done => {
            let wanted = door.settings.tell_client == TellClient::Xforward;
            if wanted && capabilities.xforward.is_empty() {
                untold(door, &next_hop.name, None);
            }
        }
    }
    Ok(Leg { stream, capabilities, next_hop })
}

async fn handshake(door: &Door, host: &Host, stream: Stream) -> Result<Stream, Trouble> {
    let fault = |why: &dyn std::fmt::Display| Trouble::Handshake(why.to_string());
    let (Stream::Clear(stream), Some(connector)) = (stream, door.route.tls().connector()) else {
        return Err(fault(&"not configured"));
    };
    match timeout(door.settings.timeouts.connect, connector.connect(&host.name, stream)).await {
        Ok(Ok(stream)) => silent(Stream::Tls(Box::new(stream.into()))).await,
        Ok(Err(error)) => Err(fault(&error)),
        Err(_) => Err(fault(&"timed out")),
    }
}

/// A server that speaks within TLS before it is asked is left: its words may have been somebody else's, put in front of the
/// handshake (CVE-2009-3555), and would be taken for the reply to our EHLO.
async fn silent(mut stream: Stream) -> Result<Stream, Trouble> {
    let mut byte = [0; 1];
    let spoke = poll_fn(|context| {
        let mut buffer = ReadBuf::new(&mut byte);
        let read = Pin::new(&mut stream).poll_read(context, &mut buffer);
        Poll::Ready(matches!(read, Poll::Ready(Ok(()))) && !buffer.filled().is_empty())
    });
    if spoke.await {
        return Err(Trouble::Refused(Failed { stage: Stage::Ehlo, said: None }));
    }
    Ok(stream)
}

/// Goes through an opening; `None` when the server is ready for the handshake.
async fn converse(
    stream: &mut Stream,
    opening: &mut Opening,
    output: &mut BytesMut,
) -> Result<Option<Capabilities>, Trouble> {
    let mut input = BytesMut::with_capacity(1024);
    let lost = |error: std::io::Error| Trouble::Lost(error.to_string());
    loop {
        stream.write_all_buf(output).await.map_err(lost)?;
        stream.flush().await.map_err(lost)?;
        if stream.read_buf(&mut input).await.map_err(lost)? == 0 {
            return Err(Trouble::Lost(format!("closed at {}", opening.stage())));
        }
        match opening.step(&mut input, output) {
            Opened::More => {}
            Opened::Handshake => return Ok(None),
            Opened::Ready(capabilities) => return Ok(Some(capabilities)),
            Opened::Failed(failed) => return Err(Trouble::Refused(failed)),
        }
    }
}

/// Says goodbye in the background; nothing depends on the answer.
pub(super) fn quit(mut stream: Stream, patience: Duration) {
    tokio::spawn(async move {
        let goodbye = async {
            stream.write_all(b"QUIT\r\n").await?;
            stream.flush().await?;
            let mut rest = [0; 512];
            while stream.read(&mut rest).await? > 0 {}
            Ok::<(), std::io::Error>(())
        };
        let _ = timeout(patience, goodbye).await;
    });
}

const fn unreachable(text: &'static str) -> Reply {
    Reply::new(451, EnhancedStatus::new(4, 4, 1), text)
}

fn failed(door: &Door, host: &Host, address: Option<IpAddr>, why: &str) {
    door.metrics.connected("failed");
    let address = address.map(|address| address.to_string()).unwrap_or_default();
    tracing::warn!(event = "connect", result = "failed", downstream = %host, address, error = why);
}
