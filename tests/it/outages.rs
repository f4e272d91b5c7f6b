//! A next hop that of a sudden knows nobody, and what the program and its operator make of that.

#![allow(clippy::indexing_slicing, reason = "a test may panic")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::json;

use super::admin::Served;
use super::cli::Home;
use super::harness::Downstream;
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
    let answer = move |line: &str| {
        let refused = line.starts_with("RCPT TO:<user") && switch.load(Ordering::SeqCst);
        Some(match line {
            _ if refused => NOBODY.to_owned(),
            "DATA" => "354 go".to_owned(),
            "." => TAKEN.to_owned(),
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
