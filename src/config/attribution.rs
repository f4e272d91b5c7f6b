//! `[[tenant]]` and `[keys]`: on whose account mail is, and by what messages and campaigns are known.

use super::reader::Table;
use super::values::{not_empty, parse_network};
use crate::attribution::{AddressPattern, KeySource, Keys, TenantRule, Tenants};
use crate::event::Tenant;

/// The name of a tenant that the sender itself names.
const BY_SENDER: &str = "{}";

/// The tenants, in the order of the file.
pub(super) fn tenants(top: &Table<'_, '_>) -> Tenants {
    let tables = top.tables("tenant").unwrap_or_default();
    Tenants(tables.into_iter().filter_map(tenant).collect())
}

fn tenant(table: Table<'_, '_>) -> Option<TenantRule> {
    let named = |text: &str| match text {
        BY_SENDER => Ok(None),
        text => Tenant::named(text).map(Some),
    };
    if !table.has("name") {
        table.fault("name", "a tenant needs a name");
    }
    let name = table.parsed("name", named);
    let networks = table.parsed_list("networks", parse_network).unwrap_or_default();
    let login = |text: &str| not_empty(text).map(str::to_owned);
    let users = table.parsed_list("users", login).unwrap_or_default();
    let senders = table.parsed_list("senders", AddressPattern::parse).unwrap_or_default();
    let signs = ["networks", "users", "senders"].iter().any(|key| table.has(key));
    if !signs {
        table
            .fault("name", "nothing says which mail is of this tenant: networks, users or senders");
    }
    if name == Some(None) {
        if !networks.is_empty() || !users.is_empty() {
            table.fault("name", "{} is a part of the sender: networks and users have none");
        }
        if !senders.iter().all(AddressPattern::has_part) {
            table.fault("senders", "each says with {} where the name stands");
        }
    }
    table.done();
    name.map(|name| TenantRule { name, networks, users, senders })
}

/// Where the keys of messages are read.
pub(super) fn keys(table: &Table<'_, '_>) -> Keys {
    let message = table.parsed_list("message", KeySource::parse);
    let campaign = table.parsed_list("campaign", KeySource::parse);
    Keys::default().with(message, campaign).unwrap_or_else(|why| {
        table.fault("message", why);
        Keys::default()
    })
}
