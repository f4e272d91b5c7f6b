//! What an answer says, from the message to values. Everything in it was written by strangers.

use std::time::Duration;

use hickory_resolver::net::{DnsError, NetError, NoRecords};
use hickory_resolver::proto::op::{DnsResponse, Message, Query, ResponseCode};
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};

use super::name::from_answer;
use super::rows::Row;
use crate::routing::records::{Found, LookupFault};

/// Most records kept of one answer: far more than is ever tried, and few enough to remember.
const RECORDS_MAX: usize = 100;
/// Most aliases followed (unbound stops at 11, BIND at 16).
const ALIASES_MAX: usize = 16;

/// How long an answer is remembered. No shorter, so that a lifetime of zero does not mean a question for each recipient.
const SHORTEST: Duration = Duration::from_secs(5);
/// A day: what is longer is mostly a mistake, and a week (RFC 8767 §4) too long to mourn one.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);
/// That something does not exist: it may just be being set up.
const LONGEST_DENIAL: Duration = Duration::from_secs(5 * 60);
/// A failure (RFC 2308 §7: no longer than five minutes). Long enough that one broken domain is not asked for in a loop.
pub(super) const FAILURE: Duration = Duration::from_secs(5);

/// What a look-up came to.
pub(super) type Outcome<T> = Result<Found<T>, LookupFault>;

/// Reads what came of a question: the outcome, and how long it may be remembered. `trust` is whether the AD bit is believed.
pub(super) fn read<T: Row>(
    question: &Query,
    came: &Result<DnsResponse, NetError>,
    trust: bool,
) -> (Outcome<T>, Duration) {
    let read = match came {
        Ok(response) => records(question, response, trust),
        Err(NetError::Dns(DnsError::NoRecordsFound(none))) => Err(denial(question, none)),
        Err(error) => Err(failed(reason(error))),
    };
    match read {
        Ok((found, ttl)) => (Ok(found), lifetime(ttl, LONGEST)),
        Err((fault, ttl)) => (Err(fault), ttl),
    }
}

/// Whether the server has said something about the name, so that nobody else need be asked.
pub(super) fn settles(came: &Result<DnsResponse, NetError>) -> bool {
    match came {
        Ok(response) => {
            matches!(response.response_code, ResponseCode::NoError | ResponseCode::NXDomain)
        }
        Err(NetError::Dns(DnsError::NoRecordsFound(none))) => !is_referral(none),
        Err(_) => false,
    }
}

/// Whether the server may be one that has never heard of EDNS (RFC 6891 §7).
pub(super) fn dislikes_edns(came: &Result<DnsResponse, NetError>) -> bool {
    use ResponseCode::{BADVERS, FormErr, NotImp};
    matches!(came, Err(NetError::Dns(DnsError::ResponseCode(FormErr | NotImp | BADVERS))))
}

/// A fault and how long it may be remembered.
type Fault = (LookupFault, Duration);

fn failed(why: impl Into<String>) -> Fault {
    (LookupFault::Failed(why.into()), FAILURE)
}

fn records<T: Row>(
    question: &Query,
    response: &Message,
    trust: bool,
) -> Result<(Found<T>, u32), Fault> {
    // Over TCP hickory compares the identifier only.
    if response.queries.as_slice() != [question.clone()] {
        return Err(failed("answer to another question"));
    }
    let code = response.metadata.response_code;
    if !matches!(code, ResponseCode::NoError | ResponseCode::NXDomain) {
        return Err(failed(code.to_string()));
    }
    let (last, mut ttl) = follow(question, &response.answers)?;
    let name = from_answer(last).ok_or_else(|| failed("an alias leads to what is no name"))?;
    let of_type =
        |record: &&Record| record.record_type() == question.query_type() && record.name == *last;
    let mut rows = Vec::new();
    let mut count = 0_usize;
    for record in response.answers.iter().filter(of_type) {
        count += 1;
        ttl = ttl.min(sane(record.ttl));
        rows.extend(T::read(&record.data));
    }
    if count == 0 {
        let soa = response.authorities.iter().find_map(denial_ttl);
        return Err(denied(code == ResponseCode::NXDomain, soa));
    }
    if rows.is_empty() {
        return Err(failed("no record of the answer can be used"));
    }
    T::sort(&mut rows);
    rows.truncate(RECORDS_MAX);
    let authentic = trust && response.metadata.authentic_data;
    Ok((Found { records: rows, authentic, name }, ttl))
}

/// The name at the end of the aliases that begin at the question, and the shortest lifetime on the way. Who asks for an alias
/// wants that one.
fn follow<'a>(question: &'a Query, answers: &'a [Record]) -> Result<(&'a Name, u32), Fault> {
    let mut name = question.name();
    let mut ttl = u32::MAX;
    if question.query_type() == RecordType::CNAME {
        return Ok((name, ttl));
    }
    for _ in 0..=ALIASES_MAX {
        let own = |record: &&Record| record.name == *name;
        let alias = answers.iter().filter(own).find_map(|record| {
            let RData::CNAME(target) = &record.data else { return None };
            Some((&target.0, sane(record.ttl)))
        });
        let Some((target, life)) = alias else { return Ok((name, ttl)) };
        ttl = ttl.min(life);
        name = target;
    }
    Err(failed("too many aliases"))
}

fn denial(question: &Query, none: &NoRecords) -> Fault {
    if *none.query != *question {
        return failed("answer to another question");
    }
    if is_referral(none) {
        return failed("the server asked only refers to others");
    }
    denied(none.response_code == ResponseCode::NXDomain, none.negative_ttl)
}

/// NXDOMAIN is looked at first: "no records" is true of it as well.
fn denied(no_such_domain: bool, ttl: Option<u32>) -> Fault {
    let fault = if no_such_domain { LookupFault::NoSuchDomain } else { LookupFault::NoRecords };
    // Without SOA there is no say in how long it holds (RFC 2308 §5).
    (fault, ttl.map_or(SHORTEST, |ttl| lifetime(sane(ttl), LONGEST_DENIAL)))
}

/// No answer, no SOA, but others to ask: nothing was said about the name (RFC 2308 §2.2.1), as by a server that does not recurse.
fn is_referral(none: &NoRecords) -> bool {
    none.response_code == ResponseCode::NoError && none.soa.is_none() && none.ns.is_some()
}

fn denial_ttl(record: &Record) -> Option<u32> {
    let RData::SOA(soa) = &record.data else { return None };
    Some(sane(record.ttl).min(sane(soa.minimum)))
}

/// A lifetime with the highest bit set is zero (RFC 2181 §8).
const fn sane(ttl: u32) -> u32 {
    if ttl > i32::MAX as u32 { 0 } else { ttl }
}

fn lifetime(ttl: u32, longest: Duration) -> Duration {
    Duration::from_secs(ttl.into()).clamp(SHORTEST, longest)
}

/// In words of ours where hickory's may hold names from the answer.
fn reason(error: &NetError) -> String {
    if let NetError::Dns(DnsError::ResponseCode(code)) = error {
        return code.to_string();
    }
    if let NetError::Io(error) = error {
        return error.to_string();
    }
    match error.as_metrics_label() {
        "busy" => "too many questions at once",
        "proto" => "malformed answer",
        label => label,
    }
    .to_owned()
}

#[cfg(test)]
mod tests;
