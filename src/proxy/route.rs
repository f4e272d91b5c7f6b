//! The next hop, and what it was last seen to offer.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};

use crate::credentials::Account;
use crate::dns::Resolver;
use crate::session::Protocol;
use crate::session::opening::Starttls;
use crate::smtp::extensions::Capabilities;
use crate::tls::Connector;

/// A host and its port.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Host {
    /// A name, or an address without brackets.
    pub name: String,
    /// The TCP port.
    pub port: u16,
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.name.contains(':') {
            write!(f, "[{}]:{}", self.name, self.port)
        } else {
            write!(f, "{}:{}", self.name, self.port)
        }
    }
}

/// Text that is no host with a port.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a host: {0:?} (expected name:port, 192.0.2.1:25 or [2001:db8::1]:25)")]
pub struct NotAHost(pub String);

impl FromStr for Host {
    type Err = NotAHost;

    /// Reads `name`, `name:port`, `[v6]` or `[v6]:port`; the port is 25 when it is not said.
    fn from_str(text: &str) -> Result<Self, NotAHost> {
        let wrong = || NotAHost(text.to_owned());
        let (name, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (name, port) = rest.split_once(']').ok_or_else(wrong)?;
                name.parse::<std::net::Ipv6Addr>().map_err(|_| wrong())?;
                (name, port.strip_prefix(':').or(port.is_empty().then_some("25")))
            }
            None => match text.split_once(':') {
                Some((name, port)) => (name, Some(port)),
                None => (text, Some("25")),
            },
        };
        let port = port.and_then(|port| port.parse().ok()).filter(|port| *port != 0);
        let fits = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic());
        match port {
            Some(port) if fits => Ok(Self { name: name.to_owned(), port }),
            Some(_) | None => Err(wrong()),
        }
    }
}

/// TLS towards the next hop.
#[derive(Clone, Default)]
pub enum Protection {
    /// None.
    #[default]
    Off,
    /// If it is offered; whoever answers.
    Opportunistic(Connector),
    /// Always; whoever answers.
    Required(Connector),
    /// Always, and the certificate must prove the name that the configuration gives.
    Verify(Connector),
}

impl Protection {
    /// The name as configuration and log have it.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Opportunistic(_) => "opportunistic",
            Self::Required(_) => "required",
            Self::Verify(_) => "verify",
        }
    }

    /// Whether TLS is never gone without, and never with somebody else.
    pub(super) const fn proves_the_name(&self) -> bool {
        match self {
            Self::Verify(_) => true,
            Self::Off | Self::Opportunistic(_) | Self::Required(_) => false,
        }
    }

    /// What is known of a next hop by its certificate.
    pub(super) const fn trust(&self) -> &'static str {
        match self {
            Self::Off => "",
            Self::Opportunistic(_) | Self::Required(_) => "untrusted",
            Self::Verify(_) => "verified",
        }
    }

    pub(super) const fn starttls(&self) -> Starttls {
        match self {
            Self::Off => Starttls::Off,
            Self::Opportunistic(_) => Starttls::Opportunistic,
            Self::Required(_) | Self::Verify(_) => Starttls::Required,
        }
    }

    /// What TLS is made with, if there is any.
    pub const fn connector(&self) -> Option<&Connector> {
        match self {
            Self::Off => None,
            Self::Opportunistic(connector)
            | Self::Required(connector)
            | Self::Verify(connector) => Some(connector),
        }
    }
}

/// One next hop for everything: `route = "fixed"`.
#[derive(Clone)]
pub struct Route {
    shared: Arc<Shared>,
    account: Option<Account>,
    protocol: Protocol,
}

struct Shared {
    hosts: Vec<Host>,
    /// Of some domains, routes of their own.
    domains: HashMap<String, Route>,
    tls: Protection,
    resolver: Resolver,
    /// What each host offered when it was last connected to.
    seen: Mutex<HashMap<Host, Capabilities>>,
}

impl Route {
    /// These hosts, tried in order.
    pub fn fixed(hosts: Vec<Host>, tls: Protection, resolver: Resolver) -> Self {
        let (domains, seen) = (HashMap::new(), Mutex::default());
        let shared = Shared { hosts, domains, tls, resolver, seen };
        Self { shared: Arc::new(shared), account: None, protocol: Protocol::Smtp }
    }

    /// For each of these domains of recipients (as [`crate::smtp::address::RecipientKey::domain`] has them) another one; there is
    /// none for the others. Only a client of LMTP can have a message with recipients of several.
    pub fn by_domain(domains: HashMap<String, Self>, resolver: Resolver) -> Self {
        let (hosts, tls, seen) = (Vec::new(), Protection::Off, Mutex::default());
        let shared = Shared { hosts, domains, tls, resolver, seen };
        Self { shared: Arc::new(shared), account: None, protocol: Protocol::Smtp }
    }

    /// Whether the recipients of one message may need several next hops.
    pub(super) fn fans_out(&self) -> bool {
        !self.shared.domains.is_empty()
    }

    /// The route for recipients of one domain.
    pub(super) fn towards(&self, domain: &str) -> Self {
        self.shared.domains.get(domain).unwrap_or(self).clone()
    }

    /// With this login at each of them.
    #[must_use]
    pub fn logging_in(self, account: Option<Account>) -> Self {
        Self { account, ..self }
    }

    /// Spoken to in this.
    #[must_use]
    pub fn speaking(self, protocol: Protocol) -> Self {
        Self { protocol, ..self }
    }

    pub(super) const fn protocol(&self) -> Protocol {
        self.protocol
    }

    pub(super) const fn account(&self) -> Option<&Account> {
        self.account.as_ref()
    }

    /// The hosts in order.
    pub(super) fn hosts(&self) -> &[Host] {
        &self.shared.hosts
    }

    pub(super) fn tls(&self) -> &Protection {
        &self.shared.tls
    }

    pub(super) fn resolver(&self) -> &Resolver {
        &self.shared.resolver
    }

    /// What may be offered to a client: what the gate itself can do until a host has been seen, then what all hosts that have
    /// been seen can carry. A host that turns out to lack something is refused per recipient, never silently.
    pub(super) fn offer(&self) -> Capabilities {
        let seen = self.shared.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let all = self.shared.hosts.iter().filter_map(|host| seen.get(host).copied());
        all.reduce(Capabilities::and).map_or(Capabilities::GATE, Capabilities::offered_over)
    }

    pub(super) fn saw(&self, host: &Host, capabilities: Capabilities) {
        let mut seen = self.shared.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.get(host) != Some(&capabilities) {
            seen.insert(host.clone(), capabilities);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts() {
        let check = |text: &str, expected: Option<(&str, u16)>| {
            let host = text.parse::<Host>().ok();
            assert_eq!(
                host.as_ref().map(|host| (host.name.as_str(), host.port)),
                expected,
                "{text}"
            );
        };
        check("smtp.example.net:587", Some(("smtp.example.net", 587)));
        check("smtp.example.net", Some(("smtp.example.net", 25)));
        check("[2001:db8::1]:25", Some(("2001:db8::1", 25)));
        check("[2001:db8::1]", Some(("2001:db8::1", 25)));
        check("127.0.0.1:2526", Some(("127.0.0.1", 2526)));
        check("2001:db8::1", None);
        check("host:", None);
        check("host:0", None);
        check("host:70000", None);
        check(":25", None);
        check("a b:25", None);
        check("[x]:25", None);
    }
}
