//! Where mail goes: a table of routes by recipient domain, and one for all the rest.
//!
//! | file | holds |
//! |---|---|
//! | `host` | hosts as a configuration names them |
//! | `protection` | TLS towards the next hop |

mod host;
mod protection;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use tokio::sync::Semaphore;

pub use host::{Host, NotAHost};
pub use protection::Protection;

use super::source::Source;
use crate::credentials::Account;
use crate::lists::DomainSet;
use crate::routing::{Destination, RouteId};
use crate::session::Protocol;
use crate::smtp::address::{Domain, Recipient};
use crate::smtp::extensions::{Capabilities, Maxima};
use crate::smtp::reply::Reply;
use crate::smtp::status::EnhancedStatus;
use crate::tls::Connector;

/// How the next hop is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Way {
    /// These hosts, tried in order.
    Fixed(Vec<Host>),
    /// The mail hosts of the recipient's domain, at this port (RFC 5321 §5.1).
    Mx {
        /// 25 but for tests.
        port: u16,
    },
    /// Where the client was going when its connection was redirected to us.
    Original,
}

/// What a route is set up with.
#[derive(Clone)]
pub struct RouteSettings {
    /// All of it, as text: a route that a reload finds unchanged stays what it was, with its connections.
    pub text: String,
    /// For which recipient domains, sub-domains included. Without any, for those that no other route takes.
    pub domains: DomainSet,
    /// How the next hop is found.
    pub way: Way,
    /// What is spoken there.
    pub protocol: Protocol,
    /// What protects the way there.
    pub protection: Protection,
    /// Whether the TLSA records of a host decide on that (RFC 7672).
    pub dane: bool,
    /// What proves hosts where a policy that the domain publishes does (RFC 8461); without, none is asked for.
    pub mta_sts: Option<Connector>,
    /// Where our connections come from.
    pub source: Source,
    /// The gate's own login there.
    pub account: Option<Account>,
    /// Connections that are in use at once; without, as many as there are.
    pub concurrency: Option<usize>,
}

impl RouteSettings {
    /// For all mail, to these hosts in order.
    pub fn fixed(hosts: Vec<Host>, protection: Protection) -> Self {
        Self {
            text: String::new(),
            domains: DomainSet::default(),
            way: Way::Fixed(hosts),
            protocol: Protocol::Smtp,
            protection,
            dane: false,
            mta_sts: None,
            source: Source::Any,
            account: None,
            concurrency: None,
        }
    }
}

/// One way out.
pub struct Route {
    /// Its name for as long as it is as it is.
    pub id: RouteId,
    /// What it is set up with.
    pub settings: RouteSettings,
    /// Places for connections in use.
    pub(super) places: Option<Arc<Semaphore>>,
    /// What each fixed host offered when it was last connected to.
    seen: Mutex<HashMap<Host, Capabilities>>,
}

/// Routes are numbered, so that what was said of one is never taken for another's.
static NEXT: AtomicU64 = AtomicU64::new(1);

impl Route {
    fn new(settings: RouteSettings) -> Self {
        let id = RouteId(NEXT.fetch_add(1, Ordering::Relaxed));
        let places = settings.concurrency.map(|places| Arc::new(Semaphore::new(places)));
        Self { id, settings, places, seen: Mutex::default() }
    }

    /// What may be offered to a client: what the gate itself can do until a host has been seen, then what all hosts that have
    /// been seen can carry. A host that turns out to lack something is refused per recipient, never silently.
    fn offer(&self) -> Capabilities {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        match &self.settings.way {
            Way::Fixed(hosts) => {
                let all = hosts.iter().filter_map(|host| seen.get(host).copied());
                all.reduce(Capabilities::and).map_or(Capabilities::GATE, Capabilities::offered_over)
            }
            // Whatever the next host can do, the one after it may not. That TLS is required is kept all the same: recipients whose
            // hosts do not prove themselves by what their domain says are refused (RFC 8689 §4.2.1).
            Way::Mx { .. } => {
                let limits = Maxima { rcpt_domain: Some(1), ..Maxima::default() };
                let require_tls = self.settings.dane || self.settings.mta_sts.is_some();
                Capabilities { limits: Some(limits), require_tls, ..Capabilities::GATE }
            }
            Way::Original => Capabilities::GATE,
        }
    }

    pub(super) fn saw(&self, host: &Host, capabilities: Capabilities) {
        if let Way::Fixed(_) = self.settings.way {
            let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            if seen.get(host) != Some(&capabilities) {
                seen.insert(host.clone(), capabilities);
            }
        }
    }
}

/// The routes in force; the first whose domains match takes the recipient.
struct Table {
    listed: Vec<Arc<Route>>,
    rest: Arc<Route>,
}

impl Table {
    fn all(&self) -> impl Iterator<Item = &Arc<Route>> {
        self.listed.iter().chain([&self.rest])
    }
}

/// All ways out of a gate.
#[derive(Clone)]
pub struct Routes {
    table: Arc<ArcSwap<Table>>,
}

impl Routes {
    /// These routes in order, then the one for all the rest.
    pub fn new(listed: Vec<RouteSettings>, rest: RouteSettings) -> Self {
        Self { table: Arc::new(ArcSwap::from_pointee(table(listed, rest, &[]))) }
    }

    /// One next hop for everything: these hosts, tried in order.
    pub fn fixed(hosts: Vec<Host>, protection: Protection) -> Self {
        Self::new(Vec::new(), RouteSettings::fixed(hosts, protection))
    }

    /// Puts other routes in force. Those that stay as they were keep their connections; transactions under way keep theirs.
    pub fn replace(&self, listed: Vec<RouteSettings>, rest: RouteSettings) {
        let before: Vec<_> = self.table.load().all().cloned().collect();
        self.table.store(Arc::new(table(listed, rest, &before)));
    }

    /// The route of this name, if it is still in force; without a name, that for all the rest.
    pub(super) fn route(&self, id: Option<RouteId>) -> Option<Arc<Route>> {
        let table = self.table.load();
        match id {
            None => Some(Arc::clone(&table.rest)),
            Some(id) => table.all().find(|route| route.id == id).cloned(),
        }
    }

    /// Whether the recipients of one message may need several next hops.
    pub(super) fn fan_out(&self) -> bool {
        let table = self.table.load();
        !table.listed.is_empty() || matches!(table.rest.settings.way, Way::Mx { .. })
    }

    /// Whether connections are relayed to where they were going.
    pub(super) fn are_original(&self) -> bool {
        self.table.load().rest.settings.way == Way::Original
    }

    /// Their TLS, to be looked after.
    pub fn connectors(&self) -> Vec<Connector> {
        let table = self.table.load();
        let settings = table.all().map(|route| &route.settings);
        settings
            .flat_map(|route| [route.protection.connector(), route.mta_sts.as_ref()])
            .flatten()
            .cloned()
            .collect()
    }

    /// The gate's own logins there.
    pub fn accounts(&self) -> Vec<Account> {
        self.table.load().all().filter_map(|route| route.settings.account.clone()).collect()
    }

    /// What may be offered to a client that has not said whom it writes to: what all routes can carry.
    pub(super) fn offer(&self) -> Capabilities {
        let table = self.table.load();
        table.listed.iter().fold(table.rest.offer(), |all, route| all.and(route.offer()))
    }

    /// Where a recipient's mail goes.
    ///
    /// # Errors
    /// What the recipient is told, if it goes nowhere.
    pub(super) fn destination(&self, recipient: &Recipient) -> Result<Destination, Reply> {
        let table = self.table.load();
        let key = recipient.key();
        let takes = |route: &&Arc<Route>| {
            let domains = &route.settings.domains;
            key.is_some_and(|key| domains.contains_suffix(key.domain()).is_some())
        };
        let route = table.listed.iter().find(takes).unwrap_or(&table.rest);
        let domain = match (&route.settings.way, recipient) {
            (Way::Fixed(_) | Way::Original, _) => None,
            (Way::Mx { .. }, Recipient::Postmaster) => return Err(NO_POSTMASTER),
            (Way::Mx { .. }, Recipient::Mailbox(mailbox)) => match &mailbox.domain {
                Domain::Name(_) => key.map(|key| Arc::from(key.domain())),
                Domain::Literal(_) => return Err(NO_LITERALS),
            },
        };
        Ok(Destination { route: route.id, domain })
    }
}

const NO_POSTMASTER: Reply =
    Reply::new(550, EnhancedStatus::new(5, 1, 1), "rcptgate: no mailbox of this name here");
const NO_LITERALS: Reply = Reply::new(
    550,
    EnhancedStatus::new(5, 1, 2),
    "rcptgate: no mail to an address in place of a domain",
);

fn table(listed: Vec<RouteSettings>, rest: RouteSettings, before: &[Arc<Route>]) -> Table {
    let route = |settings: RouteSettings| {
        let same =
            |route: &&Arc<Route>| !settings.text.is_empty() && route.settings.text == settings.text;
        before.iter().find(same).cloned().unwrap_or_else(|| Arc::new(Route::new(settings)))
    };
    Table { listed: listed.into_iter().map(route).collect(), rest: route(rest) }
}

/// The host that is an address.
pub fn at(address: SocketAddr) -> Host {
    Host { name: address.ip().to_string(), port: address.port() }
}
