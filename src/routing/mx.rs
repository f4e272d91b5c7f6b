//! The mail hosts of a domain (RFC 5321 §5.1), from what a look-up of its MX records came to.

use std::collections::HashSet;

use super::records::{Exchange, Found, LookupFault};

/// Where the mail of a domain goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MailHosts {
    /// To these, the best first and each once; never none.
    Listed(Found<Exchange>),
    /// To the domain itself, whose name this is: it exists and names no mail host.
    Implicit(String),
    /// Nowhere: the domain says that it takes no mail (RFC 7505).
    NullMx,
    /// Nowhere: there is no such domain.
    NoSuchDomain,
    /// Nobody can say now, and why.
    Failed(String),
}

/// The mail hosts of `domain`. Hosts of one preference come in random order, so that the load is spread: `below(n)` gives a
/// random number less than `n`.
///
/// Only the answer that there are no MX records leads to the domain itself, never a failure: mail would go to a host that the
/// domain's owner did not mean for it.
pub fn mail_hosts(
    domain: &str,
    looked_up: &Result<Found<Exchange>, LookupFault>,
    below: &mut impl FnMut(usize) -> usize,
) -> MailHosts {
    match looked_up {
        Ok(found) => listed(found, below),
        Err(LookupFault::NoSuchDomain) => MailHosts::NoSuchDomain,
        Err(LookupFault::NoRecords) => MailHosts::Implicit(domain.to_owned()),
        Err(LookupFault::Failed(why)) => MailHosts::Failed(why.clone()),
    }
}

/// The root beside other hosts is a mistake, and no host (RFC 7505 §3); alone it is meant, whatever its preference.
fn listed(found: &Found<Exchange>, below: &mut impl FnMut(usize) -> usize) -> MailHosts {
    let named = found.records.iter().filter(|record| !record.host.is_empty());
    let mut hosts: Vec<Exchange> = named.cloned().collect();
    if hosts.is_empty() {
        return MailHosts::NullMx;
    }
    shuffle(&mut hosts, below);
    hosts.sort_by_key(|host| host.preference);
    let mut seen = HashSet::new();
    // One host with two preferences is tried at its better one.
    hosts.retain(|host| seen.insert(host.host.clone()));
    MailHosts::Listed(Found {
        records: hosts,
        authentic: found.authentic,
        name: found.name.clone(),
    })
}

/// Fisher and Yates: every order is as likely as any other. The sort by preference, which is stable, keeps it within each.
fn shuffle<T>(items: &mut [T], below: &mut impl FnMut(usize) -> usize) {
    for last in (1..items.len()).rev() {
        items.swap(last, below(last + 1).min(last));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn found(records: &[(u16, &str)]) -> Result<Found<Exchange>, LookupFault> {
        let exchange = |(preference, host): &(u16, &str)| Exchange {
            preference: *preference,
            host: (*host).into(),
        };
        let records = records.iter().map(exchange).collect();
        Ok(Found { records, authentic: true, name: "d.test".into() })
    }

    fn hosts(answer: &MailHosts) -> Vec<&str> {
        let MailHosts::Listed(found) = answer else { panic!("{answer:?}") };
        found.records.iter().map(|one| one.host.as_str()).collect()
    }

    #[test]
    fn every_outcome_has_its_own_meaning() {
        let check = |looked_up: Result<Found<Exchange>, LookupFault>, wanted: MailHosts| {
            assert_eq!(mail_hosts("d.test", &looked_up, &mut |_| 0), wanted, "{looked_up:?}");
        };
        check(Err(LookupFault::NoSuchDomain), MailHosts::NoSuchDomain);
        check(Err(LookupFault::NoRecords), MailHosts::Implicit("d.test".into()));
        check(Err(LookupFault::Failed("SERVFAIL".into())), MailHosts::Failed("SERVFAIL".into()));
        check(found(&[(0, "")]), MailHosts::NullMx);
        check(found(&[(10, "")]), MailHosts::NullMx);
        check(found(&[(0, ""), (0, "")]), MailHosts::NullMx);
        let one = || MailHosts::Listed(found(&[(10, "a.test")]).expect("records"));
        check(found(&[(10, "a.test")]), one());
        check(found(&[(0, ""), (10, "a.test")]), one());
        check(found(&[(10, "a.test"), (20, "")]), one());
    }

    #[test]
    fn it_stays_known_whether_the_answer_was_authentic() {
        for authentic in [true, false] {
            let looked_up = found(&[(10, "a.test")]).map(|found| Found { authentic, ..found });
            let MailHosts::Listed(listed) = mail_hosts("d.test", &looked_up, &mut |_| 0) else {
                panic!("hosts");
            };
            assert_eq!(listed.authentic, authentic);
        }
    }

    #[test]
    fn a_host_is_tried_once_at_its_best() {
        let looked_up = found(&[(20, "a.test"), (10, "b.test"), (5, "a.test"), (10, "b.test")]);
        assert_eq!(hosts(&mail_hosts("d.test", &looked_up, &mut |_| 0)), ["a.test", "b.test"]);
    }

    #[test]
    fn within_a_preference_every_order_comes_up() {
        let looked_up = found(&[(10, "a"), (10, "b"), (10, "c"), (5, "first"), (20, "last")]);
        let mut orders = HashSet::new();
        // Five hosts take four numbers: below 5, 4, 3 and 2.
        for seed in 0..120_usize {
            let mut rest = seed;
            let mut below = |n: usize| {
                let number = rest % n;
                rest /= n;
                number
            };
            let answer = mail_hosts("d.test", &looked_up, &mut below);
            let hosts = hosts(&answer);
            assert_eq!((hosts[0], hosts[4]), ("first", "last"));
            orders.insert(hosts[1..4].join(""));
        }
        assert_eq!(orders.len(), 6);
    }

    proptest! {
        /// Whatever is published and whatever the dice say: ascending, each host once, none made up and none lost.
        #[test]
        fn hosts_are_those_named(
            records in proptest::collection::vec((0..4_u16, "[a-f]?"), 1..12),
            dice in proptest::collection::vec(any::<usize>(), 12),
        ) {
            let borrowed: Vec<_> = records.iter().map(|(rank, host)| (*rank, host.as_str())).collect();
            let mut dice = dice.into_iter();
            let answer = mail_hosts("d", &found(&borrowed), &mut |_| dice.next().unwrap_or(0));
            let named: HashSet<_> =
                borrowed.iter().map(|(_, host)| *host).filter(|host| !host.is_empty()).collect();
            if named.is_empty() {
                prop_assert_eq!(answer, MailHosts::NullMx);
            } else {
                let listed = hosts(&answer);
                prop_assert_eq!(listed.len(), named.len());
                prop_assert_eq!(listed.into_iter().collect::<HashSet<_>>(), named);
                let MailHosts::Listed(found) = &answer else { unreachable!() };
                prop_assert!(found.records.is_sorted_by_key(|record| record.preference));
            }
        }
    }
}
