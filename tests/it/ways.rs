//! Several ways out: which recipient takes which, what each is set to, and what becomes of them when others are put in force.

use std::time::Duration;

use rcptgate::credentials::Account;
use rcptgate::proxy::route::{Protection, RouteSettings, at};
use rcptgate::proxy::source::Source;
use rcptgate::proxy::{PoolLimits, Timeouts};
use rcptgate::session::Protocol;
use rcptgate::tls::{Connector, Trust};
use tokio::net::TcpListener;

use crate::harness::{Client, Downstream, Lab, Wish};
use crate::live::{self, Clock, Peer};
use crate::tls::Pair;

const TAKEN: &str = "250 2.0.0 ok queued as SINK1";

/// These domains to there.
fn way(domains: &[&str], to: &Downstream) -> RouteSettings {
    RouteSettings {
        text: format!("{domains:?} {}", to.address),
        domains: domains.iter().collect(),
        ..RouteSettings::fixed(vec![at(to.address)], Protection::Off)
    }
}

async fn sinks<const COUNT: usize>() -> [Downstream; COUNT] {
    let mut all = Vec::new();
    for _ in 0..COUNT {
        all.push(Downstream::answering(&[]).await);
    }
    all.try_into().unwrap_or_else(|_| panic!("so many"))
}

/// Who has heard of this recipient.
fn heard_by(sinks: &[Downstream], address: &str) -> Vec<usize> {
    let line = format!("RCPT TO:<{address}>");
    let has = |sink: &&Downstream| sink.count(&line) > 0;
    (0..).zip(sinks).filter(|(_, sink)| has(sink)).map(|(index, _)| index).collect()
}

#[tokio::test]
async fn the_first_route_that_matches_takes_the_recipient() {
    let sinks: [Downstream; 4] = sinks().await;
    let [one, two, three, rest] = sinks.clone();
    let routes = vec![
        way(&["a.example"], &one),
        way(&["example", "b.test"], &two),
        way(&["a.example", "c.test", "co.uk"], &three),
    ];
    let lab = Lab::with(rest, Wish { routes, ..Wish::default() }).await;
    let mut client = lab.client().await;
    let cases = [
        ("x@a.example", 0),
        ("x@Sub.A.Example", 0),
        // No sub-domain, and no other.
        ("x@aa.example", 3),
        ("x@example", 1),
        ("x@b.test", 1),
        ("x@deep.er.b.test", 1),
        ("x@c.test", 2),
        ("x@xc.test", 3),
        ("x@test", 3),
        ("x@[127.0.0.1]", 3),
        // Below a public suffix are strangers.
        ("x@co.uk", 2),
        ("x@shop.co.uk", 3),
    ];
    for (address, taker) in cases {
        assert_eq!(client.write_to(address).await, TAKEN, "{address}");
        assert_eq!(heard_by(&sinks, address), [taker], "{address}");
    }
    assert_eq!(client.write_to("postmaster").await, TAKEN);
    assert_eq!(heard_by(&sinks, "postmaster"), [3]);
}

/// One transaction goes one way, and domains that go the same fixed way share it.
#[tokio::test]
async fn a_transaction_goes_one_way() {
    let [one, rest] = sinks().await;
    let routes = vec![way(&["a.test", "b.test"], &one)];
    let lab = Lab::with(rest, Wish { routes, ..Wish::default() }).await;
    let mut client = lab.client().await;
    client.ask("MAIL FROM:<s@x.test>", "250").await;
    client.ask("RCPT TO:<x@a.test>", "250").await;
    client.ask("RCPT TO:<x@b.test>", "250").await;
    client.ask("RCPT TO:<x@c.test>", "452 4.5.3 rcptgate:").await;
    client.ask("DATA", "354").await;
    client.ask("body\n.", TAKEN).await;
    assert_eq!((one.count("RCPT"), lab.downstream.connections()), (2, 0));
}

/// Until a recipient is named any route may take it, so only what all can carry is offered.
#[tokio::test]
async fn offers_are_what_all_routes_can_carry() {
    let ehlo = |words: &str| format!("250-sink.test\r\n250-{words}\r\n250 8BITMIME");
    let one = Downstream::answering(&[(
        "EHLO",
        &ehlo("DSN\r\n250-CHUNKING\r\n250-SMTPUTF8\r\n250-SIZE 5000\r\n250-LIMITS RCPTMAX=7"),
    )])
    .await;
    let rest = Downstream::answering(&[("EHLO", &ehlo("DSN\r\n250-SIZE 7000"))]).await;
    let routes = vec![way(&["a.test"], &one)];
    let lab = Lab::with(rest, Wish { routes, ..Wish::default() }).await;
    let words = ["8BITMIME", "SMTPUTF8", "DSN", "CHUNKING", "SIZE", "RCPTMAX"];
    let offers = async || {
        let mut client = Client::connect(lab.door).await;
        client.expect("220").await;
        let offered = client.ask("EHLO client.test", "250").await;
        let has = |word: &&&str| offered.contains(**word);
        let words: Vec<_> = words.iter().filter(has).copied().collect();
        let size = offered.split("SIZE ").nth(1).and_then(|rest| rest.split('\n').next());
        let most = offered.split("RCPTMAX=").nth(1).and_then(|rest| rest.split([' ', '\n']).next());
        (words.join(" "), size.map(str::to_owned), most.map(str::to_owned))
    };
    let got = |words: &str, size: &str, most: &str| {
        (words.to_owned(), Some(size.to_owned()), Some(most.to_owned()))
    };
    let of_the_gate = "52428800";
    assert_eq!(offers().await, got("8BITMIME SMTPUTF8 SIZE RCPTMAX", of_the_gate, "1000"));
    // Of one that has not been seen nothing is known but what the gate itself can do.
    let mut client = lab.client().await;
    assert_eq!(client.write_to("x@a.test").await, TAKEN);
    assert_eq!(offers().await, got("8BITMIME SMTPUTF8 SIZE RCPTMAX", "5000", "7"));
    assert_eq!(client.write_to("x@b.test").await, TAKEN);
    assert_eq!(offers().await, got("8BITMIME DSN SIZE RCPTMAX", "5000", "7"));
}

#[tokio::test]
async fn each_route_has_its_source_its_login_and_its_protocol() {
    let pair = Pair::new();
    let password = pair.folder.path().join("password");
    std::fs::write(&password, "secret\n").expect("a file");
    let within =
        [("EHLO", "250-s.test\r\n250-STARTTLS\r\n250 AUTH PLAIN"), ("AUTH", "235 welcome")];
    let acceptor = crate::tls::server(pair.chain(), pair.key()).into();
    let known = Downstream::within_tls(acceptor, &within).await;
    let [from, rest] = sinks().await;
    let final_replies = [("LHLO", "250-sink.test\r\n250 PIPELINING"), ("EHLO", "500 what")];
    let lmtp = Downstream::answering(&final_replies).await;
    let connector = Connector::new(&Trust::Anybody).expect("a connector");
    let source = Source::Address("127.0.0.9".parse().expect("an address"));
    let routes = vec![
        RouteSettings { source, ..way(&["from.test"], &from) },
        RouteSettings {
            protection: Protection::Required(connector),
            account: Some(Account::open("ann", &password).expect("an account")),
            ..way(&["known.test"], &known)
        },
        RouteSettings { protocol: Protocol::Lmtp, ..way(&["lmtp.test"], &lmtp) },
    ];
    let lab = Lab::with(rest, Wish { routes, ..Wish::default() }).await;
    let mut client = lab.client().await;
    for domain in ["from.test", "known.test", "lmtp.test", "other.test"] {
        assert_eq!(client.write_to(&format!("x@{domain}")).await, TAKEN, "{domain}");
    }
    let came = |sink: &Downstream| sink.peers().first().map(|peer| peer.ip().to_string());
    assert_eq!(came(&from).as_deref(), Some("127.0.0.9"));
    assert_eq!(came(&lab.downstream).as_deref(), Some("127.0.0.1"));
    let logins = [&known, &from, &lmtp, &lab.downstream].map(|sink| sink.count("AUTH"));
    assert_eq!(logins, [1, 0, 0, 0]);
    assert_eq!((lmtp.count("LHLO"), lmtp.count("EHLO"), lab.downstream.count("LHLO")), (1, 0, 0));
}

/// A client of this gate with a recipient on its way.
async fn asking(lab: &Lab, clock: &Clock) -> Peer {
    let mut client = Peer::connect(lab.door).await;
    let _greeting = client.line(clock).await;
    client.say(b"EHLO c.test\r\nMAIL FROM:<s@x.test>\r\nRCPT TO:<x@a.test>\r\n", clock).await;
    client
}

/// The last line that a client has been told.
async fn told(client: &mut Peer, clock: &Clock) -> String {
    client.look(clock).await;
    let said = String::from_utf8_lossy(&client.input).into_owned();
    said.lines().last().unwrap_or_default().to_owned()
}

/// A route with one place, and who waits for it.
#[test]
fn as_many_connections_as_a_route_allows() {
    live::run(async |clock| {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let next_hop = Downstream::at(listener.local_addr().expect("an address"));
        let [rest] = sinks().await;
        let one = RouteSettings { concurrency: Some(1), ..way(&["a.test"], &next_hop) };
        let timeouts = Timeouts { client: Duration::from_secs(3600), ..Timeouts::default() };
        let lab = Lab::with(rest, Wish { routes: vec![one], timeouts, ..Wish::default() }).await;
        let greets = async |hop: &mut Peer| {
            hop.say(b"220 mx.test\r\n", clock).await;
            hop.say(b"250-mx.test\r\n250 PIPELINING\r\n", clock).await;
            hop.say(b"250 ok\r\n250 ok\r\n", clock).await;
        };
        let mut first = asking(&lab, clock).await;
        let mut hop = live::accept_now(&listener, clock).await.expect("a connection");
        greets(&mut hop).await;
        assert_eq!(told(&mut first, clock).await, "250 2.0.0 ok");
        let mut second = asking(&lab, clock).await;
        assert!(live::accept_now(&listener, clock).await.is_none());
        // Others go their ways.
        let mut other = super::mx::greeted(lab.door).await.0;
        assert_eq!(other.write_to("x@b.test").await, TAKEN);
        // The first leaves, and the second has its turn.
        first.say(b"QUIT\r\n", clock).await;
        let mut hop = live::accept_now(&listener, clock).await.expect("a connection");
        greets(&mut hop).await;
        assert_eq!(told(&mut second, clock).await, "250 2.0.0 ok");
        // A third waits for as long as an opening may take, and no longer.
        let mut third = asking(&lab, clock).await;
        clock.pass(timeouts.opening - Duration::from_secs(1)).await;
        assert_eq!(told(&mut third, clock).await, "250 2.1.0 rcptgate: sender ok");
        clock.pass(Duration::from_secs(1)).await;
        assert!(told(&mut third, clock).await.starts_with("451 4.3.2 rcptgate:"));
        assert!(live::accept_now(&listener, clock).await.is_none());
        assert_eq!(lab.journal(), "");
        // A connection that its next hop ends gives its place back, though its client stays.
        hop.half_close(clock).await;
        let mut fourth = asking(&lab, clock).await;
        let mut hop = live::accept_now(&listener, clock).await.expect("a connection");
        greets(&mut hop).await;
        assert_eq!(told(&mut fourth, clock).await, "250 2.0.0 ok");
    });
}

/// What is kept for others is not in use.
#[tokio::test]
async fn a_kept_connection_takes_no_place() {
    let [one, rest] = sinks().await;
    let routes = vec![RouteSettings { concurrency: Some(1), ..way(&["a.test"], &one) }];
    let pool = PoolLimits::default();
    let lab = Lab::with(rest, Wish { routes, pool, ..Wish::default() }).await;
    for _ in 0..2 {
        let mut client = lab.client().await;
        assert_eq!(client.write_to("x@a.test").await, TAKEN);
        client.quit().await;
    }
    assert_eq!(one.connections(), 1);
}

/// Other routes in force: what is under way stays, what is unchanged keeps its connections, the rest goes the new way.
#[tokio::test]
async fn routes_are_put_in_force_between_transactions() {
    let [one, two, rest] = sinks().await;
    let wish = Wish {
        routes: vec![way(&["a.test"], &one), way(&["b.test"], &two)],
        rest: Some(way(&[], &rest)),
        pool: PoolLimits::default(),
        ..Wish::default()
    };
    let lab = Lab::with(rest.clone(), wish).await;
    let mut moved = lab.client().await;
    moved.ask("MAIL FROM:<s@x.test>", "250").await;
    moved.ask("RCPT TO:<x@a.test>", "250").await;
    let mut stays = lab.client().await;
    assert_eq!(stays.write_to("x@b.test").await, TAKEN);
    // The first is gone; the second is the first from here on; the rest is as it was.
    lab.routes.replace(vec![way(&["b.test"], &two)], way(&[], &rest));
    moved.ask("DATA", "354").await;
    moved.ask("body\n.", TAKEN).await;
    assert_eq!(one.count("."), 1);
    assert_eq!(moved.write_to("x@a.test").await, TAKEN);
    assert_eq!((one.count("."), rest.count(".")), (1, 1));
    assert_eq!(stays.write_to("x@b.test").await, TAKEN);
    stays.quit().await;
    let mut next = lab.client().await;
    assert_eq!(next.write_to("y@b.test").await, TAKEN);
    assert_eq!((two.connections(), two.count(".")), (1, 3));
}

/// Whoever waits for a place of a route gets it, even if the route is gone meanwhile; one that stays has the places that it had.
#[test]
fn places_outlive_a_change_of_routes() {
    live::run(async |clock| {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let next_hop = Downstream::at(listener.local_addr().expect("an address"));
        let [rest] = sinks().await;
        let one = || RouteSettings { concurrency: Some(1), ..way(&["a.test"], &next_hop) };
        let wish = Wish { routes: vec![one()], rest: Some(way(&[], &rest)), ..Wish::default() };
        let lab = Lab::with(rest.clone(), wish).await;
        let mut first = asking(&lab, clock).await;
        let mut hop = live::accept_now(&listener, clock).await.expect("a connection");
        hop.say(b"220 mx.test\r\n", clock).await;
        hop.say(b"250-mx.test\r\n250 PIPELINING\r\n", clock).await;
        hop.say(b"250 ok\r\n250 ok\r\n", clock).await;
        assert_eq!(told(&mut first, clock).await, "250 2.0.0 ok");
        lab.routes.replace(vec![one()], way(&[], &rest));
        let mut second = asking(&lab, clock).await;
        assert!(live::accept_now(&listener, clock).await.is_none());
        lab.routes.replace(Vec::new(), way(&[], &rest));
        first.say(b"RSET\r\n", clock).await;
        hop.say(b"250 ok\r\n", clock).await;
        first.say(b"QUIT\r\n", clock).await;
        assert!(live::accept_now(&listener, clock).await.is_some());
        second.look(clock).await;
        assert_eq!(rest.connections(), 0);
    });
}
