//! On whose account a message is.

use std::net::IpAddr;

use ipnet::IpNet;

use super::pattern::{AddressPattern, Match};
use crate::event::Tenant;

/// By what a tenant is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TenantRule {
    /// Whose account; without, what stands at `{}` of the sender.
    pub name: Option<Tenant>,
    /// Networks of its clients.
    pub networks: Vec<IpNet>,
    /// Its logins.
    pub users: Vec<String>,
    /// Its envelope senders.
    pub senders: Vec<AddressPattern>,
}

/// All tenants, in the order of the configuration: within one kind of sign the first that matches decides.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tenants(pub Vec<TenantRule>);

impl Tenants {
    /// Whose connection it is: that of the listener's tenant, else by the client's address, else by its login (`of_login` is what
    /// the file of users says of it). None: the sender of each message decides.
    pub fn of_connection(
        &self,
        listener: Option<&Tenant>,
        client: Option<IpAddr>,
        login: Option<&str>,
        of_login: Option<&Tenant>,
    ) -> Option<Tenant> {
        let client = client.map(|address| address.to_canonical());
        let by = |holds: &dyn Fn(&TenantRule) -> bool| {
            self.0.iter().find(|rule| holds(rule)).and_then(|rule| rule.name.clone())
        };
        let by_network = || {
            let client = client?;
            by(&|rule| rule.networks.iter().any(|network| network.contains(&client)))
        };
        let by_login = || {
            let login = login?;
            by(&|rule| rule.users.iter().any(|user| user == login))
        };
        listener.cloned().or_else(by_network).or_else(|| of_login.cloned()).or_else(by_login)
    }

    /// Whose message it is by its sender (without angle brackets and quotes), where the connection does not say.
    pub fn of_sender(&self, sender: &str) -> Tenant {
        let found = self.0.iter().find_map(|rule| {
            let found = rule.senders.iter().find_map(|pattern| pattern.find(sender))?;
            match (&rule.name, found) {
                (Some(name), _) => Some(name.clone()),
                // A part that is no name is as good as none: anybody may claim any sender.
                (None, Match::Part(part)) => Tenant::named(&part.to_ascii_lowercase()).ok(),
                (None, Match::Whole) => None,
            }
        });
        found.unwrap_or_default()
    }

    /// Whether senders matter at all.
    pub fn ask_senders(&self) -> bool {
        self.0.iter().any(|rule| !rule.senders.is_empty())
    }
}
