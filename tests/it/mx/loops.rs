//! Mail that would come back: the gate finds itself before any of it goes round.

use rcptgate::proxy::outbound::Own;
use rcptgate::proxy::route::{Host, Protection, RouteSettings, at};
use rcptgate::routing::target::Targets;
use tokio::net::{TcpListener, TcpStream};

use super::{address_of, by_mx, listeners, resolver};
use crate::dns_server::{Answer, DnsServer};
use crate::harness::{Downstream, Lab, Wish};

use hickory_proto::rr::RecordType::{A as V4, MX};

/// A gate at this listener, with mail hosts at this port, that knows of itself what it is told.
async fn gate(
    listener: TcpListener,
    port: u16,
    dns: &DnsServer,
    own: Own,
    targets: Targets,
) -> Lab {
    let wish = Wish {
        resolver: Some(resolver(dns)),
        rest: Some(by_mx(port)),
        listener: Some(listener),
        own,
        targets,
        ..Wish::default()
    };
    Lab::with(Downstream::at(([127, 0, 0, 1], 9).into()), wish).await
}

/// How often the gate itself has been connected to, the one client not counted.
fn met(lab: &Lab) -> usize {
    let text = lab.metrics.text();
    let line =
        text.lines().find(|line| line.starts_with("rcptgate_session_total{kind=\"served\"}"));
    let count = line.and_then(|line| line.rsplit(' ').next()?.parse::<usize>().ok());
    count.expect("a figure") - 1
}

fn none() -> Targets {
    Targets::new(Vec::new())
}

/// K09. By its address: no connection is made, and being loopback makes it no other case.
#[tokio::test]
async fn k09_the_gate_knows_its_own_address() {
    for targets in [none(), Targets::default()] {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let (at, dns) = (address_of(&listener), DnsServer::start().await);
        dns.answer("y.test", V4, Answer::addresses(&["127.0.0.1"]));
        let own = Own { addresses: vec![at], ..Own::default() };
        let lab = gate(listener, at.port(), &dns, own, targets).await;
        let told = lab.client().await.write_to("a@y.test").await;
        assert!(told.starts_with("554 5.4.6 rcptgate:"), "{told}");
        assert_eq!(met(&lab), 0);
        assert_eq!(lab.journal(), "");
    }
}

/// K09. A listener on all addresses has no address of its own: the connection tells that both its ends are here.
#[tokio::test]
async fn k09_the_gate_knows_itself_at_all_addresses() {
    let listener = TcpListener::bind("0.0.0.0:0").await.expect("a port");
    let (at, dns) = (address_of(&listener), DnsServer::start().await);
    dns.answer("y.test", V4, Answer::addresses(&["127.0.0.1"]));
    let own = Own { addresses: vec![at], ..Own::default() };
    let lab = gate(listener, at.port(), &dns, own, none()).await;
    let mut client = super::greeted(([127, 0, 0, 1], at.port()).into()).await.0;
    let told = client.write_to("a@y.test").await;
    assert!(told.starts_with("554 5.4.6 rcptgate:"), "{told}");
    assert!(met(&lab) <= 1, "{}", met(&lab));
}

/// Passes connections on to there, as an address translation does.
fn forwarding(listener: TcpListener, to: std::net::SocketAddr) {
    tokio::spawn(async move {
        while let Ok((mut from, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut to = TcpStream::connect(to).await.expect("the gate");
                let _ = tokio::io::copy_bidirectional(&mut from, &mut to).await;
            });
        }
    });
}

/// K09. Behind another address it hears its own word.
#[tokio::test]
async fn k09_the_gate_knows_its_own_word() {
    let (listener, outer) = (
        TcpListener::bind("127.0.0.1:0").await.expect("a port"),
        TcpListener::bind("127.0.0.1:0").await.expect("a port"),
    );
    let (at, port, dns) =
        (address_of(&listener), address_of(&outer).port(), DnsServer::start().await);
    forwarding(outer, at);
    dns.answer("y.test", V4, Answer::addresses(&["127.0.0.1"]));
    let own = Own { addresses: vec![at], instance: "0123456789abcdef".into() };
    let lab = gate(listener, port, &dns, own, none()).await;
    let told = lab.client().await.write_to("a@y.test").await;
    assert!(told.starts_with("554 5.4.6 rcptgate:"), "{told}");
    assert_eq!(met(&lab), 1);
    assert_eq!(lab.journal(), "");
}

/// K09, RFC 5321 §5.1. What stands behind us in the order of preference would bring the mail back; what stands before us and is
/// down may come up.
#[tokio::test]
async fn k09_behind_itself_the_gate_tries_nobody() {
    let mut all = listeners(3).await;
    let (other, own) = (all.remove(2), all.remove(0));
    drop(all);
    let (at, dns) = (address_of(&own), DnsServer::start().await);
    let other = Downstream::on(other, &[]);
    for last in 1..=3 {
        let address = format!("127.0.0.{last}");
        dns.answer(&format!("mx{last}.test"), V4, Answer::addresses(&[&address]));
    }
    let known = Own { addresses: vec![at], ..Own::default() };
    let lab = gate(own, at.port(), &dns, known, none()).await;
    let mut client = lab.client().await;
    let mut check = async |domain: &str, hosts: &[(u16, &str)], start: &str| {
        dns.answer(domain, MX, Answer::mx(hosts));
        let told = client.write_to(&format!("a@{domain}")).await;
        assert!(told.starts_with(start), "{domain}: {told}");
    };
    check("last.test", &[(5, "mx2.test."), (10, "mx1.test.")], "451 4.4.1 rcptgate:").await;
    check("first.test", &[(5, "mx1.test."), (10, "mx3.test.")], "554 5.4.6 rcptgate:").await;
    let between = [(5, "mx2.test."), (10, "mx1.test."), (20, "mx3.test.")];
    check("between.test", &between, "451 4.4.1 rcptgate:").await;
    assert_eq!((other.connections(), met(&lab)), (0, 0));
    check("before.test", &[(5, "mx3.test."), (10, "mx1.test.")], "250 2.0.0 ok").await;
    assert_eq!((other.connections(), met(&lab)), (1, 0));
}

/// A gate whose next hop is fixed.
async fn towards(listener: TcpListener, next: Host, own: Own, hostname: &'static str) -> Lab {
    let wish = Wish {
        rest: Some(RouteSettings::fixed(vec![next], Protection::Off)),
        listener: Some(listener),
        own,
        hostname,
        ..Wish::default()
    };
    Lab::with(Downstream::at(([127, 0, 0, 1], 9).into()), wish).await
}

/// K10, F26. Two gates that are each other's next hop: the operator's doing, who can undo it while the mail waits.
#[tokio::test]
async fn k10_two_gates_that_point_at_each_other_are_found_out() {
    for names in [["one.test", "two.test"], ["same.test", "same.test"]] {
        let (one, two) = (
            TcpListener::bind("127.0.0.1:0").await.expect("a port"),
            TcpListener::bind("127.0.0.1:0").await.expect("a port"),
        );
        let (first, second) = (address_of(&one), address_of(&two));
        let own = |listen, word: &str| Own { addresses: vec![listen], instance: word.into() };
        let one = towards(one, at(second), own(first, "one"), names[0]).await;
        let two = towards(two, at(first), own(second, "two"), names[1]).await;
        let told = super::greeted(one.door).await.0.write_to("a@y.test").await;
        assert!(told.starts_with("451 4.4.6 rcptgate:"), "{told}");
        // The client's, from the one to the other, and back once to see who is there.
        assert_eq!((met(&one), met(&two) + 1), (1, 1));
        assert_eq!(one.journal() + &two.journal(), "");
    }
}

/// F26. A sole next hop that is the gate itself, by address and behind another.
#[tokio::test]
async fn f26_a_fixed_next_hop_that_is_the_gate_itself() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let here = address_of(&listener);
    let outer = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let there = address_of(&outer);
    forwarding(outer, here);
    let routes = RouteSettings {
        domains: ["y.test"].iter().collect(),
        ..RouteSettings::fixed(vec![at(here)], Protection::Off)
    };
    let wish = Wish {
        routes: vec![routes],
        rest: Some(RouteSettings::fixed(vec![at(there)], Protection::Off)),
        listener: Some(listener),
        own: Own { addresses: vec![here], instance: "0123456789abcdef".into() },
        ..Wish::default()
    };
    let lab = Lab::with(Downstream::at(here), wish).await;
    let mut client = lab.client().await;
    for address in ["a@y.test", "a@z.test"] {
        let told = client.write_to(address).await;
        assert!(told.starts_with("451 4.4.6 rcptgate:"), "{told}");
    }
    assert_eq!(met(&lab), 1);
}
