//! Names to network addresses: the only user of hickory.

use std::net::{IpAddr, SocketAddr};

use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::{Resolver as Hickory, TokioResolver};

/// Looks names up.
#[derive(Clone)]
pub struct Resolver {
    hickory: TokioResolver,
}

/// Why a name has no address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LookupFault {
    /// The name exists nowhere, or has no address. A fault of the configuration, or of the zone.
    #[error("{0}: no such host")]
    NoSuchHost(String),
    /// No answer, or a refusal: nothing is known about the name.
    #[error("{0}: look-up failed: {1}")]
    Failed(String, String),
}

/// The resolver could not be set up.
#[derive(Debug, thiserror::Error)]
#[error("cannot set up name resolution: {0}")]
pub struct SetupFault(String);

impl Resolver {
    /// A resolver that asks these servers, or those of the system when there are none.
    ///
    /// # Errors
    /// The system's configuration cannot be read.
    pub fn new(servers: &[SocketAddr]) -> Result<Self, SetupFault> {
        let fault = |error: &dyn std::fmt::Display| SetupFault(error.to_string());
        let mut builder = if servers.is_empty() {
            TokioResolver::builder_tokio().map_err(|error| fault(&error))?
        } else {
            let servers = servers.iter().map(name_server).collect();
            let config = ResolverConfig::from_parts(None, Vec::new(), servers);
            Hickory::builder_with_config(config, TokioRuntimeProvider::default())
        };
        // A next hop is a whole name: the search list is for people at a terminal.
        builder.options_mut().ndots = 0;
        Ok(Self { hickory: builder.build().map_err(|error| fault(&error))? })
    }

    /// The addresses of a host, in the order of the answer. An address is its own answer.
    ///
    /// # Errors
    /// Whether the name has none, or nobody could say.
    pub async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, LookupFault> {
        if let Ok(address) = host.trim_start_matches('[').trim_end_matches(']').parse() {
            return Ok(vec![address]);
        }
        match self.hickory.lookup_ip(host).await {
            Ok(found) => Ok(found.iter().collect()),
            Err(error) if error.is_nx_domain() || error.is_no_records_found() => {
                Err(LookupFault::NoSuchHost(host.to_owned()))
            }
            Err(error) => Err(LookupFault::Failed(host.to_owned(), error.to_string())),
        }
    }
}

fn name_server(address: &SocketAddr) -> NameServerConfig {
    let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()]
        .map(|mut connection| {
            connection.port = address.port();
            connection
        })
        .to_vec();
    NameServerConfig::new(address.ip(), true, connections)
}
