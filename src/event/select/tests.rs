use super::*;
use crate::bounce::{Scope, Stage};
use crate::event::{Act, Context, What};
use crate::event::{Delivery, EventId, Evidence, ImportKind, Imported, Tenant};
use crate::smtp::address::RecipientKey;

fn event(secs: i64, what: What) -> Event {
    Event {
        id: EventId("01".to_owned()),
        at: Timestamp::from_secs(secs),
        address: RecipientKey::parse("a@Example.test").expect("an address"),
        tenant: Tenant::default(),
        what,
    }
}

fn at(receiver: Option<&str>) -> Context {
    Context { receiver: receiver.map(str::to_owned), ..Context::default() }
}

fn reply(category: Category, receiver: Option<&str>) -> What {
    What::Reply(Evidence {
        category,
        scope: Scope::Recipient,
        stage: Stage::Rcpt,
        reply: "550 5.1.1 no".to_owned(),
        rule: "google.unknown".to_owned(),
        context: at(receiver),
    })
}

/// A row of an import.
fn row() -> Imported {
    Imported {
        kind: ImportKind::Hard,
        source: "old-esp".to_owned(),
        batch: "b1".to_owned(),
        row: Some(1),
        dated: None,
        until: None,
        category: Some(Category::DomainUnknown),
        detail: String::new(),
        forced: false,
        again: false,
        learnt: false,
        act: Act { reason: "moved".to_owned(), by: "adam".to_owned() },
    }
}

fn selector(text: &str) -> Selector {
    serde_json::from_str(text).unwrap_or_else(|fault| panic!("{text}: {fault}"))
}

fn selects(text: &str, event: &Event) -> bool {
    selector(text).selects(event)
}

#[test]
fn a_window_takes_its_first_second_and_not_its_last() {
    let window = r#"{"since":"1970-01-01T00:01:40Z","until":"1970-01-01T00:03:20Z"}"#;
    let inside = |secs| selects(window, &event(secs, What::Engaged));
    assert_eq!([99, 100, 199, 200].map(inside), [false, true, true, false]);
    let since = |secs| selects(r#"{"since":"1970-01-01T00:01:40Z"}"#, &event(secs, What::Engaged));
    assert_eq!([99, 100, 9999].map(since), [false, true, true]);
    let until = |secs| selects(r#"{"until":"1970-01-01T00:01:40Z"}"#, &event(secs, What::Engaged));
    assert_eq!([-1, 99, 100].map(until), [true, true, false]);
}

#[test]
fn a_receiver_is_a_host_or_what_is_below_a_domain() {
    let check = |wanted: &str, receiver: Option<&str>, expected: bool| {
        let text = serde_json::json!({ "receiver": wanted }).to_string();
        for what in [
            reply(Category::UserUnknown, receiver),
            What::Delivered(Delivery { reply: String::new(), context: at(receiver) }),
        ] {
            assert_eq!(selects(&text, &event(1, what)), expected, "{wanted} of {receiver:?}");
        }
    };
    for receiver in ["google.com", "mx.google.com:25", "MX.GOOGLE.COM.:25", "a.b.google.com"] {
        for wanted in ["google.com", "Google.com.", ".google.com", "google.com:2525"] {
            check(wanted, Some(receiver), true);
        }
    }
    check("google.com", Some("notgoogle.com:25"), false);
    check("google.com", Some("google.com.evil.test"), false);
    check("mx.google.com", Some("google.com"), false);
    check("google.com", None, false);
    check("192.0.2.1", Some("192.0.2.1:25"), true);
    check("192.0.2.1", Some("192.0.2.11:25"), false);
    check("[2001:db8::1]:25", Some("[2001:DB8::1]:26"), true);
    check("é.test", Some("é.test"), true);
    check("é.test", Some("x©.test"), false);
    assert!(!selects(r#"{"receiver":"google.com"}"#, &event(1, What::Engaged)));
}

#[test]
fn each_condition_is_about_its_own_field() {
    let unknown = event(1, reply(Category::UserUnknown, Some("mx.test:25")));
    let complaint = event(1, What::Complaint { source: Some("fbl".to_owned()) });
    let act = Act { reason: "r".to_owned(), by: "eve".to_owned() };
    let allow = event(1, What::Allow { act });
    let check = |text: &str, expected: [bool; 3]| {
        assert_eq!(
            [&unknown, &complaint, &allow].map(|event| selects(text, event)),
            expected,
            "{text}"
        );
    };
    let imported = event(1, What::Imported(row()));
    for (text, expected) in [
        (r#"{"source":"old-esp"}"#, true),
        (r#"{"source":"b1"}"#, false),
        (r#"{"batch":"b1"}"#, true),
        (r#"{"batch":"old-esp"}"#, false),
        (r#"{"batch":"b"}"#, false),
        (r#"{"by":"adam"}"#, true),
        (r#"{"by":"eve"}"#, false),
        (r#"{"category":"domain_unknown"}"#, true),
        (r#"{"category":"user_unknown"}"#, false),
        (r#"{"source":"old-esp","batch":"b2"}"#, false),
    ] {
        assert_eq!(selects(text, &imported), expected, "{text}");
    }
    check(r#"{"category":"user_unknown"}"#, [true, false, false]);
    check(r#"{"category":"mailbox_full"}"#, [false; 3]);
    check(r#"{"category":"complaint"}"#, [false, true, false]);
    check(r#"{"rule":"google.unknown"}"#, [true, false, false]);
    check(r#"{"rule":"google"}"#, [false; 3]);
    check(r#"{"source":"fbl"}"#, [false, true, false]);
    check(r#"{"source":"other"}"#, [false; 3]);
    check(r#"{"by":"eve"}"#, [false, false, true]);
    check(r#"{"by":"adam"}"#, [false; 3]);
    check(r#"{"domain":"EXAMPLE.test."}"#, [true; 3]);
    check(r#"{"domain":"test"}"#, [false; 3]);
    check(r#"{"batch":"b1"}"#, [false; 3]);
    // All must hold.
    check(r#"{"category":"user_unknown","domain":"example.test"}"#, [true, false, false]);
    check(r#"{"category":"user_unknown","domain":"other.test"}"#, [false; 3]);
    check(r#"{"by":"eve","until":"1970-01-01T00:00:01Z"}"#, [false; 3]);
}

#[test]
fn what_selects_everything_or_nothing_is_refused() {
    assert_eq!(Selector::new(Conditions::default()), Err(SelectFault::Empty));
    let (since, until) = (Timestamp::from_secs(5), Timestamp::from_secs(5));
    let never = Conditions { since: Some(since), until: Some(until), ..Conditions::default() };
    assert_eq!(Selector::new(never), Err(SelectFault::Never { since, until }));
    for text in ["", "."] {
        let empty = Conditions { receiver: Some(text.to_owned()), ..Conditions::default() };
        assert_eq!(Selector::new(empty), Err(SelectFault::Text("receiver")), "{text:?}");
    }
    let long = Conditions { rule: Some("x".repeat(TEXT_MAX + 1)), ..Conditions::default() };
    assert_eq!(Selector::new(long), Err(SelectFault::Text("rule")));
}

#[test]
fn it_is_kept_as_it_is_compared() {
    let select = selector(r#"{"receiver":".MX.Test.:25","domain":"Ünï.test"}"#);
    let kept = serde_json::to_string(&select).expect("JSON");
    assert_eq!(kept, r#"{"receiver":"mx.test","domain":"xn--n-nga1b.test"}"#);
    assert_eq!(selector(&kept), select);
    assert_eq!(select.to_string(), "receiver=mx.test domain=xn--n-nga1b.test");
}
