//! What the policies stand on: a DNS, a clock, and an ear for faults.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use rcptgate::mta_sts::{Fault, Surroundings};
use rcptgate::time::Timestamp;
use tokio::sync::Semaphore;

#[derive(Clone)]
enum Records {
    Some(Vec<String>),
    Broken,
    Silent,
}

#[derive(Clone)]
pub struct World {
    inner: Arc<Mutex<Inner>>,
    failed: Arc<Semaphore>,
}

struct Inner {
    records: HashMap<String, Records>,
    asked: Vec<String>,
    addresses: Vec<IpAddr>,
    refused: HashSet<IpAddr>,
    now: i64,
    faults: Vec<String>,
    fetched: Vec<String>,
}

impl World {
    pub fn new() -> Self {
        let inner = Inner {
            records: HashMap::new(),
            asked: Vec::new(),
            addresses: vec![[127, 0, 0, 1].into()],
            refused: HashSet::new(),
            now: 1_800_000_000,
            faults: Vec::new(),
            fetched: Vec::new(),
        };
        Self { inner: Arc::new(Mutex::new(inner)), failed: Arc::new(Semaphore::new(0)) }
    }

    fn with<T>(&self, act: impl FnOnce(&mut Inner) -> T) -> T {
        act(&mut self.inner.lock().expect("the world"))
    }

    fn set(&self, domain: &str, records: Records) {
        self.with(|world| world.records.insert(format!("_mta-sts.{domain}"), records));
    }

    pub fn announce(&self, domain: &str, texts: &[&str]) {
        self.set(domain, Records::Some(texts.iter().map(|text| (*text).to_owned()).collect()));
    }

    pub fn break_dns(&self, domain: &str) {
        self.set(domain, Records::Broken);
    }

    pub fn be_silent(&self, domain: &str) {
        self.set(domain, Records::Silent);
    }

    pub fn resolve(&self, addresses: &[IpAddr]) {
        self.with(|world| world.addresses = addresses.to_vec());
    }

    pub fn refuse(&self, address: IpAddr) {
        self.with(|world| world.refused.insert(address));
    }

    /// Seconds go by; back, if there are fewer than none.
    pub fn pass(&self, seconds: i64) {
        self.with(|world| world.now += seconds);
    }

    pub fn asked(&self) -> Vec<String> {
        self.with(|world| world.asked.clone())
    }

    /// The domains whose policies were fetched.
    pub fn fetched(&self) -> Vec<String> {
        self.with(|world| world.fetched.clone())
    }

    /// The faults since they were last asked for.
    pub fn faults(&self) -> Vec<String> {
        self.with(|world| std::mem::take(&mut world.faults))
    }

    /// Waits for one.
    pub async fn fault(&self) {
        self.failed.acquire().await.expect("open").forget();
    }
}

impl Surroundings for World {
    async fn texts(&self, name: &str) -> Option<Vec<String>> {
        let records = self.with(|world| {
            world.asked.push(name.to_owned());
            world.records.get(name).cloned()
        });
        match records.unwrap_or(Records::Some(Vec::new())) {
            Records::Some(texts) => Some(texts),
            Records::Broken => None,
            Records::Silent => std::future::pending().await,
        }
    }

    async fn addresses(&self, host: &str) -> Vec<IpAddr> {
        self.with(|world| {
            world.asked.push(host.to_owned());
            world.addresses.clone()
        })
    }

    fn refuses(&self, address: IpAddr) -> bool {
        self.with(|world| world.refused.contains(&address))
    }

    fn now(&self) -> Timestamp {
        self.with(|world| Timestamp::from_secs(world.now))
    }

    fn fetched(&self, domain: &str) {
        self.with(|world| world.fetched.push(domain.to_owned()));
    }

    fn failed(&self, domain: &str, fault: &Fault) {
        self.with(|world| world.faults.push(format!("{domain}: {fault} ({})", fault.name())));
        self.failed.add_permits(1);
    }
}
