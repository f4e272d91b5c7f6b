//! A next hop in memory: a splitter, behind which each destination has a connection of its own.
//!
//! The outer connection faces the client and has the splitter for its next hop; the inner ones have it for their client. Who may
//! relay, how much, TLS and logins are the outer one's business; judging, learning, and the log and figures of mail that of the
//! inner ones, which know where it went. See [`Part`].
//!
//! Content goes at the pace of the slowest: nothing more is taken from the outer connection while a buffer is full. An inner one
//! whose next hop takes nothing gives it up when the time for a block is over and then throws away what comes, so the others wait no
//! longer than that.

use std::collections::BTreeMap;
use std::future::{Future as _, poll_fn};
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::DuplexStream;
use tokio::time::{Instant, Sleep};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::downstream::{Leg, NextHop};
use super::report::{Part, Reporter, Who};
use super::route::Routes;
use super::side::{Reading, Side};
use super::stream::Stream;
use super::{Door, DoorSettings, connection};
use crate::routing::Destination;
use crate::session::splitter::{Action, Bounds, Input, Outputs, Place, Splitter};
use crate::session::{Auth, ClientTls, Limits, Protocol, Settings};
use crate::smtp::address::Recipient;
use crate::smtp::extensions::{Capabilities, Extension};
use crate::smtp::identity::{Attributes, Identity};

/// Octets under way in each direction between two connections of ours.
const PIPE: usize = 16 * 1024;
/// Octets that wait for a connection above which nothing more is taken from the others.
const HIGH_WATER: usize = 32 * 1024;
/// Destinations of one message, and inner connections of one outer: each may have a socket.
const DESTINATIONS: usize = 100;
/// Behind the time for the reply to an end of data: the inner connections have the first word. Clients wait ten seconds longer than
/// that time.
const MARGIN: Duration = Duration::from_secs(5);

/// On whose behalf inner connections speak.
pub(super) struct Behalf {
    pub(super) who: Who,
    pub(super) client: Identity,
    /// Where it comes from, if that is not said of it.
    pub(super) from: IpAddr,
    /// Where what is started here runs: the outer connection's place is not given back before it has ended.
    pub(super) tasks: TaskTracker,
}

/// A connection to a splitter of its own. Nothing else is connected to before a recipient passes.
pub(super) fn open(door: &Arc<Door>, behalf: Behalf) -> Leg {
    let (near, far) = tokio::io::duplex(PIPE);
    let limits = &door.settings.limits;
    let bounds = Bounds {
        destinations: DESTINATIONS,
        pending: limits.pipeline,
        // A line of ours is canonical, and by that longer than the client's by a few octets.
        line: limits.line.saturating_mul(2).max(LINE_MIN),
        content_line: limits.content_line,
    };
    let outbound = Arc::clone(&door.outbound);
    let destination = move |recipient: &Recipient| destination(&outbound.routes, recipient);
    let hello = behalf.client.helo.as_deref().unwrap_or(&door.settings.hostname);
    let tasks = behalf.tasks.clone();
    let fanout = Fanout {
        splitter: Splitter::new(hello, Box::new(destination), bounds),
        out: Outputs::default(),
        outer: Side::new(Stream::Memory(far)),
        inners: BTreeMap::new(),
        door: Arc::clone(door),
        behalf,
    };
    tasks.spawn(fanout.run());
    let next_hop = NextHop {
        name: String::new(),
        receiver: String::new(),
        tls: "",
        trust: "",
        capabilities: capabilities(door),
        key: None,
        born: Instant::now(),
    };
    Leg {
        stream: Stream::Memory(near),
        next_hop: Arc::new(next_hop),
        places: Vec::new(),
        kept: false,
    }
}

/// XFORWARD has lines of up to 512 octets.
const LINE_MIN: usize = 1024;

/// What the client is offered over a splitter: chunks are not split.
pub(super) fn offer(door: &Door) -> Capabilities {
    door.outbound.routes.offer().without(&[Extension::Chunking])
}

fn capabilities(door: &Door) -> Capabilities {
    Capabilities { lmtp: true, xforward: Attributes::XFORWARD, ..offer(door) }
}

/// What has no way out is refused by an inner connection like any other.
fn destination(routes: &Routes, recipient: &Recipient) -> Option<Destination> {
    routes.destination(recipient).ok()
}

struct Fanout {
    splitter: Splitter<Option<Destination>>,
    out: Outputs<Option<Destination>>,
    outer: Side,
    inners: BTreeMap<Place, Inner>,
    door: Arc<Door>,
    behalf: Behalf,
}

struct Inner {
    side: Side,
    unsent: BytesMut,
}

impl Fanout {
    async fn run(mut self) {
        let mut deadline: Option<Pin<Box<Sleep>>> = None;
        while !self.splitter.is_over() {
            deadline = match deadline.filter(|_| self.splitter.awaits_finals()) {
                None if self.splitter.awaits_finals() => {
                    let due = Instant::now() + self.door.settings.timeouts.end_of_data + MARGIN;
                    Some(Box::pin(tokio::time::sleep_until(due)))
                }
                since => since,
            };
            poll_fn(|context| self.poll_peers(context, deadline.as_mut())).await;
            self.feed();
            self.act();
        }
    }

    /// Waits until something has moved.
    fn poll_peers(
        &mut self,
        context: &mut Context<'_>,
        deadline: Option<&mut Pin<Box<Sleep>>>,
    ) -> Poll<()> {
        let mut moved = false;
        if self.outer.has_to_send(&self.out.to_outer) {
            let sent = self.outer.poll_drain(context, &mut self.out.to_outer);
            if let Poll::Ready(Err(_)) = sent {
                // Else it would be tried, and fail, without end while a next hop takes no content.
                self.out.to_outer.clear();
                self.outer.state = Reading::Ended;
            }
            moved |= sent.is_ready();
        }
        let hears = self.out.to_outer.len() < HIGH_WATER;
        for Inner { side, unsent } in self.inners.values_mut() {
            if side.has_to_send(unsent) {
                let sent = side.poll_drain(context, unsent);
                // What it said before it ended is still read.
                if let Poll::Ready(Err(_)) = sent {
                    unsent.clear();
                }
                moved |= sent.is_ready();
            }
            moved |= hears && side.state == Reading::Open && side.poll_fill(context).is_ready();
        }
        // What is not wanted is read all the same, up to a bound, so that an end shows.
        let wanted = self.splitter.wants_outer() && self.have_room();
        moved |= (wanted || self.outer.input.is_empty())
            && self.outer.state == Reading::Open
            && self.outer.poll_fill(context).is_ready();
        if let Some(deadline) = deadline
            && deadline.as_mut().poll(context).is_ready()
        {
            self.splitter.step(Input::Late, &mut self.out);
            moved = true;
        }
        if moved { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Gives the splitter what has been read, the replies first.
    fn feed(&mut self) {
        let Self { splitter, out, .. } = self;
        for (place, Inner { side, .. }) in &mut self.inners {
            if !side.input.is_empty() {
                splitter.step(Input::Inner(*place, &mut side.input), out);
            }
            if side.state == Reading::Ended {
                side.state = Reading::Told;
                splitter.step(Input::InnerEnded(*place), out);
            }
        }
        self.inners.retain(|_, inner| inner.side.state != Reading::Told);
        if !self.outer.input.is_empty() && self.splitter.wants_outer() && self.have_room() {
            self.splitter.step(Input::Outer(&mut self.outer.input), &mut self.out);
        }
        let used = self.outer.input.is_empty() || !self.splitter.wants_outer();
        if self.outer.state == Reading::Ended && used {
            self.outer.state = Reading::Told;
            self.splitter.step(Input::OuterEnded, &mut self.out);
        }
    }

    /// Whether the slowest can be given more.
    fn have_room(&self) -> bool {
        self.inners.values().all(|inner| inner.unsent.len() < HIGH_WATER)
    }

    fn act(&mut self) {
        while let Some(action) = self.out.actions.pop_front() {
            match action {
                Action::Open(place, _) => {
                    let side = Side::new(Stream::Memory(self.start()));
                    self.inners.insert(place, Inner { side, unsent: BytesMut::new() });
                }
                Action::Send(place, bytes) => {
                    if let Some(inner) = self.inners.get_mut(&place) {
                        inner.unsent.extend_from_slice(&bytes);
                    }
                }
                Action::Close(place) => drop(self.inners.remove(&place)),
            }
        }
    }

    /// Starts a connection for a destination; our end of it.
    fn start(&self) -> DuplexStream {
        let (near, far) = tokio::io::duplex(PIPE);
        let door = Arc::new(inner_door(&self.door));
        let settings = inner_settings(&door, &self.behalf.client);
        let from = self.behalf.client.address.unwrap_or(self.behalf.from);
        let reporter = Reporter::behind(Arc::clone(&door), self.behalf.who.clone());
        self.behalf.tasks.spawn(connection::run_inner(far, settings, reporter, door, from));
        near
    }
}

/// The same door for one destination, which the session has from its first recipient. The end of the program is told to the outer connection, which lets a transaction end.
fn inner_door(door: &Door) -> Door {
    Door {
        gate: door.gate.clone(),
        outbound: Arc::clone(&door.outbound),
        metrics: Arc::clone(&door.metrics),
        tally: door.tally.clone(),
        addresses: door.addresses,
        // At what pace content comes is the outer connection's question, too.
        settings: DoorSettings { data_rate: 0, ..door.settings.clone() },
        drain: CancellationToken::new(),
        halt: door.halt.clone(),
    }
}

/// What is left of a client's rights and bounds when the outer connection has seen to them.
fn inner_settings(door: &Door, client: &Identity) -> Settings {
    let settings = &door.settings;
    let (line, none) = (settings.limits.line.saturating_mul(2).max(LINE_MIN), u32::MAX);
    let (errors, junk, transactions) = (none, none, none);
    Settings {
        hostname: Arc::clone(&settings.hostname),
        instance: Arc::clone(&door.outbound.own.instance),
        offer: offer(door),
        limits: Limits { line, errors, junk, transactions, ..settings.limits },
        may_relay: true,
        xforward: true,
        client: Arc::new(client.clone()),
        xclient: None,
        tell_client: settings.tell_client,
        keys: Arc::clone(&settings.keys),
        // Whether there is TLS with the client was the outer connection's question, as is what depends on it.
        tls: ClientTls::Up,
        auth: Auth::Off,
        auth_required: false,
        // Each recipient has an end of its own, also where the next hop has one for each.
        protocol: Protocol::Lmtp,
    }
}

impl Part {
    /// Of a connection that a client makes to this door.
    pub(super) fn of(door: &Door) -> Self {
        match door.settings.protocol {
            Protocol::Lmtp if door.outbound.routes.fan_out() => Self::Client,
            Protocol::Lmtp | Protocol::Smtp => Self::Both,
        }
    }
}
