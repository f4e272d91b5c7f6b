//! Which hosts a destination has, and how each is reached.

use std::net::{IpAddr, SocketAddr};

use tokio::time::{Instant, timeout_at};

use super::{Door, Order, UNRESOLVED, failed, security};
use crate::bounce::Stage;
use crate::proxy::route::{Host, Protection, Route, Way, at};
use crate::routing::mx::{MailHosts, mail_hosts};
use crate::routing::records::{Exchange, Found, LookupFault};
use crate::session::Unopened;
use crate::smtp::reply::Reply;
use crate::smtp::status::EnhancedStatus;

/// Most mail hosts of one domain that are looked at for one recipient; most have one to five.
const HOSTS_MAX: usize = 20;

/// A host that may take the mail.
pub(super) struct MailHost {
    pub(super) host: Host,
    /// It is not the only one, or somebody else named it: it is given up for a while when it does not answer.
    pub(super) has_others: bool,
    /// How we came to it.
    pub(super) found: FoundBy,
}

/// How a host was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum FoundBy {
    /// The operator, or the client, named it.
    Given,
    /// A recipient has this address in place of a domain (RFC 5321 §4.1.3).
    Literal(IpAddr),
    /// DNS named it for this domain.
    Mx {
        domain: String,
        /// Which is an alias of this one, or the same.
        expanded: String,
        /// A resolver that validates vouches for that.
        authentic: bool,
        /// It is the domain itself, which names no mail host.
        implicit: bool,
    },
}

/// How a host is reached.
pub(super) struct Reached {
    /// In the order in which they are tried.
    pub(super) addresses: Vec<IpAddr>,
    /// What protects the way there.
    pub(super) protection: Protection,
}

/// Why a host cannot be reached: what the client is told, and what the log is.
pub(super) type Unreached = (Reply, String);

/// The hosts of a route, or of a domain, in the order in which they are tried.
///
/// # Errors
/// There are none, and what the client is told.
pub(super) async fn of(
    door: &Door,
    route: &Route,
    order: &Order,
    deadline: Instant,
) -> Result<Vec<MailHost>, Unopened> {
    let given = |host: Host, has_others| MailHost { host, has_others, found: FoundBy::Given };
    match &route.settings.way {
        Way::Fixed(hosts) => {
            Ok(hosts.iter().map(|host| given(host.clone(), hosts.len() > 1)).collect())
        }
        Way::Original => {
            Ok(order.original.map(|there| given(at(there), false)).into_iter().collect())
        }
        Way::Mx { port } => {
            let domain = order.to.as_ref().and_then(|to| to.domain.clone());
            of_domain(door, &domain.unwrap_or_default(), *port, deadline).await
        }
    }
}

/// The mail hosts of a domain. That it does not exist, or takes no mail, is evidence; that nobody could say is not.
async fn of_domain(
    door: &Door,
    domain: &str,
    port: u16,
    deadline: Instant,
) -> Result<Vec<MailHost>, Unopened> {
    let asked = Host { name: domain.to_owned(), port };
    if let Some(literal) = domain.strip_prefix('[') {
        let address = address_of(literal).ok_or(NO_DOMAIN)?;
        let host = at(SocketAddr::new(address, port));
        return Ok(vec![MailHost { host, has_others: true, found: FoundBy::Literal(address) }]);
    }
    let Ok(answer) = timeout_at(deadline, door.outbound.resolver.mx(domain)).await else {
        failed(door, &asked, None, "looking up its mail hosts timed out");
        return Err(NO_ANSWER.into());
    };
    let (found, implicit) = match mail_hosts(domain, &answer, &mut below) {
        MailHosts::Listed(found) => (found, false),
        // That there is no MX is as true as the addresses are: they stand in the same zone, and a resolver that validates turns a
        // forged denial into a failure.
        MailHosts::Implicit(host) => {
            let records = vec![Exchange { preference: 0, host }];
            (Found { records, authentic: true, name: domain.to_owned() }, true)
        }
        MailHosts::NullMx => return Err(no_mail(NULL_MX)),
        MailHosts::NoSuchDomain => return Err(no_mail(NO_DOMAIN)),
        MailHosts::Failed(why) => {
            failed(door, &asked, None, &format!("looking up its mail hosts: {why}"));
            return Err(NO_ANSWER.into());
        }
    };
    let Found { records, authentic, name: expanded } = found;
    let found = FoundBy::Mx { domain: domain.to_owned(), expanded, authentic, implicit };
    let host = |exchange: Exchange| MailHost {
        host: Host { name: exchange.host, port },
        has_others: true,
        found: found.clone(),
    };
    Ok(records.into_iter().take(HOSTS_MAX).map(host).collect())
}

/// The address of a literal, as keys have it, without its first bracket.
fn address_of(literal: &str) -> Option<IpAddr> {
    let text = literal.strip_suffix(']')?;
    text.strip_prefix("ipv6:").unwrap_or(text).parse().ok()
}

const fn no_mail(reply: Reply) -> Unopened {
    Unopened { reply, stage: Stage::Lookup }
}

/// A number below so many, by chance.
fn below(many: usize) -> usize {
    // Without chance mail still goes out, to the first.
    let chance = getrandom::u32().unwrap_or(0) as usize;
    chance % many.max(1)
}

/// The addresses of a host, and what is demanded of it.
///
/// # Errors
/// It has none that can be used now.
pub(super) async fn reached(
    door: &Door,
    route: &Route,
    host: &MailHost,
) -> Result<Reached, Unreached> {
    let resolver = &door.outbound.resolver;
    match &host.found {
        FoundBy::Given => {
            let found = resolver.host(&host.host.name).await;
            let addresses = found.map_err(|fault| (UNRESOLVED, fault.to_string()))?;
            Ok(Reached { addresses, protection: route.settings.protection.clone() })
        }
        FoundBy::Literal(address) => {
            let addresses = permitted(door, &host.host, vec![*address])?;
            Ok(Reached { addresses, protection: route.settings.protection.clone() })
        }
        FoundBy::Mx { implicit, .. } => {
            let found = resolver.addresses(&host.host.name).await;
            let found = found.map_err(|fault| without_address(fault, *implicit))?;
            let addresses = permitted(door, &host.host, found.records)?;
            let protection = security::of(door, route, host, &found.ends).await?;
            Ok(Reached { addresses, protection })
        }
    }
}

/// What is told of a host when nobody says in time where it is.
pub(super) const fn no_answer(host: &MailHost) -> Reply {
    match &host.found {
        FoundBy::Given => UNRESOLVED,
        FoundBy::Literal(_) | FoundBy::Mx { .. } => NO_ANSWER,
    }
}

fn without_address(fault: LookupFault, implicit: bool) -> Unreached {
    let reply = match &fault {
        LookupFault::Failed(_) => NO_ANSWER,
        LookupFault::NoSuchDomain | LookupFault::NoRecords if implicit => NO_HOST,
        LookupFault::NoSuchDomain | LookupFault::NoRecords => NO_ADDRESS,
    };
    (reply, fault.to_string())
}

/// The addresses that mail may go to: whoever owns a domain can write any address into DNS.
fn permitted(door: &Door, host: &Host, mut all: Vec<IpAddr>) -> Result<Vec<IpAddr>, Unreached> {
    let outbound = &door.outbound;
    let mut why = String::new();
    all.retain(|address| match outbound.targets.refuses(*address) {
        // Itself is found below, and answered as the loop that it is.
        Some(_) if outbound.own.is_at(SocketAddr::new(*address, host.port)) => true,
        Some(network) => {
            why = format!("{address} is in {network}, where mail never goes");
            false
        }
        None => true,
    });
    if all.is_empty() { Err((REFUSED_TARGET, why)) } else { Ok(all) }
}

const NO_DOMAIN: Reply =
    Reply::new(550, EnhancedStatus::new(5, 1, 2), "rcptgate: the domain does not exist");
const NULL_MX: Reply =
    Reply::new(556, EnhancedStatus::new(5, 1, 10), "rcptgate: the domain takes no mail (null MX)");
const NO_ANSWER: Reply = Reply::new(
    451,
    EnhancedStatus::new(4, 4, 3),
    "rcptgate: the domain's mail hosts cannot be looked up now",
);
const NO_ADDRESS: Reply =
    Reply::new(451, EnhancedStatus::new(4, 4, 4), "rcptgate: the mail hosts have no address");
const NO_HOST: Reply = Reply::new(
    550,
    EnhancedStatus::new(5, 4, 4),
    "rcptgate: the domain has neither mail host nor address",
);
const REFUSED_TARGET: Reply = Reply::new(
    550,
    EnhancedStatus::new(5, 4, 4),
    "rcptgate: the domain's mail hosts have addresses where mail never goes",
);
