//! What the server says to one question.

use std::net::IpAddr;
use std::str::FromStr;

use hickory_proto::op::{Edns, Message, MessageType, OpCode, ResponseCode};
use hickory_proto::rr::rdata::tlsa::{CertUsage, Matching, Selector};
use hickory_proto::rr::rdata::{A, AAAA, CNAME, MX, SOA, TLSA, TXT};
use hickory_proto::rr::{Name, RData, Record};

/// An answer to one question; see the functions that make one.
#[derive(Clone, Debug)]
pub struct Answer {
    says: Says,
    ttl: u32,
    signed: Signed,
    only_tcp: bool,
    edns: bool,
}

#[derive(Clone, Debug)]
enum Says {
    /// Each with its owner, if that is not the name that was asked for.
    Records(ResponseCode, Vec<(Option<Name>, RData)>),
    Nothing,
    /// Behind the identifier.
    Bytes(Vec<u8>),
    /// Records for a question that has not been asked.
    Elsewhere(Name, Box<Answer>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Signed {
    No,
    /// AD is set for those who ask for it with DO, as a resolver that validates does.
    Yes,
    /// AD is set for everybody.
    Always,
}

impl Answer {
    /// These records of the name asked for.
    pub fn records(records: Vec<RData>) -> Self {
        let records = records.into_iter().map(|data| (None, data)).collect();
        Self::says(Says::Records(ResponseCode::NoError, records))
    }

    /// Preference and host; `.` is the root.
    pub fn mx(hosts: &[(u16, &str)]) -> Self {
        let mx = |(preference, host): &(u16, &str)| RData::MX(MX::new(*preference, name(host)));
        Self::records(hosts.iter().map(mx).collect())
    }

    /// Addresses of the one family that is asked for.
    pub fn addresses(addresses: &[&str]) -> Self {
        let record = |text: &&str| match text.parse().expect("an address") {
            IpAddr::V4(address) => RData::A(A(address)),
            IpAddr::V6(address) => RData::AAAA(AAAA(address)),
        };
        Self::records(addresses.iter().map(record).collect())
    }

    /// One TLSA record.
    pub fn tlsa(usage: u8, selector: u8, matching: u8, data: &[u8]) -> Self {
        let (usage, selector) = (CertUsage::from(usage), Selector::from(selector));
        let data = TLSA::new(usage, selector, Matching::from(matching), data.to_vec());
        Self::records(vec![RData::TLSA(data)])
    }

    /// One text, cut into strings of 255 octets at most.
    pub fn txt(text: &str) -> Self {
        let strings = text.as_bytes().chunks(255).collect();
        Self::records(vec![RData::TXT(TXT::from_bytes(strings))])
    }

    /// `count` aliases in a row, then `data` (or, without, the end of the chain).
    pub fn aliases(count: usize, data: Option<RData>) -> Self {
        let owner = |index: usize| (index > 0).then(|| name(&format!("alias{index}.test.")));
        let links = (0..count).map(|index| {
            let target = owner(index + 1).expect("not the first");
            (owner(index), RData::CNAME(CNAME(target)))
        });
        let last = data.map(|data| (owner(count), data));
        Self::says(Says::Records(ResponseCode::NoError, links.chain(last).collect()))
    }

    /// What this one says, and the records of the other.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        if let (Says::Records(_, all), Says::Records(_, more)) = (&mut self.says, other.says) {
            all.extend(more);
        }
        self
    }

    /// As the records of this name, of which the one asked for is an alias.
    #[must_use]
    pub fn at(mut self, end: &str) -> Self {
        if let Says::Records(_, records) = &mut self.says {
            for (owner, _) in records.iter_mut() {
                owner.get_or_insert_with(|| name(end));
            }
            records.insert(0, (None, RData::CNAME(CNAME(name(end)))));
        }
        self
    }

    pub fn no_such_domain() -> Self {
        Self::code(ResponseCode::NXDomain)
    }

    pub fn no_records() -> Self {
        Self::records(Vec::new())
    }

    /// A code and nothing else.
    pub fn code(code: ResponseCode) -> Self {
        Self::says(Says::Records(code, Vec::new()))
    }

    /// No answer at all.
    pub fn silence() -> Self {
        Self::says(Says::Nothing)
    }

    /// These bytes behind the identifier of the question.
    pub fn bytes(bytes: &[u8]) -> Self {
        Self::says(Says::Bytes(bytes.to_vec()))
    }

    /// This answer, as if another name had been asked for; over TCP.
    pub fn elsewhere(self, other: &str) -> Self {
        Self::says(Says::Elsewhere(name(other), Box::new(self))).only_tcp()
    }

    /// Lives so many seconds; 300 unless said.
    #[must_use]
    pub fn ttl(self, ttl: u32) -> Self {
        Self { ttl, ..self }
    }

    /// AD for who asks with DO.
    #[must_use]
    pub fn signed(self) -> Self {
        Self { signed: Signed::Yes, ..self }
    }

    /// AD whether it was asked for or not.
    #[must_use]
    pub fn always_signed(self) -> Self {
        Self { signed: Signed::Always, ..self }
    }

    /// Over UDP all is cut off.
    #[must_use]
    pub fn only_tcp(self) -> Self {
        Self { only_tcp: true, ..self }
    }

    /// From a server that calls EDNS an error.
    #[must_use]
    pub fn without_edns(self) -> Self {
        Self { edns: false, ..self }
    }

    /// With this code, whatever is in it.
    #[must_use]
    pub fn with_code(mut self, wanted: ResponseCode) -> Self {
        if let Says::Records(code, _) = &mut self.says {
            *code = wanted;
        }
        self
    }

    fn says(says: Says) -> Self {
        Self { says, ttl: 300, signed: Signed::No, only_tcp: false, edns: true }
    }

    /// As it goes out; `None` is silence.
    pub(super) fn wire(&self, question: &Message, tcp: bool) -> Option<Vec<u8>> {
        let asked = question.queries.first()?.name();
        let mut response = self.head(question);
        match &self.says {
            Says::Nothing => return None,
            Says::Bytes(bytes) => {
                return Some([&question.metadata.id.to_be_bytes(), bytes.as_slice()].concat());
            }
            Says::Elsewhere(other, answer) if tcp => {
                let mut changed = question.clone();
                changed.queries.iter_mut().for_each(|query| {
                    query.set_name(other.clone());
                });
                return answer.wire(&changed, tcp);
            }
            Says::Elsewhere(..) => {}
            Says::Records(..) if !self.edns && question.edns.is_some() => {
                response.metadata.response_code = ResponseCode::FormErr;
            }
            Says::Records(code, records) => {
                response.metadata.response_code = *code;
                let record = |(owner, data): &(Option<Name>, RData)| {
                    let owner = owner.clone().unwrap_or_else(|| asked.clone());
                    Record::from_rdata(owner, self.ttl, data.clone())
                };
                response.answers = records.iter().map(record).collect();
                if records.is_empty() {
                    response.authorities = vec![self.soa()];
                }
            }
        }
        let room = if tcp { 65_535 } else { question.max_payload().into() };
        let bytes = response.to_vec().expect("a message");
        if (self.only_tcp && !tcp) || bytes.len() > room {
            response.metadata.truncation = true;
            response.answers.clear();
            return response.to_vec().ok();
        }
        Some(bytes)
    }

    fn head(&self, question: &Message) -> Message {
        let mut response = Message::new(question.metadata.id, MessageType::Response, OpCode::Query);
        response.queries = question.queries.clone();
        response.metadata.recursion_desired = true;
        response.metadata.recursion_available = true;
        let wants = question.edns.as_ref().is_some_and(|edns| edns.flags().dnssec_ok);
        response.metadata.authentic_data = match self.signed {
            Signed::No => false,
            Signed::Yes => wants,
            Signed::Always => true,
        };
        response.edns = (self.edns && question.edns.is_some()).then(Edns::new);
        response
    }

    fn soa(&self) -> Record {
        let data = SOA::new(name("ns.test."), name("root.test."), 1, 1, 1, 1, self.ttl);
        Record::from_rdata(name("test."), self.ttl, RData::SOA(data))
    }
}

fn name(text: &str) -> Name {
    let mut name = Name::from_str(text).expect("a name");
    name.set_fqdn(true);
    name
}
