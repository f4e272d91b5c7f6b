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

/// That an address cannot be reached from one source says nothing of others: with `source = "client"` a client of IPv6 would take
/// all hosts of IPv4 away from everybody.
#[tokio::test]
async fn what_cannot_be_reached_from_one_source_is_tried_from_another() {
    let hop = Downstream::answering(&[]).await;
    let hosts = [hop.address, nobody().await];
    let source = Source::Address("::1".parse().expect("an address"));
    let mut routes = vec![to("a.test", &hosts, Protection::Off)];
    routes.push(RouteSettings { source, ..to("b.test", &hosts, Protection::Off) });
    let lab = Lab::with(hop, Wish { routes, ..Wish::default() }).await;
    let mut client = lab.client().await;
    client.ask("MAIL FROM:<s@x.test>", "250").await;
    client.ask("RCPT TO:<u@b.test>", "451 4.4.1").await;
    client.ask("RCPT TO:<u@a.test>", "250").await;
}

async fn greeted(lab: &Lab, hello: &str, clock: &Clock) -> Peer {
    let mut client = Peer::connect(lab.door).await;
    assert!(client.reply(clock).await.starts_with("220"));
    client.say(format!("{hello} c.test\r\n").as_bytes(), clock).await;
    assert!(client.reply(clock).await.starts_with("250"));
    client
}

async fn ask(client: &mut Peer, line: &str, start: &str, clock: &Clock) {
    client.say(format!("{line}\r\n").as_bytes(), clock).await;
    let reply = client.reply(clock).await;
    assert!(reply.starts_with(start), "{line}: expected {start:?}, got {reply:?}");
}

/// Whoever names a slow host among twenty leaves it no time: that it did not answer is then no reason to leave it alone.
#[test]
fn a_host_that_was_given_no_time_is_not_taken_for_silent() {
    live::run(async |clock| {
        let (mx, address) = listener().await;
        let mut crowd = vec![address];
        for _ in 0..19 {
            crowd.push(nobody().await);
        }
        let hosts = [address, nobody().await];
        let routes =
            vec![to("evil.test", &crowd, Protection::Off), to("a.test", &hosts, Protection::Off)];
        let lab = Lab::with(Downstream::at(address), Wish { routes, ..Wish::default() }).await;
        let mut client = greeted(&lab, "EHLO", clock).await;
        ask(&mut client, "MAIL FROM:<s@x.test>", "250", clock).await;
        client.say(b"RCPT TO:<u@evil.test>\r\n", clock).await;
        let tarpit = live::accept(&mx, clock).await.expect("a connection");
        clock.hurry();
        assert!(client.reply(clock).await.starts_with("451"));
        drop(tarpit);
        client.say(b"RCPT TO:<u@a.test>\r\n", clock).await;
        let mut hop = live::accept_now(&mx, clock).await.expect("it is tried");
        clock.pass(Duration::from_secs(20)).await;
        hop.say(b"220 mx\r\n", clock).await;
        assert_eq!(hop.line(clock).await.as_deref(), Some(&b"EHLO gate.test"[..]));
    });
}

/// RFC 5321 §4.5.3.2.3: a client waits five minutes for the reply to RCPT, of which a slow greeting has taken most.
#[test]
fn the_opening_and_the_reply_share_the_time_that_a_client_waits() {
    live::run(async |clock| {
        let (mx, address) = listener().await;
        let lab = Lab::with(Downstream::at(address), Wish::default()).await;
        let mut client = greeted(&lab, "EHLO", clock).await;
        ask(&mut client, "MAIL FROM:<s@x.test>", "250", clock).await;
        client.say(b"RCPT TO:<u@a.test>\r\n", clock).await;
        let mut hop = live::accept(&mx, clock).await.expect("a connection");
        clock.pass(Duration::from_secs(200)).await;
        hop.say(b"220 mx\r\n", clock).await;
        assert_eq!(hop.line(clock).await.as_deref(), Some(&b"EHLO gate.test"[..]));
        hop.say(b"250-mx\r\n250 PIPELINING\r\n", clock).await;
        assert_eq!(hop.line(clock).await.as_deref(), Some(&b"MAIL FROM:<s@x.test>"[..]));
        clock.pass(Duration::from_secs(50)).await;
        hop.say(b"250 ok\r\n", clock).await;
        clock.pass(Duration::from_secs(40)).await;
        client.look(clock).await;
        let said = String::from_utf8_lossy(&client.input);
        assert!(said.starts_with("451 4.4.2 rcptgate: the next hop took too long"), "{said:?}");
    });
}

/// Two messages that each hold the one place that the other needs: neither is to wait until the time for an opening is over.
#[test]
fn messages_that_hold_each_others_places_go_on_soon() {
    live::run(async |clock| {
        let (at_a, a) = listener().await;
        let (at_b, b) = listener().await;
        let mut routes = by_domain(Protocol::Smtp, &[("a.test", a), ("b.test", b)]);
        routes.iter_mut().for_each(|route| route.concurrency = Some(1));
        let wish = Wish { protocol: Protocol::Lmtp, routes, ..Wish::default() };
        let lab = Lab::with(Downstream::at(a), wish).await;
        let mut clients = Vec::new();
        let mut hops = Vec::new();
        for (listener, recipient) in [(&at_a, "u@a.test"), (&at_b, "u@b.test")] {
            let mut client = greeted(&lab, "LHLO", clock).await;
            ask(&mut client, "MAIL FROM:<s@x.test>", "250", clock).await;
            client.say(format!("RCPT TO:<{recipient}>\r\n").as_bytes(), clock).await;
            let mut hop = live::accept(listener, clock).await.expect("a connection");
            for (said, heard) in [("220 mx", "EHLO gate.test"), ("250 mx", "MAIL FROM:<s@x.test>")]
            {
                hop.say(format!("{said}\r\n").as_bytes(), clock).await;
                assert_eq!(hop.line(clock).await.as_deref(), Some(heard.as_bytes()));
            }
            hop.say(b"250 ok\r\n", clock).await;
            assert!(hop.line(clock).await.is_some_and(|line| line.starts_with(b"RCPT")));
            hop.say(b"250 ok\r\n", clock).await;
            assert!(client.reply(clock).await.starts_with("250"));
            clients.push(client);
            hops.push(hop);
        }
        for (client, recipient) in clients.iter_mut().zip(["v@b.test", "v@a.test"]) {
            client.say(format!("RCPT TO:<{recipient}>\r\n").as_bytes(), clock).await;
        }
        clock.pass(Duration::from_secs(30)).await;
        for client in &mut clients {
            client.look(clock).await;
            let said = String::from_utf8_lossy(&client.input);
            assert!(said.starts_with("451 4.3.2 rcptgate: as many connections"), "{said:?}");
        }
    });
}

/// A connection that was there before the client was greeted serves all of its mail: routes that change within a transaction do
/// not begin it a second time.
#[test]
fn a_transaction_is_begun_once_on_a_connection_for_all_mail() {
    let mut session = Session::new(crate::rig::settings());
    session.begins_with(Capabilities { pipelining: true, ..Capabilities::default() }.into());
    let (mut out, mut route) = (Outputs::default(), 0);
    session.step(Input::Accepted, &mut out);
    for recipient in ["1@a.test", "2@a.test"] {
        route += 1;
        let mail = if route == 1 { "EHLO c.test\r\nMAIL FROM:<s@x.test>\r\n" } else { "" };
        let mut group = BytesMut::from(format!("{mail}RCPT TO:<{recipient}>\r\n").as_bytes());
        session.step(Input::Client(&mut group), &mut out);
        assert!(matches!(out.actions.pop_back(), Some(Action::Ask(..))));
        let route = RouteId(route);
        session.step(Input::Forward(Destination { route, domain: None }), &mut out);
        let said = String::from_utf8(out.to_downstream.split().to_vec()).expect("text");
        let mail = if mail.is_empty() { "" } else { "MAIL FROM:<s@x.test>\r\n" };
        assert_eq!(said, format!("{mail}RCPT TO:<{recipient}>\r\n"));
        let replies = if mail.is_empty() { "450 later\r\n" } else { "250 ok\r\n450 later\r\n" };
        session.step(Input::Downstream(&mut BytesMut::from(replies), Sent::All), &mut out);
        out.actions.clear();
    }
}
