//! What `/metrics` and the log say of the way out: whole gates, as a configuration makes them, with a name server, a host of
//! policies and a next hop of the test's.

use hickory_proto::rr::RecordType::{A, MX, TLSA, TXT};
use rcptgate::app::{Running, build};
use rcptgate::config;
use ring::digest::{SHA256, digest};

use crate::certificates::{Authority, named};
use crate::dns_server::{Answer, DnsServer};
use crate::harness::{Client, Downstream};
use crate::mta_sts::host::{Host, ok};

struct World {
    gate: Running,
    dns: DnsServer,
    folder: tempfile::TempDir,
}

impl World {
    /// Mail goes to the mail hosts of each domain, all of them the one at this port.
    async fn new(port: u16, downstream: &str) -> Self {
        let (dns, folder) = (DnsServer::start().await, tempfile::tempdir().expect("a folder"));
        let file = folder.path().join("rcptgate.toml");
        let text = format!(
            "hostname = \"gate.test\"\ndata_dir = \"data\"\n[[listen]]\naddress = \"127.0.0.1:0\"\n\
             [admin]\nlisten = \"off\"\n[dns]\nservers = [\"{}\"]\n\
             [downstream]\nroute = \"mx\"\nport = {port}\nrefused_networks = []\n{downstream}\n",
            dns.address
        );
        std::fs::write(&file, text).expect("a configuration");
        let (settings, rules) = config::load_all(&file).expect("a valid configuration");
        let (parts, _) = build::parts(&settings, &rules).expect("the parts of a gate");
        let gate = Running::start(parts, |_, _| {}).await.expect("a gate");
        Self { gate, dns, folder }
    }

    /// This domain has this mail host.
    fn has(&self, domain: &str, host: &str) {
        self.dns.answer(domain, MX, Answer::mx(&[(10, host)]));
        self.dns.answer(host, A, Answer::addresses(&["127.0.0.1"]));
    }

    async fn client(&self) -> Client {
        let door = self.gate.doors.first().expect("a listener");
        let mut client = Client::connect(*door).await;
        client.expect("220 ").await;
        client.ask("EHLO client.test", "250").await;
        client
    }

    async fn delivers(&self, recipient: &str) {
        let mut client = self.client().await;
        client.ask("MAIL FROM:<a@x.test>", "250").await;
        client.ask(&format!("RCPT TO:<{recipient}>"), "250").await;
        client.ask("DATA", "354").await;
        client.ask("body\n.", "250").await;
        client.ask("QUIT", "221").await;
    }

    fn journal(&self) -> String {
        let folder = self.folder.path().join("data/journal");
        let segments = std::fs::read_dir(folder).expect("the journal").map(|it| it.expect("one"));
        segments.map(|it| std::fs::read_to_string(it.path()).expect("a segment")).collect()
    }

    /// The value of this series, if there is one.
    fn figure(&self, series: &str) -> Option<u64> {
        let text = self.gate.metrics.text();
        let value = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        value.map(|value| value.parse().expect("a number"))
    }

    #[track_caller]
    fn has_counted(&self, expected: &[(&str, u64)]) {
        for (series, value) in expected {
            let series = format!("rcptgate_{series}");
            let found = self.figure(&series);
            assert_eq!(found, Some(*value), "{series}\n{}", self.gate.metrics.text());
        }
    }
}

const ASKED: &str = "dns_question_total{kind=\"asked\"}";
const REMEMBERED: &str = "dns_question_total{kind=\"remembered\"}";
const MADE: &str = "downstream_connection_total{kind=\"ok\"}";
const USED_AGAIN: &str = "downstream_connection_total{kind=\"kept\"}";
const FAILED: &str = "downstream_connection_total{kind=\"failed\"}";
const KEPT_NOW: &str = "kept_connections";

#[tokio::test]
async fn questions_and_connections_are_counted() {
    let downstream = Downstream::answering(&[]).await;
    let world = World::new(downstream.address.port(), "tls = \"off\"").await;
    world.has("a.test", "mx.receiver.test");
    world.has("b.test", "mx.receiver.test");
    world.has_counted(&[(ASKED, 0), (REMEMBERED, 0), (KEPT_NOW, 0)]);
    world.delivers("u@a.test").await;
    world.has_counted(&[(ASKED, 3), (REMEMBERED, 0), (MADE, 1), (KEPT_NOW, 1)]);
    world.delivers("u@a.test").await;
    world.has_counted(&[(ASKED, 3), (REMEMBERED, 3), (MADE, 1), (USED_AGAIN, 1), (KEPT_NOW, 1)]);
    // Another domain at the same host: its MX is asked for, the host's addresses are known.
    let mut client = world.client().await;
    client.ask("MAIL FROM:<a@x.test>", "250").await;
    client.ask("RCPT TO:<u@b.test>", "250").await;
    world.has_counted(&[(ASKED, 4), (REMEMBERED, 5), (USED_AGAIN, 2), (KEPT_NOW, 0)]);
    assert_eq!(world.figure(&format!("rcptgate_{FAILED}")), None);
    client.ask("RSET", "250").await;
    client.ask("MAIL FROM:<a@x.test>", "250").await;
    client.ask("RCPT TO:<u@nowhere.test>", "550 5.1.2 rcptgate:").await;
    world.has_counted(&[(ASKED, 5)]);
    world.has_counted(&[("downstream_connection_tls_total{tls=\"none\"}", 1)]);
    world.has_counted(&[("message_tls_total{tls=\"none\"}", 2)]);
}

/// Whose a mail host is stands in the log of every outcome; which of its hosts it was, in the journal.
#[tokio::test]
async fn an_outcome_names_the_receiver() {
    let (heard, _guard) = crate::login::listen();
    let refusals = [("RCPT TO:<gone", "550 5.1.1 no such user")];
    let downstream = Downstream::answering(&refusals).await;
    let world = World::new(downstream.address.port(), "tls = \"off\"").await;
    world.has("a.test", "MX1.Shop.co.uk");
    for _ in 0..2 {
        // The second time on the connection that was kept.
        let mut client = world.client().await;
        client.ask("MAIL FROM:<a@x.test>", "250").await;
        client.ask("RCPT TO:<gone@a.test>", "550 5.1.1 ").await;
        client.ask("RCPT TO:<u@a.test>", "250").await;
        client.ask("DATA", "354").await;
        client.ask("body\n.", "250").await;
        client.ask("MAIL FROM:<a@x.test>", "250").await;
        client.ask("RCPT TO:<u@nowhere.test>", "550 5.1.2 rcptgate:").await;
        client.ask("QUIT", "221").await;
    }
    world.has_counted(&[(MADE, 1), (USED_AGAIN, 1)]);
    let log = heard.text();
    let lines = |event: &str, with: &str| {
        let event = format!("event=\"{event}\"");
        log.lines().filter(|line| line.contains(&event) && line.contains(with)).count()
    };
    assert_eq!(lines("learn", "receiver=\"shop.co.uk\" reply=\"550 5.1.1 "), 2, "{log}");
    assert_eq!(lines("learn", "receiver=\"\" reply=\"550 5.1.2 rcptgate:"), 2, "{log}");
    assert_eq!(lines("message", "receiver=\"shop.co.uk\" tls=\"none\" "), 2, "{log}");
    let host = format!("\"receiver\":\"mx1.shop.co.uk:{}\"", downstream.address.port());
    assert!(world.journal().contains(&host), "{}", world.journal());
}

/// A recipient is decided on once: one that passes and has no way out has not passed.
#[tokio::test]
async fn a_recipient_without_a_way_out_is_counted_as_such_alone() {
    let world = World::new(9, "tls = \"off\"").await;
    let mut client = world.client().await;
    client.ask("MAIL FROM:<a@x.test>", "250").await;
    client.ask("RCPT TO:<u@[192.0.2.1]>", "550 5.1.2 rcptgate:").await;
    world.has_counted(&[("rcpt_total{verdict=\"refuse\",reason=\"route\"}", 1)]);
    world.has_counted(&[("rcpt_total{verdict=\"forward\",reason=\"none\"}", 0)]);
}

/// What a domain demands of the way to its host is what its mail is counted under.
#[tokio::test]
async fn what_protects_mail_is_counted() {
    let (authority, names) = (Authority::new(), ["mta-sts.sts.test"]);
    let policy = "version: STSv1\r\nmode: enforce\r\nmx: mx.sts.test\r\nmax_age: 86400\r\n";
    let host = Host::new(&authority.sign("policies", &named(&names)), ok(policy)).await;
    let (chain, key) = authority.sign("server", &named(&["mx.sts.test"]));
    let digest = digest(&SHA256, &certificate(&chain));
    let downstream = Downstream::with_starttls(crate::tls::server(chain, key).into()).await;
    let (ca, port) = (authority.file(), host.port);
    let sts = format!("mta_sts_ca = \"{}\"\nmta_sts_port = {port}", ca.display());
    let world = World::new(downstream.address.port(), &sts).await;
    world.has("any.test", "mx.any.test");
    world.has("sts.test", "mx.sts.test");
    world.has("dane.test", "mx.dane.test");
    world.has("broken.test", "mx.broken.test");
    for domain in ["sts.test", "broken.test"] {
        world.dns.answer(&format!("_mta-sts.{domain}"), TXT, Answer::txt("v=STSv1; id=1;"));
        world.dns.answer(&format!("mta-sts.{domain}"), A, Answer::addresses(&["127.0.0.1"]));
    }
    world.dns.answer("dane.test", MX, Answer::mx(&[(10, "mx.dane.test")]).signed());
    world.dns.answer("mx.dane.test", A, Answer::addresses(&["127.0.0.1"]).signed());
    let records = format!("_{}._tcp.mx.dane.test", downstream.address.port());
    world.dns.answer(&records, TLSA, Answer::tlsa(3, 0, 1, digest.as_ref()).signed());
    for domain in ["any", "sts", "dane", "broken"] {
        world.delivers(&format!("u@{domain}.test")).await;
    }
    for (tls, count) in [("opportunistic", 2), ("mta-sts", 1), ("dane", 1)] {
        world.has_counted(&[
            (&format!("downstream_connection_tls_total{{tls=\"{tls}\"}}"), count),
            (&format!("message_tls_total{{tls=\"{tls}\"}}"), count),
        ]);
    }
    world.has_counted(&[("mta_sts_fetch_total{kind=\"ok\"}", 1)]);
    // Its host does not prove its name.
    world.has_counted(&[("mta_sts_fetch_total{kind=\"no_connection\"}", 1)]);
}

fn certificate(chain: &std::path::Path) -> Vec<u8> {
    use rustls::pki_types::pem::PemObject as _;
    let found = rustls::pki_types::CertificateDer::pem_file_iter(chain).expect("a chain").next();
    found.expect("one").expect("a certificate").to_vec()
}
