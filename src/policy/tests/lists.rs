//! Manual entries, blacklists, allow, disposable, and what refused clients read: Q12 to Q16, Q22, Q27, D07.

use super::*;
use crate::policy::Standing;

#[test]
fn a_complaint_blacklists_for_its_tenant_only() {
    check(
        "a@example.test",
        &[
            (0, Do::Complaint),
            (0, Do::Ask("refuse", "blacklist")),
            (0, Do::AskAs("other", "forward", "none")),
            // Neither a delivery nor a release of the quarantine takes it off.
            (DAY, Do::Delivered(None)),
            (DAY, Do::Release(List::Quarantine)),
            (DAY, Do::Ask("refuse", "blacklist")),
            (2 * DAY, Do::Release(List::Blacklist)),
            (2 * DAY, PASSES),
        ],
    );
}

#[test]
fn q12_x20_both_quarantines_are_shared_and_say_on_whose_account() {
    let mut refused = event(0, "a@gmail.com", What::Complaint { source: None });
    refused.tenant = Tenant("acme".to_owned());
    for (category, reply, reason) in [
        (Category::UserUnknown, "550 5.1.1 gone", "quarantine_long_term"),
        (Category::MailboxFull, "552 5.2.2 full", "quarantine"),
    ] {
        refused.what = What::Reply(evidence(category, reply, None));
        let record = transition(Record::default(), &refused, &Policy::default());
        for tenant in ["acme", "default", "other"] {
            let tenant = Tenant(tenant.to_owned());
            let decision =
                decide(Some(&record), &Listing::default(), &tenant, at(1), &Policy::default());
            assert_eq!((decision.verdict.name(), decision.reason.name()), ("refuse", reason));
        }
        assert_eq!(record.learnt.map(|learnt| learnt.cause.tenant), Some(refused.tenant.clone()));
    }
}

#[test]
fn releasing_the_blacklist_leaves_the_quarantine() {
    check(
        "a@gmail.com",
        &[
            (0, Do::Hard(None)),
            (0, Do::Complaint),
            (DAY, Do::Release(List::Blacklist)),
            (DAY, LONG_TERM),
        ],
    );
}

#[test]
fn manual_entries_beat_learnt_ones_and_survive_deliveries() {
    let manual = Do::Ask("refuse", "manual");
    check(
        "a@gmail.com",
        &[
            (0, Do::Quarantine(Some(DAY))),
            (0, Do::Delivered(None)),
            (HOUR, Do::Hard(None)),
            (DAY - 1, manual.clone()),
            (DAY, LONG_TERM),
            (DAY, Do::Quarantine(None)),
            (2 * DAY, Do::Delivered(None)),
            (2000 * DAY, manual),
            (2000 * DAY, Do::Release(List::Quarantine)),
            (2000 * DAY, PASSES),
        ],
    );
}

#[test]
fn allow_beats_all() {
    check(
        "a@gmail.com",
        &[
            (0, Do::Hard(None)),
            (0, Do::Blacklist),
            (0, Do::Quarantine(None)),
            (0, Do::Allow),
            (0, Do::Ask("forward", "allowed")),
            (1, Do::Release(List::Allow)),
            (1, Do::Ask("refuse", "blacklist")),
        ],
    );
}

#[test]
fn the_complaint_keeps_its_own_time() {
    let record = check("a@example.test", &[(0, Do::Blacklist), (DAY, Do::Complaint)]);
    let entry = record.blacklists.get(&Tenant::default()).expect("an entry");
    assert_eq!((entry.note.since, entry.complained), (at(0), Some(at(DAY))));
}

#[test]
fn lists_come_in_order() {
    let policy = Policy::default();
    let record = check("a@example.test", &[(0, Do::Full(None))]);
    let disposable = Listing { allowed: false, disposable: Some("yopmail.com".to_owned()) };
    let allowed = Listing { allowed: true, ..disposable.clone() };
    for (record, listing, expected) in [
        (None, Listing::default(), ("forward", "none", "clear")),
        (None, disposable.clone(), ("refuse", "disposable", "clear")),
        (None, allowed.clone(), ("forward", "allowed", "allowed")),
        (Some(&record), disposable, ("refuse", "quarantine", "quarantined")),
        (Some(&record), allowed, ("forward", "allowed", "allowed")),
    ] {
        let got = decide(record, &listing, &Tenant::default(), at(1), &policy);
        assert_eq!((got.verdict.name(), got.reason.name(), got.standing.name()), expected);
    }
}

#[test]
fn what_clients_read() {
    let policy = Policy::default();
    let read = |story: &[(i64, Do)], listing: &Listing, secs: i64| {
        let record = check("a@gmail.com", story);
        let decision = decide(Some(&record), listing, &Tenant::default(), at(secs), &policy);
        decision.verdict.reply().expect("a reply").to_string()
    };
    let none = Listing::default();
    let disposable = Listing { allowed: false, disposable: Some("yopmail.com".to_owned()) };
    for (story, listing, secs, expected) in [
        (
            Do::Full(None),
            &none,
            0,
            "550 5.7.1 rcptgate: quarantined until 2026-01-08 after 552 5.2.2 mailbox full [e0]",
        ),
        (
            Do::Full(None),
            &none,
            WEEK - 1,
            "450 4.7.1 rcptgate: quarantined until 2026-01-08 after 552 5.2.2 mailbox full [e0]",
        ),
        (
            Do::Hard(None),
            &none,
            0,
            "550 5.7.1 rcptgate: user unknown, quarantined since 2026-01-01 [e0]",
        ),
        (
            Do::Quarantine(None),
            &none,
            0,
            "550 5.7.1 rcptgate: quarantined by the operator since 2026-01-01 [e0]",
        ),
        (Do::Engaged, &disposable, 0, "550 5.7.1 rcptgate: disposable address [yopmail.com]"),
    ] {
        assert_eq!(read(&[(0, story)], listing, secs), expected);
    }
    let complaint = read(&[(0, Do::Complaint)], &none, 0);
    let blacklist = read(&[(0, Do::Blacklist)], &none, 0);
    assert_eq!(complaint, blacklist, "a stranger must not learn that the recipient complained");
}

#[test]
fn a_hostile_reply_stays_one_printable_line() {
    let nasty = format!("552-5.2.2 a\r\n552 5.2.2 \u{1b}[31m\u{202e}\0{}", "x".repeat(5000));
    let record =
        check("a@b.test", &[(0, Do::Reply(evidence(Category::MailboxFull, &nasty, None)))]);
    let policy = Policy::default();
    let decision = decide(Some(&record), &Listing::default(), &Tenant::default(), at(0), &policy);
    let reply = decision.verdict.reply().expect("a refusal");
    assert!(reply.text.len() < 400 && reply.text.starts_with("rcptgate:"), "{reply}");
    assert!(reply.text.bytes().all(|byte| matches!(byte, b' '..=b'~')), "{reply}");
}

#[test]
fn standings_have_names() {
    let policy = Policy::default();
    let standing = |story: &[(i64, Do)], secs: i64| {
        let record = check("a@example.test", story);
        let record = crate::policy::settled(&record, at(secs), &policy);
        Standing::of(&record, &Tenant::default(), at(secs), &policy).name()
    };
    assert_eq!(standing(&[], 0), "clear");
    assert_eq!(standing(&[(0, Do::Hard(None))], 0), "on_watch");
    assert_eq!(standing(&[(0, Do::Deferred(None))], 0), "on_watch");
    assert_eq!(standing(&[(0, Do::Deferred(None))], 72 * HOUR), "clear");
    assert_eq!(standing(&[(0, Do::Full(None))], 0), "quarantined");
    assert_eq!(standing(&[(0, Do::Full(None))], WEEK), "on_watch");
    assert_eq!(standing(&[(0, Do::Quarantine(None))], 0), "quarantined_long_term");
    assert_eq!(standing(&[(0, Do::Blacklist)], 0), "blacklisted");
    assert_eq!(standing(&[(0, Do::Allow)], 0), "allowed");
    let released = [(0, Do::Full(None)), (1, Do::Release(List::Quarantine))];
    assert_eq!(standing(&released, 1), "clear");
}
