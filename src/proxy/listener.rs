//! Accepting connections: limits, back-off, drain.

use std::collections::HashMap;
use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio_util::task::TaskTracker;

use super::{Door, DoorSettings, connection};

/// Waited after an error of `accept`: without it a process out of descriptors would spin (tokio #3529).
const BACK_OFF: Duration = Duration::from_millis(50);

/// Sessions of the whole program are numbered, so that their log lines can be told apart.
static SESSIONS: AtomicU64 = AtomicU64::new(1);

/// How many connections each client address has open.
#[derive(Default)]
struct Counts {
    all: usize,
    by_client: HashMap<IpAddr, usize>,
}

/// Takes connections until the door is drained; returns when no further one is taken. Sessions run on the tracker.
pub async fn serve(listener: TcpListener, door: Arc<Door>, sessions: TaskTracker) {
    let counts = Arc::new(Mutex::new(Counts::default()));
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = door.drain.cancelled() => return,
        };
        match accepted {
            Ok((stream, client)) => begin(stream, client, &door, &counts, &sessions),
            // The client changed its mind; nothing is wrong here.
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset
                ) => {}
            Err(error) => {
                tracing::error!(event = "accept", result = "failed", error = %error);
                tokio::time::sleep(BACK_OFF).await;
            }
        }
    }
}

fn begin(
    stream: TcpStream,
    client: SocketAddr,
    door: &Arc<Door>,
    counts: &Arc<Mutex<Counts>>,
    sessions: &TaskTracker,
) {
    let address = client.ip().to_canonical();
    let crowded = match enter(counts, address, door) {
        Ok(crowded) => crowded,
        Err(full) => {
            door.metrics.session_refused(full.name);
            tracing::warn!(event = "connect", result = "refused", client = %address, reason = full.name);
            // One write that fits any socket buffer: nobody is waited for.
            let _ = stream.try_write(full.reply);
            return;
        }
    };
    let timeouts = door.settings.timeouts;
    let timeouts = if crowded { timeouts.when_crowded() } else { timeouts };
    let number = SESSIONS.fetch_add(1, Ordering::Relaxed);
    let place = Place { counts: Arc::clone(counts), address };
    let door = Arc::clone(door);
    sessions.spawn(async move {
        // Given back when the session ends, also by a panic.
        let _place = place;
        connection::run(stream, client, number, door, timeouts).await;
    });
}

/// A limit that was reached.
struct Full {
    name: &'static str,
    reply: &'static [u8],
}

/// Takes a place. Says whether few are left: a fifth or less.
fn enter(counts: &Mutex<Counts>, client: IpAddr, door: &Door) -> Result<bool, Full> {
    let mut counts = counts.lock().unwrap_or_else(PoisonError::into_inner);
    if counts.all >= door.settings.connections {
        let reply = b"421 4.3.2 rcptgate: too many connections\r\n";
        return Err(Full { name: "connections", reply });
    }
    let of_client = counts.by_client.get(&client).copied().unwrap_or(0);
    // One that speaks for others has the connections of all of them (Postfix counts those that may say XCLIENT not at all).
    let exempt = client.is_loopback()
        || DoorSettings::lists(&door.settings.proxies, client)
        || DoorSettings::lists(&door.settings.xclient, client);
    if of_client >= door.settings.connections_per_client && !exempt {
        let reply = b"421 4.7.0 rcptgate: too many connections from your address\r\n";
        return Err(Full { name: "connections_per_client", reply });
    }
    counts.all += 1;
    *counts.by_client.entry(client).or_default() += 1;
    Ok(counts.all.saturating_mul(5) > door.settings.connections.saturating_mul(4))
}

/// A place among the connections.
struct Place {
    counts: Arc<Mutex<Counts>>,
    address: IpAddr,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.all -= 1;
        if let Some(count) = counts.by_client.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                counts.by_client.remove(&self.address);
            }
        }
    }
}
