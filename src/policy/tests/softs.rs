//! Steps of the soft quarantine: Q2 to Q6, Q11, Q30, X5, S10, S11.

use super::*;

/// A final soft bounce at each release: the starts of the steps.
const STARTS: [i64; 6] = [0, WEEK, 3 * WEEK, 7 * WEEK, 15 * WEEK, 31 * WEEK];

#[test]
fn one_two_four_eight_sixteen_weeks_then_for_good() {
    let mut story = Vec::new();
    for pair in STARTS.windows(2) {
        let &[start, end] = pair else { unreachable!() };
        story.push((start, Do::Full(None)));
        story.push((start, TEMPORARY));
        story.push((end - 1, ENDING));
        story.push((end, PASSES));
    }
    story.push((31 * WEEK, Do::Full(None)));
    story.push((31 * WEEK, LONG_TERM));
    story.push((5000 * WEEK, LONG_TERM));
    check("full@example.test", &story);
}

#[test]
fn nothing_is_quarantined_by_time_alone() {
    let record = check("full@example.test", &[(0, Do::Full(None))]);
    assert!(forwards(&record, 1000 * WEEK));
}

#[test]
fn within_four_hours_of_the_end_it_is_deferred() {
    check(
        "full@example.test",
        &[
            (0, Do::Full(None)),
            (WEEK - 4 * HOUR - 1, TEMPORARY),
            (WEEK - 4 * HOUR, ENDING),
            (WEEK - 1, ENDING),
            (WEEK, PASSES),
        ],
    );
}

#[test]
fn inside_a_quarantine_no_step_is_taken() {
    check(
        "full@example.test",
        &[
            (0, Do::Full(Some("m1"))),
            (DAY, Do::Full(Some("m2"))),
            (WEEK - 1, Do::Full(Some("m3"))),
            (WEEK, PASSES),
            // The second step, not the fourth.
            (WEEK, Do::Full(Some("m4"))),
            (3 * WEEK - 1, ENDING),
            (3 * WEEK, PASSES),
        ],
    );
}

#[test]
fn a_delivery_resets_the_streak_and_lifts() {
    check(
        "full@example.test",
        &[
            (0, Do::Full(None)),
            (WEEK, Do::Full(None)),
            (2 * WEEK, TEMPORARY),
            (2 * WEEK, Do::Delivered(None)),
            (2 * WEEK, PASSES),
            (3 * WEEK, Do::Full(None)),
            (4 * WEEK - 1, ENDING),
            (4 * WEEK, PASSES),
        ],
    );
}

#[test]
fn a_release_resets_the_step() {
    check(
        "full@example.test",
        &[
            (0, Do::Full(None)),
            (WEEK, Do::Full(None)),
            (WEEK + DAY, Do::Release(List::Quarantine)),
            (WEEK + DAY, PASSES),
            (WEEK + 2 * DAY, Do::Full(None)),
            (2 * WEEK + 2 * DAY - 1, ENDING),
            (2 * WEEK + 2 * DAY, PASSES),
        ],
    );
}

#[test]
fn spam_and_the_rest_never_quarantine() {
    use Category::*;
    for category in [
        Deferred,
        Throttled,
        Technical,
        Blocked,
        AuthFailed,
        SpamContent,
        MessageRejected,
        Policy,
        Undetermined,
        Complaint,
        AutoReply,
    ] {
        let story: Vec<_> = (0..100)
            .map(|day| (day * DAY, Do::Reply(evidence(category, "550 5.7.1 no", None))))
            .collect();
        assert!(check("a@gmail.com", &story).is_blank(), "{category}");
    }
}

#[test]
fn tolerated_bounces_come_before_the_first_step() {
    let mut policy = super::Policy::default();
    policy.soft.tolerated = 2;
    policy.soft.steps = Vec::new();
    check_with(
        &policy,
        "full@example.test",
        &[
            (0, Do::Full(None)),
            (DAY, Do::Full(None)),
            (DAY, PASSES),
            (2 * DAY, Do::Delivered(None)),
            (3 * DAY, Do::Full(None)),
            (4 * DAY, Do::Full(None)),
            (4 * DAY, PASSES),
            (5 * DAY, Do::Full(None)),
            (5 * DAY, LONG_TERM),
        ],
    );
}

#[test]
fn an_opening_counts_only_if_the_policy_says_so() {
    let full = [(0, Do::Full(None)), (DAY, Do::Engaged)];
    check("full@example.test", &[full.as_slice(), &[(DAY, TEMPORARY)]].concat());
    let policy = super::Policy { engaged_clears: true, ..super::Policy::default() };
    check_with(&policy, "full@example.test", &[full.as_slice(), &[(DAY, PASSES)]].concat());
}
