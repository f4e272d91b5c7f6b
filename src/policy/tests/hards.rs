//! Hard bounces: Q8, Q9, Q10, Q30, X4, S13 to S16.

use std::time::Duration;

use super::*;
use crate::policy::settings::Distinct;

#[test]
fn the_third_quarantines_for_good() {
    check(
        "gone@example.test",
        &[
            (0, Do::Hard(Some("m1"))),
            (1, PASSES),
            (HOUR, Do::Hard(Some("m2"))),
            (HOUR, PASSES),
            (2 * HOUR, Do::Hard(Some("m3"))),
            (2 * HOUR, LONG_TERM),
            (5000 * DAY, LONG_TERM),
        ],
    );
}

#[test]
fn a_trusted_domain_is_believed_at_once() {
    for address in ["a@gmail.com", "a@HOTMAIL.fr", "a@sub.hotmail.com"] {
        check(address, &[(0, Do::Hard(None)), (0, LONG_TERM)]);
    }
    for address in ["a@notgmail.com", "a@gmail.com.example.test"] {
        check(address, &[(0, Do::Hard(None)), (0, PASSES)]);
    }
}

#[test]
fn a_receiver_can_be_trusted_by_name() {
    let policy = Policy {
        trusted_receivers: ["google.com".to_owned()].into_iter().collect(),
        ..Policy::default()
    };
    let mut seen = evidence(Category::UserUnknown, "550 5.1.1 gone", None);
    seen.context.receiver = Some("aspmx.l.google.com:25".to_owned());
    check_with(&policy, "a@example.test", &[(0, Do::Reply(seen.clone())), (0, LONG_TERM)]);
    seen.context.receiver = Some("mx.google.com.test:25".to_owned());
    check_with(&policy, "a@example.test", &[(0, Do::Reply(seen)), (0, PASSES)]);
}

#[test]
fn one_message_counts_once() {
    check(
        "gone@example.test",
        &[
            (0, Do::Hard(Some("m1"))),
            (DAY, Do::Hard(Some("m1"))),
            (2 * DAY, Do::Hard(Some("m1"))),
            (3 * DAY, Do::Hard(Some("m2"))),
            (3 * DAY, PASSES),
            (4 * DAY, Do::Hard(Some("m3"))),
            (4 * DAY, LONG_TERM),
        ],
    );
}

#[test]
fn within_an_hour_of_the_last_counted_is_once() {
    let twice = [(0, Do::Hard(None)), (2 * HOUR, Do::Hard(None))];
    let third = |secs: i64, verdict: Do| {
        let mut story = twice.to_vec();
        story.extend([(secs, Do::Hard(None)), (secs, verdict)]);
        check("gone@example.test", &story);
    };
    third(3 * HOUR - 1, PASSES);
    third(3 * HOUR, LONG_TERM);
    // The gap is from the last counted one: resubmitting every 50 minutes does not put it off for ever.
    check(
        "gone@example.test",
        &[
            (0, Do::Hard(None)),
            (50 * 60, Do::Hard(None)),
            (100 * 60, Do::Hard(None)),
            (150 * 60, Do::Hard(None)),
            (150 * 60, PASSES),
            (200 * 60, Do::Hard(None)),
            (200 * 60, LONG_TERM),
        ],
    );
}

#[test]
fn a_temporary_reply_is_never_hard() {
    let unknown = evidence(Category::UserUnknown, "450 4.1.1 unknown for now", None);
    let story: Vec<_> = (0..50).map(|day| (day * DAY, Do::Reply(unknown.clone()))).collect();
    let record = check("a@gmail.com", &story);
    assert!(record.is_blank());
}

#[test]
fn a_delivery_begins_the_count_again() {
    check(
        "back@example.test",
        &[
            (0, Do::Hard(None)),
            (DAY, Do::Hard(None)),
            (2 * DAY, Do::Delivered(None)),
            (3 * DAY, Do::Hard(None)),
            (4 * DAY, Do::Hard(None)),
            (4 * DAY, PASSES),
            (5 * DAY, Do::Hard(None)),
            (5 * DAY, LONG_TERM),
            (6 * DAY, Do::Delivered(None)),
            (6 * DAY, PASSES),
        ],
    );
}

#[test]
fn the_next_hard_after_a_release_quarantines_at_once() {
    check(
        "gone@example.test",
        &[
            (0, Do::Hard(None)),
            (DAY, Do::Hard(None)),
            (2 * DAY, Do::Hard(None)),
            (2 * DAY, LONG_TERM),
            (3 * DAY, Do::Release(List::Quarantine)),
            (3 * DAY, PASSES),
            (3 * DAY + 1, Do::Hard(None)),
            (3 * DAY + 1, LONG_TERM),
        ],
    );
    // What the operator supposed is proven by a delivery, and forgotten with it.
    check(
        "gone@example.test",
        &[
            (0, Do::Release(List::Quarantine)),
            (DAY, Do::Delivered(None)),
            (2 * DAY, Do::Hard(None)),
            (2 * DAY, PASSES),
        ],
    );
}

#[test]
fn postmaster_and_abuse_are_never_learnt() {
    for address in ["postmaster@gmail.com", "Abuse@gmail.com"] {
        check(
            address,
            &[
                (0, Do::Hard(None)),
                (DAY, Do::Full(None)),
                (DAY, PASSES),
                (DAY, Do::Quarantine(None)),
                (DAY, Do::Ask("refuse", "manual")),
            ],
        );
    }
}

#[test]
fn a_hard_in_a_temporary_quarantine_makes_it_long_term() {
    check(
        "gone@gmail.com",
        &[(0, Do::Full(None)), (0, TEMPORARY), (DAY, Do::Hard(None)), (DAY, LONG_TERM)],
    );
}

#[test]
fn three_campaigns_and_more_than_fifteen_days() {
    let mut policy = Policy::default();
    policy.hard.distinct = Distinct::Campaign;
    policy.hard.longer_than = Duration::from_secs(15 * 86_400);
    let hard = |campaign: &str| {
        let mut seen = evidence(Category::UserUnknown, "550 5.1.1 gone", None);
        seen.context.campaign = Some(campaign.to_owned());
        Do::Reply(seen)
    };
    let story = |days: [(i64, &str); 3], end: i64, verdict: Do| {
        let mut lines: Vec<_> =
            days.iter().map(|(day, campaign)| (day * DAY, hard(campaign))).collect();
        lines.push((end, hard("c9")));
        lines.push((end, verdict));
        check_with(&policy, "gone@example.test", &lines);
    };
    story([(0, "c1"), (1, "c2"), (2, "c3")], 15 * DAY, PASSES);
    story([(0, "c1"), (1, "c2"), (2, "c3")], 15 * DAY + 1, LONG_TERM);
    story([(0, "c1"), (1, "c1"), (2, "c1")], 30 * DAY, PASSES);
    check_with(&policy, "gone@gmail.com", &[(0, hard("c1")), (0, LONG_TERM)]);
}

#[test]
fn dates_decide_when_events_come_late() {
    // Evidence from before a proof that the mailbox works is answered by it.
    check(
        "a@gmail.com",
        &[
            (0, Do::Deferred(None)),
            (DAY, Do::Delivered(None)),
            (DAY - 1, Do::Hard(None)),
            (DAY - 1, Do::Full(None)),
            (DAY, PASSES),
            (DAY, Do::Hard(None)),
            (DAY, LONG_TERM),
        ],
    );
    // A proof from before the evidence does not undo it, nor does a release.
    check(
        "a@gmail.com",
        &[
            (DAY, Do::Hard(None)),
            (DAY - 1, Do::Delivered(None)),
            (DAY - 1, Do::Release(List::Quarantine)),
            (DAY, LONG_TERM),
        ],
    );
}
