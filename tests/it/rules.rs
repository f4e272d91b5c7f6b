//! The rules that always hold (DESIGN §3), over real sockets with the real store behind them. Breaking one breaks its test.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rcptgate::event::Tenant;
use rcptgate::policy::Record;
use rcptgate::policy::verdict::Verdict;
use rcptgate::session::Limits;
use rcptgate::smtp::address::RecipientKey;
use rcptgate::time::Timestamp;

use crate::harness::{Client, Downstream, Lab, Wish};

fn key(address: &str) -> RecipientKey {
    RecipientKey::parse(address).expect("an address")
}

fn record(lab: &Lab, address: &str) -> Option<Record> {
    lab.gate.record(&key(address)).expect("the store")
}

fn passes(lab: &Lab, address: &str) -> bool {
    let decision = lab.gate.judge(&key(address), &Tenant::default(), Timestamp::now());
    decision.verdict == Verdict::Forward
}

async fn to_data(client: &mut Client, recipients: &[&str]) {
    client.ask("MAIL FROM:<a@x.test>", "250").await;
    for recipient in recipients {
        client.ask(&format!("RCPT TO:<{recipient}>"), "250").await;
    }
    client.ask("DATA", "354").await;
}

#[tokio::test]
async fn rule_1_no_false_250_when_the_next_hop_is_lost_at_the_end() {
    let dying = |line: &str| match line {
        "." => None,
        "DATA" => Some("354 go on".to_owned()),
        "" => Some("220 sink".to_owned()),
        _ => Some("250 ok".to_owned()),
    };
    let lab = Lab::new(Downstream::start(Arc::new(dying)).await).await;
    let mut client = lab.client().await;
    to_data(&mut client, &["b@y.test"]).await;
    client.ask("body\n.", "451 4.4.2 rcptgate:").await;
    client.ask("NOOP", "250").await;
}

#[tokio::test]
async fn rule_1_a_client_that_vanishes_leaves_no_end_behind() {
    let lab = Lab::new(Downstream::answering(&[]).await).await;
    let mut client = lab.client().await;
    to_data(&mut client, &["b@y.test"]).await;
    client.raw(b"half a message\r\n.\r").await;
    drop(client);
    lab.downstream.until(|heard| heard.iter().any(|line| line == "CLOSED")).await;
    assert!(!lab.downstream.heard().iter().any(|line| line == "."));
}

#[tokio::test]
async fn rule_3_replies_keep_the_order_of_the_commands() {
    let downstream = Downstream::answering(&[("RCPT TO:<no@", "550 5.1.1 unknown")]).await;
    let lab = Lab::new(downstream).await;
    lab.disposable("yopmail.com");
    let mut client = lab.client().await;
    client
        .send(
            "MAIL FROM:<a@x.test>\nRCPT TO:<one@y.test>\nRCPT TO:<u@yopmail.com>\nFROB\n\
             RCPT TO:<no@y.test>\nRCPT TO:<two@y.test>\nNOOP",
        )
        .await;
    for start in ["250", "250", "550 5.7.1 rcptgate:", "500", "550 5.1.1 unknown", "250", "250"] {
        client.expect(start).await;
    }
}

#[tokio::test]
async fn rule_5_nothing_of_a_transaction_is_left_in_the_next() {
    let lab = Lab::new(Downstream::answering(&[]).await).await;
    let mut client = lab.client().await;
    client.ask("MAIL FROM:<a@x.test>", "250").await;
    client.ask("RCPT TO:<secret@y.test>", "250").await;
    client.ask("RSET", "250").await;
    client.ask("DATA", "503").await;
    to_data(&mut client, &["b@y.test"]).await;
    client.ask("body\n.", "250").await;
    let heard = lab.downstream.heard();
    let reset = heard.iter().position(|line| line == "RSET").expect("RSET");
    assert!(heard.iter().skip(reset).all(|line| !line.contains("secret")));
    client.ask("RCPT TO:<b@y.test>", "503").await;
}

#[tokio::test]
async fn rule_6_only_a_reply_about_this_recipient_is_evidence() {
    let replies: &[(&str, &str)] = &[
        ("MAIL FROM:<refused@", "550 5.1.1 no such user"),
        ("RCPT TO:<blocked@", "550 5.7.1 your address is listed by a block list"),
        ("RCPT TO:<later@", "450 4.1.1 user unknown"),
        ("RCPT TO:<ours@", "550 5.7.1 rcptgate: suppressed long ago [x]"),
        (".", "550 5.1.1 no such user"),
    ];
    let lab = Lab::new(Downstream::answering(replies).await).await;
    let mut client = lab.client().await;
    client.ask("MAIL FROM:<refused@x.test>", "250").await;
    client.ask("RCPT TO:<one@gmail.com>", "550 5.1.1 no such user").await;
    client.ask("RSET", "250").await;
    client.ask("MAIL FROM:<a@x.test>", "250").await;
    client.ask("RCPT TO:<blocked@gmail.com>", "550").await;
    client.ask("RCPT TO:<later@gmail.com>", "450").await;
    client.ask("RCPT TO:<ours@gmail.com>", "550").await;
    client.ask("RSET", "250").await;
    to_data(&mut client, &["two@gmail.com", "three@gmail.com"]).await;
    client.ask("body\n.", "550 5.1.1").await;
    for local in ["one", "blocked", "later", "ours", "two", "three"] {
        let address = format!("{local}@gmail.com");
        assert!(passes(&lab, &address), "{address}");
        assert_eq!(record(&lab, &address), None, "{address}");
    }
    // The same reply to a message for one recipient is about that recipient.
    to_data(&mut client, &["four@gmail.com"]).await;
    client.ask("body\n.", "550 5.1.1").await;
    assert!(!passes(&lab, "four@gmail.com"));
}

#[tokio::test]
async fn rule_7_a_deferred_message_may_be_tried_again() {
    let downstream = Downstream::answering(&[("RCPT", "452 4.2.2 mailbox is full")]).await;
    let lab = Lab::new(downstream).await;
    let mut client = lab.client().await;
    for _ in 0..3 {
        client.ask("XFORWARD IDENT=4F5D2A", "250").await;
        client.ask("MAIL FROM:<a@x.test>", "250").await;
        client.ask("RCPT TO:<full@y.test>", "452 4.2.2 mailbox is full").await;
        client.ask("RSET", "250").await;
    }
    let record = record(&lab, "full@y.test").expect("an episode");
    assert_eq!(record.episodes.len(), 1);
    assert!(passes(&lab, "full@y.test"));
}

#[tokio::test]
async fn rule_8_what_a_client_has_been_told_is_on_disk() {
    let downstream = Downstream::answering(&[("RCPT", "550 5.1.1 no such user here")]).await;
    let lab = Lab::new(downstream).await;
    let mut client = lab.client().await;
    client.ask("MAIL FROM:<a@x.test>", "250").await;
    for number in 0..50 {
        let address = format!("gone{number}@gmail.com");
        client.ask(&format!("RCPT TO:<{address}>"), "550 5.1.1").await;
        assert!(lab.journal().contains(&address), "{address} is not in the journal");
    }
}

#[tokio::test]
async fn rule_9_a_client_may_open_only_so_many_connections_and_errors() {
    let limits = Limits { errors: 3, recipients: 2, ..Limits::default() };
    let wish = Wish { limits, connections: 2, ..Wish::default() };
    let lab = Lab::with(Downstream::answering(&[]).await, wish).await;
    let mut first = lab.client().await;
    let _second = lab.client().await;
    let mut third = Client::connect(lab.door).await;
    third.expect("421 4.3.2 rcptgate:").await;
    third.expect_end().await;
    first.ask("MAIL FROM:<a@x.test>", "250").await;
    first.ask("RCPT TO:<b@y.test>", "250").await;
    first.ask("RCPT TO:<c@y.test>", "250").await;
    first.ask("RCPT TO:<d@y.test>", "452 4.5.3").await;
    first.ask("FROB", "500").await;
    first.ask("FROB", "500").await;
    first.ask("FROB", "500").await;
    first.expect("421 4.7.0").await;
    first.expect_end().await;
}

#[tokio::test]
async fn who_may_not_relay_is_told_so_and_nobody_else_hears_of_it() {
    let wish = Wish { may_relay: false, ..Wish::default() };
    let lab = Lab::with(Downstream::answering(&[]).await, wish).await;
    let mut client = lab.client().await;
    client.ask("MAIL FROM:<a@x.test>", "250").await;
    client.ask("RCPT TO:<b@y.test>", "550 5.7.1 rcptgate:").await;
    assert_eq!(lab.downstream.heard(), Vec::<String>::new());
}

#[tokio::test]
async fn monitor_mode_learns_and_forwards_everything() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let answer = move |line: &str| {
        Some(match line {
            "" => "220 sink".to_owned(),
            line if line.starts_with("RCPT") => {
                count.fetch_add(1, Ordering::Relaxed);
                "550 5.1.1 no such user".to_owned()
            }
            _ => "250 ok".to_owned(),
        })
    };
    let wish = Wish { monitor: true, ..Wish::default() };
    let lab = Lab::with(Downstream::start(Arc::new(answer)).await, wish).await;
    let mut client = lab.client().await;
    client.ask("MAIL FROM:<a@x.test>", "250").await;
    client.ask("RCPT TO:<gone@gmail.com>", "550 5.1.1").await;
    assert!(!passes(&lab, "gone@gmail.com"));
    client.ask("RCPT TO:<gone@gmail.com>", "550 5.1.1").await;
    assert_eq!(asked.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn a_drained_gate_finishes_what_is_under_way() {
    let lab = Lab::new(Downstream::answering(&[]).await).await;
    let mut idle = lab.client().await;
    let mut busy = lab.client().await;
    to_data(&mut busy, &["b@y.test"]).await;
    lab.drain.cancel();
    idle.expect("421 4.3.2 rcptgate:").await;
    idle.expect_end().await;
    busy.ask("body\n.", "250 2.0.0 ok").await;
    busy.expect("421 4.3.2 rcptgate:").await;
    busy.expect_end().await;
    lab.sessions.close();
    lab.sessions.wait().await;
    assert_eq!(lab.metrics.sessions(), 0);
}
