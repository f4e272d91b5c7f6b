//! The preset `marketo`: M1 to M11.

use super::*;

const BLOCKED: &str = "550 5.7.1 blocked by a list";
const HELD: Do = ENDING;

fn check_marketo(address: &str, story: &[(i64, Do)]) -> Record {
    check_with(&preset("marketo"), address, story)
}

fn blocked(message: Option<&str>) -> Do {
    Do::Reply(evidence(Category::Blocked, BLOCKED, message))
}

#[test]
fn m02_an_invalid_address_is_refused_from_the_first_reply_on() {
    for address in ["gone@example.test", "gone@gmail.com"] {
        for category in [Category::UserUnknown, Category::DomainUnknown] {
            let gone = Do::Reply(evidence(category, "550 5.1.1 gone", None));
            check_marketo(address, &[(0, gone), (0, LONG_TERM), (5000 * DAY, LONG_TERM)]);
        }
    }
}

#[test]
fn m03_what_is_hard_by_number_and_temporary_by_nature_blocks_nothing() {
    let story: Vec<_> =
        (0..100).flat_map(|day| [(day * DAY, blocked(None)), (day * DAY, PASSES)]).collect();
    let record = check_marketo("a@gmail.com", &story);
    let standing =
        crate::policy::Standing::of(&record, &Tenant::default(), at(100 * DAY), &preset("marketo"));
    assert_eq!((standing.name(), record.blocked.count), ("clear", 100));
}

#[test]
fn m04_blocks_are_counted_once_for_each_message() {
    let record = check_marketo(
        "a@example.test",
        &[
            (0, blocked(Some("m1"))),
            (1, blocked(Some("m1"))),
            (2, blocked(Some("m2"))),
            (3, blocked(None)),
            (4, blocked(None)),
            // Attempts of a message that is put off are no bounces.
            (5, Do::Reply(evidence(Category::Blocked, "450 4.7.1 blocked", None))),
            // No category 1.
            (6, Do::Reply(evidence(Category::Policy, "550 5.3.2 no", None))),
            (7, Do::Reply(evidence(Category::Technical, "550 5.4.1 no", None))),
        ],
    );
    assert_eq!(
        (record.blocked.count, record.blocked.first, record.blocked.last),
        (4, Some(at(0)), Some(at(4)))
    );
    for (category, reply) in [
        (Category::AuthFailed, "550 5.7.26 no"),
        (Category::SpamContent, "554 spam"),
        (Category::Policy, "550 5.7.1 no"),
    ] {
        let record =
            check_marketo("a@example.test", &[(0, Do::Reply(evidence(category, reply, None)))]);
        assert_eq!(record.blocked.count, 1, "{category}");
    }
    // Whatever the reply is about, as long as it is about one recipient.
    let mut about_message = evidence(Category::SpamContent, "554 5.7.1 spam", None);
    (about_message.scope, about_message.stage) = (Scope::Message, Stage::EndOfData);
    let mut about_sender = evidence(Category::Blocked, "550 5.7.1 blocked", None);
    about_sender.stage = Stage::Mail;
    let story = [(0, Do::Reply(about_message)), (1, Do::Reply(about_sender))];
    assert_eq!(check_marketo("a@example.test", &story).blocked.count, 1);
}

#[test]
fn m04_other_presets_do_not_count_blocks() {
    for name in ["quarantine", "salesforce", "activecampaign"] {
        assert!(
            check_with(&preset(name), "a@gmail.com", &[(0, blocked(None))]).is_blank(),
            "{name}"
        );
    }
}

#[test]
fn m06_any_success_clears_the_count() {
    for proof in [Do::Delivered(None), Do::Release(List::Quarantine)] {
        let record = check_marketo("a@example.test", &[(0, blocked(None)), (DAY, proof)]);
        assert_eq!(record.blocked.count, 0);
    }
    let record = check_marketo("a@example.test", &[(0, blocked(None))]);
    assert!(record.awaits_delivery(), "the gate would not keep the delivery");
}

#[test]
fn m10_a_soft_bounce_holds_for_a_day_and_no_longer() {
    let mut story = Vec::new();
    for day in 0..50 {
        story.push((day * DAY, Do::Full(None)));
        story.push((day * DAY, HELD));
        story.push(((day + 1) * DAY - 1, HELD));
        story.push(((day + 1) * DAY, PASSES));
    }
    let record = check_marketo("full@example.test", &story);
    assert_eq!(record.soft.count, 50, "m11: each is counted");
}

#[test]
fn m11_a_run_makes_invalid_where_the_policy_says_how_long() {
    let mut policy = preset("marketo");
    policy.soft.long_term_at = 3;
    let bounces = |count: i64| (0..count).map(|day| (day * DAY, Do::Full(None)));
    let story: Vec<_> = bounces(2).chain([(DAY, HELD), (2 * DAY, PASSES)]).collect();
    check_with(&policy, "full@example.test", &story);
    let story: Vec<_> = bounces(3).chain([(2 * DAY, LONG_TERM), (900 * DAY, LONG_TERM)]).collect();
    check_with(&policy, "full@example.test", &story);
    // Continuously: a success in between begins the run again.
    let story = [
        (0, Do::Full(None)),
        (DAY, Do::Full(None)),
        (2 * DAY, Do::Delivered(None)),
        (3 * DAY, Do::Full(None)),
        (3 * DAY, HELD),
    ];
    check_with(&policy, "full@example.test", &story);
}
