//! A record stays small whatever happens, and is stored in a form that both codecs read back.

use super::*;
use crate::policy::record::{EPISODES_MAX, KEYS_MAX};
use crate::policy::text::{TEXT_MAX, one_line};

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

/// A line as it would be made of the reply read into fields.
fn line_of_fields(text: &str) -> String {
    let Some(reply) = crate::smtp::reply::Reply::from_text(text) else {
        return printable(text, TEXT_MAX);
    };
    let status = reply.status.map(|status| format!(" {status}")).unwrap_or_default();
    let head = format!("{}{status}", reply.code);
    if reply.text.is_empty() {
        return head;
    }
    // A last line without text adds nothing, not even a space.
    let text = reply.text.strip_suffix('\n').unwrap_or(&reply.text);
    format!("{head} {}", printable(text, TEXT_MAX - head.len() - 1))
}

fn printable(text: &str, max: usize) -> String {
    let plain = |character: char| match character {
        ' '..='~' => character,
        _ if character.is_control() => ' ',
        _ => '?',
    };
    text.chars().take(max).map(plain).collect()
}

#[test]
fn a_line_is_cut_where_its_fields_would_be() {
    for length in TEXT_MAX - 20..TEXT_MAX + 5 {
        let text = format!("550-5.1.1 {}\n550-5.1.1\n550 5.1.1 end", "x".repeat(length));
        assert_eq!(one_line(&text), line_of_fields(&text), "{length}");
    }
    for (text, line) in [
        ("450", "450"),
        ("550-abc\n550", "550 abc"),
        ("450-\n450", "450 "),
        ("550-\n550 abc", "550  abc"),
    ] {
        assert_eq!(
            (one_line(text), line_of_fields(text)),
            (line.to_owned(), line.to_owned()),
            "{text:?}"
        );
    }
}

proptest::proptest! {
    #[test]
    fn a_reply_on_one_line_says_what_its_fields_say(
        lines in proptest::collection::vec("(550|450|55)[- ]?([245]\\.[0-9]\\.[0-9]{1,4})?[ :;x]?[a-z \u{e9}\u{1}]{0,90}", 0..4),
        end in proptest::sample::select(vec!["\n", "\r\n", "\n\n", "\r"]),
    ) {
        let text = lines.join(end);
        proptest::prop_assert_eq!(one_line(&text), line_of_fields(&text));
    }

    #[test]
    fn attempts_of_one_message_leave_the_cause_of_the_last(replies in proptest::collection::vec("4[0-9]{2} [ -~]{0,200}", 2..4)) {
        let tell = |replies: &[String]| {
            let policy = Policy::default();
            let mut record = Record::default();
            for (index, reply) in (0..).zip(replies) {
                let mut seen = evidence(Category::MailboxFull, reply, Some("message"));
                seen.rule = format!("rule{index}");
                let event = event(index * HOUR, "a@b.test", What::Reply(seen));
                record = transition(record, &event, &policy);
            }
            record.episodes.into_iter().map(|episode| episode.cause.reply).collect::<Vec<_>>()
        };
        let last = replies.last().cloned().into_iter().collect::<Vec<_>>();
        proptest::prop_assert_eq!(tell(&replies), tell(&last));
    }
}
