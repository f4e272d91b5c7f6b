//! The rules of the gate over real sockets.

use std::time::Duration;

use rcptgate::proxy::Timeouts;
use rcptgate::proxy::route::Host;
use tokio::net::TcpListener;

use crate::harness::{Client, Downstream, Lab, Wish};

#[tokio::test]
async fn a_message_passes_and_its_bytes_stay() {
    let lab = Lab::new(Downstream::answering(&[]).await).await;
    let mut client = lab.client().await;
    client.send("MAIL FROM:<a@x.test> SIZE=100\nRCPT TO:<B@y.test>\nDATA").await;
    client.expect("250 2.1.0").await;
    client.expect("250 2.1.0 ok").await;
    client.expect("354").await;
    client.raw(b"Subject: x\r\n\r\n..dot\r\n\xff\r\n.\r\n").await;
    client.expect("250 2.0.0 ok queued as SINK1").await;
    client.ask("QUIT", "221").await;
    client.expect_end().await;
    let heard = lab.downstream.heard();
    let expected = [
        "CONNECT",
        "EHLO gate.test",
        "MAIL FROM:<a@x.test> SIZE=100",
        "RCPT TO:<B@y.test>",
        "DATA",
        "Subject: x",
        "",
        "..dot",
        "\u{fffd}",
        ".",
    ];
    assert_eq!(heard.get(..expected.len()).unwrap_or_default(), expected);
}

#[tokio::test]
async fn what_is_learnt_holds_for_the_very_next_rcpt() {
    let downstream =
        Downstream::answering(&[("RCPT TO:<gone", "550 5.1.1 no such user here")]).await;
    let lab = Lab::new(downstream).await;
    let mut client = lab.client().await;
    client.ask("MAIL FROM:<a@x.test>", "250").await;
    client.ask("RCPT TO:<gone@gmail.com>", "550 5.1.1 no such user here").await;
    client.ask("RCPT TO:<GONE@gmail.com>", "550 5.7.1 rcptgate:").await;
    let asked = lab.downstream.heard().iter().filter(|line| line.starts_with("RCPT")).count();
    assert_eq!(asked, 1);
}

#[tokio::test]
async fn a_transaction_of_suppressed_recipients_connects_to_nobody() {
    let lab = Lab::new(Downstream::answering(&[]).await).await;
    lab.disposable("y.test");
    let mut client = lab.client().await;
    client.send("MAIL FROM:<a@x.test>\nRCPT TO:<b@y.test>\nDATA").await;
    client.expect("250").await;
    client.expect("550 5.7.1 rcptgate:").await;
    client.expect("554 5.5.1").await;
    client.ask("QUIT", "221").await;
    client.expect_end().await;
    assert_eq!(lab.downstream.heard(), Vec::<String>::new());
}

#[tokio::test]
async fn a_full_gate_says_so() {
    let wish = Wish { connections: 1, ..Wish::default() };
    let lab = Lab::with(Downstream::answering(&[]).await, wish).await;
    let _first = lab.client().await;
    let mut second = Client::connect(lab.door).await;
    second.expect("421 4.3.2 rcptgate: too many connections").await;
    second.expect_end().await;
}

#[tokio::test]
async fn a_next_hop_that_never_greets_leaves_time_for_the_others() {
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = silent.local_addr().expect("an address").port();
    let wish = Wish {
        before: vec![Host { name: "127.0.0.1".to_owned(), port }],
        timeouts: Timeouts { opening: Duration::from_secs(2), ..Timeouts::default() },
        ..Wish::default()
    };
    let lab = Lab::with(Downstream::answering(&[]).await, wish).await;
    let mut client = lab.client().await;
    client.ask("MAIL FROM:<a@x.test>", "250").await;
    client.ask("RCPT TO:<b@y.test>", "250 2.1.0 ok").await;
}
