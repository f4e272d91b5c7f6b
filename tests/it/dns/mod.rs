//! The resolver against a name server that says what it should not.

mod names;

use std::net::IpAddr;
use std::time::Duration;

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::rdata::A;
use hickory_proto::rr::{RData, RecordType};
use rcptgate::dns::{Dnssec, LookupFault, Resolver};
use rcptgate::routing::mx::{MailHosts, mail_hosts};
use rcptgate::routing::records::Exchange;

use crate::dns_server::{Answer, DnsServer};
use crate::live;

use RecordType::{A as V4, AAAA as V6, MX};

fn resolver(server: &DnsServer, dnssec: Dnssec) -> Resolver {
    Resolver::new(&[server.address], dnssec).expect("a resolver")
}

async fn start() -> (DnsServer, Resolver) {
    let server = DnsServer::start().await;
    let resolver = resolver(&server, Dnssec::TrustAd);
    (server, resolver)
}

fn address(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

fn exchange(preference: u16, host: &str) -> Exchange {
    Exchange { preference, host: host.to_owned() }
}

fn is_failed<T>(outcome: &Result<T, LookupFault>) -> bool {
    matches!(outcome, Err(LookupFault::Failed(_)))
}

async fn hosts(resolver: &Resolver, domain: &str) -> MailHosts {
    mail_hosts(domain, &resolver.mx(domain).await, &mut |_| 0)
}

/// Whatever a server may say instead of an answer, but for silence.
pub fn refusals() -> Vec<(&'static str, Answer)> {
    use ResponseCode::{FormErr, NotImp, Refused, ServFail};
    let codes =
        [FormErr, NotImp, Refused, ServFail, ResponseCode::NotAuth, ResponseCode::from(0, 12)];
    let mut all: Vec<_> = codes.into_iter().map(|code| ("code", Answer::code(code))).collect();
    all.extend([
        ("records beside a failure", Answer::mx(&[(1, "mx.test.")]).with_code(ServFail)),
        ("only a header", Answer::bytes(&[0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0])),
        ("another question", Answer::no_such_domain().elsewhere("other.test.")),
        ("an alias loop", Answer::aliases(20, None)),
    ]);
    all
}

/// K01.
#[tokio::test]
async fn a_refusal_is_a_failure_and_nothing_else() {
    let (server, resolver) = start().await;
    for (index, (what, answer)) in refusals().into_iter().enumerate() {
        let domain = format!("d{index}.test");
        for kind in [MX, V4, V6, RecordType::TLSA, RecordType::TXT] {
            server.answer(&domain, kind, answer.clone());
            server.answer(&format!("_25._tcp.{domain}"), kind, answer.clone());
        }
        let mx = resolver.mx(&domain).await;
        assert!(is_failed(&mx), "{what}: {mx:?}");
        assert!(matches!(hosts(&resolver, &domain).await, MailHosts::Failed(_)), "{what}");
        let addresses = resolver.addresses(&domain).await;
        assert!(is_failed(&addresses), "{what}: {addresses:?}");
        let tlsa = resolver.tlsa(25, &domain).await;
        assert!(is_failed(&tlsa), "{what}: {tlsa:?}");
        let txt = resolver.txt(&domain).await;
        assert!(is_failed(&txt), "{what}: {txt:?}");
    }
}

/// K01: silence, until the deadline.
#[test]
fn no_answer_is_a_failure() {
    live::run(async |clock| {
        let (server, resolver) = start().await;
        server.answer("d.test", MX, Answer::silence());
        let asking = tokio::spawn(async move { resolver.mx("d.test").await });
        server.has_been_asked(1).await;
        clock.pass(Duration::from_secs(10)).await;
        assert!(is_failed(&asking.await.expect("an end")));
    });
}

/// K02.
#[tokio::test]
async fn no_such_domain_is_not_no_records() {
    let (server, resolver) = start().await;
    server.answer("d.test", RecordType::TXT, Answer::txt("there is something"));
    assert_eq!(resolver.mx("d.test").await, Err(LookupFault::NoRecords));
    assert_eq!(hosts(&resolver, "d.test").await, MailHosts::Implicit("d.test".into()));
    assert_eq!(resolver.addresses("d.test").await, Err(LookupFault::NoRecords));
    assert_eq!(resolver.mx("gone.test").await, Err(LookupFault::NoSuchDomain));
    assert_eq!(hosts(&resolver, "gone.test").await, MailHosts::NoSuchDomain);
    assert_eq!(resolver.addresses("gone.test").await, Err(LookupFault::NoSuchDomain));
    assert_eq!(resolver.host("gone.test").await, Err(LookupFault::NoSuchDomain));
    // The name that an alias leads to does not exist.
    let dangling = Answer::aliases(1, None).with_code(ResponseCode::NXDomain);
    server.answer("alias.test", MX, dangling);
    assert_eq!(resolver.mx("alias.test").await, Err(LookupFault::NoSuchDomain));
}

/// K03.
#[tokio::test]
async fn a_null_mx_is_alone() {
    let (server, resolver) = start().await;
    server.answer("null.test", MX, Answer::mx(&[(0, ".")]));
    server.answer("mixed.test", MX, Answer::mx(&[(0, "."), (10, "mx.test.")]));
    assert_eq!(hosts(&resolver, "null.test").await, MailHosts::NullMx);
    let MailHosts::Listed(listed) = hosts(&resolver, "mixed.test").await else { panic!("hosts") };
    assert_eq!(listed.records, [exchange(10, "mx.test")]);
}

/// K04, K05: each family for itself.
#[tokio::test]
async fn one_family_is_enough() {
    let (server, resolver) = start().await;
    let (v4, v6) = (|| Answer::addresses(&["192.0.2.1"]), || Answer::addresses(&["2001:db8::1"]));
    let servfail = || Answer::code(ResponseCode::ServFail);
    let cases = [
        (v4(), v6(), Some(vec!["2001:db8::1", "192.0.2.1"])),
        (v4(), servfail(), Some(vec!["192.0.2.1"])),
        (v4(), Answer::no_records(), Some(vec!["192.0.2.1"])),
        (v4(), Answer::no_such_domain(), Some(vec!["192.0.2.1"])),
        (servfail(), v6(), Some(vec!["2001:db8::1"])),
        (servfail(), Answer::no_records(), None),
        (Answer::no_records(), servfail(), None),
        (servfail(), Answer::no_such_domain(), None),
    ];
    for (index, (a, aaaa, wanted)) in cases.into_iter().enumerate() {
        let host = format!("h{index}.test");
        server.answer(&host, V4, a);
        server.answer(&host, V6, aaaa);
        let outcome = resolver.addresses(&host).await;
        match wanted {
            Some(wanted) => {
                let wanted: Vec<_> = wanted.into_iter().map(address).collect();
                assert_eq!(outcome.expect("addresses").records, wanted, "{index}");
            }
            None => assert!(is_failed(&outcome), "{index}: {outcome:?}"),
        }
    }
}

/// K06.
#[tokio::test]
async fn much_is_cut_to_what_can_be_used() {
    let (server, resolver) = start().await;
    let names: Vec<_> = (0..1000).map(|index| format!("mx{index}.test.")).collect();
    let mut many: Vec<_> = (1..).zip(names.iter().map(String::as_str)).collect();
    // The best come last.
    many.reverse();
    server.answer("many.test", MX, Answer::mx(&many));
    let found = resolver.mx("many.test").await.expect("hosts");
    assert_eq!(found.records.len(), 100);
    assert_eq!(found.records.first(), Some(&exchange(1, "mx0.test")));
    assert_eq!(server.over_tcp(), 1);

    let v4: Vec<_> =
        (0..500).map(|index| format!("192.0.{}.{}", index / 250, index % 250)).collect();
    let v6: Vec<_> = (0..500).map(|index| format!("2001:db8::{index:x}")).collect();
    let answer =
        |all: &[String]| Answer::addresses(&all.iter().map(String::as_str).collect::<Vec<_>>());
    server.answer("many.test", V4, answer(&v4));
    server.answer("many.test", V6, answer(&v6));
    let found = resolver.addresses("many.test").await.expect("addresses");
    assert_eq!(found.records.len(), 100);
    let families: Vec<_> = found.records.iter().map(IpAddr::is_ipv4).collect();
    assert_eq!(families, [false, true].repeat(50));
    assert_eq!(server.over_tcp(), 3);
}

/// K06.
#[tokio::test]
async fn what_is_cut_off_is_asked_for_over_tcp() {
    let (server, resolver) = start().await;
    server.answer("d.test", MX, Answer::mx(&[(1, "mx.test.")]).only_tcp());
    let found = resolver.mx("d.test").await.expect("hosts");
    assert_eq!(found.records, [exchange(1, "mx.test")]);
    assert_eq!(server.over_tcp(), 1);
}

/// K06.
#[tokio::test]
async fn a_server_without_edns_is_understood() {
    let (server, resolver) = start().await;
    server.answer("d.test", MX, Answer::mx(&[(1, "mx.test.")]).always_signed().without_edns());
    let found = resolver.mx("d.test").await.expect("hosts");
    assert_eq!(found.records, [exchange(1, "mx.test")]);
    // Without EDNS there is no DO, and what was not asked for is not believed.
    assert!(!found.authentic);
}

/// K06.
#[tokio::test]
async fn aliases_are_followed_so_far() {
    let (server, resolver) = start().await;
    let end = || Some(RData::A(A::new(192, 0, 2, 1)));
    server.answer("some.test", V4, Answer::aliases(16, end()));
    server.answer("many.test", V4, Answer::aliases(20, end()));
    let found = resolver.addresses("some.test").await.expect("addresses");
    assert_eq!(found.records, [address("192.0.2.1")]);
    assert!(is_failed(&resolver.addresses("many.test").await));
}

/// K06: no lifetime makes a question for each recipient, and none lasts for ever.
#[test]
fn lifetimes_are_bounded() {
    live::run(async |clock| {
        let (server, resolver) = start().await;
        for (ttl, seconds) in [(0, 5), (1 << 31, 5), (60, 60), (i32::MAX as u32, 86_400)] {
            let domain = format!("ttl{ttl}.test");
            server.answer(&domain, MX, Answer::mx(&[(1, "mx.test.")]).ttl(ttl));
            let before = server.asked().len();
            for (wait, asked) in [(0, 1), (seconds - 1, 1), (1, 2)] {
                clock.pass(Duration::from_secs(wait)).await;
                resolver.mx(&domain).await.expect("hosts");
                assert_eq!(server.asked().len() - before, asked, "{ttl} {wait}");
            }
        }
    });
}

/// Turns enough for a question that does not wait to arrive.
async fn everybody_gets_on() {
    for _ in 0..1000 {
        tokio::task::yield_now().await;
    }
}

/// K07: however many ask, the server is not flooded, and everybody gets an answer.
#[tokio::test]
async fn many_names_at_once_wait_for_their_turn() {
    const TURNS: usize = 128;
    let (server, resolver) = start().await;
    for index in 0..500 {
        server.answer(&format!("d{index}.test"), MX, Answer::mx(&[(1, "mx.test.")]));
    }
    server.hold();
    let asking: Vec<_> = (0..500)
        .map(|index| {
            let resolver = resolver.clone();
            tokio::spawn(async move { resolver.mx(&format!("d{index}.test")).await })
        })
        .collect();
    server.has_been_asked(TURNS).await;
    everybody_gets_on().await;
    server.release();
    for one in asking {
        let found = one.await.expect("an end").expect("hosts");
        assert_eq!(found.records, [exchange(1, "mx.test")]);
    }
    assert!(server.most_at_once() <= TURNS, "{}", server.most_at_once());
    assert_eq!((resolver.hits(), resolver.misses()), (0, 500));
}

/// K07: who does not get a turn in time has learnt nothing about the name.
#[test]
fn an_overload_is_a_failure() {
    live::run(async |clock| {
        let (server, resolver) = start().await;
        server.hold();
        let asking: Vec<_> = (0..200)
            .map(|index| {
                let resolver = resolver.clone();
                tokio::spawn(async move { resolver.mx(&format!("d{index}.test")).await })
            })
            .collect();
        server.has_been_asked(128).await;
        everybody_gets_on().await;
        assert_eq!(server.asked().len(), 128);
        clock.pass(Duration::from_secs(10)).await;
        for one in asking {
            assert!(is_failed(&one.await.expect("an end")));
        }
    });
}

#[tokio::test]
async fn one_question_serves_all_who_ask() {
    let (server, resolver) = start().await;
    server.answer("d.test", MX, Answer::mx(&[(1, "mx.test.")]));
    server.hold();
    let asking: Vec<_> = ["d.test", "D.TEST", "d.test."]
        .into_iter()
        .map(|name| {
            let resolver = resolver.clone();
            tokio::spawn(async move { resolver.mx(name).await })
        })
        .collect();
    server.has_been_asked(1).await;
    server.release();
    for one in asking {
        one.await.expect("an end").expect("hosts");
    }
    resolver.mx("d.test").await.expect("hosts");
    assert_eq!(server.asked(), [("d.test".to_owned(), MX)]);
    assert_eq!((resolver.hits(), resolver.misses()), (3, 1));
}
