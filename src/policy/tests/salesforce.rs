//! The preset `salesforce`: S4 to S20.

use super::*;

fn check_salesforce(address: &str, story: &[(i64, Do)]) -> Record {
    check_with(&preset("salesforce"), address, story)
}

fn hard(campaign: &str) -> Do {
    of_campaign(Category::UserUnknown, "550 5.1.1 gone", campaign)
}

/// Hard bounces of three campaigns at these seconds, and what a RCPT gets then.
fn three(seconds: [i64; 3], campaigns: [&str; 3], verdict: Do) {
    let bounces = seconds.into_iter().zip(campaigns).map(|(secs, campaign)| (secs, hard(campaign)));
    let story: Vec<_> = bounces.chain([(seconds[2], verdict)]).collect();
    check_salesforce("gone@example.test", &story);
}

#[test]
fn s04_blocked_and_technical_replies_leave_the_address_for_the_next_send() {
    for (category, reply) in [
        (Category::Blocked, "550 5.7.1 listed"),
        (Category::AuthFailed, "550 5.7.26 unauthenticated"),
        (Category::SpamContent, "554 5.7.1 spam"),
        (Category::Technical, "550 5.4.1 no answer"),
        (Category::MessageRejected, "552 5.3.4 too large"),
    ] {
        let reply = Do::Reply(evidence(category, reply, None));
        let story: Vec<_> =
            (0..10).flat_map(|day| [(day * DAY, reply.clone()), (day * DAY, PASSES)]).collect();
        assert!(check_salesforce("a@gmail.com", &story).is_blank(), "{category}");
    }
}

#[test]
fn s06_s07_the_288_attempts_of_one_message_are_one_soft_bounce() {
    for message in [Some("m1"), None] {
        let attempts = (0..=288).map(|number| (number * 15 * 60, Do::Deferred(message)));
        let record = check_salesforce("full@example.test", &attempts.collect::<Vec<_>>());
        assert_eq!((record.soft.count, record.soft.first), (1, Some(at(72 * HOUR))));
        let attempts = (0..288).map(|number| (number * 15 * 60, Do::Deferred(message)));
        let record = check_salesforce("full@example.test", &attempts.collect::<Vec<_>>());
        assert_eq!(
            record.soft.count, 0,
            "the last attempt but one is 15 minutes short of 72 hours"
        );
    }
}

#[test]
fn s08_s09_a_full_or_disabled_mailbox_is_soft_at_once_when_the_reply_is_final() {
    for (category, reply) in [
        (Category::MailboxFull, "552 5.2.2 full"),
        (Category::MailboxInactive, "550 5.2.1 disabled"),
    ] {
        let story = [(0, Do::Reply(evidence(category, reply, Some("m1"))))];
        assert_eq!(check_salesforce("full@example.test", &story).soft.count, 1);
    }
    // Put off it is under way: not at once (rule 7).
    assert_eq!(
        check_salesforce("full@example.test", &[(0, Do::Deferred(Some("m1")))]).soft.count,
        0
    );
}

#[test]
fn s10_the_third_in_a_row_is_held() {
    check_salesforce(
        "full@example.test",
        &[
            (0, Do::Full(Some("m1"))),
            (1, Do::Full(Some("m2"))),
            (1, PASSES),
            (2, Do::Full(Some("m3"))),
            (2, LONG_TERM),
            (5000 * DAY, LONG_TERM),
        ],
    );
    // The same message twice is no second bounce.
    check_salesforce(
        "full@example.test",
        &[
            (0, Do::Full(Some("m1"))),
            (1, Do::Full(Some("m1"))),
            (2, Do::Full(Some("m2"))),
            (2, PASSES),
        ],
    );
}

#[test]
fn s11_a_success_in_between_begins_the_row_again() {
    check_salesforce(
        "full@example.test",
        &[
            (0, Do::Full(None)),
            (1, Do::Full(None)),
            (2, Do::Delivered(None)),
            (3, Do::Full(None)),
            (4, Do::Full(None)),
            (4, PASSES),
            (5, Do::Full(None)),
            (5, LONG_TERM),
        ],
    );
}

#[test]
fn s12_one_hard_bounce_excludes_nothing_but_its_message() {
    let record = check_salesforce("gone@example.test", &[(0, hard("c1")), (0, PASSES)]);
    assert_eq!(record.hard.count, 1);
}

#[test]
fn s13_s14_three_campaigns_and_more_than_fifteen_days() {
    let names = ["c1", "c2", "c3"];
    three([0, DAY, 15 * DAY - 1], names, PASSES);
    three([0, DAY, 15 * DAY], names, PASSES);
    three([0, DAY, 15 * DAY + 1], names, LONG_TERM);
    // Two, however far apart.
    check_salesforce(
        "gone@example.test",
        &[(0, hard("c1")), (90 * DAY, hard("c2")), (90 * DAY, PASSES)],
    );
    // Campaigns of the same second are two.
    three([0, 0, 16 * DAY], names, LONG_TERM);
    // The one that comes after the fifteenth day, when three came before it.
    let story = [
        (0, hard("c1")),
        (1, hard("c2")),
        (2, hard("c3")),
        (2, PASSES),
        (15 * DAY + 1, hard("c4")),
        (15 * DAY + 1, LONG_TERM),
    ];
    check_salesforce("gone@example.test", &story);
}

#[test]
fn s15_three_of_one_campaign_are_one() {
    three([0, 10 * DAY, 30 * DAY], ["c1", "c1", "c1"], PASSES);
    three([0, 10 * DAY, 30 * DAY], ["c1", "c2", "c1"], PASSES);
}

#[test]
fn s15_without_a_name_sender_and_utc_day_are_the_campaign() {
    // The story begins at midnight UTC.
    let on = |secs: [i64; 3], verdict: Do| {
        let mut story: Vec<_> = secs.map(|secs| (secs, Do::Hard(None))).to_vec();
        story.push((secs[2], verdict));
        check_salesforce("gone@example.test", &story)
    };
    assert_eq!(on([0, DAY - 1, 20 * DAY], PASSES).hard.count, 2, "23:59:59 is the same day");
    assert_eq!(on([0, DAY, 20 * DAY], LONG_TERM).hard.count, 3, "00:00:00 is the next");
    assert_eq!(on([DAY - 1, DAY, 20 * DAY], LONG_TERM).hard.count, 3, "one second apart");
}

#[test]
fn s16_trusted_domains_are_believed_at_the_first() {
    for address in ["a@gmail.com", "a@hotmail.com", "a@hotmail.fr"] {
        check_salesforce(address, &[(0, hard("c1")), (0, LONG_TERM)]);
    }
    check_salesforce("a@hotmail.de", &[(0, hard("c1")), (0, PASSES)]);
}

#[test]
fn s17_an_unknown_domain_is_hard_as_an_unknown_user_is() {
    let gone = of_campaign(Category::DomainUnknown, "550 5.1.2 no such domain", "c1");
    let record = check_salesforce("a@hotlook.fr", &[(0, gone)]);
    assert_eq!(record.hard.count, 1);
}

#[test]
fn s20_an_opening_makes_active_again() {
    let held = [(0, Do::Full(None)), (1, Do::Full(None)), (2, Do::Full(None)), (2, LONG_TERM)];
    check_salesforce("full@example.test", &[&held[..], &[(3, Do::Engaged), (3, PASSES)]].concat());
    check_salesforce("a@gmail.com", &[(0, hard("c1")), (1, Do::Engaged), (1, PASSES)]);
    let record = check_salesforce("a@example.test", &[(0, hard("c1")), (1, Do::Engaged)]);
    assert_eq!(record.hard.count, 0);
}
