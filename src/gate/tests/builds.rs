//! An index that is built from nothing.

use super::imports::row;
use super::*;
use crate::event::order::Decree;
use crate::event::select::{Conditions, Selector};
use crate::store::{Batch, Store, Stored};

fn index(dir: &Path) -> std::path::PathBuf {
    dir.join("index")
}

/// Everything that the index says of addresses.
fn records(gate: &Gate) -> Vec<(RecipientKey, Stored)> {
    let store = gate.0.shared.store().expect("open");
    store.scan(None).collect::<Result<_, _>>().expect("read")
}

/// Events of many addresses in turn, with orders between them that take some back.
fn told(dir: &Path) -> Vec<(RecipientKey, Stored)> {
    let gate = open(dir).gate;
    for round in 0..3 {
        for number in 0..40 {
            let address = format!("u{}@d{}.test", number * 7 % 40, number % 3);
            let delivered = || draft(&address, What::Delivered(Delivery::default()));
            let bounced = if round == 1 && number % 4 == 0 { delivered() } else { hard(&address) };
            learnt(&gate, Draft { at: now().plus(Duration::from_secs(round)), ..bounced });
        }
        let domain = Some(format!("d{round}.test"));
        let select = Selector::new(Conditions { domain, ..Conditions::default() });
        let decree = Decree::Void { select: select.expect("a selector") };
        let order = OrderDraft { at: now(), decree, act: Act::default() };
        if round < 2 {
            gate.order(order).wait().expect("obeyed");
        }
    }
    for _ in 0..40 {
        learnt(&gate, hard("often@d3.test"));
    }
    let mut importing = gate.import("b1").expect("its turn");
    importing.push(vec![row("u0@d0.test", "b1"), row("new@d9.test", "b1")]).expect("on disk");
    importing.commit(now(), Act::default()).expect("rows").wait().expect("in force");
    records(&gate)
}

#[test]
fn it_says_what_one_says_that_was_folded_event_by_event() {
    let dir = tempfile::tempdir().expect("a directory");
    let before = told(dir.path());
    assert!(before.len() > 20, "{}", before.len());
    // Most of it goes through files, all of it through memory; a story of more events than one batch has.
    for sort_bytes in [500, 1 << 20] {
        fs::remove_dir_all(index(dir.path())).expect("removed");
        let settings = GateSettings { sort_bytes, ..settings(dir.path()) };
        let opened = try_open(settings).expect("opens");
        assert_eq!((opened.report.replayed, opened.report.finished), (165, 0));
        assert_eq!(records(&opened.gate), before);
        check(&opened.gate, &["u0@d0.test", "new@d9.test"], 162);
        assert_eq!(opened.gate.masks(), open_orders(dir.path()));
    }
}

/// The orders, as the journal has them.
fn open_orders(dir: &Path) -> Arc<Masks> {
    Arc::new(Masks::new(journal::orders(&dir.join("journal"), u64::MAX).expect("read")))
}

#[test]
fn one_that_did_not_end_is_never_in_force() {
    let dir = tempfile::tempdir().expect("a directory");
    let before = told(dir.path());
    fs::remove_dir_all(index(dir.path())).expect("removed");
    {
        let (store, _) =
            Store::open(&index(dir.path()), 1 << 20, Duration::ZERO).expect("an index");
        // Of another journal, say.
        let ghost = (key("ghost@x.test"), Some(before[0].1.clone()));
        let half = Batch { records: vec![ghost], ..Batch::default() };
        store.apply(&half).expect("applied");
        store.flush().expect("flushed");
    }
    let opened = open(dir.path());
    assert_eq!((opened.report.moved_aside, opened.report.replayed), (None, 165));
    assert_eq!(records(&opened.gate), before);
    let names = fs::read_dir(dir.path()).expect("listed").map(|entry| entry.expect("a file"));
    let broken = |entry: &fs::DirEntry| entry.file_name().to_string_lossy().contains("broken");
    assert_eq!(names.filter(broken).count(), 0);
}

#[test]
fn a_disk_that_fills_up_breaks_it_off_and_the_next_start_begins_anew() {
    let dir = tempfile::tempdir().expect("a directory");
    let before = told(dir.path());
    fs::remove_dir_all(index(dir.path())).expect("removed");
    let settings = settings(dir.path());
    let policy = Policy::preset("quarantine").expect("a preset");
    let fault = settings.index_fault.clone();
    // When half of the events are folded: some batches are in the index by then.
    let half = |done, total| fault.set(done > total * 3 / 4);
    let error = Gate::open(settings, policy, Classifier::builtin(), half).map(drop);
    let error = error.expect_err("full");
    assert!(matches!(error, GateError::Store(StoreError::Failed(_))), "{error}");
    let (store, _) = Store::open(&index(dir.path()), 1 << 20, Duration::ZERO).expect("an index");
    assert!(store.count() > 0 && store.applied().is_none());
    drop(store);
    let opened = open(dir.path());
    assert_eq!(records(&opened.gate), before);
    check(&opened.gate, &["u0@d0.test", "new@d9.test"], 162);
}

#[test]
fn a_journal_that_ends_before_it_should_is_no_smaller_list() {
    let dir = tempfile::tempdir().expect("a directory");
    teach(dir.path(), &["a@a.test", "b@a.test"]);
    fs::remove_dir_all(index(dir.path())).expect("removed");
    let (path, policy) = (index(dir.path()), Policy::preset("quarantine").expect("a preset"));
    let (store, filter) = Store::open(&path, 1 << 20, Duration::ZERO).expect("an index");
    let means = (&store, &filter);
    let built = build::build(&settings(dir.path()), means, 3, &policy, &mut |_, _| {});
    assert!(matches!(built, Err(GateError::JournalBehind { index: 3, journal: 2 })), "{built:?}");
    assert!(store.is_empty().expect("read"));
    // What lies behind the end was never acknowledged.
    assert_eq!(
        build::build(&settings(dir.path()), means, 1, &policy, &mut |_, _| {}).ok(),
        Some(1)
    );
    assert_eq!((store.count(), store.applied().map(|applied| applied.seq)), (1, Some(1)));
}

/// What lies in the data directory that is named like an index.
fn indexes(dir: &Path) -> Vec<String> {
    let names = fs::read_dir(dir).expect("listed").map(|entry| entry.expect("a file").file_name());
    let mut names: Vec<_> = names.map(|name| name.to_string_lossy().into_owned()).collect();
    names.retain(|name| name.starts_with("index"));
    names.sort();
    names
}

#[test]
fn a_rebuild_that_fails_leaves_the_index_in_force() {
    let dir = tempfile::tempdir().expect("a directory");
    let before = told(dir.path());
    let policy = Policy::preset("quarantine").expect("a preset");
    let full = settings(dir.path());
    let fault = full.index_fault.clone();
    let half = |done, total| fault.set(done > total * 3 / 4);
    rebuild(&full, &policy, half).map(drop).expect_err("full");
    assert_eq!(indexes(dir.path()), ["index"]);
    let opened = open(dir.path());
    assert_eq!((opened.report.moved_aside, opened.report.replayed), (None, 0));
    assert_eq!(records(&opened.gate), before);
    drop(opened.gate);
    // As one that was killed leaves it.
    fs::create_dir(dir.path().join("index.building")).expect("made");
    fs::write(dir.path().join("index.building/db"), b"half").expect("written");
    let report = rebuild(&settings(dir.path()), &policy, |_, _| {}).expect("rebuilt");
    assert_eq!((report.replayed, report.records), (165, before.len() as u64));
    let (aside, _) = report.moved_aside.expect("the old one");
    assert!(aside.join("db").exists() && indexes(dir.path()).len() == 2, "{aside:?}");
    fs::create_dir(dir.path().join("index.building")).expect("made");
    let opened = open(dir.path());
    assert_eq!(records(&opened.gate), before);
    assert_eq!(indexes(dir.path()).len(), 2);
}
