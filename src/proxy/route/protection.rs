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
    /// Always, and the certificate must be the one that these TLSA records name (RFC 7672).
    Dane(Connector, Arc<str>),
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
            Self::Dane(..) => "dane",
            Self::Sts(_) => "mta-sts",
        }
    }

    /// What two connections must have in common to be protected alike.
    pub(in crate::proxy) fn key(&self) -> String {
        let connector = self.connector().map(Connector::key).unwrap_or_default();
        match self {
            Self::Dane(_, records) => format!("dane {records} {connector}"),
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
            Self::Verify(_) | Self::Dane(..) | Self::Sts(_) => true,
            Self::Off | Self::Opportunistic(_) | Self::Required(_) => false,
        }
    }

    /// What is known of a next hop by its certificate.
    pub(in crate::proxy) const fn trust(&self) -> &'static str {
        match self {
            Self::Off => "",
            Self::Opportunistic(_) | Self::Required(_) => "untrusted",
            Self::Verify(_) | Self::Dane(..) | Self::Sts(_) => "verified",
        }
    }

    pub(in crate::proxy) const fn starttls(&self) -> Starttls {
        match self {
            Self::Off => Starttls::Off,
            Self::Opportunistic(_) => Starttls::Opportunistic,
            Self::Required(_) | Self::Verify(_) | Self::Dane(..) | Self::Sts(_) => {
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
            | Self::Dane(connector, _)
            | Self::Sts(connector) => Some(connector),
        }
    }
}
