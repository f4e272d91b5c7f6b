//! Before the greeting: a client that speaks first is sent away, and nobody hears of it (A01).

use std::time::Duration;

use rcptgate::proxy::Timeouts;
use rcptgate::smtp::extensions::Extension;

use crate::harness::{Client, Downstream, Lab, Wish};

const SENT_AWAY: &str = "554 5.5.0 rcptgate: protocol synchronization";

fn watching(greeting: Duration) -> Wish {
    Wish { timeouts: Timeouts { greeting, ..Timeouts::default() }, ..Wish::default() }
}

#[tokio::test]
async fn a_client_that_speaks_while_it_is_watched_is_sent_away() {
    let lab = Lab::with(Downstream::answering(&[]).await, watching(Duration::from_secs(60))).await;
    let mut client = Client::connect(lab.door).await;
    client.raw(b"EHLO client.test\r\nMAIL FROM:<a@x.test>\r\nRCPT TO:<b@y.test>\r\n").await;
    client.expect(SENT_AWAY).await;
    client.expect_end().await;
    assert_eq!(lab.downstream.heard(), Vec::<String>::new());
}

#[tokio::test]
async fn a_client_that_waits_is_greeted() {
    let lab =
        Lab::with(Downstream::answering(&[]).await, watching(Duration::from_millis(20))).await;
    let mut client = lab.client().await;
    client.ask("NOOP", "250").await;
}

#[tokio::test]
async fn what_stands_behind_a_proxy_header_is_there_already() {
    let wish = Wish {
        proxies: vec!["127.0.0.0/8".parse().expect("a network")],
        clients: Some(vec!["192.0.2.0/24".parse().expect("a network")]),
        ..Wish::default()
    };
    let lab = Lab::with(Downstream::answering(&[]).await, wish).await;
    let v1 = b"PROXY TCP4 192.0.2.7 127.0.0.1 12345 25\r\n".to_vec();
    let address = [192, 0, 2, 7, 127, 0, 0, 1, 0x30, 0x39, 0, 25];
    let v2 = [&b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c"[..], &address].concat();
    for header in [v1, v2] {
        for behind in [&b"E"[..], b"EHLO client.test\r\n"] {
            let mut client = Client::connect(lab.door).await;
            client.raw(&[&header[..], behind].concat()).await;
            client.expect(SENT_AWAY).await;
            client.expect_end().await;
        }
    }
    assert_eq!(lab.downstream.heard(), Vec::<String>::new());
}

#[tokio::test]
async fn what_is_withheld_is_neither_offered_nor_taken() {
    let withhold = vec![Extension::EightBitMime, Extension::Size];
    let wish = Wish { withhold, ..Wish::default() };
    let lab = Lab::with(Downstream::answering(&[]).await, wish).await;
    let mut client = Client::connect(lab.door).await;
    client.expect("220").await;
    client.send("EHLO client.test").await;
    let offered = client.reply().await;
    assert!(!offered.contains("8BITMIME") && !offered.contains("SMTPUTF8"), "{offered}");
    assert!(offered.contains("PIPELINING") && !offered.contains("SIZE"), "{offered}");
    client.ask("MAIL FROM:<a@x.test> SIZE=10", "555 5.5.4").await;
    client.ask("MAIL FROM:<a@x.test> BODY=8BITMIME", "555 5.5.4").await;
    client.ask("MAIL FROM:<a@x.test>", "250").await;
}
