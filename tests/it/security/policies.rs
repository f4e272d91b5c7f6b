//! J07: MTA-STS from the record to the handshake (RFC 8461), and what of it the log and REQUIRETLS make.

use rcptgate::mta_sts::{Policies, Settings};
use rcptgate::proxy::PoolLimits;
use rcptgate::proxy::outbound;
use rcptgate::session::ClientTls;
use tokio::net::TcpStream;

use super::*;
use crate::harness::Client;
use crate::mta_sts::host::{Host, ok};
use crate::tls::{Pair, encrypt};

/// What a domain publishes.
type Demand = fn(&Published);

const DOMAINS: [&str; 2] = ["one.test", "two.test"];

/// A world in which domains publish policies, too.
struct Published {
    world: World,
    host: Host,
    folder: tempfile::TempDir,
}

impl Published {
    /// One mail host for all domains, `mx.shared.test`, that has no signed name.
    async fn new(world: World) -> Self {
        let names = DOMAINS.map(|domain| format!("mta-sts.{domain}"));
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let files = world.authority.sign("policies", &named(&names));
        for domain in DOMAINS {
            let mx = Answer::mx(&[(10, "mx.shared.test.")]);
            world.dns.answer(domain, RecordType::MX, mx);
        }
        world.address("mx.shared.test", |answer| answer);
        let host = Host::new(&files, String::new()).await;
        Self { world, host, folder: tempfile::tempdir().expect("a folder") }
    }

    /// From here on this is a domain's policy.
    fn policy(&self, domain: &str, mode: &str, mx: &str) {
        let host = format!("mta-sts.{domain}");
        let text = Answer::txt("v=STSv1; id=1;");
        self.world.dns.answer(&format!("_mta-sts.{domain}"), RecordType::TXT, text);
        self.world.dns.answer(&host, RecordType::A, Answer::addresses(&["127.0.0.1"]));
        let policy = format!("version: STSv1\r\nmode: {mode}\r\nmx: {mx}\r\nmax_age: 86400\r\n");
        self.host.say_as(&host, &ok(&policy));
    }

    /// A gate that asks for policies; those that it has had are still there.
    async fn gate(&self, wish: Wish) -> Lab {
        let settings =
            Settings { port: self.host.port, ..Settings::new(self.folder.path().into()) };
        let authority = Trust::File(self.world.authority.file());
        let connector = Connector::new(&authority).expect("a connector");
        let targets = Arc::new(Targets::new(Vec::new()));
        let resolver = self.world.resolver();
        let surroundings = outbound::World { resolver, targets };
        let policies = Policies::open(settings, connector, surroundings).expect("policies");
        self.world.gate(Wish { policies: Some(policies), ..wish }).await
    }

    async fn told(&self, recipient: &str) -> String {
        tell(&self.gate(Wish::default()).await, recipient).await
    }

    fn connections(&self) -> usize {
        self.world.hop.heard().iter().filter(|line| *line == "CONNECT").count()
    }
}

/// Mail hosts: with the right certificate, with that of another name, and without TLS.
async fn hosts() -> [World; 3] {
    let wrong = World::new(&["elsewhere.test"]).await;
    [World::new(&["mx.shared.test"]).await, wrong, World::in_the_clear().await]
}

/// What a recipient at each of these hosts is told under a policy.
async fn under(mode: &str, mx: &str) -> Vec<bool> {
    let mut taken = Vec::new();
    for world in hosts().await {
        let published = Published::new(world).await;
        published.policy("one.test", mode, mx);
        let told = published.told("a@one.test").await;
        if told != TAKEN {
            is_put_off(&published.world, &told);
            // It is left, not tried with less.
            assert!(published.connections() <= 1, "{:?}", published.world.hop.heard());
        }
        taken.push(told == TAKEN);
    }
    taken
}

#[tokio::test]
async fn a_policy_that_is_enforced_takes_the_right_host_alone() {
    assert_eq!(under("enforce", "mx.shared.test").await, [true, false, false]);
    assert_eq!(under("enforce", "*.shared.test").await, [true, false, false]);
    assert_eq!(under("enforce", "mx.other.test").await, [false, false, false]);
    assert_eq!(under("enforce", "*.mx.shared.test").await, [false, false, false]);
}

#[tokio::test]
async fn one_that_is_tested_or_withdrawn_stops_nothing() {
    for mode in ["testing", "none"] {
        for mx in ["mx.shared.test", "mx.other.test"] {
            assert_eq!(under(mode, mx).await, [true, true, true], "{mode} {mx}");
        }
    }
}

#[tokio::test]
async fn a_test_that_would_have_failed_is_logged() {
    let (heard, _guard) = crate::login::listen();
    let published = Published::new(World::new(&["mx.shared.test"]).await).await;
    published.policy("one.test", "testing", "mx.other.test");
    assert_eq!(published.told("a@one.test").await, TAKEN);
    let log = heard.text();
    let line = log.lines().find(|line| line.contains("sts_testing")).expect("a line");
    assert!(line.contains(r#"domain="one.test""#), "{line}");
}

/// The next host in order is one that the policy lists.
#[tokio::test]
async fn a_host_that_is_not_listed_is_passed_over() {
    let published = Published::new(World::new(&["mx.shared.test"]).await).await;
    let hosts = [(5, "mx.evil.test."), (10, "mx.shared.test.")];
    published.world.dns.answer("one.test", RecordType::MX, Answer::mx(&hosts));
    published.world.address("mx.evil.test", |answer| answer);
    published.policy("one.test", "enforce", "mx.shared.test");
    assert_eq!(published.told("a@one.test").await, TAKEN);
    assert_eq!(published.world.asked_for(), ["mx.shared.test"]);
}

/// A policy that was fetched once goes on when the record is taken away, and survives a restart.
#[tokio::test]
async fn an_attacker_who_takes_the_record_away_changes_nothing() {
    let published = Published::new(World::new(&["elsewhere.test"]).await).await;
    published.policy("one.test", "enforce", "mx.shared.test");
    is_put_off(&published.world, &published.told("a@one.test").await);
    published.world.dns.answer("_mta-sts.one.test", RecordType::TXT, Answer::no_such_domain());
    published.world.dns.answer("mta-sts.one.test", RecordType::A, Answer::no_such_domain());
    is_put_off(&published.world, &published.told("a@one.test").await);
}

/// RFC 8461 §2: it does not make up for TLSA records that do not match, and is not asked where they do.
#[tokio::test]
async fn dane_comes_first() {
    let signed = async |names: &[&str], tlsa: fn(&World) -> Answer| {
        let world = World::new(names).await;
        world.mail_host("one.test", "mx.shared.test");
        let published = Published::new(world).await;
        let world = &published.world;
        world.mail_host("one.test", "mx.shared.test");
        world.address("mx.shared.test", Answer::signed);
        world.tlsa("mx.shared.test", tlsa(world));
        published.policy("one.test", "enforce", "mx.shared.test");
        published
    };
    let published = signed(&["elsewhere.test"], World::its_own).await;
    assert_eq!(published.told("a@one.test").await, TAKEN);
    let published = signed(&["mx.shared.test"], |_| World::anothers()).await;
    is_put_off(&published.world, &published.told("a@one.test").await);
    // Records of no use leave the word to the policy.
    let unusable: fn(&World) -> Answer = |_| Answer::tlsa(1, 1, 1, &[7; 32]).signed();
    let published = signed(&["mx.shared.test"], unusable).await;
    assert_eq!(published.told("a@one.test").await, TAKEN);
    let published = signed(&["elsewhere.test"], unusable).await;
    is_put_off(&published.world, &published.told("a@one.test").await);
}

/// A whole message from a client that then leaves.
async fn send(lab: &Lab, recipient: &str) -> String {
    let mut client = lab.client().await;
    client.ask("MAIL FROM:<s@x.test>", "250").await;
    client.send(&format!("RCPT TO:<{recipient}>")).await;
    let told = client.reply().await;
    if told.starts_with('2') {
        client.ask("DATA", "354").await;
        client.ask("body\n.", "250").await;
    }
    client.ask("QUIT", "221").await;
    client.expect_end().await;
    drop(client);
    lab.sessions.close();
    lab.sessions.wait().await;
    lab.sessions.reopen();
    told
}

/// Two domains share a mail host and have different policies: each mail goes by its own, and no connection that was made under
/// one serves the other, whichever comes first.
#[tokio::test]
async fn each_domain_has_its_own_policy_and_connections() {
    let lab = async |world: World| {
        let published = Published::new(world).await;
        published.policy("one.test", "enforce", "mx.shared.test");
        let lab = published.gate(Wish { pool: PoolLimits::default(), ..Wish::default() }).await;
        (published, lab)
    };
    let (published, gate) = lab(World::new(&["mx.shared.test"]).await).await;
    for (to, connections) in [
        ("a@one.test", 1),
        ("a@two.test", 2),
        ("b@one.test", 2),
        ("b@two.test", 2),
        ("c@one.test", 2),
    ] {
        assert_eq!(send(&gate, to).await, TAKEN, "{to}");
        assert_eq!(published.connections(), connections, "{to}");
    }
    // A connection with a host that proves nothing is kept, and is not for those who want a proof.
    let (published, gate) = lab(World::new(&["elsewhere.test"]).await).await;
    for _ in 0..2 {
        assert_eq!(send(&gate, "a@two.test").await, TAKEN);
        let told = send(&gate, "a@one.test").await;
        assert!(told.starts_with("451 4.7.5"), "{told}");
    }
    let heard = published.world.hop.heard();
    assert!(!heard.contains(&"RCPT TO:<a@one.test>".to_owned()), "{heard:?}");
    assert_eq!(published.connections(), 3, "kept: one, with nothing proved: {heard:?}");
}

/// Likewise with connections that TLSA records have proved: a rollover of the key makes another kind of them.
#[tokio::test]
async fn a_connection_is_kept_with_the_records_that_proved_it() {
    let published = Published::new(World::new(&["elsewhere.test"]).await).await;
    let world = &published.world;
    for (domain, host) in [("one.test", "mx.one.test"), ("two.test", "mx.two.test")] {
        world.mail_host(domain, host);
        world.address(host, Answer::signed);
    }
    world.tlsa("mx.one.test", world.its_own());
    let lab = published.gate(Wish { pool: PoolLimits::default(), ..Wish::default() }).await;
    for (to, connections) in [("a@one.test", 1), ("a@two.test", 2), ("b@one.test", 2)] {
        assert_eq!(send(&lab, to).await, TAKEN, "{to}");
        assert_eq!(published.connections(), connections, "{to}");
    }
    assert_eq!(world.asked_for(), ["mx.one.test", "mx.two.test"]);
}

/// What stands in the log of a message: how its next hop was protected, and whether it had proved who it is.
#[tokio::test]
async fn the_log_says_which_demand_was_met() {
    let demands: [(Demand, &str); 4] = [
        (|_| {}, r#"tls="opportunistic" trust="untrusted" "#),
        (
            |published| published.policy("one.test", "enforce", "mx.shared.test"),
            r#"tls="mta-sts" trust="verified" "#,
        ),
        (|it| it.signed(it.world.its_own()), r#"tls="dane" trust="verified" "#),
        (
            |it| it.signed(Answer::tlsa(1, 1, 1, &[7; 32]).signed()),
            r#"tls="required" trust="untrusted" "#,
        ),
    ];
    for (demand, expected) in demands {
        let (heard, _guard) = crate::login::listen();
        let published = Published::new(World::new(&["mx.shared.test"]).await).await;
        demand(&published);
        let lab = published.gate(Wish::default()).await;
        assert_eq!(send(&lab, "a@one.test").await, TAKEN);
        let log = heard.text();
        let message = log.lines().find(|line| line.contains("event=\"message\"")).expect("a line");
        assert!(message.contains(expected), "{expected}: {message}");
    }
}

impl Published {
    /// The way to the mail host of `one.test` is signed, and it has these TLSA records.
    fn signed(&self, tlsa: Answer) {
        self.world.mail_host("one.test", "mx.shared.test");
        self.world.address("mx.shared.test", Answer::signed);
        self.world.tlsa("mx.shared.test", tlsa);
    }
}

/// RFC 8689 §4.2.1: what is promised goes on only where the host has proved itself by what the domain says.
#[tokio::test]
async fn require_tls_goes_over_dane_and_mta_sts_and_nothing_less() {
    let demands: [(Demand, bool); 4] = [
        (|_| {}, false),
        (|it| it.policy("one.test", "enforce", "mx.shared.test"), true),
        (|it| it.signed(it.world.its_own()), true),
        (|it| it.signed(Answer::tlsa(1, 1, 1, &[7; 32]).signed()), false),
    ];
    for (index, (demand, kept)) in demands.into_iter().enumerate() {
        let published = Published::new(World::new(&["mx.shared.test"]).await).await;
        demand(&published);
        let pair = Pair::new();
        let (tls, acceptor) = (ClientTls::Up, Some(pair.certificate()));
        let lab = published.gate(Wish { tls, acceptor, ..Wish::default() }).await;
        let mut client: Client = {
            let stream = TcpStream::connect(lab.door).await.expect("a connection");
            encrypt(stream, &pair.der).await.expect("a handshake")
        };
        client.expect("220").await;
        let can = client.ask("EHLO client.test", "250").await;
        assert!(can.contains("REQUIRETLS"), "{can}");
        client.ask("MAIL FROM:<s@x.test> REQUIRETLS", "250").await;
        let expected = if kept { TAKEN } else { "550 5.7.30 rcptgate:" };
        client.send("RCPT TO:<a@one.test>").await;
        let told = client.reply().await;
        assert!(told.starts_with(expected), "{index}: {told}");
        let heard = published.world.hop.heard();
        let passed = heard.contains(&"MAIL FROM:<s@x.test> REQUIRETLS".to_owned());
        assert_eq!(passed, kept, "{index}: {heard:?}");
    }
}
