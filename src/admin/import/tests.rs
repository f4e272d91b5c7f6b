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
    begin(gate, head(rows), Timestamp::now())?.take(gate, coming, |_| {})
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
