//! Which names are asked for and believed, and which answers and servers are.

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::{Name, RData, RecordType};
use rcptgate::dns::{Dnssec, LookupFault, Resolver};
use rcptgate::routing::records::{End, Tlsa};

use RecordType::{A as V4, AAAA as V6, MX};

use super::{exchange, is_failed, resolver, start};
use crate::dns_server::{Answer, DnsServer};

/// K12: the name that is asked for is the whole name, and what can be none is asked of nobody.
#[tokio::test]
async fn names_go_out_as_they_are() {
    let (server, resolver) = start().await;
    let label = "a".repeat(63);
    let good = ["localhost", "com", "_dmarc.d.test", "xn--bcher-kva.test", &label, "192.0.2.1"];
    for name in good {
        assert_eq!(resolver.mx(name).await, Err(LookupFault::NoSuchDomain), "{name}");
    }
    let dotted = resolver.mx("Dotted.Test.").await;
    assert_eq!(dotted, Err(LookupFault::NoSuchDomain));
    let _ = resolver.tlsa(25, "mx.test").await;
    let asked: Vec<_> = server.asked().into_iter().map(|(name, _)| name).collect();
    let wanted = [good.as_slice(), &["dotted.test", "_25._tcp.mx.test"]].concat();
    assert_eq!(asked, wanted);

    let long = format!("{label}a");
    let longer = [label.as_str(); 4].join(".");
    let bad = [
        "",
        ".",
        "a..test",
        "a b.test",
        "a\r\nb.test",
        "bücher.test",
        "[192.0.2.1]",
        &long,
        &longer,
    ];
    for name in bad {
        assert_eq!(resolver.mx(name).await, Err(LookupFault::NoSuchDomain), "{name:?}");
        assert_eq!(resolver.addresses(name).await, Err(LookupFault::NoSuchDomain), "{name:?}");
    }
    assert_eq!(server.asked().len(), wanted.len());
}

/// K13.
#[tokio::test]
async fn names_in_answers_are_checked() {
    let (server, resolver) = start().await;
    let odd = |label: &[u8]| {
        let host = Name::from_labels([label, b"test"]).expect("labels");
        RData::MX(hickory_proto::rr::rdata::MX::new(1, host))
    };
    let bad = || vec![odd(b"a\r\nRCPT TO:<x@y>"), odd(b"a b"), odd(b"a.b"), odd(b"\0")];
    server.answer("bad.test", MX, Answer::records(bad()));
    let mut some = bad();
    some.push(odd(b"MX_1"));
    server.answer("some.test", MX, Answer::records(some));
    assert!(is_failed(&resolver.mx("bad.test").await));
    let found = resolver.mx("some.test").await.expect("hosts");
    assert_eq!(found.records, [exchange(1, "mx_1.test")]);
}

/// J09.
#[tokio::test]
async fn an_answer_is_authentic_if_it_was_asked_for_and_is_believed() {
    let (server, trusting) = start().await;
    let off = resolver(&server, Dnssec::Off);
    let mx = || Answer::mx(&[(1, "mx.test.")]);
    server.answer("plain.test", MX, mx());
    server.answer("signed.test", MX, mx().signed());
    server.answer("always.test", MX, mx().always_signed());
    for (domain, wanted) in [("plain.test", false), ("signed.test", true), ("always.test", true)] {
        assert_eq!(trusting.mx(domain).await.expect("hosts").authentic, wanted, "{domain}");
        // From memory too.
        assert_eq!(trusting.mx(domain).await.expect("hosts").authentic, wanted, "{domain}");
        assert!(!off.mx(domain).await.expect("hosts").authentic, "{domain}");
    }
}

#[tokio::test]
async fn a_name_is_authentic_if_it_is_for_one_family() {
    let (server, resolver) = start().await;
    let v4 = || Answer::addresses(&["192.0.2.1"]);
    let v6 = || Answer::addresses(&["2001:db8::1"]);
    let cases = [
        (v4().signed(), v6().signed(), true),
        (v4().signed(), v6(), true),
        (v4(), v6().signed(), true),
        (v4(), v6(), false),
        (v4().signed(), Answer::no_records(), true),
        (Answer::no_records(), v6(), false),
    ];
    for (index, (a, aaaa, wanted)) in cases.into_iter().enumerate() {
        let host = format!("h{index}.test");
        server.answer(&host, V4, a);
        server.answer(&host, V6, aaaa);
        let found = resolver.addresses(&host).await.expect("addresses");
        assert_eq!(found.ends, [end(&host, wanted)], "{index}");
    }
}

fn end(name: &str, authentic: bool) -> End {
    End { name: name.to_owned(), authentic }
}

/// RFC 7672 §2.2.2: where the aliases of a mail host end.
#[tokio::test]
async fn the_end_of_the_aliases_is_told() {
    let (server, resolver) = start().await;
    let v4 = || Answer::addresses(&["192.0.2.1"]);
    let v6 = || Answer::addresses(&["2001:db8::1"]);
    let cases = [
        (v4().at("End.Test.").signed(), v6().at("end.test."), vec![end("end.test", true)]),
        (v4().at("end.test."), Answer::no_records(), vec![end("end.test", false)]),
        (
            v4().at("four.test.").signed(),
            v6().at("six.test."),
            vec![end("six.test", false), end("four.test", true)],
        ),
        (v4(), v6().at("six.test."), vec![end("six.test", false), end("h3.test", false)]),
    ];
    for (index, (a, aaaa, wanted)) in cases.into_iter().enumerate() {
        let host = format!("h{index}.test");
        server.answer(&host, V4, a);
        server.answer(&host, V6, aaaa);
        let found = resolver.addresses(&host).await.expect("addresses");
        assert_eq!(found.ends, wanted, "{index}");
    }
    server.answer("d.test", MX, Answer::mx(&[(1, "mx.test.")]).at("mail.test."));
    assert_eq!(resolver.mx("d.test").await.expect("hosts").name, "mail.test");
}

/// The first alias alone is asked about, wherever it leads.
#[tokio::test]
async fn whether_an_alias_is_authentic_is_asked_of_itself() {
    let (server, resolver) = start().await;
    let alias = || Answer::no_records().at("end.test.");
    let cases = [
        (alias().signed(), Ok(true)),
        (alias(), Ok(false)),
        (Answer::no_records().signed(), Ok(false)),
        (Answer::no_such_domain().signed(), Ok(false)),
    ];
    for (index, (answer, wanted)) in cases.into_iter().enumerate() {
        let name = format!("h{index}.test");
        server.answer(&name, RecordType::CNAME, answer);
        server.answer("end.test", RecordType::CNAME, Answer::no_records().at("h0.test."));
        assert_eq!(resolver.is_authentic_alias(&name).await, wanted, "{index}");
    }
    server.answer("broken.test", RecordType::CNAME, Answer::code(ResponseCode::ServFail));
    assert!(is_failed(&resolver.is_authentic_alias("broken.test").await));
}

#[tokio::test]
async fn other_types_are_read_whole() {
    let (server, resolver) = start().await;
    server.answer("_25._tcp.mx.test", RecordType::TLSA, Answer::tlsa(3, 1, 1, &[7; 32]).signed());
    let found = resolver.tlsa(25, "mx.test").await.expect("records");
    let wanted = Tlsa { usage: 3, selector: 1, matching: 1, data: vec![7; 32] };
    assert_eq!((found.records, found.authentic), (vec![wanted], true));
    let text = "x".repeat(600);
    server.answer("d.test", RecordType::TXT, Answer::txt(&text));
    assert_eq!(resolver.txt("d.test").await.expect("texts").records, [text]);
}

/// A quick refusal of one server is not the last word.
#[tokio::test]
async fn the_next_server_is_asked_when_one_refuses() {
    let (good, bad) = (DnsServer::start().await, DnsServer::start().await);
    good.answer("d.test", MX, Answer::mx(&[(1, "mx.test.")]));
    bad.answer("d.test", MX, Answer::code(ResponseCode::Refused));
    // The one answers only when the other has long refused.
    good.hold();
    let resolver = Resolver::new(&[bad.address, good.address], Dnssec::Off).expect("a resolver");
    let asking = tokio::spawn(async move { resolver.mx("d.test").await });
    bad.has_received(2).await;
    good.release();
    let found = asking.await.expect("an end").expect("hosts");
    assert_eq!(found.records, [exchange(1, "mx.test")]);
}

#[test]
fn local_servers_are_on_this_machine() {
    let remote = |servers: &[&str]| {
        let servers: Vec<_> = servers.iter().map(|text| text.parse().expect("address")).collect();
        Resolver::remote(&servers).map(|server| server.to_string())
    };
    assert_eq!(remote(&["127.0.0.1:53"]), None);
    assert_eq!(remote(&["127.0.0.53:53", "[::1]:5353"]), None);
    assert_eq!(remote(&["127.0.0.1:53", "192.0.2.1:53"]).as_deref(), Some("192.0.2.1"));
    assert_eq!(remote(&["192.0.2.1:53"]).as_deref(), Some("192.0.2.1"));
}
