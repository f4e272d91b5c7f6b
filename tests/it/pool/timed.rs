//! How long, how many, and what ends one before its time: under a clock that stands still.

use std::time::Duration;

use rcptgate::proxy::{PoolLimits, Timeouts};
use tokio::net::TcpListener;

use crate::harness::{Downstream, Lab, Wish};
use crate::live::{self, Clock, Peer};

/// A gate and its next hop's port, under a clock that stands still.
struct World<'a> {
    lab: Lab,
    listener: TcpListener,
    clock: &'a Clock,
}

impl<'a> World<'a> {
    async fn new(pool: PoolLimits, clock: &'a Clock) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let next_hop = Downstream::at(listener.local_addr().expect("an address"));
        let timeouts = Timeouts { client: Duration::from_secs(3600), ..Timeouts::default() };
        let lab = Lab::with(next_hop, Wish { pool, timeouts, ..Wish::default() }).await;
        Self { lab, listener, clock }
    }

    /// A client with a recipient on its way.
    async fn client(&self) -> Peer {
        let mut client = Peer::connect(self.lab.door).await;
        let _greeting = client.line(self.clock).await;
        client
            .say(b"EHLO c.test\r\nMAIL FROM:<s@x.test>\r\nRCPT TO:<a@y.test>\r\n", self.clock)
            .await;
        client
    }

    /// The connection that is being made now, if there is one.
    async fn fresh(&self) -> Option<Peer> {
        let mut hop = live::accept_now(&self.listener, self.clock).await?;
        hop.say(b"220 mx.test\r\n", self.clock).await;
        hop.say(b"250-mx.test\r\n250 PIPELINING\r\n", self.clock).await;
        Some(hop)
    }

    /// Goes through a message; the client leaves.
    async fn message(&self, client: &mut Peer, hop: &mut Peer) {
        hop.look(self.clock).await;
        hop.input.clear();
        hop.say(b"250 ok\r\n250 ok\r\n", self.clock).await;
        client.say(b"DATA\r\n", self.clock).await;
        hop.say(b"354 go\r\n", self.clock).await;
        client.say(b"body\r\n.\r\n", self.clock).await;
        hop.look(self.clock).await;
        assert!(hop.input.ends_with(b".\r\n"), "{}", hop.input.escape_ascii());
        hop.input.clear();
        hop.say(b"250 taken\r\n", self.clock).await;
        client.say(b"QUIT\r\n", self.clock).await;
        assert!(client.end(self.clock).await);
        let said = String::from_utf8_lossy(&client.input).into_owned();
        assert!(said.contains("250 2.0.0 taken") && said.ends_with("bye\r\n"), "{said}");
        self.clock.rest().await;
    }

    /// A connection that has served a client and is kept.
    async fn kept(&self) -> Peer {
        let mut client = self.client().await;
        let mut hop = self.fresh().await.expect("a connection");
        self.message(&mut client, &mut hop).await;
        hop
    }

    /// Whether this connection serves the next client, rather than a fresh one.
    async fn serves(&self, hop: &mut Peer) -> bool {
        let mut client = self.client().await;
        match self.fresh().await {
            None => {
                self.message(&mut client, hop).await;
                true
            }
            Some(mut fresh) => {
                self.message(&mut client, &mut fresh).await;
                false
            }
        }
    }

    /// Whether it was told goodbye.
    async fn is_told_goodbye(&self, hop: &mut Peer) -> bool {
        hop.look(self.clock).await;
        hop.input.ends_with(b"QUIT\r\n")
    }
}

#[test]
fn one_that_stirs_while_it_is_kept_is_gone() {
    live::run(async |clock| {
        let world = World::new(PoolLimits::default(), clock).await;
        let mut hop = world.kept().await;
        assert!(world.serves(&mut hop).await);
        for words in ["421 4.4.2 idle\r\n", "250 ok\r\n", "2", "\0"] {
            let mut hop = world.kept_alone().await;
            hop.say(words.as_bytes(), clock).await;
            assert!(!world.serves(&mut hop).await, "{words:?}");
            assert!(hop.end(clock).await && hop.input.is_empty(), "{words:?}");
        }
        let mut hop = world.kept_alone().await;
        hop.half_close(clock).await;
        assert!(!world.serves(&mut hop).await);
        let hop = world.kept_alone().await;
        hop.reset(clock).await;
        let mut client = world.client().await;
        let mut fresh = world.fresh().await.expect("a connection");
        world.message(&mut client, &mut fresh).await;
    });
}

impl World<'_> {
    /// A connection that is kept, when no other is.
    async fn kept_alone(&self) -> Peer {
        self.clock.pass(Duration::from_secs(3600)).await;
        self.kept().await
    }
}

#[test]
fn one_is_kept_for_so_long_and_gets_so_old() {
    live::run(async |clock| {
        let seconds = Duration::from_secs;
        let world = World::new(PoolLimits::default(), clock).await;
        let mut hop = world.kept().await;
        clock.pass(Duration::from_millis(9_900)).await;
        assert!(world.serves(&mut hop).await);
        clock.pass(Duration::from_millis(9_900)).await;
        assert!(!world.is_told_goodbye(&mut hop).await);
        clock.pass(Duration::from_millis(200)).await;
        assert!(world.is_told_goodbye(&mut hop).await);
        assert!(!world.serves(&mut hop).await);

        let mut hop = world.kept_alone().await;
        for _ in 0..37 {
            clock.pass(seconds(8)).await;
            assert!(world.serves(&mut hop).await);
        }
        clock.pass(seconds(5)).await;
        assert!(world.is_told_goodbye(&mut hop).await);
    });
}

#[test]
fn so_many_are_kept_and_no_more() {
    live::run(async |clock| {
        let world = World::new(PoolLimits { alike: 2, ..PoolLimits::default() }, clock).await;
        let kept = world.three_at_once().await;
        assert_eq!(kept, 2);
        let world = World::new(PoolLimits { connections: 1, ..PoolLimits::default() }, clock).await;
        assert_eq!(world.three_at_once().await, 1);
        let world = World::new(PoolLimits::NONE, clock).await;
        assert_eq!(world.three_at_once().await, 0);
    });
}

impl World<'_> {
    /// Three connections in use at once; how many of them are kept when their clients have gone.
    async fn three_at_once(&self) -> usize {
        let mut clients = Vec::new();
        for _ in 0..3 {
            let client = self.client().await;
            clients.push((client, self.fresh().await.expect("a connection")));
        }
        let mut kept = 0;
        for (client, hop) in &mut clients {
            self.message(client, hop).await;
            kept += usize::from(!self.is_told_goodbye(hop).await);
        }
        kept
    }
}

/// Between two transactions of one client a connection is let go of for others too.
#[test]
fn one_that_its_client_does_not_use_is_let_go_of() {
    live::run(async |clock| {
        let world = World::new(PoolLimits::default(), clock).await;
        let mut first = world.client().await;
        let mut hop = world.fresh().await.expect("a connection");
        hop.say(b"250 ok\r\n250 ok\r\n", clock).await;
        first.say(b"RSET\r\n", clock).await;
        hop.say(b"250 ok\r\n", clock).await;
        clock.pass(Timeouts::default().idle_connection + Duration::from_secs(1)).await;
        assert!(world.serves(&mut hop).await);
        first.say(b"NOOP\r\n", clock).await;
        first.look(clock).await;
        assert!(first.input.ends_with(b"250 2.0.0 rcptgate: ok\r\n"));
    });
}
