//! What each key allows and all together do not.

use std::net::SocketAddr;

use crate::session::TellClient;

use super::reader::Table;
use super::settings::{DnssecChoice, ListenAuth, Settings};
use super::ways::{RouteKind, SourceSettings};

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
            if !settings.downstream.way.tls.is_certain() {
                fault(
                    "needs downstream.tls = \"required\" or \"verify\": no password in the clear",
                );
            }
            let one_host = matches!(settings.downstream.way.route, RouteKind::Fixed(_));
            if !one_host || !settings.routes.is_empty() {
                fault(
                    "needs route = \"fixed\" and no [[route]]: one next hop that knows the users",
                );
            }
            if settings.downstream.way.login.is_some() {
                fault("the next hop takes one login a connection, and downstream.username is one");
            }
        }
    }
    if let Some(admin) = settings.admin.listen
        && let Some(other) = taken.iter().find(|other| same_place(**other, admin))
    {
        top.table("admin").fault("listen", format!("{admin} is taken by a listener, {other}"));
    }
    routes(settings, top);
    let ways = settings.routes.iter().chain([&settings.downstream.way]);
    let hosts = ways.flat_map(|way| match &way.route {
        RouteKind::Fixed(hosts) => hosts.as_slice(),
        RouteKind::Mx(_) | RouteKind::Original => &[],
    });
    for host in hosts {
        let own = taken.iter().find(|own| {
            host.host.parse().is_ok_and(|ip| same_place(**own, SocketAddr::new(ip, host.port)))
        });
        if let Some(own) = own {
            let why = format!("mail to {host} would come back in at {own}");
            top.table("downstream").fault("hosts", why);
        }
    }
}

/// What of the routes does not go with the rest.
fn routes(settings: &Settings, top: &Table<'_, '_>) {
    let way = &settings.downstream.way;
    if way.route == RouteKind::Original && !settings.routes.is_empty() {
        let why = "with downstream.route = \"original\" mail goes where it was going, whatever its domain";
        top.fault_below("route", 0, "domains", why);
    }
    let ways = settings.routes.iter().enumerate().map(|(index, way)| (Some(index), way));
    for (index, way) in ways.chain([(None, way)]) {
        let fault = |key: &str, why: &str| match index {
            Some(index) => top.fault_below("route", index, key, why),
            None => top.table("downstream").fault(key, why),
        };
        if way.dane == Some(true) && settings.dns.dnssec == Some(DnssecChoice::Off) {
            fault("dane", "needs dns.dnssec = \"trust-ad\" and a name server that validates");
        }
        if way.source == SourceSettings::Client
            && settings.downstream.tell_client != TellClient::Off
        {
            fault(
                "source",
                "the client's address says who it is; tell_client is for other sources",
            );
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
