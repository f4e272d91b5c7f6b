//! All that connections to next hops share: routes, and what is known of the hosts behind them.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use super::downstream::{Pool, PoolLimits, Silent};
use super::rarely::Rarely;
use super::route::Routes;
use crate::dns::{LookupFault, Resolver};
use crate::metrics::{Metrics, Outward};
use crate::mta_sts::{Fault, Policies, Surroundings};
use crate::routing::target::Targets;
use crate::time::Timestamp;
use tokio::sync::Semaphore;
use tokio::time::Instant;

/// The way out, shared by all listeners.
pub struct Outbound {
    /// Where mail goes.
    pub routes: Routes,
    /// What names are looked up with.
    pub resolver: Resolver,
    /// Where mail by `mx` never goes.
    pub targets: Arc<Targets>,
    /// The policies that domains publish, if they are asked for.
    pub policies: Option<Policies<World>>,
    /// By what the gate knows itself when it meets itself.
    pub own: Own,
    /// Connections to next hops in use, in all: a message to a hundred domains has a hundred, and there are only so many descriptors.
    pub sockets: Arc<Semaphore>,
    pub(super) pool: Pool,
    pub(super) silent: Silent,
}

impl Outbound {
    /// These routes; `goodbye` is how long a reply to QUIT is waited for.
    pub fn new(
        routes: Routes,
        resolver: Resolver,
        own: Own,
        pool: PoolLimits,
        goodbye: Duration,
    ) -> Self {
        let (targets, pool) = (Arc::default(), Pool::new(pool, goodbye));
        let sockets = Arc::new(Semaphore::new(Semaphore::MAX_PERMITS));
        let (policies, silent) = (None, Silent::default());
        Self { sockets, routes, resolver, targets, policies, own, pool, silent }
    }

    /// What is counted here shows among the figures.
    pub fn shown_in(&self, metrics: &Metrics) {
        let (resolver, pool) = (self.resolver.clone(), self.pool.clone());
        metrics.read_outward(move || Outward {
            remembered: resolver.hits(),
            asked: resolver.misses(),
            kept: pool.count(),
        });
    }
}

/// What policies of MTA-STS are fetched with.
pub struct World {
    /// What names are looked up with.
    pub resolver: Resolver,
    /// Where nothing is fetched from.
    pub targets: Arc<Targets>,
    /// Counts fetches.
    pub metrics: Arc<Metrics>,
}

impl Surroundings for World {
    async fn texts(&self, name: &str) -> Option<Vec<String>> {
        match self.resolver.txt(name).await {
            Ok(found) => Some(found.records),
            Err(LookupFault::NoSuchDomain | LookupFault::NoRecords) => Some(Vec::new()),
            Err(LookupFault::Failed(_)) => None,
        }
    }

    async fn addresses(&self, host: &str) -> Vec<IpAddr> {
        self.resolver.addresses(host).await.map(|found| found.records).unwrap_or_default()
    }

    fn refuses(&self, address: IpAddr) -> bool {
        self.targets.refuses(address).is_some()
    }

    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    fn fetched(&self, _: &str) {
        self.metrics.policy_fetched("ok");
    }

    fn failed(&self, domain: &str, fault: &Fault) {
        self.metrics.policy_fetched(fault.name());
        static LINES: Rarely = Rarely::new(20);
        if let Some(more) = LINES.may(Instant::now()) {
            tracing::warn!(event = "tls", result = "sts_not_fetched", domain, error = %fault, more);
        }
    }
}

/// What tells a gate that a next hop is itself, before any mail goes round.
#[derive(Clone, Debug, Default)]
pub struct Own {
    /// Where it listens, the admin API included.
    pub addresses: Vec<SocketAddr>,
    /// A word of this process alone that stands in its greeting: it finds itself behind another address too. Empty: none.
    pub instance: Arc<str>,
}

impl Own {
    /// Whether a connection to there would be one to ourselves.
    pub(super) fn is_at(&self, target: SocketAddr) -> bool {
        self.addresses.iter().any(|own| {
            own.port() == target.port() && own.ip().to_canonical() == target.ip().to_canonical()
        })
    }

    /// Whether a connection from this machine to itself has come to ourselves: a listener on all addresses has no one address.
    pub(super) fn is_between(&self, from: SocketAddr, to: SocketAddr) -> bool {
        let port = |own: &SocketAddr| own.port() == to.port() && own.ip().is_unspecified();
        from.ip().to_canonical() == to.ip().to_canonical() && self.addresses.iter().any(port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_own_addresses() {
        let address = |text: &str| text.parse::<SocketAddr>().expect("an address");
        let own = |listen: &str| Own { addresses: vec![address(listen)], ..Own::default() };
        assert!(own("192.0.2.1:25").is_at(address("192.0.2.1:25")));
        assert!(own("192.0.2.1:25").is_at(address("[::ffff:192.0.2.1]:25")));
        assert!(!own("192.0.2.1:25").is_at(address("192.0.2.1:26")));
        assert!(!own("192.0.2.1:25").is_at(address("192.0.2.2:25")));
        let here = address("192.0.2.1:40000");
        assert!(own("0.0.0.0:25").is_between(here, address("192.0.2.1:25")));
        assert!(own("[::]:25").is_between(here, address("192.0.2.1:25")));
        assert!(!own("0.0.0.0:25").is_between(here, address("192.0.2.2:25")));
        assert!(!own("192.0.2.9:25").is_between(here, address("192.0.2.1:25")));
    }
}
