//! What holds of any stream.

use proptest::prelude::*;

use super::*;

fn any_time() -> impl Strategy<Value = i64> {
    prop_oneof![
        8 => 0..DAY,
        1 => -90 * DAY..90 * DAY,
        1 => any::<i64>(),
    ]
}

/// User, domain, receiver, time, outcome.
type Step = (u8, u8, Option<&'static str>, i64, Outcome);

fn any_step(outcomes: Vec<Outcome>) -> impl Strategy<Value = Step> {
    let receivers =
        vec!["mx.a.test:25", "aspmx.l.google.com", "192.0.2.1:25", "", "[::1]:25", ".."];
    let receiver = prop::option::of(prop::sample::select(receivers));
    (0_u8..60, 0_u8..3, receiver, any_time(), prop::sample::select(outcomes))
}

fn play(world: &mut World, steps: &[Step]) {
    for (user, domain, receiver, time, outcome) in steps {
        let address = key(&format!("user{user}@d{domain}.test"));
        let at = Timestamp::from_millis(time.saturating_mul(1000));
        let seen = Observation { address: &address, receiver: *receiver, at, outcome: *outcome };
        world.said.extend(world.guard.observe(&seen));
        world.said.extend(world.guard.tick(at));
        world.guard.held(address.domain(), *receiver, at);
    }
}

/// Small numbers, so that short streams come to something.
fn small() -> OutageSettings {
    OutageSettings { min_recipients: 5, capacity: 100, ..OutageSettings::default() }
}

proptest! {
    #[test]
    fn where_nobody_is_refused_there_is_no_notice(
        steps in prop::collection::vec(any_step(vec![Outcome::Accepted, Outcome::Other]), 0..300),
    ) {
        let mut world = World::with(small());
        play(&mut world, &steps);
        prop_assert_eq!(world.said, []);
    }

    #[test]
    fn any_stream_gives_the_same_twice_and_each_end_has_its_beginning(
        steps in prop::collection::vec(any_step(vec![Outcome::Accepted, Outcome::HardRefused]), 0..400),
    ) {
        let mut world = World::with(small());
        play(&mut world, &steps);
        let mut again = World::with(small());
        play(&mut again, &steps);
        prop_assert_eq!(&world.said, &again.said);
        let mut open = std::collections::BTreeMap::new();
        for notice in &world.said {
            match notice {
                Notice::Trip { key, since, at, .. } => {
                    prop_assert!(since <= at);
                    let before = open.insert(key, since);
                    prop_assert!(before.is_none_or(|before| since < before));
                }
                Notice::Ended { key, .. } => prop_assert!(open.remove(key).is_some()),
            }
        }
        let lasting: std::collections::BTreeSet<_> = world.guard.open().map(|(key, _)| key).collect();
        prop_assert_eq!(open.into_keys().collect::<std::collections::BTreeSet<_>>(), lasting);
    }

    #[test]
    fn any_bytes_are_a_filter_or_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = KnownGood::from_bytes(&bytes, 10, Duration::from_secs(86_400));
    }
}
