//! A session between two peers that a test plays, without sockets. Whatever the test is about, the rig checks what must
//! always hold: nothing bare on the way to the next hop, no content there that the client did not send, no address there
//! that was refused, one command at a time without PIPELINING, and a deadline for every session that is not over.

mod setup;
mod wire;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use bytes::BytesMut;
use rcptgate::bounce::Stage;
use rcptgate::policy::verdict::Verdict;
use rcptgate::routing::Destination;
use rcptgate::session::{
    Action, Answered, Checked, Farewell, Finished, Input, Opened, Outputs, Sent, Session, Settings,
    Ticket, Unopened, Waiting,
};
use rcptgate::smtp::extensions::Capabilities;
use rcptgate::smtp::identity::Identity;
use rcptgate::smtp::reply::Reply;

pub use setup::{capabilities, settings};
pub use wire::Wire;

/// What the session reported besides bytes.
#[derive(Clone, Debug)]
pub enum Event {
    Answered(Answered),
    Finished(Finished),
    Renamed(Arc<Identity>),
    Untold(Reply),
}

/// One connection to the next hop.
#[derive(Debug)]
pub struct Hop {
    pub wire: Wire,
    /// What the test has not read, one entry a write.
    pub writes: VecDeque<Vec<u8>>,
    pub closed: Option<Farewell>,
    /// The next hop has gone itself: what is still written goes nowhere.
    pub gone: bool,
    lock_step: bool,
}

pub struct Rig {
    session: Session,
    out: Outputs,
    verdicts: HashMap<String, Verdict>,
    /// Where recipients go, if not all the same way.
    pub destinations: HashMap<String, Destination>,
    /// Tickets are settled at once unless the test does it.
    pub hold_tickets: bool,
    tickets: VecDeque<(String, Ticket)>,
    /// Who may log in, and with which password; `?` cannot be checked.
    pub users: HashMap<String, String>,
    /// Logins are checked at once unless the test does it.
    pub hold_logins: bool,
    logins: VecDeque<Checked>,
    client_in: BytesMut,
    client_log: Vec<u8>,
    fin: bool,
    fin_told: bool,
    /// What the client has not read.
    pub said: Vec<u8>,
    pub closed: bool,
    pub opening: bool,
    /// Which connections were asked for: whither, and whether it must be a fresh one.
    pub opens: Vec<(Option<Destination>, bool)>,
    /// Bytes for the next hop stay with the driver.
    pub stuck: bool,
    pub hops: Vec<Hop>,
    pub events: VecDeque<Event>,
}

impl Rig {
    pub fn new(settings: Settings, verdicts: HashMap<String, Verdict>) -> Self {
        let mut rig = Self {
            session: Session::new(settings),
            out: Outputs::default(),
            verdicts,
            destinations: HashMap::new(),
            hold_tickets: false,
            tickets: VecDeque::new(),
            users: HashMap::new(),
            hold_logins: false,
            logins: VecDeque::new(),
            client_in: BytesMut::new(),
            client_log: Vec::new(),
            fin: false,
            fin_told: false,
            said: Vec::new(),
            closed: false,
            opening: false,
            opens: Vec::new(),
            stuck: false,
            hops: Vec::new(),
            events: VecDeque::new(),
        };
        rig.step(Input::Accepted);
        rig
    }

    /// The client sends this in one write.
    pub fn client(&mut self, bytes: &[u8]) {
        self.client_log.extend_from_slice(bytes);
        self.client_in.extend_from_slice(bytes);
        self.pump();
    }

    /// The client shuts its side down: reported once all that it sent has been offered.
    pub fn client_fin(&mut self) {
        self.fin = true;
        self.pump();
    }

    /// The client's connection breaks: reported at once.
    pub fn client_reset(&mut self) {
        self.step(Input::ClientLost);
    }

    /// The connection that the session asked for is there.
    pub fn connect(&mut self, capabilities: Capabilities) {
        self.connected(capabilities, false);
    }

    fn connected(&mut self, capabilities: Capabilities, kept: bool) {
        assert!(std::mem::take(&mut self.opening), "nobody asked for a connection");
        self.hops.push(Hop {
            wire: Wire::default(),
            writes: VecDeque::new(),
            closed: None,
            gone: false,
            lock_step: !capabilities.pipelining,
        });
        self.step(Input::Opened(Opened { capabilities, kept }));
    }

    /// The connection that the session asked for cannot be had.
    pub fn cannot_connect(&mut self, reply: Reply) {
        assert!(std::mem::take(&mut self.opening), "nobody asked for a connection");
        self.step(Input::NotOpened(reply.into()));
    }

    /// The connection that the session asked for is there, and has served before.
    pub fn connect_kept(&mut self, capabilities: Capabilities) {
        self.connected(capabilities, true);
    }

    /// The domain takes no mail, and says so itself.
    pub fn takes_no_mail(&mut self, reply: Reply) {
        assert!(std::mem::take(&mut self.opening), "nobody asked for a connection");
        self.step(Input::NotOpened(Unopened { reply, stage: Stage::Lookup }));
    }

    /// The next hop sends this in one write.
    pub fn downstream(&mut self, bytes: &[u8]) {
        let Some(hop) = self.hops.last_mut().filter(|hop| hop.closed.is_none()) else { return };
        hop.wire.reply(bytes);
        let sent = if self.stuck { Sent::Partly } else { Sent::All };
        let mut bytes = BytesMut::from(bytes);
        // What is not used now stays in the driver's buffer; the session leaves nothing but a reply that is not complete.
        bytes = [std::mem::take(&mut hop.wire.unread), bytes].concat().as_slice().into();
        self.session.step(Input::Downstream(&mut bytes, sent), &mut self.out);
        if let Some(hop) = self.hops.last_mut() {
            hop.wire.unread = bytes;
        }
        self.pump();
    }

    /// The next hop's connection ends.
    pub fn downstream_fin(&mut self) {
        if let Some(hop) = self.hops.last_mut() {
            hop.gone = true;
        }
        self.step(Input::DownstreamClosed);
    }

    /// Likewise, if there is one and it has not ended already.
    pub fn downstream_fin_if_open(&mut self) {
        if self.hop().is_some_and(|hop| !hop.gone) {
            self.downstream_fin();
        }
    }

    /// The connection to the next hop that the session is using.
    pub fn hop(&self) -> Option<&Hop> {
        self.hops.last().filter(|hop| hop.closed.is_none())
    }

    /// Takes the replies that the client has not read: complete ones, by their last lines.
    pub fn replies(&mut self) -> Vec<String> {
        let said = String::from_utf8(std::mem::take(&mut self.said)).expect("replies are ASCII");
        assert!(said.is_empty() || said.ends_with("\r\n"), "half a line: {said}");
        let last = |line: &&str| line.get(3..4) != Some("-");
        said.split_terminator("\r\n").filter(last).map(str::to_owned).collect()
    }

    /// The time for what the session is waiting for is over.
    pub fn expire(&mut self) {
        self.expire_waiting(self.session.waiting());
    }

    /// The time for this is over, whatever the session is waiting for now.
    pub fn expire_waiting(&mut self, waiting: Waiting) {
        self.step(Input::Expired(waiting));
    }

    pub fn drain(&mut self) {
        self.step(Input::Drain);
    }

    /// The event about this address is on disk.
    pub fn settle(&mut self, address: &str) -> bool {
        let Some(at) = self.tickets.iter().position(|(whose, _)| whose == address) else {
            return false;
        };
        if let Some((_, ticket)) = self.tickets.remove(at) {
            self.step(Input::Settled(ticket));
        }
        true
    }

    /// The event that was reported first is on disk.
    pub fn settle_first(&mut self) {
        if let Some((_, ticket)) = self.tickets.pop_front() {
            self.step(Input::Settled(ticket));
        }
    }

    /// The login that was asked for first has been checked.
    pub fn checked(&mut self) -> bool {
        let checked = self.logins.pop_front();
        if let Some(checked) = checked {
            self.step(Input::Authenticated(checked));
        }
        checked.is_some()
    }

    pub fn has_tickets(&self) -> bool {
        !self.tickets.is_empty()
    }

    pub fn waiting(&self) -> Waiting {
        self.session.waiting()
    }

    fn step(&mut self, input: Input<'_>) {
        self.session.step(input, &mut self.out);
        self.pump();
    }

    /// Does what a driver does until nothing moves any more, then writes.
    fn pump(&mut self) {
        loop {
            while let Some(action) = self.out.actions.pop_front() {
                self.act(action);
            }
            if self.closed {
                break;
            }
            if self.session.wants_client() && !self.client_in.is_empty() {
                let before = self.client_in.len();
                self.session.step(Input::Client(&mut self.client_in), &mut self.out);
                if self.client_in.len() != before || !self.out.actions.is_empty() {
                    continue;
                }
            }
            // While a message's fate is open, a driver looks whether the client is still there.
            let watches = self.session.waiting() == Waiting::Downstream(Stage::EndOfData)
                && self.client_in.is_empty();
            if self.fin && !self.fin_told && (self.session.wants_client() || watches) {
                self.fin_told = true;
                self.session.step(Input::ClientClosed, &mut self.out);
                continue;
            }
            break;
        }
        self.said.extend_from_slice(&self.out.to_client.split());
        self.write();
        assert_eq!(
            self.session.waiting() == Waiting::Nothing,
            self.closed,
            "a session that is not over needs a deadline, one that is over none"
        );
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Ask(_, recipient) => {
                let address = recipient.to_string();
                let address = address.trim_matches(['<', '>']);
                let verdict = self.verdicts.get(address).cloned().unwrap_or(Verdict::Forward);
                let input = match verdict {
                    Verdict::Forward => {
                        let to = self.destinations.get(address).cloned();
                        Input::Forward(to.unwrap_or_default())
                    }
                    Verdict::Refuse(reply) | Verdict::Defer(reply) => Input::Refused(reply),
                };
                self.session.step(input, &mut self.out);
            }
            Action::Open { to, fresh } => {
                assert!(!self.opening, "asked for twice");
                self.opening = true;
                self.opens.push((to, fresh));
            }
            Action::Renamed(client) => self.events.push_back(Event::Renamed(client)),
            Action::Untold(reply) => self.events.push_back(Event::Untold(reply)),
            Action::StartTls => {
                // What is said behind the handshake must not be left over from before it.
                let said = [self.said.as_slice(), &self.out.to_client].concat();
                assert!(
                    said.ends_with(b"ready for TLS\r\n"),
                    "the handshake comes before its turn"
                );
                self.session.step(Input::Secured, &mut self.out);
            }
            Action::Authenticate(login) => {
                let known = self.users.get(&login.user).map(String::as_bytes);
                let checked = match known {
                    Some(b"?") => Checked::Unavailable,
                    Some(password) if password == login.password.expose() => Checked::Right,
                    Some(_) | None => Checked::Wrong,
                };
                if self.hold_logins {
                    self.logins.push_back(checked);
                } else {
                    self.session.step(Input::Authenticated(checked), &mut self.out);
                }
            }
            Action::LoginRelayed(_) => {}
            Action::CloseDownstream(farewell) => {
                match farewell {
                    Farewell::Keep | Farewell::Quit => self.write(),
                    // A driver drops what it has not sent: the end of a message may be in it.
                    Farewell::Abort => self.out.to_downstream.clear(),
                }
                let hop = self.hops.last_mut().expect("a connection to close");
                assert_eq!(hop.closed, None, "closed twice");
                match farewell {
                    // Whoever comes next must find nothing of anybody's.
                    Farewell::Keep => {
                        assert!(!hop.wire.in_content(), "kept within content");
                        assert_eq!(hop.wire.unanswered(), 0, "kept with a reply to come");
                        assert!(hop.wire.unread.is_empty() && !hop.gone, "kept out of step");
                    }
                    Farewell::Quit => assert!(!hop.wire.in_content(), "QUIT within content"),
                    Farewell::Abort => {}
                }
                hop.closed = Some(farewell);
            }
            Action::CloseClient => {
                assert!(!self.closed, "closed twice");
                self.closed = true;
                let left = self.hops.last().is_some_and(|hop| hop.closed.is_none());
                assert!(!left, "the client's session ends, the next hop's must not stay");
            }
            Action::Answered(answered) => {
                if let Some(ticket) = answered.ticket {
                    let address = answered.recipient.to_string();
                    if self.hold_tickets {
                        let whose = address.trim_matches(['<', '>']).to_owned();
                        self.tickets.push_back((whose, ticket));
                    } else {
                        self.session.step(Input::Settled(ticket), &mut self.out);
                    }
                }
                self.events.push_back(Event::Answered(answered));
            }
            Action::Finished(finished) => self.events.push_back(Event::Finished(finished)),
        }
    }

    fn write(&mut self) {
        let bytes = self.out.to_downstream.split();
        if bytes.is_empty() {
            return;
        }
        let hop = self.hops.last_mut().expect("a connection to write to");
        assert_eq!(hop.closed, None, "written to a connection that was closed");
        if hop.gone {
            return;
        }
        hop.wire.command(&bytes);
        hop.wire.check(&self.client_log);
        if hop.lock_step {
            assert!(hop.wire.unanswered() <= 1, "two commands at once: {:?}", hop.wire);
        }
        let text = String::from_utf8_lossy(&bytes);
        for (address, verdict) in &self.verdicts {
            let refused = !matches!(verdict, Verdict::Forward);
            assert!(!(refused && text.contains(&format!("RCPT TO:<{address}>"))), "{address}");
        }
        hop.writes.push_back(bytes.to_vec());
    }
}
