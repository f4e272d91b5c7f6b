//! A record stays small whatever happens, and is stored in a form that both codecs read back.

use super::*;
use crate::policy::record::{EPISODES_MAX, KEYS_MAX, TEXT_MAX};

#[test]
fn a_record_stays_small() {
    let policy = Policy::default();
    let mut record = Record::default();
    for index in 0..1000_i64 {
        let long = format!("{index:04}-{}", "k".repeat(100 * TEXT_MAX));
        for (category, reply) in
            [(Category::UserUnknown, "550 5.1.1 "), (Category::MailboxFull, "452 4.2.2 ")]
        {
            let mut seen = evidence(category, &format!("{reply}{long}"), Some(&long));
            seen.rule = long.clone();
            seen.context.campaign = Some(long.clone());
            let mut lenient = policy.clone();
            lenient.hard.tolerated = u32::MAX;
            let event = event(index * HOUR, "a@b.test", What::Reply(seen));
            record = transition(record, &event, &lenient);
        }
    }
    assert!(record.episodes.len() <= EPISODES_MAX);
    assert!(record.hard.messages.len() <= KEYS_MAX);
    assert!(postcard::to_stdvec(&record).expect("serialises").len() < 16 * 1024);
}

#[test]
fn long_keys_that_start_alike_stay_two() {
    let key = |end: &str| -> &'static str {
        Box::leak(format!("{}{end}", "x".repeat(500)).into_boxed_str())
    };
    let record =
        check("a@b.test", &[(0, Do::Hard(Some(key("1")))), (DAY, Do::Hard(Some(key("2"))))]);
    assert_eq!(record.hard.count, 2);
}

#[test]
fn both_codecs_read_back_what_they_wrote() {
    let record = check(
        "a@b.test",
        &[
            (0, Do::Hard(Some("m1"))),
            (1, Do::Full(Some("m2"))),
            (2, Do::Deferred(None)),
            (3, Do::Complaint),
            (4, Do::Quarantine(Some(9))),
            (5, Do::Allow),
            (6, Do::Release(List::Blacklist)),
            (7, Do::Blacklist),
        ],
    );
    let bytes = postcard::to_stdvec(&record).expect("serialises");
    assert_eq!(postcard::from_bytes::<Record>(&bytes).expect("reads"), record);
    let json = serde_json::to_string(&record).expect("serialises");
    assert_eq!(serde_json::from_str::<Record>(&json).expect("reads"), record);
}
