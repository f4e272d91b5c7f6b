//! Clocks that jump, and edges to the second that no other file has.

use super::*;

#[test]
fn asking_with_a_clock_gone_wrong_releases_nobody() {
    let record = check(
        "full@example.test",
        &[
            (0, Do::Full(None)),
            (1, TEMPORARY),
            // Ten years ahead everything temporary is over; back again it holds as before: asking leaves no trace.
            (3650 * DAY, PASSES),
            (2, TEMPORARY),
            // Before it began as well.
            (-3650 * DAY, TEMPORARY),
            (WEEK - 1, ENDING),
            (WEEK, PASSES),
        ],
    );
    assert_eq!(record.soft.count, 1);
}

#[test]
fn one_event_dated_ahead_moves_no_other_address() {
    // Each address is a fold of its own events: what is dated wrong for one is wrong for one.
    let quarantined = check("a@example.test", &[(0, Do::Full(None))]);
    let ahead = check("b@example.test", &[(3650 * DAY, Do::Full(None))]);
    assert!(!forwards(&quarantined, 1) && !forwards(&ahead, 1));
    assert!(forwards(&quarantined, WEEK));
}

#[test]
fn an_event_dated_ahead_takes_no_long_term_quarantine_away() {
    check(
        "gone@gmail.com",
        &[
            (0, Do::Hard(None)),
            (3650 * DAY, Do::Full(None)),
            (1, LONG_TERM),
            (9999 * DAY, LONG_TERM),
        ],
    );
}

#[test]
fn an_event_dated_back_shortens_no_quarantine() {
    check(
        "full@example.test",
        &[
            (0, Do::Full(Some("m1"))),
            (-WEEK, Do::Full(Some("m2"))),
            (-WEEK, Do::Delivered(Some("m3"))),
            (1, Do::Engaged),
            (WEEK - 4 * HOUR - 1, TEMPORARY),
        ],
    );
}

#[test]
fn attempts_across_a_jump_of_the_clock_are_one_message() {
    // Back: the message has been tried since the earlier date.
    let record = check(
        "full@example.test",
        &[
            (0, Do::Deferred(Some("m1"))),
            (-HOUR, Do::Deferred(Some("m1"))),
            (HOUR, Do::Deferred(Some("m1"))),
            (HOUR, PASSES),
        ],
    );
    assert_eq!((record.episodes.len(), record.soft.count), (1, 0));
    // Forward: as if that time had passed, a bounce within what is remembered of a message and a new message beyond it.
    let ahead = |days: i64, verdict: Do| {
        let attempt = || Do::Deferred(Some("m1"));
        let story = [(0, attempt()), (days * DAY, attempt()), (days * DAY, verdict)];
        check("full@example.test", &story);
    };
    ahead(4, TEMPORARY);
    ahead(400, PASSES);
}

#[test]
fn min_gap_counts_both_ways() {
    // The clock went back: an hour before the last counted one is as far as an hour behind it.
    let third = |secs: i64, verdict: Do| {
        check(
            "gone@example.test",
            &[
                (0, Do::Hard(None)),
                (2 * HOUR, Do::Hard(None)),
                (secs, Do::Hard(None)),
                (3 * HOUR, verdict),
            ],
        )
    };
    third(HOUR + 1, PASSES);
    third(HOUR, LONG_TERM);
}
