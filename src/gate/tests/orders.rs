//! Orders given to a gate that runs.

use super::*;
use crate::event::order::{Order, OrderId};
use crate::event::select::{Conditions, Selector};
use crate::policy::Masked;
use crate::store::Tally;

fn order(conditions: Conditions) -> OrderDraft {
    let select = Selector::new(conditions).expect("a selector");
    let act = Act { reason: "an outage".to_owned(), by: "eve".to_owned() };
    OrderDraft { at: now(), decree: Decree::Void { select }, act }
}

fn of_domain(domain: &str) -> Conditions {
    Conditions { domain: Some(domain.to_owned()), ..Conditions::default() }
}

fn tally(events: u64, addresses: u64, changed: u64) -> Option<Tally> {
    Some(Tally { events, addresses, changed })
}

#[test]
fn what_is_void_no_longer_counts_and_what_comes_after_does() {
    let dir = tempfile::tempdir().expect("a directory");
    let gate = open(dir.path()).gate;
    learnt(&gate, hard("gone@gmail.com"));
    learnt(&gate, hard("other@gmail.com"));
    learnt(&gate, quarantine("manual@a.test"));
    let unknown = Conditions { category: Some(Category::UserUnknown), ..Conditions::default() };
    let obeyed = gate.order(order(unknown)).wait().expect("obeyed");
    assert_eq!((obeyed.seq, obeyed.tally), (4, tally(2, 2, 2)));
    assert_eq!(verdict(&gate, "gone@gmail.com"), "forward");
    assert_eq!((gate.records(), gate.jobs()), (Some(1), Some(0)));
    check(&gate, &["manual@a.test"], 3);
    let history = gate.history(&key("gone@gmail.com")).expect("read");
    let masks = gate.masks();
    let Some(Masked::Undone(order)) = masks.masked(history[0].0, &history[0].1, &gate.policy())
    else {
        panic!("masked");
    };
    assert_eq!((&order.id, &order.act.reason[..]), (&obeyed.id, "an outage"));
    learnt(&gate, hard("gone@gmail.com"));
    check(&gate, &["gone@gmail.com", "manual@a.test"], 4);
    drop(gate);
    let opened = open(dir.path());
    assert_eq!((opened.report.replayed, opened.report.finished), (0, 0));
    check(&opened.gate, &["gone@gmail.com", "manual@a.test"], 4);
    assert_eq!(verdict(&opened.gate, "other@gmail.com"), "forward");
    drop(opened);
    let policy = Policy::preset("quarantine").expect("a preset");
    let report = rebuild(&settings(dir.path()), &policy, |_, _| {}).expect("rebuilt");
    assert_eq!((report.replayed, report.records, report.last_seq), (5, 2, 5));
    let gate = open(dir.path()).gate;
    check(&gate, &["gone@gmail.com", "manual@a.test"], 4);
    assert_eq!(verdict(&gate, "other@gmail.com"), "forward");
}

#[test]
fn mail_goes_on_while_addresses_are_folded_again() {
    let dir = tempfile::tempdir().expect("a directory");
    let gate = open(dir.path()).gate;
    let name = |number: u32| format!("u{number}@a.test");
    let durables: Vec<_> = (0..300).map(|number| gate.learn(quarantine(&name(number)))).collect();
    for durable in durables {
        durable.wait().expect("learnt");
    }
    let obeying = gate.order(order(of_domain("a.test")));
    let second = gate.order(order(of_domain("a.test")));
    // Without waiting: some of them come before the address is folded again, some after.
    let late: Vec<_> =
        (0..300).step_by(3).map(|number| gate.learn(quarantine(&name(number)))).collect();
    assert_eq!(obeying.wait().expect("obeyed").tally.map(|tally| tally.events), Some(300));
    // The same once more: nothing is left to be void.
    assert_eq!(second.wait().expect("obeyed").tally, tally(0, 0, 0));
    for durable in late {
        durable.wait().expect("learnt");
    }
    check(&gate, &["u0@a.test", "u297@a.test"], 400);
    assert_eq!((verdict(&gate, "u1@a.test"), gate.records()), ("forward", Some(100)));
}

#[test]
fn an_order_is_carried_out_though_nobody_waits() {
    let dir = tempfile::tempdir().expect("a directory");
    let gate = open(dir.path()).gate;
    learnt(&gate, hard("gone@gmail.com"));
    drop(gate.order(order(of_domain("gmail.com"))));
    // Orders are carried out in turn.
    gate.order(order(of_domain("other.test"))).wait().expect("obeyed");
    assert_eq!(verdict(&gate, "gone@gmail.com"), "forward");
    let obeying = gate.order(order(of_domain("a.test")));
    drop(gate);
    // Whatever the end of the gate left to do: the order is on disk, and nobody is told that it is not.
    if let Err(disobeyed) = obeying.wait() {
        assert!(matches!(disobeyed, Disobeyed::Unfinished { .. }), "{disobeyed}");
    }
    let gate = open(dir.path()).gate;
    assert_eq!(gate.jobs(), Some(0));
    check(&gate, &[], 1);
    assert_eq!(gate.verify().expect("verified").orders, 3);
}

#[test]
fn an_order_that_the_index_does_not_take_is_carried_out_when_it_does() {
    let dir = tempfile::tempdir().expect("a directory");
    let settings = settings(dir.path());
    let fault = settings.index_fault.clone();
    let gate = try_open(settings).expect("opens").gate;
    learnt(&gate, hard("gone@gmail.com"));
    fault.set(true);
    let obeying = gate.order(order(of_domain("gmail.com")));
    // In line behind the order.
    assert_eq!(learnt(&gate, quarantine("b@a.test")).change, None);
    assert_eq!(verdict(&gate, "gone@gmail.com"), "refuse");
    fault.set(false);
    learnt(&gate, quarantine("c@a.test"));
    assert_eq!(obeying.wait().expect("obeyed").tally, tally(1, 1, 1));
    assert_eq!(verdict(&gate, "gone@gmail.com"), "forward");
    check(&gate, &["b@a.test", "c@a.test"], 3);
}

#[test]
fn an_order_that_is_not_on_disk_does_nothing() {
    let dir = tempfile::tempdir().expect("a directory");
    let settings = settings(dir.path());
    let fault = settings.journal_fault.clone();
    let gate = try_open(settings).expect("opens").gate;
    learnt(&gate, hard("gone@gmail.com"));
    fault.set(true);
    let disobeyed = gate.order(order(of_domain("gmail.com"))).wait().expect_err("full");
    assert!(matches!(disobeyed, Disobeyed::Unlearnt(Unlearnt::Disk(_))), "{disobeyed}");
    fault.set(false);
    learnt(&gate, quarantine("b@a.test"));
    assert!(gate.masks().orders().is_empty());
    check(&gate, &["gone@gmail.com", "b@a.test"], 2);
}

#[test]
fn what_a_stop_left_to_do_is_finished_at_the_next_start() {
    let dir = tempfile::tempdir().expect("a directory");
    teach(dir.path(), &["a@a.test", "b@a.test"]);
    let OrderDraft { at, decree, act } = order(of_domain("a.test"));
    let (mut journal, _) = journal::Writer::open(&dir.path().join("journal"), 2000).expect("opens");
    journal.stage(&Order { id: OrderId(id::new(at)), at, decree, act }).expect("staged");
    journal.commit().expect("committed");
    drop(journal);
    let opened = open(dir.path());
    assert_eq!((opened.report.replayed, opened.report.finished), (1, 1));
    assert_eq!((verdict(&opened.gate, "a@a.test"), opened.gate.records()), ("forward", Some(0)));
    check(&opened.gate, &[], 2);
}

#[test]
fn what_an_order_would_do_is_told_and_not_done() {
    let dir = tempfile::tempdir().expect("a directory");
    let gate = open(dir.path()).gate;
    for number in 0..12 {
        learnt(&gate, hard(&format!("u{number}@gmail.com")));
    }
    learnt(&gate, hard("u0@gmail.com"));
    learnt(&gate, draft("u1@gmail.com", What::Blacklist { act: Act::default() }));
    learnt(&gate, quarantine("u0@gmail.com"));
    learnt(&gate, hard("once@a.test"));
    let preview = |conditions| {
        let OrderDraft { decree, .. } = order(conditions);
        gate.preview(&decree, now()).expect("previewed")
    };
    let all = preview(of_domain("gmail.com"));
    assert_eq!((all.events, all.addresses), (15, 12));
    let kinds: Vec<_> = all.kinds.into_iter().collect();
    assert_eq!(kinds, [("blacklist", 1), ("quarantine", 1), ("user_unknown", 13)]);
    let moves: Vec<_> = all.moves.into_iter().collect();
    assert_eq!(moves, [(("blacklisted", "clear"), 1), (("quarantined_long_term", "clear"), 12)]);
    assert_eq!(all.examples.len(), 10);
    assert_eq!(all.examples[0].address, key("u0@gmail.com"));
    let unknown = Conditions { category: Some(Category::UserUnknown), ..Conditions::default() };
    let unknown = preview(unknown);
    assert_eq!((unknown.events, unknown.addresses), (14, 13));
    // One stays, by the operator's word.
    let moves: Vec<_> = unknown.moves.into_iter().collect();
    assert_eq!(moves, [(("on_watch", "clear"), 1), (("quarantined_long_term", "clear"), 11)]);
    assert_eq!(preview(of_domain("other.test")), Preview::default());
    let refused: Vec<_> = (0..12).map(|number| format!("u{number}@gmail.com")).collect();
    check(&gate, &refused.iter().map(String::as_str).collect::<Vec<_>>(), 16);
    // Behind an order only what it left.
    gate.order(order(of_domain("gmail.com"))).wait().expect("obeyed");
    let left = Conditions { category: Some(Category::UserUnknown), ..Conditions::default() };
    assert_eq!(preview(left).events, 1);
}

#[test]
fn verify_tells_an_order_that_the_index_has_otherwise() {
    let dir = tempfile::tempdir().expect("a directory");
    let gate = open(dir.path()).gate;
    learnt(&gate, hard("gone@gmail.com"));
    gate.order(order(of_domain("gmail.com"))).wait().expect("obeyed");
    learnt(&gate, quarantine("last@a.test"));
    check(&gate, &["last@a.test"], 2);
    drop(gate);
    let segment = dir.path().join("journal/0000000001.jsonl");
    let text = fs::read_to_string(&segment).expect("read");
    let other = text.replace(r#"{"domain":"gmail.com"}"#, r#"{"domain":"hmail.com"}"#);
    assert_ne!(other, text);
    fs::write(&segment, other).expect("written");
    let report = open(dir.path()).gate.verify().expect("verified");
    assert_eq!((report.orders, report.differences), (1, 1), "{:?}", report.first);
    assert!(report.first[0].contains("order 2"), "{:?}", report.first);
}
