//! TLS towards the next hop: what is wanted, and what it proves.

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

    /// What two connections must have in common to be protected alike.
    pub(in crate::proxy) fn key(&self) -> String {
        let connector = self.connector().map(Connector::key).unwrap_or_default();
        format!("{} {connector}", self.name())
    }

    /// Whether TLS is never gone without, and never with somebody else.
    pub(in crate::proxy) const fn proves_the_name(&self) -> bool {
        match self {
            Self::Verify(_) => true,
            Self::Off | Self::Opportunistic(_) | Self::Required(_) => false,
        }
    }

    /// What is known of a next hop by its certificate.
    pub(in crate::proxy) const fn trust(&self) -> &'static str {
        match self {
            Self::Off => "",
            Self::Opportunistic(_) | Self::Required(_) => "untrusted",
            Self::Verify(_) => "verified",
        }
    }

    pub(in crate::proxy) const fn starttls(&self) -> Starttls {
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
