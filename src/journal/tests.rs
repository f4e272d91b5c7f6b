use std::fs;
use std::path::{Path, PathBuf};

use super::*;
use crate::event::{Event, EventId, Tenant, What};
use crate::smtp::address::RecipientKey;
use crate::time::Timestamp;

fn event(number: u64) -> Event {
    Event {
        id: EventId(format!("id{number}")),
        at: Timestamp::from_secs(1_764_000_000),
        address: RecipientKey::parse("user@example.test").expect("an address"),
        tenant: Tenant::default(),
        what: What::Engaged,
    }
}

fn write(dir: &Path, numbers: std::ops::RangeInclusive<u64>, segment_bytes: u64) {
    let (mut writer, torn) = Writer::open(dir, segment_bytes).expect("opens");
    assert_eq!(torn, None);
    for number in numbers {
        writer.stage(&event(number)).expect("staged");
        writer.commit().expect("committed");
    }
}

fn sequences(dir: &Path) -> Vec<u64> {
    let entries = Reader::open(dir).expect("opens").map(|found| found.expect("a line").entry);
    entries
        .map(|entry| {
            assert_eq!(entry.event(), Some(&event(entry.seq)));
            entry.seq
        })
        .collect()
}

fn segment(dir: &Path, number: u32) -> PathBuf {
    segment::path(dir, number)
}

#[test]
fn lines_read_back_in_order_across_segments() {
    let dir = tempfile::tempdir().expect("a directory");
    let dir = dir.path().join("journal");
    write(&dir, 1..=5, 250);
    write(&dir, 6..=7, 250);
    assert_eq!(sequences(&dir), [1, 2, 3, 4, 5, 6, 7]);
    assert!(segment(&dir, 3).exists() && !segment(&dir, 9).exists());
    let line = fs::read_to_string(segment(&dir, 1)).expect("text");
    let expected = r#"{"seq":1,"id":"id1","at":"2025-11-24T16:00:00Z","address":"user@example.test","tenant":"default","type":"engaged"}"#;
    assert_eq!(line.lines().next(), Some(expected));
    for located in Reader::open(&dir).expect("opens") {
        let located = located.expect("a line");
        assert_eq!(read_at(&dir, located.position).expect("a line"), located.entry);
    }
    for start in 1..=8 {
        let found: Vec<u64> = Reader::from_sequence(&dir, start)
            .expect("opens")
            .map(|found| found.expect("a line").entry.seq)
            .collect();
        assert_eq!(found, (start..=7).collect::<Vec<_>>());
    }
}

#[test]
fn a_torn_last_line_is_cut_off_and_kept() {
    let broken_whole: &[u8] = b"{\"seq\":4,\"id\n";
    let zeros: &[u8] = &[0; 5000];
    for torn in [b"{\"seq\":4,\"id\":\"id".as_slice(), broken_whole, zeros, b"\n"] {
        let dir = tempfile::tempdir().expect("a directory");
        write(dir.path(), 1..=3, 1 << 20);
        let path = segment(dir.path(), 1);
        let good = fs::read(&path).expect("bytes");
        fs::write(&path, [good.as_slice(), torn].concat()).expect("written");
        let (mut writer, found) = Writer::open(dir.path(), 1 << 20).expect("opens");
        let found = found.expect("torn");
        assert_eq!(found.bytes, torn.len() as u64);
        assert_eq!(fs::read(&found.kept).expect("bytes"), torn);
        assert_eq!(fs::read(&path).expect("bytes"), good);
        writer.stage(&event(4)).expect("staged");
        writer.commit().expect("committed");
        assert_eq!(sequences(dir.path()), [1, 2, 3, 4]);
    }
}

#[test]
fn a_broken_line_elsewhere_is_an_error_that_names_it() {
    let dir = tempfile::tempdir().expect("a directory");
    write(dir.path(), 1..=3, 1 << 20);
    let path = segment(dir.path(), 1);
    let text = fs::read_to_string(&path).expect("text");
    fs::write(&path, text.replace("\"seq\":2,\"id\"", "\"seq\":2,\"xx\"")).expect("written");
    let check = |error: JournalError| {
        let shown = error.to_string();
        assert!(shown.contains("0000000001.jsonl:2: not an event"), "{shown}");
    };
    check(Writer::open(dir.path(), 1 << 20).map(drop).expect_err("broken"));
    check(Reader::open(dir.path()).expect("opens").find_map(Result::err).expect("broken"));

    // A line that is repeated, or taken out of order, is as wrong as one that does not parse.
    fs::write(&path, [text.as_str(), &text].concat()).expect("written");
    let error = Writer::open(dir.path(), 1 << 20).map(drop).expect_err("broken");
    assert!(error.to_string().contains(":4: sequence 1 does not follow 3"), "{error}");
}

#[test]
fn a_torn_line_in_an_older_segment_is_damage() {
    let dir = tempfile::tempdir().expect("a directory");
    write(dir.path(), 1..=3, 1);
    let path = segment(dir.path(), 2);
    let text = fs::read(&path).expect("bytes");
    fs::write(&path, &text[..text.len() - 1]).expect("written");
    let error = Reader::open(dir.path()).expect("opens").find_map(Result::err).expect("broken");
    assert!(error.to_string().contains("0000000002.jsonl:1: the line does not end"), "{error}");
    fs::remove_file(&path).expect("removed");
    let error = Writer::open(dir.path(), 1).map(drop).expect_err("missing");
    assert!(matches!(&error, JournalError::Missing { path: missing } if *missing == path));
}

#[test]
fn a_segment_begun_just_before_a_crash_may_be_empty() {
    let dir = tempfile::tempdir().expect("a directory");
    write(dir.path(), 1..=2, 1 << 20);
    fs::write(segment(dir.path(), 2), b"").expect("written");
    write(dir.path(), 3..=3, 1 << 20);
    assert_eq!(sequences(dir.path()), [1, 2, 3]);
}

#[test]
fn a_failed_commit_leaves_nothing_behind() {
    let dir = tempfile::tempdir().expect("a directory");
    let fault = Fault::default();
    let (writer, _) = Writer::open(dir.path(), 1 << 20).expect("opens");
    let mut writer = writer.with_fault(fault.clone());
    writer.stage(&event(1)).expect("staged");
    writer.commit().expect("committed");
    fault.set(true);
    writer.stage(&event(7)).expect("staged");
    writer.stage(&event(8)).expect("staged");
    assert!(writer.commit().is_err());
    assert!(matches!(writer.stage(&event(2)), Err(JournalError::Paused)));
    assert!(writer.recover().is_err());
    assert!(matches!(writer.commit(), Err(JournalError::Paused)));
    fault.set(false);
    writer.recover().expect("recovers");
    assert_eq!(writer.stage(&event(2)).expect("staged").0, 2);
    writer.commit().expect("committed");
    assert_eq!(writer.last().map(|(seq, _)| seq), Some(2));
    assert_eq!(sequences(dir.path()), [1, 2]);
}

#[test]
fn an_event_that_would_not_read_back_is_refused_alone() {
    let dir = tempfile::tempdir().expect("a directory");
    let (mut writer, _) = Writer::open(dir.path(), 1 << 20).expect("opens");
    let mut long = event(1);
    long.id = EventId("x".repeat(LINE_MAX));
    assert!(matches!(writer.stage(&long), Err(JournalError::Unwritable { .. })));
    assert_eq!(writer.stage(&event(1)).expect("staged").0, 1);
    writer.commit().expect("committed");
    assert_eq!(sequences(dir.path()), [1]);
}

#[test]
fn the_last_part_begins_at_a_whole_line() {
    let dir = tempfile::tempdir().expect("a directory");
    let dir = dir.path().join("journal");
    write(&dir, 1..=7, 250);
    let total = bytes_from(&dir, Position { segment: 1, offset: 0 }).expect("read");
    let all: Vec<_> =
        Reader::open(&dir).expect("opens").map(|found| found.expect("a line")).collect();
    for bytes in 0..=total + 1 {
        let begin = begin_of_last(&dir, bytes).expect("read");
        let found = Reader::at(&dir, begin).expect("opens").map(|found| found.expect("a line"));
        let found: Vec<_> = found.collect();
        // As many of the last lines as are whole within so many bytes.
        let mut room = bytes;
        let whole = all.iter().rev().take_while(|line| {
            let fits = line.bytes <= room;
            room = room.saturating_sub(line.bytes);
            fits
        });
        let whole = whole.count();
        assert_eq!(found.len(), whole, "{bytes}");
        assert_eq!(found, all[all.len() - whole..], "{bytes}");
    }
    let empty = dir.join("empty");
    fs::create_dir(&empty).expect("made");
    assert_eq!(begin_of_last(&empty, 10).expect("read"), Position { segment: 1, offset: 0 });
}

#[test]
fn segments_that_were_closed_before_are_passed_over() {
    let dir = tempfile::tempdir().expect("a directory");
    let dir = dir.path().join("journal");
    write(&dir, 1..=7, 250);
    let written = |number: u32, second: u64| {
        let file = fs::OpenOptions::new().append(true).open(segment(&dir, number)).expect("opens");
        let at = std::time::UNIX_EPOCH + std::time::Duration::from_secs(second);
        file.set_modified(at).expect("set");
    };
    for number in 1..=3 {
        written(number, 100 * u64::from(number));
    }
    let begin = |second| begin_since(&dir, Timestamp::from_secs(second)).expect("read");
    let segments: Vec<_> = [0, 100, 101, 200, 201, 300].map(|at| begin(at).segment).to_vec();
    assert_eq!(segments, [1, 1, 2, 2, 3, 3]);
    let behind = begin_since(&dir, Timestamp::from_secs(1 << 40)).expect("read");
    assert_eq!(Reader::at(&dir, behind).expect("opens").count(), 0);
}

fn order(number: u64) -> Order {
    let text = format!(
        r#"{{"id":"o{number}","at":"2026-11-23T10:00:00Z","order":"void","select":{{"rule":"r"}},"reason":"why"}}"#
    );
    serde_json::from_str(&text).expect("an order")
}

#[test]
fn orders_stand_between_events_and_are_found_without_reading_those() {
    let dir = tempfile::tempdir().expect("a directory");
    let (mut writer, _) = Writer::open(dir.path(), 250).expect("opens");
    for number in 1..=9 {
        match number % 3 {
            0 => writer.stage(&order(number)).expect("staged"),
            _ => writer.stage(&event(number)).expect("staged"),
        };
        writer.commit().expect("committed");
    }
    let expected = [(3, order(3)), (6, order(6)), (9, order(9))];
    assert_eq!(orders(dir.path(), 9).expect("read"), expected);
    assert_eq!(orders(dir.path(), 8).expect("read"), expected[..2]);
    for located in Reader::open(dir.path()).expect("opens") {
        let entry = located.expect("a line").entry;
        assert_eq!(entry.event().is_none(), entry.seq % 3 == 0);
        let line = serde_json::to_string(&entry).expect("JSON");
        assert_eq!(segment::parse(line.as_bytes(), 0).expect("reads back"), entry);
    }
}

#[test]
fn an_event_may_speak_of_orders() {
    let line = r#"{"seq":1,"id":"1","at":"2026-11-23T10:00:00Z","address":"order@order.test","tenant":"order","type":"reply","category":"user_unknown","scope":"recipient","stage":"rcpt","reply":"550 \"order\":\"void\" \\\"order\":1","rule":"order","campaign":"order"}"#;
    let entry = segment::parse(line.as_bytes(), 0).expect("an event");
    assert!(entry.event().is_some());
    // By hand, with blanks.
    let line = r#"{"seq":1, "id":"1", "at":"2026-11-23T10:00:00Z", "order" : "void", "select":{"rule":"r"}}"#;
    assert!(segment::parse(line.as_bytes(), 0).expect("an order").event().is_none());
    // One that is not understood is damage, never passed over.
    let line = r#"{"seq":1,"id":"1","at":"2026-11-23T10:00:00Z","order":"forget","address":"a@b.test","type":"engaged"}"#;
    let why = segment::parse(line.as_bytes(), 0).expect_err("unknown");
    assert!(why.starts_with("not an order: "), "{why}");
}
