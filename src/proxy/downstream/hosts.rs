//! Which hosts a destination has, and how each is reached.

use std::net::IpAddr;

use tokio::time::Instant;

use super::{Door, Order, UNRESOLVED};
use crate::proxy::route::{Host, Protection, Route, Way, at};
use crate::session::Unopened;
use crate::smtp::reply::Reply;

/// A host that may take the mail.
pub(super) struct MailHost {
    pub(super) host: Host,
    /// It is not the only one.
    pub(super) has_others: bool,
}

/// How a host is reached.
pub(super) struct Reached {
    /// In the order in which they are tried.
    pub(super) addresses: Vec<IpAddr>,
    /// What protects the way there.
    pub(super) protection: Protection,
}

/// The hosts of a route, or of a domain, in the order in which they are tried.
///
/// # Errors
/// There are none, and what the client is told.
pub(super) async fn of(
    _door: &Door,
    route: &Route,
    order: &Order,
    _deadline: Instant,
) -> Result<Vec<MailHost>, Unopened> {
    match &route.settings.way {
        Way::Fixed(hosts) => {
            let has_others = hosts.len() > 1;
            let host = |host: &Host| MailHost { host: host.clone(), has_others };
            Ok(hosts.iter().map(host).collect())
        }
        Way::Original => {
            let hosts = order.original.map(at).map(|host| MailHost { host, has_others: false });
            Ok(hosts.into_iter().collect())
        }
        Way::Mx { .. } => Err(UNRESOLVED.into()),
    }
}

/// The addresses of a host, and what is demanded of it.
///
/// # Errors
/// What the client is told, and what the log is.
pub(super) async fn reached(
    door: &Door,
    route: &Route,
    host: &MailHost,
) -> Result<Reached, (Reply, String)> {
    let found = door.outbound.routes.resolver().addresses(&host.host.name).await;
    let addresses = found.map_err(|fault| (UNRESOLVED, fault.to_string()))?;
    Ok(Reached { addresses, protection: route.settings.protection.clone() })
}
