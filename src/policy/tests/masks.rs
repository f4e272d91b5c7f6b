//! Orders take events out of the fold, and nothing else.

use proptest::prelude::*;

use super::properties::{any_history, fold};
use super::*;
use crate::event::order::{Decree, Order, OrderId};
use crate::event::select::{Conditions, Selector};
use crate::policy::{Masked, Masks};

fn void(name: &str, conditions: Conditions) -> Order {
    let select = Selector::new(conditions).expect("a selector");
    let (id, decree) = (OrderId(name.to_owned()), Decree::Void { select });
    Order { id, at: at(0), decree, act: act() }
}

fn between(since: i64, until: i64) -> Conditions {
    Conditions { since: Some(at(since)), until: Some(at(until)), ..Conditions::default() }
}

fn bounce(secs: i64) -> Event {
    event(secs, "a@example.test", what(&Do::Hard(Some("m"))).expect("no question"))
}

fn by(masks: &Masks, seq: u64, secs: i64) -> Option<String> {
    masks.masked(seq, &bounce(secs), &Policy::default()).map(|masked| match masked {
        Masked::Undone(order) => order.id.0.clone(),
        Masked::Unfinished => "unfinished".to_owned(),
        Masked::Held(outage) => format!("held by {}", outage.id),
        Masked::Voided(outage) => format!("voided with {}", outage.id),
    })
}

#[test]
fn only_what_came_before_the_order_is_masked() {
    let masks = Masks::new([(5, void("o5", between(100, 200)))]);
    assert_eq!(by(&masks, 4, 150).as_deref(), Some("o5"));
    assert_eq!(by(&masks, 5, 150), None);
    assert_eq!(by(&masks, 6, 150), None);
    assert_eq!(
        [99, 100, 199, 200].map(|secs| by(&masks, 1, secs).is_some()),
        [false, true, true, false]
    );
    assert_eq!(by(&Masks::default(), 1, 150), None);
}

#[test]
fn of_several_orders_the_first_one_is_named_and_only_that_one_moved_anything() {
    let orders = [(9, void("o9", between(0, 150))), (5, void("o5", between(100, 200)))];
    let masks = Masks::new(orders);
    let named = |seq, secs| by(&masks, seq, secs);
    assert_eq!(named(1, 50).as_deref(), Some("o9"));
    assert_eq!(named(1, 120).as_deref(), Some("o5"));
    assert_eq!(named(7, 120).as_deref(), Some("o9"));
    assert_eq!(named(7, 160), None);
    let moved = |order, seq, secs| masks.moved(order, seq, &bounce(secs), &Policy::default());
    assert!(moved(5, 1, 120) && moved(9, 7, 120) && moved(9, 1, 50));
    // Void already, later than the order, not meant, or no such order.
    assert!(!moved(9, 1, 120) && !moved(5, 7, 120) && !moved(5, 1, 50) && !moved(6, 1, 120));
    assert!(masks.order(5).is_some() && masks.order(9).is_some() && masks.order(6).is_none());
    assert_eq!(
        masks,
        Masks::default().with(5, masks.orders()[0].1.clone()).with(9, masks.orders()[1].1.clone())
    );
}

fn commit(name: &str, batch: &str, first: u64) -> Order {
    let decree = Decree::ImportCommit { batch: batch.to_owned(), rows: 1, first };
    Order { id: OrderId(name.to_owned()), at: at(0), decree, act: act() }
}

#[test]
fn a_row_of_an_import_counts_once_its_import_is_committed() {
    let row = event(150, "a@example.test", What::Imported(imported(ImportKind::Hard)));
    let masks = Masks::new([
        (3, commit("o3", "b1", 2)),
        (5, commit("o5", "other", 4)),
        (9, commit("o9", "b1", 7)),
        (12, void("o12", Conditions { batch: Some("b1".to_owned()), ..Conditions::default() })),
    ]);
    let policy = Policy::default();
    let counts = |masks: &Masks, seq| masks.masked(seq, &row, &policy).is_none();
    let moved = |masks: &Masks, order, seq| masks.moved(order, seq, &row, &policy);
    // Before its first row stands what another import of the name left, and behind it nothing is committed.
    let before = Masks::new(masks.orders()[..3].iter().cloned());
    assert_eq!(
        [1, 2, 4, 6, 7, 8, 10].map(|seq| counts(&before, seq)),
        [false, true, false, false, true, true, false]
    );
    assert_eq!(before.masked(10, &row, &policy), Some(Masked::Unfinished));
    assert!(moved(&before, 3, 2) && moved(&before, 9, 8));
    assert!(!moved(&before, 9, 2) && !moved(&before, 5, 4) && !moved(&before, 9, 6));
    // An undo takes out what counts; what never did is not moved, and comes back by no later commit.
    assert!(!counts(&masks, 2) && moved(&masks, 12, 2) && moved(&masks, 12, 8));
    assert!(!moved(&masks, 12, 6));
    let late = masks.with(14, commit("o14", "b1", 1));
    assert!(
        matches!(late.masked(8, &row, &policy), Some(Masked::Undone(order)) if order.id.0 == "o12")
    );
    assert!(!moved(&late, 14, 8) && !moved(&late, 14, 2));
    assert!(late.knows_import("b1") && late.knows_import("other") && !late.knows_import("b2"));
    // Everything else needs no commit.
    assert_eq!(late.masked(20, &bounce(150), &policy), None);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// Overlapping orders at any place.
    #[test]
    fn a_fold_with_orders_is_the_fold_of_what_they_leave(
        history in any_history(),
        orders in prop::collection::vec((0_u64..41, 0..40_usize, 1..40 * DAY, any::<bool>()), 0..4),
    ) {
        let policy = Policy::default();
        let mut windows: Vec<_> = orders
            .into_iter()
            .filter_map(|(seq, start, length, full)| {
                let (since, _) = history.get(start)?;
                let category = full.then_some(Category::MailboxFull);
                // Between two events: an order's sequence is its own.
                Some((seq * 2 + 1, Conditions { category, ..between(*since, since + length) }))
            })
            .collect();
        // No two lines have one sequence.
        windows.sort_by_key(|(seq, _)| *seq);
        windows.dedup_by_key(|(seq, _)| *seq);
        let masks = Masks::new(windows.iter().map(|(seq, window)| (*seq, void("o", window.clone()))));
        let numbered = || (0_u64..).step_by(2).zip(&history);
        let folded = numbered().fold(Record::default(), |record, (seq, (secs, what))| {
            let event = event(*secs, "a@example.test", what.clone());
            match masks.masked(seq, &event, &policy) {
                // Nothing is committed there; what the rule is about is the orders.
                Some(Masked::Unfinished) => transition(record, &event, &policy),
                Some(Masked::Undone(_) | Masked::Held(_) | Masked::Voided(_)) | None => {
                    masks.step(record, seq, &event, &policy).0
                }
            }
        });
        let left: Vec<(i64, What)> = numbered()
            .filter(|(seq, (secs, what))| !windows.iter().any(|(order, window)| {
                let full = matches!(what, What::Reply(seen) if seen.category == Category::MailboxFull);
                *seq < *order
                    && window.since.is_none_or(|since| at(*secs) >= since)
                    && window.until.is_none_or(|until| at(*secs) < until)
                    && (window.category.is_none() || full)
            }))
            .map(|(_, step)| step.clone())
            .collect();
        prop_assert_eq!(folded, fold(&left, &policy));
    }
}
