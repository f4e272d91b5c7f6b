//! Who the client is: XCLIENT and XFORWARD over sockets, taken from listed peers and given to the next hop.

use ipnet::IpNet;
use rcptgate::session::TellClient;

use crate::harness::{Client, Downstream, Lab, Wish};

fn network(text: &str) -> Vec<IpNet> {
    vec![text.parse().expect("a network")]
}

/// Loopback may say XCLIENT, and only 192.0.2.0/24 may relay.
fn proxied() -> Wish {
    Wish {
        xclient: network("127.0.0.0/8"),
        clients: Some(network("192.0.2.0/24")),
        ..Wish::default()
    }
}

async fn as_client(lab: &Lab, argument: &str) -> Client {
    let mut client = lab.client().await;
    client.ask(&format!("XCLIENT {argument}"), "220 gate.test").await;
    client.ask("EHLO app.example", "250").await;
    client.ask("MAIL FROM:<a@x.test>", "250").await;
    client
}

#[tokio::test]
async fn the_client_that_xclient_names_relays_by_its_own_right() {
    let lab = Lab::with(Downstream::answering(&[]).await, proxied()).await;
    let mut client = as_client(&lab, "ADDR=192.0.2.7 NAME=app.example").await;
    client.ask("RCPT TO:<b@y.test>", "250 2.1.0 ok").await;
    let mut client = as_client(&lab, "ADDR=198.51.100.7 NAME=app.example").await;
    client.ask("RCPT TO:<b@y.test>", "550 5.7.1 rcptgate: you may not relay").await;
    let mut client = as_client(&lab, "ADDR=IPV6:::ffff:192.0.2.7").await;
    client.ask("RCPT TO:<b@y.test>", "250 2.1.0 ok").await;
}

#[tokio::test]
async fn xclient_of_a_stranger_is_refused() {
    let wish = Wish { xclient: network("192.0.2.0/24"), ..Wish::default() };
    let lab = Lab::with(Downstream::answering(&[]).await, wish).await;
    let mut client = lab.client().await;
    client.ask("XCLIENT ADDR=192.0.2.7", "550 5.7.0 rcptgate: not authorized").await;
}

const LISTS: &str = "250-sink.test\r\n250-XCLIENT NAME ADDR PORT PROTO HELO\r\n250 PIPELINING";

async fn told(tell_client: TellClient, answers: &[(&str, &str)]) -> (Lab, Vec<String>) {
    let wish = Wish { tell_client, ..proxied() };
    let lab = Lab::with(Downstream::answering(answers).await, wish).await;
    let mut client = as_client(&lab, "ADDR=192.0.2.7 PORT=4711 NAME=app.example").await;
    client.ask("RCPT TO:<b@y.test>", "250").await;
    let heard = lab.downstream.heard();
    (lab, heard)
}

#[tokio::test]
async fn the_next_hop_is_told_by_xclient_once_and_greeted_again() {
    // What it answers behind XCLIENT is a greeting.
    let answers = [("EHLO", LISTS), ("XCLIENT", "220 sink.test ESMTP")];
    let (_, heard) = told(TellClient::Xclient, &answers).await;
    let line = "XCLIENT ADDR=192.0.2.7 NAME=app.example PORT=4711 PROTO=ESMTP HELO=app.example";
    let expected = ["CONNECT", "EHLO gate.test", line, "EHLO gate.test", "MAIL FROM:<a@x.test>"];
    assert_eq!(heard.get(..5).unwrap_or_default(), expected);
}

#[tokio::test]
async fn a_next_hop_that_cannot_be_told_gets_the_message_and_is_counted() {
    let (lab, heard) = told(TellClient::Xclient, &[]).await;
    assert!(!heard.iter().any(|line| line.starts_with("XCLIENT")), "{heard:?}");
    assert!(lab.metrics.text().contains("rcptgate_client_untold_total{kind=\"not_offered\"} 1"));
    let answers = [("EHLO", LISTS), ("XCLIENT", "550 5.7.0 not you")];
    let (lab, _) = told(TellClient::Xclient, &answers).await;
    assert!(lab.metrics.text().contains("rcptgate_client_untold_total{kind=\"refused\"} 1"));
    let (lab, _) = told(TellClient::Xforward, &[("EHLO", LISTS)]).await;
    assert!(lab.metrics.text().contains("rcptgate_client_untold_total{kind=\"not_offered\"} 1"));
    let lists = "250-sink.test\r\n250-XFORWARD ADDR\r\n250 PIPELINING";
    let answers = [("EHLO", lists), ("XFORWARD", "501 5.5.4 what")];
    let (lab, heard) = told(TellClient::Xforward, &answers).await;
    assert_eq!(heard.get(2).map(String::as_str), Some("XFORWARD ADDR=192.0.2.7"));
    assert!(lab.metrics.text().contains("rcptgate_client_untold_total{kind=\"refused\"} 1"));
}

#[tokio::test]
async fn two_clients_never_share_a_connection_to_the_next_hop() {
    let answers = [("EHLO", LISTS), ("XCLIENT", "220 sink.test ESMTP")];
    let (lab, _) = told(TellClient::Xclient, &answers).await;
    let mut client = as_client(&lab, "ADDR=192.0.2.8").await;
    client.ask("RCPT TO:<b@y.test>", "250").await;
    client.ask("RSET", "250").await;
    client.ask("XCLIENT ADDR=192.0.2.9", "220").await;
    client.ask("EHLO other.example", "250").await;
    client.ask("MAIL FROM:<a@x.test>", "250").await;
    client.ask("RCPT TO:<b@y.test>", "250").await;
    let heard = lab.downstream.heard();
    let begun: Vec<_> = heard
        .iter()
        .filter(|line| *line == "CONNECT" || line.starts_with("XCLIENT"))
        .map(|line| line.split(' ').nth(1).unwrap_or_default())
        .collect();
    assert_eq!(begun, ["", "ADDR=192.0.2.7", "", "ADDR=192.0.2.8", "", "ADDR=192.0.2.9"]);
}
