//! TLS towards the next hop: what is wanted, and what it proves.

use std::sync::Arc;

use crate::session::opening::Starttls;
use crate::tls::Connector;

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
    /// Always, and the certificate must prove the host's name.
    Verify(Connector),
    /// Always, and the certificate must be the one that TLSA records name (RFC 7672).
    Dane {
        /// It knows the records.
        connector: Connector,
        /// The name that has them, and is asked for by SNI (RFC 7672 §8.1).
        base: Arc<str>,
        /// They and the names that go with them, as text: what is proved by others is another connection.
        records: Arc<str>,
    },
    /// Always, and the certificate must prove the name of a host that the domain's policy lists (RFC 8461).
    Sts(Connector),
}

impl Protection {
    /// The name as configuration and log have it.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Opportunistic(_) => "opportunistic",
            Self::Required(_) => "required",
            Self::Verify(_) => "verify",
            Self::Dane { .. } => "dane",
            Self::Sts(_) => "mta-sts",
        }
    }

    /// What two connections must have in common to be protected alike.
    pub(in crate::proxy) fn key(&self) -> String {
        let connector = self.connector().map(Connector::key).unwrap_or_default();
        match self {
            Self::Dane { connector: _, base, records } => {
                format!("dane {base} {records} {connector}")
            }
            Self::Off
            | Self::Opportunistic(_)
            | Self::Required(_)
            | Self::Verify(_)
            | Self::Sts(_) => format!("{} {connector}", self.name()),
        }
    }

    /// Whether TLS is never gone without, and never with somebody else.
    pub(in crate::proxy) const fn proves_the_name(&self) -> bool {
        match self {
            Self::Verify(_) | Self::Dane { .. } | Self::Sts(_) => true,
            Self::Off | Self::Opportunistic(_) | Self::Required(_) => false,
        }
    }

    /// What is known of a next hop by its certificate.
    pub(in crate::proxy) const fn trust(&self) -> &'static str {
        match self {
            Self::Off => "",
            Self::Opportunistic(_) | Self::Required(_) => "untrusted",
            Self::Verify(_) | Self::Dane { .. } | Self::Sts(_) => "verified",
        }
    }

    /// The name that a host of this name is asked for by SNI, and proves unless its records prove it.
    pub(in crate::proxy) fn server_name<'a>(&'a self, host: &'a str) -> &'a str {
        match self {
            Self::Dane { connector: _, base, records: _ } => base,
            Self::Off
            | Self::Opportunistic(_)
            | Self::Required(_)
            | Self::Verify(_)
            | Self::Sts(_) => host,
        }
    }

    pub(in crate::proxy) const fn starttls(&self) -> Starttls {
        match self {
            Self::Off => Starttls::Off,
            Self::Opportunistic(_) => Starttls::Opportunistic,
            Self::Required(_) | Self::Verify(_) | Self::Dane { .. } | Self::Sts(_) => {
                Starttls::Required
            }
        }
    }

    /// What TLS is made with, if there is any.
    pub const fn connector(&self) -> Option<&Connector> {
        match self {
            Self::Off => None,
            Self::Opportunistic(connector)
            | Self::Required(connector)
            | Self::Verify(connector)
            | Self::Dane { connector, .. }
            | Self::Sts(connector) => Some(connector),
        }
    }
}
