//! MTA-STS policies of recipient domains (RFC 8461): fetched over HTTPS, kept in memory and on disk. What they mean is in
//! [`crate::routing::sts`]. The only user of hyper.

mod fetch;
mod folder;

use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use moka::notification::RemovalCause;
use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use tokio::sync::{Mutex, OwnedMutexGuard, Semaphore};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout, timeout_at};

pub use fetch::Fault;
use folder::Folder;

use crate::routing::sts::{Cached, Policy, PolicyId, Record, Step, is_host_name, step};
use crate::time::Timestamp;
use crate::tls::Connector;

/// A policy that could not be fetched is not asked for again before this (RFC 8461 §3.3).
const RETRY_AFTER: Duration = Duration::from_secs(5 * 60);
/// Octets of a policy that count as one of [`Settings::most`]; few have more.
const USUAL: usize = 512;
/// Longest domain: `mta-sts.` before it must still make a name.
const DOMAIN_MAX: usize = 253 - fetch::PREFIX.len();

/// What the policies stand on.
pub trait Surroundings: Send + Sync + 'static {
    /// The TXT records of a name, the strings of each joined: none when there are none, `None` when nobody could say.
    fn texts(&self, name: &str) -> impl Future<Output = Option<Vec<String>>> + Send;
    /// The addresses of a host; none as well when nobody could say.
    fn addresses(&self, host: &str) -> impl Future<Output = Vec<IpAddr>> + Send;
    /// Whether an address must not be connected to. Strangers choose the domains, and so what is fetched from where.
    fn refuses(&self, address: IpAddr) -> bool;
    /// The time.
    fn now(&self) -> Timestamp;
    /// Told of every fetch that succeeded, with the domain whose policy it was.
    fn fetched(&self, domain: &str);
    /// Told of every fetch that failed, with the domain whose policy it was. A policy that is known goes on.
    fn failed(&self, domain: &str, fault: &Fault);
}

/// How policies are fetched and kept.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where policies survive a restart, a file each. Made if missing.
    pub folder: PathBuf,
    /// The port of HTTPS.
    pub port: u16,
    /// The most time for a fetch, and for mail that waits for one.
    pub deadline: Duration,
    /// Fetches at a time.
    pub at_once: usize,
    /// Policies that are kept, in memory and on disk; one above 512 octets counts for several. Those asked for least
    /// recently go first.
    pub most: u64,
}

impl Settings {
    /// The usual ones: port 443, 60 s, 20 fetches at a time, 10000 policies.
    pub const fn new(folder: PathBuf) -> Self {
        let deadline = Duration::from_secs(60);
        Self { folder, port: 443, deadline, at_once: 20, most: 10_000 }
    }
}

/// The policies that are known, and the way to those that are not.
pub struct Policies<S> {
    shared: Arc<Shared<S>>,
}

struct Shared<S> {
    settings: Settings,
    connector: Connector,
    surroundings: S,
    folder: Folder,
    known: Cache<String, Known>,
    attempts: Cache<String, Attempt>,
    places: Arc<Semaphore>,
}

#[derive(Clone)]
struct Known {
    cached: Arc<Cached>,
    /// Whether it was asked for since it was fetched: the others may end.
    is_used: Arc<AtomicBool>,
}

/// One fetch at a time of a domain, which holds the lock; within, when the last one failed.
type Attempt = Arc<Mutex<Option<Timestamp>>>;

impl<S> Clone for Policies<S> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<S: Surroundings> Policies<S> {
    /// Reads what was kept. `connector` proves the policies' hosts: by the system's roots, unless an operator says otherwise.
    ///
    /// # Errors
    /// The folder cannot be made or read. A file that is damaged counts as absent.
    pub fn open(settings: Settings, connector: Connector, surroundings: S) -> io::Result<Self> {
        let (folder, kept) = Folder::open(&settings.folder, surroundings.now())?;
        let known = known(settings.most, folder.clone());
        for (domain, cached) in kept {
            known.insert(domain, Known::new(cached));
        }
        let attempts = Cache::builder().max_capacity(settings.most);
        let attempts = attempts.eviction_policy(EvictionPolicy::lru()).build();
        let places = Arc::new(Semaphore::new(settings.at_once));
        let shared = Shared { settings, connector, surroundings, folder, known, attempts, places };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// The policy of a recipient domain (not of a mail host), a name in A-labels; `None` when it has none, or none that can be had.
    /// Waits for a fetch if need be, no longer than the deadline. Whether it enforces anything is its mode's business.
    pub async fn policy(&self, domain: &str) -> Option<Arc<Policy>> {
        let domain = domain_of(domain)?;
        let shared = &self.shared;
        let until = Instant::now() + shared.settings.deadline;
        let known = shared.known.get(&domain);
        let record = timeout_at(until, shared.record(&domain)).await.unwrap_or(Record::Unknown);
        let cached = known.as_ref().map(|known| known.cached.as_ref());
        let now = shared.surroundings.now();
        let fetched = match step(cached, &record, now) {
            Step::Fetch(id) => {
                let attempt = shared.attempt(&domain);
                timeout_at(until, self.fetch_once(&domain, id, attempt)).await.ok().flatten()
            }
            Step::Use(_) | Step::None => None,
        };
        let known = known.filter(|known| known.cached.applies(now));
        let chosen = fetched.or(known)?;
        chosen.is_used.store(true, Ordering::Relaxed);
        Some(Arc::clone(&chosen.cached.policy))
    }

    /// Fetches again what is in use before it ends, and forgets what has ended. To be called every hour or so.
    pub async fn refresh(&self) {
        let now = self.shared.surroundings.now();
        let mut fetches = JoinSet::new();
        for (domain, known) in &self.shared.known {
            let cached = &known.cached;
            if !cached.applies(now) {
                self.shared.known.invalidate(domain.as_ref());
            } else if cached.is_due(now) && known.is_used.load(Ordering::Relaxed) {
                // Half of the places are for mail that waits.
                if fetches.len() >= (self.shared.settings.at_once / 2).max(1) {
                    fetches.join_next().await;
                }
                let policies = self.clone();
                fetches.spawn(async move { policies.renew(&domain).await });
            }
        }
        while fetches.join_next().await.is_some() {}
        // Nothing else makes the cache do what it has put off, such as taking files away.
        self.shared.known.run_pending_tasks();
    }

    /// A domain without a record has its policy end by itself (RFC 8461 §8.3 has it publish `none` instead).
    async fn renew(&self, domain: &str) {
        let Record::Policy(id) = self.shared.record(domain).await else { return };
        let attempt = self.shared.attempt(domain).lock_owned().await;
        self.fetch(domain, &id, attempt).await;
    }

    /// Fetches a policy unless somebody else just has, or has failed to.
    async fn fetch_once(&self, domain: &str, id: &PolicyId, attempt: Attempt) -> Option<Known> {
        let attempt = attempt.lock_owned().await;
        let now = self.shared.surroundings.now();
        let known = self.shared.known.get(domain);
        if let Some(known) =
            known.filter(|known| known.cached.id == *id && known.cached.applies(now))
        {
            return Some(known);
        }
        if attempt.is_some_and(|failed| now.since(failed) < RETRY_AFTER) {
            return None;
        }
        self.fetch(domain, id, attempt).await
    }

    /// In a task of its own: a client that leaves, or has waited long enough, does not end it for others.
    async fn fetch(
        &self,
        domain: &str,
        id: &PolicyId,
        mut attempt: OwnedMutexGuard<Option<Timestamp>>,
    ) -> Option<Known> {
        let place = Arc::clone(&self.shared.places).acquire_owned().await.ok()?;
        let (shared, domain, id) = (Arc::clone(&self.shared), domain.to_owned(), id.clone());
        let fetch = tokio::spawn(async move {
            let _place = place;
            let fetch = shared.fetch(&domain, id);
            let outcome = timeout(shared.settings.deadline, fetch).await;
            match outcome.unwrap_or(Err(Fault::TooSlow)) {
                Ok(known) => {
                    *attempt = None;
                    shared.surroundings.fetched(&domain);
                    Some(known)
                }
                Err(fault) => {
                    *attempt = Some(shared.surroundings.now());
                    shared.surroundings.failed(&domain, &fault);
                    None
                }
            }
        });
        fetch.await.ok().flatten()
    }
}

impl<S: Surroundings> Shared<S> {
    async fn record(&self, domain: &str) -> Record {
        match self.surroundings.texts(&format!("_mta-sts.{domain}")).await {
            Some(texts) => PolicyId::announced(&texts).map_or(Record::Nothing, Record::Policy),
            None => Record::Unknown,
        }
    }

    fn attempt(&self, domain: &str) -> Attempt {
        self.attempts.get_with_by_ref(domain, Attempt::default)
    }

    async fn fetch(&self, domain: &str, id: PolicyId) -> Result<Known, Fault> {
        let policy =
            fetch::fetch(domain, &self.settings, &self.connector, &self.surroundings).await?;
        let fetched = self.surroundings.now();
        let known = Known::new(Cached { id, policy: Arc::new(policy), fetched });
        // In force whatever the disk says of it.
        self.known.insert(domain.to_owned(), known.clone());
        self.known.run_pending_tasks();
        if let Err(error) = self.folder.keep(domain, &known.cached).await {
            self.surroundings.failed(domain, &Fault::NotKept(error));
        }
        // It may be too large to be kept, and gone before it was written.
        if !self.known.contains_key(domain) {
            self.folder.forget(domain);
        }
        Ok(known)
    }
}

impl Known {
    fn new(cached: Cached) -> Self {
        Self { cached: Arc::new(cached), is_used: Arc::default() }
    }
}

/// What goes from memory goes from the disk.
fn known(most: u64, folder: Folder) -> Cache<String, Known> {
    let weight = |_: &String, known: &Known| {
        let octets = known.cached.policy.to_string().len();
        u32::try_from(1 + octets / USUAL).unwrap_or(u32::MAX)
    };
    Cache::builder()
        .max_capacity(most)
        .weigher(weight)
        .eviction_policy(EvictionPolicy::lru())
        .eviction_listener(move |domain, _, cause| {
            if cause != RemovalCause::Replaced {
                folder.forget(&domain);
            }
        })
        .build()
}

/// A domain as it is asked for and kept: whatever is none, such as an address literal, has no policy.
fn domain_of(text: &str) -> Option<String> {
    let name = text.strip_suffix('.').unwrap_or(text);
    (name.len() <= DOMAIN_MAX && is_host_name(name)).then(|| name.to_ascii_lowercase())
}
