//! What is one, and how it begins and ends.

use super::*;

/// Users of whom mail was taken, then refused after an hour: so many of so many.
fn refused_of(refused: usize, users: usize) -> World {
    let mut world = World::new();
    world.accepts_all(0, 0..users, "a.test");
    world.accepts_all(7 * HOUR, refused..users, "a.test");
    for user in 0..refused {
        world.refuses(7 * HOUR, &format!("user{user}@a.test"), "");
    }
    world
}

#[test]
fn nineteen_recipients_are_an_accident_and_twenty_an_outage() {
    assert_eq!(refused_of(19, 19).said, []);
    let domain = OutageKey::Domain("a.test".to_owned());
    assert_eq!(refused_of(20, 20).trips(), [&domain]);
    // One in twenty is the share that is needed, and a margin for chance.
    assert_eq!(refused_of(20, 200).trips(), [&domain]);
    assert_eq!(refused_of(20, 220).said, []);
    assert_eq!(refused_of(34, 400).trips(), [&domain]);
    assert_eq!(refused_of(33, 400).said, []);
}

#[test]
fn evidence_before_the_alarm_is_held_back_to_the_first_of_the_window() {
    let mut world = World::new();
    world.accepts_all(0, 0..100, "a.test");
    world.refuses(4 * HOUR, "stranger0@a.test", "");
    world.refuses(6 * HOUR + 1, "stranger1@a.test", "");
    for user in 0..20 {
        world.refuses(11 * HOUR + 10, &format!("user{user}@a.test"), "");
    }
    let [Notice::Trip { since, at: found, sign, .. }] = world.said.as_slice() else {
        panic!("{:?}", world.said)
    };
    assert_eq!((*since, *found), (at(6 * HOUR + 1), at(11 * HOUR + 10)));
    assert_eq!(*sign, Some(Sign::KnownGood { refused: 20, tried: 20 }));
    let held = |secs| world.guard.held("a.test", Some("mx.b.test"), at(secs)).is_some();
    assert!(held(6 * HOUR + 1) && held(20 * HOUR) && !held(6 * HOUR));
    assert_eq!(world.guard.held("b.test", None, at(12 * HOUR)), None);
}

#[test]
fn late_evidence_widens_an_outage() {
    let mut world = refused_of(20, 20);
    world.refuses(6 * HOUR, "late@a.test", "");
    let Some(Notice::Trip { since, .. }) = world.said.last() else { panic!("{:?}", world.said) };
    assert_eq!((world.said.len(), *since), (2, at(6 * HOUR)));
}

#[test]
fn a_slow_outage_is_seen_in_the_whole_window() {
    let mut world = World::new();
    world.accepts_all(0, 0..100, "a.test");
    // One each quarter of an hour: eight in the last two hours never are twenty.
    for user in 0..24 {
        world.refuses(DAY + i64::from(user) * 15 * MINUTE, &format!("user{user}@a.test"), "");
    }
    assert_eq!(world.trips().len(), 1);
}

#[test]
fn a_fixed_route_sees_an_outage_by_domain() {
    let relay = "relay.example.com:25";
    let mut world = World::new();
    for user in 0..300 {
        world.accepts(user, &format!("user{user}@gmail.com"), relay);
        world.accepts(user, &format!("user{user}@other{}.test", user % 30), relay);
    }
    for user in 0..300 {
        world.refuses(DAY + user, &format!("user{user}@gmail.com"), relay);
    }
    // What the relay has to say of all others goes on being believed.
    assert_eq!(world.trips(), [&gmail()]);
    assert_eq!(world.guard.held("gmail.com", Some(relay), at(DAY)), Some(&gmail()));
    assert_eq!(world.guard.held("other1.test", Some(relay), at(DAY)), None);
    // Together with a few others that closed it is no outage of the relay either.
    for user in 0..19 {
        world.refuses(DAY + 300, &format!("user{user}@other{user}.test"), relay);
    }
    assert_eq!(world.trips(), [&gmail()]);
}

#[test]
fn an_outage_of_a_receiver_is_seen_beside_that_of_its_largest_domain() {
    let mx = "aspmx.l.google.com:25";
    let mut world = World::new();
    let address = |user: i64| match user % 10 {
        0 => format!("user{user}@shop{}.test", user % 37),
        _ => format!("user{user}@gmail.com"),
    };
    for user in 0..4000 {
        world.accepts(user, &address(user), mx);
    }
    for hour in 0..3 {
        for user in 0..4000 {
            let outcome = if user / 10 % 3 == 0 { Outcome::HardRefused } else { Outcome::Accepted };
            world.saw(DAY + hour * HOUR + user * 3 / 4, &address(user), mx, outcome);
        }
    }
    assert_eq!(world.trips(), [&gmail(), &OutageKey::Receiver("google.com".to_owned())]);
}

#[test]
fn where_nobody_is_known_the_usual_share_decides() {
    let fill = |dead: i64| {
        let mut world = World::new();
        // Registrations: everybody comes once.
        for number in 0..3000 {
            world.accepts(number * 20, &format!("new{number}@gmail.com"), "");
            if number % 1000 < dead {
                world.refuses(number * 20, &format!("typo{number}@gmail.com"), "");
            }
        }
        for number in 0..100 {
            world.accepts(2 * DAY + number, &format!("more{number}@gmail.com"), "");
            world.refuses(2 * DAY + number, &format!("bad{number}@gmail.com"), "");
        }
        world
    };
    assert_eq!(fill(10).trips(), [&gmail()]);
    // Half refused is less than ten times what is usual here.
    assert_eq!(fill(60).said, []);
}

#[test]
fn it_is_over_when_the_sign_is_gone_for_an_hour() {
    let mut world = refused_of(30, 200);
    let minutes = |world: &mut World, from: i64, until: i64, ill: usize| {
        for minute in from..until {
            for user in 0..10 {
                let user = usize::try_from(minute).expect("small") * 10 % 200 + user;
                let outcome = if user < ill { Outcome::HardRefused } else { Outcome::Accepted };
                world.saw(7 * HOUR + minute * MINUTE, &format!("user{user}@a.test"), "", outcome);
            }
        }
    };
    minutes(&mut world, 1, 180, 30);
    assert_eq!(world.said.len(), 1, "it lasts");
    minutes(&mut world, 180, 400, 0);
    let [_, Notice::Ended { key, until }] = world.said.as_slice() else {
        panic!("{:?}", world.said)
    };
    assert_eq!(key, &OutageKey::Domain("a.test".to_owned()));
    assert!(until.since(at(7 * HOUR + 180 * MINUTE)) <= Duration::from_secs(2 * 3600), "{until}");
    assert_eq!(world.guard.held("a.test", None, at(20 * HOUR)), None);
    // The next day it comes again, as it did.
    let next = world.said.len();
    for user in 0..30 {
        world.refuses(DAY + 2 * HOUR, &format!("user{user}@a.test"), "");
    }
    assert_eq!(world.trips().len(), 2, "{:?}", &world.said[next..]);
}

#[test]
fn it_is_over_when_nothing_is_refused_for_six_hours() {
    let mut world = refused_of(20, 20);
    let end = Notice::Ended { key: OutageKey::Domain("a.test".to_owned()), until: at(13 * HOUR) };
    let mut other = World { guard: world.guard.clone(), said: Vec::new() };
    assert_eq!(other.guard.tick(at(13 * HOUR - 1)), []);
    assert_eq!(other.guard.tick(at(14 * HOUR)), std::slice::from_ref(&end));
    // Without anybody who asks, the next outcome shows it; it counts anew.
    world.refuses(14 * HOUR, "user1@a.test", "");
    assert_eq!(world.said.last(), Some(&end));
    assert_eq!(world.guard.held("a.test", None, at(14 * HOUR)), None);
}

#[test]
fn a_restart_in_the_middle_changes_nothing() {
    let settings = OutageSettings { capacity: 100_000, ..OutageSettings::default() };
    let mut world = World::with(settings.clone());
    for number in 0..2000 {
        world.accepts(number, &format!("user{number}@gmail.com"), "");
    }
    for user in 0..30 {
        world.refuses(DAY, &format!("user{user}@gmail.com"), "");
    }
    let (bytes, histories) = (world.guard.known_good().to_bytes(), world.guard.histories());
    let open: Vec<_> = world.guard.open().map(|(key, since)| (key.clone(), since)).collect();
    let known =
        KnownGood::from_bytes(&bytes, settings.capacity, settings.known_good_for).expect("good");
    assert_eq!(known, *world.guard.known_good());
    let mut guard = Guard::with_known_good(settings, known);
    guard.remember(histories.clone(), at(DAY));
    for (key, since) in open {
        guard.resume(key, since);
    }
    assert_eq!((guard.histories(), histories.len()), (histories, 1));
    let mut world = World { guard, said: Vec::new() };
    assert_eq!(world.guard.held("gmail.com", None, at(DAY)), Some(&gmail()));
    for minute in 0..300 {
        for user in 0..100 {
            let outcome = if user < 30 { Outcome::HardRefused } else { Outcome::Accepted };
            world.saw(DAY + minute * MINUTE, &format!("user{user}@gmail.com"), "", outcome);
        }
    }
    assert_eq!(world.said, [], "it lasts, and is not found again");
    for minute in 300..600 {
        world.accepts_all(DAY + minute * MINUTE, 0..100, "gmail.com");
    }
    assert_eq!(world.said.len(), 1, "it ends");
    for user in 0..30 {
        world.refuses(2 * DAY, &format!("user{user}@gmail.com"), "");
    }
    assert_eq!(world.trips().len(), 1, "who is known good was not forgotten");
}

#[test]
fn an_operator_who_says_that_they_are_gone_is_believed_for_a_week() {
    let mut world = refused_of(20, 60);
    let domain = OutageKey::Domain("a.test".to_owned());
    world.guard.resolve(&domain, at(8 * HOUR), true);
    for user in 20..60 {
        world.refuses(9 * HOUR, &format!("user{user}@a.test"), "");
    }
    assert_eq!((world.said.len(), world.guard.held("a.test", None, at(9 * HOUR))), (1, None));
    world.accepts_all(8 * DAY, 0..60, "a.test");
    for user in 0..60 {
        world.refuses(9 * DAY, &format!("user{user}@a.test"), "");
    }
    assert_eq!(world.trips().len(), 2);
}

#[test]
fn switched_off_it_sees_nothing() {
    let mut world = World::with(OutageSettings { enabled: false, ..OutageSettings::default() });
    world.accepts_all(0, 0..100, "a.test");
    for user in 0..100 {
        world.refuses(HOUR, &format!("user{user}@a.test"), "");
    }
    assert_eq!(world.said, []);
}
