//! Mail by `mx`, from the client to mail hosts that DNS names (group K of the cases): a gate, a name server that says what it is
//! told to, and mail hosts on addresses of loopback of their own, all at one port.

mod domains;
mod hosts;
mod lookups;
mod loops;

use std::net::SocketAddr;

use hickory_proto::rr::RecordType;
use rcptgate::dns::{Dnssec, Resolver};
use rcptgate::proxy::route::{Protection, RouteSettings, Way};
use rcptgate::routing::target::Targets;
use rcptgate::smtp::address::RecipientKey;
use tokio::net::TcpListener;

use crate::dns_server::{Answer, DnsServer};
use crate::harness::{Client, Downstream, Lab, Wish};
use crate::live::{Clock, Peer};

use RecordType::{A as V4, MX};

/// What a mail host answers instead of the usual, by the beginnings of lines.
type Answers<'all> = &'all [(&'all str, &'all str)];

/// A gate with the route `mx`, and its surroundings.
struct World {
    dns: DnsServer,
    lab: Lab,
    /// `mx1.test` at 127.0.0.1, `mx2.test` at 127.0.0.2 and so on.
    hosts: Vec<Downstream>,
}

impl World {
    /// With mail hosts that answer so; `y.test` names them all, the first as the best.
    async fn new(hosts: &[Answers<'_>]) -> Self {
        Self::with(hosts, Wish { targets: Targets::new(Vec::new()), ..Wish::default() }).await
    }

    async fn with(hosts: &[Answers<'_>], wish: Wish) -> Self {
        let (dns, listeners) = (DnsServer::start().await, listeners(hosts.len()).await);
        let port = port(&listeners);
        let hosts: Vec<_> = listeners
            .into_iter()
            .zip(hosts)
            .map(|(listener, answers)| Downstream::on(listener, answers))
            .collect();
        let wish = Wish { resolver: Some(resolver(&dns)), rest: Some(by_mx(port)), ..wish };
        let lab = Lab::with(hosts.first().expect("a host").clone(), wish).await;
        let world = Self { dns, lab, hosts };
        let names: Vec<_> =
            (1..=world.hosts.len()).map(|index| format!("mx{index}.test")).collect();
        for (index, name) in names.iter().enumerate() {
            world.address(name, &format!("127.0.0.{}", index + 1));
        }
        let named: Vec<_> = (1..).zip(names.iter().map(String::as_str)).collect();
        world.mail("y.test", &named);
        world
    }

    /// These are the mail hosts of a domain.
    fn mail(&self, domain: &str, hosts: &[(u16, &str)]) {
        self.dns.answer(domain, MX, Answer::mx(hosts));
    }

    /// This is the address of a host.
    fn address(&self, host: &str, address: &str) {
        self.dns.answer(host, V4, Answer::addresses(&[address]));
    }

    /// What a client is told of this recipient, or of its message.
    async fn told(&self, address: &str) -> String {
        let mut client = self.lab.client().await;
        client.write_to(address).await
    }

    /// How many connections each host has had.
    fn connections(&self) -> Vec<usize> {
        self.hosts.iter().map(Downstream::connections).collect()
    }

    /// The names whose mail hosts were asked for, as they were written.
    fn asked(&self) -> Vec<String> {
        let asked = self.dns.asked().into_iter().filter(|(_, kind)| *kind == MX);
        asked.map(|(name, _)| name).collect()
    }

    fn is_known(&self, address: &str) -> bool {
        let key = RecipientKey::parse(address).expect("an address");
        self.lab.gate.record(&key).expect("the store").is_some()
    }

    /// Nothing has been learnt of anybody.
    fn expect_nothing_learnt(&self) {
        assert_eq!(self.lab.journal(), "");
        assert_eq!(self.lab.gate.records(), Some(0));
    }
}

fn resolver(dns: &DnsServer) -> Resolver {
    Resolver::new(&[dns.address], Dnssec::Off).expect("a resolver")
}

/// Everything to the mail hosts of its domain, at this port.
fn by_mx(port: u16) -> RouteSettings {
    RouteSettings { way: Way::Mx { port }, ..RouteSettings::fixed(Vec::new(), Protection::Off) }
}

/// So many listeners at one port that the system picks: at 127.0.0.1, 127.0.0.2 and so on.
async fn listeners(count: usize) -> Vec<TcpListener> {
    for _ in 0..50 {
        let first = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = first.local_addr().expect("an address").port();
        let mut all = vec![first];
        for last in 2..=count {
            let Ok(listener) = TcpListener::bind(format!("127.0.0.{last}:{port}")).await else {
                break;
            };
            all.push(listener);
        }
        if all.len() == count {
            return all;
        }
    }
    panic!("no port that is free at so many addresses");
}

fn port(listeners: &[TcpListener]) -> u16 {
    address_of(listeners.first().expect("a listener")).port()
}

fn address_of(listener: &TcpListener) -> SocketAddr {
    listener.local_addr().expect("an address")
}

/// A client of this gate that has said EHLO; what it was offered.
pub async fn greeted(door: SocketAddr) -> (Client, String) {
    let mut client = Client::connect(door).await;
    client.expect("220").await;
    let offered = client.ask("EHLO client.test", "250").await;
    (client, offered)
}

/// Likewise, under a clock that stands still.
async fn greeted_live(door: SocketAddr, clock: &Clock) -> Peer {
    let mut client = Peer::connect(door).await;
    assert!(client.reply(clock).await.starts_with("220"));
    client.say(b"EHLO client.test\r\n", clock).await;
    assert!(client.reply(clock).await.starts_with("250"));
    client
}
