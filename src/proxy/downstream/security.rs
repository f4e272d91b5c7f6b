//! What a domain demands of the way to its mail hosts: DANE (RFC 7672), else MTA-STS (RFC 8461), else what the route says.
//!
//! A demand that cannot be met, or not be told, defers. It never makes mail go out with less.

use super::hosts::{FoundBy, MailHost, Unreached};
use crate::dns::LookupFault;
use crate::proxy::Door;
use crate::proxy::route::{Protection, Route};
use crate::routing::records::{End, Tlsa};
use crate::routing::sts::Mode;
use crate::routing::tlsa::{Answer, Demand, Search, demand, reference_names, search};
use crate::smtp::reply::Reply;
use crate::smtp::status::EnhancedStatus;
use crate::tls::Connector;

/// What protects the way to a host, whose aliases end so.
///
/// # Errors
/// What is demanded cannot be told now, or the host is not one that the domain's policy knows.
pub(super) async fn of(
    door: &Door,
    route: &Route,
    host: &MailHost,
    ends: &[End],
) -> Result<Protection, Unreached> {
    let own = &route.settings.protection;
    let FoundBy::Mx { domain, expanded, authentic, .. } = &host.found else {
        return Ok(own.clone());
    };
    let Some(connector) = own.connector() else { return Ok(own.clone()) };
    let mut least = own.clone();
    if route.settings.dane {
        match by_tlsa(door, host, *authentic, ends).await? {
            ByTlsa::Nothing => {}
            ByTlsa::Unauthenticated => least = at_least_required(own, connector),
            ByTlsa::Records(records, base) => {
                let names = reference_names(&base, domain, expanded);
                let proving = connector.proving_by_tlsa(&records, &names);
                let text = format!("{records:?} {names:?}");
                let (base, records) = (base.into(), text.into());
                return Ok(Protection::Dane { connector: proving, base, records });
            }
        }
    }
    by_policy(door, route, host, domain, least).await
}

/// What TLSA records demand, and the name that has them.
enum ByTlsa {
    Nothing,
    Unauthenticated,
    Records(Vec<Tlsa>, String),
}

async fn by_tlsa(
    door: &Door,
    host: &MailHost,
    authentic: bool,
    ends: &[End],
) -> Result<ByTlsa, Unreached> {
    let name = &host.host.name;
    let bases = match search(authentic, name, ends) {
        Search::Nowhere => Vec::new(),
        Search::At(bases) => bases,
        Search::AtAlias => match door.outbound.resolver.is_authentic_alias(name).await {
            Ok(true) => vec![name.clone()],
            Ok(false) => Vec::new(),
            Err(fault) => {
                return Err((NO_TLSA, format!("looking up whether it is an alias: {fault}")));
            }
        },
    };
    for base in bases {
        match demand(&tlsa(door, host.host.port, &base).await) {
            Demand::Opportunistic => {}
            Demand::TlsUnauthenticated => return Ok(ByTlsa::Unauthenticated),
            Demand::Dane(records) => return Ok(ByTlsa::Records(records, base)),
            Demand::Defer => {
                return Err((NO_TLSA, format!("TLSA records of {base} cannot be looked up")));
            }
        }
    }
    Ok(ByTlsa::Nothing)
}

async fn tlsa(door: &Door, port: u16, base: &str) -> Answer {
    match door.outbound.resolver.tlsa(port, base).await {
        Ok(found) => Answer::Found(found),
        Err(LookupFault::NoSuchDomain | LookupFault::NoRecords) => Answer::Nothing,
        Err(LookupFault::Failed(_)) => Answer::Failed,
    }
}

/// Records that are of no use still say that the host has TLS (RFC 7672 §2.2).
fn at_least_required(own: &Protection, connector: &Connector) -> Protection {
    match own {
        Protection::Off | Protection::Opportunistic(_) => Protection::Required(connector.clone()),
        Protection::Required(_)
        | Protection::Verify(_)
        | Protection::Dane { .. }
        | Protection::Sts(_) => own.clone(),
    }
}

/// Likewise by the policy of the recipients' domain, not of the host: many domains share one.
async fn by_policy(
    door: &Door,
    route: &Route,
    host: &MailHost,
    domain: &str,
    least: Protection,
) -> Result<Protection, Unreached> {
    let (Some(policies), Some(proving)) = (&door.outbound.policies, &route.settings.mta_sts) else {
        return Ok(least);
    };
    let Some(policy) = policies.policy(domain).await else { return Ok(least) };
    let name = &host.host.name;
    match policy.mode {
        Mode::None => Ok(least),
        Mode::Enforce if policy.admits(name) => Ok(Protection::Sts(proving.clone())),
        Mode::Enforce => {
            Err((NOT_LISTED, format!("the MTA-STS policy of {domain} does not list it")))
        }
        Mode::Testing => {
            if !policy.admits(name) {
                let error = "the policy does not list this host";
                tracing::info!(
                    event = "tls",
                    result = "sts_testing",
                    downstream = name,
                    domain,
                    error
                );
            }
            Ok(least)
        }
    }
}

const NO_TLSA: Reply = Reply::new(
    451,
    EnhancedStatus::new(4, 7, 5),
    "rcptgate: what protects the next hop cannot be looked up now",
);
const NOT_LISTED: Reply = Reply::new(
    451,
    EnhancedStatus::new(4, 7, 5),
    "rcptgate: the domain's policy does not list its mail host",
);
