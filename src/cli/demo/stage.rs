//! The gate of the demonstration, in a directory of its own that goes when it ends.

use std::fs::DirBuilder;
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::net::TcpListener;

use super::cast;
use super::receivers::Receivers;
use crate::admin;
use crate::app::{Parts, Running};
use crate::bounce::classify::Classifier;
use crate::dns::Dnssec;
use crate::event::{Event, Tenant, What};
use crate::failure::Failure;
use crate::gate::{Draft, GateSettings};
use crate::lists::{Lists, parse_addresses};
use crate::log::Addresses;
use crate::policy::verdict::Decision;
use crate::policy::{Policy, Record};
use crate::proxy::PoolLimits;
use crate::proxy::route::{Protection, RouteSettings, at};
use crate::proxy::{DoorSettings, Timeouts};
use crate::routing::target::Targets;
use crate::session::{Auth, Limits, TellClient};
use crate::smtp::address::RecipientKey;
use crate::tally;
use crate::time::Timestamp;

/// A directory that only its owner can enter, removed when dropped.
pub(super) struct Folder(PathBuf);

impl Folder {
    pub(super) fn make() -> Result<Self, Failure> {
        let mut salt = [0; 8];
        getrandom::fill(&mut salt).map_err(|error| Failure::Io(error.to_string()))?;
        let name = format!("rcptgate-demo-{:016x}", u64::from_ne_bytes(salt));
        let path = std::env::temp_dir().join(name);
        DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Self(path))
    }

    fn data(&self) -> PathBuf {
        self.0.join("data")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What cannot be removed is in the system's temporary directory, which is swept.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The gate with its receivers.
pub(super) struct Stage {
    running: Running,
    /// Behind the gate.
    pub(super) receivers: Receivers,
}

impl Stage {
    /// Opens the gate: one listener for each tenant, the built-in lists and policy, one next hop.
    pub(super) async fn set(folder: &Folder) -> Result<Self, Failure> {
        let receivers = Receivers::listen().await?;
        let settings = GateSettings { cache_bytes: 8 << 20, ..GateSettings::new(folder.data()) };
        let allow = parse_addresses(cast::PARTNER.as_bytes())
            .map_err(|faults| Failure::Internal(format!("{faults:?}")))?;
        let policy = Policy::preset("quarantine")
            .ok_or_else(|| Failure::Internal("no preset `quarantine`".to_owned()))?;
        let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
        let parts = Parts {
            gate: settings,
            policy,
            classifier: Classifier::builtin(),
            lists: Lists { allow, ..Lists::embedded() },
            doors: [cast::SHOP, cast::NEWS].map(|tenant| (loopback, door(tenant))).into(),
            routes: Vec::new(),
            rest: RouteSettings::fixed(vec![at(receivers.address)], Protection::Off),
            pool: PoolLimits::default(),
            admin: None,
            dns: Vec::new(),
            dnssec: Dnssec::Off,
            targets: Targets::default(),
            sts: None,
            addresses: Addresses::Full,
            tally: tally::Settings::new(&folder.data()),
        };
        let running = Running::start(parts, |_, _| {}).await?;
        Ok(Self { running, receivers })
    }

    /// Where the tenant's mail comes in.
    pub(super) fn door(&self, tenant: &Tenant) -> Result<SocketAddr, Failure> {
        let place = [cast::SHOP, cast::NEWS].iter().position(|name| *name == tenant.0);
        place
            .and_then(|place| self.running.doors.get(place).copied())
            .ok_or_else(|| Failure::Internal(format!("no listener for {tenant}")))
    }

    /// What an operator or a recipient does; returns when it is on disk.
    pub(super) async fn act(&self, address: &str, tenant: &str, what: What) -> Result<(), Failure> {
        let draft = Draft {
            at: Timestamp::now(),
            address: key(address)?,
            tenant: Tenant(tenant.to_owned()),
            what,
        };
        let learnt = self.running.gate.learn(draft).in_time().await;
        learnt.map(drop).map_err(|why| Failure::Internal(format!("{address}: {why}")))
    }

    /// What the next RCPT would get.
    pub(super) fn judge(&self, address: &str, tenant: &Tenant) -> Result<Decision, Failure> {
        Ok(self.running.gate.judge(&key(address)?, tenant, Timestamp::now()))
    }

    /// What is known of an address.
    pub(super) fn record(&self, address: &str) -> Result<Record, Failure> {
        Ok(self.running.gate.record(&key(address)?)?.unwrap_or_default())
    }

    /// Every event of an address, from the journal.
    pub(super) fn history(&self, address: &str) -> Result<Vec<Event>, Failure> {
        let history = self.running.gate.history(&key(address)?)?;
        Ok(history.into_iter().map(|(_, event)| event).collect())
    }

    /// The policy in force.
    pub(super) fn policy(&self) -> Arc<Policy> {
        self.running.gate.policy()
    }

    /// Events on disk, of all addresses.
    pub(super) fn events(&self) -> Result<usize, Failure> {
        let events = self.running.gate.events(0).map_err(|error| Failure::Io(error.to_string()))?;
        Ok(events.count())
    }

    /// Opens the gate's API, and returns a configuration file by which the other commands find this gate.
    pub(super) async fn admit(&self, folder: &Folder) -> Result<PathBuf, Failure> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let mut text = format!(
            "data_dir = \"data\"\n[admin]\nlisten = \"{}\"\n[downstream]\nhosts = [\"{}\"]\n",
            listener.local_addr()?,
            self.receivers.address,
        );
        for tenant in [cast::SHOP, cast::NEWS] {
            let door = self.door(&Tenant(tenant.to_owned()))?;
            text += &format!("[[listen]]\naddress = \"{door}\"\ntenant = \"{tenant}\"\n");
        }
        std::fs::write(folder.0.join("allow.txt"), format!("{}\n", cast::PARTNER))?;
        let file = folder.0.join("rcptgate.toml");
        std::fs::write(&file, text)?;
        let token = admin::token::load_or_create(&folder.data())
            .map_err(|error| Failure::Io(error.to_string()))?;
        let reload: admin::Reload = Arc::new(|| Ok(()));
        let (gate, metrics) = (self.running.gate.clone(), Arc::clone(&self.running.metrics));
        let api = admin::Api::new(gate, metrics, token, reload);
        // It ends with the runtime.
        tokio::spawn(admin::serve(listener, api, std::future::pending()));
        Ok(file)
    }

    /// Ends the gate.
    pub(super) async fn strike(self) -> Result<(), Failure> {
        self.running.stop(std::future::ready(())).await;
        Ok(())
    }
}

fn key(address: &str) -> Result<RecipientKey, Failure> {
    RecipientKey::parse(address).map_err(|error| Failure::Internal(format!("{address}: {error}")))
}

fn door(tenant: &str) -> DoorSettings {
    // 127.0.0.0/8, which cannot fail to be a network.
    let loopback: Vec<_> = "127.0.0.0/8".parse().into_iter().collect();
    DoorSettings {
        data_rate: 0,
        proxies: Vec::new(),
        protocol: crate::session::Protocol::Smtp,
        tls: crate::session::ClientTls::Off,
        acceptor: None,
        auth: Auth::Off,
        auth_required: false,
        credentials: None,
        hostname: Arc::from("gate.test"),
        tenant: Some(Tenant(tenant.to_owned())),
        tenants: Arc::default(),
        keys: Arc::default(),
        clients: loopback.clone(),
        xforward: loopback,
        withhold: Vec::new(),
        xclient: Vec::new(),
        tell_client: TellClient::Off,
        limits: Limits::default(),
        timeouts: Timeouts::default(),
        connections: 100,
        connections_per_client: 100,
        monitor: false,
    }
}
