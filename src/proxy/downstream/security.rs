//! What a domain demands of the way to its mail hosts: DANE (RFC 7672), else MTA-STS (RFC 8461), else what the route says.
//!
//! A demand that cannot be met, or not be told, defers. It never makes mail go out with less.

use super::hosts::{FoundBy, MailHost, Unreached};
use crate::dns::LookupFault;
use crate::proxy::Door;
use crate::proxy::route::{Protection, Route};
use crate::routing::sts::Mode;
use crate::routing::tlsa::{Answer, Demand, demand, must_ask_tlsa, reference_names};
use crate::smtp::reply::Reply;
use crate::smtp::status::EnhancedStatus;
use crate::tls::Connector;

/// What protects the way to a host, whose addresses a resolver that validates vouches for, or not.
///
/// # Errors
/// What is demanded cannot be told now, or the host is not one that the domain's policy knows.
pub(super) async fn of(
    door: &Door,
    route: &Route,
    host: &MailHost,
    addresses_authentic: bool,
) -> Result<Protection, Unreached> {
    let own = &route.settings.protection;
    let FoundBy::Mx { domain, authentic, .. } = &host.found else { return Ok(own.clone()) };
    let Some(connector) = own.connector() else { return Ok(own.clone()) };
    let mut least = own.clone();
    if route.settings.dane && must_ask_tlsa(*authentic, addresses_authentic) {
        match demand(*authentic, addresses_authentic, &tlsa(door, host).await) {
            Demand::Opportunistic => {}
            Demand::TlsUnauthenticated => least = at_least_required(own, connector),
            Demand::Dane(records) => {
                let names = reference_names(&host.host.name, domain);
                let proving = connector.proving_by_tlsa(&records, &names);
                let text = format!("{records:?} {names:?}");
                return Ok(Protection::Dane(proving, text.into()));
            }
            Demand::Defer => {
                return Err((NO_TLSA, "its TLSA records cannot be looked up".to_owned()));
            }
        }
    }
    by_policy(door, route, host, domain, least).await
}

async fn tlsa(door: &Door, host: &MailHost) -> Answer {
    match door.outbound.resolver.tlsa(host.host.port, &host.host.name).await {
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
        | Protection::Dane(..)
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
