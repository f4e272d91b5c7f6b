//! Several domains: one to a transaction, however they share hosts.

use hickory_proto::rr::RecordType::MX;
use rcptgate::proxy::PoolLimits;
use rcptgate::routing::target::Targets;

use super::{World, greeted};
use crate::dns_server::Answer;
use crate::harness::Wish;

/// E04. The others wait for a transaction of their own; whoever is refused anyway is refused now.
#[tokio::test]
async fn e04_one_domain_to_a_transaction() {
    let world = World::new(&[&[("RCPT TO:<gone@", "550 5.1.1 no such user")], &[], &[]]).await;
    world.mail("d1.test", &[(10, "mx1.test.")]);
    world.mail("d2.test", &[(10, "mx2.test.")]);
    world.mail("d3.test", &[(10, "mx3.test.")]);
    world.lab.disposable("bad.d2.test");
    let mut client = world.lab.client().await;
    let apart = "452 4.5.3 rcptgate: one destination domain per transaction";
    client
        .send(
            "MAIL FROM:<s@x.test>\nRCPT TO:<a@d1.test>\nRCPT TO:<a@d2.test>\nRCPT TO:<b@D1.test>\n\
             RCPT TO:<a@bad.d2.test>\nRCPT TO:<a@d3.test>\nRCPT TO:<gone@d1.test>\nDATA",
        )
        .await;
    for start in ["250", "250", apart, "250", "550 5.7.1", apart, "550 5.1.1", "354"] {
        client.expect(start).await;
    }
    client.ask("body\n.", "250 2.0.0 ok").await;
    assert_eq!(world.connections(), [1, 0, 0]);
    assert_eq!(world.asked(), ["d1.test"]);
    // Nothing is learnt of who was put off.
    assert!(!world.is_known("a@d2.test") && !world.is_known("a@d3.test"));
    // What the client does with the others, in the same session.
    for (domain, connections) in [("d2.test", [1, 1, 0]), ("d3.test", [1, 1, 1])] {
        let told = client.write_to(&format!("a@{domain}")).await;
        assert!(told.starts_with("250 2.0.0 ok"), "{told}");
        assert_eq!(world.connections(), connections);
    }
    let recipients = |index: usize| world.hosts.get(index).map(|host| host.count("RCPT TO:"));
    assert_eq!([recipients(0), recipients(1), recipients(2)], [Some(3), Some(1), Some(1)]);
}

/// E04. Sub-domains are domains of their own.
#[tokio::test]
async fn e04_a_sub_domain_is_another_domain() {
    let world = World::new(&[&[]]).await;
    world.mail("sub.y.test", &[(10, "mx1.test.")]);
    let mut client = world.lab.client().await;
    client.ask("MAIL FROM:<s@x.test>", "250").await;
    client.ask("RCPT TO:<a@y.test>", "250").await;
    client.ask("RCPT TO:<a@sub.y.test>", "452 4.5.3").await;
}

/// E05. As many domains as there are are told apart in as many transactions of one session, and EHLO says so beforehand.
#[tokio::test]
async fn e05_many_domains_take_as_many_transactions() {
    let world = World::new(&[&[]]).await;
    let domains: Vec<_> = (0..20).map(|index| format!("d{index}.test")).collect();
    for domain in &domains {
        world.mail(domain, &[(10, "mx1.test.")]);
    }
    let (mut client, _) = greeted(world.lab.door).await;
    let mut left: Vec<_> = domains.iter().collect();
    while !left.is_empty() {
        client.ask("MAIL FROM:<s@x.test>", "250").await;
        let mut put_off = Vec::new();
        for domain in &left {
            client.send(&format!("RCPT TO:<a@{domain}>")).await;
            let told = client.reply().await;
            if told.starts_with("452 4.5.3") {
                put_off.push(*domain);
            } else {
                assert!(told.starts_with("250"), "{told}");
            }
        }
        assert_eq!(put_off.len() + 1, left.len());
        client.ask("DATA", "354").await;
        client.ask("body\n.", "250").await;
        left = put_off;
    }
    let heard = world.hosts.first().map(|host| (host.count("MAIL"), host.count("RCPT")));
    assert_eq!(heard, Some((20, 20)));
}

/// E13. What the gate can honour whoever is next; LIMITS tells clients of domains before they run into it.
#[tokio::test]
async fn e13_ehlo_offers_what_any_mail_host_can_carry() {
    let ehlo = "250-sink.test\r\n250-DSN\r\n250-CHUNKING\r\n250-BINARYMIME\r\n250-LIMITS RCPTMAX=7\r\n\
                250-REQUIRETLS\r\n250 SIZE 1000";
    let world = World::new(&[&[("EHLO", ehlo)]]).await;
    let words = |offered: &str| -> Vec<String> {
        let word = |line: &str| line.get(4..).unwrap_or_default().to_owned();
        let mut all: Vec<_> = offered.lines().skip(1).map(word).collect();
        all.retain(|line| !line.starts_with("XFORWARD") && !line.starts_with("SIZE"));
        all.sort();
        all
    };
    let limits = "LIMITS MAILMAX=1000 RCPTMAX=1000 RCPTDOMAINMAX=1";
    let expected = ["8BITMIME", "ENHANCEDSTATUSCODES", limits, "PIPELINING", "SMTPUTF8"];
    let (mut client, offered) = greeted(world.lab.door).await;
    assert_eq!(words(&offered), expected);
    client.ask("MAIL FROM:<s@x.test>", "250").await;
    client.ask("RCPT TO:<a@y.test>", "250").await;
    // Nothing of it rubs off on the next client, who may write to another.
    let (_, offered) = greeted(world.lab.door).await;
    assert_eq!(words(&offered), expected);
}

/// E02. Nobody is asked anything for the sake of recipients that are refused.
#[tokio::test]
async fn e02_all_suppressed_no_dns_and_no_connection() {
    let world = World::new(&[&[]]).await;
    world.lab.disposable("y.test");
    let mut client = world.lab.client().await;
    client.send("MAIL FROM:<s@x.test>\nRCPT TO:<a@y.test>\nRCPT TO:<b@y.test>\nDATA").await;
    for start in ["250", "550 5.7.1 rcptgate:", "550 5.7.1 rcptgate:", "554 5.5.1"] {
        client.expect(start).await;
    }
    client.quit().await;
    assert_eq!(world.dns.asked(), []);
    assert_eq!(world.connections(), [0]);
}

/// E14. Two domains with one mail host are two transactions; the connection serves both.
#[tokio::test]
async fn e14_two_domains_with_one_host_share_a_connection_and_no_transaction() {
    let wish =
        Wish { targets: Targets::new(Vec::new()), pool: PoolLimits::default(), ..Wish::default() };
    let world = World::with(&[&[]], wish).await;
    world.mail("z.test", &[(10, "mx1.test.")]);
    let mut client = world.lab.client().await;
    client.ask("MAIL FROM:<s@x.test>", "250").await;
    client.ask("RCPT TO:<a@y.test>", "250").await;
    client.ask("RCPT TO:<a@z.test>", "452 4.5.3").await;
    client.ask("DATA", "354").await;
    client.ask("body\n.", "250").await;
    assert!(client.write_to("a@z.test").await.starts_with("250 2.0.0"));
    client.quit().await;
    // Another client's too.
    assert!(world.told("b@z.test").await.starts_with("250 2.0.0"));
    assert_eq!(world.connections(), [1]);
    let heard = world.lab.downstream.heard();
    let commands: Vec<_> =
        heard.iter().filter(|line| line.starts_with("MAIL") || line.starts_with("RCPT")).collect();
    assert_eq!(
        commands,
        [
            "MAIL FROM:<s@x.test>",
            "RCPT TO:<a@y.test>",
            "MAIL FROM:<s@x.test>",
            "RCPT TO:<a@z.test>",
            "MAIL FROM:<s@x.test>",
            "RCPT TO:<b@z.test>"
        ]
    );
}

/// K14. A domain that points elsewhere meanwhile does so for the next message.
#[tokio::test]
async fn k14_a_transaction_stays_with_its_host() {
    let world = World::new(&[&[], &[]]).await;
    let towards = |host: &str| world.dns.answer("z.test", MX, Answer::mx(&[(10, host)]).ttl(0));
    towards("mx1.test.");
    let mut client = world.lab.client().await;
    client.ask("MAIL FROM:<s@x.test>", "250").await;
    client.ask("RCPT TO:<a@z.test>", "250").await;
    towards("mx2.test.");
    client.ask("RCPT TO:<b@z.test>", "250").await;
    client.ask("DATA", "354").await;
    client.ask("body\n.", "250").await;
    assert_eq!(world.connections(), [1, 0]);
    assert_eq!(world.asked(), ["z.test"]);
    client.quit().await;
    // An answer holds for a little, however short it says that it does: whoever comes then goes where that leads.
    assert!(world.told("c@z.test").await.starts_with("250 2.0.0"));
    assert_eq!(world.connections().iter().sum::<usize>(), 2);
}
