//! What other systems report about recipients: openings and clicks, and complaints.

use super::desk::{Fault, Step, WORDS_MAX, addresses, tenant, unchanged};
use super::wire::{ComplaintRequest, EngagementRequest};
use crate::event::{Tenant, What};
use crate::gate::{Draft, Gate};
use crate::smtp::address::RecipientKey;
use crate::time::Timestamp;

/// Hands openings and clicks to the gate. What the policy does not clear by them, and what has nothing to clear, is left alone, so
/// that a mailing's openings do not fill the journal.
///
/// # Errors
/// `Bad` names the first address that is none, or says what else is wrong; then nothing is reported.
pub fn engage(
    gate: &Gate,
    request: &EngagementRequest,
    now: Timestamp,
) -> Result<Vec<Step>, Fault> {
    let (tenant, at) = (tenant(request.tenant.as_deref())?, past(request.at, now)?);
    let clears = gate.policy().engaged_clears;
    let report = |address: RecipientKey| {
        let record = gate.record(&address)?.unwrap_or_default();
        if !(clears && record.awaits_delivery()) {
            return Ok(unchanged(gate, &address, &record, &tenant, now));
        }
        Ok(learn(gate, address, &tenant, at, What::Engaged))
    };
    addresses(&request.addresses)?.into_iter().map(report).collect()
}

/// Hands complaints to the gate: each blacklists its address for the tenant. One that is known already, with that time or an earlier
/// one, is left alone.
///
/// # Errors
/// As for [`engage`]; also when no tenant is named.
pub fn complain(
    gate: &Gate,
    request: &ComplaintRequest,
    now: Timestamp,
) -> Result<Vec<Step>, Fault> {
    let (tenant, at) = (tenant(Some(&request.tenant))?, past(request.at, now)?);
    let source = request.source.as_deref().map(str::trim).filter(|source| !source.is_empty());
    if source.is_some_and(|source| source.len() > WORDS_MAX) {
        return Err(Fault::Bad(format!("source has {WORDS_MAX} bytes at most")));
    }
    let report = |address: RecipientKey| {
        let record = gate.record(&address)?.unwrap_or_default();
        let known = record.blacklists.get(&tenant).and_then(|entry| entry.complained);
        if known.is_some_and(|known| known <= at) {
            return Ok(unchanged(gate, &address, &record, &tenant, now));
        }
        let what = What::Complaint { source: source.map(str::to_owned) };
        Ok(learn(gate, address, &tenant, at, what))
    };
    addresses(&request.addresses)?.into_iter().map(report).collect()
}

fn learn(gate: &Gate, address: RecipientKey, tenant: &Tenant, at: Timestamp, what: What) -> Step {
    let draft = Draft { at, address: address.clone(), tenant: tenant.clone(), what };
    Step::Waiting(address, gate.learn(draft))
}

/// When it happened: now unless the report says so. What has not happened yet cannot be reported.
fn past(at: Option<Timestamp>, now: Timestamp) -> Result<Timestamp, Fault> {
    match at {
        Some(at) if at > now => Err(Fault::Bad(format!("at: {at} has not come yet"))),
        Some(at) => Ok(at),
        None => Ok(now),
    }
}
