//! The outage guard in a gate that runs: the outage of Gmail of December 2020 (6 h 41), and what an operator makes of one.

use super::*;
use crate::event::order::OrderId;
use crate::event::select::{Conditions, Selector};
use crate::policy::Masked;
use crate::policy::guard::OutageKey;
use crate::smtp::reply::Reply;

const HOUR: u64 = 3600;
const USERS: u64 = 400;
const PLACE: (&str, &str) = ("gmail.com", "gmail-smtp-in.l.google.com:25");

fn after(secs: u64) -> Timestamp {
    now().plus(Duration::from_secs(secs))
}

fn watched(dir: &Path) -> Gate {
    watched_from(dir, now())
}

fn watched_from(dir: &Path, at: Timestamp) -> Gate {
    let settings = GateSettings { segment_bytes: 1 << 20, ..settings(dir) };
    let gate = try_open(settings).expect("opens").gate;
    gate.keep_watch(at).expect("watches");
    gate
}

fn about(address: &str, receiver: &str) -> About {
    let context = Context { receiver: Some(receiver.to_owned()), ..Context::default() };
    About { address: key(address), tenant: Tenant::default(), context }
}

/// A `550 5.1.1` at RCPT; whether it is held.
fn refuse(gate: &Gate, address: &str, receiver: &str, at: Timestamp) -> bool {
    let reply = Reply::from_text("550 5.1.1 The email account does not exist").expect("a reply");
    let learning = gate.refused(&about(address, receiver), Stage::Rcpt, &reply, 1, at);
    let ack = learning.durable.expect("kept").wait().expect("learnt");
    ack.change.expect("folded").held.is_some()
}

/// A `250` to the end of data.
fn accept(gate: &Gate, address: &str, receiver: &str, at: Timestamp) {
    let reply = Reply::from_text("250 2.0.0 OK").expect("a reply");
    gate.accepted([&key(address)], Some(receiver), at);
    gate.delivered(&about(address, receiver), &reply, at);
}

fn user(number: u64) -> String {
    format!("user{number}@{}", PLACE.0)
}

/// Mail that all users took, a day before.
fn good_day(gate: &Gate) {
    for number in 0..USERS {
        accept(gate, &user(number), PLACE.1, after(number));
    }
}

/// An hour, from that second on, in which every user is written to once; so many of ten are refused.
fn hour(gate: &Gate, from: u64, ill: u64) {
    for number in 0..USERS {
        let at = after(from + number * HOUR / USERS);
        // Who is refused is not written to again, by a gate that believes it.
        if gate.consider(&key(&user(number)), &Tenant::default(), at).verdict != Verdict::Forward {
            continue;
        }
        if number % 10 < ill {
            refuse(gate, &user(number), PLACE.1, at);
        } else {
            accept(gate, &user(number), PLACE.1, at);
        }
    }
}

/// How many users are refused, when all that was ordered is carried out.
fn lost(gate: &Gate) -> u64 {
    settled(gate);
    let refused = |number: &u64| verdict(gate, &user(*number)) != "forward";
    (0..USERS).filter(refused).count() as u64
}

/// Waits for all orders so far: one that selects nothing comes behind them.
fn settled(gate: &Gate) {
    let select =
        Selector::new(Conditions { domain: Some("nobody.test".into()), ..Conditions::default() });
    let decree = Decree::Void { select: select.expect("a selector") };
    gate.order(OrderDraft { at: now(), decree, act: Act::default() }).wait().expect("obeyed");
    // The guard's own orders were counted like all others; below zero it would be huge.
    assert_eq!(gate.0.shared.waiting.load(Ordering::Relaxed), 0);
}

fn outage(gate: &Gate) -> (OrderId, OutageKey, crate::policy::outage::State) {
    let masks = gate.masks();
    let [outage] = masks.outages() else { panic!("{:?}", masks.outages()) };
    (outage.id.clone(), outage.key.clone(), outage.state())
}

fn word(gate: &Gate, decree: Decree, at: Timestamp) -> OutageTallies {
    let act = Act { reason: "their status page".to_owned(), by: "eve".to_owned() };
    let obeyed = gate.order(OrderDraft { at, decree, act }).wait().expect("obeyed");
    let tally = obeyed.tally.expect("a tally");
    (tally.events, tally.changed)
}

type OutageTallies = (u64, u64);

fn agrees(gate: &Gate) {
    let report = gate.verify().expect("verified");
    assert!(report.agrees(), "{:?}", report.first);
}

fn standings(gate: &Gate) -> Vec<(RecipientKey, Record)> {
    gate.scan(None).expect("read").collect::<Result<_, _>>().expect("records")
}

/// Up to the middle of the outage.
fn begun(dir: &Path) -> Gate {
    let gate = watched(dir);
    good_day(&gate);
    for hours in 0..3 {
        hour(&gate, (24 + hours) * HOUR, 3);
    }
    gate
}

#[test]
fn six_hours_and_a_restart_cost_no_good_address_its_standing() {
    let dir = tempfile::tempdir().expect("a directory");
    let gate = begun(dir.path());
    assert_eq!(lost(&gate), 0, "those before the alarm too");
    let (id, key_of, state) = outage(&gate);
    assert_eq!(key_of, OutageKey::Domain("gmail.com".to_owned()));
    assert_eq!((state.since, state.until), (after(24 * HOUR), None));
    assert_eq!(gate.outages(), OutageTally { open: 1, unresolved: 1 });
    let held = gate.stats().held.load(Ordering::Relaxed);
    assert_eq!(held, 3 * 120, "of 120 users, three times");
    let order = gate.masks().orders()[0].1.clone();
    assert_eq!((order.id, &order.act.by[..]), (id, "outage guard"));
    agrees(&gate);
    drop(gate);
    let gate = watched_from(dir.path(), after(27 * HOUR));
    assert_eq!(lost(&gate), 0);
    for hours in 3..6 {
        hour(&gate, (24 + hours) * HOUR, 3);
    }
    assert_eq!((lost(&gate), gate.masks().outages().len()), (0, 1), "it is the same one");
    for hours in 7..10 {
        hour(&gate, (24 + hours) * HOUR, 0);
    }
    settled(&gate);
    let (_, _, state) = outage(&gate);
    assert!(state.until.is_some_and(|until| until > after(30 * HOUR)), "{state:?}");
    assert_eq!(gate.outages(), OutageTally { open: 0, unresolved: 1 });
    // What is refused now counts again.
    assert!(!refuse(&gate, &user(11), PLACE.1, after(40 * HOUR)));
    assert_eq!(lost(&gate), 1);
    agrees(&gate);
    let before = standings(&gate);
    drop(gate);
    let policy = Policy::preset("quarantine").expect("a preset");
    rebuild(&settings(dir.path()), &policy, |_, _| {}).expect("rebuilt");
    let gate = watched(dir.path());
    assert_eq!(standings(&gate), before);
    agrees(&gate);
}

#[test]
fn what_was_held_is_applied_but_for_those_that_proved_good_since() {
    let dir = tempfile::tempdir().expect("a directory");
    let gate = begun(dir.path());
    settled(&gate);
    let (outage, ..) = outage(&gate);
    accept(&gate, &user(0), PLACE.1, after(27 * HOUR));
    settled(&gate);
    let preview = gate.preview(&Decree::OutageApply { outage: outage.clone() }, after(28 * HOUR));
    let preview = preview.expect("foreseen");
    assert_eq!((preview.events, preview.addresses), (360, 120));
    assert_eq!(preview.moves.values().sum::<u64>(), 119);
    let (events, _) = word(&gate, Decree::OutageApply { outage }, after(28 * HOUR));
    assert_eq!((events, lost(&gate)), (360, 119));
    assert_eq!(verdict(&gate, &user(0)), "forward");
    assert_eq!(gate.outages(), OutageTally::default());
    agrees(&gate);
    // It was none, so what goes on is none either: the rest is believed at once, after a restart too.
    drop(gate);
    let gate = watched_from(dir.path(), after(29 * HOUR));
    for number in (0..USERS).filter(|number| (5..8).contains(&(number % 10))) {
        assert!(!refuse(&gate, &user(number), PLACE.1, after(29 * HOUR + number)));
    }
    assert_eq!((lost(&gate), gate.masks().outages().len()), (239, 1));
    agrees(&gate);
}

#[test]
fn what_is_void_never_counts_and_what_comes_after_is_watched_as_before() {
    let dir = tempfile::tempdir().expect("a directory");
    let gate = begun(dir.path());
    settled(&gate);
    let (outage, ..) = outage(&gate);
    let (events, _) = word(&gate, Decree::OutageVoid { outage }, after(28 * HOUR));
    assert_eq!((events, lost(&gate)), (360, 0));
    assert!(standings(&gate).is_empty(), "nothing is left of it");
    assert_eq!(gate.outages(), OutageTally::default());
    let history = gate.history(&key(&user(0))).expect("read");
    let masks = gate.masks();
    assert!(matches!(
        masks.masked(history[0].0, &history[0].1, &gate.policy()),
        Some(Masked::Voided(_))
    ));
    agrees(&gate);
    assert!(!refuse(&gate, &user(0), PLACE.1, after(29 * HOUR)));
    hour(&gate, 29 * HOUR, 3);
    assert_eq!((lost(&gate), gate.outages().open), (0, 1), "another one");
    agrees(&gate);
}

#[test]
fn what_a_stop_kept_from_being_ordered_is_ordered_later() {
    let dir = tempfile::tempdir().expect("a directory");
    let settings = GateSettings { segment_bytes: 1 << 20, ..settings(dir.path()) };
    let fault = settings.journal_fault.clone();
    let gate = try_open(settings).expect("opens").gate;
    gate.keep_watch(now()).expect("watches");
    good_day(&gate);
    for number in 0..19 {
        assert!(!refuse(&gate, &user(number), PLACE.1, after(24 * HOUR + number)));
    }
    fault.set(true);
    let reply = Reply::from_text("550 5.1.1 no such user").expect("a reply");
    for number in 19..30 {
        let about = about(&user(number), PLACE.1);
        let at = after(24 * HOUR + number);
        let learning = gate.refused(&about, Stage::Rcpt, &reply, 1, at);
        learning.durable.expect("kept").wait().expect_err("no disk");
    }
    fault.set(false);
    learnt(&gate, quarantine("other@a.test"));
    assert!(gate.masks().outages().is_empty());
    gate.mind(after(24 * HOUR + 60));
    assert_eq!(lost(&gate), 0);
    assert_eq!(outage(&gate).2.since, after(24 * HOUR));
    agrees(&gate);
}

#[test]
fn a_guard_that_is_off_holds_nothing_and_ends_what_lasts() {
    let dir = tempfile::tempdir().expect("a directory");
    drop(begun(dir.path()));
    let file = fs::read(dir.path().join("known-good")).expect("kept");
    let mut policy = Policy::preset("quarantine").expect("a preset");
    policy.outage.enabled = false;
    let opened = Gate::open(settings(dir.path()), policy, Classifier::builtin(), |_, _| {});
    let gate = opened.expect("opens").gate;
    gate.keep_watch(after(28 * HOUR)).expect("does not watch");
    settled(&gate);
    assert_eq!(outage(&gate).2.until, Some(after(28 * HOUR)));
    for number in 0..100 {
        assert!(!refuse(&gate, &user(number), PLACE.1, after(29 * HOUR)));
    }
    assert_eq!(gate.outages(), OutageTally { open: 0, unresolved: 1 });
    agrees(&gate);
    drop(gate);
    assert!(fs::read(dir.path().join("known-good")).expect("kept") == file, "not written");
}

#[test]
fn a_dead_list_is_no_outage() {
    let dir = tempfile::tempdir().expect("a directory");
    let gate = watched(dir.path());
    for number in 0..60 {
        for hours in [24, 26, 28] {
            let address = format!("gone{number}@small.test");
            refuse(&gate, &address, "mx.small.test:25", after(hours * HOUR + number));
        }
    }
    let refused = |number: &u64| verdict(&gate, &format!("gone{number}@small.test")) == "refuse";
    assert_eq!((0..60).filter(refused).count(), 60);
    assert!(gate.masks().outages().is_empty());
}

/// In monitor mode the dead are written to with every mailing: once each was believed, all at once is nothing new.
#[test]
fn those_that_are_gone_are_no_news() {
    let dir = tempfile::tempdir().expect("a directory");
    let gate = watched(dir.path());
    good_day(&gate);
    for number in 0..30 {
        assert!(!refuse(&gate, &user(number), PLACE.1, after((24 + 7 * number) * HOUR)));
    }
    assert_eq!(lost(&gate), 30);
    for number in 0..30 {
        refuse(&gate, &user(number), PLACE.1, after(240 * HOUR + number));
    }
    settled(&gate);
    assert!(gate.masks().outages().is_empty());
    agrees(&gate);
}

#[test]
fn an_outage_of_which_nothing_is_heard_is_over() {
    let dir = tempfile::tempdir().expect("a directory");
    let gate = begun(dir.path());
    gate.mind(after(27 * HOUR));
    settled(&gate);
    assert_eq!(gate.outages().open, 1);
    // Nobody writes there any more.
    gate.mind(after(48 * HOUR));
    settled(&gate);
    assert_eq!(gate.outages(), OutageTally { open: 0, unresolved: 1 });
    let (_, _, state) = outage(&gate);
    assert!(state.until.is_some_and(|until| until <= after(48 * HOUR)), "{state:?}");
    assert_eq!(lost(&gate), 0);
    agrees(&gate);
}

#[test]
fn who_is_known_to_be_good_survives_a_restart_but_no_damage() {
    for damage in [false, true] {
        let dir = tempfile::tempdir().expect("a directory");
        let gate = watched(dir.path());
        good_day(&gate);
        drop(gate);
        let file = dir.path().join("known-good");
        let mut bytes = fs::read(&file).expect("kept");
        if damage {
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            fs::write(&file, bytes).expect("damaged");
        }
        let gate = watched(dir.path());
        hour(&gate, 24 * HOUR, 3);
        settled(&gate);
        assert_eq!(gate.masks().outages().is_empty(), damage);
    }
}

#[test]
fn an_outage_of_a_receiver_holds_all_its_domains() {
    let dir = tempfile::tempdir().expect("a directory");
    let gate = watched(dir.path());
    let shop = |number: u64| format!("ann@shop{number}.test");
    for number in 0..100 {
        accept(&gate, &shop(number), "aspmx.l.google.com:25", after(number));
    }
    for number in 0..40 {
        refuse(&gate, &shop(number), "aspmx.l.google.com:25", after(24 * HOUR + number));
    }
    settled(&gate);
    assert_eq!(outage(&gate).1, OutageKey::Receiver("google.com".to_owned()));
    assert!(refuse(&gate, &shop(50), "alt1.aspmx.l.google.com:25", after(25 * HOUR)));
    assert!(!refuse(&gate, &shop(50), "mx.other.test:25", after(25 * HOUR)));
    assert_eq!(gate.record(&key(&shop(3))).expect("read").map(|record| record.hard.count), Some(0));
    agrees(&gate);
}
