//! Attempts and bounces: rule 7, S7, and "an attempt is not a bounce".

use super::*;

/// The attempts of Postfix for one message: doubling from 300 s to 4,000 s, then every 4,000 s until five days have passed.
fn postfix(start: i64, message: Option<&'static str>) -> Vec<(i64, Do)> {
    let mut story = Vec::new();
    let (mut secs, mut wait) = (0, 300);
    while secs <= 5 * DAY {
        story.push((start + secs, Do::Deferred(message)));
        secs += wait;
        wait = (wait * 2).min(4000);
    }
    story
}

#[test]
fn five_days_of_attempts_are_one_bounce() {
    for message in [Some("m1"), None] {
        let story = postfix(0, message);
        assert!(story.len() > 100);
        // The first attempt at or after 72 h is the bounce.
        let bounce = story
            .iter()
            .map(|(secs, _)| *secs)
            .find(|secs| *secs >= 72 * HOUR)
            .expect("an attempt");
        let record = check("full@example.test", &story);
        assert_eq!(record.soft.count, 1);
        assert_eq!(record.soft.first, Some(at(bounce)));
        assert!(!forwards(&record, bounce + WEEK - 1));
        assert!(forwards(&record, bounce + WEEK));
    }
}

#[test]
fn the_bounce_is_the_first_attempt_at_or_after_the_window() {
    check(
        "full@example.test",
        &[
            (0, Do::Deferred(Some("m1"))),
            (40 * HOUR, Do::Deferred(Some("m1"))),
            (72 * HOUR - 1, Do::Deferred(Some("m1"))),
            (72 * HOUR - 1, PASSES),
            (72 * HOUR, Do::Deferred(Some("m1"))),
            (72 * HOUR, TEMPORARY),
            (72 * HOUR + WEEK - 1, ENDING),
            (72 * HOUR + WEEK, PASSES),
            // Counted already.
            (72 * HOUR + WEEK, Do::Deferred(Some("m1"))),
            (72 * HOUR + WEEK, Do::Full(Some("m1"))),
            (72 * HOUR + WEEK, PASSES),
        ],
    );
    for secs in [72 * HOUR, 80 * HOUR] {
        let twice = [(0, Do::Deferred(Some("m1"))), (secs, Do::Deferred(Some("m1")))];
        check("full@example.test", &[twice.as_slice(), &[(secs, TEMPORARY)]].concat());
    }
}

#[test]
fn without_a_message_key_the_sender_joins_within_the_window() {
    let twice = |gap: i64, verdict: Do| {
        check(
            "full@example.test",
            &[(0, Do::Deferred(None)), (gap, Do::Deferred(None)), (gap, verdict)],
        )
    };
    twice(72 * HOUR, TEMPORARY);
    twice(72 * HOUR + 1, PASSES);
    let mut other = evidence(Category::MailboxFull, "452 4.2.2 full", None);
    other.context.sender = Some("<other@sender.test>".to_owned());
    check(
        "full@example.test",
        &[(0, Do::Deferred(None)), (72 * HOUR, Do::Reply(other)), (72 * HOUR, PASSES)],
    );
}

#[test]
fn silence_after_a_long_try_is_a_bounce_at_the_last_attempt() {
    let last = 12 * HOUR;
    let tried = [(0, Do::Deferred(Some("m1"))), (last, Do::Deferred(Some("m1")))];
    let story = |asked: &[(i64, Do)]| {
        check("full@example.test", &[tried.as_slice(), asked].concat());
    };
    story(&[(last + 72 * HOUR - 1, PASSES), (last + 72 * HOUR, TEMPORARY)]);
    story(&[(last + WEEK - 1, ENDING), (last + WEEK, PASSES)]);
    // Asked much later: it was a step all the same.
    story(&[
        (last + 10 * WEEK, Do::Full(Some("m2"))),
        (last + 12 * WEEK - 1, ENDING),
        (last + 12 * WEEK, PASSES),
    ]);
}

#[test]
fn silence_after_a_short_try_leaves_no_trace() {
    let record = check(
        "full@example.test",
        &[
            (0, Do::Deferred(None)),
            (12 * HOUR - 1, Do::Deferred(None)),
            (100 * HOUR, PASSES),
            (30 * DAY, PASSES),
        ],
    );
    assert!(crate::policy::settle(record, at(30 * DAY), &Policy::default()).is_blank());
}

#[test]
fn a_delivery_closes_without_trace() {
    check(
        "full@example.test",
        &[
            (0, Do::Deferred(Some("m1"))),
            (70 * HOUR, Do::Deferred(Some("m1"))),
            (71 * HOUR, Do::Delivered(Some("m1"))),
            (73 * HOUR, Do::Deferred(Some("m1"))),
            (200 * HOUR, PASSES),
        ],
    );
}

#[test]
fn two_messages_open_at_once_are_one_step() {
    let both =
        |secs: i64| [(secs, Do::Deferred(Some("m1"))), (secs + HOUR, Do::Deferred(Some("m2")))];
    let mut story = Vec::new();
    for day in 0..=4 {
        story.extend(both(day * DAY));
    }
    let record = check("full@example.test", &story);
    assert_eq!(record.soft.count, 1, "the second became a bounce inside the quarantine");
    assert!(record.episodes.iter().all(|episode| episode.counted));
    assert!(forwards(&record, 3 * DAY + WEEK));
}

#[test]
fn a_final_soft_reply_is_a_bounce_and_ends_the_message() {
    let record = check(
        "full@example.test",
        &[
            (0, Do::Deferred(Some("m1"))),
            (HOUR, Do::Full(Some("m1"))),
            (HOUR, TEMPORARY),
            (HOUR + WEEK, PASSES),
            (HOUR + WEEK, Do::Deferred(Some("m1"))),
            (HOUR + 2 * WEEK, PASSES),
        ],
    );
    assert_eq!(record.soft.count, 1);
}

#[test]
fn what_an_episode_tried_before_a_release_is_released_too() {
    check(
        "full@example.test",
        &[
            (0, Do::Deferred(Some("m1"))),
            (13 * HOUR, Do::Deferred(Some("m1"))),
            (14 * HOUR, Do::Release(List::Quarantine)),
            (90 * HOUR, PASSES),
        ],
    );
}

#[test]
fn greylisting_opens_nothing() {
    let grey = evidence(Category::Deferred, "450 4.2.0 greylisted", Some("m1"));
    let story: Vec<_> = (0..200).map(|hour| (hour * HOUR, Do::Reply(grey.clone()))).collect();
    assert!(check("new@example.test", &story).is_blank());
}

#[test]
fn a_daily_mailing_without_keys_is_not_one_message_for_ever() {
    // Monitor mode forwards what it would refuse, so attempts go on in the quarantine.
    let story: Vec<_> = (0..40).map(|day| (day * DAY, Do::Deferred(None))).collect();
    let record = check("full@example.test", &story);
    assert!(record.soft.count >= 2, "{record:#?}");
}

#[test]
fn silent_messages_fall_due_in_the_order_of_their_last_attempts() {
    // The one that was opened last fell silent first: its bounce is the step, the other's is inside the quarantine.
    check(
        "full@example.test",
        &[
            (0, Do::Deferred(Some("m1"))),
            (1, Do::Deferred(Some("m2"))),
            (DAY, Do::Deferred(Some("m2"))),
            (2 * DAY, Do::Deferred(Some("m1"))),
            (DAY + WEEK - 1, ENDING),
            (DAY + WEEK, PASSES),
        ],
    );
}
