//! One session between two sockets, with its deadlines.
//!
//! A single task drives both legs, so nothing is handed between threads. Replies and commands of one step leave in one write.
//! All reads and writes go on side by side: a peer that only writes cannot lock up one that only writes.

mod act;
mod intercepted;

use std::future::{Future, poll_fn};
use std::net::{IpAddr, SocketAddr};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::BytesMut;
use tokio::io::DuplexStream;
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::JoinSet;
use tokio::time::{Sleep, timeout};
use tokio_util::sync::WaitForCancellationFuture;
use tokio_util::task::TaskTracker;

use super::deadline::Watch;
use super::downstream::{Leg, NextHop};
use super::header;
use super::report::{Part, Reporter};
use super::side::{NEXT_READ, Reading, Side};
use super::stream::Stream;
use super::{Door, DoorSettings, Timeouts, fanout};
use crate::bounce::Stage;
use crate::credentials::Checked;
use crate::session::{
    Access, Action, ClientTls, Input, Outputs, Sent, Session, Settings, TellClient, Ticket,
    Unopened, Waiting,
};
use crate::smtp::extensions::Capabilities;
use crate::smtp::identity::Identity;
use intercepted::{Intercepted, intercepted};

/// Bytes waiting for the next hop above which no content is taken from the client.
const HIGH_WATER: usize = NEXT_READ;
/// Room that is kept between two messages.
const KEPT: usize = 8 * 1024;

/// A login that is being checked.
type Checking = Pin<Box<dyn Future<Output = (String, Checked)> + Send>>;
type Opening = Pin<Box<dyn Future<Output = Result<Leg, Unopened>> + Send>>;

/// Drives one session to its end.
pub(super) async fn run(
    mut stream: TcpStream,
    peer: SocketAddr,
    number: u64,
    door: Arc<Door>,
    timeouts: Timeouts,
) {
    let _ = stream.set_nodelay(true);
    let mut client = peer;
    if DoorSettings::lists(&door.settings.proxies, peer.ip()) {
        match timeout(timeouts.proxy_header, header::read(&mut stream)).await {
            Ok(Ok(given)) => client = given.unwrap_or(peer),
            // Who the client is cannot be told, so whether it may relay cannot either.
            Ok(Err(_)) | Err(_) => {
                door.metrics.session_refused("proxy_header");
                tracing::warn!(event = "proxy_header", result = "failed", peer = %peer.ip());
                return;
            }
        }
    }
    let original = match intercepted(&door, &stream, client).await {
        Intercepted::No => None,
        Intercepted::Reached(original, leg) => Some((original, leg)),
        Intercepted::Refused => return,
    };
    let offer = match &original {
        Some((_, leg)) => leg.next_hop.capabilities.offered_over(),
        None => door.outbound.routes.offer(),
    };
    let settings = session_settings(&door, client, offer);
    let mut side = Side::new(Stream::Clear(stream));
    let reporter = Reporter::new(Arc::clone(&door), client, number);
    if settings.tls == ClientTls::Up {
        let (patience, acceptor) = (timeouts.handshake, &door.settings.acceptor);
        let mut nothing = BytesMut::new();
        let handshake = timeout(patience, Box::pin(side.secure(&mut nothing, acceptor.as_ref())));
        if !handshake.await.unwrap_or(false) {
            return reporter.handshake_failed();
        }
    }
    let spoke_first = side.speaks_first(timeouts.greeting).await;
    let mut connection = Connection::new(side, settings, reporter, door, timeouts, client.ip());
    if let Some((address, leg)) = original {
        connection.original = Some(address);
        let opened = connection.take_leg(leg);
        connection.session.begins_with(opened);
    }
    let behind = connection.behind.clone();
    connection.drive(if spoke_first { Input::SpokeFirst } else { Input::Accepted }).await;
    behind.close();
    behind.wait().await;
}

/// Drives one inner session to its end: its client is a splitter, which knows when it will be greeted.
pub(super) async fn run_inner(
    stream: DuplexStream,
    settings: Settings,
    reporter: Reporter,
    door: Arc<Door>,
    client: IpAddr,
) {
    let side = Side::new(Stream::Memory(stream));
    let timeouts = door.settings.timeouts;
    Connection::new(side, settings, reporter, door, timeouts, client).drive(Input::Accepted).await;
}

fn session_settings(door: &Door, client: SocketAddr, offer: Capabilities) -> Settings {
    let settings = &door.settings;
    // The connections behind learn from XFORWARD what message it is; they know what their next hops are to be told.
    let (offer, tell_client) = match Part::of(door) {
        Part::Client => (fanout::offer(door), TellClient::Xforward),
        Part::Both | Part::Mail => (offer, settings.tell_client),
    };
    Settings {
        hostname: Arc::clone(&settings.hostname),
        instance: Arc::clone(&door.outbound.own.instance),
        offer: offer.without(&settings.withhold),
        limits: settings.limits,
        may_relay: DoorSettings::lists(&settings.clients, client.ip()),
        xforward: DoorSettings::lists(&settings.xforward, client.ip()),
        client: Arc::new(Identity::of(client.ip(), client.port())),
        xclient: DoorSettings::lists(&settings.xclient, client.ip()).then(|| {
            let (clients, xforward) = (settings.clients.clone(), settings.xforward.clone());
            Arc::new(Access { clients, xforward })
        }),
        tell_client,
        keys: Arc::clone(&settings.keys),
        tls: settings.tls,
        auth: settings.auth,
        auth_required: settings.auth_required,
        protocol: settings.protocol,
    }
}

/// What woke the driver.
enum Woken {
    FromClient,
    ToClient(std::io::Result<()>),
    FromDownstream,
    ToDownstream(std::io::Result<()>),
    Opened(Result<Leg, Unopened>),
    Settled(Ticket),
    Checked(String, Checked),
    Deadline,
    Drain,
    Halt,
}

/// The ends that may come from outside. Waited for once and not anew at every turn: all sessions share their locks.
struct Ends<'drive, 'door> {
    drain: Pin<&'drive mut WaitForCancellationFuture<'door>>,
    halt: Pin<&'drive mut WaitForCancellationFuture<'door>>,
    drained: bool,
}

/// From whom bytes are wanted now.
#[derive(Clone, Copy)]
struct Wanted {
    client: bool,
    leg: bool,
}

/// In a box: a future has room for each copy of what is moved through it, and an idle session is little else.
struct Connection {
    door: Arc<Door>,
    timeouts: Timeouts,
    session: Session,
    out: Outputs,
    client: Side,
    leg: Option<Side>,
    /// The last next hop.
    next_hop: Option<Arc<NextHop>>,
    /// Its connection's places among those in use.
    places: Vec<OwnedSemaphorePermit>,
    /// Where the client was going when its connection was redirected to us.
    original: Option<SocketAddr>,
    peer: IpAddr,
    opening: Option<Opening>,
    checking: Option<Checking>,
    settling: JoinSet<Ticket>,
    reporter: Reporter,
    /// The client's STARTTLS has been answered: the handshake comes next.
    upgrade: bool,
    /// What it has started that may outlive it: see `fanout`.
    behind: TaskTracker,
}

impl Connection {
    fn new(
        client: Side,
        settings: Settings,
        reporter: Reporter,
        door: Arc<Door>,
        timeouts: Timeouts,
        peer: IpAddr,
    ) -> Box<Self> {
        Box::new(Self {
            session: Session::new(settings),
            out: Outputs::default(),
            client,
            leg: None,
            opening: None,
            checking: None,
            settling: JoinSet::new(),
            reporter,
            door,
            timeouts,
            next_hop: None,
            places: Vec::new(),
            original: None,
            peer: peer.to_canonical(),
            upgrade: false,
            behind: TaskTracker::new(),
        })
    }

    async fn drive(mut self: Box<Self>, first: Input<'_>) {
        let mut sleep = Box::pin(tokio::time::sleep(self.timeouts.client));
        let mut watch = Watch::default();
        let door = Arc::clone(&self.door);
        let drain = pin!(door.drain.cancelled());
        let halt = pin!(door.halt.cancelled());
        let mut ends = Ends { drain, halt, drained: false };
        self.session.step(first, &mut self.out);
        while self.act() && self.secure().await {
            watch.set(&self.session, &self.timeouts, sleep.as_mut());
            let before = self.client.input.len();
            let woken = self.wait(sleep.as_mut(), &mut ends).await;
            let taken = self.client.input.len().saturating_sub(before);
            match woken {
                Woken::FromClient | Woken::FromDownstream | Woken::ToDownstream(Ok(())) => {}
                Woken::ToClient(Ok(())) => {}
                Woken::ToClient(Err(_)) => self.client_is_lost(),
                Woken::ToDownstream(Err(_)) => self.downstream_is_lost(),
                Woken::Opened(result) => self.opened(result),
                Woken::Settled(ticket) => self.session.step(Input::Settled(ticket), &mut self.out),
                Woken::Checked(user, checked) => self.checked(&user, checked),
                Woken::Deadline if self.expired() => watch = Watch::default(),
                Woken::Deadline => {}
                Woken::Drain => {
                    ends.drained = true;
                    self.session.step(Input::Drain, &mut self.out);
                }
                Woken::Halt => break,
            }
            watch.took(taken, self.door.settings.data_rate);
            self.feed();
            if self.has_nobody_to_tell() {
                break;
            }
        }
        Box::pin(self.leave()).await;
    }

    /// Waits for whatever comes first. Writes come first, so that what is owed leaves before more is taken in.
    async fn wait(&mut self, mut deadline: Pin<&mut Sleep>, ends: &mut Ends<'_, '_>) -> Woken {
        // What the session does not want yet is read all the same, up to a bound: only so a client that is gone is noticed before
        // the next hop's time is over.
        let wants_client = self.client.state == Reading::Open
            && (self.session.wants_client() || self.client.has_room())
            && self.out.to_downstream.len() < HIGH_WATER
            && self.out.to_client.len() < HIGH_WATER;
        // A client that reads no replies is owed no more of them than fit here. The final one is recorded all the same: it tells
        // whether a message was delivered.
        let leg = self.session.wants_downstream()
            && (self.out.to_client.len() < HIGH_WATER
                || self.session.waiting() == Waiting::Downstream(Stage::EndOfData));
        let wanted = Wanted { client: wants_client, leg };
        let peers = poll_fn(|context| self.poll_peers(context, wanted));
        tokio::select! {
            biased;
            woken = peers => woken,
            () = deadline.as_mut() => Woken::Deadline,
            () = ends.halt.as_mut() => Woken::Halt,
            () = ends.drain.as_mut(), if !ends.drained => Woken::Drain,
        }
    }

    fn poll_peers(&mut self, context: &mut Context<'_>, wanted: Wanted) -> Poll<Woken> {
        if self.client.has_to_send(&self.out.to_client)
            && let Poll::Ready(result) = self.client.poll_drain(context, &mut self.out.to_client)
        {
            return Poll::Ready(Woken::ToClient(result));
        }
        if let Some(leg) = &mut self.leg {
            if leg.has_to_send(&self.out.to_downstream)
                && let Poll::Ready(result) = leg.poll_drain(context, &mut self.out.to_downstream)
            {
                return Poll::Ready(Woken::ToDownstream(result));
            }
            if wanted.leg && leg.state == Reading::Open && leg.poll_fill(context).is_ready() {
                return Poll::Ready(Woken::FromDownstream);
            }
        }
        if let Poll::Ready(Some(Ok(ticket))) = self.settling.poll_join_next(context) {
            return Poll::Ready(Woken::Settled(ticket));
        }
        if wanted.client && self.client.poll_fill(context).is_ready() {
            return Poll::Ready(Woken::FromClient);
        }
        if let Some(checking) = &mut self.checking
            && let Poll::Ready((user, checked)) = checking.as_mut().poll(context)
        {
            return Poll::Ready(Woken::Checked(user, checked));
        }
        match &mut self.opening {
            Some(opening) => opening.as_mut().poll(context).map(Woken::Opened),
            None => Poll::Pending,
        }
    }

    /// Gives the session what has been read, the next hop's first: it must have been heard before more is sent to it.
    fn feed(&mut self) {
        if let Some(leg) = &mut self.leg {
            if !leg.input.is_empty() {
                let unsent = leg.has_to_send(&self.out.to_downstream);
                let sent = if unsent { Sent::Partly } else { Sent::All };
                self.session.step(Input::Downstream(&mut leg.input, sent), &mut self.out);
            }
            if leg.state == Reading::Ended {
                leg.state = Reading::Told;
                self.session.step(Input::DownstreamClosed, &mut self.out);
            }
        }
        self.feed_client();
        if self.client.input.is_empty() && self.session.waiting() == Waiting::Client {
            // What a large message needed is given back, and a small one finds its room again.
            self.client.rest();
            if self.out.to_downstream.capacity() > KEPT {
                self.out.to_downstream = BytesMut::new();
            }
        }
    }

    /// Whether the client is gone behind the end of its message, which has gone to connections behind this one: they record what
    /// becomes of it, and that nobody heard.
    fn has_nobody_to_tell(&self) -> bool {
        self.reporter.part() == Part::Client
            && self.client.lost
            && self.out.to_downstream.is_empty()
            && self.session.waiting() == Waiting::Downstream(Stage::EndOfData)
    }

    fn feed_client(&mut self) {
        while !self.client.input.is_empty() && self.session.wants_client() {
            let before = self.client.input.len();
            self.session.step(Input::Client(&mut self.client.input), &mut self.out);
            // The verdict on a clean address takes less time than waking anybody would.
            let judged = self.judge();
            if !judged && self.client.input.len() == before {
                break;
            }
        }
        // A client that only half-closes may hear what it is owed, and the session asks for more when that is settled. Whether it
        // heard of its message is a question of its own.
        let heard = self.session.wants_client()
            || self.client.input.is_empty()
                && self.session.waiting() == Waiting::Downstream(Stage::EndOfData);
        if self.client.state == Reading::Ended && (heard || self.client.lost) {
            self.client.state = Reading::Told;
            let end = if self.client.lost { Input::ClientLost } else { Input::ClientClosed };
            self.session.step(end, &mut self.out);
        }
    }

    /// Answers the session's question, if it has one.
    fn judge(&mut self) -> bool {
        let Some(Action::Ask(envelope, recipient)) =
            self.out.actions.pop_back_if(|action| matches!(action, Action::Ask(..)))
        else {
            return false;
        };
        let input = self.reporter.judge(&envelope, &recipient);
        self.session.step(input, &mut self.out);
        true
    }
}

#[cfg(test)]
mod tests;
