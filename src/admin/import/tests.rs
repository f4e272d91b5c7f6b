//! Rows on their way into the journal.

use std::path::Path;

use super::*;
use crate::bounce::classify::Classifier;
use crate::event::Event;
use crate::gate::GateSettings;
use crate::journal;
use crate::policy::Policy;

fn gate(dir: &Path) -> Gate {
    // So little that nearly every row goes through a file.
    let settings = GateSettings { sort_bytes: 200, ..GateSettings::new(dir) };
    let policy = Policy::preset("quarantine").expect("a preset");
    Gate::open(settings, policy, Classifier::builtin(), |_, _| {}).expect("opens").gate
}

fn head(rows: u64) -> ImportHead {
    let (source, batch) = ("old-esp".to_owned(), "b1".to_owned());
    ImportHead { source, batch, rows, trust: true, reason: "moving".to_owned(), by: String::new() }
}

fn row(address: &str, number: u64) -> ImportRow {
    ImportRow {
        address: address.to_owned(),
        kind: ImportKind::Hard,
        tenant: None,
        row: Some(number),
        dated: None,
        until: None,
        category: None,
        detail: String::new(),
        forced: false,
        again: false,
        learnt: false,
    }
}

fn take(gate: &Gate, rows: u64, addresses: &[&str]) -> Result<Kept, Fault> {
    let coming = addresses.iter().zip(1..).map(|(address, number)| Ok(row(address, number)));
    begin(gate, head(rows), Timestamp::now())?.take(gate, coming, |_| Ok(()))
}

/// Address and row of what is in the journal, in order.
fn journaled(dir: &Path) -> Vec<(String, Option<u64>)> {
    let lines = journal::Reader::open(&dir.join("journal")).expect("opens");
    let events = lines.filter_map(|line| line.expect("a line").entry.event().cloned());
    let row = |event: &Event| event.imported().expect("a row").row;
    events.map(|event| (event.address.to_string(), row(&event))).collect()
}

#[test]
fn rows_are_journaled_by_domain_and_those_of_one_address_as_they_came() {
    let dir = tempfile::tempdir().expect("a directory");
    let gate = gate(dir.path());
    let came = ["z@b.test", "b@c.test", "a@c.test", "z@b.test", "q@a.test", "b@c.test"];
    let kept = take(&gate, 6, &came).expect("kept");
    kept.obeying.expect("rows").wait().expect("in force");
    let expected = [
        ("q@a.test", 5),
        ("z@b.test", 1),
        ("z@b.test", 4),
        ("a@c.test", 3),
        ("b@c.test", 2),
        ("b@c.test", 6),
    ];
    let expected = expected.map(|(address, row)| (address.to_owned(), Some(row)));
    assert_eq!(journaled(dir.path()), expected);
}

#[test]
fn a_reset_behind_what_it_resets_is_no_reset_of_nothing() {
    let dir = tempfile::tempdir().expect("a directory");
    let gate = gate(dir.path());
    let learnt = ImportRow { learnt: true, ..row("a@a.test", 1) };
    let active = |address, number| ImportRow { kind: ImportKind::Active, ..row(address, number) };
    let rows = [active("b@a.test", 3), learnt, active("a@a.test", 2)];
    let intake = begin(&gate, head(3), Timestamp::now()).expect("begun");
    let kept = intake.take(&gate, rows.map(Ok::<_, Fault>).into_iter(), |_| Ok(())).expect("kept");
    assert_eq!((kept.reply.rows, kept.reply.skipped), (2, 1));
    kept.obeying.expect("rows").wait().expect("in force");
    let address = &address("a@a.test").expect("an address");
    let record = gate.record(address).expect("read");
    assert!(record.is_none_or(|record| record.learnt.is_none()), "the reset counts");
}

#[test]
fn whoever_waits_may_break_it_off_at_the_last_moment() {
    let dir = tempfile::tempdir().expect("a directory");
    let gate = gate(dir.path());
    let rows = [Ok::<_, Fault>(row("a@a.test", 1))];
    let intake = begin(&gate, head(1), Timestamp::now()).expect("begun");
    let gone = |_| Err(Fault::Later("gone".to_owned()));
    assert!(intake.take(&gate, rows.into_iter(), gone).is_err());
    assert_eq!((journaled(dir.path()).len(), gate.records()), (1, Some(0)));
    assert_eq!(gate.imported(), None);
}

#[test]
fn an_address_that_needs_quotes_is_no_other() {
    let dir = tempfile::tempdir().expect("a directory");
    let gate = gate(dir.path());
    for (number, text) in [r#""quoted local"@a.test"#, r#""\"x\""@a.test"#].into_iter().enumerate()
    {
        let key = address(text).expect("an address");
        assert_eq!(key.to_string(), text);
        let mut head = head(1);
        head.batch = format!("b{number}");
        let row = row(&key.to_string(), 1);
        let intake = begin(&gate, head, Timestamp::now()).expect("begun");
        let kept = intake.take(&gate, [Ok::<_, Fault>(row)].into_iter(), |_| Ok(())).expect("kept");
        kept.obeying.expect("a row").wait().expect("in force");
        assert!(gate.record(&key).expect("read").is_some());
    }
    let other = address("x@a.test").expect("an address");
    assert_eq!(gate.record(&other).expect("read"), None);
}

#[test]
fn nothing_is_journaled_before_all_rows_are_known_to_be_good() {
    let dir = tempfile::tempdir().expect("a directory");
    let gate = gate(dir.path());
    let bad = take(&gate, 3, &["a@a.test", "b@a.test", "no address"]).map(drop);
    assert!(matches!(&bad, Err(Fault::Bad(why)) if why.contains("row 3")), "{bad:?}");
    for announced in [1, 3] {
        let bad = take(&gate, announced, &["a@a.test", "b@a.test"]).map(drop);
        assert!(matches!(&bad, Err(Fault::Bad(why)) if why.contains("announced")), "{bad:?}");
    }
    assert_eq!(journaled(dir.path()), []);
}
