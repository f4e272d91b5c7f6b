//! The program: everything built, run, and ended in order.
//!
//! [`Parts`] is all that a gate is made of, in the terms of the modules that it is made of; a configuration file is one way to
//! it, the demonstration another. [`Running::start`] opens the gate first and the listeners last, so that nobody is let in
//! before everything that is on a list is known.

pub mod build;
mod certificates;
mod limits;
mod serve;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::bounce::classify::Classifier;
use crate::credentials::{Account, Credentials};
use crate::dns::{Dnssec, Resolver};
use crate::failure::Failure;
use crate::gate::{Gate, GateError, GateSettings, Mode, OpenReport};
use crate::lists::Lists;
use crate::log::Addresses;
use crate::metrics::Metrics;
use crate::policy::Policy;
use crate::policy::verdict::Listing;
use crate::proxy::route::{Host, Protection, Route};
use crate::proxy::{Door, DoorSettings, listener};
use crate::store::StoreError;
use crate::tls::{Certificate, Connector};

use limits::{affordable, raise_descriptors};
pub use serve::serve;

/// How long sessions may go on after the first signal: as long as the longest wait for a reply to the end of data, and a little.
const DRAIN_MAX: Duration = Duration::from_secs(600);
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
    /// The next hop.
    pub hosts: Vec<Host>,
    /// How the way there is protected.
    pub tls: Protection,
    /// The gate's own login there.
    pub account: Option<Account>,
    /// Name servers; the system's when there are none.
    pub dns: Vec<SocketAddr>,
    /// How the log shows addresses.
    pub addresses: Addresses,
}

/// A gate whose listeners accept.
pub struct Running {
    /// Judges and learns.
    pub gate: Gate,
    /// Counts.
    pub metrics: Arc<Metrics>,
    /// Where it listens, in the order of the parts.
    pub doors: Vec<SocketAddr>,
    /// What opening the gate found and mended.
    pub report: OpenReport,
    /// How the log shows addresses.
    pub addresses: Addresses,
    /// The certificates of the listeners.
    pub certificates: Vec<Certificate>,
    /// TLS towards the next hop.
    pub connector: Option<Connector>,
    /// The users of the listeners.
    pub credentials: Vec<Credentials>,
    /// The gate's own login with the next hop.
    pub account: Option<Account>,
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

impl From<GateError> for Failure {
    fn from(error: GateError) -> Self {
        match &error {
            GateError::Store(StoreError::Locked { .. }) => Self::Temporary(error.to_string()),
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
        let resolver = Resolver::new(&parts.dns, Dnssec::Off)
            .map_err(|fault| Failure::Io(fault.to_string()))?;
        let Parts { gate, policy, classifier, lists, .. } = parts;
        let monitor = gate.mode == Mode::Monitor;
        let (gate, report) = open_gate(gate, policy, classifier, lists, progress)?;
        let metrics = Arc::new(Metrics::new());
        let (drain, halt) = (CancellationToken::new(), CancellationToken::new());
        let connector = parts.tls.connector().cloned();
        let route =
            Route::fixed(parts.hosts, parts.tls, resolver).logging_in(parts.account.clone());
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
        for (listener, settings) in bound {
            doors.push(listener.local_addr()?);
            let door = Door {
                gate: gate.clone(),
                route: route.clone(),
                metrics: Arc::clone(&metrics),
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
            doors,
            report,
            addresses,
            certificates,
            connector,
            credentials,
            account: parts.account,
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
    }
}
