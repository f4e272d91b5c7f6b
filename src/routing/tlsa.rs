//! DANE for SMTP (RFC 7672): which TLSA records count, and what they demand of a mail host.

use super::records::{Found, Tlsa};

/// What looking for TLSA records came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// There are some.
    Found(Found<Tlsa>),
    /// There are none: the name or the type does not exist.
    Nothing,
    /// Nobody could say: SERVFAIL, no answer in time, bogus signatures.
    Failed,
}

/// What the TLSA records of a host are good for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Dane {
    /// Any one of these proves the host; never empty.
    Usable(Vec<Tlsa>),
    /// There are some, but none that SMTP can use. They still announce TLS (RFC 7672 §2.2).
    Unusable,
    /// There are none.
    None,
}

/// What is demanded of a host before it gets mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Demand {
    /// Nothing by DANE: what else is configured decides.
    Opportunistic,
    /// TLS, with whoever answers: never in the clear.
    TlsUnauthenticated,
    /// TLS in which one of these records matches.
    Dane(Vec<Tlsa>),
    /// No mail for now: an attacker who can suppress an answer must not get it unprotected (RFC 7672 §2.1.2).
    Defer,
}

/// Whether TLSA records of a mail host are to be asked for at all: only when the answers that led to it were authentic
/// (RFC 7672 §2.2.1, §2.2.2). Where they were not, records prove nothing, and some name servers break on the question.
/// For a domain that is its own mail host, the absence of MX counts as the first answer.
pub const fn must_ask_tlsa(mx_authentic: bool, address_authentic: bool) -> bool {
    mx_authentic && address_authentic
}

/// What is demanded of a host. A look-up that was not to be made ([`must_ask_tlsa`]) demands nothing, whatever it says; one that
/// failed defers and never downgrades.
pub fn demand(mx_authentic: bool, address_authentic: bool, answer: &Answer) -> Demand {
    if !must_ask_tlsa(mx_authentic, address_authentic) {
        return Demand::Opportunistic;
    }
    match answer {
        Answer::Failed => Demand::Defer,
        Answer::Nothing => Demand::Opportunistic,
        Answer::Found(found) => match Dane::of(found) {
            Dane::Usable(records) => Demand::Dane(records),
            Dane::Unusable => Demand::TlsUnauthenticated,
            Dane::None => Demand::Opportunistic,
        },
    }
}

impl Dane {
    /// What an answer is good for. One that is not authentic counts as none: anybody may have written it (RFC 7672 §2.2).
    pub fn of(found: &Found<Tlsa>) -> Self {
        if !found.authentic || found.records.is_empty() {
            return Self::None;
        }
        let usable: Vec<&Tlsa> = found.records.iter().filter(|record| is_usable(record)).collect();
        // A digest counts only where no stronger one of the same kind is published (RFC 7671 §9), so that a broken SHA-256
        // would not weaken those who have moved on. SHA-512 has the higher number here.
        let outdone = |record: &Tlsa| {
            record.matching == SHA_256
                && usable.iter().any(|other| {
                    (other.usage, other.selector, other.matching)
                        == (record.usage, record.selector, SHA_512)
                })
        };
        let counting = usable.iter().filter(|record| !outdone(record));
        let records: Vec<Tlsa> = counting.map(|record| (*record).clone()).collect();
        if records.is_empty() { Self::Unusable } else { Self::Usable(records) }
    }
}

/// Usage: the record names an authority that signs for the host.
pub const DANE_TA: u8 = 2;
/// Usage: the record names the host's own certificate or key.
pub const DANE_EE: u8 = 3;
/// Selector: the whole certificate.
pub const CERTIFICATE: u8 = 0;
/// Selector: its public key, as SubjectPublicKeyInfo.
pub const PUBLIC_KEY: u8 = 1;
/// Matching: the thing itself.
pub const WHOLE: u8 = 0;
/// Matching: its SHA-256.
pub const SHA_256: u8 = 1;
/// Matching: its SHA-512.
pub const SHA_512: u8 = 2;

/// Whether SMTP can use a record. Usages 0 and 1 rest on public authorities, which is not what DANE is for (RFC 7672 §3.1.3);
/// a digest that has the wrong length, and no data, match nothing. Records of 0 and 3 octets have crashed other servers.
pub fn is_usable(record: &Tlsa) -> bool {
    let usage = matches!(record.usage, DANE_TA | DANE_EE);
    let selector = matches!(record.selector, CERTIFICATE | PUBLIC_KEY);
    let data = match record.matching {
        WHOLE => !record.data.is_empty(),
        SHA_256 => record.data.len() == 32,
        SHA_512 => record.data.len() == 64,
        _ => false,
    };
    usage && selector && data
}

/// The names of which one must be in a certificate that a usage-2 record vouches for: the mail host's, and the domain that mail is
/// for, since its answers led to the host (RFC 7672 §3.2.2). Without a last dot, each once.
pub fn reference_names(host: &str, domain: &str) -> Vec<String> {
    let plain = |name: &str| name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
    let (host, domain) = (plain(host), plain(domain));
    if host == domain { vec![host] } else { vec![host, domain] }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tlsa(usage: u8, selector: u8, matching: u8, length: usize) -> Tlsa {
        Tlsa { usage, selector, matching, data: vec![7; length] }
    }

    fn signed(records: &[Tlsa]) -> Answer {
        Answer::Found(Found { records: records.to_vec(), authentic: true })
    }

    #[test]
    fn records_that_smtp_can_use() {
        for usage in 0..=255 {
            for selector in 0..=3 {
                for matching in 0..=4 {
                    for length in [0, 1, 3, 20, 31, 32, 33, 63, 64, 65, 900] {
                        let fits = match matching {
                            0 => length > 0,
                            1 => length == 32,
                            2 => length == 64,
                            _ => false,
                        };
                        let expected = matches!(usage, 2 | 3) && selector < 2 && fits;
                        let record = tlsa(usage, selector, matching, length);
                        assert_eq!(is_usable(&record), expected, "{record:?}");
                    }
                }
            }
        }
    }

    /// J08: what comes of every combination of answers.
    #[test]
    fn nothing_downgrades() {
        let usable = tlsa(3, 1, 1, 32);
        let cases = [
            (Answer::Failed, Demand::Defer),
            (Answer::Nothing, Demand::Opportunistic),
            (signed(&[]), Demand::Opportunistic),
            (signed(std::slice::from_ref(&usable)), Demand::Dane(vec![usable.clone()])),
            (signed(&[tlsa(0, 0, 1, 32), tlsa(1, 1, 1, 32)]), Demand::TlsUnauthenticated),
            (signed(&[tlsa(3, 1, 1, 0)]), Demand::TlsUnauthenticated),
            (signed(&[tlsa(3, 1, 1, 3)]), Demand::TlsUnauthenticated),
            (signed(&[tlsa(9, 9, 9, 9)]), Demand::TlsUnauthenticated),
            (
                signed(&[tlsa(1, 1, 1, 32), usable.clone(), tlsa(3, 1, 1, 3)]),
                Demand::Dane(vec![usable.clone()]),
            ),
            (
                Answer::Found(Found { records: vec![usable], authentic: false }),
                Demand::Opportunistic,
            ),
        ];
        for (answer, expected) in cases {
            assert_eq!(demand(true, true, &answer), expected, "{answer:?}");
            for (mx, address) in [(false, true), (true, false), (false, false)] {
                assert!(!must_ask_tlsa(mx, address));
                assert_eq!(demand(mx, address, &answer), Demand::Opportunistic, "{answer:?}");
            }
        }
        assert!(must_ask_tlsa(true, true));
    }

    /// RFC 7671 §9.
    #[test]
    fn a_weaker_digest_does_not_count_beside_a_stronger_one() {
        let (weak, strong) = (tlsa(3, 1, 1, 32), tlsa(3, 1, 2, 64));
        let (whole, other) = (tlsa(3, 1, 0, 9), tlsa(2, 1, 1, 32));
        let all = [weak.clone(), whole.clone(), strong.clone(), other.clone()];
        let found = |records: &[Tlsa]| Found { records: records.to_vec(), authentic: true };
        assert_eq!(Dane::of(&found(&all)), Dane::Usable(vec![whole, strong, other]));
        // One that nobody can use outdoes nothing.
        let broken = tlsa(3, 1, 2, 63);
        assert_eq!(Dane::of(&found(&[weak.clone(), broken])), Dane::Usable(vec![weak]));
    }

    proptest! {
        #[test]
        fn whatever_is_published_can_be_judged(
            records in prop::collection::vec((0..5u8, 0..3u8, 0..4u8, 0..70usize), 0..9),
            authentic: bool,
        ) {
            let records: Vec<Tlsa> = records.iter().map(|(u, s, m, length)| tlsa(*u, *s, *m, *length)).collect();
            let is_any = records.iter().any(is_usable);
            let expected = authentic && !records.is_empty();
            match Dane::of(&Found { records, authentic }) {
                Dane::Usable(records) => {
                    prop_assert!(expected && !records.is_empty() && records.iter().all(is_usable));
                }
                Dane::Unusable => prop_assert!(expected && !is_any),
                Dane::None => prop_assert!(!expected),
            }
        }
    }

    #[test]
    fn a_certificate_may_name_the_host_or_the_domain() {
        let names = reference_names("MX1.Example.net.", "example.COM");
        assert_eq!(names, ["mx1.example.net", "example.com"]);
        assert_eq!(reference_names("example.com", "example.com."), ["example.com"]);
    }
}
