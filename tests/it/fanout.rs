//! A message through the LMTP door for several destinations: each has a next hop of its own, and each recipient the reply of its.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use rcptgate::event::{Act, Tenant, What};
use rcptgate::gate::Draft;
use rcptgate::proxy::route::{Protection, RouteSettings};
use rcptgate::session::{Auth, ClientTls, Limits, Protocol, TellClient};
use rcptgate::smtp::address::RecipientKey;
use rcptgate::time::Timestamp;
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use crate::harness::{Client, Downstream, Lab, Wish, by_domain};
use crate::live::{self, Clock, Peer};
use crate::tls::{Pair, encrypt};

/// A gate with a next hop for each of these domains, played by the test.
struct World<'a> {
    lab: Lab,
    client: Peer,
    listeners: HashMap<&'static str, TcpListener>,
    /// What a next hop hears first.
    hello: &'static str,
    clock: &'a Clock,
}

const GREETED: &str = "LHLO c.test\r\n";

impl<'a> World<'a> {
    async fn new(domains: &[&'static str], clock: &'a Clock) -> Self {
        Self::speaking(Protocol::Smtp, domains, clock).await
    }

    async fn speaking(next_hop: Protocol, domains: &[&'static str], clock: &'a Clock) -> Self {
        let mut listeners = HashMap::new();
        for domain in domains {
            let socket = TcpSocket::new_v4().expect("a socket");
            socket.set_recv_buffer_size(4096).expect("an option");
            socket.bind("127.0.0.1:0".parse().expect("an address")).expect("a port");
            listeners.insert(*domain, socket.listen(8).expect("a listener"));
        }
        let address = |it: &TcpListener| it.local_addr().expect("an address");
        let routes: Vec<_> = listeners.iter().map(|(domain, it)| (*domain, address(it))).collect();
        let routes = by_domain(next_hop, &routes);
        let limits = Limits { size: u64::MAX, ..Limits::default() };
        let wish = Wish { protocol: Protocol::Lmtp, routes, limits, ..Wish::default() };
        let nobody = Downstream::at("127.0.0.1:9".parse().expect("an address"));
        let lab = Lab::with(nobody, wish).await;
        let mut client = Peer::connect(lab.door).await;
        assert!(client.reply(clock).await.starts_with("220 gate.test LMTP"));
        client.say(GREETED.as_bytes(), clock).await;
        assert!(client.reply(clock).await.starts_with("250-gate.test"));
        let hello = match next_hop {
            Protocol::Smtp => "EHLO gate.test",
            Protocol::Lmtp => "LHLO gate.test",
        };
        Self { lab, client, listeners, hello, clock }
    }

    async fn says(&mut self, text: &str) {
        self.client.say(text.as_bytes(), self.clock).await;
    }

    async fn hears(&mut self, starts: &[&str]) {
        for start in starts {
            let reply = self.client.reply(self.clock).await;
            assert!(reply.starts_with(start), "expected {start:?}, got {reply:?}");
        }
    }

    /// The next hop of this domain, greeted.
    async fn hop(&self, domain: &str) -> Hop<'a> {
        let listener = self.listeners.get(domain).expect("a domain");
        let peer = live::accept(listener, self.clock).await.expect("a connection");
        let mut hop = Hop { peer, clock: self.clock };
        hop.says("220 mx.test").await;
        hop.hears(&[self.hello]).await;
        hop.says("250-mx.test\r\n250-PIPELINING\r\n250 XFORWARD IDENT").await;
        hop
    }

    async fn is_called(&self, domain: &str) -> bool {
        let listener = self.listeners.get(domain).expect("a domain");
        live::accept_now(listener, self.clock).await.is_some()
    }

    /// All that has been reported is on disk: the writer works in order.
    async fn written(&self) {
        let (at, tenant) = (Timestamp::now(), Tenant::default());
        let address = RecipientKey::parse("mark@mark.test").expect("an address");
        let what = What::Allow { act: Act { reason: "test".into(), ..Act::default() } };
        self.lab.gate.learn(Draft { at, address, tenant, what }).await.expect("on disk");
    }

    fn known(&self, address: &str) -> bool {
        let key = RecipientKey::parse(address).expect("an address");
        self.lab.gate.record(&key).expect("the store").is_some()
    }

    fn figure(&self, line: &str) -> u64 {
        let text = self.lab.metrics.text();
        let rest = text.lines().find_map(|of| of.strip_prefix(line));
        rest.map_or(0, |rest| rest.trim().parse().expect("a number"))
    }

    fn messages(&self, kind: &str) -> u64 {
        self.figure(&format!("rcptgate_message_total{{kind=\"{kind}\"}} "))
    }

    /// The client has gone, and every connection has ended.
    async fn ends(self) -> Lab {
        let Self { lab, client, clock, .. } = self;
        drop(client);
        lab.sessions.close();
        for _ in 0..1000 {
            if lab.sessions.is_empty() {
                break;
            }
            clock.pass(Duration::from_secs(1)).await;
        }
        assert!(lab.sessions.is_empty(), "something goes on");
        lab
    }
}

struct Hop<'a> {
    peer: Peer,
    clock: &'a Clock,
}

impl Hop<'_> {
    async fn says(&mut self, text: &str) {
        self.peer.say(format!("{text}\r\n").as_bytes(), self.clock).await;
    }

    async fn hears(&mut self, lines: &[&str]) {
        for expected in lines {
            let line =
                self.peer.line(self.clock).await.map(|it| String::from_utf8(it).expect("text"));
            assert_eq!(line.as_deref(), Some(*expected));
        }
    }

    /// Takes MAIL and these recipients, answers 250 to all, then DATA.
    async fn takes(&mut self, recipients: &[&str]) {
        self.hears(&["MAIL FROM:<s@x.test>"]).await;
        self.says("250 ok").await;
        for recipient in recipients {
            self.hears(&[&format!("RCPT TO:<{recipient}>")]).await;
            self.says("250 2.1.5 ok").await;
        }
    }

    async fn takes_all(&mut self, recipients: &[&str]) {
        self.takes(recipients).await;
        self.hears(&["DATA"]).await;
        self.says("354 go on").await;
    }

    /// What came, up to the end of the connection: no message has its end.
    async fn is_left_without_an_end(&mut self) {
        assert!(self.peer.end(self.clock).await, "it goes on");
        let rest = String::from_utf8_lossy(&self.peer.input).into_owned();
        assert!(!rest.contains("\r\n.\r\n"), "{rest}");
    }
}

fn group(recipients: &[&str]) -> String {
    let mut group = "MAIL FROM:<s@x.test>\r\n".to_owned();
    recipients.iter().for_each(|to| group.push_str(&format!("RCPT TO:<{to}>\r\n")));
    group + "DATA\r\n"
}

/// E06, E07: four destinations, four ends; the first hangs, and the others' replies come all the same, each to its recipient.
#[test]
fn each_recipient_gets_the_reply_of_its_own_next_hop() {
    live::run(async |clock| {
        let mut world = World::new(&["a.test", "b.test", "c.test", "d.test"], clock).await;
        world.says(&group(&["u@a.test", "u@b.test", "u@c.test", "u@d.test"])).await;
        let mut hops = Vec::new();
        for domain in ["d.test", "b.test", "c.test", "a.test"] {
            let mut hop = world.hop(domain).await;
            hop.takes_all(&[&format!("u@{domain}")]).await;
            hops.push(hop);
        }
        world
            .hears(&["250 2.1.0", "250 2.1.5", "250 2.1.5", "250 2.1.5", "250 2.1.5", "354"])
            .await;
        world.says("Subject: x\r\n\r\n..dots\r\n.\r\n").await;
        for hop in &mut hops {
            hop.hears(&["Subject: x", "", "..dots", "."]).await;
        }
        let ends = ["250 2.0.0 queued", "550 5.1.1 no such user here", "450 4.2.0 later"];
        for (hop, end) in hops.iter_mut().zip(ends) {
            hop.says(end).await;
        }
        world.client.look(clock).await;
        assert!(world.client.input.is_empty(), "the first has no end yet");
        clock.hurry();
        world.hears(&["451 4.4.2 rcptgate: the next hop was lost before its final reply"]).await;
        world.hears(&["550 5.1.1 no such", "450 4.2.0 later", "250 2.0.0 queued"]).await;
        world.says("NOOP\r\n").await;
        world.hears(&["250 2.0.0 rcptgate: ok"]).await;
        world.written().await;
        // One recipient at its destination: the refusal is about it.
        assert!(world.known("u@b.test") && !world.known("u@a.test"));
        let ended = ["delivered", "refused", "unknown", "aborted"].map(|kind| world.messages(kind));
        assert_eq!(ended, [1, 2, 1, 0]);
        // Judged and counted once, in one session.
        let forwarded = "rcptgate_rcpt_total{verdict=\"forward\",reason=\"none\"} ";
        assert_eq!((world.figure(forwarded), world.figure("rcptgate_sessions ")), (4, 1));
    });
}

/// E09: who is refused at RCPT has no final reply, who is accepted twice has two; replies to RCPT keep their order.
#[test]
fn final_replies_are_as_many_as_recipients_accepted() {
    live::run(async |clock| {
        let mut world = World::new(&["a.test", "b.test"], clock).await;
        world.says(&group(&["u@a.test", "no@b.test", "u@b.test", "u@a.test"])).await;
        let mut b = world.hop("b.test").await;
        b.hears(&["MAIL FROM:<s@x.test>", "RCPT TO:<no@b.test>", "RCPT TO:<u@b.test>", "DATA"])
            .await;
        b.says("250 ok\r\n550 5.1.1 no such user here\r\n250 2.1.5 u of b\r\n354 go on").await;
        world.hears(&["250 2.1.0"]).await;
        world.client.look(clock).await;
        assert!(world.client.input.is_empty(), "the reply to the first comes first");
        let mut a = world.hop("a.test").await;
        a.takes_all(&["u@a.test", "u@a.test"]).await;
        world
            .hears(&["250 2.1.5 ok", "550 5.1.1", "250 2.1.5 u of b", "250 2.1.5 ok", "354"])
            .await;
        world.says("body\r\n.\r\n").await;
        for hop in [&mut a, &mut b] {
            hop.hears(&["body", "."]).await;
        }
        // Two recipients at one destination: evidence about neither.
        a.says("550 5.1.1 no such user here").await;
        b.says("250 2.0.0 ok b").await;
        world.hears(&["550 5.1.1", "250 2.0.0 ok b", "550 5.1.1"]).await;
        world.says("NOOP\r\n").await;
        world.hears(&["250 2.0.0 rcptgate: ok"]).await;
        assert!(world.known("no@b.test") && !world.known("u@a.test"));
    });
}

/// A message that fills every buffer on the way, because one of its next hops takes none of it.
struct Flood {
    /// What is still to come of it, with its end.
    rest: Vec<u8>,
    /// Octets of the whole.
    whole: usize,
    /// Octets that the other next hop has read.
    read: usize,
}

impl Flood {
    /// More than the buffers of all sockets on the way.
    const PLENTY: usize = 64 << 20;

    async fn rise(world: &mut World<'_>, other: &mut Hop<'_>) -> Self {
        let block = format!("{}\r\n", "x".repeat(78)).repeat(800);
        let (mut sent, mut stuck, mut read) = (0, 0, 0);
        while stuck < 20 && sent < Self::PLENTY {
            let rest = block.as_bytes().get(sent % block.len()..).unwrap_or_default();
            let written = world.client.push(rest, world.clock).await;
            stuck = if written == 0 { stuck + 1 } else { 0 };
            sent += written;
            other.peer.look(world.clock).await;
            read += std::mem::take(&mut other.peer.input).len();
        }
        assert!(sent < Self::PLENTY, "the gate reads and reads");
        let rest = block.get(sent % block.len()..).unwrap_or_default();
        let rest = [rest.as_bytes(), b".\r\n"].concat();
        Self { whole: sent + rest.len(), rest, read }
    }

    /// It moves again: the other next hop gets all of it.
    async fn ebb(mut self, world: &mut World<'_>, other: &mut Hop<'_>) {
        for _ in 0..10_000 {
            let written = world.client.push(&self.rest, world.clock).await;
            self.rest.drain(..written);
            other.peer.look(world.clock).await;
            self.read += std::mem::take(&mut other.peer.input).len();
            if self.read == self.whole {
                break;
            }
        }
        assert_eq!(self.read, self.whole, "the other has all of it");
    }
}

/// E10: one next hop takes nothing; the others have the message, and what waits for it is bounded.
#[test]
fn a_next_hop_that_stops_reading_costs_the_others_nothing() {
    live::run(async |clock| {
        let mut world = World::new(&["a.test", "b.test"], clock).await;
        world.says(&group(&["u@a.test", "u@b.test"])).await;
        let (mut a, mut b) = (world.hop("a.test").await, world.hop("b.test").await);
        a.takes_all(&["u@a.test"]).await;
        b.takes_all(&["u@b.test"]).await;
        world.hears(&["250", "250", "250", "354"]).await;
        let flood = Flood::rise(&mut world, &mut b).await;
        // The time for a block passes; from then on everything moves again.
        for _ in 0..18 {
            clock.pass(Duration::from_secs(10)).await;
        }
        flood.ebb(&mut world, &mut b).await;
        b.says("250 2.0.0 ok b").await;
        world.hears(&["451 4.4.2 rcptgate: the next hop took too long", "250 2.0.0 ok b"]).await;
        a.is_left_without_an_end().await;
    });
}

/// E07: a next hop of LMTP that begins with its final replies and then hangs has no more time for all of them than another: the
/// others' replies are not lost. It is waited for all the same, for nobody to hear.
#[test]
fn a_next_hop_that_hangs_half_way_does_not_cost_the_others_their_replies() {
    live::run(async |clock| {
        let mut world = World::speaking(Protocol::Lmtp, &["a.test", "b.test"], clock).await;
        world.says(&group(&["u@a.test", "v@a.test", "u@b.test"])).await;
        let (mut a, mut b) = (world.hop("a.test").await, world.hop("b.test").await);
        a.takes_all(&["u@a.test", "v@a.test"]).await;
        b.takes_all(&["u@b.test"]).await;
        world.hears(&["250", "250", "250", "250", "354"]).await;
        world.says("body\r\n.\r\n").await;
        b.says("550 5.1.1 no such user here").await;
        clock.pass(Duration::from_secs(400)).await;
        a.says("250 2.0.0 u").await;
        world.hears(&["250 2.0.0 u"]).await;
        let mut waited = 400;
        while world.client.input.is_empty() && waited < 1000 {
            clock.pass(Duration::from_secs(1)).await;
            world.client.look(clock).await;
            waited += 1;
        }
        assert!((590..600).contains(&waited), "after {waited} s");
        world.hears(&["451 4.4.2 rcptgate: the next hop was lost", "550 5.1.1"]).await;
        a.says("550 5.1.1 no such user here").await;
        a.hears(&["body", ".", "QUIT"]).await;
        world.written().await;
        assert!(world.known("v@a.test") && world.known("u@b.test") && !world.known("u@a.test"));
        assert_eq!(["delivered", "refused"].map(|kind| world.messages(kind)), [1, 2]);
    });
}

/// Rule 2: whoever is suppressed is asked about nowhere.
#[test]
fn recipients_that_are_all_suppressed_make_no_connection() {
    live::run(async |clock| {
        let mut world = World::new(&["a.test", "b.test"], clock).await;
        world.lab.disposable("a.test");
        world.says(&group(&["u@a.test", "v@a.test"])).await;
        world.hears(&["250", "550 5.7.1 rcptgate:", "550 5.7.1 rcptgate:", "503 5.5.1"]).await;
        assert!(!world.is_called("a.test").await);
        world.says(&group(&["u@a.test", "u@b.test"])).await;
        let mut b = world.hop("b.test").await;
        b.takes_all(&["u@b.test"]).await;
        world.hears(&["250", "550 5.7.1 rcptgate:", "250", "354"]).await;
        world.says("body\r\n.\r\n").await;
        b.hears(&["body", "."]).await;
        b.says("250 ok").await;
        world.hears(&["250 2.0.0 ok"]).await;
        assert!(!world.is_called("a.test").await);
        assert_eq!(world.messages("delivered"), 1);
    });
}

/// RFC 1047: the client is gone behind its end; what becomes of the message is recorded for each, and for nobody to hear.
#[test]
fn outcomes_are_recorded_when_the_client_has_gone() {
    live::run(async |clock| {
        let mut world = World::new(&["a.test", "b.test"], clock).await;
        world.says(&group(&["u@a.test", "u@b.test"])).await;
        let (mut a, mut b) = (world.hop("a.test").await, world.hop("b.test").await);
        a.takes_all(&["u@a.test"]).await;
        b.takes_all(&["u@b.test"]).await;
        world.hears(&["250", "250", "250", "354"]).await;
        world.says("body\r\n.\r\n").await;
        for hop in [&mut a, &mut b] {
            hop.hears(&["body", "."]).await;
        }
        let World { lab, client, listeners, hello, .. } = world;
        client.reset(clock).await;
        assert!(!lab.sessions.is_empty(), "the program would end before the outcome is known");
        a.says("250 2.0.0 ok").await;
        b.says("550 5.1.1 no such user here").await;
        let client = Peer::connect(lab.door).await;
        let world = World { lab, client, listeners, hello, clock };
        a.hears(&["QUIT"]).await;
        b.hears(&["QUIT"]).await;
        assert!(world.known("u@b.test"));
        assert_eq!(["delivered", "refused"].map(|kind| world.messages(kind)), [1, 1]);
        assert_eq!(world.figure("rcptgate_accepted_client_gone_total "), 1);
        drop((a, b));
        let _ = world.ends().await;
    });
}

/// I2: a client that is cut off within its content ends it nowhere.
#[test]
fn what_is_broken_off_has_no_end_anywhere() {
    live::run(async |clock| {
        let mut world = World::new(&["a.test", "b.test"], clock).await;
        world.says(&group(&["u@a.test", "u@b.test"])).await;
        let (mut a, mut b) = (world.hop("a.test").await, world.hop("b.test").await);
        a.takes_all(&["u@a.test"]).await;
        b.takes_all(&["u@b.test"]).await;
        world.hears(&["250", "250", "250", "354"]).await;
        world.says("half of it\r\n").await;
        for hop in [&mut a, &mut b] {
            hop.hears(&["half of it"]).await;
        }
        let lab = world.ends().await;
        a.is_left_without_an_end().await;
        b.is_left_without_an_end().await;
        let text = lab.metrics.text();
        assert!(text.contains("rcptgate_message_total{kind=\"aborted\"} 2"), "{text}");
    });
}

/// One refuses DATA, another is lost: their recipients hear of it in the end, the third has the message.
#[test]
fn what_one_destination_does_not_take_the_others_get() {
    live::run(async |clock| {
        let mut world = World::new(&["a.test", "b.test", "c.test"], clock).await;
        world.says(&group(&["u@a.test", "u@b.test", "u@c.test"])).await;
        let (mut a, mut b) = (world.hop("a.test").await, world.hop("b.test").await);
        let mut c = world.hop("c.test").await;
        a.takes(&["u@a.test"]).await;
        a.hears(&["DATA"]).await;
        a.says("451 4.3.0 no data").await;
        b.takes_all(&["u@b.test"]).await;
        c.takes_all(&["u@c.test"]).await;
        world.hears(&["250", "250", "250", "250", "354"]).await;
        drop(b);
        world.says("body\r\n").await;
        world.says(".\r\n").await;
        c.hears(&["body", "."]).await;
        c.says("250 ok").await;
        let lost = "451 4.4.2 rcptgate: connection to the next hop lost";
        world.hears(&["451 4.3.0 no data", lost, "250 2.0.0 ok"]).await;
        // All go on being used for the next message.
        world.says(&group(&["u@a.test", "u@b.test"])).await;
        a.hears(&["RSET"]).await;
        a.says("250 ok").await;
        a.takes_all(&["u@a.test"]).await;
        let mut b = world.hop("b.test").await;
        b.takes_all(&["u@b.test"]).await;
        world.hears(&["250", "250", "250", "354"]).await;
        world.says(".\r\n").await;
        a.says("250 a").await;
        b.says("250 b").await;
        world.hears(&["250 2.0.0 a", "250 2.0.0 b"]).await;
        let ended = ["delivered", "refused", "aborted"].map(|kind| world.messages(kind));
        assert_eq!(ended, [3, 1, 1]);
    });
}

/// The message is known by the client's queue id, as without a splitter, and the next hop is told of it where it is to be.
#[tokio::test]
async fn the_message_key_is_that_of_the_client() {
    let hop = Downstream::answering(&[("RCPT", "550 5.1.1 no such user here")]).await;
    let routes = by_domain(Protocol::Smtp, &[("a.test", hop.address)]);
    let rest = Some(RouteSettings::fixed(Vec::new(), Protection::Off));
    let wish = Wish { protocol: Protocol::Lmtp, routes, rest, ..Wish::default() };
    let lab = Lab::with(hop, wish).await;
    let mut client = Client::connect(lab.door).await;
    client.expect("220").await;
    client.ask("LHLO client.test", "250").await;
    client.ask("XFORWARD IDENT=4F2A SOURCE=LOCAL", "250").await;
    client.ask("MAIL FROM:<s@x.test> SIZE=7", "250").await;
    client.ask("RCPT TO:<u@a.test>", "550 5.1.1").await;
    assert!(lab.journal().contains("127.0.0.1/4F2A"), "{}", lab.journal());
    client.ask("RCPT TO:<u@nowhere.test>", "451 4.4.1 rcptgate: no next hop").await;
    assert!(!lab.downstream.heard().iter().any(|line| line.starts_with("XFORWARD")));
}

/// The next hop is told what it would be told without a splitter.
#[tokio::test]
async fn the_next_hop_is_told_who_the_client_is() {
    for said in [None, Some("XFORWARD ADDR=198.51.100.7 HELO=there.test IDENT=4F2A")] {
        let hop = Downstream::answering(&[(
            "EHLO",
            "250-sink.test\r\n250 XFORWARD ADDR HELO PROTO IDENT",
        )])
        .await;
        let routes = by_domain(Protocol::Smtp, &[("a.test", hop.address)]);
        let tell_client = TellClient::Xforward;
        let wish = Wish { protocol: Protocol::Lmtp, routes, tell_client, ..Wish::default() };
        let lab = Lab::with(hop, wish).await;
        let mut client = Client::connect(lab.door).await;
        client.expect("220").await;
        client.ask("LHLO client.test", "250").await;
        if let Some(said) = said {
            client.ask(said, "250").await;
        }
        client.ask("MAIL FROM:<s@x.test>", "250").await;
        client.ask("RCPT TO:<u@a.test>", "250").await;
        let heard = lab.downstream.heard();
        let told = heard.iter().find(|line| line.starts_with("XFORWARD")).expect("XFORWARD");
        let expected = said.unwrap_or("XFORWARD ADDR=127.0.0.1 PROTO=LMTP HELO=client.test");
        let words = |line: &str| line.split(' ').map(str::to_owned).collect::<BTreeSet<_>>();
        assert_eq!(words(told), words(expected));
    }
}

/// Mail is on the account of whoever is logged in, also when connections had been opened before.
#[tokio::test]
async fn whoever_logs_in_is_whom_the_mail_is_for() {
    let folder = tempfile::tempdir().expect("a directory");
    let pair = Pair::new();
    let hop = Downstream::answering(&[("RCPT", "550 5.1.1 no such user here")]).await;
    let wish = Wish {
        protocol: Protocol::Lmtp,
        routes: by_domain(Protocol::Smtp, &[("a.test", hop.address)]),
        tls: ClientTls::Up,
        acceptor: Some(pair.certificate()),
        auth: Auth::Local,
        credentials: Some(crate::login::users(folder.path())),
        ..Wish::default()
    };
    let lab = Lab::with(hop, wish).await;
    let stream = TcpStream::connect(lab.door).await.expect("a connection");
    let mut client = encrypt(stream, &pair.der).await.expect("a handshake");
    client.expect("220").await;
    client.ask("LHLO client.test", "250").await;
    for (message, tenant) in [("1", "default"), ("2", "acme")] {
        client.ask(&format!("XFORWARD IDENT={message}"), "250").await;
        client.ask("MAIL FROM:<s@x.test>", "250").await;
        client.ask("RCPT TO:<u@a.test>", "550 5.1.1").await;
        client.ask("RSET", "250").await;
        let journal = lab.journal();
        let line = journal.lines().find(|line| line.contains(&format!("127.0.0.1/{message}\"")));
        let line = line.expect("an event");
        assert!(line.contains(&format!("\"tenant\":\"{tenant}\"")), "{line}");
        if message == "1" {
            client.ask(&format!("AUTH PLAIN {}", crate::login::PLAIN), "235").await;
        }
    }
}

/// The end of the program lets a message under way end, at all its next hops.
#[test]
fn a_drain_waits_for_all_of_them() {
    live::run(async |clock| {
        let mut world = World::new(&["a.test", "b.test"], clock).await;
        world.says(&group(&["u@a.test"])).await;
        let mut a = world.hop("a.test").await;
        a.takes_all(&["u@a.test"]).await;
        world.hears(&["250", "250", "354"]).await;
        world.says("first\r\n.\r\n").await;
        a.hears(&["first", "."]).await;
        a.says("250 first").await;
        world.hears(&["250 2.0.0 first"]).await;
        let group = group(&["u@a.test", "u@b.test"]);
        let (mail, rest) = group.split_once('\n').expect("a line");
        world.says(&format!("{mail}\n")).await;
        world.lab.drain.cancel();
        clock.rest().await;
        world.says(rest).await;
        a.takes_all(&["u@a.test"]).await;
        let mut b = world.hop("b.test").await;
        b.takes_all(&["u@b.test"]).await;
        world.hears(&["250", "250", "250", "354"]).await;
        world.says("body\r\n.\r\n").await;
        a.says("250 a").await;
        b.says("250 b").await;
        world.hears(&["250 2.0.0 a", "250 2.0.0 b", "421 4.3.2 rcptgate: shutting down"]).await;
        let _ = world.ends().await;
    });
}

/// A message to many domains takes a connection for each, and there are only so many descriptors: what is left is all that it gets.
#[test]
fn a_message_takes_no_more_connections_than_there_are() {
    live::run(async |clock| {
        let (a, b) = (Downstream::answering(&[]).await, Downstream::answering(&[]).await);
        let routes = by_domain(Protocol::Smtp, &[("a.test", a.address), ("b.test", b.address)]);
        let wish = Wish { protocol: Protocol::Lmtp, routes, sockets: 1, ..Wish::default() };
        let lab = Lab::with(a.clone(), wish).await;
        let mut client = Peer::connect(lab.door).await;
        assert!(client.reply(clock).await.starts_with("220"));
        client.say(GREETED.as_bytes(), clock).await;
        client.say(b"MAIL FROM:<s@x.test>\r\nRCPT TO:<u@a.test>\r\n", clock).await;
        for start in ["250-gate.test", "250", "250"] {
            let reply = client.reply(clock).await;
            assert!(reply.starts_with(start), "{start}: {reply}");
        }
        client.say(b"RCPT TO:<u@b.test>\r\n", clock).await;
        clock.hurry();
        let reply = client.reply(clock).await;
        assert!(reply.starts_with("451 4.3.2 rcptgate:"), "{reply}");
        client.say(b"DATA\r\n", clock).await;
        assert!(client.reply(clock).await.starts_with("354"));
        client.say(b"text\r\n.\r\n", clock).await;
        assert!(client.reply(clock).await.starts_with("250"));
        assert!(b.heard().is_empty());
    });
}
