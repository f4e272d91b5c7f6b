//! Questions to DNS and their answers as plain values: the only user of hickory and of its cache.
//!
//! | file | holds |
//! |---|---|
//! | `octets` | what anybody's octets are read as, for fuzzers |
//! | `name` | which names are asked for, and which from an answer are believed |
//! | `wire` | the servers, the tries and their deadline, the bound on questions at once |
//! | `answer` | from a message to records or a fault, and how long either holds |
//! | `rows` | from one record to a value |
//! | `cache` | one question for all who ask at the same time, and for a while |

mod answer;
mod cache;
mod name;
pub mod octets;
mod rows;
mod wire;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use hickory_resolver::config::{NameServerConfig, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::op::Query;
use hickory_resolver::proto::rr::RecordType;
use hickory_resolver::system_conf::read_system_conf;
use hickory_resolver::{Resolver as Hickory, TokioResolver};

use self::answer::Outcome;
use self::cache::Cache;
use self::rows::{Alias, Row};
use self::wire::Wire;
pub use crate::routing::records::LookupFault;
use crate::routing::records::{Addresses, End, Exchange, Found, Tlsa};

/// Most addresses of one host.
const ADDRESSES_MAX: usize = 100;

/// Looks names up. Copies share the servers and what was asked lately.
#[derive(Clone)]
pub struct Resolver {
    /// For next hops of the configuration: it knows `/etc/hosts` and has a memory of its own.
    hosts: TokioResolver,
    shared: Arc<Shared>,
}

struct Shared {
    wire: Wire,
    mx: Cache<Exchange>,
    a: Cache<IpAddr>,
    aaaa: Cache<IpAddr>,
    tlsa: Cache<Tlsa>,
    txt: Cache<String>,
    alias: Cache<Alias>,
}

/// Whether answers can be authentic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dnssec {
    /// Never: signatures are not asked for.
    Off,
    /// If the server says so (AD, RFC 4035 §3.2.3): asked with DO. For a resolver that validates, on this machine (RFC 7672 §2.1.1).
    TrustAd,
}

/// The resolver could not be set up.
#[derive(Debug, thiserror::Error)]
#[error("cannot set up name resolution: {0}")]
pub struct SetupFault(String);

impl Resolver {
    /// A resolver that asks these servers, or those of the system when there are none.
    ///
    /// # Errors
    /// The library cannot be set up.
    pub fn new(servers: &[SocketAddr], dnssec: Dnssec) -> Result<Self, SetupFault> {
        let fault = |error: &dyn std::fmt::Display| SetupFault(error.to_string());
        let servers = match servers {
            [] => system_servers(),
            servers => servers.iter().map(wire::name_server).collect(),
        };
        let config = ResolverConfig::from_parts(None, Vec::new(), servers.clone());
        let mut builder = Hickory::builder_with_config(config, TokioRuntimeProvider::default());
        // A next hop is a whole name: the search list is for people at a terminal.
        builder.options_mut().ndots = 0;
        let hosts = builder.build().map_err(|error| fault(&error))?;
        let shared = Shared {
            wire: Wire::new(&servers, dnssec)?,
            mx: Cache::new(),
            a: Cache::new(),
            aaaa: Cache::new(),
            tlsa: Cache::new(),
            txt: Cache::new(),
            alias: Cache::new(),
        };
        Ok(Self { hosts, shared: Arc::new(shared) })
    }

    /// The first of these servers, or of those of the system when there are none, that is not on this machine: somebody on the way
    /// there can forge the AD bit. Whether those on this machine validate is for the operator to know.
    pub fn remote(servers: &[SocketAddr]) -> Option<IpAddr> {
        let all: Vec<IpAddr> = match servers {
            [] => system_servers().iter().map(|server| server.ip).collect(),
            given => given.iter().map(SocketAddr::ip).collect(),
        };
        all.into_iter().find(|server| !server.is_loopback())
    }

    /// The addresses of a next hop that the configuration names, in the order of the answer. `/etc/hosts` is read first. An
    /// address is its own answer.
    ///
    /// # Errors
    /// Whether the name has none, or nobody could say.
    pub async fn host(&self, host: &str) -> Result<Vec<IpAddr>, LookupFault> {
        if let Ok(address) = host.trim_start_matches('[').trim_end_matches(']').parse() {
            return Ok(vec![address]);
        }
        match self.hosts.lookup_ip(host).await {
            Ok(found) => Ok(found.iter().collect()),
            Err(error) if error.is_nx_domain() => Err(LookupFault::NoSuchDomain),
            Err(error) if error.is_no_records_found() => Err(LookupFault::NoRecords),
            Err(error) => Err(LookupFault::Failed(error.to_string())),
        }
    }

    /// The mail hosts that a domain names, by ascending preference, otherwise in the order of the answer.
    ///
    /// # Errors
    /// The domain does not exist, names none, or nobody could say.
    pub async fn mx(&self, domain: &str) -> Result<Found<Exchange>, LookupFault> {
        self.ask(&self.shared.mx, RecordType::MX, domain).await
    }

    /// The addresses of a mail host, at most 100, and where its aliases lead. Those of one family are enough.
    ///
    /// # Errors
    /// The host does not exist, has no address, or nobody could say.
    pub async fn addresses(&self, host: &str) -> Result<Addresses, LookupFault> {
        let (v6, v4) = tokio::join!(
            self.ask(&self.shared.aaaa, RecordType::AAAA, host),
            self.ask(&self.shared.a, RecordType::A, host),
        );
        both_families(v6, v4)
    }

    /// The TLSA records for a TCP port of a host (RFC 6698 §3).
    ///
    /// # Errors
    /// There are none, or nobody could say.
    pub async fn tlsa(&self, port: u16, host: &str) -> Result<Found<Tlsa>, LookupFault> {
        let name = format!("_{port}._tcp.{host}");
        self.ask(&self.shared.tlsa, RecordType::TLSA, &name).await
    }

    /// Whether a name is an alias, and that it is can be believed: this one alone, wherever it leads.
    ///
    /// # Errors
    /// Nobody could say.
    pub async fn is_authentic_alias(&self, name: &str) -> Result<bool, LookupFault> {
        match self.ask(&self.shared.alias, RecordType::CNAME, name).await {
            Ok(found) => Ok(found.authentic),
            Err(LookupFault::NoSuchDomain | LookupFault::NoRecords) => Ok(false),
            Err(failed @ LookupFault::Failed(_)) => Err(failed),
        }
    }

    /// The texts of a name; a record that is not UTF-8 is left out.
    ///
    /// # Errors
    /// There are none, or nobody could say.
    pub async fn txt(&self, name: &str) -> Result<Found<String>, LookupFault> {
        self.ask(&self.shared.txt, RecordType::TXT, name).await
    }

    /// Questions answered from memory so far; those of [`Self::host`] are not counted.
    pub fn hits(&self) -> u64 {
        let Shared { wire: _, mx, a, aaaa, tlsa, txt, alias } = &*self.shared;
        mx.hits() + a.hits() + aaaa.hits() + tlsa.hits() + txt.hits() + alias.hits()
    }

    /// Questions that had to be asked so far.
    pub fn misses(&self) -> u64 {
        let Shared { wire: _, mx, a, aaaa, tlsa, txt, alias } = &*self.shared;
        let addresses = a.misses() + aaaa.misses();
        mx.misses() + addresses + tlsa.misses() + txt.misses() + alias.misses()
    }

    async fn ask<T: Row>(&self, cache: &Cache<T>, kind: RecordType, name: &str) -> Outcome<T> {
        // What can be no name exists nowhere, and is not told to anybody.
        let host = name::host_name(name).ok_or(LookupFault::NoSuchDomain)?;
        let absolute = name::absolute(&host).ok_or(LookupFault::NoSuchDomain)?;
        let question = Query::query(absolute, kind);
        let asking = async {
            let (came, trust) = self.shared.wire.ask(&question).await;
            answer::read(&question, &came, trust)
        };
        cache.get(&host, asking).await
    }
}

/// Those of `/etc/resolv.conf`. Where it names none, or is not there, it means the server on this machine (resolv.conf(5)): a gate whose
/// next hops are addresses needs no name server at all.
fn system_servers() -> Vec<NameServerConfig> {
    let named = read_system_conf().map(|(config, _)| config.name_servers().to_vec());
    match named {
        Ok(named) if !named.is_empty() => named,
        Ok(_) | Err(_) => vec![wire::name_server(&SocketAddr::from(([127, 0, 0, 1], 53)))],
    }
}

/// One answer of two. A name that exists for one family and not for the other is a broken server's (RFC 4074 §4.2).
fn both_families(v6: Outcome<IpAddr>, v4: Outcome<IpAddr>) -> Result<Addresses, LookupFault> {
    use LookupFault::{Failed, NoRecords, NoSuchDomain};
    match (v6, v4) {
        (Ok(v6), Ok(v4)) => {
            let ends = ends(end(&v6), end(&v4));
            Ok(Addresses { records: in_turn(v6.records, v4.records), ends })
        }
        (Ok(found), Err(_)) | (Err(_), Ok(found)) => {
            let ends = vec![end(&found)];
            Ok(Addresses { records: found.records, ends })
        }
        (Err(Failed(why)), Err(_)) | (Err(_), Err(Failed(why))) => Err(Failed(why)),
        (Err(NoSuchDomain), Err(NoSuchDomain)) => Err(NoSuchDomain),
        (Err(NoSuchDomain | NoRecords), Err(NoSuchDomain | NoRecords)) => Err(NoRecords),
    }
}

fn end(found: &Found<IpAddr>) -> End {
    End { name: found.name.clone(), authentic: found.authentic }
}

/// Each name once. What is authentic for one family is so: nobody can sign in the name's stead.
fn ends(v6: End, v4: End) -> Vec<End> {
    if v6.name == v4.name {
        return vec![End { authentic: v6.authentic || v4.authentic, ..v6 }];
    }
    vec![v6, v4]
}

/// One of each while there are, so that whoever tries the first few tries both families.
fn in_turn(first: Vec<IpAddr>, second: Vec<IpAddr>) -> Vec<IpAddr> {
    let (mut first, mut second) = (first.into_iter(), second.into_iter());
    let mut all = Vec::new();
    loop {
        let pair = [first.next(), second.next()];
        if pair == [None, None] || all.len() >= ADDRESSES_MAX {
            all.truncate(ADDRESSES_MAX);
            return all;
        }
        all.extend(pair.into_iter().flatten());
    }
}
