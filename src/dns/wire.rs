//! Asking: the servers, in which order, how long, and how many questions at once.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverOpts};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::xfer::DnsHandle;
use hickory_resolver::proto::op::{DnsRequestOptions, DnsResponse, Query};
use hickory_resolver::{NameServerPool, PoolContext, TlsConfig};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

use super::answer::{dislikes_edns, settles};
use super::{Dnssec, SetupFault};

/// A question and all its tries, and the wait for its turn.
pub(super) const DEADLINE: Duration = Duration::from_secs(10);
/// The first try, at the servers that were quickest lately, gets half of it.
const FIRST_SHARE: u32 = 2;
/// Questions under way at once. Each is a socket; a resolver that is slower than this is not helped by more.
pub(super) const QUESTIONS_MAX: usize = 128;

type Pool = NameServerPool<TokioRuntimeProvider>;
type Came = Result<DnsResponse, NetError>;

/// The servers.
pub(super) struct Wire {
    /// All of them: two are asked at a time, the quickest lately first, and the first to say anything is believed.
    all: Pool,
    /// Each by itself: asked in order when that came to nothing, since a server that refuses is often the quickest.
    each: Vec<Pool>,
    dnssec: Dnssec,
    turns: Semaphore,
}

impl Wire {
    pub(super) fn new(servers: &[NameServerConfig], dnssec: Dnssec) -> Result<Self, SetupFault> {
        let tls = TlsConfig::new().map_err(|error| SetupFault(error.to_string()))?;
        let mut options = ResolverOpts::default();
        // The default is fewer than the questions that there may be: they would fail as "busy" when UDP is out of use.
        options.max_active_requests = QUESTIONS_MAX;
        options.timeout = DEADLINE / FIRST_SHARE;
        let context = Arc::new(PoolContext::new(options, tls));
        let pool = |servers: &[NameServerConfig]| {
            let provider = TokioRuntimeProvider::default();
            Pool::from_config(servers.iter().cloned(), Arc::clone(&context), provider)
        };
        Ok(Self {
            all: pool(servers),
            each: servers.iter().map(|server| pool(std::slice::from_ref(server))).collect(),
            dnssec,
            turns: Semaphore::new(QUESTIONS_MAX),
        })
    }

    /// Whether signatures are asked for.
    const fn asks_for_signatures(&self) -> bool {
        match self.dnssec {
            Dnssec::Off => false,
            Dnssec::TrustAd => true,
        }
    }

    /// What came of a question, in time, and whether its AD bit is to be believed: who did not ask for it with DO was not
    /// promised anything.
    pub(super) async fn ask(&self, question: &Query) -> (Came, bool) {
        let deadline = Instant::now() + DEADLINE;
        let turn = timeout_at(deadline, self.turns.acquire()).await;
        let Ok(Ok(_turn)) = turn else { return (Err(NetError::Busy), false) };
        let mut came = Err(NetError::NoConnections);
        let mut edns = true;
        for (index, pool) in std::iter::once(&self.all).chain(&self.each).enumerate() {
            let tries_left = match index {
                0 => FIRST_SHARE,
                _ => u32::try_from(self.each.len() + 1 - index).unwrap_or(u32::MAX),
            };
            let now = Instant::now();
            let until = now + deadline.saturating_duration_since(now) / tries_left;
            edns = edns && !dislikes_edns(&came);
            came = timeout_at(until, self.send(pool, question, edns))
                .await
                .unwrap_or(Err(NetError::Timeout));
            if settles(&came) {
                break;
            }
        }
        (came, edns && self.asks_for_signatures())
    }

    fn send(
        &self,
        pool: &Pool,
        question: &Query,
        edns: bool,
    ) -> impl Future<Output = Came> + use<> {
        let mut options = DnsRequestOptions::default();
        options.use_edns = edns;
        options.edns_set_dnssec_ok = edns && self.asks_for_signatures();
        options.recursion_desired = true;
        let mut answers = pool.lookup(question.clone(), options);
        async move {
            let first = std::future::poll_fn(|context| answers.as_mut().poll_next(context)).await;
            first.unwrap_or(Err(NetError::NoConnections))
        }
    }
}

/// A server of the configuration, by UDP and for what does not fit by TCP.
pub(super) fn name_server(address: &SocketAddr) -> NameServerConfig {
    let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()]
        .map(|mut connection| {
            connection.port = address.port();
            connection
        })
        .to_vec();
    NameServerConfig::new(address.ip(), true, connections)
}
