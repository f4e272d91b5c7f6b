//! Ends that are neither a delivery nor a bounce.

use rcptgate::proxy::route::{Protection, RouteSettings, Way};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufStream};
use tokio::net::TcpListener;

use super::*;

#[tokio::test]
async fn content_that_is_broken_off_is_counted_once() {
    let lab = Lab::new(Downstream::answering(&[]).await).await;
    let mut client = lab.client().await;
    client.ask("MAIL FROM:<a@shop.test>", "250").await;
    client.ask("RCPT TO:<one@y.test>", "250").await;
    client.ask("RCPT TO:<two@y.test>", "250").await;
    client.ask("DATA", "354").await;
    client.raw(b"bare\rreturn\r\n.\r\n").await;
    client.expect("550 5.5.2 rcptgate:").await;
    client.ask("MAIL FROM:<a@shop.test>", "250").await;
    client.ask("RCPT TO:<one@y.test>", "250").await;
    client.ask("DATA", "354").await;
    drop(client);
    let sum = counted(&lab, 3).await;
    assert_eq!((sum.total.sent(), sum.total.of(Outcome::Unfinished)), (3, 1), "{:?}", sum.total);
    assert_eq!(sum.total.bounced(Class::Technical), 2);
}

/// A next hop that is not there: an attempt, no bounce.
#[tokio::test]
async fn a_next_hop_that_is_gone_defers() {
    let gone = Downstream::answering(&[]).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let nobody = Downstream::at(listener.local_addr().expect("an address"));
    drop((gone, listener));
    let wish = Wish { protection: Protection::Off, ..Wish::default() };
    let lab = Lab::with(nobody, wish).await;
    let mut client = lab.client().await;
    client.ask("MAIL FROM:<a@shop.test>", "250").await;
    client.ask("RCPT TO:<one@y.test>", "451").await;
    let sum = counted(&lab, 1).await;
    assert_eq!((sum.total.deferred(), sum.total.decided()), (1, 0));
}

/// A next hop that is lost behind the end of the message may have it or not; one that is lost within it does not.
#[tokio::test]
async fn a_next_hop_that_is_lost_is_no_delivery_and_no_bounce() {
    let lab = Lab::new(Downstream::answering_once(&[(".", None)]).await).await;
    let mut client = lab.client().await;
    send(&mut client, &[("one@y.test", "250")], "451").await;
    is(&counted(&lab, 1).await.total, &[(Outcome::Unfinished, 1)]);

    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let lab = Lab::new(Downstream::at(listener.local_addr().expect("an address"))).await;
    let hop = async {
        let (stream, _) = listener.accept().await.expect("a connection");
        let mut stream = BufStream::new(stream);
        let mut said = "220 sink.test";
        loop {
            stream.write_all(format!("{said}\r\n").as_bytes()).await.expect("said");
            stream.flush().await.expect("said");
            if said == "354 go" {
                // The content has begun.
                return stream.read_line(&mut String::new()).await.expect("heard");
            }
            let mut line = String::new();
            stream.read_line(&mut line).await.expect("heard");
            said = if line.starts_with("DATA") { "354 go" } else { "250 ok" };
        }
    };
    let sends = async {
        let mut client = lab.client().await;
        client.ask("MAIL FROM:<a@shop.test>", "250").await;
        client.ask("RCPT TO:<one@y.test>", "250").await;
        client.ask("DATA", "354").await;
        client.send("one line").await;
        client
    };
    let (_, mut client) = tokio::join!(hop, sends);
    client.ask(".", "451 4").await;
    let sum = counted(&lab, 1).await;
    assert_eq!((sum.total.deferred(), sum.total.decided()), (1, 0), "{:?}", sum.total);
}

/// What would be refused is no refusal, and where there is no way to is one.
#[tokio::test]
async fn monitoring_refuses_nobody_and_no_way_is_a_refusal() {
    let wish = Wish { monitor: true, ..Wish::default() };
    let lab = Lab::with(Downstream::answering(&[]).await, wish).await;
    lab.disposable("yopmail.test");
    let mut client = lab.client().await;
    send(&mut client, &[("x@yopmail.test", "250")], "250").await;
    is(&counted(&lab, 1).await.total, &[(DELIVERED, 1)]);

    let by_mx = RouteSettings {
        way: Way::Mx { port: 25 },
        ..RouteSettings::fixed(vec![], Protection::Off)
    };
    let wish = Wish { rest: Some(by_mx), ..Wish::default() };
    let lab = Lab::with(Downstream::at("127.0.0.1:9".parse().expect("an address")), wish).await;
    let mut client = lab.client().await;
    client.ask("MAIL FROM:<a@shop.test>", "250").await;
    client.ask("RCPT TO:<x@[192.0.2.1]>", "550").await;
    is(&counted(&lab, 1).await.total, &[(Outcome::Refused(Ground::NoRoute), 1)]);
}
