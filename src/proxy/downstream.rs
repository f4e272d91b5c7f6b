//! Making a connection to the next hop: addresses in order, greeting, EHLO.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};

use super::Door;
use super::route::Host;
use crate::session::opening::{Opened, Opening};
use crate::smtp::extensions::Capabilities;
use crate::smtp::reply::Reply;
use crate::smtp::status::EnhancedStatus;

/// A connection that has been greeted.
pub(super) struct Leg {
    pub(super) stream: TcpStream,
    pub(super) capabilities: Capabilities,
    pub(super) host: Host,
}

/// Most addresses that are tried for one recipient (Postfix `smtp_mx_address_limit`).
const ADDRESSES_MAX: usize = 5;

/// Connects to the first host that takes us.
///
/// # Errors
/// What the client is to be told: always 4yz, since nothing was learnt about any recipient.
pub(super) async fn open(door: &Door) -> Result<Leg, Reply> {
    let deadline = Instant::now() + door.settings.timeouts.opening;
    let mut last = unreachable("no next hop");
    let mut tried = 0;
    for host in door.route.hosts() {
        let addresses =
            match timeout_at(deadline, door.route.resolver().addresses(&host.name)).await {
                Ok(Ok(addresses)) => addresses,
                Ok(Err(fault)) => {
                    failed(door, host, None, &fault.to_string());
                    last = Reply::new(
                        451,
                        EnhancedStatus::new(4, 4, 3),
                        "rcptgate: the next hop's name does not resolve",
                    );
                    continue;
                }
                Err(_) => return Err(unreachable("the next hop took too long")),
            };
        for address in addresses {
            if tried == ADDRESSES_MAX {
                return Err(last);
            }
            tried += 1;
            match timeout_at(deadline, attempt(door, host, address)).await {
                Ok(Ok(leg)) => return Ok(leg),
                Ok(Err(reply)) => last = reply,
                Err(_) => {
                    failed(door, host, Some(address), "timed out");
                    return Err(unreachable("the next hop took too long"));
                }
            }
        }
    }
    Err(last)
}

async fn attempt(door: &Door, host: &Host, address: IpAddr) -> Result<Leg, Reply> {
    let target = SocketAddr::new(address, host.port);
    let connecting = timeout(door.settings.timeouts.connect, TcpStream::connect(target));
    let mut stream = match connecting.await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => {
            failed(door, host, Some(address), &error.to_string());
            return Err(unreachable("the next hop cannot be reached"));
        }
        Err(_) => {
            failed(door, host, Some(address), "connecting timed out");
            return Err(unreachable("the next hop cannot be reached"));
        }
    };
    // Replies and commands are written whole: waiting for more only adds 40 ms steps.
    let _ = stream.set_nodelay(true);
    match converse(&mut stream, &door.settings.hostname).await {
        Ok(capabilities) => {
            door.metrics.connected("ok");
            door.route.saw(host, capabilities);
            Ok(Leg { stream, capabilities, host: host.clone() })
        }
        Err((reply, why)) => {
            failed(door, host, Some(address), &why);
            Err(reply)
        }
    }
}

async fn converse(stream: &mut TcpStream, hostname: &str) -> Result<Capabilities, (Reply, String)> {
    let mut opening = Opening::new(hostname);
    let (mut input, mut output) = (BytesMut::with_capacity(1024), BytesMut::new());
    let lost = |why: String| (unreachable("the next hop hung up"), why);
    loop {
        let read = stream.read_buf(&mut input).await.map_err(|error| lost(error.to_string()))?;
        if read == 0 {
            return Err(lost(format!("closed at {}", opening.stage())));
        }
        match opening.step(&mut input, &mut output) {
            Opened::More => {}
            Opened::Ready(capabilities) => return Ok(capabilities),
            Opened::Failed(failed) => {
                let said = failed
                    .said
                    .as_ref()
                    .map_or_else(|| "protocol violation".to_owned(), ToString::to_string);
                return Err((failed.for_client(), format!("at {}: {said}", failed.stage)));
            }
        }
        stream.write_all_buf(&mut output).await.map_err(|error| lost(error.to_string()))?;
    }
}

/// Says goodbye in the background; nothing depends on the answer.
pub(super) fn quit(mut stream: TcpStream, patience: Duration) {
    tokio::spawn(async move {
        let goodbye = async {
            stream.write_all(b"QUIT\r\n").await?;
            let mut rest = [0; 512];
            while stream.read(&mut rest).await? > 0 {}
            Ok::<(), std::io::Error>(())
        };
        let _ = timeout(patience, goodbye).await;
    });
}

fn unreachable(text: &'static str) -> Reply {
    Reply::with_text(451, EnhancedStatus::new(4, 4, 1), format!("rcptgate: {text}").into())
}

fn failed(door: &Door, host: &Host, address: Option<IpAddr>, why: &str) {
    door.metrics.connected("failed");
    let address = address.map(|address| address.to_string()).unwrap_or_default();
    tracing::warn!(event = "connect", result = "failed", downstream = %host, address, error = why);
}
