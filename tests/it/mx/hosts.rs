//! Which hosts are tried, in which order, how many, and which never.

use std::time::Duration;

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RData;
use hickory_proto::rr::RecordType::{A as V4, AAAA as V6, MX};
use hickory_proto::rr::rdata::A;
use rcptgate::proxy::route::{Host, Protection, RouteSettings};
use rcptgate::routing::target::Targets;
use tokio::net::TcpListener;

use super::{Answers, World, by_mx, listeners, port, resolver};
use crate::dns_server::{Answer, DnsServer};
use crate::harness::{Client, Downstream, Lab, Wish};
use crate::live::{self, Clock, Peer};

const TAKEN: &str = "250 2.0.0 ok queued as SINK1";
/// A host that will not have us.
const UNWILLING: Answers<'static> = &[("", "554 not today")];

/// K04. A host without address, or that does not exist, is passed over; with no other it is not there now.
#[tokio::test]
async fn k04_hosts_without_address_are_passed_over() {
    let world = World::new(&[&[]]).await;
    world.dns.answer("bare.test", MX, Answer::mx(&[(1, "mx1.test.")]));
    let alias = Answer::aliases(2, Some(RData::A(A([127, 0, 0, 1].into()))));
    world.dns.answer("alias.test", V4, alias);
    let told = async |hosts: &[(u16, &str)]| {
        world.mail("d.test", hosts);
        // Each time another name: answers are remembered.
        let domain = format!("d{}.test", world.asked().len());
        world.mail(&domain, hosts);
        world.told(&format!("a@{domain}")).await
    };
    assert_eq!(told(&[(10, "nowhere.test."), (20, "bare.test."), (30, "mx1.test.")]).await, TAKEN);
    assert_eq!(told(&[(10, "alias.test.")]).await, TAKEN);
    for hosts in [[(10, "nowhere.test.")], [(10, "bare.test.")]] {
        let told = told(&hosts).await;
        assert!(told.starts_with("451 4.4.4 rcptgate:"), "{told}");
    }
    world.expect_nothing_learnt();
}

/// K05. That one host cannot be looked up keeps nobody from the next.
#[tokio::test]
async fn k05_a_host_that_cannot_be_looked_up_leaves_the_next() {
    let world = World::new(&[&[]]).await;
    for host in ["ill.test", "worse.test"] {
        world.dns.answer(host, V4, Answer::code(ResponseCode::ServFail));
        world.dns.answer(host, V6, Answer::code(ResponseCode::Refused));
    }
    world.mail("one.test", &[(10, "ill.test."), (20, "mx1.test.")]);
    assert_eq!(world.told("a@one.test").await, TAKEN);
    world.mail("two.test", &[(10, "ill.test."), (20, "worse.test.")]);
    let told = world.told("a@two.test").await;
    assert!(told.starts_with("451 4.4.3 rcptgate:"), "{told}");
    // One that is certain not to be there is no reason to give up on one that is not certain.
    world.mail("three.test", &[(10, "ill.test."), (20, "nowhere.test.")]);
    let told = world.told("a@three.test").await;
    assert!(told.starts_with("451 4.4."), "{told}");
    world.expect_nothing_learnt();
}

/// F02 with several: the next host is tried, and its word counts.
#[tokio::test]
async fn hosts_are_tried_by_preference_until_one_takes_us() {
    let world = World::new(&[UNWILLING, &[], &[]]).await;
    assert_eq!(world.told("a@y.test").await, TAKEN);
    assert_eq!(world.connections(), [1, 1, 0]);
    world.mail("z.test", &[(20, "mx1.test."), (30, "mx2.test."), (10, "mx3.test.")]);
    assert_eq!(world.told("a@z.test").await, TAKEN);
    assert_eq!(world.connections(), [1, 1, 1]);
}

/// K06. Five addresses are enough for one recipient, however they come; behind them nobody is looked up.
#[tokio::test]
async fn k06_five_addresses_are_tried() {
    let world = World::new(&[UNWILLING; 8]).await;
    let told = world.told("a@y.test").await;
    assert!(told.starts_with("451 4.3.2 rcptgate:"), "{told}");
    assert_eq!(world.connections(), [1, 1, 1, 1, 1, 0, 0, 0]);
    let asked: Vec<_> = world.dns.asked().into_iter().filter(|(_, kind)| *kind == V4).collect();
    assert_eq!(asked.len(), 5, "{asked:?}");

    let addresses: Vec<_> = (1..=8).map(|last| format!("127.0.0.{last}")).collect();
    let addresses: Vec<_> = addresses.iter().map(String::as_str).collect();
    let (first, rest) = addresses.split_at(3);
    world.dns.answer("three.test", V4, Answer::addresses(first));
    world.dns.answer("five.test", V4, Answer::addresses(rest));
    world.mail("z.test", &[(10, "three.test."), (20, "five.test.")]);
    let told = world.told("a@z.test").await;
    assert!(told.starts_with("451 4.3.2 rcptgate:"), "{told}");
    assert_eq!(world.connections().iter().sum::<usize>(), 10, "{:?}", world.connections());
    world.expect_nothing_learnt();
}

/// K06. A thousand hosts are not a thousand look-ups.
#[tokio::test]
async fn k06_a_domain_with_very_many_hosts_costs_no_more() {
    let world = World::new(&[&[]]).await;
    let names: Vec<_> = (0..1000).map(|index| format!("h{index}.test.")).collect();
    let hosts: Vec<_> = names.iter().map(|name| (10, name.as_str())).collect();
    world.mail("many.test", &hosts);
    let told = world.told("a@many.test").await;
    assert!(told.starts_with("451 4.4.4 rcptgate:"), "{told}");
    let looked_up = world.dns.asked().iter().filter(|(_, kind)| *kind == V4).count();
    assert_eq!(looked_up, 20);
}

/// K08. Whoever owns a domain cannot send us to hosts that trust our address.
#[tokio::test]
async fn k08_addresses_of_this_machine_are_not_connected_to() {
    let world = World::with(&[&[], &[]], Wish::default()).await;
    for (index, address) in
        ["127.0.0.1", "127.0.0.2", "0.0.0.0", "169.254.169.254", "10.0.0.1"].iter().enumerate()
    {
        let (domain, host) = (format!("d{index}.test"), format!("h{index}.test"));
        world.address(&host, address);
        world.mail(&domain, &[(10, &format!("{host}."))]);
        let told = world.told(&format!("a@{domain}")).await;
        assert!(told.starts_with("550 5.4.4 rcptgate:"), "{address}: {told}");
        // Without a mail host the domain itself is no better.
        let told = world.told(&format!("a@{host}")).await;
        assert!(told.starts_with("550 5.4.4 rcptgate:"), "{address}: {told}");
    }
    for (index, address) in ["::1", "::", "::ffff:127.0.0.1", "fe80::1"].iter().enumerate() {
        let host = format!("v6{index}.test");
        world.dns.answer(&host, V6, Answer::addresses(&[address]));
        let told = world.told(&format!("a@{host}")).await;
        assert!(told.starts_with("550 5.4.4 rcptgate:"), "{address}: {told}");
    }
    assert_eq!(world.connections(), [0, 0]);
    world.expect_nothing_learnt();
}

/// K08. Of several addresses those are left out, and a host that may be had is no less had for them.
#[tokio::test]
async fn k08_a_host_is_reached_at_its_other_addresses() {
    let targets = Targets::new(vec!["127.0.0.1/32".parse().expect("a network")]);
    let world = World::with(&[&[], &[]], Wish { targets, ..Wish::default() }).await;
    world.dns.answer("both.test", V4, Answer::addresses(&["127.0.0.1", "127.0.0.2"]));
    assert_eq!(world.told("a@both.test").await, TAKEN);
    assert_eq!(world.told("a@y.test").await, TAKEN);
    assert_eq!(world.connections(), [0, 2]);
    // One that is down may come back: it is not final that the other must not be used.
    world.address("dead.test", "127.0.0.3");
    world.mail("z.test", &[(10, "dead.test."), (20, "mx1.test.")]);
    let told = world.told("a@z.test").await;
    assert!(told.starts_with("451 4.4.1 rcptgate:"), "{told}");
}

/// What the next recipient of this domain is told.
async fn asked(client: &mut Peer, domain: &str, clock: &Clock) -> String {
    let group = format!("MAIL FROM:<s@x.test>\r\nRCPT TO:<a@{domain}>\r\nRSET\r\n");
    client.say(group.as_bytes(), clock).await;
    let replies = [client.reply(clock).await, client.reply(clock).await, client.reply(clock).await];
    let [_, told, _] = replies;
    told
}

/// K15. A receiver that is down is left alone for a minute, then asked again; others are not.
#[test]
fn k15_hosts_that_are_down_are_left_alone_for_a_minute() {
    live::run(async |clock| {
        let mut listeners = listeners(3).await;
        let (port, dns) = (port(&listeners), DnsServer::start().await);
        let up = Downstream::on(listeners.remove(0), &[]);
        let dead: Vec<_> =
            listeners.drain(..).map(|listener| super::address_of(&listener)).collect();
        for (index, host) in dead.iter().enumerate() {
            let answer = Answer::addresses(&[&host.ip().to_string()]);
            dns.answer(&format!("dead{index}.test"), V4, answer);
        }
        dns.answer("up.test", V4, Answer::addresses(&["127.0.0.1"]));
        dns.answer("y.test", MX, Answer::mx(&[(10, "dead0.test."), (20, "dead1.test.")]));
        let wish = Wish {
            resolver: Some(resolver(&dns)),
            rest: Some(by_mx(port)),
            targets: Targets::new(Vec::new()),
            ..Wish::default()
        };
        let lab = Lab::with(up.clone(), wish).await;
        let mut client = super::greeted_live(lab.door, clock).await;
        assert!(asked(&mut client, "y.test", clock).await.starts_with("451 4.4.1 rcptgate:"));
        // They come back, and nobody looks yet.
        let back: Vec<_> = dead
            .iter()
            .map(|at| {
                let listener = std::net::TcpListener::bind(at).expect("the port");
                listener.set_nonblocking(true).expect("an option");
                Downstream::on(TcpListener::from_std(listener).expect("a listener"), &[])
            })
            .collect();
        clock.pass(Duration::from_secs(59)).await;
        assert!(asked(&mut client, "y.test", clock).await.starts_with("451 4.4.1 rcptgate:"));
        assert_eq!(back.iter().map(Downstream::connections).sum::<usize>(), 0);
        assert!(asked(&mut client, "up.test", clock).await.starts_with("250"));
        clock.pass(Duration::from_secs(1)).await;
        assert!(asked(&mut client, "y.test", clock).await.starts_with("250"));
        assert_eq!(back.iter().map(Downstream::connections).collect::<Vec<_>>(), [1, 0]);
    });
}

/// K15. A sole host of the operator's is asked each time, whatever is known of its address from elsewhere.
#[tokio::test]
async fn k15_a_sole_fixed_host_is_always_asked() {
    let dns = DnsServer::start().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let at = super::address_of(&listener);
    drop(listener);
    let host = Host { name: at.ip().to_string(), port: at.port() };
    dns.answer("y.test", V4, Answer::addresses(&[&host.name]));
    let routes = vec![RouteSettings { domains: ["y.test"].iter().collect(), ..by_mx(at.port()) }];
    let wish = Wish {
        resolver: Some(resolver(&dns)),
        routes,
        rest: Some(RouteSettings::fixed(vec![host], Protection::Off)),
        targets: Targets::new(Vec::new()),
        ..Wish::default()
    };
    let lab = Lab::with(Downstream::at(at), wish).await;
    let mut client: Client = lab.client().await;
    for address in ["a@y.test", "a@z.test", "a@z.test"] {
        let told = client.write_to(address).await;
        assert!(told.starts_with("451 4.4.1 rcptgate:"), "{told}");
    }
    let back = Downstream::on(TcpListener::bind(at).await.expect("the port"), &[]);
    assert_eq!(client.write_to("a@z.test").await, TAKEN);
    assert_eq!(back.connections(), 1);
    let told = client.write_to("a@y.test").await;
    // By then it is known to answer again.
    assert_eq!(told, TAKEN);
}
