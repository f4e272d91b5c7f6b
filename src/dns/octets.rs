//! Answers as they come over the wire, without a resolver: what anybody's octets are read as. For fuzzers.

use std::net::IpAddr;

use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::{DnsResponse, Message, Query};
use hickory_resolver::proto::rr::RecordType;

use super::rows::{Alias, Row};
use super::{answer, name};
use crate::routing::records::{Exchange, Found, LookupFault, Tlsa};

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the types of DNS")]
pub enum Kind {
    Mx,
    A,
    Aaaa,
    Tlsa,
    Txt,
    Cname,
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the types of DNS")]
pub enum Values {
    Exchanges(Found<Exchange>),
    Addresses(Found<IpAddr>),
    Tlsa(Found<Tlsa>),
    Texts(Found<String>),
    /// Whether it is authentic.
    Alias(bool),
}

/// Reads a message as the answer to a question about `host`, from a server whose AD bit is believed.
///
/// # Errors
/// As a look-up.
pub fn read(host: &str, kind: Kind, octets: &[u8]) -> Result<Values, LookupFault> {
    let of = |kind| Answer { host, kind, octets };
    match kind {
        Kind::Mx => of(RecordType::MX).read().map(Values::Exchanges),
        Kind::A => of(RecordType::A).read().map(Values::Addresses),
        Kind::Aaaa => of(RecordType::AAAA).read().map(Values::Addresses),
        Kind::Tlsa => of(RecordType::TLSA).read().map(Values::Tlsa),
        Kind::Txt => of(RecordType::TXT).read().map(Values::Texts),
        Kind::Cname => {
            let found: Found<Alias> = of(RecordType::CNAME).read()?;
            Ok(Values::Alias(found.authentic))
        }
    }
}

struct Answer<'a> {
    host: &'a str,
    kind: RecordType,
    octets: &'a [u8],
}

impl Answer<'_> {
    fn read<T: Row>(&self) -> answer::Outcome<T> {
        let host = name::host_name(self.host).and_then(|host| name::absolute(&host));
        let question = Query::query(host.ok_or(LookupFault::NoSuchDomain)?, self.kind);
        let message = Message::from_vec(self.octets).map_err(NetError::from);
        let response = message.and_then(|message| Ok(DnsResponse::from_message(message)?));
        // What hickory makes an error of is one here.
        let came = response.and_then(|response| Ok(DnsError::from_response(response)?));
        answer::read(&question, &came, true).0
    }
}
