//! DANE for SMTP (RFC 7672): which TLSA records count, and what they demand of a mail host.

use super::records::{End, Found, Tlsa};

/// Where TLSA records of a mail host are asked for (RFC 7672 §2.2.1, §2.2.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Search {
    /// Nowhere: whoever led us to the host may have been anybody. Some name servers of such zones break on the question, too.
    Nowhere,
    /// At these names in turn, until one has some ([`demand`]); never none.
    At(Vec<String>),
    /// At the host itself, if that it is an alias is authentic, which is still to be asked: where it leads is not.
    AtAlias,
}

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

/// Where TLSA records of `host` are asked for, whose aliases end so. The expanded name comes first, the host's own name behind it:
/// whoever runs a host for many knows its certificate best. For a domain that is its own mail host, the absence of MX is the answer
/// that is authentic or not.
///
/// Should the families end at different names, both are asked, that of IPv6 first, and what is found holds for all addresses. Only
/// an authentic alias makes a name count, so each is one that the host's owner has chosen; and a server that was not meant gets no
/// mail, which is better than mail without a proof.
pub fn search(mx_authentic: bool, host: &str, ends: &[End]) -> Search {
    if !mx_authentic {
        return Search::Nowhere;
    }
    let authentic = ends.iter().filter(|end| end.authentic);
    let mut bases: Vec<String> = authentic.map(|end| end.name.clone()).collect();
    if !bases.is_empty() {
        if !bases.iter().any(|base| base == host) {
            bases.push(host.to_owned());
        }
        return Search::At(bases);
    }
    match ends.iter().any(|end| end.name != host) {
        true => Search::AtAlias,
        false => Search::Nowhere,
    }
}

/// What an answer demands of a host. A look-up that failed defers and never downgrades; where another name is left to ask
/// ([`Search::At`]), it is asked only if this one demands nothing.
pub fn demand(answer: &Answer) -> Demand {
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

/// The names of which one must be in a certificate that a usage-2 record vouches for: the one that has the records; the domain that
/// mail is for, since its answers led there; and the name that has its MX records, if the domain is an alias (RFC 7672 §3.2.2).
/// Without a last dot, each once.
pub fn reference_names(base: &str, domain: &str, expanded: &str) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for name in [base, domain, expanded] {
        let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tlsa(usage: u8, selector: u8, matching: u8, length: usize) -> Tlsa {
        Tlsa { usage, selector, matching, data: vec![7; length] }
    }

    fn found(records: &[Tlsa], authentic: bool) -> Found<Tlsa> {
        Found { records: records.to_vec(), authentic, name: "_25._tcp.mx.test".to_owned() }
    }

    fn signed(records: &[Tlsa]) -> Answer {
        Answer::Found(found(records, true))
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
            (Answer::Found(found(&[usable], false)), Demand::Opportunistic),
        ];
        for (answer, expected) in cases {
            assert_eq!(demand(&answer), expected, "{answer:?}");
        }
    }

    /// J08: the cases of RFC 7672 §2.2.2, and families that end at different names.
    #[test]
    fn the_expanded_name_comes_first_if_all_the_way_there_is_authentic() {
        let at = |names: &[&str]| Search::At(names.iter().map(|name| (*name).to_owned()).collect());
        let cases = [
            (vec![("mx.test", true)], at(&["mx.test"])),
            (vec![("mx.test", false)], Search::Nowhere),
            (vec![("end.test", true)], at(&["end.test", "mx.test"])),
            (vec![("end.test", false)], Search::AtAlias),
            (
                vec![("six.test", true), ("four.test", true)],
                at(&["six.test", "four.test", "mx.test"]),
            ),
            (vec![("six.test", false), ("four.test", true)], at(&["four.test", "mx.test"])),
            (vec![("mx.test", true), ("four.test", true)], at(&["mx.test", "four.test"])),
            (vec![("mx.test", false), ("four.test", true)], at(&["four.test", "mx.test"])),
            (vec![("mx.test", false), ("four.test", false)], Search::AtAlias),
            (vec![], Search::Nowhere),
        ];
        for (ends, expected) in cases {
            let end = |(name, authentic): &(&str, bool)| End {
                name: (*name).to_owned(),
                authentic: *authentic,
            };
            let given: Vec<End> = ends.iter().map(end).collect();
            assert_eq!(search(true, "mx.test", &given), expected, "{ends:?}");
            assert_eq!(search(false, "mx.test", &given), Search::Nowhere, "{ends:?}");
        }
    }

    /// RFC 7671 §9.
    #[test]
    fn a_weaker_digest_does_not_count_beside_a_stronger_one() {
        let (weak, strong) = (tlsa(3, 1, 1, 32), tlsa(3, 1, 2, 64));
        let (whole, other) = (tlsa(3, 1, 0, 9), tlsa(2, 1, 1, 32));
        let all = [weak.clone(), whole.clone(), strong.clone(), other.clone()];
        let found = |records: &[Tlsa]| found(records, true);
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
            match Dane::of(&found(&records, authentic)) {
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
        let names = reference_names("MX1.Example.net.", "example.COM", "example.com");
        assert_eq!(names, ["mx1.example.net", "example.com"]);
        let names = reference_names("mx1.example.net", "example.com", "example.org");
        assert_eq!(names, ["mx1.example.net", "example.com", "example.org"]);
        assert_eq!(reference_names("example.com", "example.com.", "example.com"), ["example.com"]);
    }
}
