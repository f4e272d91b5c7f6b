//! Making a connection to the next hop: hosts and their addresses in order, one that was kept if there is one.
//!
//! | file | holds |
//! |---|---|
//! | `hosts` | which hosts, by the route |
//! | `connect` | one address: TLS, greeting, EHLO |
//! | `security` | what a domain demands of the way there: DANE, MTA-STS |
//! | `pool` | connections that are kept for others |
//! | `silence` | addresses that did not answer a moment ago |

mod connect;
mod hosts;
mod pool;
mod security;
mod silence;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, timeout, timeout_at};

pub use pool::PoolLimits;
pub(super) use pool::{Key, Pool};
pub(super) use silence::Silent;

use super::Door;
use super::route::{Host, Route};
use super::stream::Stream;
use crate::routing::Destination;
use crate::session::{Opened, Unopened};
use crate::smtp::extensions::Capabilities;
use crate::smtp::identity::Identity;
use crate::smtp::reply::{Reply, Severity};
use crate::smtp::status::EnhancedStatus;
use hosts::MailHost;

/// What a connection is wanted for.
pub(super) struct Order {
    /// Whose next hop; without, that of all mail.
    pub(super) to: Option<Destination>,
    /// Where the client was going when it came to us instead.
    pub(super) original: Option<SocketAddr>,
    /// It must not have served before.
    pub(super) fresh: bool,
    /// The client's address.
    pub(super) from: IpAddr,
    /// The client's message may hold places of other connections.
    pub(super) beside_others: bool,
    /// How the client calls itself.
    pub(super) helo: Option<Arc<str>>,
    /// The client, if the next hop is to take us for it.
    pub(super) client: Option<Box<Identity>>,
}

impl Order {
    /// Whether the connection is like any other client's.
    pub(super) const fn is_common(&self) -> bool {
        self.client.is_none()
    }
}

/// A connection that is ready for mail.
pub(super) struct Leg {
    pub(super) stream: Stream,
    pub(super) next_hop: Arc<NextHop>,
    /// Its places among those in use, by its route and in all.
    pub(super) places: Vec<OwnedSemaphorePermit>,
    /// It has served before.
    pub(super) kept: bool,
}

impl Leg {
    /// What the session is told of it.
    pub(super) fn opened(&self) -> Opened {
        Opened { capabilities: self.next_hop.capabilities, kept: self.kept }
    }
}

/// Who answered, for the log and for evidence, and what makes the connection what it is.
pub(super) struct NextHop {
    /// Its name and port, written once for all that is said of it.
    pub(super) name: String,
    /// Whose it is, for the log: see [`crate::routing::receiver`].
    pub(super) receiver: String,
    /// What protects the way there: `none`, or the policy that TLS was made under.
    pub(super) tls: &'static str,
    /// Whether its certificate proved who it is: `verified`, `untrusted` when nobody asked for a proof, empty without TLS.
    pub(super) trust: &'static str,
    /// What it can do.
    pub(super) capabilities: Capabilities,
    /// What another use of the connection must have in common with this one; without, it is one client's alone.
    pub(super) key: Option<Key>,
    /// When it was made.
    pub(super) born: Instant,
}

/// Most addresses that are tried for one recipient (Postfix `smtp_mx_address_limit`).
const ADDRESSES_MAX: usize = 5;

/// Time after which a host that takes connections and says nothing can be called silent. Whoever names it among many leaves it less:
/// a stranger must not be able to take it away from others' mail by that.
const FAIR: Duration = Duration::from_secs(30);

/// How long a connection that may have others beside it waits for a place: they hold theirs meanwhile, and somebody else may wait for
/// those.
const PLACE_BESIDE: Duration = Duration::from_secs(10);

/// Connects to the first host that takes us.
///
/// # Errors
/// What the client is to be told. It is evidence only if the domain itself says that it takes no mail.
pub(super) async fn open(door: &Door, order: &Order) -> Result<Leg, Unopened> {
    let deadline = Instant::now() + door.settings.timeouts.opening;
    let id = order.to.as_ref().map(|to| to.route);
    let Some(route) = door.outbound.routes.route(id) else { return Err(CHANGED.into()) };
    let until = match order.beside_others {
        true => deadline.min(Instant::now() + PLACE_BESIDE),
        false => deadline,
    };
    let mut places = Vec::new();
    for semaphore in route.places.iter().chain([&door.outbound.sockets]) {
        let place = timeout_at(until, Arc::clone(semaphore).acquire_owned()).await;
        places.push(place.ok().and_then(Result::ok).ok_or(BUSY)?);
    }
    let hosts = hosts::of(door, &route, order, deadline).await?;
    let leg = first_of(door, &route, order, &hosts, deadline).await?;
    Ok(Leg { places, ..leg })
}

/// The first of these hosts that takes us.
async fn first_of(
    door: &Door,
    route: &Route,
    order: &Order,
    hosts: &[MailHost],
    deadline: Instant,
) -> Result<Leg, Reply> {
    let mut last = None;
    let mut tried = 0;
    for (index, host) in hosts.iter().enumerate() {
        if tried >= ADDRESSES_MAX {
            break;
        }
        let share = share(deadline, hosts.len() - index);
        let reached = match timeout_at(share, hosts::reached(door, route, host)).await {
            Ok(Ok(reached)) => reached,
            Ok(Err((reply, why))) => {
                failed(door, &host.host, None, &why);
                note(&mut last, reply);
                continue;
            }
            Err(_) => {
                failed(door, &host.host, None, "resolving timed out");
                note(&mut last, hosts::no_answer(host));
                continue;
            }
        };
        // A host with many addresses that answer nothing leaves some of the attempts to the next.
        let count = reached.addresses.len().min(ADDRESSES_MAX - tried);
        for (index, address) in reached.addresses.iter().take(count).enumerate() {
            tried += 1;
            let share = self::share(share, count - index);
            let target = SocketAddr::new(*address, host.host.port);
            let attempt = connect::Attempt { door, route, order, host, target, until: share };
            let began = Instant::now();
            match timeout_at(share, attempt.make(&reached.protection)).await {
                Ok(Ok(leg)) => return Ok(leg),
                Ok(Err(connect::Failure::Reply(reply))) => note(&mut last, reply),
                // Whoever comes behind us in the order of preference would bring the mail back to us (RFC 5321 §5.1).
                Ok(Err(connect::Failure::Loop)) => return Err(last.unwrap_or(looping(route))),
                Err(_) => {
                    failed(door, &host.host, Some(*address), "timed out");
                    if began.elapsed() >= FAIR {
                        attempt.is_silent();
                    }
                    note(&mut last, TOO_LONG);
                }
            }
        }
    }
    Err(last.unwrap_or_else(|| unreachable("rcptgate: no next hop")))
}

/// Of several failures the client hears the last, but no 5yz when another may pass.
fn note(last: &mut Option<Reply>, reply: Reply) {
    let is_final = |reply: &Reply| reply.severity() == Severity::Permanent;
    if last.is_none() || !is_final(&reply) || last.as_ref().is_some_and(is_final) {
        *last = Some(reply);
    }
}

/// When the first of so many attempts must be over, so that one that hangs leaves time for the others.
fn share(deadline: Instant, attempts: usize) -> Instant {
    let now = Instant::now();
    let attempts = u32::try_from(attempts.max(1)).unwrap_or(u32::MAX);
    now + deadline.saturating_duration_since(now) / attempts
}

const CHANGED: Reply =
    Reply::new(451, EnhancedStatus::new(4, 3, 0), "rcptgate: routes have changed, try again");
const BUSY: Reply = Reply::new(
    451,
    EnhancedStatus::new(4, 3, 2),
    "rcptgate: as many connections to next hops as are allowed",
);
const UNRESOLVED: Reply =
    Reply::new(451, EnhancedStatus::new(4, 4, 3), "rcptgate: the next hop's name does not resolve");
const TOO_LONG: Reply = unreachable("rcptgate: the next hop took too long");

/// What a loop is answered with. That of fixed hosts is the operator's doing, who can undo it while the mail waits.
const fn looping(route: &Route) -> Reply {
    let text = "rcptgate: the next hop is this gate itself, mail loops";
    match route.settings.way {
        super::route::Way::Mx { .. } => Reply::new(554, EnhancedStatus::new(5, 4, 6), text),
        super::route::Way::Fixed(_) | super::route::Way::Original => {
            Reply::new(451, EnhancedStatus::new(4, 4, 6), text)
        }
    }
}

const fn unreachable(text: &'static str) -> Reply {
    Reply::new(451, EnhancedStatus::new(4, 4, 1), text)
}

fn failed(door: &Door, host: &Host, address: Option<IpAddr>, why: &str) {
    door.metrics.connected("failed");
    let address = address.map(|address| address.to_string()).unwrap_or_default();
    tracing::warn!(event = "connect", result = "failed", downstream = %host, address, error = why);
}

/// Says goodbye in the background; nothing depends on the answer.
pub(super) fn quit(mut stream: Stream, patience: Duration) {
    tokio::spawn(async move {
        let goodbye = async {
            stream.write_all(b"QUIT\r\n").await?;
            stream.flush().await?;
            let mut rest = [0; 512];
            while stream.read(&mut rest).await? > 0 {}
            Ok::<(), std::io::Error>(())
        };
        let _ = timeout(patience, goodbye).await;
    });
}
