//! What other systems knew: each kind, what lifts it, and in which order.

use super::*;
use crate::policy::record::Origin;

const IMPORTED: Do = Do::Ask("refuse", "imported");

fn import(kind: ImportKind) -> Do {
    Do::Import(imported(kind))
}

fn dated(kind: ImportKind, secs: i64) -> Do {
    Do::Import(Imported { dated: Some(at(secs)), ..imported(kind) })
}

#[test]
fn a_hard_entry_is_long_term_and_no_delivery_lifts_it() {
    for kind in [ImportKind::Hard, ImportKind::Blocked] {
        let record = check(
            "gone@plain.test",
            &[
                (0, import(kind)),
                (1, IMPORTED),
                (DAY, Do::Delivered(None)),
                (DAY, IMPORTED),
                (500 * WEEK, IMPORTED),
                (500 * WEEK, Do::Release(List::Quarantine)),
                (500 * WEEK, PASSES),
            ],
        );
        assert!(record.imported.is_none());
    }
}

#[test]
fn a_soft_entry_lasts_as_told_or_one_step_from_its_date() {
    let until = |secs| Do::Import(Imported { until: Some(at(secs)), ..imported(ImportKind::Soft) });
    check("full@plain.test", &[(0, until(3 * DAY)), (3 * DAY - 1, Do::Ask("refuse", "imported"))]);
    check("full@plain.test", &[(0, until(3 * DAY)), (3 * DAY, PASSES)]);
    check(
        "full@plain.test",
        &[(DAY, dated(ImportKind::Soft, 0)), (WEEK - 1, IMPORTED), (WEEK, PASSES)],
    );
    let mut policy = Policy::default();
    policy.soft.steps.clear();
    check_with(&policy, "full@plain.test", &[(0, import(ImportKind::Soft)), (60 * WEEK, IMPORTED)]);
}

#[test]
fn complaints_and_unsubscribes_are_the_tenants_own() {
    for kind in [ImportKind::Complaint, ImportKind::Unsubscribe] {
        let record = check(
            "enough@plain.test",
            &[
                (DAY, dated(kind, 0)),
                (DAY, Do::Ask("refuse", "blacklist")),
                (DAY, Do::AskAs("other", "forward", "none")),
                (2 * DAY, Do::Release(List::Quarantine)),
                (2 * DAY, Do::Ask("refuse", "blacklist")),
            ],
        );
        let entry = &record.blacklists[&Tenant::default()];
        assert_eq!(entry.origin, Origin::Import);
        assert_eq!(entry.complained, (kind == ImportKind::Complaint).then_some(at(0)));
        assert_eq!(entry.note.since, at(0));
        assert_eq!(entry.note.reason, "imported from old-esp (import b1): asked for");
        assert!(record.imported.is_none());
    }
}

#[test]
fn an_unsubscribe_is_quarantined_only_when_forced() {
    let forced = Imported { forced: true, ..imported(ImportKind::Unsubscribe) };
    let record = check(
        "no@plain.test",
        &[(0, Do::Import(forced)), (0, Do::AskAs("b", "refuse", "imported"))],
    );
    assert!(record.blacklists.is_empty());
}

/// Moved to another gate, what replies had earned is what it was: proofs and releases lift it, and the next soft bounce goes on from there.
#[test]
fn what_another_gate_had_learnt_is_learnt() {
    let learnt = |kind, secs: i64, days: Option<i64>| {
        Do::Import(Imported {
            learnt: true,
            dated: Some(at(secs)),
            until: days.map(|days| at(secs + days * DAY)),
            ..imported(kind)
        })
    };
    let hard = learnt(ImportKind::Hard, 0, None);
    let story = |more: &[(i64, Do)]| [&[(DAY, hard.clone()), (DAY, LONG_TERM)][..], more].concat();
    for lifting in [Do::Delivered(None), import(ImportKind::Active), Do::Release(List::Quarantine)]
    {
        let record = check(
            "moved@plain.test",
            &story(&[
                (2 * DAY, lifting.clone()),
                (2 * DAY, PASSES),
                // What is older than that proof comes back by no import.
                (3 * DAY, hard.clone()),
                (3 * DAY, PASSES),
            ]),
        );
        assert!(record.imported.is_none() && record.learnt.is_none());
    }
    // Two weeks are the second step, so that the next one lasts four.
    check(
        "full@plain.test",
        &[
            (DAY, learnt(ImportKind::Soft, 0, Some(14))),
            (14 * DAY - 1, Do::Ask("defer", "quarantine")),
            (14 * DAY, PASSES),
            (15 * DAY, Do::Full(None)),
            (43 * DAY - 1, Do::Ask("defer", "quarantine")),
            (43 * DAY, PASSES),
        ],
    );
    // The longer one of two stands, in whatever order they come, and so do the step and its dates.
    let softs = [learnt(ImportKind::Soft, DAY, Some(7)), learnt(ImportKind::Soft, 0, Some(14))];
    let [soft, longer] = softs;
    let told = |one: &Do, other: &Do| {
        check("both@plain.test", &[(2 * DAY, one.clone()), (2 * DAY, other.clone())])
    };
    for (one, other, last) in [(&hard, &soft, LONG_TERM), (&longer, &soft, PASSES)] {
        let (record, turned) = (told(one, other), told(other, one));
        let ends =
            |record: &Record| record.learnt.as_ref().map(|learnt| (learnt.since, learnt.until));
        assert_eq!((&record.soft, ends(&record)), (&turned.soft, ends(&turned)));
        assert_eq!((record.soft.last, record.soft.count > 0), (Some(at(DAY)), true));
        check(
            "both@plain.test",
            &[(2 * DAY, one.clone()), (2 * DAY, other.clone()), (60 * WEEK, last)],
        );
    }
    check("postmaster@plain.test", &[(DAY, hard.clone()), (DAY, PASSES)]);
}

/// S21 of the requirements, without what a release brings with it.
#[test]
fn an_active_entry_clears_what_was_learnt_and_nothing_else() {
    let hards = [(0, Do::Hard(Some("m1"))), (DAY, Do::Hard(Some("m2")))];
    let after = [
        (2 * DAY, import(ImportKind::Active)),
        (3 * DAY, Do::Hard(Some("m3"))),
        (4 * DAY, Do::Hard(Some("m4"))),
        (4 * DAY, PASSES),
        (5 * DAY, Do::Hard(Some("m5"))),
        (5 * DAY, LONG_TERM),
        (6 * DAY, import(ImportKind::Active)),
        (6 * DAY, PASSES),
    ];
    check("back@plain.test", &[&hards[..], &after[..]].concat());
    check(
        "back@plain.test",
        &[(0, import(ImportKind::Hard)), (1, import(ImportKind::Active)), (1, IMPORTED)],
    );
    check(
        "back@plain.test",
        &[
            (0, Do::Hard(None)),
            (0, Do::Quarantine(None)),
            (1, import(ImportKind::Active)),
            (1, Do::Ask("refuse", "manual")),
        ],
    );
    // What has lapsed by itself leaves nothing to answer.
    let lapsed = [(0, Do::Deferred(None)), (3 * DAY + 1, import(ImportKind::Active))];
    assert!(check("once@plain.test", &lapsed).is_blank());
    let record = check("new@plain.test", &[(0, import(ImportKind::Active))]);
    assert!(record.is_blank());
}

#[test]
fn what_was_released_comes_back_by_no_older_entry() {
    let again = [
        (0, dated(ImportKind::Hard, 0)),
        (DAY, Do::Release(List::Quarantine)),
        (2 * DAY, Do::Delivered(None)),
        (3 * DAY, dated(ImportKind::Hard, DAY)),
        (3 * DAY, PASSES),
        (30 * DAY, dated(ImportKind::Hard, 0)),
        (30 * DAY, PASSES),
        (30 * DAY, dated(ImportKind::Hard, DAY + 1)),
        (30 * DAY, IMPORTED),
    ];
    check("support@plain.test", &again);
}

#[test]
fn after_a_release_an_entry_without_a_date_counts_only_when_that_is_said() {
    let again = |kind| Do::Import(Imported { again: true, ..imported(kind) });
    let story = [
        (0, import(ImportKind::Hard)),
        (1, IMPORTED),
        (DAY, Do::Release(List::Quarantine)),
        (2 * DAY, import(ImportKind::Hard)),
        (30 * DAY, import(ImportKind::Soft)),
        (30 * DAY, PASSES),
        (31 * DAY, again(ImportKind::Hard)),
        (31 * DAY, IMPORTED),
    ];
    check("support@plain.test", &story);
}

#[test]
fn what_left_the_blacklist_comes_back_by_no_older_entry() {
    const LISTED: Do = Do::Ask("refuse", "blacklist");
    for kind in [ImportKind::Complaint, ImportKind::Unsubscribe] {
        let again = Do::Import(Imported { again: true, ..imported(kind) });
        let story = [
            (0, dated(kind, 0)),
            (0, LISTED),
            (DAY, Do::Release(List::Blacklist)),
            (2 * DAY, dated(kind, DAY)),
            (2 * DAY, import(kind)),
            (2 * DAY, PASSES),
            (3 * DAY, again),
            (3 * DAY, LISTED),
            (4 * DAY, Do::Release(List::Blacklist)),
            (5 * DAY, dated(kind, 4 * DAY + 1)),
            (5 * DAY, LISTED),
        ];
        check("sorry@plain.test", &story);
    }
    // Of somebody who was never on it there was nothing to release.
    check(
        "other@plain.test",
        &[(0, Do::Release(List::Blacklist)), (1, import(ImportKind::Complaint)), (1, LISTED)],
    );
    // The recipient's own word is no import.
    check(
        "sorry@plain.test",
        &[
            (0, dated(ImportKind::Complaint, 0)),
            (1, Do::Release(List::Blacklist)),
            (2, Do::Complaint),
            (2, LISTED),
        ],
    );
}

#[test]
fn the_longer_entry_stands_then_the_newer_in_any_order() {
    let entries = [
        Imported { dated: Some(at(DAY)), detail: "old".into(), ..imported(ImportKind::Hard) },
        Imported {
            dated: Some(at(2 * DAY)),
            detail: "new".into(),
            ..imported(ImportKind::Blocked)
        },
        Imported { dated: Some(at(3 * DAY)), detail: "soft".into(), ..imported(ImportKind::Soft) },
    ];
    for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0], [0, 2, 1]] {
        let story = order.map(|entry| (4 * DAY, Do::Import(entries[entry].clone())));
        let record = check("many@plain.test", &story);
        assert_eq!(record.imported.expect("an entry").detail, "new", "{order:?}");
    }
}

#[test]
fn of_learnt_and_imported_the_longer_one_is_told() {
    let full = (0, Do::Full(Some("m1")));
    check("both@plain.test", &[full.clone(), (1, import(ImportKind::Hard)), (2, IMPORTED)]);
    let short = Imported { until: Some(at(DAY)), ..imported(ImportKind::Soft) };
    check("both@plain.test", &[full, (1, Do::Import(short)), (2, TEMPORARY)]);
    check("both@gmail.com", &[(0, Do::Hard(None)), (1, import(ImportKind::Hard)), (2, LONG_TERM)]);
}

#[test]
fn postmaster_stays_reachable_and_another_clock_makes_nothing_later() {
    check("postmaster@plain.test", &[(0, import(ImportKind::Hard)), (0, PASSES)]);
    let story =
        [(0, dated(ImportKind::Hard, HOUR)), (1, Do::Release(List::Quarantine)), (1, PASSES)];
    check("ahead@plain.test", &story);
}

#[test]
fn the_reply_names_the_source() {
    let record = check("gone@plain.test", &[(0, dated(ImportKind::Hard, -DAY))]);
    let policy = Policy::default();
    let decision = decide(Some(&record), &Listing::default(), &Tenant::default(), at(1), &policy);
    let reply = decision.verdict.reply().expect("a refusal").to_string();
    let expected = "550 5.7.1 rcptgate: quarantined since 2025-12-31, imported from old-esp [e0]";
    assert_eq!((reply.as_str(), decision.reason), (expected, Reason::Imported));
}
