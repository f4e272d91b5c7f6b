//! How long the gate waits for whom, on a clock that a test moves second by second: each wait ends within a tenth of what the
//! documented defaults say, and in the way that the client can live with.

use std::time::Duration;

use rcptgate::proxy::Timeouts;
use rcptgate::proxy::route::{Host, Protection};
use rcptgate::session::ClientTls;
use tokio::net::TcpListener;

use crate::harness::{Downstream, Lab, Wish};
use crate::live::{self, Clock, Peer};
use crate::tls::Pair;

/// A gate, its next hop's port and a client.
struct World<'a> {
    lab: Lab,
    listener: TcpListener,
    client: Peer,
    hop: Option<Peer>,
    clock: &'a Clock,
}

impl<'a> World<'a> {
    async fn new(wish: Wish, clock: &'a Clock) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let next_hop = Downstream::at(listener.local_addr().expect("an address"));
        let lab = Lab::with(next_hop, wish).await;
        let client = Peer::connect(lab.door).await;
        Self { lab, listener, client, hop: None, clock }
    }

    /// With the next hop greeted, and these commands answered by it.
    async fn up_to(clock: &'a Clock, commands: &str) -> Self {
        let mut world = Self::new(Wish::default(), clock).await;
        let _greeting = world.client.line(clock).await;
        world.says(&format!("EHLO c.test\r\n{commands}")).await;
        if commands.contains("RCPT") {
            world.connect().await;
        }
        world
    }

    async fn says(&mut self, text: &str) {
        self.client.say(text.as_bytes(), self.clock).await;
    }

    async fn connect(&mut self) {
        let mut hop = live::accept(&self.listener, self.clock).await.expect("a connection");
        hop.say(b"220 mx.test\r\n", self.clock).await;
        hop.say(b"250-mx.test\r\n250 PIPELINING\r\n", self.clock).await;
        self.hop = Some(hop);
        self.clock.rest().await;
    }

    async fn hop_says(&mut self, text: &str) {
        self.hop.as_mut().expect("a next hop").say(text.as_bytes(), self.clock).await;
    }

    /// The seconds until the client reads something new, or the end.
    async fn seconds(&mut self) -> u64 {
        self.client.look(self.clock).await;
        self.client.input.clear();
        for second in 0..2000 {
            if !self.client.input.is_empty() || self.client.ended {
                return second;
            }
            self.clock.pass(Duration::from_secs(1)).await;
            self.client.look(self.clock).await;
        }
        panic!("it waits for ever");
    }

    fn told(&self) -> String {
        String::from_utf8_lossy(&self.client.input).into_owned()
    }

    /// The next hop is left without an end of data.
    async fn hop_is_broken_off(&mut self) {
        let hop = self.hop.as_mut().expect("a next hop");
        assert!(hop.end(self.clock).await);
        let text = hop.input.as_slice();
        assert!(!text.ends_with(b"\r\n.\r\n") && !text.ends_with(b"QUIT\r\n"));
    }
}

fn within_a_tenth(seconds: u64, due: Duration) {
    let due = due.as_secs();
    let fits = (due * 9 / 10..=due + due / 10 + 1).contains(&seconds);
    assert!(fits, "{seconds} s instead of {due} s");
}

/// The numbers themselves, since the other tests measure against them: RFC 5321 §4.5.3.2, and what clients wait.
#[test]
fn the_defaults_are_those_that_clients_can_live_with() {
    let t = Timeouts::default();
    let check = |name: &str, got: Duration, seconds: std::ops::RangeInclusive<u64>| {
        assert!(seconds.contains(&got.as_secs()), "{name}: {got:?}, not {seconds:?} s");
    };
    check("H01 PROXY header", t.proxy_header, 5..=5);
    check("H02 handshake", t.handshake, 30..=30);
    check("H03 client", t.client, 300..=300);
    check("H05 content", t.content, 180..=180);
    check("H06 opening", t.opening, 1..=240);
    check("H07 connect", t.connect, 30..=30);
    check("H08 MAIL and RCPT", t.reply, 240..=299);
    check("H09 DATA", t.data, 100..=119);
    check("H10 block", t.block, 150..=179);
    check("H11 end of data", t.end_of_data, 590..=599);
    check("H12 RSET", t.reset, 20..=20);
    check("H12 QUIT", t.quit, 5..=5);
    check("drain", t.drain, 1..=60);
}

const GROUP: &str = "MAIL FROM:<s@x.test>\r\nRCPT TO:<a@y.test>\r\nDATA\r\n";

#[test]
fn h01_a_balancer_that_sends_no_header_is_closed() {
    live::run(async |clock| {
        let proxies = vec!["127.0.0.0/8".parse().expect("a network")];
        let mut world = World::new(Wish { proxies, ..Wish::default() }, clock).await;
        let seconds = world.seconds().await;
        within_a_tenth(seconds, Timeouts::default().proxy_header);
        assert_eq!(world.told(), "");
    });
}

#[test]
fn h02_a_client_that_makes_no_handshake_is_closed_and_holds_up_nobody() {
    live::run(async |clock| {
        let pair = Pair::new();
        let acceptor = Some(pair.certificate());
        let wish = Wish { tls: ClientTls::Up, acceptor, ..Wish::default() };
        let mut world = World::new(wish, clock).await;
        clock.rest().await;
        let other = tokio::net::TcpStream::connect(world.lab.door).await.expect("a connection");
        let mut other = crate::tls::encrypt(other, &pair.der).await.expect("a handshake");
        other.expect("220").await;
        let seconds = world.seconds().await;
        within_a_tenth(seconds, Timeouts::default().handshake);
        assert_eq!(world.told(), "");
    });
}

#[test]
fn h03_an_idle_client_is_sent_away() {
    live::run(async |clock| {
        let mut world = World::up_to(clock, "").await;
        let seconds = world.seconds().await;
        within_a_tenth(seconds, Timeouts::default().client);
        assert!(world.told().starts_with("421 4.4.2"), "{}", world.told());
    });
}

#[test]
fn h03_who_comes_when_places_run_out_has_less_time_and_who_was_there_has_not() {
    live::run(async |clock| {
        let mut world = World::new(Wish { connections: 5, ..Wish::default() }, clock).await;
        let mut others = Vec::new();
        for _ in 0..3 {
            others.push(Peer::connect(world.lab.door).await);
            let _greeting = others.last_mut().expect("a client").line(clock).await;
        }
        // The fifth of five; four fifths were taken by those before.
        let fourth = std::mem::replace(&mut world.client, Peer::connect(world.lab.door).await);
        others.push(fourth);
        let _greeting = world.client.line(clock).await;
        let seconds = world.seconds().await;
        within_a_tenth(seconds, Timeouts::default().crowded);
        assert!(world.told().starts_with("421 4.4.2"), "{}", world.told());
        world.client = others.pop().expect("a client");
        let seconds = seconds + world.seconds().await;
        assert!(seconds > 2 * Timeouts::default().crowded.as_secs(), "{seconds}");
    });
}

#[test]
fn h04_a_command_that_comes_by_drips_has_no_more_time() {
    live::run(async |clock| {
        let mut world = World::up_to(clock, "").await;
        world.client.look(clock).await;
        world.client.input.clear();
        let mut seconds = 0;
        while world.client.input.is_empty() && seconds < 2000 {
            world.says("N").await;
            clock.pass(Duration::from_secs(10)).await;
            seconds += 10;
            world.client.look(clock).await;
        }
        within_a_tenth(seconds, Timeouts::default().client);
        assert!(world.told().starts_with("421 4.4.2"), "{}", world.told());
    });
}

#[test]
fn h05_a_client_that_stalls_in_content_is_sent_away_and_the_next_hop_left() {
    live::run(async |clock| {
        let mut world = World::up_to(clock, GROUP).await;
        world.hop_says("250 ok\r\n250 ok\r\n354 go\r\n").await;
        world.says("Subject: x\r\n.\r").await;
        let seconds = world.seconds().await;
        let defaults = Timeouts::default();
        within_a_tenth(seconds, defaults.content.min(defaults.block));
        assert!(world.told().starts_with("421 4.4.2"), "{}", world.told());
        world.hop_is_broken_off().await;
    });
}

#[test]
fn h05_content_that_comes_by_drips_is_no_better() {
    live::run(async |clock| {
        let mut world = World::up_to(clock, GROUP).await;
        world.hop_says("250 ok\r\n250 ok\r\n354 go\r\n").await;
        world.client.look(clock).await;
        world.client.input.clear();
        let mut seconds = 0;
        while world.client.input.is_empty() && seconds < 2000 {
            world.says("x").await;
            clock.pass(Duration::from_secs(5)).await;
            seconds += 5;
            world.client.look(clock).await;
        }
        let defaults = Timeouts::default();
        within_a_tenth(seconds, defaults.content.min(defaults.block));
        world.hop_is_broken_off().await;
    });
}

#[test]
fn h06_a_next_hop_that_never_greets_costs_less_than_the_clients_patience() {
    live::run(async |clock| {
        let mut world = World::up_to(clock, "").await;
        world.says("MAIL FROM:<s@x.test>\r\nRCPT TO:<a@y.test>\r\n").await;
        let _hop = live::accept(&world.listener, clock).await.expect("a connection");
        let seconds = world.seconds().await;
        within_a_tenth(seconds, Timeouts::default().opening);
        assert!(seconds < 300 && world.told().starts_with("451 4.4.1"), "{}", world.told());
        world.says("NOOP\r\n").await;
        assert!(world.client.reply(clock).await.starts_with("451"));
        assert!(world.client.reply(clock).await.starts_with("250"));
    });
}

#[test]
fn h07_h02_a_handshake_that_the_next_hop_stalls_is_given_up() {
    live::run(async |clock| {
        let anybody = rcptgate::tls::Connector::new(&rcptgate::tls::Trust::Anybody);
        let protection = Protection::Required(anybody.expect("a connector"));
        let mut world = World::new(Wish { protection, ..Wish::default() }, clock).await;
        let _greeting = world.client.line(clock).await;
        world.says("EHLO c\r\nMAIL FROM:<s@x.test>\r\nRCPT TO:<a@y.test>\r\n").await;
        let mut hop = live::accept(&world.listener, clock).await.expect("a connection");
        hop.say(b"220 mx.test\r\n", clock).await;
        hop.say(b"250-mx.test\r\n250 STARTTLS\r\n", clock).await;
        hop.say(b"220 go\r\n", clock).await;
        let seconds = world.seconds().await;
        within_a_tenth(seconds, Timeouts::default().connect);
        assert!(world.told().starts_with("451 4.7.5"), "{}", world.told());
    });
}

/// A port at which connections hang: nobody accepts them, and the queue of those that wait is full.
fn hanging() -> (socket2::Socket, Vec<socket2::Socket>, u16) {
    let socket = || {
        let (stream, tcp) = (socket2::Type::STREAM, socket2::Protocol::TCP);
        socket2::Socket::new(socket2::Domain::IPV4, stream, Some(tcp)).expect("a socket")
    };
    let listener = socket();
    let anywhere: std::net::SocketAddr = "127.0.0.1:0".parse().expect("an address");
    listener.bind(&anywhere.into()).expect("a port");
    listener.listen(0).expect("a queue");
    let address = listener.local_addr().expect("an address");
    let waiting = (0..4).map(|_| {
        let client = socket();
        client.set_nonblocking(true).expect("an option");
        // Under way, or in the queue.
        let _ = client.connect(&address);
        client
    });
    let waiting = waiting.collect();
    let port = address.as_socket().expect("an address").port();
    (listener, waiting, port)
}

#[test]
fn h07_a_connection_that_hangs_is_given_up_for_the_next_address() {
    live::run(async |clock| {
        let (_listener, _waiting, port) = hanging();
        let before = vec![Host { name: "127.0.0.1".to_owned(), port }];
        let mut world = World::new(Wish { before, ..Wish::default() }, clock).await;
        let _greeting = world.client.line(clock).await;
        world.says("EHLO c\r\nMAIL FROM:<s@x.test>\r\nRCPT TO:<a@y.test>\r\n").await;
        let mut seconds = 0;
        while live::accept_now(&world.listener, clock).await.is_none() && seconds < 2000 {
            clock.pass(Duration::from_secs(1)).await;
            seconds += 1;
        }
        within_a_tenth(seconds, Timeouts::default().connect);
    });
}

#[test]
fn h08_replies_to_mail_and_rcpt() {
    live::run(async |clock| {
        for said in ["", "250 ok\r\n"] {
            let group = GROUP.trim_end_matches("DATA\r\n");
            let mut world = World::up_to(clock, group).await;
            world.hop_says(said).await;
            let seconds = world.seconds().await;
            within_a_tenth(seconds, Timeouts::default().reply);
            assert!(world.told().starts_with("451 4.4.2"), "{}", world.told());
            world.hop_is_broken_off().await;
        }
    });
}

#[test]
fn h09_the_go_ahead_is_waited_for_less_long_than_clients_do() {
    live::run(async |clock| {
        let mut world = World::up_to(clock, GROUP).await;
        world.hop_says("250 ok\r\n250 ok\r\n").await;
        let seconds = world.seconds().await;
        within_a_tenth(seconds, Timeouts::default().data);
        assert!(seconds < 120 && world.told().starts_with("451 4.4.2"), "{}", world.told());
        world.hop_is_broken_off().await;
    });
}

#[test]
fn h10_f24_a_next_hop_that_takes_no_content_is_left_before_the_client_gives_up() {
    live::run(async |clock| {
        let mut world = World::up_to(clock, GROUP).await;
        world.hop_says("250 ok\r\n250 ok\r\n354 go\r\n").await;
        let block = b"0123456789abcdef\r\n".repeat(3641);
        let (mut sent, mut stuck) = (0, 0);
        while stuck < 20 {
            let from = sent % block.len();
            let written = world.client.push(block.get(from..).unwrap_or_default(), clock).await;
            stuck = if written == 0 { stuck + 1 } else { 0 };
            sent += written;
        }
        let mut seconds = 0;
        loop {
            let from = sent % block.len();
            let written = world.client.push(block.get(from..).unwrap_or_default(), clock).await;
            if written > 0 || seconds > 2000 {
                sent += written;
                break;
            }
            clock.pass(Duration::from_secs(1)).await;
            seconds += 1;
        }
        within_a_tenth(seconds, Timeouts::default().block);
        let rest = block.get(sent % block.len()..).unwrap_or_default();
        world.says(&String::from_utf8_lossy(&[rest, b".\r\n"].concat())).await;
        world.client.look(clock).await;
        let told = world.told();
        assert!(told.lines().last().is_some_and(|last| last.starts_with("451 4.4.2")), "{told}");
        world.hop_is_broken_off().await;
    });
}

#[test]
fn h11_g07_the_final_reply_is_waited_for_as_long_as_clients_do() {
    live::run(async |clock| {
        let mut world = World::up_to(clock, GROUP).await;
        world.hop_says("250 ok\r\n250 ok\r\n354 go\r\n").await;
        world.says("Subject: x\r\n\r\n.\r\n").await;
        let seconds = world.seconds().await;
        within_a_tenth(seconds, Timeouts::default().end_of_data);
        assert!(seconds >= 590 && world.told().contains("outcome unknown"), "{}", world.told());
        // One that is late, but in time, counts.
        let mut world = World::up_to(clock, GROUP).await;
        world.hop_says("250 ok\r\n250 ok\r\n354 go\r\n").await;
        world.says("Subject: x\r\n\r\n.\r\n").await;
        world.client.look(clock).await;
        world.client.input.clear();
        clock.pass(Duration::from_secs(500)).await;
        world.hop_says("250 2.0.0 at last\r\n").await;
        assert_eq!(world.client.reply(clock).await, "250 2.0.0 at last");
    });
}

/// A suspended machine: every deadline is over at once, at whatever each session was.
#[test]
fn h13_a_pause_longer_than_every_deadline_is_no_false_250() {
    live::run(async |clock| {
        let group = GROUP.trim_end_matches("DATA\r\n");
        let (taken, content) = ("250 ok\r\n250 ok\r\n354 go\r\n", "Subject: x\r\n\r\nbody\r\n");
        let whole = format!("{content}.\r\n");
        let stages = [
            ("", "", "", "421 4.4.2"),
            (group, "", "", "451 4.4.2"),
            (group, "250 ok\r\n", "", "451 4.4.2"),
            (GROUP, "250 ok\r\n250 ok\r\n", "", "451 4.4.2"),
            (GROUP, taken, content, "421 4.4.2"),
            (
                GROUP,
                taken,
                &whole,
                "451 4.4.2 rcptgate: the next hop was lost before its final reply",
            ),
        ];
        let mut worlds = Vec::new();
        for (commands, said, content, _) in stages {
            let mut world = World::up_to(clock, commands).await;
            if !said.is_empty() {
                world.hop_says(said).await;
            }
            world.says(content).await;
            world.client.look(clock).await;
            world.client.input.clear();
            worlds.push(world);
        }
        // One final reply came while nobody looked: it is the truth, however late it is read.
        let mut told_in_time = World::up_to(clock, GROUP).await;
        told_in_time.hop_says(taken).await;
        told_in_time.says(&whole).await;
        told_in_time.client.look(clock).await;
        told_in_time.client.input.clear();
        let hop = told_in_time.hop.as_mut().expect("a next hop");
        assert!(hop.push(b"250 2.0.0 taken\r\n", clock).await > 0);
        clock.pass(Duration::from_secs(3600)).await;
        for (world, (_, _, content, expected)) in worlds.iter_mut().zip(stages) {
            world.client.look(clock).await;
            let told = world.told();
            assert!(told.lines().all(|line| line.starts_with(expected)), "{expected}: {told}");
            assert!(!told.is_empty(), "{expected}");
            if world.hop.is_some() && !content.ends_with(".\r\n") {
                world.hop_is_broken_off().await;
            }
        }
        assert_eq!(told_in_time.client.reply(clock).await, "250 2.0.0 taken");
    });
}

#[test]
fn g09_a_connection_on_which_nothing_goes_on_is_left_and_the_client_stays() {
    live::run(async |clock| {
        let group = GROUP.trim_end_matches("DATA\r\n");
        let mut world = World::up_to(clock, &format!("{group}RSET\r\n")).await;
        world.hop_says("250 ok\r\n250 ok\r\n250 ok\r\n").await;
        world.client.look(clock).await;
        world.client.input.clear();
        clock.pass(Timeouts::default().idle_connection + Duration::from_secs(2)).await;
        let hop = world.hop.as_mut().expect("a next hop");
        hop.look(clock).await;
        assert!(hop.input.ends_with(b"QUIT\r\n"));
        world.says(group).await;
        world.connect().await;
        world.hop_says("250 ok\r\n250 welcome back\r\n").await;
        assert!(world.client.reply(clock).await.starts_with("250 2.1.0 rcptgate:"));
        assert_eq!(world.client.reply(clock).await, "250 2.0.0 welcome back");
    });
}
