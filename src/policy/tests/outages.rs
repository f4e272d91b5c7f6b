//! Outages hold hard evidence by its date, wherever it stands in the journal.

use proptest::prelude::*;

use super::properties::{any_history, fold};
use super::*;
use crate::bounce::Effect;
use crate::event::order::{Decree, Order, OrderId};
use crate::event::outage::OutageKey;
use crate::policy::outage::Resolution;
use crate::policy::{Masked, Masks};

fn key() -> OutageKey {
    OutageKey::Domain("example.test".to_owned())
}

fn order(seq: u64, secs: i64, decree: Decree) -> (u64, Order) {
    (seq, Order { id: OrderId(format!("o{seq}")), at: at(secs), decree, act: act() })
}

fn began(seq: u64, since: i64) -> (u64, Order) {
    order(seq, since, Decree::Outage { key: key(), since: at(since) })
}

fn committed(seq: u64, first: u64) -> (u64, Order) {
    let batch = imported(ImportKind::Hard).batch;
    order(seq, 100 * DAY, Decree::ImportCommit { batch, rows: 1, first })
}

fn ended(seq: u64, until: i64) -> (u64, Order) {
    order(seq, until, Decree::OutageEnd { key: key(), until: at(until) })
}

fn said(seq: u64, secs: i64, word: Resolution, outage: u64) -> (u64, Order) {
    let outage = OrderId(format!("o{outage}"));
    order(
        seq,
        secs,
        match word {
            Resolution::Apply => Decree::OutageApply { outage },
            Resolution::Void => Decree::OutageVoid { outage },
        },
    )
}

fn hard(secs: i64, address: &str) -> Event {
    event(secs, address, what(&Do::Hard(Some("m"))).expect("no question"))
}

/// How an event of this date is masked: `-` not at all, `h` held, `v` void.
fn mask(masks: &Masks, seq: u64, secs: i64) -> char {
    match masks.masked(seq, &hard(secs, "a@example.test"), &Policy::default()) {
        None => '-',
        Some(Masked::Held(_)) => 'h',
        Some(Masked::Undone(_) | Masked::Unfinished | Masked::Voided(_)) => 'v',
    }
}

#[track_caller]
fn check(orders: &[(u64, Order)], expected: &str) {
    let masks = Masks::new(orders.iter().cloned());
    for seq in [1, 50] {
        let found: String = (0..6).map(|step| mask(&masks, seq, step * 100)).collect();
        assert_eq!(found, expected, "of an event of sequence {seq}");
    }
}

#[test]
fn an_outage_holds_by_date_until_it_is_resolved() {
    check(&[began(10, 100)], "-hhhhh");
    check(&[began(10, 100), ended(20, 300)], "-hh---");
    check(&[began(10, 200), began(15, 100), began(16, 400), ended(20, 300)], "-hh---");
    check(&[began(10, 100), said(20, 400, Resolution::Apply, 10)], "------");
    check(&[began(10, 100), said(20, 300, Resolution::Void, 10)], "-vv---");
    check(&[began(10, 100), ended(20, 300), said(30, 500, Resolution::Void, 10)], "-vv---");
    // The last word holds, within the same bounds.
    let words = [said(20, 300, Resolution::Apply, 10), said(30, 500, Resolution::Void, 10)];
    check(&[&[began(10, 100)][..], &words].concat(), "-vv---");
    // Another one under the same key, and words about what there is none.
    check(&[began(10, 0), ended(20, 200), began(30, 400)], "hh--hh");
    check(&[ended(10, 200), said(20, 300, Resolution::Void, 10)], "------");
}

#[test]
fn an_order_moves_what_it_holds_and_lets_go_and_what_it_makes_void() {
    let orders = [
        began(10, 100),
        ended(20, 300),
        said(30, 500, Resolution::Void, 10),
        said(40, 500, Resolution::Apply, 10),
    ];
    let masks = Masks::new(orders);
    let check = |order, expected: &str| {
        let moved = |secs| masks.moved(order, 1, &hard(secs, "a@example.test"), &Policy::default());
        let found: String = (0..5).map(|step| if moved(step * 100) { 'm' } else { '-' }).collect();
        assert_eq!(found, expected, "by the order of sequence {order}");
    };
    check(10, "-mmmm");
    check(20, "---mm");
    // Of what is void, nothing is remembered as held.
    check(30, "-mm--");
    check(40, "-mm--");
    assert!(!masks.moved(10, 11, &hard(200, "a@example.test"), &Policy::default()), "later");
    assert!(!masks.moved(10, 1, &hard(200, "a@other.test"), &Policy::default()), "not meant");
}

#[test]
fn only_hard_evidence_under_the_key_is_held() {
    let masks = Masks::new([began(10, 0)]);
    let policy = Policy::default();
    let masked = |event: &Event| masks.masked(1, event, &policy).is_some();
    assert!(masked(&hard(5, "b@example.test")) && !masked(&hard(5, "b@other.test")));
    for done in [Do::Delivered(None), Do::Full(Some("m"))] {
        assert!(!masked(&event(5, "a@example.test", what(&done).expect("no question"))));
    }
}

#[test]
fn an_address_that_is_held_awaits_the_delivery_that_answers_it() {
    let masks = Masks::new([began(10, 0)]);
    let policy = Policy::default();
    let (counted, _) = masks.step(Record::default(), 1, &hard(5, "a@gmail.com"), &policy);
    assert!(counted.is_gone() && counted.held.is_none(), "of another key");
    let (held, _) = masks.step(Record::default(), 1, &hard(5, "a@example.test"), &policy);
    assert!(held.awaits_delivery() && !held.is_blank());
    let delivered =
        |secs| event(secs, "a@example.test", what(&Do::Delivered(None)).expect("an event"));
    assert!(transition(held.clone(), &delivered(4), &policy).awaits_delivery(), "dated before");
    assert!(transition(held, &delivered(6), &policy).is_blank());
}

/// Orders about the key, and commits of an import, at odd places: what is done, and when.
fn any_orders() -> impl Strategy<Value = Vec<(u64, Order)>> {
    let one = (0..6_u8, 0_u64..41, 0..50 * DAY, 0_usize..3);
    prop::collection::vec(one, 0..8).prop_map(|steps| {
        let mut places: Vec<u64> = steps.iter().map(|(_, place, ..)| place * 2 + 1).collect();
        places.sort_unstable();
        let step = |((kind, _, secs, which), seq): ((u8, u64, i64, usize), u64)| match kind {
            0 | 1 => began(seq, secs),
            2 => ended(seq, secs),
            3 => committed(seq, seq.saturating_sub(10 * u64::from(which > 0))),
            4 => said(seq, secs, Resolution::Apply, places.get(which).copied().unwrap_or(1)),
            _ => said(seq, secs, Resolution::Void, places.get(which).copied().unwrap_or(1)),
        };
        steps.into_iter().zip(places.clone()).map(step).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_fold_with_an_outage_is_the_fold_without_what_it_holds(
        history in any_history(),
        since in 0..50 * DAY,
        length in prop::option::of(1..50 * DAY),
        word in prop::option::of(any::<bool>()),
    ) {
        let policy = Policy::default();
        let word = word.map(|apply| if apply { Resolution::Apply } else { Resolution::Void });
        let mut orders = vec![began(1001, since), committed(1007, 0)];
        orders.extend(length.map(|length| ended(1003, since + length)));
        orders.extend(word.map(|word| said(1005, 100 * DAY, word, 1001)));
        let masks = Masks::new(orders);
        let folded = (0..).zip(&history).fold(Record::default(), |record, (seq, (secs, what))| {
            masks.step(record, seq, &event(*secs, "a@example.test", what.clone()), &policy).0
        });
        let is_held = |secs: i64, what: &What| {
            let hard = matches!(what, What::Reply(seen) if policy.effect_of(seen) == Effect::Hard);
            let end = length.map_or(if word.is_some() { 100 * DAY } else { i64::MAX }, |length| since + length);
            hard && (since..end).contains(&secs) && word != Some(Resolution::Apply)
        };
        let left: Vec<_> =
            history.into_iter().filter(|(secs, what)| !is_held(*secs, what)).collect();
        prop_assert_eq!(Record { held: None, ..folded }, fold(&left, &policy));
    }

    /// As a gate does it: events under the orders so far, and again those that an order moved.
    #[test]
    fn folding_again_what_an_order_moved_is_folding_under_all_orders(
        history in any_history(),
        orders in any_orders(),
    ) {
        let policy = Policy::default();
        let events: Vec<_> = (0_u64..)
            .step_by(2)
            .zip(&history)
            .map(|(seq, (secs, what))| (seq, event(*secs, "a@example.test", what.clone())))
            .collect();
        let under = |masks: &Masks, end: u64| {
            let before = events.iter().filter(|(seq, _)| *seq < end);
            before.fold(Record::default(), |record, (seq, event)| {
                masks.step(record, *seq, event, &policy).0
            })
        };
        let all = Masks::new(orders.clone());
        let (mut masks, mut record) = (Masks::default(), Record::default());
        for seq in 0..100 {
            for (_, order) in orders.iter().filter(|(place, _)| *place == seq).take(1) {
                masks = masks.with(seq, order.clone());
                let moved = |(place, event): &(u64, Event)| {
                    *place < seq && masks.moved(seq, *place, event, &policy)
                };
                if events.iter().any(moved) {
                    record = under(&masks, seq);
                }
            }
            if let Some((_, event)) = events.iter().find(|(place, _)| *place == seq) {
                record = masks.step(record, seq, event, &policy).0;
            }
        }
        prop_assert_eq!(record, under(&all, u64::MAX));
    }
}
