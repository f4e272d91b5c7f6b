//! The preset `activecampaign`: A1 to A10. Its table is in `literal`.

use super::*;

fn check_active(address: &str, story: &[(i64, Do)]) -> Record {
    check_with(&preset("activecampaign"), address, story)
}

fn full(campaign: &str) -> Do {
    of_campaign(Category::MailboxFull, "552 5.2.2 full", campaign)
}

#[test]
fn a01_hard_is_bounced_immediately() {
    for address in ["gone@example.test", "gone@gmail.com"] {
        check_active(address, &[(0, Do::Hard(None)), (0, LONG_TERM), (5000 * DAY, LONG_TERM)]);
    }
}

#[test]
fn a02_the_third_soft_in_a_row_of_three_campaigns() {
    check_active(
        "full@example.test",
        &[
            (0, full("c1")),
            (1, full("c2")),
            (1, PASSES),
            (2, full("c3")),
            (2, LONG_TERM),
            (5000 * DAY, LONG_TERM),
        ],
    );
}

#[test]
fn a02_without_a_name_the_campaign_ends_at_midnight() {
    let on = |secs: [i64; 3], verdict: Do| {
        let mut story: Vec<_> = secs.map(|secs| (secs, Do::Full(None))).to_vec();
        story.push((secs[2], verdict));
        check_active("full@example.test", &story);
    };
    on([DAY - 1, DAY, 2 * DAY - 1], PASSES);
    on([DAY - 1, DAY, 2 * DAY], LONG_TERM);
}

#[test]
fn a03_a_success_begins_the_row_again() {
    check_active(
        "full@example.test",
        &[
            (0, full("c1")),
            (1, full("c2")),
            (2, Do::Delivered(None)),
            (3, full("c3")),
            (3, PASSES),
            (4, full("c4")),
            (4, PASSES),
            // Campaigns of the row before count again.
            (5, full("c1")),
            (5, LONG_TERM),
        ],
    );
}

#[test]
fn a04_three_of_one_campaign_are_one() {
    check_active(
        "full@example.test",
        &[(0, full("c1")), (DAY, full("c1")), (2 * DAY, full("c1")), (2 * DAY, PASSES)],
    );
    let attempts = (0..400).map(|number| (number * HOUR, Do::Deferred(Some("m1"))));
    let record = check_active("full@example.test", &attempts.collect::<Vec<_>>());
    assert_eq!(record.soft.count, 1);
}

#[test]
fn a05_what_its_text_calls_soft_bounces_nobody_at_once() {
    for (category, reply) in [
        (Category::Deferred, "450 4.3.0 server is down"),
        (Category::Throttled, "450 4.7.0 too busy"),
        (Category::MailboxFull, "552 5.2.2 full"),
        (Category::MessageRejected, "552 5.3.4 message too large"),
        (Category::AuthFailed, "550 5.7.26 authentication failed"),
    ] {
        check_active(
            "a@example.test",
            &[(0, Do::Reply(evidence(category, reply, None))), (0, PASSES)],
        );
    }
}

#[test]
fn a09_nothing_but_a_release_or_a_delivery_takes_a_hard_bounce_back() {
    check_active(
        "gone@example.test",
        &[
            (0, Do::Hard(None)),
            (DAY, Do::Engaged),
            (DAY, LONG_TERM),
            (2 * DAY, Do::Release(List::Quarantine)),
            (2 * DAY, PASSES),
            (3 * DAY, Do::Hard(None)),
            (3 * DAY, LONG_TERM),
        ],
    );
}

#[test]
fn a10_a_temporary_block_resolves_by_itself() {
    let block = evidence(Category::Blocked, "421 4.7.0 blocked for now", None);
    let story: Vec<_> = (0..100)
        .flat_map(|hour| [(hour * HOUR, Do::Reply(block.clone())), (hour * HOUR, PASSES)])
        .collect();
    assert!(check_active("a@example.test", &story).is_blank());
}
