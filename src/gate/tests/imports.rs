//! Imports into a gate that runs: all of one or nothing.

use super::*;
use crate::event::select::{Conditions, Selector};
use crate::event::{ImportKind, Imported};
use crate::store::Tally;

/// A row of an import of that name: a hard bounce.
pub(super) fn row(address: &str, batch: &str) -> Draft {
    let imported = Imported {
        kind: ImportKind::Hard,
        source: "old-esp".to_owned(),
        batch: batch.to_owned(),
        row: None,
        dated: None,
        until: None,
        category: None,
        detail: String::new(),
        forced: false,
        again: false,
        learnt: false,
        act: Act::default(),
    };
    draft(address, What::Imported(imported))
}

fn rows(range: std::ops::Range<u32>, batch: &str) -> Vec<Draft> {
    range.map(|number| row(&format!("u{number}@a.test"), batch)).collect()
}

fn committed(importing: Importing) -> Obeyed {
    importing.commit(now(), Act::default()).expect("a row").wait().expect("in force")
}

fn undo(gate: &Gate, batch: &str) -> Obeyed {
    let select = Conditions { batch: Some(batch.to_owned()), ..Conditions::default() };
    let decree = Decree::Void { select: Selector::new(select).expect("a selector") };
    gate.order(OrderDraft { at: now(), decree, act: Act::default() }).wait().expect("obeyed")
}

fn events(gate: &Gate) -> (u64, u64) {
    let report = gate.verify().expect("verified");
    assert!(report.agrees(), "{:?}", report.first);
    (report.events, report.unfinished)
}

#[test]
fn rows_count_once_they_are_committed_and_an_undo_takes_them_back() {
    let dir = tempfile::tempdir().expect("a directory");
    let gate = open(dir.path()).gate;
    learnt(&gate, quarantine("manual@a.test"));
    let mut importing = gate.import("b1").expect("its turn");
    importing.push(rows(0..300, "b1")).expect("on disk");
    // Mail of the same addresses in between, and of others.
    learnt(&gate, hard("u7@a.test"));
    learnt(&gate, hard("gone@gmail.com"));
    importing.push(rows(300..400, "b1")).expect("on disk");
    assert_eq!(
        (verdict(&gate, "u0@a.test"), verdict(&gate, "u399@a.test")),
        ("forward", "forward")
    );
    assert_eq!((gate.records(), events(&gate)), (Some(3), (403, 400)));
    assert_eq!(gate.import("b2").err(), Some(ImportRefused::Busy));
    assert_eq!(importing.rows(), 400);
    let obeyed = committed(importing);
    assert_eq!(obeyed.tally, Some(Tally { events: 400, addresses: 400, changed: 400 }));
    check(&gate, &["u0@a.test", "u7@a.test", "u399@a.test", "gone@gmail.com"], 403);
    assert_eq!((gate.records(), events(&gate)), (Some(402), (403, 0)));
    assert_eq!(gate.import("b1").err(), Some(ImportRefused::Known));
    drop(gate);
    // Built anew it is the same.
    let policy = Policy::preset("quarantine").expect("a preset");
    let report = rebuild(&settings(dir.path()), &policy, |_, _| {}).expect("rebuilt");
    assert_eq!((report.replayed, report.records), (404, 402));
    let gate = open(dir.path()).gate;
    check(&gate, &["u0@a.test", "u7@a.test", "u399@a.test"], 403);
    assert_eq!(undo(&gate, "b1").tally, Some(Tally { events: 400, addresses: 400, changed: 400 }));
    check(&gate, &["manual@a.test", "gone@gmail.com"], 403);
    // The bounce that came in between stands.
    assert_eq!(gate.record(&key("u7@a.test")).expect("read").expect("known").hard.count, 1);
    assert_eq!((verdict(&gate, "u0@a.test"), gate.records()), ("forward", Some(3)));
}

#[test]
fn what_is_not_committed_is_nothing_and_an_import_of_the_same_name_does_not_revive_it() {
    let dir = tempfile::tempdir().expect("a directory");
    let gate = open(dir.path()).gate;
    let mut importing = gate.import("b1").expect("its turn");
    importing.push(rows(0..10, "b1")).expect("on disk");
    drop(importing);
    drop(gate);
    let opened = open(dir.path());
    assert_eq!((opened.report.replayed, opened.report.finished), (0, 0));
    let gate = opened.gate;
    assert_eq!((gate.records(), events(&gate)), (Some(0), (10, 10)));
    // There is nothing to undo.
    assert_eq!(undo(&gate, "other").tally, Some(Tally::default()));
    let mut importing = gate.import("b1").expect("its turn again");
    importing.push(rows(5..8, "b1")).expect("on disk");
    assert_eq!(committed(importing).tally, Some(Tally { events: 3, addresses: 3, changed: 3 }));
    assert_eq!((verdict(&gate, "u4@a.test"), verdict(&gate, "u5@a.test")), ("forward", "refuse"));
    assert_eq!((gate.records(), events(&gate)), (Some(3), (13, 10)));
    assert!(gate.import("b3").expect("its turn").commit(now(), Act::default()).is_none());
    assert!(gate.import("b3").is_ok());
}

#[test]
fn rows_that_the_disk_does_not_take_are_told_and_the_import_can_be_made_again() {
    let dir = tempfile::tempdir().expect("a directory");
    let settings = settings(dir.path());
    let fault = settings.journal_fault.clone();
    let gate = try_open(settings).expect("opens").gate;
    let mut importing = gate.import("b1").expect("its turn");
    importing.push(rows(0..10, "b1")).expect("on disk");
    fault.set(true);
    let refused = importing.push(rows(10..20, "b1")).expect_err("a full disk");
    assert!(matches!(refused, Unlearnt::Disk(_)), "{refused}");
    drop(importing);
    fault.set(false);
    // The next task finds that the disk is well again.
    while gate.learn(quarantine("manual@a.test")).wait().is_err() {}
    let mut importing = gate.import("b2").expect("its turn");
    importing.push(rows(0..20, "b2")).expect("on disk");
    committed(importing);
    check(&gate, &["u0@a.test", "u19@a.test", "manual@a.test"], 31);
    assert_eq!(events(&gate), (31, 10));
}

/// What is learnt meanwhile is left out of all figures; where an order moves records meanwhile, nothing can be said of them.
#[test]
fn a_comparison_is_of_one_moment_whatever_an_import_does_meanwhile() {
    let dir = tempfile::tempdir().expect("a directory");
    let gate = open(dir.path()).gate;
    learnt(&gate, hard("gone@gmail.com"));
    let mut importing = gate.import("b1").expect("its turn");
    for group in [0..500, 500..1000, 1000..1200] {
        importing.push(rows(group, "b1")).expect("on disk");
    }
    let mut more = Some(1200..1300);
    let report = gate.verify_with(&mut |_, _| {
        if let Some(more) = more.take() {
            importing.push(rows(more, "b1")).expect("on disk");
            learnt(&gate, hard("later@gmail.com"));
        }
    });
    let report = report.expect("verified");
    assert!(more.is_none() && report.agrees(), "{:?}", report.first);
    assert!(report.importing);
    assert_eq!((report.events, report.unfinished), (1201, 1200));
    assert_eq!((report.addresses, report.records), (1201, 1));
    let mut importing = Some(importing);
    let report = gate.verify_with(&mut |_, _| {
        importing.take().map(committed);
    });
    assert!(matches!(report, Err(GateError::Refolding)), "{report:?}");
    let report = gate.verify().expect("verified");
    assert!(!report.importing && report.agrees(), "{:?}", report.first);
    assert_eq!((report.events, report.unfinished, report.records), (1302, 0, 1302));
}

#[test]
fn what_keeps_an_import_from_counting_is_told_and_passes() {
    let dir = tempfile::tempdir().expect("a directory");
    let settings = settings(dir.path());
    let fault = settings.index_fault.clone();
    let gate = try_open(settings).expect("opens").gate;
    let mut importing = gate.import("b1").expect("its turn");
    importing.push(rows(0..10, "b1")).expect("on disk");
    assert_eq!((gate.trouble(), gate.imported()), (None, Some(10)));
    fault.set(true);
    let obeying = importing.commit(now(), Act::default()).expect("rows");
    while gate.trouble().is_none() {}
    fault.set(false);
    // The next task finds that the disk is well again.
    while gate.trouble().is_some() {
        drop(gate.learn(quarantine("manual@a.test")).wait());
    }
    assert_eq!(obeying.wait().expect("in force").seq, 11);
    assert_eq!(gate.imported(), None);
    assert_eq!(verdict(&gate, "u9@a.test"), "refuse");
}

#[test]
fn a_disk_without_room_for_it_is_told_before_a_row_is_written() {
    let dir = tempfile::tempdir().expect("a directory");
    let gate = open(dir.path()).gate;
    let importing = gate.import("b1").expect("its turn");
    assert_eq!(importing.check_room(1000), Ok(()));
    let refused = importing.check_room(u64::MAX).expect_err("no disk is so large");
    let Unlearnt::Disk(why) = refused else { panic!("{refused}") };
    assert!(why.contains("MiB are free in ") && why.contains("rows take about"), "{why}");
}
