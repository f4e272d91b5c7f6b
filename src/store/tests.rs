use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use proptest::prelude::*;

use super::lock::DataLock;
use super::*;
use crate::time::Timestamp;

const CACHE: u64 = 1 << 20;

fn open(path: &Path) -> Result<(Store, Filter), StoreError> {
    Store::open(path, CACHE, Duration::from_secs(5))
}

fn key(address: &str) -> RecipientKey {
    RecipientKey::parse(address).expect("an address")
}

/// A record that differs from others by its count.
fn stored(count: u32, seq: u64) -> Stored {
    let mut record = crate::policy::Record::default();
    record.hard.count = count;
    Stored { record, seq }
}

fn batch(address: &str, count: Option<u32>, seq: u64) -> Batch {
    let position = Position { segment: 1, offset: seq * 100 };
    Batch {
        records: vec![(key(address), count.map(|count| stored(count, seq)))],
        history: vec![(key(address), seq, position)],
        through: Some(Applied { seq, position, id: format!("id{seq}") }),
        ..Batch::default()
    }
}

fn order(domain: &str) -> Order {
    let text = format!(
        r#"{{"id":"o","at":"2026-11-23T10:00:00Z","order":"void","select":{{"domain":"{domain}"}},"reason":"why"}}"#
    );
    serde_json::from_str(&text).expect("an order")
}

#[test]
fn orders_and_what_they_have_left_to_do_are_there_after_opening_again() {
    let dir = tempfile::tempdir().expect("a directory");
    let (store, _) = open(dir.path()).expect("opens");
    let next = Position { segment: 1, offset: 300 };
    let job = Job { order: 4, next, tally: Tally { events: 3, addresses: 2, changed: 1 } };
    let orders = vec![(4, order("b.test")), (300, order("c.test"))];
    let jobs = Some(vec![job]);
    store.apply(&Batch { orders: orders.clone(), jobs, ..Batch::default() }).expect("applied");
    // A batch that says nothing of them leaves them as they are.
    store.apply(&batch("a@b.test", Some(1), 301)).expect("applied");
    store.apply(&batch("a@b.test", Some(2), 302)).expect("applied");
    let behind = store.history_behind(&key("a@b.test"), 301).expect("read");
    assert_eq!(behind.iter().map(|(seq, _)| *seq).collect::<Vec<_>>(), [302]);
    assert_eq!(store.history_behind(&key("a@b.test"), 302).expect("read"), []);
    store.flush().expect("flushed");
    drop(store);
    let (store, _) = open(dir.path()).expect("opens");
    assert_eq!((store.orders().expect("read"), store.jobs()), (orders, vec![job]));
    store.apply(&Batch { jobs: Some(Vec::new()), ..Batch::default() }).expect("applied");
    assert_eq!(store.jobs(), []);
}

#[test]
fn what_was_applied_is_there_after_opening_again() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("index");
    let (store, filter) = open(&path).expect("opens");
    assert!(!filter.may_contain("a@b.test"));
    assert_eq!(store.applied(), None);
    store.apply(&batch("a@b.test", Some(1), 1)).expect("applied");
    store.apply(&batch("ab@b.test", Some(5), 2)).expect("applied");
    store.apply(&batch("a@b.test", Some(2), 3)).expect("applied");
    store.apply(&batch("c@bb.test", Some(2), 4)).expect("applied");
    store.apply(&batch("c@bb.test", None, 5)).expect("applied");
    store.flush().expect("flushed");
    drop(store);

    let (store, filter) = open(&path).expect("opens");
    assert!(filter.may_contain("a@b.test") && filter.may_contain("ab@b.test"));
    assert!(!filter.may_contain("c@bb.test"));
    assert_eq!(store.count(), 2);
    assert_eq!(store.applied().map(|applied| applied.seq), Some(5));
    assert_eq!(store.get(&key("a@b.test")).expect("read"), Some(stored(2, 3)));
    assert_eq!(store.get(&key("c@bb.test")).expect("read"), None);
    let history = store.history(&key("a@b.test")).expect("read");
    assert_eq!(history.iter().map(|(seq, _)| *seq).collect::<Vec<_>>(), [1, 3]);
    let found: Vec<_> = store.scan(Some("b.test")).map(|found| found.expect("read").0).collect();
    assert_eq!(found, [key("a@b.test"), key("ab@b.test")]);
    assert_eq!(store.scan(Some("bb.test")).count(), 0);
    assert_eq!(store.histories().count(), 5);
}

#[test]
fn addresses_that_begin_alike_keep_their_histories_apart() {
    let dir = tempfile::tempdir().expect("a directory");
    let (store, _) = open(dir.path()).expect("opens");
    // No client can send a zero byte; a journal edited by hand can hold one.
    let odd: RecipientKey = serde_json::from_str(r#""a\u0000seven77@b.test""#).expect("a key");
    let mut strange = batch("a@b.test", Some(1), 1);
    strange.history[0].0 = odd;
    store.apply(&strange).expect("applied");
    store.apply(&batch("a@b.test", Some(1), 2)).expect("applied");
    let history = store.history(&key("a@b.test")).expect("read");
    assert_eq!(history.iter().map(|(seq, _)| *seq).collect::<Vec<_>>(), [2]);
}

/// Changes one value behind the store's back.
fn tamper(path: &Path, change: impl FnOnce(&sled::Db)) -> StoreError {
    // The threads of the one that was dropped may still have it for a moment.
    let db = loop {
        match sled::open(path) {
            Err(sled::Error::Io(error)) if error.to_string().contains("acquire lock") => {}
            opened => break opened.expect("opens"),
        }
    };
    change(&db);
    db.flush().expect("flushed");
    drop(db);
    open(path).map(drop).expect_err("damage")
}

#[test]
fn every_kind_of_silent_loss_shows_at_the_start() {
    let kinds: [fn(&sled::Db); 7] = [
        // A record is gone.
        |db| drop(db.remove(codec::record_key(&key("a@b.test"))).expect("removed")),
        // One is back in an older state, as valid as the newer one.
        |db| {
            let raw_key = codec::record_key(&key("a@b.test"));
            let value = codec::encode_record(&raw_key, &stored(1, 1)).expect("encoded");
            drop(db.insert(raw_key, value).expect("inserted"));
        },
        // One has the value of another.
        |db| {
            let value = db.get(codec::record_key(&key("a@b.test"))).expect("read").expect("there");
            drop(db.insert(codec::record_key(&key("c@b.test")), value).expect("inserted"));
        },
        // A bit has flipped.
        |db| {
            let raw_key = codec::record_key(&key("a@b.test"));
            let mut value = db.get(&raw_key).expect("read").expect("there").to_vec();
            value[9] ^= 4;
            drop(db.insert(raw_key, value).expect("inserted"));
        },
        // An order is gone: what it made void would count again.
        |db| drop(db.remove(codec::order_key(4)).expect("removed")),
        // One is another one.
        |db| {
            let raw_key = codec::order_key(4);
            let value = codec::encode_order(&raw_key, &order("other.test")).expect("encoded");
            drop(db.insert(raw_key, value).expect("inserted"));
        },
        // What must hold of all is gone.
        |db| drop(db.remove(codec::META_KEY).expect("removed")),
    ];
    for change in kinds {
        let dir = tempfile::tempdir().expect("a directory");
        let (store, _) = open(dir.path()).expect("opens");
        store.apply(&batch("a@b.test", Some(1), 1)).expect("applied");
        store.apply(&batch("a@b.test", Some(2), 2)).expect("applied");
        store.apply(&batch("c@b.test", Some(2), 3)).expect("applied");
        let orders = vec![(4, order("b.test"))];
        store.apply(&Batch { orders, ..Batch::default() }).expect("applied");
        drop(store);
        let error = tamper(dir.path(), change);
        assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
        assert!(error.is_damage());
    }
}

#[test]
fn damage_ahead_of_very_many_records_ends_the_start() {
    let dir = tempfile::tempdir().expect("a directory");
    let (store, _) = open(dir.path()).expect("opens");
    // More than may wait between the two threads that read them.
    let many = 0..8_000_u64;
    let records = many.map(|number| (key(&format!("{number:04}@b.test")), Some(stored(1, number))));
    store.apply(&Batch { records: records.collect(), ..Batch::default() }).expect("applied");
    drop(store);
    let error = tamper(dir.path(), |db| {
        let raw_key = codec::record_key(&key("0000@b.test"));
        drop(db.insert(raw_key, b"short".as_slice()).expect("inserted"));
    });
    assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
}

#[test]
fn another_format_is_told_apart_from_damage() {
    let dir = tempfile::tempdir().expect("a directory");
    drop(open(dir.path()).expect("opens"));
    let error = tamper(dir.path(), |db| {
        let mut value = vec![codec::FORMAT + 1, 0, 0, 0];
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(codec::META_KEY);
        hasher.update(&value);
        value.extend_from_slice(&hasher.finalize().to_le_bytes());
        drop(db.insert(codec::META_KEY, value).expect("inserted"));
    });
    assert!(matches!(error, StoreError::Format { .. }), "{error}");
}

/// Copies an index as a crash or a bad disk may leave it: each file cut to so many percent.
fn copy_cut(from: &Path, to: &Path, percent: u64) {
    fs::create_dir(to).expect("made");
    for file in fs::read_dir(from).expect("listed") {
        let file = file.expect("listed");
        if file.file_type().expect("known").is_file() {
            let bytes = fs::read(file.path()).expect("read");
            let keep = bytes.len() * usize::try_from(percent).expect("small") / 100;
            // The configuration is written once, long before.
            let keep = if file.file_name() == "conf" { bytes.len() } else { keep };
            fs::write(to.join(file.file_name()), &bytes[..keep]).expect("written");
        }
    }
}

#[test]
fn a_truncated_index_is_damage_or_an_older_state_as_it_was() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("index");
    let (store, _) = open(&path).expect("opens");
    for seq in 1..=1000 {
        store.apply(&batch(&format!("u{seq}@b.test"), Some(1), seq)).expect("applied");
    }
    store.flush().expect("flushed");
    drop(store);
    for percent in [0, 1, 10, 50, 75, 90, 99, 100] {
        let copy = dir.path().join(format!("copy{percent}"));
        copy_cut(&path, &copy, percent);
        match open(&copy) {
            // Whatever it lacks the journal's tail brings back.
            Ok((store, _)) => {
                let applied = store.applied().map_or(0, |applied| applied.seq);
                assert_eq!(store.count(), applied, "{percent} %");
                assert!(percent < 100 || applied == 1000);
            }
            Err(error) => assert!(error.is_damage(), "{percent} %: {error}"),
        }
    }
}

#[test]
fn a_panic_of_sled_is_an_error() {
    let error = contain::<()>(|| panic!("index out of bounds")).expect_err("a panic");
    assert_eq!(error.to_string(), "sled panicked: index out of bounds");
    assert!(error.is_damage());
}

#[test]
fn what_is_moved_aside_is_kept_under_another_name() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("index");
    for name in ["index.broken-1970-01-01T000000Z", "index.broken-1970-01-01T000000Z-1"] {
        drop(open(&path).expect("opens"));
        let aside = move_aside(&path, Timestamp::from_secs(0)).expect("renamed");
        assert!(aside.ends_with(name), "{}", aside.display());
        assert!(aside.join("db").exists() && !path.exists());
    }
}

#[test]
fn a_failed_write_refuses_the_next_until_it_is_opened_again() {
    let dir = tempfile::tempdir().expect("a directory");
    let fault = crate::journal::Fault::default();
    let store = open(dir.path()).expect("opens").0.with_fault(fault.clone());
    store.apply(&batch("a@b.test", Some(1), 1)).expect("applied");
    fault.set(true);
    assert!(store.apply(&batch("a@b.test", Some(2), 2)).is_err());
    fault.set(false);
    assert!(matches!(store.apply(&batch("a@b.test", Some(2), 2)), Err(StoreError::Paused)));
    assert!(matches!(store.flush(), Err(StoreError::Paused)));
    assert_eq!(store.get(&key("a@b.test")).expect("read"), Some(stored(1, 1)));
    drop(store);
    let (store, _) = open(dir.path()).expect("opens");
    store.apply(&batch("a@b.test", Some(2), 2)).expect("applied");
}

#[test]
fn one_gate_to_a_directory() {
    let dir = tempfile::tempdir().expect("a directory");
    let first = DataLock::take(dir.path(), Duration::ZERO).expect("locked");
    let error = DataLock::take(dir.path(), Duration::ZERO).expect_err("locked already");
    assert!(matches!(&error, StoreError::Locked { path } if path == dir.path()));
    assert!(error.to_string().starts_with("another rcptgate uses data_dir"), "{error}");
    drop(first);
    DataLock::take(dir.path(), Duration::ZERO).expect("free again");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn the_index_agrees_with_a_map(
        changes in proptest::collection::vec(
            ("[a-d]{1,2}@[ab]{1,2}\\.test", proptest::option::weighted(0.7, 0..9_u32), any::<bool>()),
            1..60,
        ),
    ) {
        let dir = tempfile::tempdir().expect("a directory");
        let mut store = open(dir.path()).expect("opens").0;
        let mut model = BTreeMap::new();
        for (seq, (address, count, again)) in (1..).zip(changes) {
            store.apply(&batch(&address, count, seq)).expect("applied");
            match count {
                Some(count) => drop(model.insert(key(&address), stored(count, seq))),
                None => drop(model.remove(&key(&address))),
            }
            if again && seq % 7 == 0 {
                drop(store);
                store = open(dir.path()).expect("opens").0;
            }
            prop_assert_eq!(store.count(), model.len() as u64);
            prop_assert_eq!(store.get(&key(&address)).expect("read"), model.get(&key(&address)).cloned());
        }
        let found: BTreeMap<_, _> = store.scan(None).map(|found| found.expect("read")).collect();
        prop_assert_eq!(found, model);
    }
}
