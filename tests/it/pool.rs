//! Connections that are kept from one client for the next, over sockets.

mod timed;

use std::sync::Arc;
use std::time::Duration;

use rcptgate::credentials::Account;
use rcptgate::proxy::PoolLimits;
use rcptgate::proxy::route::{Protection, RouteSettings, at};
use rcptgate::proxy::source::Source;
use rcptgate::session::{ClientTls, Protocol, TellClient};
use rcptgate::tls::{Connector, Trust};

use crate::harness::{Client, Downstream, Lab, Wish};
use crate::tls::Pair;

const TAKEN: &str = "250 2.0.0 ok queued as SINK1";

fn keeping() -> Wish {
    Wish { pool: PoolLimits::default(), ..Wish::default() }
}

/// Two clients after each other, each with a message to one of these; how many connections that takes.
async fn two_clients(lab: &Lab, addresses: [&str; 2]) -> usize {
    for address in addresses {
        let mut client = lab.client().await;
        assert_eq!(client.write_to(address).await, TAKEN, "{address}");
        client.quit().await;
    }
    lab.downstream.connections()
}

#[tokio::test]
async fn a_connection_serves_the_next_client_after_a_whole_transaction() {
    let lab = Lab::with(Downstream::answering(&[]).await, keeping()).await;
    assert_eq!(two_clients(&lab, ["a@y.test", "b@y.test"]).await, 1);
    // Nothing is said twice, and nothing in between.
    let heard = lab.downstream.heard();
    let commands: Vec<_> =
        heard.iter().filter(|line| line.contains(':') && !line.contains("Subject")).collect();
    assert_eq!(
        commands,
        [
            "MAIL FROM:<s@x.test>",
            "RCPT TO:<a@y.test>",
            "MAIL FROM:<s@x.test>",
            "RCPT TO:<b@y.test>"
        ]
    );
    assert_eq!((lab.downstream.count("EHLO"), lab.downstream.count("RSET")), (1, 0));
    assert!(lab.metrics.text().contains("downstream_connection_total{kind=\"kept\"} 1"));
    let none = Lab::new(Downstream::answering(&[]).await).await;
    assert_eq!(two_clients(&none, ["a@y.test", "b@y.test"]).await, 2);
}

/// One that is in use serves nobody else.
#[tokio::test]
async fn two_clients_at_a_time_have_two_connections() {
    let lab = Lab::with(Downstream::answering(&[]).await, keeping()).await;
    let mut first = lab.client().await;
    assert_eq!(first.write_to("a@y.test").await, TAKEN);
    let mut second = lab.client().await;
    assert_eq!(second.write_to("a@y.test").await, TAKEN);
    assert_eq!(lab.downstream.connections(), 2);
    first.quit().await;
    second.quit().await;
    assert_eq!(two_clients(&lab, ["a@y.test", "b@y.test"]).await, 2);
}

/// What the first client does, and what the next hop answers to it, leaves nothing to the second.
#[tokio::test]
async fn after_an_anomaly_none_is_kept() {
    type Odd = &'static [(&'static str, Option<&'static str>)];
    let cases: [(Odd, &str); 6] = [
        (&[("RCPT", Some("421 4.3.2 closing"))], "MAIL FROM:<s@x.test>\nRCPT TO:<a@y.test>"),
        (&[("RCPT", Some("250 ok\r\n250 ok"))], "MAIL FROM:<s@x.test>\nRCPT TO:<a@y.test>"),
        (&[("RCPT", Some("hello"))], "MAIL FROM:<s@x.test>\nRCPT TO:<a@y.test>\nRSET"),
        (&[("RCPT", None)], "MAIL FROM:<s@x.test>\nRCPT TO:<a@y.test>"),
        // Left open.
        (&[], "MAIL FROM:<s@x.test>\nRCPT TO:<a@y.test>"),
        (&[("RCPT", Some("550 5.1.1 no"))], "MAIL FROM:<s@x.test>\nRCPT TO:<a@y.test>"),
    ];
    for (odd, commands) in cases {
        let lab = Lab::with(Downstream::answering_once(odd).await, keeping()).await;
        let mut client = lab.client().await;
        for command in commands.lines() {
            client.send(command).await;
            let _ = client.reply().await;
        }
        client.quit().await;
        let mut next = lab.client().await;
        assert_eq!(next.write_to("b@y.test").await, TAKEN);
        assert_eq!(lab.downstream.connections(), 2, "{odd:?}");
    }
}

/// Two ways out to one and the same next hop, and whether they may share a connection.
async fn shared(one: RouteSettings, other: RouteSettings, downstream: Downstream) -> bool {
    let routes = vec![RouteSettings { domains: ["y.test"].iter().collect(), ..one }];
    let lab = Lab::with(downstream, Wish { routes, rest: Some(other), ..keeping() }).await;
    // Each way is kept for itself.
    let same = two_clients(&lab, ["a@y.test", "b@y.test"]).await;
    assert_eq!(same, 1);
    two_clients(&lab, ["a@z.test", "b@z.test"]).await == same
}

#[tokio::test]
async fn ways_that_differ_share_no_connection() {
    let plain = async || {
        let downstream = Downstream::answering(&[("LHLO", "250 sink.test")]).await;
        let route = RouteSettings::fixed(vec![at(downstream.address)], Protection::Off);
        (downstream, route)
    };
    let (downstream, route) = plain().await;
    let from = Source::Address("127.0.0.9".parse().expect("an address"));
    let other = RouteSettings { source: from, ..route.clone() };
    assert!(!shared(route, other, downstream).await, "source");
    let (downstream, route) = plain().await;
    let other = RouteSettings { protocol: Protocol::Lmtp, ..route.clone() };
    assert!(!shared(route, other, downstream).await, "LMTP");
    let (downstream, route) = plain().await;
    let named = rcptgate::proxy::route::Host { name: "localhost".into(), ..at(downstream.address) };
    let other =
        RouteSettings { way: rcptgate::proxy::route::Way::Fixed(vec![named]), ..route.clone() };
    assert!(!shared(route, other, downstream).await, "host");
}

const WITHIN: [(&str, &str); 2] =
    [("EHLO", "250-sink.test\r\n250-STARTTLS\r\n250 AUTH PLAIN"), ("AUTH", "235 2.7.0 welcome")];

/// Postfix keyed its cache by less for years. What was proved by one authority's certificate was not by another's.
#[tokio::test]
async fn ways_that_are_protected_otherwise_share_no_connection() {
    let (pair, folder) = (Pair::new(), tempfile::tempdir().expect("a folder"));
    let passwords = ["one", "two"].map(|name| {
        let file = folder.path().join(name);
        std::fs::write(&file, "secret\n").expect("a file");
        file
    });
    let copy = folder.path().join("copy.pem");
    std::fs::copy(pair.chain(), &copy).expect("a copy");
    let connector = |trust: Trust| Connector::new(&trust).expect("a connector");
    let anybody = || connector(Trust::Anybody);
    let verify = |file| Protection::Verify(connector(Trust::File(file)));
    let [one, two] = passwords;
    let account =
        |file: &std::path::Path, name: &str| Some(Account::open(name, file).expect("an account"));
    let ways = [
        (Protection::Off, None),
        (Protection::Opportunistic(anybody()), None),
        (Protection::Required(anybody()), None),
        (verify(pair.chain()), None),
        (verify(copy), None),
        (verify(pair.chain()), account(&one, "ann")),
        (verify(pair.chain()), account(&two, "bob")),
    ];
    for (index, (protection, account)) in ways.iter().enumerate() {
        for (other_protection, other_account) in ways.iter().skip(index + 1) {
            let acceptor = crate::tls::server(pair.chain(), pair.key()).into();
            let downstream = Downstream::within_tls(acceptor, &WITHIN).await;
            let hosts = vec![at(downstream.address)];
            let route = RouteSettings {
                account: account.clone(),
                ..RouteSettings::fixed(hosts.clone(), protection.clone())
            };
            let other = RouteSettings {
                account: other_account.clone(),
                ..RouteSettings::fixed(hosts, other_protection.clone())
            };
            let differ = !shared(route, other, downstream).await;
            assert!(differ, "{} {}", protection.name(), other_protection.name());
        }
    }
}

/// A next hop that took the gate for a client serves no other.
#[tokio::test]
async fn none_is_kept_that_was_told_who_the_client_is() {
    let ehlo = [("EHLO", "250-sink.test\r\n250 XCLIENT ADDR PORT"), ("XCLIENT", "220 again")];
    for (tell_client, connections) in [(TellClient::Xclient, 2), (TellClient::Xforward, 1)] {
        let idle = Duration::from_secs(3600);
        let pool = PoolLimits { idle, age: idle, ..PoolLimits::default() };
        let wish = Wish { tell_client, pool, ..Wish::default() };
        let lab = Lab::with(Downstream::answering(&ehlo).await, wish).await;
        assert_eq!(two_clients(&lab, ["a@y.test", "b@y.test"]).await, connections);
        if tell_client == TellClient::Xclient {
            // They are told goodbye at once, not only passed over by the next.
            let ended = |heard: &[String]| heard.iter().filter(|line| *line == "CLOSED").count();
            lab.downstream.until(|heard| ended(heard) == connections).await;
        }
    }
}

/// Nor one on which a client could have logged in.
#[tokio::test]
async fn none_is_kept_where_logins_are_relayed() {
    let pair = Pair::new();
    let wish = Wish {
        tls: ClientTls::Up,
        acceptor: Some(pair.certificate()),
        auth: rcptgate::session::Auth::Relay,
        ..keeping()
    };
    let lab = Lab::with(Downstream::answering(&[]).await, wish).await;
    for _ in 0..2 {
        let stream = tokio::net::TcpStream::connect(lab.door).await.expect("a connection");
        let mut client = crate::tls::encrypt(stream, &pair.der).await.expect("a handshake");
        client.expect("220").await;
        client.ask("EHLO client.test", "250").await;
        assert_eq!(client.write_to("a@y.test").await, TAKEN);
        client.quit().await;
    }
    assert_eq!(lab.downstream.connections(), 2);
}

/// Once the gate is to end, what is left is told goodbye.
#[tokio::test]
async fn none_is_kept_at_the_end_of_the_program() {
    let lab = Lab::with(Downstream::answering(&[]).await, keeping()).await;
    let mut client = lab.client().await;
    client.ask("MAIL FROM:<s@x.test>", "250").await;
    client.ask("RCPT TO:<a@y.test>", "250").await;
    lab.drain.cancel();
    client.ask("DATA", "354").await;
    client.ask("body\n.", TAKEN).await;
    client.expect("421 4.3.2").await;
    client.expect_end().await;
    lab.downstream.until(|heard| heard.ends_with(&["QUIT".to_owned(), "CLOSED".to_owned()])).await;
}

/// A connection that dies as it is used, or had died without our knowing: a fresh one, and nobody hears of it.
#[tokio::test]
async fn a_kept_connection_that_dies_in_use_is_replaced() {
    for end in [None, Some("421 4.4.2 idle for too long")] {
        let seen = std::sync::atomic::AtomicUsize::new(0);
        let answer = move |line: &str| {
            use std::sync::atomic::Ordering::Relaxed;
            let again = line.starts_with("MAIL") && seen.fetch_add(1, Relaxed) == 1;
            match line.split(' ').next().unwrap_or_default() {
                _ if again => end.map(str::to_owned),
                "" => Some("220 sink.test".to_owned()),
                "EHLO" => Some("250-sink.test\r\n250 PIPELINING".to_owned()),
                "DATA" => Some("354 go on".to_owned()),
                _ => Some("250 2.0.0 ok queued as SINK1".to_owned()),
            }
        };
        let lab = Lab::with(Downstream::start(Arc::new(answer)).await, keeping()).await;
        assert_eq!(two_clients(&lab, ["a@y.test", "b@y.test"]).await, 2);
        assert_eq!(lab.downstream.count("MAIL"), 3);
        assert_eq!(lab.journal(), "");
    }
}

/// Whoever leaves in the middle of content takes the connection along.
#[tokio::test]
async fn a_client_that_goes_within_content_leaves_no_connection() {
    let lab = Lab::with(Downstream::answering(&[]).await, keeping()).await;
    let mut client: Client = lab.client().await;
    client.ask("MAIL FROM:<s@x.test>", "250").await;
    client.ask("RCPT TO:<a@y.test>", "250").await;
    client.ask("DATA", "354").await;
    client.send("half").await;
    drop(client);
    lab.downstream.until(|heard| heard.last().is_some_and(|line| line == "CLOSED")).await;
    assert!(!lab.downstream.heard().iter().any(|line| line == "." || line == "QUIT"));
    assert_eq!(lab.client().await.write_to("b@y.test").await, TAKEN);
    assert_eq!(lab.downstream.connections(), 2);
}
