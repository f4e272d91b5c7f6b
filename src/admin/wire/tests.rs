use super::*;
use crate::policy::verdict::{Listing, decide};
use crate::policy::{Policy, Record};

#[test]
fn a_look_up_begins_as_an_answer_of_simulate_does() {
    let now = Timestamp::from_secs(1_767_225_600);
    let listing = Listing { allowed: false, disposable: Some("yopmail.com".to_owned()) };
    let policy = Policy::preset("quarantine").expect("the preset");
    let decision = decide(Some(&Record::default()), &listing, &Default::default(), now, &policy);
    let answer = Answer::new(now, "a@yopmail.com".to_owned(), &decision);
    let answer = serde_json::to_string(&answer).expect("JSON");
    let found = Found::new(now, "a@yopmail.com", &decision);
    let found = serde_json::to_string(&found).expect("JSON");
    let fields = answer.strip_suffix('}').expect("an object");
    assert!(found.starts_with(fields), "{found}\n{answer}");
    assert!(found.contains(r#""reason":"disposable""#), "{found}");
}

#[test]
fn what_is_read_is_what_was_written() {
    let line = r#"{"address":"a@b.test","reason":"why","for":"7d"}"#;
    let request: ActRequest = serde_json::from_str(line).expect("a request");
    assert_eq!(request.length.as_deref(), Some("7d"));
    assert_eq!(serde_json::to_string(&request).expect("JSON"), line);
    let line = r#"{"addresses":["a@b.test"],"from":"blacklist","tenant":"acme","reason":"why","by":"eve"}"#;
    let request: ReleaseRequest = serde_json::from_str(line).expect("a request");
    assert_eq!(request.from, List::Blacklist);
    assert_eq!(serde_json::to_string(&request).expect("JSON"), line);
}

#[test]
fn what_is_not_understood_is_not_passed_over() {
    let refused = |line: &str| serde_json::from_str::<ActRequest>(line).is_err();
    assert!(refused(r#"{"address":"a@b.test","reason":"why","until":"2027-01-01T00:00:00Z"}"#));
    assert!(refused(r#"{"address":"a@b.test","address":"c@d.test","reason":"why"}"#));
    assert!(refused(r#"{"address":"a@b.test"}"#));
    assert!(refused(r#"["a@b.test"]"#));
}
