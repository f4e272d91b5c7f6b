//! What each key allows and all together do not.

use std::net::SocketAddr;

use super::reader::Table;
use super::settings::{DownstreamTls, ListenAuth, Settings};

/// Tells of listeners in each other's way, of passwords that would go in the clear, of mail that would come back.
pub(super) fn clashes(settings: &Settings, top: &Table<'_, '_>) {
    let mut taken: Vec<SocketAddr> = Vec::new();
    for (index, listener) in settings.listen.iter().enumerate() {
        if let Some(other) = taken.iter().find(|other| same_place(**other, listener.address)) {
            let why = format!("{} is taken by another listener, {other}", listener.address);
            top.fault_below("listen", index, "address", why);
        }
        taken.push(listener.address);
    }
    for (index, listener) in settings.listen.iter().enumerate() {
        if listener.auth == ListenAuth::Relay {
            let fault = |why: &str| top.fault_below("listen", index, "auth", why);
            match settings.downstream.tls {
                DownstreamTls::Off | DownstreamTls::Opportunistic => fault(
                    "needs downstream.tls = \"required\" or \"verify\": no password in the clear",
                ),
                DownstreamTls::Required | DownstreamTls::Verify => {}
            }
            if settings.downstream.login.is_some() {
                fault("the next hop takes one login a connection, and downstream.username is one");
            }
        }
    }
    if let Some(admin) = settings.admin.listen
        && let Some(other) = taken.iter().find(|other| same_place(**other, admin))
    {
        top.table("admin").fault("listen", format!("{admin} is taken by a listener, {other}"));
    }
    for host in &settings.downstream.hosts {
        let own = taken.iter().find(|own| {
            host.host.parse().is_ok_and(|ip| same_place(**own, SocketAddr::new(ip, host.port)))
        });
        if let Some(own) = own {
            let why = format!("mail to {host} would come back in at {own}");
            top.table("downstream").fault("hosts", why);
        }
    }
}

/// Whether two sockets cannot both be bound. Port 0 is a new port each time.
fn same_place(one: SocketAddr, other: SocketAddr) -> bool {
    let everywhere = one.ip().is_unspecified() || other.ip().is_unspecified();
    one.port() == other.port()
        && one.port() != 0
        && (one.ip() == other.ip() || everywhere && one.is_ipv4() == other.is_ipv4())
}
