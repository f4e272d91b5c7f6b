//! The LMTP door (RFC 2033): a final reply for each accepted recipient.

use rcptgate::session::{Limits, Protocol};
use rcptgate::smtp::address::RecipientKey;

use crate::harness::{Client, Downstream, Lab, Wish};

async fn lab(answers: &[(&str, &str)]) -> Lab {
    let limits = Limits { size: 1000, ..Limits::default() };
    let wish = Wish { protocol: Protocol::Lmtp, limits, ..Wish::default() };
    Lab::with(Downstream::answering(answers).await, wish).await
}

async fn greeted(lab: &Lab) -> Client {
    let mut client = Client::connect(lab.door).await;
    client.expect("220 gate.test LMTP").await;
    client.ask("EHLO client.test", "500 5.5.1").await;
    client.ask("HELO client.test", "500 5.5.1").await;
    client.ask("LHLO client.test", "250-gate.test").await;
    client
}

#[tokio::test]
async fn each_accepted_recipient_gets_a_final_reply() {
    let lab = lab(&[("RCPT TO:<no@", "550 5.1.1 no such user here")]).await;
    let mut client = greeted(&lab).await;
    client.send("MAIL FROM:<a@x.test>\nRCPT TO:<one@y.test>\nRCPT TO:<no@y.test>\nRCPT TO:<one@y.test>\nDATA").await;
    for start in ["250", "250", "550 5.1.1", "250", "354"] {
        client.expect(start).await;
    }
    client.send("body\n.").await;
    client.expect("250 2.0.0 ok queued").await;
    client.expect("250 2.0.0 ok queued").await;
    client.ask("NOOP", "250 2.0.0 rcptgate: ok").await;
}

#[tokio::test]
async fn nobody_accepted_is_a_503() {
    let lab = lab(&[("RCPT", "550 5.1.1 no such user here")]).await;
    let mut client = greeted(&lab).await;
    client.ask("MAIL FROM:<a@x.test>", "250").await;
    client.ask("RCPT TO:<no@y.test>", "550").await;
    client.ask("DATA", "503 5.5.1").await;
}

#[tokio::test]
async fn what_breaks_a_message_off_is_told_for_each() {
    let lab = lab(&[]).await;
    let mut client = greeted(&lab).await;
    for content in ["a\rb\r\n.\r\n".to_owned(), format!("{}\r\n.\r\n", "x".repeat(1200))] {
        client.ask("MAIL FROM:<a@x.test>", "250").await;
        client.ask("RCPT TO:<one@y.test>", "250").await;
        client.ask("RCPT TO:<two@y.test>", "250").await;
        client.ask("DATA", "354").await;
        client.raw(content.as_bytes()).await;
        client.expect("55").await;
        client.expect("55").await;
        client.ask("NOOP", "250").await;
    }
}

#[tokio::test]
async fn a_reply_of_one_next_hop_to_several_is_evidence_about_none() {
    let lab = lab(&[(".", "550 5.1.1 no such user here")]).await;
    let known = |address: &str| {
        let key = RecipientKey::parse(address).expect("an address");
        lab.gate.record(&key).expect("the store").is_some()
    };
    let mut client = greeted(&lab).await;
    client.ask("MAIL FROM:<a@x.test>", "250").await;
    client.ask("RCPT TO:<one@gmail.com>", "250").await;
    client.ask("RCPT TO:<two@gmail.com>", "250").await;
    client.ask("DATA", "354").await;
    client.ask("body\n.", "550 5.1.1").await;
    client.expect("550 5.1.1").await;
    assert!(!known("one@gmail.com") && !known("two@gmail.com"));
    client.ask("MAIL FROM:<a@x.test>", "250").await;
    client.ask("RCPT TO:<one@gmail.com>", "250").await;
    client.ask("DATA", "354").await;
    client.ask("body\n.", "550 5.1.1").await;
    assert!(known("one@gmail.com"));
}

#[tokio::test]
async fn lhlo_is_no_command_of_smtp() {
    let lab = Lab::new(Downstream::answering(&[]).await).await;
    let mut client = Client::connect(lab.door).await;
    client.expect("220").await;
    client.ask("LHLO client.test", "500 5.5.1").await;
}
