//! Next hops that say anything, to a client of LMTP: the only one there is, and several behind a splitter.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::BytesMut;
use rcptgate::routing::Destination;
use rcptgate::session::splitter::{self, Bounds, Place, Splitter};
use rcptgate::session::{
    Action, Auth, ClientTls, Input, Limits, Outputs, Protocol, Sent, Session, Settings, TellClient,
};
use rcptgate::smtp::address::Recipient;
use rcptgate::smtp::extensions::Capabilities;
use rcptgate::smtp::identity::Identity;
use rcptgate::smtp::reply::Reply;

/// What the client says, each when all before has been answered; content only behind a go-ahead.
const HELLO: &[u8] = b"LHLO c.test\r\n";
const MAIL: &[u8] = b"MAIL FROM:<s@x.test>\r\nRCPT TO:<a@y.test>\r\nRCPT TO:<b@y.test>\r\nRCPT TO:<a@y.test>\r\nDATA\r\n";
const CONTENT: &[u8] = b"..x\r\n.\r\n";
const QUIT: &[u8] = b"NOOP\r\nQUIT\r\n";

/// A next hop of LMTP that says a line of this whenever it is listened to, and then hangs up; the first octet says what it can do.
pub fn lmtp(bytes: &[u8]) {
    let Some((offers, said)) = bytes.split_first() else { return };
    let lines: VecDeque<&[u8]> = said.split_inclusive(|byte| *byte == b'\n').collect();
    let ehlo = if offers % 2 == 1 { "mx.test\nPIPELINING" } else { "mx.test" };
    let there = Capabilities { lmtp: true, ..Capabilities::from_ehlo(ehlo) };
    let mut world = World::new(there, lines);
    // The greeting.
    world.settle(1);
    world.says(HELLO, 1);
    world.says(MAIL, 5);
    let replies = world.replies();
    let [.., one, two, three, data] = replies.as_slice() else { panic!("{replies:?}") };
    let accepted = [one, two, three].into_iter().filter(|reply| reply.starts_with('2')).count();
    assert!(!data.starts_with('2'), "{data}");
    assert!(!has_end(&world.to_hop), "an end that the client did not send");
    if data.starts_with("354") {
        assert_ne!(accepted, 0, "content for nobody");
        world.says(CONTENT, accepted);
        let replies = world.replies();
        let finals = replies.get(replies.len() - accepted..).unwrap_or_default();
        let taken = finals.iter().filter(|reply| reply.starts_with('2')).count();
        assert!(taken <= world.good_ends, "a false 250: {finals:?}");
        assert!(taken == 0 || world.to_hop.ends_with(b"\r\n.\r\n") || has_end(&world.to_hop));
    }
    world.says(QUIT, 2);
    assert!(world.closed, "QUIT");
}

fn has_end(sent: &[u8]) -> bool {
    sent.windows(5).any(|five| five == b"\r\n.\r\n")
}

struct World<'a> {
    session: Session,
    out: Outputs,
    client: BytesMut,
    there: Capabilities,
    lines: VecDeque<&'a [u8]>,
    hop: BytesMut,
    open: bool,
    closed: bool,
    told: Vec<u8>,
    to_hop: Vec<u8>,
    /// Lines of acceptance that the next hop said when it had the end.
    good_ends: usize,
    due: usize,
}

impl<'a> World<'a> {
    fn new(there: Capabilities, lines: VecDeque<&'a [u8]>) -> Self {
        let mut world = Self {
            session: Session::new(settings()),
            out: Outputs::default(),
            client: BytesMut::new(),
            there,
            lines,
            hop: BytesMut::new(),
            open: false,
            closed: false,
            told: Vec::new(),
            to_hop: Vec::new(),
            good_ends: 0,
            due: 0,
        };
        world.step(Input::Accepted);
        world
    }

    fn says(&mut self, bytes: &[u8], replies: usize) {
        self.client.extend_from_slice(bytes);
        self.settle(replies);
    }

    /// Everything moves until so many more replies have come, and no further.
    fn settle(&mut self, replies: usize) {
        self.due += replies;
        loop {
            let before = (self.client.len(), self.told.len());
            if self.session.wants_client() && !self.client.is_empty() {
                let mut client = std::mem::take(&mut self.client);
                self.step(Input::Client(&mut client));
                self.client = client;
                if before != (self.client.len(), self.told.len()) {
                    continue;
                }
            }
            if self.replies().len() >= self.due {
                break;
            }
            assert!(self.open, "it waits for nothing: {:?}", self.replies());
            match self.lines.pop_front() {
                Some(line) => {
                    self.good_ends += usize::from(has_end(&self.to_hop) && line.starts_with(b"2"));
                    self.hop.extend_from_slice(line);
                    let mut hop = std::mem::take(&mut self.hop);
                    self.step(Input::Downstream(&mut hop, Sent::All));
                    self.hop = hop;
                }
                None => {
                    self.open = false;
                    self.step(Input::DownstreamClosed);
                }
            }
        }
        assert_eq!(self.replies().len(), self.due, "one for each: {:?}", self.replies());
    }

    fn step(&mut self, input: Input<'_>) {
        self.session.step(input, &mut self.out);
        while let Some(action) = self.out.actions.pop_front() {
            let next = match action {
                Action::Ask(..) => Some(Input::Forward(Destination::default())),
                Action::Open { .. } if self.lines.is_empty() => {
                    let nobody = Reply::from_text("451 4.4.1 rcptgate: nobody").expect("a reply");
                    Some(Input::NotOpened(nobody.into()))
                }
                Action::Open { .. } => {
                    self.open = true;
                    self.hop.clear();
                    Some(Input::Opened(self.there.into()))
                }
                Action::CloseDownstream(_) => {
                    self.out.to_downstream.clear();
                    self.open = false;
                    None
                }
                Action::CloseClient => {
                    self.closed = true;
                    None
                }
                Action::Answered(answered) => answered.ticket.map(Input::Settled),
                Action::StartTls
                | Action::Authenticate(_)
                | Action::LoginRelayed(_)
                | Action::Finished(_)
                | Action::Renamed(_)
                | Action::Untold(_) => None,
            };
            if let Some(next) = next {
                self.session.step(next, &mut self.out);
            }
        }
        self.told.extend_from_slice(&self.out.to_client.split());
        self.to_hop.extend_from_slice(&self.out.to_downstream.split());
    }

    fn replies(&self) -> Vec<String> {
        last_lines(&self.told)
    }
}

fn last_lines(told: &[u8]) -> Vec<String> {
    let text = std::str::from_utf8(told).expect("ASCII");
    let last = |line: &&str| line.get(3..4) != Some("-");
    text.split_terminator("\r\n").filter(last).map(str::to_owned).collect()
}

fn settings() -> Settings {
    Settings {
        hostname: "gate.test".into(),
        instance: "".into(),
        offer: Capabilities::GATE,
        limits: Limits::default(),
        may_relay: true,
        tls: ClientTls::Off,
        protocol: Protocol::Lmtp,
        auth: Auth::Off,
        auth_required: false,
        xforward: true,
        client: Arc::new(Identity::of("192.0.2.1".parse().expect("an address"), 4711)),
        xclient: None,
        tell_client: TellClient::Off,
        keys: Arc::default(),
    }
}

/// A splitter between neighbours who say anything. Each line begins with who it is: `>` the outer session, a digit that inner one,
/// `!` and a digit the end of that one, `-` the time for final replies.
pub fn splitter(bytes: &[u8]) {
    let bounds = Bounds { destinations: 3, pending: 20, line: 200, content_line: 200 };
    let domain = |to: &Recipient| to.key().map_or_else(String::new, |key| key.domain().to_owned());
    let mut neighbours = Neighbours {
        splitter: Splitter::new("c.test", Box::new(domain), bounds),
        out: splitter::Outputs::default(),
        outer: BytesMut::new(),
        places: Vec::new(),
        sent: Vec::new(),
        told: Vec::new(),
    };
    // What was said to the splitter: lines that may be ends, and lines that accept.
    let (mut ends, mut lines, mut recipients, mut good) = (0, 0, 0, 0);
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        let (who, said) = line.split_at(1);
        let said = [said.strip_suffix(b"\n").unwrap_or(said), b"\r\n"].concat();
        match who {
            b">" => {
                ends += usize::from(said == b".\r\n");
                lines += 1;
                recipients += usize::from(said.to_ascii_uppercase().starts_with(b"RCPT"));
                neighbours.outer(&said);
            }
            b"!" => neighbours.inner(said.first(), None),
            b"-" => neighbours.step(splitter::Input::Late),
            of => {
                good += usize::from(said.starts_with(b"2"));
                neighbours.inner(of.first(), Some(&said));
            }
        }
    }
    for sent in &neighbours.sent {
        let got = usize::from(sent.starts_with(b".\r\n"))
            + sent.windows(5).filter(|five| *five == b"\r\n.\r\n").count();
        assert!(got <= ends, "{got} ends where {ends} came");
    }
    let told = last_lines(&neighbours.told);
    let passed_on = |reply: &&String| reply.starts_with('2') && !reply.contains(" rcptgate: ");
    let accepting = told.iter().filter(passed_on).count();
    assert!(accepting <= good, "{accepting} acceptances of {good}: {told:?}");
    assert!(told.len() <= lines + ends * recipients, "{told:?}");
}

struct Neighbours {
    splitter: Splitter<String>,
    out: splitter::Outputs<String>,
    outer: BytesMut,
    /// In the order in which they were started; without those that have gone.
    places: Vec<Option<Place>>,
    /// What each was sent.
    sent: Vec<Vec<u8>>,
    told: Vec<u8>,
}

impl Neighbours {
    fn outer(&mut self, said: &[u8]) {
        self.outer.extend_from_slice(said);
        self.offer();
    }

    /// What the outer session has said is taken when it is wanted.
    fn offer(&mut self) {
        while self.splitter.wants_outer() && !self.outer.is_empty() {
            let before = self.outer.len();
            let mut outer = std::mem::take(&mut self.outer);
            self.splitter.step(splitter::Input::Outer(&mut outer), &mut self.out);
            self.outer = outer;
            self.act();
            if self.outer.len() == before {
                break;
            }
        }
    }

    /// Says something, or ends.
    fn inner(&mut self, which: Option<&u8>, said: Option<&[u8]>) {
        let index = which.map_or(0, |digit| usize::from(digit.wrapping_sub(b'0')));
        let Some(slot) = self.places.get_mut(index) else { return };
        let Some(place) = *slot else { return };
        match said {
            Some(said) => {
                let mut said = BytesMut::from(said);
                self.step(splitter::Input::Inner(place, &mut said));
            }
            None => {
                *slot = None;
                self.step(splitter::Input::InnerEnded(place));
            }
        }
    }

    fn step(&mut self, input: splitter::Input<'_>) {
        self.splitter.step(input, &mut self.out);
        self.act();
        self.offer();
    }

    fn act(&mut self) {
        while let Some(action) = self.out.actions.pop_front() {
            let at = |place: Place| self.places.iter().position(|of| *of == Some(place));
            match action {
                splitter::Action::Open(place, _) => {
                    self.places.push(Some(place));
                    self.sent.push(Vec::new());
                    let open = self.places.iter().flatten().count();
                    assert!(open <= 3, "{open} at a time");
                }
                splitter::Action::Send(place, bytes) => {
                    let at = at(place).expect("it is there");
                    self.sent.get_mut(at).expect("its log").extend_from_slice(&bytes);
                }
                splitter::Action::Close(place) => {
                    let at = at(place).expect("closed once");
                    *self.places.get_mut(at).expect("its place") = None;
                }
            }
        }
        self.told.extend_from_slice(&self.out.to_outer.split());
    }
}
