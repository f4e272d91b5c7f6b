//! Connections that were redirected to us: where they were going is connected to before the client is greeted.
//!
//! So the client sees the destination's extensions, and a destination that cannot be reached looks like one: the connection is
//! closed without a word, and the MTA goes on to the next mail host as it would without us.

use std::net::SocketAddr;

use tokio::net::TcpStream;

use super::super::Door;
use super::super::downstream::{self, Leg, Order};
use super::super::source::original_destination;

/// What a new connection is.
pub(super) enum Intercepted {
    /// One that was made to us, as routes that are not `original` want it.
    No,
    /// One that was going there, and the connection to there.
    Reached(SocketAddr, Leg),
    /// One that cannot be served.
    Refused,
}

/// Connects to where a redirected connection was going.
pub(super) async fn intercepted(
    door: &Door,
    stream: &TcpStream,
    client: SocketAddr,
) -> Intercepted {
    if !door.outbound.routes.are_original() {
        return Intercepted::No;
    }
    let original = match original_destination(stream) {
        Ok(original) => original,
        // Relayed all the same, it would come back to us.
        Err(error) => return refused(door, client, "not_redirected", &error.to_string()),
    };
    let from = client.ip().to_canonical();
    let order = Order {
        to: None,
        original: Some(original),
        fresh: true,
        from,
        beside_others: false,
        helo: None,
        client: None,
    };
    // In a box: all sessions would have room for it for as long as they last.
    match Box::pin(downstream::open(door, &order)).await {
        Ok(leg) => Intercepted::Reached(original, leg),
        Err(unopened) => refused(door, client, "unreachable", &unopened.reply.to_string()),
    }
}

fn refused(door: &Door, client: SocketAddr, reason: &'static str, error: &str) -> Intercepted {
    door.metrics.session_refused(reason);
    tracing::warn!(event = "connect", result = "refused", client = %client.ip(), reason, error);
    Intercepted::Refused
}
