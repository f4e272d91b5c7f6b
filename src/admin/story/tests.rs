use super::*;
use crate::bounce::classify::Classifier;
use crate::event::{Act, Delivery};
use crate::gate::{Draft, GateSettings};

const HOUR: i64 = 3600;

/// What happens to an address, at hours after the start.
enum Do {
    Refused(Category, &'static str, &'static str),
    Delivered,
    Act(What),
}

use Do::{Act as Acted, Delivered, Refused};

fn act() -> Act {
    Act { reason: "why".to_owned(), by: "eve".to_owned() }
}

/// Tells the story of `address` at the hour `now`, and compares what each event did and what comes next.
fn check(address: &str, events: &[(i64, Do)], now: i64, did: &[&str], next: &[&str]) -> Story {
    let dir = tempfile::tempdir().expect("a directory");
    let policy = Policy::preset("quarantine").expect("the preset");
    let settings = GateSettings::new(dir.path());
    let gate = Gate::open(settings, policy, Classifier::builtin(), |_, _| {}).expect("a gate").gate;
    let at = |hours: i64| Timestamp::from_secs(1_767_225_600 + hours * HOUR);
    for (hours, event) in events {
        let context =
            |message: &str| Context { message: Some(message.to_owned()), ..Context::default() };
        let what = match event {
            Refused(category, reply, message) => What::Reply(Evidence {
                category: *category,
                scope: Scope::Recipient,
                stage: Stage::Rcpt,
                reply: (*reply).to_owned(),
                rule: "test".to_owned(),
                context: context(message),
            }),
            Delivered => What::Delivered(Delivery { reply: String::new(), context: context("d") }),
            Acted(what) => what.clone(),
        };
        let address = RecipientKey::parse(address).expect("an address");
        let draft = Draft { at: at(*hours), address, tenant: Tenant::default(), what };
        gate.learn(draft).wait().expect("learnt");
    }
    let story = tell(&gate, address, None, at(now)).expect("a story");
    let told: Vec<&str> = story.events.iter().map(|chapter| chapter.did.as_str()).collect();
    assert_eq!(told, did);
    assert_eq!(story.next, next);
    story
}

#[test]
fn hard_bounces() {
    let unknown = |message| Refused(Category::UserUnknown, "550 5.1.1 no such user", message);
    let soft_first = "one more soft bounce of another message quarantines for 1 week";
    check(
        "gone@plain.test",
        &[(0, unknown("m1")), (2, unknown("m1")), (4, unknown("m2"))],
        5,
        &[
            "hard bounce 1 counted, tolerated",
            "changes nothing",
            "hard bounce 2 counted, tolerated",
        ],
        &[
            "one more hard bounce of another message quarantines long-term",
            soft_first,
            "a delivery clears the counts",
        ],
    );
    let story = check(
        "gone@gmail.com",
        &[(0, unknown("m1")), (1, Refused(Category::Blocked, "550 5.7.1 listed", "m2"))],
        2,
        &[
            "hard bounce 1: quarantined long-term",
            "says nothing about the mailbox: kept for the record",
        ],
        &["stays refused until `rcptgate release gone@gmail.com --reason R`"],
    );
    assert_eq!(story.now.standing, "quarantined_long_term");
    assert_eq!(story.events[0].before, "clear");
    assert_eq!(story.events[0].after, "quarantined_long_term");
    check(
        "new@plain.test",
        &[],
        0,
        &[],
        &["3 more hard bounces of other messages quarantine long-term", soft_first],
    );
}

#[test]
fn soft_bounces_and_deferrals() {
    let full = |message| Refused(Category::MailboxFull, "552 5.2.2 over quota", message);
    let later = |message| Refused(Category::MailboxFull, "452 4.2.2 over quota", message);
    check(
        "full@plain.test",
        &[(0, full("m1"))],
        1,
        &["soft bounce 1: quarantined until 2026-01-08T00:00:00Z"],
        &[
            "may be written to again from 2026-01-08T00:00:00Z",
            "then 3 more hard bounces of other messages quarantine long-term",
            "then one more soft bounce of another message quarantines for 2 weeks",
        ],
    );
    check(
        "slow@plain.test",
        &[(0, later("m1")), (24, later("m1")), (200, full("m2"))],
        201,
        &[
            "deferred: an attempt, no bounce yet; one if the message is still deferred after 3 days",
            "deferred: an attempt, no bounce yet; one if the message is still deferred after 3 days",
            "the message deferred before counts as a soft bounce; then soft bounce 2: quarantined until 2026-01-23T08:00:00Z",
        ],
        &[
            "may be written to again from 2026-01-23T08:00:00Z",
            "then 3 more hard bounces of other messages quarantine long-term",
            "then one more soft bounce of another message quarantines for 4 weeks",
        ],
    );
    check(
        "well@plain.test",
        &[(0, full("m1")), (200, Delivered), (201, Delivered)],
        202,
        &[
            "soft bounce 1: quarantined until 2026-01-08T00:00:00Z",
            "proof that the mailbox works: lifts the quarantine, clears the counts",
            "proof that the mailbox works",
        ],
        &[
            "3 more hard bounces of other messages quarantine long-term",
            "one more soft bounce of another message quarantines for 1 week",
        ],
    );
}

#[test]
fn acts_and_complaints() {
    let unknown = |message| Refused(Category::UserUnknown, "550 5.1.1 no such user", message);
    check(
        "back@plain.test",
        &[
            (0, Acted(What::Quarantine { until: None, act: act() })),
            (1, Acted(What::Release { from: List::Quarantine, act: act() })),
        ],
        2,
        &[
            "quarantined long-term",
            "released from quarantine: counts start again, and the next hard bounce is believed at once",
        ],
        &[
            "one more hard bounce of another message quarantines long-term",
            "one more soft bounce of another message quarantines for 1 week",
        ],
    );
    check(
        "angry@plain.test",
        &[(0, Acted(What::Complaint { source: None })), (1, Acted(What::Blacklist { act: act() }))],
        2,
        &["put on the blacklist of tenant default", "on the blacklist of tenant default already"],
        &[
            "stays refused to tenant default until `rcptgate release angry@plain.test --from blacklist --tenant default --reason R`",
        ],
    );
    check(
        "ceo@gmail.com",
        &[(0, Acted(What::Allow { act: act() })), (1, unknown("m1"))],
        2,
        &["allowed, whatever else is known", "hard bounce 1: quarantined long-term"],
        &["stays allowed until `rcptgate release ceo@gmail.com --from allow --reason R`"],
    );
}

#[test]
fn spans_are_said_in_their_largest_unit() {
    let check = |seconds, words: &str| assert_eq!(span(Duration::from_secs(seconds)), words);
    check(604_800, "1 week");
    check(2 * 604_800, "2 weeks");
    check(8 * 86_400, "8 days");
    check(5400, "90 minutes");
    check(1, "1 second");
    check(0, "0s");
}
