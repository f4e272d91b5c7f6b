//! What hostile or broken peers can do to others by the way: to those who share a next hop, a place or a session with them.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::BytesMut;
use rcptgate::proxy::PoolLimits;
use rcptgate::proxy::route::{Protection, RouteSettings, at};
use rcptgate::proxy::source::Source;
use rcptgate::routing::{Destination, RouteId};
use rcptgate::session::{Action, Input, Outputs, Protocol, Sent, Session};
use rcptgate::smtp::extensions::Capabilities;
use rcptgate::tls::{Connector, Trust};
use tokio::net::TcpListener;

use crate::harness::{Downstream, Lab, Wish, by_domain};
use crate::live::{self, Clock, Peer};
use crate::tls::{Pair, server};

async fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    (listener, address)
}

/// An address where nobody listens.
async fn nobody() -> SocketAddr {
    listener().await.1
}

fn to(domain: &'static str, hosts: &[SocketAddr], protection: Protection) -> RouteSettings {
    RouteSettings {
        domains: [domain].into_iter().collect(),
        ..RouteSettings::fixed(hosts.iter().copied().map(at).collect(), protection)
    }
}

/// A connection that was proved by one authority is kept for those who believe in it, not for a route that believes in another.
#[tokio::test]
async fn a_kept_connection_proves_nothing_to_a_route_with_another_authority() {
    let (pair, other) = (Pair::new(), Pair::new());
    let hop = Downstream::with_starttls(server(pair.chain(), pair.key()).into()).await;
    let by = |pair: &Pair| {
        Protection::Verify(Connector::new(&Trust::File(pair.chain())).expect("a connector"))
    };
    let routes =
        vec![to("a.test", &[hop.address], by(&pair)), to("b.test", &[hop.address], by(&other))];
    let wish = Wish { routes, pool: PoolLimits::default(), ..Wish::default() };
    let lab = Lab::with(hop, wish).await;
    for (recipient, reply) in
        [("u@a.test", "250"), ("v@a.test", "250"), ("u@b.test", "451 4.7.5"), ("w@a.test", "250")]
    {
        let mut client = lab.client().await;
        client.ask("MAIL FROM:<s@x.test>", "250").await;
        client.ask(&format!("RCPT TO:<{recipient}>"), reply).await;
        client.ask("RSET", "250").await;
        client.ask("QUIT", "221").await;
    }
    let heard = lab.downstream.heard();
    assert!(!heard.iter().any(|line| line.contains("u@b.test")), "{heard:?}");
}
