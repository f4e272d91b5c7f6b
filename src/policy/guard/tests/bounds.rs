//! Clocks that jump, and memory.

use super::*;

/// Everyday traffic: nobody is refused but now and then a stranger.
fn ordinary(world: &mut World, from: i64, count: i64) {
    for number in 0..count {
        world.accepts(from + number, &format!("user{}@a.test", number % 500), "mx.a.test");
        if number % 100 == 0 {
            world.refuses(from + number, &format!("typo{from}-{number}@a.test"), "mx.a.test");
        }
    }
}

fn knows(world: &World) -> usize {
    (0..500)
        .filter(|user| world.guard.known_good().contains(&key(&format!("user{user}@a.test"))))
        .count()
}

fn outage(world: &mut World, from: i64) {
    for user in 0..100 {
        world.refuses(from + user, &format!("user{user}@a.test"), "mx.a.test");
    }
}

#[test]
fn a_clock_that_jumps_neither_trips_nor_forgets() {
    for years in [1_i64, 30, 5000] {
        let jump = years * 365 * DAY;
        let mut world = World::new();
        ordinary(&mut world, 0, 1000);
        for _ in 0..5 {
            ordinary(&mut world, 1000 + jump, 1000);
            ordinary(&mut world, 2000, 1000);
        }
        assert_eq!(world.said, [], "{years} years");
        assert_eq!(knows(&world), 500, "{years} years");
        // And it sees as before, at either time.
        outage(&mut world, 3000);
        assert_eq!(world.trips().len(), 1, "{years} years: {:?}", world.said);
        let mut world = World::new();
        ordinary(&mut world, 0, 1000);
        ordinary(&mut world, jump, 1000);
        outage(&mut world, jump + 1000);
        assert_eq!(world.trips().len(), 1, "{years} years: {:?}", world.said);
    }
}

#[test]
fn absurd_dates_among_good_ones_change_nothing() {
    let mut world = World::new();
    ordinary(&mut world, 0, 1000);
    for number in 0..2000 {
        for absurd in [i64::MIN / 1000, -(1 << 40), 1 << 40, i64::MAX / 1000] {
            world.accepts(absurd.saturating_sub(1_767_225_600), "user1@a.test", "mx.a.test");
        }
        world.accepts(1000 + number, &format!("user{}@a.test", number % 500), "mx.a.test");
    }
    assert_eq!((knows(&world), world.said.as_slice()), (500, [].as_slice()));
    outage(&mut world, 3000);
    assert_eq!(world.trips().len(), 1);
    // Nor do they end what lasts.
    assert_eq!(world.guard.tick(at(1 << 40)), []);
    assert!(world.guard.held("a.test", None, at(4000)).is_some());
}

#[test]
fn an_outage_lasts_over_a_clock_that_is_set_back() {
    let mut world = World::new();
    ordinary(&mut world, 30 * DAY, 1000);
    outage(&mut world, 30 * DAY + 1000);
    outage(&mut world, 0);
    let Some(Notice::Trip { since, .. }) = world.said.last() else { panic!("{:?}", world.said) };
    // The first fifteen are not believed to come from then.
    assert_eq!((world.said.len(), *since), (2, at(15)));
    assert!(world.guard.held("a.test", None, at(100)).is_some());
}

#[test]
fn a_million_domains_take_no_more_memory_than_as_many_as_are_watched() {
    let mut keys = Keys::default();
    let pace = Pace::of(Duration::from_secs(6 * 3600));
    let mut most = 0;
    for number in 0..1_000_000_u64 {
        let now = at(i64::try_from(number / 100).expect("small"));
        let address = number.wrapping_mul(SPREAD);
        let seen = Seen { address, domain: 1, good: false, fresh: true, hard: true, at: now };
        keys.window(address, pace.number(now)).note(&seen, now, pace, 20);
        // One that is seen again and again is never the one to go.
        if number % 5000 == 0 {
            let seen = Seen { hard: false, ..seen };
            keys.window(7, pace.number(now)).note(&seen, now, pace, 20);
        }
        if number % 50_000 == 0 {
            most = most.max(keys.bytes());
        }
    }
    assert!(keys.len() <= keys::KEYS_MAX, "{}", keys.len());
    assert!(most < 20 << 20, "{most} bytes");
    println!("{} keys, {most} bytes at most", keys.len());
    let known = keys.window(7, 0);
    assert!(known.history.accepted + known.sum(window::BUCKETS).accepted as f32 > 100.0);
}

#[test]
fn thousands_of_receivers_are_bounded_as_domains_are() {
    let mut world = World::new();
    for number in 0..30_000 {
        let address = format!("user@shop{number}.test");
        world.refuses(number / 100, &address, &format!("mx.host{number}.test"));
    }
    assert!(world.guard.size().0 <= keys::KEYS_MAX);
    assert_eq!(world.said, []);
}

#[test]
fn a_key_full_of_refusals_takes_little() {
    let mut window = window::Window::default();
    let pace = Pace::of(Duration::from_secs(6 * 3600));
    for number in 0..1000_u32 {
        let (address, good) = (u64::from(number), number % 2 == 0);
        let now = at(i64::from(number));
        let seen = Seen { address, domain: 1, good, fresh: true, hard: true, at: now };
        window.note(&seen, now, pace, 20);
    }
    let bytes = size_of::<window::Window>() + window.heap_bytes();
    assert!(bytes <= 1500, "{bytes}");
    println!("{} bytes, with refusals {bytes}", size_of::<window::Window>());
}

#[test]
fn outages_are_bounded_in_number() {
    let mut world = World::new();
    for domain in 0..300 {
        let domain = format!("shop{domain}.test");
        world.accepts_all(0, 0..20, &domain);
    }
    for domain in 0..300 {
        for user in 0..20 {
            world.refuses(HOUR + domain, &format!("user{user}@shop{domain}.test"), "");
        }
    }
    assert_eq!(world.guard.open().count(), OPEN_MAX);
    assert_eq!((world.trips().len(), world.said.len()), (300, 300 + 300 - OPEN_MAX));
    assert!(world.guard.held("shop299.test", None, at(HOUR + 300)).is_some());
    assert!(world.guard.held("shop0.test", None, at(HOUR + 300)).is_none());
}
