//! Who is known to be good.

use super::*;

const CAPACITY: u64 = 30_000;
const KEPT: Duration = Duration::from_secs(36 * 86_400);

fn known() -> KnownGood {
    KnownGood::new(CAPACITY, KEPT, 7)
}

fn user(number: i64) -> RecipientKey {
    key(&format!("user{number}@a.test"))
}

/// As full as it can be: four generations of a third of the capacity.
fn full() -> KnownGood {
    let mut filter = known();
    for number in 0..40_000 {
        filter.insert(&user(number), at(number / 10_000 * 13 * DAY));
    }
    filter
}

#[test]
fn an_address_is_known_for_its_time_and_a_third_more_at_most() {
    let mut filter = known();
    filter.insert(&user(0), at(0));
    assert!(filter.contains(&user(0)) && !filter.contains(&user(1)));
    for day in 0..36 {
        filter.insert(&key(&format!("other{day}@b.test")), at(day * DAY));
        assert!(filter.contains(&user(0)), "day {day}");
    }
    for day in 36..=48 {
        filter.insert(&key(&format!("other{day}@b.test")), at(day * DAY));
    }
    assert!(!filter.contains(&user(0)));
}

#[test]
fn few_strangers_are_taken_for_known_when_it_is_full() {
    let filter = full();
    assert!((0..40_000).all(|number| filter.contains(&user(number))));
    let strangers = 100_000;
    let known = (0..strangers).filter(|number| filter.contains(&key(&format!("x{number}@b.test"))));
    let known = known.count();
    println!("{known} of {strangers} by chance, {} bytes", filter.bytes());
    assert!(known * 200 < strangers, "{known} of {strangers}");
    assert_eq!(filter.bytes(), 4 * 313 * 64);
}

#[test]
fn beyond_its_room_it_forgets_earlier_and_does_not_grow() {
    let mut filter = known();
    let before = filter.bytes();
    for number in 0..200_000 {
        filter.insert(&user(number), at(0));
    }
    assert_eq!(filter.bytes(), before);
    assert!((170_000..200_000).all(|number| filter.contains(&user(number))));
    assert!(!filter.contains(&user(0)));
}

#[test]
fn bytes_are_read_back_or_refused() {
    let filter = full();
    let bytes = filter.to_bytes();
    assert_eq!(KnownGood::from_bytes(&bytes, CAPACITY, KEPT), Ok(filter));
    let refused = |bytes: &[u8]| {
        KnownGood::from_bytes(bytes, CAPACITY, KEPT).expect_err("damaged").to_string()
    };
    for (place, problem) in [(0, "kind"), (8, "version"), (20, "checksum"), (50_000, "checksum")] {
        let mut damaged = bytes.clone();
        damaged[place] ^= 1;
        assert!(refused(&damaged).contains(problem), "{place}");
    }
    for length in [0, 3, 4, 11, 30, 5000, bytes.len() - 1] {
        refused(&bytes[..length]);
    }
    // A checksum does not make sense of nonsense.
    let mut hostile = bytes[..20].to_vec();
    hostile.extend([0xFF; 32]);
    hostile.extend(crc32fast::hash(&hostile).to_le_bytes());
    assert!(refused(&hostile).contains("too short"));
}

#[test]
fn another_capacity_holds_from_the_next_generation_on() {
    let bytes = full().to_bytes();
    let mut filter = KnownGood::from_bytes(&bytes, CAPACITY / 2, KEPT).expect("a filter");
    assert!((0..40_000).all(|number| filter.contains(&user(number))));
    for number in 100_000..140_000 {
        filter.insert(&user(number), at(60 * DAY));
    }
    assert_eq!(filter.bytes(), KnownGood::new(CAPACITY / 2, KEPT, 7).bytes());
}

#[test]
fn what_is_on_disk_means_the_same_in_every_build() {
    // A change here needs another version of the file.
    let mut filter = KnownGood::new(32, KEPT, 7);
    filter.insert(&key("user@a.test"), at(0));
    assert_eq!(crc32fast::hash(&filter.to_bytes()), 558_161_692);
}
