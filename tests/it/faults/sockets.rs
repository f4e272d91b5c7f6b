//! The matrix over sockets: from the connection to QUIT, for SMTP and LMTP, with and without PIPELINING and TLS. The clock stands
//! still, and moves on when nobody has anything to say.

use std::sync::Arc;
use std::time::Duration;

use rcptgate::credentials::Account;
use rcptgate::event::{Act, Tenant, What};
use rcptgate::gate::Draft;
use rcptgate::proxy::route::Protection;
use rcptgate::session::Protocol;
use rcptgate::smtp::address::RecipientKey;
use rcptgate::time::Timestamp;
use rcptgate::tls::{Connector, Trust};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::harness::{Downstream, Lab, Wish};
use crate::live::{self, Clock, Peer};

/// What the next hop is to answer when it goes wrong.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Stage {
    Connect,
    Banner,
    Ehlo,
    Starttls,
    Handshake,
    EhloWithin,
    Auth,
    Mail,
    FirstRcpt,
    LaterRcpt,
    Data,
    MidContent,
    EndOfData,
    Rset,
    Quit,
}

const STAGES: [Stage; 15] = [
    Stage::Connect,
    Stage::Banner,
    Stage::Ehlo,
    Stage::Starttls,
    Stage::Handshake,
    Stage::EhloWithin,
    Stage::Auth,
    Stage::Mail,
    Stage::FirstRcpt,
    Stage::LaterRcpt,
    Stage::Data,
    Stage::MidContent,
    Stage::EndOfData,
    Stage::Rset,
    Stage::Quit,
];

#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    Reset,
    Fin,
    Silence,
    Deferred,
    Refused,
    GoodbyeAndFin,
    Goodbye,
    /// 2yz where 354 is due.
    Completion,
    /// 354 where 2yz is due.
    Intermediate,
    Garbage,
    TooLong,
    Endless,
    TwoReplies,
    /// The right reply, one byte a second.
    Drip,
}

const FAULTS: [Fault; 14] = [
    Fault::Reset,
    Fault::Fin,
    Fault::Silence,
    Fault::Deferred,
    Fault::Refused,
    Fault::GoodbyeAndFin,
    Fault::Goodbye,
    Fault::Completion,
    Fault::Intermediate,
    Fault::Garbage,
    Fault::TooLong,
    Fault::Endless,
    Fault::TwoReplies,
    Fault::Drip,
];

#[derive(Clone, Copy, Debug)]
struct Case {
    stage: Stage,
    fault: Fault,
    tls: Tls,
    protocol: Protocol,
    pipelining: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Tls {
    Off,
    Opportunistic,
    Required,
    /// Required, and the gate has a login of its own there.
    WithLogin,
}

/// One thread a surrounding: within each the cases follow each other through one gate.
#[test]
fn every_fault_at_every_stage_over_sockets() {
    std::thread::scope(|scope| {
        let (smtp, lmtp) = (Protocol::Smtp, Protocol::Lmtp);
        for (tls, protocol) in [
            (Tls::Off, smtp),
            (Tls::Off, lmtp),
            (Tls::Opportunistic, smtp),
            (Tls::Required, smtp),
            (Tls::Required, lmtp),
            (Tls::WithLogin, smtp),
            (Tls::WithLogin, lmtp),
        ] {
            scope.spawn(move || live::run(async |clock| surrounding(tls, protocol, clock).await));
        }
    });
}

async fn surrounding(tls: Tls, protocol: Protocol, clock: &Clock) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let anybody = Connector::new(&Trust::Anybody).expect("a connector");
    let protection = match tls {
        Tls::Off => Protection::Off,
        Tls::Opportunistic => Protection::Opportunistic(anybody),
        Tls::Required | Tls::WithLogin => Protection::Required(anybody),
    };
    let account = (tls == Tls::WithLogin).then(account);
    let next_hop = Downstream::at(listener.local_addr().expect("an address"));
    let lab = Lab::with(next_hop, Wish { protection, protocol, account, ..Wish::default() }).await;
    let mut world =
        World { lab, listener, acceptor: acceptor(), clock, calls: 0, learnt: 1, hops: Vec::new() };
    for stage in STAGES {
        // How the connection was opened makes no difference to what is said on it later.
        let of_tls = [Stage::Starttls, Stage::Handshake, Stage::EhloWithin].contains(&stage);
        let opening = (stage as usize) < Stage::Mail as usize;
        let elsewhere = match tls {
            Tls::Off => of_tls || stage == Stage::Auth,
            Tls::Opportunistic | Tls::Required => !opening || stage == Stage::Auth,
            Tls::WithLogin => stage != Stage::Auth,
        };
        if elsewhere {
            continue;
        }
        for fault in FAULTS {
            for pipelining in [true, false] {
                if opening && !pipelining {
                    continue;
                }
                world.play(Case { stage, fault, tls, protocol, pipelining }).await;
            }
        }
    }
}

fn account() -> Account {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), "hunter2\n").expect("written");
    Account::open("ann@x.test", file.path()).expect("an account")
}

fn acceptor() -> TlsAcceptor {
    let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).expect("a pair");
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).expect("a key");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .expect("a configuration");
    TlsAcceptor::from(Arc::new(config))
}

struct World<'a> {
    lab: Lab,
    listener: TcpListener,
    acceptor: TlsAcceptor,
    clock: &'a Clock,
    /// Connections to the next hop in this case.
    calls: usize,
    /// Addresses that the store knows, the mark among them.
    learnt: usize,
    hops: Vec<Hop>,
}

/// One connection to the next hop.
struct Hop {
    peer: Option<Peer>,
    first: bool,
    within_tls: bool,
    content: Option<Vec<u8>>,
    /// Goes out byte by byte.
    drip: Vec<u8>,
    endless: bool,
    /// Nothing more is said on it.
    mute: bool,
    accepted: usize,
}

impl World<'_> {
    async fn play(&mut self, case: Case) {
        self.hops.clear();
        self.calls = 0;
        let mut client = Peer::connect(self.lab.door).await;
        let hello = if case.protocol == Protocol::Lmtp { "LHLO" } else { "EHLO" };
        let greeting = self.replies(&mut client, 1, case).await;
        client.say(format!("{hello} client.test\r\n").as_bytes(), self.clock).await;
        let replies = [greeting, self.replies(&mut client, 1, case).await].concat();
        assert!(replies.iter().all(|reply| reply.starts_with('2')), "{case:?}: {replies:?}");
        if case.stage == Stage::Rset {
            // The next hop hears of it only when there is something to forget.
            let group = b"MAIL FROM:<s@x.test>\r\nRCPT TO:<a@y.test>\r\nRSET\r\n";
            client.say(group, self.clock).await;
            let begun = self.replies(&mut client, 3, case).await;
            assert!(begun.iter().all(|reply| reply.starts_with('2')), "{case:?}: {begun:?}");
        }
        let first = self.message(&mut client, case).await;
        self.judge(&first, case);
        let reset = self.ask(&mut client, "RSET", case).await;
        assert_eq!(reset, "250 2.0.0 rcptgate: ok", "{case:?}");
        // Whatever happened before, the session is usable and the next message passes.
        let next = self.message(&mut client, case).await;
        let passed = next.iter().all(|reply| reply.starts_with(['2', '3']));
        assert!(passed, "{case:?}: {first:?}, then {next:?}");
        assert_eq!(
            self.ask(&mut client, "QUIT", case).await,
            "221 2.0.0 rcptgate: bye",
            "{case:?}"
        );
        assert!(client.end(self.clock).await && client.input.is_empty(), "{case:?}");
        if case.stage == Stage::Quit {
            self.outlast_quit(case).await;
        }
        let happened = self.hops.first().is_some_and(|hop| !hop.first);
        assert!(happened || case.stage == Stage::Connect, "the fault never happened: {case:?}");
        for hop in &self.hops {
            let whole = hop.content.as_ref().is_some_and(|content| content.ends_with(b"\r\n.\r\n"));
            assert!(!whole, "an end that was not the client's: {case:?}");
        }
        // The writer works in order: when this is on disk, so is all that went before.
        let mark = Draft {
            at: Timestamp::now(),
            address: RecipientKey::parse("mark@mark.test").expect("an address"),
            tenant: Tenant::default(),
            what: What::Allow { act: Act::default() },
        };
        self.lab.gate.learn(mark).await.expect("on disk");
        let learnt = self.lab.gate.scan(None).expect("the store").count();
        let refused = [Fault::Refused, Fault::Deferred].contains(&case.fault);
        let about_one = [Stage::FirstRcpt, Stage::LaterRcpt].contains(&case.stage);
        assert!(learnt <= self.learnt || (refused && about_one), "{case:?} taught something");
        self.learnt = learnt;
    }

    /// What becomes of QUIT is nobody's business, but no connection is kept for it (F20).
    async fn outlast_quit(&mut self, case: Case) {
        for _ in 0..30 {
            self.turn(case).await;
            self.clock.pass(Duration::from_secs(1)).await;
        }
        assert!(self.hops.iter().all(|hop| hop.peer.is_none()), "never left: {case:?}");
    }

    async fn ask(&mut self, client: &mut Peer, line: &str, case: Case) -> String {
        client.say(format!("{line}\r\n").as_bytes(), self.clock).await;
        self.replies(client, 1, case).await.join("\n")
    }

    /// A transaction in one group; in the end as many final replies as the protocol has.
    async fn message(&mut self, client: &mut Peer, case: Case) -> Vec<String> {
        let group = b"MAIL FROM:<s@x.test>\r\nRCPT TO:<a@y.test>\r\nRCPT TO:<b@y.test>\r\nDATA\r\n";
        client.say(group, self.clock).await;
        let mut replies = self.replies(client, 4, case).await;
        if replies.last().is_some_and(|last| last.starts_with("354")) {
            let accepted = replies.iter().skip(1).filter(|reply| reply.starts_with('2')).count();
            let finals = if case.protocol == Protocol::Lmtp { accepted } else { 1 };
            client.say(b"Subject: x\r\n", self.clock).await;
            self.turn(case).await;
            client.say(b"\r\nbody\r\n.\r\n", self.clock).await;
            replies.extend(self.replies(client, finals, case).await);
        }
        replies
    }

    /// So many replies, while the next hop does what it does and, if it does nothing, time passes.
    async fn replies(&mut self, client: &mut Peer, count: usize, case: Case) -> Vec<String> {
        let mut replies = Vec::new();
        for _ in 0..2000 {
            client.look(self.clock).await;
            while replies.len() < count && has_reply(&client.input) {
                replies.push(client.reply(self.clock).await);
            }
            if replies.len() == count {
                assert!(client.input.is_empty(), "more than one reply to one command: {case:?}");
                return replies;
            }
            assert!(!client.ended, "the client was sent away: {case:?}: {replies:?}");
            if !self.turn(case).await {
                self.clock.pass(Duration::from_secs(5)).await;
            }
        }
        panic!("stuck: {case:?}: {replies:?}");
    }

    /// The next hop does what there is to do; false if that is nothing.
    async fn turn(&mut self, case: Case) -> bool {
        let mut moved = false;
        while let Some(peer) = live::accept_now(&self.listener, self.clock).await {
            moved = true;
            self.calls += 1;
            let mut hop = Hop {
                peer: Some(peer),
                first: self.calls == 1,
                within_tls: false,
                content: None,
                drip: Vec::new(),
                endless: false,
                mute: false,
                accepted: 0,
            };
            // What refuses to be connected to is closed at once: the port itself is needed for the next connection.
            let wrong = hop.first && [Stage::Connect, Stage::Banner].contains(&case.stage);
            match wrong {
                true if case.stage == Stage::Connect => hop.leave(case.fault, self.clock).await,
                true => hop.fail(case, "220 mx.test", self.clock).await,
                false => hop.say("220 mx.test\r\n", self.clock).await,
            }
            self.hops.push(hop);
        }
        for hop in &mut self.hops {
            moved |= hop.turn(case, &self.acceptor, self.clock).await;
        }
        moved
    }

    /// What the client was told of the faulty transaction.
    fn judge(&self, told: &[String], case: Case) {
        let clean = matches!(case.fault, Fault::Refused);
        for reply in told {
            assert!(!reply.starts_with("421"), "{case:?}: {told:?}");
            let last = reply.starts_with('5') && !reply.contains("no valid recipients");
            let opening = (case.stage as usize) < Stage::Mail as usize;
            assert!(!last || (clean && !opening), "{case:?}: {told:?}");
        }
        let accepted: usize = self.hops.iter().map(|hop| hop.accepted).sum();
        let finals = told.get(4..).unwrap_or_default();
        let delivered = !finals.is_empty() && finals.iter().all(|reply| reply.starts_with('2'));
        assert_eq!(delivered, accepted == 1, "a false 250 or a lost one: {case:?}: {told:?}");
        assert!(delivered || finals.iter().all(|reply| !reply.starts_with('2')), "{case:?}");
        if (case.stage as usize) < Stage::Mail as usize {
            assert_eq!(delivered, is_survived(case), "{case:?}: {told:?}");
        }
    }
}

/// Which faults of an opening are none in the end.
fn is_survived(case: Case) -> bool {
    let may_do_without = case.tls == Tls::Opportunistic;
    match (case.stage, case.fault) {
        (Stage::Handshake, _) => may_do_without,
        // Only 235 is a login.
        (Stage::Auth, fault) => fault == Fault::Drip,
        // A completion is what is due there.
        (Stage::Connect, _) => false,
        // Bare, it offers no TLS.
        (Stage::Ehlo, Fault::Completion) => case.tls != Tls::Required,
        (_, Fault::Completion | Fault::Drip) => true,
        // HELO is tried, and what TLS would have protected goes in the clear where that is allowed.
        (Stage::Ehlo, Fault::Refused) => case.tls != Tls::Required,
        (Stage::EhloWithin, Fault::Refused) => true,
        (Stage::Starttls, Fault::Refused | Fault::Deferred) => may_do_without,
        _ => false,
    }
}

fn has_reply(input: &[u8]) -> bool {
    let mut lines = input.split_inclusive(|byte| *byte == b'\n');
    lines.any(|line| line.ends_with(b"\r\n") && line.get(3) != Some(&b'-'))
}

impl Hop {
    async fn say(&mut self, text: &str, clock: &Clock) {
        if let Some(peer) = self.peer.as_mut().filter(|_| !self.mute) {
            peer.say(text.as_bytes(), clock).await;
        }
    }

    /// Closes, or breaks the connection.
    async fn leave(&mut self, fault: Fault, clock: &Clock) {
        self.mute = true;
        if let Some(peer) = self.peer.take()
            && fault == Fault::Reset
        {
            peer.reset(clock).await;
        }
    }

    /// Goes wrong where this reply is due.
    async fn fail(&mut self, case: Case, due: &str, clock: &Clock) {
        self.first = false;
        let code = due.get(..3).unwrap_or_default();
        let text = match case.fault {
            Fault::Reset | Fault::Fin => return self.leave(case.fault, clock).await,
            Fault::Silence => String::new(),
            Fault::Deferred => "451 4.2.1 not now\r\n".into(),
            Fault::Refused => "550 5.1.1 nobody\r\n".into(),
            Fault::Goodbye | Fault::GoodbyeAndFin => "421 4.3.2 bye\r\n".into(),
            Fault::Completion => "250 ok\r\n".into(),
            Fault::Intermediate => "354 go\r\n".into(),
            Fault::Garbage => "HTTP/1.1 200 OK\r\n".into(),
            Fault::TooLong => format!("{code} {}\r\n", "x".repeat(4000)),
            Fault::Endless => String::new(),
            Fault::TwoReplies => format!("{due}\r\n{due}\r\n"),
            Fault::Drip => String::new(),
        };
        self.say(&text, clock).await;
        match case.fault {
            Fault::GoodbyeAndFin => self.leave(case.fault, clock).await,
            Fault::Endless => self.endless = true,
            Fault::Drip => {
                self.say(due.get(..1).unwrap_or_default(), clock).await;
                self.drip = format!("{due}\r\n").bytes().skip(1).collect::<Vec<_>>();
                self.drip.reverse();
            }
            Fault::Silence => self.mute = true,
            Fault::Reset
            | Fault::Fin
            | Fault::Deferred
            | Fault::Refused
            | Fault::Goodbye
            | Fault::Completion
            | Fault::Intermediate
            | Fault::Garbage
            | Fault::TooLong
            | Fault::TwoReplies => {}
        }
    }

    async fn turn(&mut self, case: Case, acceptor: &TlsAcceptor, clock: &Clock) -> bool {
        if let Some(byte) = self.drip.pop() {
            let text = char::from(byte).to_string();
            self.say(&text, clock).await;
            clock.pass(Duration::from_secs(1)).await;
            return true;
        }
        let Some(peer) = &mut self.peer else { return false };
        peer.look(clock).await;
        if self.endless && !peer.ended {
            peer.say(&b"250-x\r\n".repeat(20), clock).await;
            return true;
        }
        let line = match peer.input.windows(2).position(|pair| pair == b"\r\n") {
            Some(end) => peer.input.drain(..end + 2).collect::<Vec<u8>>(),
            None => {
                if peer.ended {
                    self.peer = None;
                }
                return false;
            }
        };
        if let Some(content) = &mut self.content {
            content.extend_from_slice(&line);
            if self.first && case.stage == Stage::MidContent {
                self.fail(case, "250 ok", clock).await;
            }
            if self.content.as_ref().is_some_and(|content| content.ends_with(b"\r\n.\r\n")) {
                self.content = None;
                self.answer(".", case, acceptor, clock).await;
            }
            return true;
        }
        let line = String::from_utf8_lossy(&line).trim_end().to_owned();
        self.answer(&line, case, acceptor, clock).await;
        true
    }

    async fn answer(&mut self, line: &str, case: Case, acceptor: &TlsAcceptor, clock: &Clock) {
        let extensions = if case.pipelining { "250-PIPELINING\r\n" } else { "" };
        let (stage, due) = match line.split([' ', ':']).next().unwrap_or_default() {
            "EHLO" | "HELO" if self.within_tls => {
                let offer =
                    if case.tls == Tls::WithLogin { "AUTH PLAIN LOGIN" } else { "8BITMIME" };
                (Stage::EhloWithin, format!("250-mx.test\r\n{extensions}250 {offer}"))
            }
            "EHLO" | "HELO" => {
                let offer = if case.tls == Tls::Off { "8BITMIME" } else { "STARTTLS" };
                (Stage::Ehlo, format!("250-mx.test\r\n{extensions}250 {offer}"))
            }
            "STARTTLS" => (Stage::Starttls, "220 go".to_owned()),
            "AUTH" => (Stage::Auth, "235 2.7.0 fine".to_owned()),
            "MAIL" => (Stage::Mail, "250 fine".to_owned()),
            "RCPT" if line.contains("<a@") => (Stage::FirstRcpt, "250 fine".to_owned()),
            "RCPT" => (Stage::LaterRcpt, "250 fine".to_owned()),
            "DATA" => (Stage::Data, "354 go".to_owned()),
            "." => (Stage::EndOfData, "250 fine".to_owned()),
            "RSET" => (Stage::Rset, "250 fine".to_owned()),
            _ => (Stage::Quit, "221 bye".to_owned()),
        };
        let wrong = self.first && case.stage == stage;
        if wrong {
            self.fail(case, &due, clock).await;
        } else {
            self.say(&format!("{due}\r\n"), clock).await;
        }
        let good = !wrong || matches!(case.fault, Fault::Drip);
        // What is said behind a clean acceptance does not take it back.
        let stands = stage == Stage::EndOfData && case.fault == Fault::TwoReplies;
        let taken = good || stands || case.fault == Fault::Completion;
        if stage == Stage::EndOfData && taken && !self.mute {
            self.accepted += 1;
        } else if stage == Stage::Data && good {
            self.content = Some(Vec::new());
        } else if stage == Stage::Starttls && taken && !self.mute {
            self.secure(case, acceptor, clock).await;
        } else if stage == Stage::Quit && good {
            self.peer = None;
        }
    }

    async fn secure(&mut self, case: Case, acceptor: &TlsAcceptor, clock: &Clock) {
        // The 220 has to be on its way before anything else is.
        while let Some(byte) = self.drip.pop() {
            self.say(&char::from(byte).to_string(), clock).await;
            clock.pass(Duration::from_secs(1)).await;
        }
        if self.first && case.stage == Stage::Handshake {
            return self.fail(case, "220 this is no handshake", clock).await;
        }
        let Some(peer) = self.peer.take() else { return };
        if let Ok(stream) = acceptor.accept(peer.into_stream()).await {
            self.peer = Some(Peer::within(stream));
            self.within_tls = true;
        }
    }
}
