//! Which replies and deliveries are events, and which are noted in passing.

use super::*;

#[test]
fn only_what_is_about_one_recipient_is_an_event() {
    let dir = tempfile::tempdir().expect("a directory");
    let gate = open(dir.path()).gate;
    let reply = |text: &str| Reply::from_text(text).expect("a reply");
    let kept = |address: &str, stage, text: &str, recipients| {
        let learning = gate.refused(&about(address), stage, &reply(text), recipients, now());
        learning.durable.map(|durable| durable.wait().expect("learnt")).is_some()
    };
    // Any reply completes the story of an address that has one.
    learnt(&gate, hard("known@a.test"));
    let odd = "550 5.9.9 qwertz";
    assert!(kept("known@a.test", Stage::Rcpt, odd, 1));
    assert!(kept("known@a.test", Stage::EndOfData, odd, 1));
    assert!(kept("known@a.test", Stage::Dsn, odd, 1));
    assert!(!kept("known@a.test", Stage::EndOfData, odd, 2));
    assert!(!kept("known@a.test", Stage::Mail, odd, 1));
    assert!(!kept("known@a.test", Stage::Rcpt, "250 2.1.5 ok", 1));
    assert!(!kept("known@a.test", Stage::Rcpt, "550 5.7.1 rcptgate: quarantined", 1));
    assert!(!kept("unknown@a.test", Stage::Rcpt, odd, 1));
    assert_eq!(gate.stats().ignored.load(Ordering::Relaxed), 4);
    assert_eq!(gate.history(&key("known@a.test")).expect("read").len(), 4);
}

#[test]
fn what_moves_nothing_is_noted_in_passing() {
    let dir = tempfile::tempdir().expect("a directory");
    let gate = open(dir.path()).gate;
    let noted = |stage, text: &str, recipients| {
        let reply = Reply::from_text(text).expect("a reply");
        let learning = gate.refused(&about("new@a.test"), stage, &reply, recipients, now());
        assert!(learning.durable.is_none(), "{text}: nobody may wait");
        learning.noted
    };
    assert!(noted(Stage::Rcpt, "550 5.9.9 qwertz", 1));
    assert!(noted(Stage::Rcpt, "554 5.7.1 your ip is on a block list", 1));
    assert!(noted(Stage::EndOfData, "554 5.7.1 message is spam", 1));
    let noted_so_far = 3;
    // A 4yz is understood by its first digit; the others are about nobody, or not the receiver's words.
    assert!(!noted(Stage::Rcpt, "450 4.9.9 qwertz", 1));
    assert!(!noted(Stage::EndOfData, "554 5.7.1 message is spam", 2));
    assert!(!noted(Stage::Mail, "550 5.9.9 qwertz", 1));
    assert!(!noted(Stage::Rcpt, "550 5.7.1 rcptgate: quarantined", 1));
    assert!(!noted(Stage::Rcpt, "550 host b said: 550 5.7.1 rcptgate: quarantined", 1));
    assert!(!noted(Stage::Lookup, "450 4.4.3 rcptgate: no answer", 1));
    // The queue is in order: what comes behind is acknowledged behind.
    learnt(&gate, quarantine("last@a.test"));
    assert_eq!(gate.history(&key("new@a.test")).expect("read").len(), noted_so_far);
    assert_eq!(gate.records(), Some(1), "no record for what moves nothing");
    assert!(!gate.0.shared.filter.load().may_contain("new@a.test"));
    let count = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
    assert_eq!((count(&gate.stats().noted), count(&gate.stats().ignored)), (3, 6));
    check(&gate, &["last@a.test"], 4);
}

#[test]
fn only_known_addresses_are_noted_where_that_is_wished() {
    let dir = tempfile::tempdir().expect("a directory");
    let wish = GateSettings { record: Recording::Known, ..settings(dir.path()) };
    let gate = try_open(wish).expect("opens").gate;
    let reply = Reply::from_text("550 5.9.9 qwertz").expect("a reply");
    let learning = gate.refused(&about("new@a.test"), Stage::Rcpt, &reply, 1, now());
    assert!(learning.durable.is_none() && !learning.noted);
    learnt(&gate, quarantine("last@a.test"));
    check(&gate, &["last@a.test"], 1);
}

#[test]
fn notes_leave_half_of_the_queue_to_what_moves_standings() {
    let dir = tempfile::tempdir().expect("a directory");
    let gate = try_open(GateSettings { queue: 10, ..settings(dir.path()) }).expect("opens").gate;
    let reply = Reply::from_text("550 5.9.9 qwertz").expect("a reply");
    let note = || gate.refused(&about("new@a.test"), Stage::Rcpt, &reply, 1, now()).noted;
    // As if so many waited for the disk.
    let waiting = &gate.0.shared.waiting;
    waiting.fetch_add(5, Ordering::Relaxed);
    assert!(!note());
    assert_eq!(gate.stats().left_out.load(Ordering::Relaxed), 1);
    learnt(&gate, quarantine("last@a.test"));
    waiting.fetch_sub(5, Ordering::Relaxed);
    assert!(note());
    learnt(&gate, quarantine("next@a.test"));
    assert_eq!(waiting.load(Ordering::Relaxed), 0, "what was taken no longer waits");
    check(&gate, &["last@a.test", "next@a.test"], 3);
}

#[test]
fn a_delivery_counts_only_where_it_changes_something() {
    let dir = tempfile::tempdir().expect("a directory");
    let gate = open(dir.path()).gate;
    let ok = Reply::from_text("250 2.0.0 queued").expect("a reply");
    learnt(&gate, hard("gone@gmail.com"));
    assert_eq!(verdict(&gate, "gone@gmail.com"), "refuse");
    gate.delivered(&about("stranger@a.test"), &ok, now());
    gate.delivered(&about("gone@gmail.com"), &ok, now());
    // The queue is in order: what comes behind is acknowledged behind.
    learnt(&gate, quarantine("last@a.test"));
    assert_eq!(verdict(&gate, "gone@gmail.com"), "forward");
    check(&gate, &["last@a.test"], 3);
}
