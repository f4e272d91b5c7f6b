//! A next hop that of a sudden knows nobody, and what the program and its operator make of that.

#![allow(clippy::indexing_slicing, reason = "a test may panic")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use hickory_proto::rr::RecordType::A;
use rcptgate::dns::{Dnssec, Resolver};
use rcptgate::event::Act;
use rcptgate::event::order::Decree;
use rcptgate::event::select::{Conditions, Selector};
use rcptgate::gate::OrderDraft;
use rcptgate::proxy::route::Host;
use rcptgate::time::Timestamp;
use serde_json::json;

use super::admin::Served;
use super::cli::Home;
use super::dns_server::{Answer, DnsServer};
use super::harness::{Client, Downstream, Lab, Wish};
use super::mx::greeted;

const NOBODY: &str = "550 5.1.1 The email account that you tried to reach does not exist";
const TAKEN: &str = "250 2.0.0 ok queued as SINK1";

fn user(number: u32) -> String {
    format!("user{number}@gmail.com")
}

/// A next hop that takes everything, or refuses all users, as the switch says.
async fn moody() -> (Downstream, Arc<AtomicBool>) {
    let mad = Arc::new(AtomicBool::new(false));
    let switch = Arc::clone(&mad);
    // What was said of the last recipient says what becomes of the message.
    let end = std::sync::Mutex::new(TAKEN);
    let answer = move |line: &str| {
        let refused = line.starts_with("RCPT TO:<user") && switch.load(Ordering::SeqCst);
        let mut end = end.lock().expect("one thread at a time");
        if line.starts_with("RCPT") {
            *end = match line {
                _ if line.contains("ended.later") => "451 4.3.0 not now",
                _ if line.contains("ended.gone") => NOBODY,
                _ => TAKEN,
            };
        }
        Some(match line {
            _ if refused => NOBODY.to_owned(),
            _ if line.starts_with("RCPT")
                && line.contains(".later@")
                && !line.contains("ended") =>
            {
                "450 4.2.1 try later".to_owned()
            }
            "DATA" => "354 go".to_owned(),
            "." => (*end).to_owned(),
            "QUIT" => "221 bye".to_owned(),
            _ => "250 2.1.0 ok".to_owned(),
        })
    };
    (Downstream::start(Arc::new(answer)).await, mad)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_next_hop_that_goes_mad_costs_no_address_its_standing() {
    let (next_hop, mad) = moody().await;
    let home = Home::new();
    let text = std::fs::read_to_string(home.path("rcptgate.toml")).expect("a configuration");
    home.write("rcptgate.toml", &text.replace("127.0.0.1:9", &next_hop.address.to_string()));
    let served = Served::begin(&home);
    assert!(home.ok(&["outages"]).starts_with("no receiver "));
    let (mut client, _) = greeted(served.door()).await;
    for number in 0..30 {
        assert_eq!(client.write_to(&user(number)).await, TAKEN);
    }
    mad.store(true, Ordering::SeqCst);
    for number in 0..30 {
        assert_eq!(client.write_to(&user(number)).await, NOBODY);
    }
    // In any order: the addresses are folded again beside the mail.
    let mut wanted = vec![
        ["event=outage", "result=began", "refused=20", "key=\"domain gmail.com\""],
        ["event=learn", "result=held", "recipient=user29@gmail.com", ""],
        ["event=undo", "result=done", "kind=outage", "events=19"],
    ];
    while !wanted.is_empty() {
        let line = served.logged(&["event="]);
        wanted.retain(|words| !words.iter().all(|word| line.contains(word)));
    }
    let story = home.ok(&["explain", &user(3)]);
    assert!(story.contains("(held)") && story.contains("held by outage "), "{story}");
    assert!(home.ok(&["stats"]).contains("1 to be resolved, 1 on: see `rcptgate outages`"));
    mad.store(false, Ordering::SeqCst);
    for number in 0..30 {
        assert_eq!(client.write_to(&user(number)).await, TAKEN, "{number}");
    }
    let outage = home.json(&["outages"])[0]["outages"][0].clone();
    let told = ["key", "state", "events", "addresses"].map(|name| outage[name].clone());
    assert_eq!(told, [json!("domain gmail.com"), json!("open"), json!(30), json!(30)]);
    let id = outage["id"].as_str().expect("an id");
    let text = home.ok(&["outages", "list"]);
    assert!(
        text.contains("held: 30 events of 30 addresses\n    such as user0@gmail.com"),
        "{text}"
    );
    void(&home, id);
    client.quit().await;
    // At its end it writes who is known to be good.
    assert!(!home.path("data/known-good").exists());
    served.terminate();
    assert!(home.path("data/known-good").exists());
    // The same of a store that no gate has.
    assert_eq!(home.json(&["outages", "list"])[0]["outages"][0]["state"], "voided");
    let again = home.run(&["outages", "void", id, "--reason", "r", "--yes"]);
    assert_eq!((again.code, again.err.contains("voided already")), (65, true), "{again:?}");
    // Mail arrived at all of them since.
    let apply = home.ok(&["outages", "apply", id, "--dry-run"]);
    assert!(apply.contains("30 events of 30 addresses"), "{apply}");
    assert!(home.ok(&["verify"]).starts_with("ok"));
}

fn void(home: &Home, id: &str) {
    let words = ["outages", "void", id, "--reason", "they said so"];
    let end = home.run(&words);
    assert_eq!((end.code, end.err.contains("--yes")), (64, true), "{end:?}");
    let done = home.ok(&[&words[..], &["--yes"]].concat());
    assert!(done.contains("30 events of 30 addresses never count"), "{done}");
    let stats = &home.json(&["stats"])[0];
    let told = ["outages", "unresolved", "held", "ready"].map(|name| stats[name].clone());
    assert_eq!(told, [json!(0), json!(0), json!(30), json!(true)], "{stats}");
    let story = home.ok(&["explain", &user(3)]);
    assert!(story.contains("(void)") && story.contains("they said so"), "{story}");
    let end = home.run(&["outages", "void", "nonsense", "--reason", "r"]);
    assert_eq!((end.code, end.err.contains("there is no outage")), (65, true), "{end:?}");
}

/// A gate on watch, whose next hop is called `mx.test`, and is what the switch says.
async fn watching() -> (Lab, DnsServer, Client, Arc<AtomicBool>) {
    let (next_hop, mad) = moody().await;
    let dns = DnsServer::start().await;
    dns.answer("mx.test", A, Answer::addresses(&["127.0.0.1"]));
    let wish = Wish {
        before: vec![Host { name: "mx.test".to_owned(), port: next_hop.address.port() }],
        resolver: Some(Resolver::new(&[dns.address], Dnssec::Off).expect("a resolver")),
        ..Wish::default()
    };
    let lab = Lab::with(next_hop, wish).await;
    lab.gate.keep_watch(Timestamp::now()).expect("a watch");
    let client = lab.client().await;
    (lab, dns, client, mad)
}

/// The outages that last, when all that was ordered so far is carried out: an order that selects nothing comes behind them.
fn lasting(lab: &Lab) -> Vec<String> {
    let nobody = Conditions { domain: Some("nobody.test".to_owned()), ..Conditions::default() };
    let decree = Decree::Void { select: Selector::new(nobody).expect("a condition") };
    let draft = OrderDraft { at: Timestamp::now(), decree, act: Act::default() };
    tokio::task::block_in_place(|| lab.gate.order(draft).wait()).expect("obeyed");
    lab.gate.masks().lasting().map(|outage| outage.key.to_string()).collect()
}

/// One message to all of these; the replies to its recipients begin with `rcpt`, that to its end with `end`, if it comes to that.
async fn one_message(client: &mut Client, recipients: &[String], rcpt: &str, end: Option<&str>) {
    client.ask("MAIL FROM:<s@x.test>", "250").await;
    for recipient in recipients {
        client.ask(&format!("RCPT TO:<{recipient}>"), rcpt).await;
    }
    match end {
        Some(end) => {
            client.ask("DATA", "354").await;
            client.ask("Subject: x\n\nbody\n.", end).await;
        }
        None => {
            client.ask("RSET", "250").await;
        }
    }
}

/// Each recipient of a message that was taken counts, under its domain, and under the next hop's name where domains are many.
#[tokio::test(flavor = "multi_thread")]
async fn all_recipients_of_a_message_that_was_taken_are_known_to_be_good() {
    for (name, key) in [("user{}@y.test", "domain y.test"), ("user@d{}.test", "receiver mx.test")] {
        let (lab, _dns, mut client, mad) = watching().await;
        let all: Vec<_> = (0..25).map(|number| name.replace("{}", &number.to_string())).collect();
        one_message(&mut client, &all, "250", Some("250")).await;
        assert_eq!(lasting(&lab), [""; 0]);
        mad.store(true, Ordering::SeqCst);
        for recipient in &all {
            assert_eq!(client.write_to(recipient).await, NOBODY);
        }
        assert_eq!(lasting(&lab), [key]);
        let reasons: Vec<_> =
            lab.gate.masks().orders().iter().map(|(_, order)| order.act.reason.clone()).collect();
        let told = "20 of 20 recipients refused that accepted mail of late";
        assert!(reasons.iter().any(|reason| reason == told), "{reasons:?}");
    }
}

/// A recipient that was deferred, one that only RCPT was accepted for, and one whose message was not taken: none has accepted mail.
#[tokio::test(flavor = "multi_thread")]
async fn a_recipient_that_got_no_message_is_not_known_to_be_good() {
    let (lab, _dns, mut client, mad) = watching().await;
    let named = |name: &str| -> Vec<_> {
        (0..25).map(|number| format!("user{number}.{name}@y.test")).collect()
    };
    one_message(&mut client, &named("later"), "450", None).await;
    one_message(&mut client, &named("rcpt"), "250", None).await;
    one_message(&mut client, &named("ended.later"), "250", Some("451")).await;
    mad.store(true, Ordering::SeqCst);
    for recipient in ["later", "rcpt", "ended.later"].iter().flat_map(|name| named(name)) {
        assert_eq!(client.write_to(&recipient).await, NOBODY);
    }
    assert_eq!(lasting(&lab), [""; 0]);
}

/// What is said of a message for many is said of nobody, also by a next hop that knows nobody of a sudden.
#[tokio::test(flavor = "multi_thread")]
async fn a_message_refused_for_many_is_no_outage() {
    let (lab, _dns, mut client, _mad) = watching().await;
    let named = |name: &str| -> Vec<_> {
        (0..25).map(|number| format!("user{number}.{name}@y.test")).collect()
    };
    let all = named("known");
    one_message(&mut client, &all, "250", Some("250")).await;
    let more = [all, vec!["ended.gone@y.test".to_owned()]].concat();
    one_message(&mut client, &more, "250", Some("550 5.1.1")).await;
    assert_eq!(lasting(&lab), [""; 0]);
}

/// What a receiver takes speaks for it: twenty that are gone, among two hundred that are there, are no outage of all of them.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_receiver_accepts_is_counted_under_its_name() {
    let (lab, _dns, mut client, mad) = watching().await;
    let named = |count: u32| -> Vec<_> {
        (0..count).map(|number| format!("user@d{number}.test")).collect()
    };
    // The first time they are strangers.
    for _ in 0..2 {
        for some in named(200).chunks(50) {
            one_message(&mut client, some, "250", Some("250")).await;
        }
    }
    mad.store(true, Ordering::SeqCst);
    for recipient in named(20) {
        assert_eq!(client.write_to(&recipient).await, NOBODY);
    }
    assert_eq!(lasting(&lab), [""; 0]);
}
