//! The program: everything built, run, and ended in order.
//!
//! [`Parts`] is all that a gate is made of, in the terms of the modules that it is made of; a configuration file is one way to
//! it, the demonstration another. [`Running::start`] opens the gate first and the listeners last, so that nobody is let in
//! before everything that is on a list is known.

pub mod build;
mod certificates;
mod counting;
mod limits;
mod serve;
pub mod trust;
mod ways;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::bounce::classify::Classifier;
use crate::credentials::Credentials;
use crate::dns::{Dnssec, Resolver};
use crate::failure::Failure;
use crate::gate::{Gate, GateError, GateSettings, Mode, OpenReport};
use crate::lists::Lists;
use crate::log::Addresses;
use crate::metrics::Metrics;
use crate::mta_sts::{self, Policies};
use crate::policy::Policy;
use crate::policy::verdict::Listing;
use crate::proxy::outbound::{Outbound, Own, World};
use crate::proxy::route::{RouteSettings, Routes};
use crate::proxy::{Door, DoorSettings, PoolLimits, listener};
use crate::routing::target::Targets;
use crate::store::StoreError;
use crate::tally::{self, Tally};
use crate::time::Timestamp;
use crate::tls::{Certificate, Connector};

use limits::{affordable, raise_descriptors};
pub use serve::serve;

/// How long sessions may go on after the first signal: as long as the longest wait for a reply to the end of data, and a little.
const DRAIN_MAX: Duration = Duration::from_secs(600);
/// How often policies of MTA-STS are looked at, whether they end soon.
const REFRESH_EVERY: Duration = Duration::from_secs(3600);
/// How long sessions get to close once they have been told to end at once.
const HALT_MAX: Duration = Duration::from_secs(5);

/// All that a gate is made of.
pub struct Parts {
    /// Where it keeps what it knows.
    pub gate: GateSettings,
    /// How standings move.
    pub policy: Policy,
    /// How replies are read.
    pub classifier: Classifier,
    /// What the operator's lists say.
    pub lists: Lists,
    /// SMTP listeners.
    pub doors: Vec<(SocketAddr, DoorSettings)>,
    /// Ways out by recipient domain, in order.
    pub routes: Vec<RouteSettings>,
    /// The way out for all the rest.
    pub rest: RouteSettings,
    /// What is kept of connections to next hops.
    pub pool: PoolLimits,
    /// Where else the program listens; port 0 is none.
    pub admin: Option<SocketAddr>,
    /// Name servers; the system's when there are none.
    pub dns: Vec<SocketAddr>,
    /// Whether their word on what is signed is taken.
    pub dnssec: Dnssec,
    /// Where mail by `mx` never goes.
    pub targets: Targets,
    /// How policies of MTA-STS are fetched and kept, and what proves who publishes them; without, nobody asks for any.
    pub sts: Option<(mta_sts::Settings, Connector)>,
    /// How the log shows addresses.
    pub addresses: Addresses,
    /// Where recipients are counted.
    pub tally: tally::Settings,
}

/// A gate whose listeners accept.
pub struct Running {
    /// Judges and learns.
    pub gate: Gate,
    /// Counts.
    pub metrics: Arc<Metrics>,
    /// Counts what became of recipients.
    pub tally: Tally,
    /// Where it listens, in the order of the parts.
    pub doors: Vec<SocketAddr>,
    /// What opening the gate found and mended.
    pub report: OpenReport,
    /// How the log shows addresses.
    pub addresses: Addresses,
    /// The certificates of the listeners.
    pub certificates: Vec<Certificate>,
    /// The users of the listeners.
    pub credentials: Vec<Credentials>,
    /// Where mail goes.
    pub routes: Routes,
    drain: CancellationToken,
    halt: CancellationToken,
    sessions: TaskTracker,
}

/// Opens the gate of these parts, with their policy and lists in force.
///
/// # Errors
/// The data directory is in use, damaged or cannot be written.
pub fn open_gate(
    settings: GateSettings,
    policy: Policy,
    classifier: Classifier,
    lists: Lists,
    progress: impl FnMut(u64, u64),
) -> Result<(Gate, OpenReport), GateError> {
    let opened = Gate::open(settings, with_trusted(policy, &lists), classifier, progress)?;
    put_lists(&opened.gate, Arc::new(lists));
    Ok((opened.gate, opened.report))
}

/// Puts lists in force; the trusted domains among them go to the policy.
pub fn replace_lists(gate: &Gate, lists: &Arc<Lists>) {
    gate.set_policy(with_trusted(Policy::clone(&gate.policy()), lists));
    put_lists(gate, Arc::clone(lists));
}

fn with_trusted(mut policy: Policy, lists: &Lists) -> Policy {
    if let Some(trusted) = &lists.trusted {
        policy.trusted = trusted.clone();
    }
    policy
}

fn put_lists(gate: &Gate, lists: Arc<Lists>) {
    gate.set_listing(Arc::new(move |recipient| {
        let (allowed, disposable) = lists.listing(recipient);
        Listing { allowed, disposable: disposable.map(str::to_owned) }
    }));
}

/// The policies of MTA-STS, kept fresh until the program ends.
fn policies(
    settings: mta_sts::Settings,
    connector: Connector,
    outbound: &Outbound,
    metrics: &Arc<Metrics>,
    drain: &CancellationToken,
) -> Result<Policies<World>, Failure> {
    let (resolver, targets) = (outbound.resolver.clone(), Arc::clone(&outbound.targets));
    let (folder, metrics) = (settings.folder.clone(), Arc::clone(metrics));
    let policies = Policies::open(settings, connector, World { resolver, targets, metrics })
        .map_err(|error| Failure::Io(format!("{}: {error}", folder.display())))?;
    let (fresh, drain) = (policies.clone(), drain.clone());
    tokio::spawn(async move {
        let mut ticks = tokio::time::interval(REFRESH_EVERY);
        while drain.run_until_cancelled(ticks.tick()).await.is_some() {
            fresh.refresh().await;
        }
    });
    Ok(policies)
}

/// The word by which this process knows itself: 64 bits of chance.
fn instance() -> Result<Arc<str>, Failure> {
    let mut word = [0; 8];
    getrandom::fill(&mut word).map_err(|error| Failure::Internal(error.to_string()))?;
    Ok(format!("{:016x}", u64::from_be_bytes(word)).into())
}

impl From<GateError> for Failure {
    fn from(error: GateError) -> Self {
        match &error {
            GateError::Store(StoreError::Locked { .. }) | GateError::Refolding => {
                Self::Temporary(error.to_string())
            }
            GateError::Panicked(_) | GateError::Thread(_) => Self::Internal(error.to_string()),
            GateError::Store(_) | GateError::Journal(_) | GateError::JournalBehind { .. } => {
                Self::Io(error.to_string())
            }
        }
    }
}

impl Running {
    /// Opens the gate, then binds every listener: all of them or none.
    ///
    /// # Errors
    /// The store, the resolver or a listener cannot be used.
    pub async fn start(parts: Parts, progress: impl FnMut(u64, u64)) -> Result<Self, Failure> {
        let resolver = Resolver::new(&parts.dns, parts.dnssec)
            .map_err(|fault| Failure::Io(fault.to_string()))?;
        let Parts { gate, policy, classifier, lists, .. } = parts;
        let monitor = gate.mode == Mode::Monitor;
        let (gate, report) = open_gate(gate, policy, classifier, lists, progress)?;
        gate.keep_watch(Timestamp::now())?;
        let metrics = Arc::new(Metrics::new());
        let (drain, halt) = (CancellationToken::new(), CancellationToken::new());
        let tally = counting::start(parts.tally, &halt).await?;
        let routes = Routes::new(parts.routes, parts.rest);
        let certificates =
            parts.doors.iter().filter_map(|(_, settings)| settings.acceptor.clone()).collect();
        let credentials =
            parts.doors.iter().filter_map(|(_, settings)| settings.credentials.clone()).collect();
        let mut bound = Vec::new();
        for (address, settings) in parts.doors {
            let listener = TcpListener::bind(address)
                .await
                .map_err(|error| Failure::Io(format!("cannot listen on {address}: {error}")))?;
            bound.push((listener, settings));
        }
        let sessions = TaskTracker::new();
        let mut doors = Vec::new();
        let mut own = Own { addresses: Vec::from_iter(parts.admin), instance: instance()? };
        for (listener, _) in &bound {
            own.addresses.push(listener.local_addr()?);
        }
        let goodbye = bound.first().map_or(Duration::ZERO, |(_, door)| door.timeouts.quit);
        let mut outbound = Outbound::new(routes, resolver, own, parts.pool, goodbye);
        outbound.targets = Arc::new(parts.targets);
        // Each session has room for one; those that need many take what others leave.
        let most = bound.iter().map(|(_, door)| door.connections).sum::<usize>();
        outbound.sockets = Arc::new(Semaphore::new(most.min(Semaphore::MAX_PERMITS)));
        if let Some((settings, connector)) = parts.sts {
            outbound.policies = Some(policies(settings, connector, &outbound, &metrics, &drain)?);
        }
        outbound.shown_in(&metrics);
        let outbound = Arc::new(outbound);
        for (listener, settings) in bound {
            doors.push(listener.local_addr()?);
            let door = Door {
                gate: gate.clone(),
                outbound: Arc::clone(&outbound),
                metrics: Arc::clone(&metrics),
                tally: tally.clone(),
                addresses: parts.addresses,
                settings: DoorSettings { monitor, ..settings },
                drain: drain.clone(),
                halt: halt.clone(),
            };
            tokio::spawn(listener::serve(listener, Arc::new(door), sessions.clone()));
        }
        let addresses = parts.addresses;
        Ok(Self {
            gate,
            metrics,
            tally,
            doors,
            report,
            addresses,
            certificates,
            credentials,
            routes: outbound.routes.clone(),
            drain,
            halt,
            sessions,
        })
    }

    /// Ends in order: no further transaction, those under way finish, then everything closes. `hurry` ends the waiting.
    pub async fn stop(self, hurry: impl Future<Output = ()>) {
        self.drain.cancel();
        self.sessions.close();
        tokio::select! {
            () = self.sessions.wait() => {}
            () = tokio::time::sleep(DRAIN_MAX) => {}
            () = hurry => {}
        }
        self.halt.cancel();
        let _ = tokio::time::timeout(HALT_MAX, self.sessions.wait()).await;
        counting::write(&self.tally).await;
    }
}
