//! Events that come late: what is newer than they are stands.

use super::*;

const CHECKED: &str = "a@some.test";

#[test]
fn what_an_operator_said_last_holds_in_whatever_order_it_comes() {
    let manual = Do::Ask("refuse", "manual");
    check(CHECKED, &[(10, Do::Quarantine(None)), (5, Do::Quarantine(Some(20))), (30, manual)]);
    let manual = Do::Ask("refuse", "manual");
    let release = |from| (5, Do::Release(from));
    check(CHECKED, &[(10, Do::Quarantine(None)), release(List::Quarantine), (20, manual)]);
    let blacklist = Do::Ask("refuse", "blacklist");
    check(CHECKED, &[(10, Do::Blacklist), release(List::Blacklist), (20, blacklist)]);
    let allowed = Do::Ask("forward", "allowed");
    check(CHECKED, &[(10, Do::Allow), release(List::Allow), (20, allowed)]);
    let entry = Do::Import(imported(ImportKind::Hard));
    let refused = Do::Ask("refuse", "imported");
    check(CHECKED, &[(10, entry), release(List::Quarantine), (20, refused)]);
}

#[test]
fn a_complaint_has_the_time_of_the_first() {
    let mut late = imported(ImportKind::Complaint);
    for (dated, wanted) in [(9, 5), (3, 3)] {
        late.dated = Some(at(dated));
        let story = [
            (20, Do::Complaint),
            (5, Do::Complaint),
            (30, Do::Complaint),
            (40, Do::Import(late.clone())),
        ];
        let record = check(CHECKED, &story);
        let complained = record.blacklists.values().next().and_then(|entry| entry.complained);
        assert_eq!(complained, Some(at(wanted)));
    }
}

#[test]
fn a_late_release_from_the_blacklist_does_not_forget_a_later_one() {
    let mut complaint = imported(ImportKind::Complaint);
    complaint.dated = Some(at(10 * HOUR));
    check(
        CHECKED,
        &[
            (HOUR, Do::Blacklist),
            (20 * HOUR, Do::Release(List::Blacklist)),
            (2 * HOUR, Do::Blacklist),
            (5 * HOUR, Do::Release(List::Blacklist)),
            (30 * HOUR, Do::Import(complaint)),
            (31 * HOUR, PASSES),
        ],
    );
}

#[test]
fn what_was_proven_later_answers_what_comes_late() {
    // Whatever comes late at the fifth hour, the bounce of the tenth is older than the proof, and two are tolerated.
    for late in [Do::Delivered(None), Do::Release(List::Quarantine)] {
        check(
            CHECKED,
            &[
                (HOUR, Do::Hard(Some("a"))),
                (25 * HOUR, Do::Delivered(None)),
                (30 * HOUR, Do::Hard(Some("b"))),
                (5 * HOUR, late),
                (10 * HOUR, Do::Hard(Some("c"))),
                (40 * HOUR, Do::Hard(Some("d"))),
                (41 * HOUR, PASSES),
            ],
        );
    }
    // And takes nothing back that bounced after it.
    check(
        CHECKED,
        &[
            (30 * HOUR, Do::Hard(Some("b"))),
            (32 * HOUR, Do::Hard(Some("c"))),
            (5 * HOUR, Do::Delivered(None)),
            (40 * HOUR, Do::Hard(Some("d"))),
            (41 * HOUR, LONG_TERM),
        ],
    );
    // A proof from before the release does not answer it.
    check(
        CHECKED,
        &[
            (HOUR, Do::Hard(Some("a"))),
            (20 * HOUR, Do::Release(List::Quarantine)),
            (5 * HOUR, Do::Delivered(None)),
            (30 * HOUR, Do::Hard(Some("b"))),
            (31 * HOUR, LONG_TERM),
        ],
    );
}

#[test]
fn attempts_are_one_message_in_whatever_order_they_come() {
    let attempt = |hour: i64| (hour * HOUR, Do::Deferred(Some("m")));
    // From the first to the last it is more than three days.
    check(CHECKED, &[attempt(20), attempt(0), attempt(73), (74 * HOUR, TEMPORARY)]);
    // The last was at the twentieth hour, and then there was silence.
    check(CHECKED, &[attempt(0), attempt(20), attempt(5), (93 * HOUR, TEMPORARY)]);
    // A delivery from before it closes nothing.
    let before = (5 * HOUR, Do::Delivered(Some("before")));
    check(CHECKED, &[attempt(10), attempt(23), before, (96 * HOUR, TEMPORARY)]);
}

#[test]
fn the_span_of_a_run_is_from_its_first_to_its_last() {
    let hard = |day: i64, message| (day * DAY, Do::Hard(Some(message)));
    let record = check(CHECKED, &[hard(10, "a"), hard(2, "b"), hard(5, "c")]);
    assert_eq!((record.hard.first, record.hard.last), (Some(at(2 * DAY)), Some(at(10 * DAY))));
}

#[test]
fn the_latest_that_is_held_is_remembered() {
    use crate::event::order::{Decree, Order, OrderId};
    use crate::event::outage::OutageKey;
    use crate::policy::Masks;
    let decree = Decree::Outage { key: OutageKey::Domain("some.test".to_owned()), since: at(0) };
    let order = Order { id: OrderId("o".to_owned()), at: at(1), decree, act: act() };
    let masks = Masks::new([(9, order)]);
    let mut record = Record::default();
    for (seq, secs) in [(10, 20), (11, 5)] {
        let unknown = evidence(Category::UserUnknown, "550 5.1.1 no such user", None);
        let event = event(secs, CHECKED, What::Reply(unknown));
        record = masks.step(record, seq, &event, &Policy::default()).0;
    }
    assert_eq!(record.held, Some(at(20)));
    // A delivery between the two does not answer the later one.
    let delivered = event(10, CHECKED, What::Delivered(Delivery::default()));
    assert_eq!(transition(record, &delivered, &Policy::default()).held, Some(at(20)));
}
