//! One transaction has one destination: that of whom a next hop has accepted. Recipients of others are told to come again, unless
//! nobody was accepted before them.

use std::sync::Arc;
use std::time::Duration;

use rcptgate::proxy::Timeouts;
use rcptgate::session::Protocol;

use crate::harness::{Downstream, Lab, Wish, by_domain};

/// A gate with a route for each of two domains, whose next hops answer so.
async fn lab(a: &[(&str, &str)], b: &[(&str, &str)]) -> (Lab, Downstream, Downstream) {
    let (a, b) = (Downstream::answering(a).await, Downstream::answering(b).await);
    let routes = by_domain(Protocol::Smtp, &[("a.test", a.address), ("b.test", b.address)]);
    let lab = Lab::with(a.clone(), Wish { routes, ..Wish::default() }).await;
    (lab, a, b)
}

fn says_rcpt(hop: &Downstream, address: &str) -> usize {
    hop.heard().iter().filter(|line| line.contains(&format!("RCPT TO:<{address}>"))).count()
}

#[tokio::test]
async fn the_first_that_is_accepted_decides() {
    let (lab, a, b) = lab(&[], &[]).await;
    let mut client = lab.client().await;
    let group =
        "MAIL FROM:<s@x.test>\nRCPT TO:<1@a.test>\nRCPT TO:<2@b.test>\nRCPT TO:<3@a.test>\nDATA";
    client.send(group).await;
    for start in
        ["250", "250", "452 4.5.3 rcptgate: one destination domain per transaction", "250", "354"]
    {
        client.expect(start).await;
    }
    client.ask("text\n.", "250").await;
    client.ask("MAIL FROM:<s@x.test>", "250").await;
    client.ask("RCPT TO:<2@b.test>", "250").await;
    client.ask("DATA", "354").await;
    client.ask("text\n.", "250").await;
    assert_eq!([says_rcpt(&a, "1@a.test"), says_rcpt(&a, "3@a.test")], [1, 1]);
    assert_eq!([says_rcpt(&a, "2@b.test"), says_rcpt(&b, "2@b.test")], [0, 1]);
}

/// Else a first domain that greylists for days would hold up all behind it in each of the client's attempts.
#[tokio::test]
async fn where_nobody_was_accepted_the_next_one_decides() {
    for refusal in ["450 4.2.0 greylisted", "550 5.1.1 no such user here"] {
        let (lab, _, b) = lab(&[("RCPT", refusal)], &[]).await;
        let mut client = lab.client().await;
        let group = "MAIL FROM:<s@x.test>\nRCPT TO:<1@a.test>\nRCPT TO:<2@a.test>\nRCPT TO:<3@b.test>\nRCPT TO:<4@a.test>\nDATA";
        client.send(group).await;
        let code = &refusal[..3];
        for start in ["250", code, code, "250", "452 4.5.3", "354"] {
            client.expect(start).await;
        }
        client.ask("text\n.", "250").await;
        assert_eq!(says_rcpt(&b, "3@b.test"), 1, "{refusal}");
    }
}

#[tokio::test]
async fn where_the_next_hop_cannot_be_reached_the_next_one_decides() {
    let nobody = {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        listener.local_addr().expect("an address")
    };
    let b = Downstream::answering(&[]).await;
    let routes = by_domain(Protocol::Smtp, &[("a.test", nobody), ("b.test", b.address)]);
    let lab = Lab::with(b.clone(), Wish { routes, ..Wish::default() }).await;
    let mut client = lab.client().await;
    client.send("MAIL FROM:<s@x.test>\nRCPT TO:<1@a.test>\nRCPT TO:<2@b.test>\nDATA").await;
    for start in ["250", "451 4.4.1", "250", "354"] {
        client.expect(start).await;
    }
    client.ask("text\n.", "250").await;
    assert_eq!(says_rcpt(&b, "2@b.test"), 1);
}

/// Whoever leaves while a recipient waits for those before it leaves nothing behind.
#[tokio::test]
async fn a_client_that_leaves_meanwhile_is_no_riddle() {
    let (lab, _, b) = lab(&[("RCPT", "450 4.2.0 greylisted")], &[]).await;
    let mut client = lab.client().await;
    client.send("MAIL FROM:<s@x.test>\nRCPT TO:<1@a.test>\nRCPT TO:<2@b.test>\nQUIT").await;
    for start in ["250", "450", "250", "221"] {
        client.expect(start).await;
    }
    assert_eq!(says_rcpt(&b, "2@b.test"), 1);
    lab.sessions.close();
    lab.sessions.wait().await;
}

/// A next hop that refuses MAIL and hangs up owes its recipients an answer for ever: nobody is to wait for it.
#[tokio::test]
async fn a_next_hop_that_refuses_mail_and_hangs_up_holds_nobody_back() {
    let a = Downstream::start(Arc::new(|line: &str| match line.get(..4).unwrap_or_default() {
        "RCPT" => None,
        "MAIL" => Some("550 5.7.1 not from you".to_owned()),
        "EHLO" => Some("250-a.test\r\n250 PIPELINING".to_owned()),
        "" => Some("220 a.test".to_owned()),
        _ => Some("250 ok".to_owned()),
    }))
    .await;
    let b = Downstream::answering(&[]).await;
    let routes = by_domain(Protocol::Smtp, &[("a.test", a.address), ("b.test", b.address)]);
    let timeouts = Timeouts { client: Duration::from_secs(20), ..Timeouts::default() };
    let lab = Lab::with(a, Wish { routes, timeouts, ..Wish::default() }).await;
    let mut client = lab.client().await;
    client.ask("MAIL FROM:<s@x.test>", "250").await;
    client.ask("RCPT TO:<1@a.test>", "451 4.4.2").await;
    client.ask("RCPT TO:<2@b.test>", "250").await;
    client.ask("DATA", "354").await;
    client.ask("text\n.", "250").await;
    assert_eq!(says_rcpt(&b, "2@b.test"), 1);
}

/// A thousand dead domains in one message must not hold a session for days.
#[tokio::test]
async fn a_transaction_goes_elsewhere_only_so_often() {
    let dead = Downstream::answering(&[("RCPT", "550 5.1.1 no such user here")]).await;
    let names: Vec<String> = (0..22).map(|number| format!("d{number}.test")).collect();
    let routes = names.iter().flat_map(|name| {
        by_domain(Protocol::Smtp, &[(Box::leak(name.clone().into_boxed_str()), dead.address)])
    });
    let lab = Lab::with(dead.clone(), Wish { routes: routes.collect(), ..Wish::default() }).await;
    let mut client = lab.client().await;
    client.ask("MAIL FROM:<s@x.test>", "250").await;
    for name in &names[..21] {
        client.ask(&format!("RCPT TO:<u@{name}>"), "550 5.1.1").await;
    }
    client.ask(&format!("RCPT TO:<u@{}>", names[21]), "452 4.5.3").await;
}
