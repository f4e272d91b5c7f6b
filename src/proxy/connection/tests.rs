//! How large a session is in memory.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpStream;

use super::super::{Door, Timeouts};
use super::{Connection, run};

/// What a task has room for from its beginning to its end.
const fn room<F>(_: fn(TcpStream, SocketAddr, u64, Arc<Door>, Timeouts) -> F) -> usize {
    size_of::<F>()
}

/// A thousand idle clients are no more than a few MiB: what a session does once, such as connecting, a handshake, leaving, has no
/// room in it for the rest of the time.
#[test]
fn an_idle_session_is_small() {
    assert!(room(run) <= 3 * 1024, "{}", room(run));
    assert!(size_of::<Connection>() <= 3 * 1024, "{}", size_of::<Connection>());
}
