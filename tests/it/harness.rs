//! A gate in this process between a raw client and a scripted next hop, all on loopback and on ports that the system picks.

mod client;
mod downstream;

use std::net::SocketAddr;
use std::sync::Arc;

use ipnet::IpNet;
use rcptgate::attribution::{Keys, Tenants};
use rcptgate::bounce::classify::Classifier;
use rcptgate::credentials::{Account, Credentials};
use rcptgate::dns::{Dnssec, Resolver};
use rcptgate::event::Tenant;
use rcptgate::gate::{Gate, GateSettings};
use rcptgate::log::Addresses;
use rcptgate::metrics::Metrics;
use rcptgate::mta_sts::Policies;
use rcptgate::policy::Policy;
use rcptgate::policy::verdict::Listing;
use rcptgate::proxy::outbound::{Outbound, Own, World};
use rcptgate::proxy::route::{Host, Protection, RouteSettings, Routes, at};
use rcptgate::proxy::{Door, DoorSettings, PoolLimits, Timeouts, listener};
use rcptgate::routing::target::Targets;
use rcptgate::session::{Auth, ClientTls, Limits, Protocol, TellClient};
use rcptgate::smtp::extensions::Extension;
use rcptgate::tally::{self, Tally};
use rcptgate::time::Timestamp;
use rcptgate::tls::Certificate;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use client::Client;
pub use downstream::Downstream;

/// A gate and its surroundings. Dropping it ends everything.
pub struct Lab {
    pub gate: Gate,
    pub door: SocketAddr,
    pub downstream: Downstream,
    pub metrics: Arc<Metrics>,
    pub tally: Tally,
    pub drain: CancellationToken,
    pub sessions: TaskTracker,
    pub routes: Routes,
    halt: CancellationToken,
    data: tempfile::TempDir,
}

/// What a test may change.
pub struct Wish {
    pub limits: Limits,
    pub timeouts: Timeouts,
    pub monitor: bool,
    pub may_relay: bool,
    pub connections: usize,
    pub protocol: Protocol,
    pub proxies: Vec<IpNet>,
    pub withhold: Vec<Extension>,
    pub xclient: Vec<IpNet>,
    pub tell_client: TellClient,
    /// The listener's tenant, and by what else tenants are known.
    pub tenant: Option<Tenant>,
    pub tenants: Tenants,
    /// Where the keys of messages are read.
    pub keys: Keys,
    pub clients: Option<Vec<IpNet>>,
    /// Whose XFORWARD is believed; loopback's if nothing is said.
    pub xforward: Option<Vec<IpNet>>,
    pub tls: ClientTls,
    pub acceptor: Option<Certificate>,
    pub auth: Auth,
    pub credentials: Option<Credentials>,
    pub protection: Protection,
    pub account: Option<Account>,
    /// What the next hop is spoken to in.
    pub next_hop: Protocol,
    /// Next hops that are tried first.
    pub before: Vec<Host>,
    /// Ways out for some domains.
    pub routes: Vec<RouteSettings>,
    /// The way out for all others, if it is not the scripted next hop.
    pub rest: Option<RouteSettings>,
    /// What names are looked up with.
    pub resolver: Option<Resolver>,
    /// Connections that are kept for other clients.
    pub pool: PoolLimits,
    /// Where mail by `mx` never goes.
    pub targets: Targets,
    /// Connections to next hops at once, in all.
    pub sockets: usize,
    /// By what the gate knows itself.
    pub own: Own,
    /// How it calls itself.
    pub hostname: &'static str,
    /// Where the gate listens, if the test must know that beforehand.
    pub listener: Option<TcpListener>,
    /// What domains publish.
    pub policies: Option<Policies<World>>,
}

fn system_resolver() -> Resolver {
    Resolver::new(&[], Dnssec::Off).expect("a resolver")
}

impl Default for Wish {
    fn default() -> Self {
        let (limits, timeouts) = (Limits::default(), Timeouts::default());
        Self {
            limits,
            timeouts,
            monitor: false,
            may_relay: true,
            connections: 100,
            protocol: Protocol::Smtp,
            proxies: Vec::new(),
            withhold: Vec::new(),
            xclient: Vec::new(),
            tell_client: TellClient::Off,
            tenant: None,
            tenants: Tenants::default(),
            keys: Keys::default(),
            clients: None,
            xforward: None,
            tls: ClientTls::Off,
            acceptor: None,
            auth: Auth::Off,
            credentials: None,
            protection: Protection::Off,
            account: None,
            next_hop: Protocol::Smtp,
            before: Vec::new(),
            routes: Vec::new(),
            rest: None,
            resolver: None,
            pool: PoolLimits::NONE,
            targets: Targets::default(),
            sockets: 1000,
            own: Own::default(),
            hostname: "gate.test",
            listener: None,
            policies: None,
        }
    }
}

impl Lab {
    pub async fn new(downstream: Downstream) -> Self {
        Self::with(downstream, Wish::default()).await
    }

    pub async fn with(downstream: Downstream, wish: Wish) -> Self {
        let data = tempfile::tempdir().expect("a directory");
        let policy = Policy::preset("quarantine").expect("the preset");
        let opened = Gate::open(
            GateSettings::new(data.path().join("data")),
            policy,
            Classifier::builtin(),
            |_, _| {},
        )
        .expect("a gate");
        let host = Host { name: "127.0.0.1".to_owned(), port: downstream.address.port() };
        let (drain, halt) = (CancellationToken::new(), CancellationToken::new());
        let loopback = vec!["127.0.0.0/8".parse().expect("a network")];
        let metrics = Arc::new(Metrics::new());
        let hosts = wish.before.into_iter().chain([host]).collect();
        let rest = wish.rest.unwrap_or_else(|| RouteSettings {
            account: wish.account,
            protocol: wish.next_hop,
            ..RouteSettings::fixed(hosts, wish.protection)
        });
        let routes = Routes::new(wish.routes, rest);
        let tally = Tally::open(tally::Settings::new(data.path()), Timestamp::now());
        let resolver = wish.resolver.unwrap_or_else(system_resolver);
        let goodbye = wish.timeouts.quit;
        let mut outbound = Outbound::new(routes.clone(), resolver, wish.own, wish.pool, goodbye);
        outbound.targets = Arc::new(wish.targets);
        outbound.policies = wish.policies;
        outbound.sockets = Arc::new(Semaphore::new(wish.sockets));
        let door = Door {
            gate: opened.gate.clone(),
            outbound: Arc::new(outbound),
            metrics: Arc::clone(&metrics),
            tally: tally.clone(),
            addresses: Addresses::Full,
            settings: DoorSettings {
                hostname: wish.hostname.into(),
                tenant: wish.tenant,
                tenants: Arc::new(wish.tenants),
                keys: Arc::new(wish.keys),
                clients: match wish.clients {
                    Some(clients) => clients,
                    None if wish.may_relay => loopback.clone(),
                    None => Vec::new(),
                },
                xforward: wish.xforward.unwrap_or(loopback),
                withhold: wish.withhold,
                xclient: wish.xclient,
                tell_client: wish.tell_client,
                proxies: wish.proxies,
                protocol: wish.protocol,
                tls: wish.tls,
                acceptor: wish.acceptor,
                auth: wish.auth,
                auth_required: false,
                credentials: wish.credentials,
                limits: wish.limits,
                timeouts: wish.timeouts,
                data_rate: 500,
                connections: wish.connections,
                connections_per_client: 50,
                monitor: wish.monitor,
            },
            drain: drain.clone(),
            halt: halt.clone(),
        };
        let listener = match wish.listener {
            Some(listener) => listener,
            None => TcpListener::bind("127.0.0.1:0").await.expect("a port"),
        };
        let address = listener.local_addr().expect("an address");
        let sessions = TaskTracker::new();
        tokio::spawn(listener::serve(listener, Arc::new(door), sessions.clone()));
        let gate = opened.gate;
        let door = address;
        Self { gate, door, downstream, metrics, tally, drain, sessions, routes, halt, data }
    }

    /// Ends everything but the next hop's memory.
    pub fn into_downstream(self) -> Downstream {
        self.downstream.clone()
    }

    /// Makes a domain disposable.
    pub fn disposable(&self, domain: &'static str) {
        self.gate.set_listing(Arc::new(move |recipient| Listing {
            allowed: false,
            disposable: (recipient.domain() == domain).then(|| domain.to_owned()),
        }));
    }

    /// The journal as it stands on disk.
    pub fn journal(&self) -> String {
        let folder = std::fs::read_dir(self.data.path().join("data/journal")).expect("the journal");
        let segments = folder.map(|entry| entry.expect("an entry").path());
        segments.map(|path| std::fs::read_to_string(path).expect("a segment")).collect()
    }

    /// A client that has been greeted and has said EHLO.
    pub async fn client(&self) -> Client {
        let mut client = Client::connect(self.door).await;
        client.expect("220 gate.test").await;
        client.send("EHLO client.test").await;
        let _ = client.reply().await;
        client
    }
}

/// A route for each of these domains.
pub fn by_domain(protocol: Protocol, domains: &[(&'static str, SocketAddr)]) -> Vec<RouteSettings> {
    let route = |(domain, address): &(&'static str, SocketAddr)| RouteSettings {
        domains: [*domain].into_iter().collect(),
        protocol,
        ..RouteSettings::fixed(vec![at(*address)], Protection::Off)
    };
    domains.iter().map(route).collect()
}

impl Drop for Lab {
    fn drop(&mut self) {
        self.halt.cancel();
    }
}
