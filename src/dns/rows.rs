//! From hickory's records to plain values.

use std::net::IpAddr;

use hickory_resolver::proto::rr::RData;

use super::name::from_answer;
use crate::routing::records::{Exchange, Tlsa};

/// The name that an alias leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Alias(String);

/// A value that one record is read as.
pub(super) trait Row: Clone + Send + Sync + 'static {
    /// The record, or `None` if it cannot be used.
    fn read(data: &RData) -> Option<Self>;

    /// About how many octets of memory it takes.
    fn octets(&self) -> usize;

    /// The best first, before what is too much is cut off.
    fn sort(_rows: &mut [Self]) {}
}

impl Row for Exchange {
    fn read(data: &RData) -> Option<Self> {
        let RData::MX(mx) = data else { return None };
        Some(Self { preference: mx.preference, host: from_answer(&mx.exchange)? })
    }

    fn octets(&self) -> usize {
        size_of::<Self>() + self.host.len()
    }

    fn sort(rows: &mut [Self]) {
        rows.sort_by_key(|row| row.preference);
    }
}

impl Row for IpAddr {
    fn read(data: &RData) -> Option<Self> {
        if let RData::A(address) = data {
            return Some(Self::V4(address.0));
        }
        let RData::AAAA(address) = data else { return None };
        Some(Self::V6(address.0))
    }

    fn octets(&self) -> usize {
        size_of::<Self>()
    }
}

impl Row for Tlsa {
    fn read(data: &RData) -> Option<Self> {
        let RData::TLSA(tlsa) = data else { return None };
        Some(Self {
            usage: tlsa.cert_usage.into(),
            selector: tlsa.selector.into(),
            matching: tlsa.matching.into(),
            data: tlsa.cert_data.clone(),
        })
    }

    fn octets(&self) -> usize {
        size_of::<Self>() + self.data.len()
    }
}

impl Row for Alias {
    fn read(data: &RData) -> Option<Self> {
        let RData::CNAME(target) = data else { return None };
        from_answer(&target.0).map(Self)
    }

    fn octets(&self) -> usize {
        size_of::<Self>() + self.0.len()
    }
}

/// TXT: the character-strings of one record are one text (RFC 7208 §3.3, RFC 8461 §3.1).
impl Row for String {
    fn read(data: &RData) -> Option<Self> {
        let RData::TXT(txt) = data else { return None };
        Self::from_utf8(txt.txt_data.concat()).ok()
    }

    fn octets(&self) -> usize {
        size_of::<Self>() + self.len()
    }
}
