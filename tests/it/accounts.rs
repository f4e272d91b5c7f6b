//! On whose account mail is, and of which campaign, as the journal has it behind a real connection.

use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use rcptgate::attribution::{AddressPattern, KeySource, Keys, TenantRule, Tenants};
use rcptgate::bounce::Stage;
use rcptgate::credentials::{Credentials, hash};
use rcptgate::event::Tenant;
use rcptgate::routing::Destination;
use rcptgate::session::{
    Action, Auth, ClientTls, Input, Outputs, Protocol, Sent, Session, Settings,
};
use rcptgate::smtp::extensions::Capabilities;

use tokio::net::TcpStream;

use crate::harness::{Client, Downstream, Lab, Wish};
use crate::login::PLAIN;
use crate::tls::{Pair, encrypt};

fn named(name: &str) -> Option<Tenant> {
    Some(Tenant(name.to_owned()))
}

fn by_sender(name: Option<Tenant>, sender: &str) -> TenantRule {
    let senders = vec![AddressPattern::parse(sender).expect("a pattern")];
    TenantRule { name, networks: Vec::new(), users: Vec::new(), senders }
}

fn keys(message: &[&str], campaign: &[&str]) -> Keys {
    let read = |texts: &[&str]| {
        Some(texts.iter().map(|text| KeySource::parse(text).expect("a source")).collect())
    };
    Keys::default().with(read(message), read(campaign)).expect("keys")
}

async fn lab(wish: Wish) -> (Lab, Client) {
    let answers = [("RCPT TO:<gone", "550 5.1.1 no such user"), (".", "550 5.1.1 no such user")];
    let lab = Lab::with(Downstream::answering(&answers).await, wish).await;
    let mut client = lab.client().await;
    client.ask("EHLO client.test", "250").await;
    (lab, client)
}

/// Each refusal in the journal: tenant, message key, campaign.
fn learnt(lab: &Lab) -> Vec<[String; 3]> {
    let field = |line: &serde_json::Value, name: &str| {
        line.get(name).and_then(|value| value.as_str()).unwrap_or("-").to_owned()
    };
    let journal = lab.journal();
    let lines = journal.lines().map(|line| serde_json::from_str(line).expect("JSON"));
    lines
        .map(|line: serde_json::Value| {
            [field(&line, "tenant"), field(&line, "message"), field(&line, "campaign")]
        })
        .collect()
}

#[tokio::test]
async fn each_message_is_on_the_account_of_its_sender() {
    let tenants =
        Tenants(vec![by_sender(named("red"), "red.test"), by_sender(None, "b-{}-*@esp.test")]);
    let (lab, mut client) = lab(Wish { tenants, ..Wish::default() }).await;
    // VERP puts the recipient into the sender, and some recipients need quotes.
    let quoted = "\"b-blue-j doe=y.test\"@esp.test";
    for sender in ["a@red.test", "b-blue-7@esp.test", quoted, "a@x.test", ""] {
        client.ask(&format!("MAIL FROM:<{sender}>"), "250").await;
        client.ask(&format!("RCPT TO:<gone{}@y.test>", sender.len()), "550 5.1.1").await;
        client.ask("RSET", "250").await;
    }
    let tenants: Vec<_> = learnt(&lab).into_iter().map(|[tenant, ..]| tenant).collect();
    assert_eq!(tenants, ["red", "blue", "blue", "default", "default"]);
}

#[tokio::test]
async fn a_blacklist_holds_for_the_senders_of_its_tenant() {
    let tenants = Tenants(vec![by_sender(named("red"), "red.test")]);
    let (lab, mut client) = lab(Wish { tenants, ..Wish::default() }).await;
    let complaint = rcptgate::gate::Draft {
        at: rcptgate::time::Timestamp::now(),
        address: rcptgate::smtp::address::RecipientKey::parse("c@y.test").expect("an address"),
        tenant: Tenant("red".to_owned()),
        what: rcptgate::event::What::Complaint { source: None },
    };
    lab.gate.learn(complaint).in_time().await.expect("learnt");
    client.ask("MAIL FROM:<a@red.test>", "250").await;
    client.ask("RCPT TO:<c@y.test>", "550 5.7.1 rcptgate:").await;
    client.ask("RSET", "250").await;
    client.ask("MAIL FROM:<a@blue.test>", "250").await;
    client.ask("RCPT TO:<c@y.test>", "250").await;
}

#[tokio::test]
async fn the_listener_goes_before_the_network_and_that_before_the_sender() {
    let network = TenantRule {
        networks: vec!["127.0.0.0/8".parse().expect("a network")],
        ..by_sender(named("net"), "net.test")
    };
    let tenants = Tenants(vec![by_sender(named("red"), "red.test"), network]);
    for (tenant, expected) in [(named("door"), "door"), (None, "net")] {
        let tenants = tenants.clone();
        let (lab, mut client) = lab(Wish { tenant, tenants, ..Wish::default() }).await;
        client.ask("MAIL FROM:<a@red.test>", "250").await;
        client.ask("RCPT TO:<gone@y.test>", "550 5.1.1").await;
        assert_eq!(learnt(&lab)[0][0], expected);
    }
}

/// Rules that know tenants by a network of clients, a login and a sender.
fn by_all() -> Tenants {
    let network = |text: &str| vec![text.parse().expect("a network")];
    let none = TenantRule { name: None, networks: vec![], users: vec![], senders: vec![] };
    Tenants(vec![
        TenantRule { name: named("net"), networks: network("192.0.2.0/24"), ..none.clone() },
        TenantRule { name: named("user"), users: vec!["ann@x.test".to_owned()], ..none },
        by_sender(named("red"), "red.test"),
    ])
}

async fn refused(client: &mut Client, sender: &str, recipient: &str) {
    client.ask(&format!("MAIL FROM:<{sender}>"), "250").await;
    client.ask(&format!("RCPT TO:<{recipient}>"), "550 5.1.1").await;
    client.ask("RSET", "250").await;
}

#[tokio::test]
async fn a_client_that_xclient_names_is_on_its_own_account() {
    let all = Some(vec!["0.0.0.0/0".parse().expect("a network")]);
    let xclient = vec!["127.0.0.0/8".parse().expect("a network")];
    let (lab, mut client) =
        lab(Wish { tenants: by_all(), clients: all, xclient, ..Wish::default() }).await;
    for (number, who) in [
        "ADDR=192.0.2.7",
        "ADDR=198.51.100.7 LOGIN=ann@x.test",
        "ADDR=192.0.2.7 LOGIN=ann@x.test",
        "ADDR=198.51.100.7 LOGIN=[UNAVAILABLE]",
    ]
    .iter()
    .enumerate()
    {
        client.ask(&format!("XCLIENT {who}"), "220").await;
        client.ask("EHLO app.example", "250").await;
        refused(&mut client, "a@x.test", &format!("gone{number}@y.test")).await;
    }
    let tenants: Vec<_> = learnt(&lab).into_iter().map(|[tenant, ..]| tenant).collect();
    assert_eq!(tenants, ["net", "user", "net", "default"]);
}

/// Who is on the account of a client that sends, logs in, and sends again, always as the same sender.
async fn around_a_login(wish: Wish, line_of_users: &str) -> Vec<String> {
    let pair = Pair::new();
    let file = pair.folder.path().join("users.txt");
    let hash = hash(b"hunter2").expect("a hash");
    std::fs::write(&file, line_of_users.replace("HASH", &hash)).expect("written");
    let credentials = Credentials::open(&file, 1, Duration::from_secs(60)).expect("users");
    let wish = Wish {
        tls: ClientTls::Up,
        acceptor: Some(pair.certificate()),
        auth: Auth::Local,
        credentials: Some(credentials),
        ..wish
    };
    let hop = Downstream::answering(&[("RCPT TO:<gone", "550 5.1.1 no such user")]).await;
    let lab = Lab::with(hop, wish).await;
    let stream = TcpStream::connect(lab.door).await.expect("a connection");
    let mut client = encrypt(stream, &pair.der).await.expect("a handshake");
    client.expect("220 ").await;
    client.ask("EHLO client.test", "250").await;
    refused(&mut client, "a@red.test", "gone1@y.test").await;
    client.ask(&format!("AUTH PLAIN {PLAIN}"), "235 ").await;
    refused(&mut client, "a@red.test", "gone2@y.test").await;
    learnt(&lab).into_iter().map(|[tenant, ..]| tenant).collect()
}

#[tokio::test]
async fn a_login_goes_before_the_sender_and_behind_listener_and_network() {
    let local = TenantRule {
        networks: vec!["127.0.0.0/8".parse().expect("a network")],
        ..by_sender(named("net"), "net.test")
    };
    let door = Wish { tenant: named("door"), ..Wish::default() };
    assert_eq!(around_a_login(door, "ann@x.test:HASH:acme\n").await, ["door", "door"]);
    let network = Wish { tenants: Tenants(vec![local]), ..Wish::default() };
    assert_eq!(around_a_login(network, "ann@x.test:HASH:acme\n").await, ["net", "net"]);
    let all = || Wish { tenants: by_all(), ..Wish::default() };
    assert_eq!(around_a_login(all(), "ann@x.test:HASH:acme\n").await, ["red", "acme"]);
    assert_eq!(around_a_login(all(), "ann@x.test:HASH\n").await, ["red", "user"]);
    let sender = Wish { tenants: Tenants(vec![by_sender(named("red"), "red.test")]), ..all() };
    let told = around_a_login(sender, "ann@x.test:HASH\n").await;
    assert_eq!(told, ["red", "red"], "a user of no tenant leaves it to the sender");
}

#[tokio::test]
async fn a_reply_is_on_the_account_of_its_own_message() {
    let tenants =
        Tenants(vec![by_sender(named("red"), "red.test"), by_sender(named("blue"), "blue.test")]);
    let (lab, mut client) = lab(Wish { tenants, ..Wish::default() }).await;
    client
        .send(
            "MAIL FROM:<a@red.test>\nRCPT TO:<gone1@y.test>\nRSET\n\
             MAIL FROM:<a@blue.test>\nRCPT TO:<gone2@y.test>",
        )
        .await;
    for start in ["250", "550 5.1.1", "250", "250", "550 5.1.1"] {
        client.expect(start).await;
    }
    let tenants: Vec<_> = learnt(&lab).into_iter().map(|[tenant, ..]| tenant).collect();
    assert_eq!(tenants, ["red", "blue"]);
}

#[tokio::test]
async fn keys_are_read_where_the_configuration_says() {
    let keys = keys(&["sender:b-*-{}@*", "xforward"], &["sender:b-{}-*@*"]);
    let (lab, mut client) = lab(Wish { keys, ..Wish::default() }).await;
    client.ask("XFORWARD IDENT=4F5", "250").await;
    client.ask("MAIL FROM:<b-spring-17@x.test>", "250").await;
    client.ask("RCPT TO:<gone1@y.test>", "550 5.1.1").await;
    client.ask("RSET", "250").await;
    client.ask("XFORWARD IDENT=4F6", "250").await;
    client.ask("MAIL FROM:<info@x.test>", "250").await;
    client.ask("RCPT TO:<gone2@y.test>", "550 5.1.1").await;
    client.ask("RSET", "250").await;
    client.ask("MAIL FROM:<\"b-spring-j doe=y.test\"@x.test>", "250").await;
    client.ask("RCPT TO:<gone3@y.test>", "550 5.1.1").await;
    let row = |fields: [&str; 3]| fields.map(str::to_owned);
    let expected = [
        row(["default", "sender/17", "sender/spring"]),
        row(["default", "127.0.0.1/4F6", "-"]),
        row(["default", "sender/j doe=y.test", "sender/spring"]),
    ];
    assert_eq!(learnt(&lab), expected);
}

#[tokio::test]
async fn a_header_names_the_campaign_of_what_is_refused_behind_data() {
    let keys = keys(&[], &["header:X-Campaign", "sender:{}@*"]);
    let (lab, mut client) = lab(Wish { keys, ..Wish::default() }).await;
    for (recipient, header) in [("one", "x-campaign:\n spring"), ("two", "Subject: a")] {
        client.ask("MAIL FROM:<a@x.test>", "250").await;
        client.ask(&format!("RCPT TO:<{recipient}@y.test>"), "250").await;
        client.ask("DATA", "354").await;
        client.ask(&format!("{header}\n\nX-Campaign: body\n."), "550 5.1.1").await;
    }
    let campaigns: Vec<_> = learnt(&lab).into_iter().map(|[.., campaign]| campaign).collect();
    assert_eq!(campaigns, ["spring", "sender/a"]);
}

#[test]
fn a_header_in_chunks_names_the_campaign_too() {
    let settings = Settings {
        keys: Arc::new(keys(&[], &["header:X-Campaign", "envid"])),
        offer: Capabilities { chunking: true, dsn: true, ..Capabilities::GATE },
        ..crate::rig::settings()
    };
    let mut session = Session::new(settings);
    let mut out = Outputs::default();
    session.step(Input::Accepted, &mut out);
    let mut client =
        BytesMut::from("EHLO c\r\nMAIL FROM:<a@x.test> ENVID=e1\r\nRCPT TO:<b@y.test>\r\n");
    session.step(Input::Client(&mut client), &mut out);
    session.step(Input::Forward(Destination::default()), &mut out);
    session.step(
        Input::Opened(Capabilities { chunking: true, dsn: true, ..Capabilities::GATE }.into()),
        &mut out,
    );
    let mut replies = BytesMut::from("250 ok\r\n250 ok\r\n");
    session.step(Input::Downstream(&mut replies, Sent::All), &mut out);
    for chunk in ["BDAT 7\r\nX-Campa", "BDAT 16 LAST\r\nign: spring\r\n\r\nb"] {
        client.extend_from_slice(chunk.as_bytes());
        session.step(Input::Client(&mut client), &mut out);
    }
    let mut replies = BytesMut::from("250 ok\r\n550 5.1.1 no such user\r\n");
    session.step(Input::Downstream(&mut replies, Sent::All), &mut out);
    let campaigns: Vec<_> = out
        .actions
        .iter()
        .filter_map(|action| {
            let Action::Answered(answered) = action else { return None };
            (answered.stage == Stage::EndOfData).then(|| answered.envelope.campaign()).flatten()
        })
        .collect();
    assert_eq!(campaigns, ["spring"]);
}

#[tokio::test]
async fn behind_the_lmtp_door_keys_and_accounts_are_the_same() {
    let tenants = Tenants(vec![by_sender(named("red"), "red.test")]);
    let keys = keys(&["sender:{}@*"], &["sender:{}@*"]);
    let wish = Wish { tenants, keys, protocol: Protocol::Lmtp, ..Wish::default() };
    let lab = Lab::with(
        Downstream::answering(&[("RCPT TO:<gone", "550 5.1.1 no such user")]).await,
        wish,
    )
    .await;
    let mut client = lab.client().await;
    client.ask("LHLO client.test", "250").await;
    client.ask("MAIL FROM:<m1@red.test>", "250").await;
    client.ask("RCPT TO:<gone@y.test>", "550 5.1.1").await;
    assert_eq!(learnt(&lab), [["red", "sender/m1", "sender/m1"].map(str::to_owned)]);
}
