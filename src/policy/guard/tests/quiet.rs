//! What looks like an outage and is none.

use super::*;

#[test]
fn a_dead_list_at_a_small_domain_is_learnt() {
    let mut world = World::new();
    // A list as it is bought: none of its thousands ever took mail, and a few seem known by chance.
    for number in 0..20_000 {
        world.refuses(number, &format!("old{number}@small.test"), "mx.small.test:25");
    }
    assert_eq!(world.said, []);
    assert_eq!(world.guard.held("small.test", Some("mx.small.test"), at(30_000)), None);
}

#[test]
fn a_dead_list_at_a_small_domain_that_is_full_of_chance_is_learnt() {
    // A filter at its end takes the most strangers for known.
    let mut world = World::with(OutageSettings { capacity: 30_000, ..OutageSettings::default() });
    for generation in 0..4 {
        for number in 0..10_000 {
            world.accepts(generation * 12 * DAY, &format!("u{generation}-{number}@big.test"), "");
        }
    }
    for number in 0..20_000 {
        world.refuses(37 * DAY + number / 2, &format!("old{number}@small.test"), "");
    }
    let chance = (0..20_000)
        .filter(|number| world.guard.known.contains(&key(&format!("old{number}@small.test"))));
    assert!(chance.count() >= 20, "else this test proves nothing");
    assert_eq!(world.said, []);
}

#[test]
fn a_dirty_list_at_a_large_receiver_is_learnt() {
    let mut world = World::new();
    let mx = "gmail-smtp-in.l.google.com:25";
    for day in 0..3 {
        for number in 0..3000 {
            world.accepts(day * DAY + number * 20, &format!("user{number}@gmail.com"), mx);
        }
    }
    // As many that are gone for years as there are users, among the users.
    for number in 0..3000 {
        world.accepts(3 * DAY + number * 5, &format!("user{number}@gmail.com"), mx);
        world.refuses(3 * DAY + number * 5, &format!("old{number}@gmail.com"), mx);
    }
    assert_eq!(world.said, []);
}

#[test]
fn a_dirty_list_of_one_domain_is_no_outage_of_its_receiver() {
    // The gate is new, so nobody is known good and shares decide.
    let mut world = World::new();
    let mx = "x.mail.protection.outlook.com:25";
    for number in 0..4000 {
        world.accepts(number * 10, &format!("user{number}@shop{}.test", number % 400), mx);
    }
    for number in 0..2000 {
        world.refuses(12 * HOUR + number, &format!("old{number}@small.test"), mx);
    }
    assert_eq!(world.said, []);
}

#[test]
fn ordinary_churn_for_sixty_days_never_trips() {
    // In monitor mode nobody is ever spared: whoever closed is tried every day. One in a thousand closes every day.
    let mut world = World::new();
    let mx = "gmail-smtp-in.l.google.com:25";
    for day in 0..60 {
        for turn in 0..2000 {
            // In another order than they close in, over five hours.
            let user = turn * 919 % 2000;
            let outcome = if user < day * 2 { Outcome::HardRefused } else { Outcome::Accepted };
            world.saw(day * DAY + turn * 9, &format!("user{user}@gmail.com"), mx, outcome);
        }
    }
    assert_eq!(world.said, []);
}

#[test]
fn a_monthly_mailing_finds_what_closed_in_a_month() {
    let mut world = World::new();
    for turn in 0..5000 {
        world.accepts(turn, &format!("user{turn}@gmail.com"), "");
    }
    for turn in 0..5000 {
        let user = turn * 919 % 5000;
        // One in a thousand a day, for 33 days.
        let outcome = if user < 165 { Outcome::HardRefused } else { Outcome::Accepted };
        world.saw(33 * DAY + turn * 4, &format!("user{user}@gmail.com"), "", outcome);
    }
    assert_eq!(world.said, []);
}

#[test]
fn a_dead_address_in_every_message_is_one_recipient() {
    let mut world = World::new();
    for user in 0..5000 {
        world.accepts(user, &format!("user{user}@a.test"), "");
    }
    // Twenty-five archives that were closed get a copy of all that goes to five thousand.
    for minute in 0..350 {
        let secs = DAY + minute * MINUTE;
        for user in 0..14 {
            world.accepts(secs, &format!("user{}@a.test", 100 + minute * 14 + user), "");
        }
        for archive in 0..25 {
            world.refuses(secs, &format!("user{archive}@a.test"), "");
        }
    }
    assert_eq!(world.said, []);
}
