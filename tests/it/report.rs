//! Campaigns with known outcomes give exactly the known figures.

#![allow(clippy::indexing_slicing, reason = "a test may panic")]

mod ends;

use std::time::Duration;

use rcptgate::attribution::{KeySource, Keys};
use rcptgate::bounce::Stage;
use rcptgate::bounce::classify::Classifier;
use rcptgate::event::{Context, Tenant};
use rcptgate::gate::{About, Gate, GateSettings};
use rcptgate::policy::Policy;
use rcptgate::session::Protocol;
use rcptgate::smtp::address::RecipientKey;
use rcptgate::smtp::reply::Reply;
use rcptgate::tally::{self, By, Cause, Class, Counts, Ground, Outcome, Question, Sum, Tally};
use rcptgate::time::Timestamp;
use serde_json::Value;
use tokio::time::timeout;

use crate::admin::Served;
use crate::cli::Home;
use crate::harness::{Client, Downstream, Lab, Wish, by_domain};

fn by(by: By) -> Question {
    Question { by, ..Question::default() }
}

/// The local part of the sender is the campaign.
fn keys() -> Keys {
    let source = KeySource::parse("sender:{}@*").expect("a source");
    Keys::default().with(None, Some(vec![source])).expect("keys")
}

async fn lab(answers: &[(&str, &str)]) -> Lab {
    let wish = Wish { keys: keys(), ..Wish::default() };
    Lab::with(Downstream::answering(answers).await, wish).await
}

/// What was counted: exactly these, and nothing else.
#[track_caller]
fn is(counts: &Counts, expected: &[(Outcome, u64)]) {
    let mut wanted = Counts::default();
    for (outcome, count) in expected {
        wanted.add(*outcome, *count);
    }
    let show = |counts: &Counts| serde_json::to_string(counts).expect("plain data");
    assert_eq!(show(counts), show(&wanted));
}

/// The sum once so many outcomes are in it: some are counted after the client has its reply.
async fn counted(lab: &Lab, outcomes: u64) -> Sum {
    let there = async {
        loop {
            let sum = lab.tally.sum(&by(By::Receiver)).expect("the files");
            if sum.total.sent() + sum.total.refused() >= outcomes {
                return sum;
            }
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, there).await.expect("all of them, in the end")
}

/// How long a test may wait for a count that does not come.
const PATIENCE: Duration = Duration::from_secs(20);

const DELIVERED: Outcome = Outcome::Delivered;

fn bounced(cause: Cause) -> Outcome {
    Outcome::Bounced(cause)
}

fn deferred(cause: Cause) -> Outcome {
    Outcome::Deferred(cause)
}

const ANSWERS: &[(&str, &str)] = &[
    ("MAIL FROM:<bad@", "550 5.7.1 sender address rejected"),
    ("RCPT TO:<gone", "550 5.1.1 no such user"),
    ("RCPT TO:<full", "552 5.2.2 mailbox full"),
    ("RCPT TO:<later", "452 4.2.2 mailbox full"),
    ("RCPT TO:<list", "554 5.7.1 blocked using zen.spamhaus.org"),
    ("RCPT TO:<much", "452 4.5.3 too many recipients"),
];

/// One message to these, each with the start of the reply that it gets, and the end's.
async fn send(client: &mut Client, recipients: &[(&str, &str)], end: &str) {
    client.ask("MAIL FROM:<spring@Shop.test>", "250").await;
    for (recipient, reply) in recipients {
        client.ask(&format!("RCPT TO:<{recipient}>"), reply).await;
    }
    client.ask("DATA", "354").await;
    client.ask("body\n.", end).await;
}

#[tokio::test]
async fn a_campaign_over_smtp() {
    let lab = lab(ANSWERS).await;
    lab.disposable("mail.yopmail.com");
    let mut client = lab.client().await;
    let recipients = [
        ("one@y.test", "250"),
        ("gone@y.test", "550"),
        ("full@y.test", "552"),
        ("later@y.test", "452"),
        ("list@y.test", "554"),
        ("much@y.test", "452"),
        ("two@y.test", "250"),
        ("x@mail.yopmail.com", "550 5.7.1 rcptgate:"),
    ];
    send(&mut client, &recipients, "250").await;
    // One hard of many tolerated; one soft is a quarantine.
    send(&mut client, &[("full@y.test", "550 5.7.1 rcptgate:"), ("one@y.test", "250")], "250")
        .await;
    let sum = counted(&lab, 9).await;
    is(
        &sum.total,
        &[
            (DELIVERED, 3),
            (bounced(Cause::UserUnknown), 1),
            (bounced(Cause::MailboxFull), 1),
            (deferred(Cause::MailboxFull), 1),
            (bounced(Cause::Blocked), 1),
            (Outcome::Refused(Ground::Disposable), 1),
            (Outcome::Refused(Ground::Quarantine), 1),
        ],
    );
    // What never had a mail host counts under the recipient's domain.
    let mut receivers: Vec<_> = sum.groups.keys().map(String::as_str).collect();
    receivers.sort_unstable();
    assert_eq!(receivers, ["127.0.0.1", "y.test", "yopmail.com"]);
    let campaigns = lab.tally.sum(&by(By::Campaign)).expect("the files").groups;
    assert_eq!(campaigns.keys().collect::<Vec<_>>(), ["sender/spring"]);
    assert_eq!(sum.examples[&Cause::MailboxFull], "552 5.2.2 mailbox full");
}

#[tokio::test]
async fn mail_and_messages_that_are_refused() {
    let answers = [ANSWERS, &[(".", "554 5.7.1 message contains a virus")]].concat();
    let lab = lab(&answers).await;
    let mut client = lab.client().await;
    client.ask("MAIL FROM:<bad@Shop.test>", "250").await;
    client.ask("RCPT TO:<one@y.test>", "550 5.7.1").await;
    client.ask("RCPT TO:<two@y.test>", "550 5.7.1").await;
    client.ask("RSET", "250").await;
    let two = [("one@y.test", "250"), ("two@y.test", "250")];
    send(&mut client, &two, "554 5.7.1").await;
    send(&mut client, &[("one@y.test", "250")], "554 5.7.1").await;
    let sum = counted(&lab, 5).await;
    is(&sum.total, &[(bounced(Cause::AuthFailed), 2), (bounced(Cause::SpamContent), 3)]);
    let campaigns = lab.tally.sum(&by(By::Campaign)).expect("the files").groups;
    assert_eq!((campaigns["sender/bad"].sent(), campaigns["sender/spring"].sent()), (2, 3));
}

/// A refusal of several says nothing of each: not a hard bounce, and no quarantine.
#[tokio::test]
async fn what_is_said_of_several_is_no_hard_bounce() {
    let lab = Lab::new(Downstream::answering(&[(".", "550 5.1.1 no such user")]).await).await;
    let mut client = lab.client().await;
    send(&mut client, &[("one@y.test", "250"), ("two@y.test", "250")], "550").await;
    send(&mut client, &[("one@y.test", "250")], "550").await;
    let sum = counted(&lab, 3).await;
    assert_eq!(sum.total.bounced(Class::Hard), 1, "{:?}", sum.total);
    assert_eq!(sum.total.decided(), 3);
}

/// Several next hops behind one client of LMTP: counted where the mail goes, and once.
#[tokio::test]
async fn a_campaign_over_lmtp_to_several_next_hops() {
    let (one, two) = (
        Downstream::answering(ANSWERS).await,
        Downstream::answering(&[(".", "552 5.2.2 mailbox full")]).await,
    );
    let routes = by_domain(Protocol::Smtp, &[("one.test", one.address), ("two.test", two.address)]);
    let wish = Wish { protocol: Protocol::Lmtp, routes, keys: keys(), ..Wish::default() };
    let lab = Lab::with(Downstream::answering(&[]).await, wish).await;
    lab.disposable("yopmail.test");
    let mut client = Client::connect(lab.door).await;
    client.expect("220").await;
    client.send("LHLO client.test").await;
    let _ = client.reply().await;
    client.ask("MAIL FROM:<spring@shop.test>", "250").await;
    let recipients = [
        ("a@one.test", "250"),
        ("gone@one.test", "550"),
        ("b@two.test", "250"),
        ("c@rest.test", "250"),
        ("x@yopmail.test", "550"),
    ];
    for (recipient, reply) in recipients {
        client.ask(&format!("RCPT TO:<{recipient}>"), reply).await;
    }
    client.ask("DATA", "354").await;
    client.ask("body\n.", "250").await;
    client.expect("552").await;
    client.expect("250").await;
    client.ask("QUIT", "221").await;
    let sum = counted(&lab, 5).await;
    is(
        &sum.total,
        &[
            (DELIVERED, 2),
            (bounced(Cause::UserUnknown), 1),
            (bounced(Cause::MailboxFull), 1),
            (Outcome::Refused(Ground::Disposable), 1),
        ],
    );
}

/// All attempts of a message are one soft bounce, when its time is over.
#[tokio::test]
async fn a_message_deferred_for_days_bounces_once() {
    let lab = Lab::new(Downstream::answering(ANSWERS).await).await;
    let address = RecipientKey::parse("later@y.test").expect("an address");
    let sender = Some("<a@shop.test>".to_owned());
    let context = Context { sender, ..Context::default() };
    let about = About { address, tenant: Tenant::default(), context };
    let reply = Reply::from_text("452 4.2.2 mailbox full").expect("a reply");
    // It was first tried four days ago, and last the day before yesterday.
    for days in [4, 2] {
        let ago = Timestamp::from_secs(Timestamp::now().as_millis() / 1000 - days * 86_400);
        let learning = lab.gate.refused(&about, Stage::Rcpt, &reply, 1, ago);
        learning.durable.expect("an event").in_time().await.expect("learnt");
    }
    let mut client = lab.client().await;
    client.ask("MAIL FROM:<a@shop.test>", "250").await;
    client.ask("RCPT TO:<later@y.test>", "452").await;
    let sum = counted(&lab, 2).await;
    is(&sum.total, &[(deferred(Cause::MailboxFull), 1), (bounced(Cause::MailboxFull), 1)]);
    let campaigns = lab.tally.sum(&by(By::Campaign)).expect("the files").groups;
    assert_eq!(campaigns["@shop.test"].sent(), 2, "under the sender of the attempt");
}

/// What the command says, of figures made in its data directory.
#[test]
fn the_command_reports() {
    let home = Home::new();
    assert_eq!(home.ok(&["report"]), "nothing was counted\n");
    let tally = Tally::open(tally::Settings::new(&home.path("data")), at(0));
    let place = |receiver, campaign| tally::Place {
        tenant: "acme",
        receiver,
        campaign: tally::Campaign::Named(campaign),
    };
    for _ in 0..97 {
        tally.count(&place("google.com", "spring"), DELIVERED, None, at(0));
    }
    for _ in 0..50 {
        tally.count(&place("google.com", "spring"), deferred(Cause::MailboxFull), None, at(0));
    }
    tally.count(&place("google.com", "spring"), bounced(Cause::Technical), None, at(0));
    let reply = Some("550 5.1.1 no\u{1b}[2J such user");
    tally.count(&place("google.com", "spring"), bounced(Cause::UserUnknown), reply, at(0));
    tally.count(&place("google.com", "spring"), bounced(Cause::SpamUrl), None, at(0));
    tally.count(&place("yahoo.com", "\u{1b}[2Jsummer"), DELIVERED, None, at(1));
    tally.count(&place("yahoo.com", "spring"), Outcome::Refused(Ground::Disposable), None, at(1));
    tally.count(&place("x.test", "spring"), Outcome::Refused(Ground::Manual), None, at(2));
    tally.write(at(1)).expect("written");
    let report = &home.json(&["report", "--by", "receiver"])[0];
    let row = &report["rows"][0];
    assert_eq!((&row["name"], &row["sent"]), (&"google.com".into(), &150.into()), "{report}");
    assert_eq!((&row["hard"]["rate"], &row["alerts"][0]), (&0.01.into(), &"hard".into()));
    assert_eq!(row["blocked"]["causes"]["url"], 1);
    assert_eq!(report["rows"][1]["refused"]["causes"]["disposable"], 1);
    let text = home.ok(&["report", "--by", "campaign"]);
    assert!(text.contains("1.00% !") && text.contains("user_unknown 1; url 1"), "{text}");
    assert!(!text.contains('\u{1b}'), "{text}");
    let days = home.ok(&["report", "--csv", "--since", "2026-11-28", "--until", "2026-11-28"]);
    assert!(days.starts_with("name,sent,delivered,unfinished,hard,hard_rate,"), "{days}");
    assert!(days.contains("\n2026-11-28,150,97,0,1,0.010000,1,"), "{days}");
    assert_eq!(days.lines().count(), 2, "{days}");
    let causes = home.ok(&["report", "--by", "cause"]);
    assert!(causes.contains("550 5.1.1 no"), "{causes}");
    assert!(causes.contains("block url") && !causes.contains('\u{1b}'), "{causes}");
    assert_eq!(home.ok(&["report", "--tenant", "other"]), "nothing was counted\n");
    let refused = home.ok(&["report", "--since", "2026-11-30"]);
    assert!(refused.contains("refused here  manual 1"), "{refused}");
    // What is left out is told, and what is broken.
    let path = home.path("data/tally/2026-11-28.jsonl");
    let text = std::fs::read_to_string(&path).expect("counts");
    std::fs::write(&path, format!("nonsense\n{text}")).expect("written");
    let end = home.run(&["report", "--by", "receiver", "--limit", "1"]);
    assert!(end.out.contains("and 2 more; the total has all"), "{end:?}");
    assert!(end.err.contains("1 lines of the tally cannot be read"), "{end:?}");
}

/// The running gate says the same as its files; what it has said is on disk.
#[tokio::test]
async fn a_running_gate_reports_and_its_next_start_goes_on() {
    let home = Home::new();
    let text = std::fs::read_to_string(home.path("rcptgate.toml")).expect("a configuration");
    home.write("rcptgate.toml", &format!("{text}[report]\nsoft_alert = \"0.5%\"\n"));
    home.ok(&["quarantine", "gone@example.com", "--reason", "r"]);
    for starts in 1..3 {
        let served = Served::begin(&home);
        let mut client = Client::connect(served.door()).await;
        client.expect("220").await;
        client.ask("EHLO client.test", "250").await;
        client.ask("MAIL FROM:<a@shop.test>", "250").await;
        client.ask("RCPT TO:<gone@example.com>", "550 5.7.1 rcptgate:").await;
        client.ask("RCPT TO:<x@yopmail.com>", "550 5.7.1 rcptgate:").await;
        client.ask("QUIT", "221").await;
        let report = &home.json(&["report", "--by", "campaign"])[0];
        let row = &report["rows"][0];
        assert_eq!((&row["name"], &report["soft_alert"]), (&"@shop.test".into(), &0.005.into()));
        let causes = &row["refused"]["causes"];
        assert_eq!(causes["manual"], starts, "{report}");
        assert_eq!(causes["disposable"], starts, "{report}");
        assert_eq!(row["sent"], 0, "{report}");
    }
    let row = &home.json(&["report"])[0]["rows"][0];
    assert_eq!(row["refused"]["count"], 4);
}

/// Single bounces, and who is on watch for what.
#[test]
fn bounces_and_lists_by_cause() {
    let home = Home::new();
    let store = GateSettings::new(home.path("data"));
    let policy = Policy::preset("quarantine").expect("the preset");
    let gate = Gate::open(store, policy, Classifier::builtin(), |_, _| {}).expect("a gate").gate;
    let day = 86_400;
    let now = Timestamp::now().as_millis() / 1000;
    let hears = |address: &str, reply: &str, campaign: &str, at: i64| {
        let context = Context {
            campaign: Some(campaign.to_owned()),
            message: Some(format!("{campaign}{at}")),
            receiver: Some("mx1.google.com:25".to_owned()),
            ..Context::default()
        };
        let address = RecipientKey::parse(address).expect("an address");
        let about = About { address, tenant: Tenant::default(), context };
        let reply = Reply::from_text(reply).expect("a reply");
        let at = Timestamp::from_secs(at);
        gate.refused(&about, Stage::Rcpt, &reply, 1, at).durable.expect("an event").wait().unwrap();
    };
    hears("once@y.test", "550 5.1.1 no such user", "spring", now - 60 * day);
    hears("full@y.test", "552 5.2.2 mailbox full", "spring", now - 60 * day);
    hears("full@y.test", "552-5.2.2 mailbox\n552 5.2.2 full", "summer", now - 20 * day);
    hears("gone@gmail.com", "550 5.1.1 no such user", "summer", now - 20 * day);
    hears("idle@y.test", "550 5.2.1 mailbox disabled for inactivity", "summer", now - day);
    drop(gate);
    let addresses = |words: &[&str]| {
        let rows = home.json(words);
        let address = |row: &Value| row["address"].as_str().expect("one").to_owned();
        rows.iter().map(address).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(addresses(&["list", "--category", "user_unknown"]), "gone@gmail.com once@y.test");
    assert_eq!(addresses(&["list", "--category", "mailbox_full"]), "full@y.test");
    assert_eq!(addresses(&["list", "--recurring", "2"]), "full@y.test");
    assert_eq!(addresses(&["list", "--recurring", "3"]), "");
    assert_eq!(addresses(&["list", "--inactive"]), "gone@gmail.com idle@y.test");
    home.ok(&["blacklist", "once@y.test", "--tenant", "acme", "--reason", "r"]);
    home.ok(&["blacklist", "gone@gmail.com", "--tenant", "acme", "--reason", "r"]);
    let counted = &home.json(&["list", "--count"])[0];
    assert_eq!(counted["standings"]["blacklisted"], 2, "{counted}");
    let both = (&counted["quarantined"], &counted["quarantined_or_blacklisted"]);
    assert_eq!(both, (&2.into(), &3.into()), "{counted}");

    assert_eq!(home.json(&["events"]).len(), 5);
    assert_eq!(addresses(&["events", "--campaign", "spring"]), "once@y.test full@y.test");
    assert_eq!(
        addresses(&["events", "--since", "30d", "--category", "user_unknown"]),
        "gone@gmail.com"
    );
    assert_eq!(addresses(&["events", "--address", "Full@Y.test", "--until", "30d"]), "full@y.test");
    assert_eq!(home.json(&["events", "--receiver", "google.com"]).len(), 5);
    assert_eq!(home.json(&["events", "--receiver", "yahoo.com"]).len(), 0);
    let event = &home.json(&["events", "--category", "mailbox_full"])[1];
    assert_eq!((&event["code"], &event["status"]), (&552.into(), &"5.2.2".into()), "{event}");
    assert_eq!((&event["type"], &event["campaign"]), (&"soft".into(), &"summer".into()));
    assert_eq!(event["labels"]["salesforce"], "soft");
    assert_eq!(event["description"], "The mailbox is over its quota");
    let csv = home.ok(&["events", "--csv", "--category", "user_unknown"]);
    assert!(csv.starts_with("at,address,type,code,status,category,"), "{csv}");
    assert!(csv.contains(",once@y.test,hard,550,5.1.1,user_unknown,"), "{csv}");
    assert!(home.ok(&["events"]).contains("552-5.2.2 mailbox 552 5.2.2 full"));
}

fn at(day: i64) -> Timestamp {
    Timestamp::from_secs((20_785 + day) * 86_400 + 43_200)
}
