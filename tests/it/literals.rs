//! Addresses in place of a domain, by the route `mx` (K11).

use std::net::Ipv4Addr;

use rcptgate::proxy::route::{Protection, RouteSettings, Way};

use crate::harness::{Downstream, Lab, Wish};

async fn lab(address_literals: bool) -> Lab {
    let hop = Downstream::answering(&[]).await;
    let way = Way::Mx { port: hop.address.port() };
    let fixed = RouteSettings::fixed(Vec::new(), Protection::Off);
    let rest = Some(RouteSettings { way, address_literals, ..fixed });
    Lab::with(hop, Wish { rest, ..Wish::default() }).await
}

#[tokio::test]
async fn no_mail_goes_to_an_address_unless_it_is_allowed() {
    let lab = lab(false).await;
    let mut client = lab.client().await;
    client.ask("MAIL FROM:<s@x.test>", "250").await;
    client.ask("RCPT TO:<u@[127.0.0.1]>", "550 5.1.2 rcptgate:").await;
    client.ask("RCPT TO:<postmaster>", "550 5.1.1 rcptgate:").await;
    assert!(lab.downstream.heard().is_empty());
    assert!(lab.journal().is_empty(), "{}", lab.journal());
}

/// What is refused to the mail hosts of a domain is refused to an address.
#[tokio::test]
async fn where_it_is_allowed_it_goes_to_no_other_networks_than_other_mail() {
    let lab = lab(true).await;
    let mut client = lab.client().await;
    client.ask("MAIL FROM:<s@x.test>", "250").await;
    client.ask("RCPT TO:<u@[127.0.0.1]>", "550 5.4.4 rcptgate:").await;
    client.ask("RCPT TO:<u@[IPv6:::1]>", "550 5.4.4 rcptgate:").await;
    let mapped = format!("RCPT TO:<u@[IPv6:{}]>", Ipv4Addr::LOCALHOST.to_ipv6_mapped());
    client.ask(&mapped, "550 5.4.4 rcptgate:").await;
    assert!(lab.downstream.heard().is_empty());
}
