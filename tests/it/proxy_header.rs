//! The PROXY protocol: from listed peers always, from others never.

use crate::harness::{Client, Downstream, Lab, Wish};

const V2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// A gate whose balancer is on loopback and whose clients are elsewhere.
async fn lab() -> Lab {
    let wish = Wish {
        proxies: vec!["127.0.0.0/8".parse().expect("a network")],
        clients: Some(vec!["192.0.2.0/24".parse().expect("a network")]),
        ..Wish::default()
    };
    Lab::with(Downstream::answering(&[]).await, wish).await
}

fn v2(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let length = u16::try_from(rest.len()).expect("short").to_be_bytes();
    [V2, &[0x20 | command, family], &length, rest].concat()
}

async fn relayed(header: &[u8]) -> bool {
    let lab = lab().await;
    let mut client = Client::connect(lab.door).await;
    client.raw(header).await;
    client.expect("220 gate.test").await;
    client.ask("EHLO client.test", "250").await;
    client.ask("MAIL FROM:<a@x.test>", "250").await;
    client.send("RCPT TO:<b@y.test>").await;
    client.reply().await.starts_with("250")
}

#[tokio::test]
async fn the_client_is_whom_the_header_names() {
    let tcp4 = |source: [u8; 4]| [&source[..], &[127, 0, 0, 1, 0x30, 0x39, 0, 25]].concat();
    assert!(relayed(b"PROXY TCP4 192.0.2.7 127.0.0.1 12345 25\r\n").await);
    assert!(!relayed(b"PROXY TCP4 198.51.100.7 127.0.0.1 12345 25\r\n").await);
    assert!(relayed(&v2(1, 0x11, &tcp4([192, 0, 2, 7]))).await);
    assert!(!relayed(&v2(1, 0x11, &tcp4([198, 51, 100, 7]))).await);
    // The balancer speaking for itself is the balancer, which may not relay.
    assert!(!relayed(b"PROXY UNKNOWN\r\n").await);
    assert!(!relayed(&v2(0, 0, b"")).await);
}

#[tokio::test]
async fn what_is_no_header_is_closed_without_a_word() {
    let lab = lab().await;
    let long = format!("PROXY TCP4 {} 127.0.0.1 1 25\r\n", "1".repeat(100));
    let faulty: &[&[u8]] = &[
        b"EHLO client.test\r\nNOOP\r\n",
        b"PROXY TCP4 192.0.2.7\r\n",
        b"PROXY TCP4 192.0.2.7 127.0.0.1 12345 99999\r\n",
        long.as_bytes(),
        &v2(1, 0x11, b"\x01\x02"),
        &v2(1, 0x11, &[0; 3000]),
        &v2(7, 0x11, &[0; 12]),
    ];
    for bytes in faulty {
        let mut client = Client::connect(lab.door).await;
        client.raw(bytes).await;
        client.expect_end().await;
    }
}

#[tokio::test]
async fn a_header_from_anybody_else_is_no_command() {
    let lab = Lab::new(Downstream::answering(&[]).await).await;
    let mut client = Client::connect(lab.door).await;
    client.expect("220").await;
    client.ask("PROXY TCP4 192.0.2.7 127.0.0.1 12345 25", "500").await;
}
