//! What a start finds, and mends.

use super::*;

#[test]
fn an_index_that_is_gone_is_built_anew() {
    let dir = tempfile::tempdir().expect("a directory");
    teach(dir.path(), &["a@a.test", "b@a.test", "a@a.test"]);
    fs::remove_dir_all(dir.path().join("index")).expect("removed");
    let mut progress = Vec::new();
    let policy = Policy::preset("quarantine").expect("a preset");
    let opened = Gate::open(settings(dir.path()), policy, Classifier::builtin(), |done, total| {
        progress.push((done, total));
    })
    .expect("opens");
    assert_eq!(opened.report.replayed, 3);
    assert_eq!(opened.report.moved_aside, None);
    let total = progress[0].1;
    assert_eq!((progress[0].0, progress.last()), (0, Some(&(total, total))));
    check(&opened.gate, &["a@a.test", "b@a.test"], 3);
}

#[test]
fn a_damaged_index_is_moved_aside_and_built_anew() {
    let damages: [fn(&Path); 3] = [
        |index| {
            let db = fs::OpenOptions::new().write(true).open(index.join("db")).expect("opens");
            db.set_len(db.metadata().expect("metadata").len() / 2).expect("cut");
        },
        |index| fs::write(index.join("db"), b"").expect("emptied"),
        |index| fs::write(index.join("conf"), b"garbage").expect("written"),
    ];
    for (turn, damage) in damages.into_iter().enumerate() {
        let dir = tempfile::tempdir().expect("a directory");
        teach(dir.path(), &["a@a.test", "b@a.test"]);
        damage(&dir.path().join("index"));
        let opened = open(dir.path());
        assert_eq!(opened.report.records, 2, "{turn}");
        if let Some((aside, _)) = &opened.report.moved_aside {
            assert!(aside.join("db").exists());
        }
        check(&opened.gate, &["a@a.test", "b@a.test"], 2);
    }
}

#[test]
fn a_crash_between_journal_and_index_loses_nothing() {
    let dir = tempfile::tempdir().expect("a directory");
    teach(dir.path(), &["a@a.test"]);
    let (mut journal, _) = journal::Writer::open(&dir.path().join("journal"), 2000).expect("opens");
    let Draft { at, address, tenant, what } = quarantine("b@a.test");
    let event = Event { id: EventId(id::new(at)), at, address, tenant, what };
    journal.stage(&event).expect("staged");
    journal.commit().expect("committed");
    drop(journal);
    let opened = open(dir.path());
    assert_eq!(opened.report.replayed, 1);
    check(&opened.gate, &["a@a.test", "b@a.test"], 2);
}

#[test]
fn a_torn_line_is_cut_off_and_counted() {
    let dir = tempfile::tempdir().expect("a directory");
    teach(dir.path(), &["a@a.test"]);
    let segment = dir.path().join("journal/0000000001.jsonl");
    let mut text = fs::read(&segment).expect("read");
    text.extend_from_slice(b"{\"seq\":2,");
    fs::write(&segment, text).expect("written");
    let opened = open(dir.path());
    assert!(opened.report.torn.is_some());
    assert_eq!(opened.gate.stats().torn.load(Ordering::Relaxed), 1);
    learnt(&opened.gate, quarantine("b@a.test"));
    check(&opened.gate, &["a@a.test", "b@a.test"], 2);
}

#[test]
fn a_journal_that_lost_events_is_refused_until_a_rebuild_is_asked_for() {
    let dir = tempfile::tempdir().expect("a directory");
    teach(dir.path(), &["a@a.test", "b@a.test"]);
    let segment = dir.path().join("journal/0000000001.jsonl");
    let text = fs::read_to_string(&segment).expect("read");
    let first = text.lines().next().expect("a line");
    fs::write(&segment, format!("{first}\n")).expect("written");
    let error = try_open(settings(dir.path())).map(drop).expect_err("behind");
    assert!(matches!(error, GateError::JournalBehind { index: 2, journal: 1 }), "{error}");
    let policy = Policy::preset("quarantine").expect("a preset");
    let report = rebuild(&settings(dir.path()), &policy, |_, _| {}).expect("rebuilt");
    assert_eq!((report.replayed, report.records), (1, 1));
    check(&open(dir.path()).gate, &["a@a.test"], 1);
}

#[test]
fn an_index_made_from_another_journal_is_not_believed() {
    let (one, other) = (tempfile::tempdir().expect("dir"), tempfile::tempdir().expect("dir"));
    teach(one.path(), &["a@a.test"]);
    teach(other.path(), &["b@a.test"]);
    fs::remove_dir_all(one.path().join("index")).expect("removed");
    fs::rename(other.path().join("index"), one.path().join("index")).expect("renamed");
    let opened = open(one.path());
    assert!(opened.report.moved_aside.is_some());
    assert_eq!(verdict(&opened.gate, "b@a.test"), "forward");
    check(&opened.gate, &["a@a.test"], 1);
}
