//! What DNS says of a domain, and what its recipients are told of it.

use std::time::Duration;

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType::{self, A as V4, AAAA as V6, MX};
use rcptgate::proxy::Timeouts;

use super::World;
use crate::dns::refusals;
use crate::dns_server::Answer;
use crate::harness::Wish;
use crate::live;

const TAKEN: &str = "250 2.0.0 ok queued as SINK1";

/// K01. A failure is no answer: no other name is tried, nobody is connected to and nothing is learnt.
#[tokio::test]
async fn k01_a_failure_of_dns_is_put_off_and_teaches_nothing() {
    let world = World::new(&[&[]]).await;
    for (index, (what, answer)) in refusals().into_iter().enumerate() {
        let domain = format!("d{index}.test");
        world.dns.answer(&domain, MX, answer.clone());
        world.address(&domain, "127.0.0.1");
        let told = world.told(&format!("a@{domain}")).await;
        assert!(told.starts_with("451 4.4.3 rcptgate:"), "{what} for MX: {told}");
        let domain = format!("e{index}.test");
        let host = format!("mx.{domain}");
        world.mail(&domain, &[(10, &host)]);
        world.dns.answer(&host, V4, answer.clone());
        world.dns.answer(&host, V6, answer);
        let told = world.told(&format!("a@{domain}")).await;
        assert!(told.starts_with("451 4.4.3 rcptgate:"), "{what} for A: {told}");
    }
    let fell_back = |(name, kind): &(String, RecordType)| *kind != MX && !name.starts_with("mx.");
    assert!(!world.dns.asked().iter().any(fell_back), "{:?}", world.dns.asked());
    assert_eq!(world.connections(), [0]);
    world.expect_nothing_learnt();
}

/// K01. So is silence, and the time that the opening has as a whole.
#[test]
fn k01_dns_that_does_not_answer_is_put_off() {
    live::run(async |clock| {
        let seconds = Duration::from_secs;
        for opening in [seconds(240), seconds(4)] {
            let timeouts = Timeouts { opening, ..Timeouts::default() };
            let world = World::with(&[&[]], Wish { timeouts, ..Wish::default() }).await;
            world.dns.answer("d.test", MX, Answer::silence());
            world.mail("e.test", &[(10, "mx.e.test")]);
            world.dns.answer("mx.e.test", V4, Answer::silence());
            world.dns.answer("mx.e.test", V6, Answer::silence());
            let mut client = super::greeted_live(world.lab.door, clock).await;
            for domain in ["d.test", "e.test"] {
                let group = format!("MAIL FROM:<s@x.test>\r\nRCPT TO:<a@{domain}>\r\nRSET\r\n");
                client.say(group.as_bytes(), clock).await;
                assert!(client.reply(clock).await.starts_with("250"));
                clock.hurry();
                let told = client.reply(clock).await;
                assert!(told.starts_with("451 4.4.3 rcptgate:"), "{domain}: {told}");
                assert!(client.reply(clock).await.starts_with("250"));
            }
            assert_eq!(world.connections(), [0]);
            world.expect_nothing_learnt();
        }
    });
}

/// K02. That there is no such domain is evidence about the recipient, and on disk before it is told.
#[tokio::test]
async fn k02_a_domain_that_does_not_exist_is_learnt() {
    let world = World::new(&[&[]]).await;
    let mut client = world.lab.client().await;
    client.ask("MAIL FROM:<s@x.test>", "250").await;
    // Trusted domains: the first is enough.
    client.ask("RCPT TO:<one@gmail.com>", "550 5.1.2 rcptgate:").await;
    let journal = world.lab.journal();
    assert_eq!(journal.lines().count(), 1, "{journal}");
    for word in ["one@gmail.com", "domain_unknown", "lookup", "5.1.2"] {
        assert!(journal.contains(word), "{word}: {journal}");
    }
    // A second recipient of the same transaction is not looked up again, and is as unknown.
    client.ask("RCPT TO:<two@gmail.com>", "550 5.1.2 rcptgate:").await;
    assert!(world.is_known("one@gmail.com") && world.is_known("two@gmail.com"));
    client.ask("DATA", "554 5.5.1").await;
    assert_eq!(world.asked(), ["gmail.com"]);
    // From here on they are refused without DNS.
    world.dns.answer("gmail.com", MX, Answer::code(ResponseCode::ServFail));
    for address in ["one@gmail.com", "two@gmail.com"] {
        let told = world.told(address).await;
        assert!(told.starts_with("550 5.7.1 rcptgate:"), "{told}");
    }
    assert_eq!(world.asked(), ["gmail.com"]);
    assert_eq!(world.connections(), [0]);
}

/// K02. A domain that exists and names no mail host is one itself; one that is none either is no domain that does not exist.
#[tokio::test]
async fn k02_a_domain_without_mail_host_is_its_own() {
    let world = World::new(&[&[]]).await;
    world.address("host.test", "127.0.0.1");
    assert_eq!(world.told("a@host.test").await, TAKEN);
    assert_eq!(world.connections(), [1]);
    world.dns.answer("bare.test", RecordType::TXT, Answer::txt("v=spf1 -all"));
    let told = world.told("a@bare.test").await;
    assert!(told.starts_with("550 5.4.4 rcptgate:"), "{told}");
    // The address of such a domain may only fail to be there now.
    world.dns.answer("ill.test", V4, Answer::code(ResponseCode::ServFail));
    let told = world.told("a@ill.test").await;
    assert!(told.starts_with("451 4.4.3 rcptgate:"), "{told}");
    world.expect_nothing_learnt();
}

/// K03. A domain that takes no mail is not connected to; the root beside others is no host.
#[tokio::test]
async fn k03_a_null_mx_is_learnt_and_one_among_others_is_none() {
    let world = World::new(&[&[]]).await;
    for (domain, hosts) in [("hotmail.com", [(0, ".")]), ("hotmail.fr", [(10, ".")])] {
        world.mail(domain, &hosts);
        world.address(domain, "127.0.0.1");
        let told = world.told(&format!("a@{domain}")).await;
        assert!(told.starts_with("556 5.1.10 rcptgate:"), "{domain}: {told}");
        assert!(world.lab.journal().contains("domain_unknown"));
        let told = world.told(&format!("A@{domain}")).await;
        assert!(told.starts_with("550 5.7.1 rcptgate:"), "{domain}: {told}");
    }
    assert_eq!(world.connections(), [0]);
    for (domain, hosts) in
        [("one.test", [(0, "."), (10, "mx1.test.")]), ("two.test", [(10, "mx1.test."), (20, ".")])]
    {
        world.mail(domain, &hosts);
        assert_eq!(world.told(&format!("a@{domain}")).await, TAKEN);
    }
    assert!(!world.is_known("a@one.test") && !world.is_known("a@two.test"));
}

/// K07. More domains at once than there may be questions: some wait, and none is refused.
#[tokio::test]
async fn k07_many_domains_at_once_are_all_served() {
    let world = World::with(
        &[&[]],
        Wish { targets: super::Targets::new(Vec::new()), connections: 1000, ..Wish::default() },
    )
    .await;
    let all = (0..200).map(|index| {
        let domain = format!("d{index}.test");
        world.mail(&domain, &[(10, "mx1.test.")]);
        let (world, address) = (&world, format!("a@{domain}"));
        async move { world.told(&address).await }
    });
    for told in join_all(all).await {
        assert_eq!(told, TAKEN);
    }
}

async fn join_all<T>(all: impl Iterator<Item = impl Future<Output = T>>) -> Vec<T> {
    let mut all: Vec<_> = all.map(Box::pin).collect();
    let mut done: Vec<Option<T>> = all.iter().map(|_| None).collect();
    std::future::poll_fn(|context| {
        for (future, done) in all.iter_mut().zip(&mut done).filter(|(_, done)| done.is_none()) {
            if let std::task::Poll::Ready(value) = future.as_mut().poll(context) {
                *done = Some(value);
            }
        }
        match done.iter().all(Option::is_some) {
            true => std::task::Poll::Ready(()),
            false => std::task::Poll::Pending,
        }
    })
    .await;
    done.into_iter().flatten().collect()
}

/// K11. An address in place of a domain says where to go without asking anybody who owns it.
#[tokio::test]
async fn k11_no_mail_to_literals_and_none_to_postmaster_alone() {
    let world = World::new(&[&[]]).await;
    for address in ["a@[127.0.0.1]", "a@[IPv6:::1]", "a@[IPv6:::ffff:127.0.0.1]"] {
        let told = world.told(address).await;
        assert!(told.starts_with("550 5.1.2 rcptgate:"), "{address}: {told}");
    }
    let told = world.told("postmaster").await;
    assert!(told.starts_with("550 5.1.1 rcptgate:"), "{told}");
    assert_eq!(world.dns.asked(), []);
    assert_eq!(world.connections(), [0]);
    world.expect_nothing_learnt();
}

/// K12. One name has one form, and it is asked for from the root.
#[tokio::test]
async fn k12_names_are_asked_for_in_one_form() {
    let hosts: [super::Answers<'_>; 1] =
        [&[("EHLO", "250-sink.test\r\n250-8BITMIME\r\n250 SMTPUTF8")]];
    let world = World::new(&hosts).await;
    let long = format!("{}.test", "l".repeat(63));
    let cases = [
        ("B\u{dc}CHER.test", "xn--bcher-kva.test"),
        ("xn--strae-oqa.test", "xn--strae-oqa.test"),
        ("Upper.TEST", "upper.test"),
        ("dotted.test.", "dotted.test"),
        ("under_score.test", "under_score.test"),
        ("localhost", "localhost"),
        ("com", "com"),
        (&long, &long),
    ];
    for (written, asked) in cases {
        world.mail(asked, &[(10, "mx1.test.")]);
        let mut client = world.lab.client().await;
        client.ask("MAIL FROM:<s@x.test> BODY=8BITMIME SMTPUTF8", "250").await;
        client.ask(&format!("RCPT TO:<a@{written}>"), "250").await;
        client.quit().await;
        assert_eq!(world.asked().last().map(String::as_str), Some(asked), "{written}");
    }
    assert_eq!(world.asked().len(), cases.len());
}
