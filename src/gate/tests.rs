mod builds;
mod imports;
mod notes;
mod orders;
mod outages;

use std::fs;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::*;
use crate::bounce::classify::Classifier;
use crate::bounce::{Category, Scope, Stage};
use crate::event::{Act, Context, Delivery, Evidence, List, What};
use crate::policy::Standing;

mod policies;
mod starts;

fn settings(dir: &Path) -> GateSettings {
    GateSettings {
        cache_bytes: 1 << 20,
        sort_bytes: 500,
        segment_bytes: 2000,
        retry_every: Duration::ZERO,
        ..GateSettings::new(dir)
    }
}

fn try_open(settings: GateSettings) -> Result<Opened, GateError> {
    let policy = Policy::preset("quarantine").expect("a preset");
    Gate::open(settings, policy, Classifier::builtin(), |_, _| {})
}

fn open(dir: &Path) -> Opened {
    try_open(settings(dir)).expect("opens")
}

fn key(address: &str) -> RecipientKey {
    RecipientKey::parse(address).expect("an address")
}

fn now() -> Timestamp {
    Timestamp::from_secs(1_764_000_000)
}

fn draft(address: &str, what: What) -> Draft {
    Draft { at: now(), address: key(address), tenant: Tenant::default(), what }
}

fn quarantine(address: &str) -> Draft {
    draft(address, What::Quarantine { until: None, act: Act::default() })
}

/// A hard bounce; at gmail.com one is enough.
fn hard(address: &str) -> Draft {
    let evidence = Evidence {
        category: Category::UserUnknown,
        scope: Scope::Recipient,
        stage: Stage::Rcpt,
        reply: "550 5.1.1 no such user".to_owned(),
        rule: "test".to_owned(),
        context: Context::default(),
    };
    draft(address, What::Reply(evidence))
}

fn learnt(gate: &Gate, draft: Draft) -> Ack {
    gate.learn(draft).wait().expect("learnt")
}

fn about(address: &str) -> About {
    About { address: key(address), tenant: Tenant::default(), context: Context::default() }
}

fn verdict(gate: &Gate, address: &str) -> &'static str {
    gate.judge(&key(address), &Tenant::default(), now()).verdict.name()
}

/// Every address that should be refused is, the journal has as many events, and the index agrees with it.
fn check(gate: &Gate, refused: &[&str], events: u64) {
    for address in refused {
        assert_eq!(verdict(gate, address), "refuse", "{address}");
    }
    assert_eq!(verdict(gate, "stranger@example.test"), "forward");
    let report = gate.verify().expect("verified");
    assert!(report.agrees(), "{:?}", report.first);
    assert_eq!(report.events, events);
    assert_eq!(gate.health(), Health { ready: true, why: Vec::new() });
}

fn teach(dir: &Path, addresses: &[&str]) {
    let gate = open(dir).gate;
    for address in addresses {
        learnt(&gate, quarantine(address));
    }
}

#[test]
fn what_was_acknowledged_is_on_disk_and_known() {
    let dir = tempfile::tempdir().expect("a directory");
    let gate = open(dir.path()).gate;
    let waiting: Vec<_> =
        (0..100).map(|number| gate.learn(quarantine(&format!("u{number}@a.test")))).collect();
    for (durable, seq) in waiting.into_iter().zip(1..) {
        let ack = durable.wait().expect("learnt");
        assert_eq!(ack.seq, seq);
        let lines = journal::Reader::open(&dir.path().join("journal")).expect("opens");
        assert!(lines.filter(Result::is_ok).count() as u64 >= seq);
        assert_eq!(verdict(&gate, &format!("u{}@a.test", seq - 1)), "refuse");
    }
    let ack = learnt(&gate, hard("gone@gmail.com"));
    let (before, after) = (Standing::Clear, Standing::QuarantinedLongTerm);
    let expected = Change { before, after, held: None, softs: 0 };
    assert_eq!(ack.change, Some(expected));
    let history = gate.history(&key("gone@gmail.com")).expect("read");
    assert_eq!(history.len(), 1);
    assert_eq!((history[0].0, &history[0].1.id), (101, &ack.id));
    assert_eq!(gate.scan(Some("gmail.com")).expect("read").count(), 1);
    assert_eq!(gate.records(), Some(101));
    check(&gate, &["gone@gmail.com"], 101);
    drop(gate);
    let opened = open(dir.path());
    assert_eq!((opened.report.replayed, opened.report.records), (0, 101));
    check(&opened.gate, &["u0@a.test", "u99@a.test", "gone@gmail.com"], 101);
}

#[test]
fn a_second_gate_refuses() {
    let dir = tempfile::tempdir().expect("a directory");
    let first = open(dir.path());
    let second = GateSettings { lock_wait: Duration::ZERO, ..settings(dir.path()) };
    let error = try_open(second).map(drop).expect_err("locked");
    assert!(matches!(error, GateError::Store(StoreError::Locked { .. })), "{error}");
    learnt(&first.gate, quarantine("a@a.test"));
}

#[test]
fn a_full_disk_pauses_learning_and_it_resumes_by_itself() {
    let dir = tempfile::tempdir().expect("a directory");
    let settings = settings(dir.path());
    let (journal_fault, index_fault) =
        (settings.journal_fault.clone(), settings.index_fault.clone());
    let gate = try_open(settings).expect("opens").gate;
    learnt(&gate, quarantine("a@a.test"));
    journal_fault.set(true);
    index_fault.set(true);
    for _ in 0..3 {
        let unlearnt = gate.learn(quarantine("lost@a.test")).wait().expect_err("full");
        assert!(matches!(unlearnt, Unlearnt::Disk(_)), "{unlearnt}");
    }
    assert!(!gate.health().ready);
    assert_eq!(gate.stats().unlearnt.load(Ordering::Relaxed), 3);
    assert_eq!(verdict(&gate, "a@a.test"), "refuse");
    assert_eq!(verdict(&gate, "lost@a.test"), "forward");
    journal_fault.set(false);
    index_fault.set(false);
    learnt(&gate, quarantine("b@a.test"));
    check(&gate, &["a@a.test", "b@a.test"], 2);
}

#[test]
fn an_index_that_fails_is_opened_again_and_catches_up() {
    let dir = tempfile::tempdir().expect("a directory");
    let settings = settings(dir.path());
    let fault = settings.index_fault.clone();
    let gate = try_open(settings).expect("opens").gate;
    learnt(&gate, quarantine("a@a.test"));
    fault.set(true);
    // On disk, and so acknowledged, but not yet part of the index.
    assert_eq!(learnt(&gate, quarantine("b@a.test")).change, None);
    assert_eq!(learnt(&gate, quarantine("c@a.test")).change, None);
    assert!(!gate.health().ready);
    assert_eq!(gate.stats().index_failures.load(Ordering::Relaxed), 1);
    assert_eq!(verdict(&gate, "a@a.test"), "refuse");
    fault.set(false);
    assert!(learnt(&gate, quarantine("d@a.test")).change.is_some());
    check(&gate, &["a@a.test", "b@a.test", "c@a.test", "d@a.test"], 4);
}

#[test]
fn who_cannot_be_looked_up_is_deferred_or_accepted() {
    for (on_store_failure, expected) in
        [(OnStoreFailure::Defer, "defer"), (OnStoreFailure::Accept, "forward")]
    {
        let dir = tempfile::tempdir().expect("a directory");
        let settings = GateSettings { on_store_failure, ..settings(dir.path()) };
        let gate = try_open(settings).expect("opens").gate;
        learnt(&gate, quarantine("a@a.test"));
        gate.set_listing(Arc::new(|key| Listing {
            allowed: key.local() == "vip",
            disposable: (key.domain() == "throwaway.test").then(|| "throwaway.test".to_owned()),
        }));
        let shared = Arc::clone(&gate.0.shared);
        shared.close_index().expect("closed");
        assert_eq!(verdict(&gate, "a@a.test"), expected);
        assert_eq!(verdict(&gate, "stranger@a.test"), "forward");
        for address in ["vip@a.test", "x@throwaway.test"] {
            shared.filter.load().insert(address);
        }
        assert_eq!(verdict(&gate, "vip@a.test"), "forward");
        assert_eq!(verdict(&gate, "x@throwaway.test"), "refuse");
    }
}

#[test]
fn a_full_queue_refuses_and_counts() {
    let dir = tempfile::tempdir().expect("a directory");
    let gate = try_open(GateSettings { queue: 0, ..settings(dir.path()) }).expect("opens").gate;
    // Without room in the queue an event is taken only while the writer happens to wait for one.
    let outcomes: Vec<_> =
        (0..50).map(|_| gate.learn(quarantine("a@a.test"))).map(Durable::wait).collect();
    let refused = outcomes.iter().filter(|outcome| **outcome == Err(Unlearnt::QueueFull)).count();
    assert_eq!(gate.stats().unlearnt.load(Ordering::Relaxed), refused as u64);
    assert_eq!(gate.stats().learnt.load(Ordering::Relaxed), 50 - refused as u64);
}

#[test]
fn replaying_what_is_known_changes_nothing() {
    let dir = tempfile::tempdir().expect("a directory");
    let gate = open(dir.path()).gate;
    learnt(&gate, hard("gone@gmail.com"));
    learnt(&gate, draft("gone@gmail.com", What::Delivered(Delivery::default())));
    let shared = &gate.0.shared;
    let store = shared.store().expect("open");
    let entries: Vec<_> = journal::Reader::open(&dir.path().join("journal"))
        .expect("opens")
        .map(|found| found.expect("a line"))
        .map(|located| (located.entry, located.position))
        .collect();
    let before = store.get(&key("gone@gmail.com")).expect("read");
    assert!(before.is_some());
    let (filter, policy, masks) = (shared.filter.load(), shared.policy.load(), shared.masks.load());
    let means = fold::Means { store: &store, filter: &filter, policy: &policy, masks: &masks };
    for change in fold::fold(&means, &entries).expect("folded").into_iter().flatten() {
        assert_eq!(change.before, change.after);
    }
    assert_eq!(store.get(&key("gone@gmail.com")).expect("read"), before);
    check(&gate, &[], 2);
}

#[test]
fn an_address_of_which_nothing_is_left_has_no_record() {
    let dir = tempfile::tempdir().expect("a directory");
    let gate = open(dir.path()).gate;
    learnt(&gate, draft("a@a.test", What::Allow { act: Act::default() }));
    assert_eq!(gate.records(), Some(1));
    learnt(&gate, draft("a@a.test", What::Release { from: List::Allow, act: Act::default() }));
    assert_eq!(gate.records(), Some(0));
    assert_eq!(gate.history(&key("a@a.test")).expect("read").len(), 2);
    check(&gate, &[], 2);
}

#[test]
fn verify_names_what_differs() {
    let dir = tempfile::tempdir().expect("a directory");
    let gate = open(dir.path()).gate;
    learnt(&gate, hard("gone@gmail.com"));
    let mut strict = Policy::preset("quarantine").expect("a preset");
    strict.trusted = Default::default();
    gate.set_policy(strict);
    let report = gate.verify().expect("verified");
    assert_eq!((report.events, report.records, report.differences), (1, 1, 1));
    assert!(report.first[0].contains("gone@gmail.com"), "{:?}", report.first);
}

#[tokio::test]
async fn a_promise_is_a_future_with_a_limit() {
    let dir = tempfile::tempdir().expect("a directory");
    let gate = open(dir.path()).gate;
    assert_eq!(gate.learn(quarantine("a@a.test")).await.expect("learnt").seq, 1);
    let (_never, waiting) = oneshot::channel();
    let stats = Arc::clone(&gate.0.shared.stats);
    let durable = Durable::new(Ok(waiting), stats, Duration::ZERO);
    assert_eq!(durable.in_time().await, Err(Unlearnt::Late));
    assert_eq!(gate.stats().late.load(Ordering::Relaxed), 1);
}

#[test]
fn deliveries_and_replies_of_one_batch_fold_in_order() {
    let dir = tempfile::tempdir().expect("a directory");
    let gate = open(dir.path()).gate;
    let delivered = || draft("gone@gmail.com", What::Delivered(Delivery::default()));
    let waiting: Vec<_> = (0..200)
        .map(|turn| gate.learn(if turn % 2 == 0 { hard("gone@gmail.com") } else { delivered() }))
        .collect();
    for durable in waiting {
        durable.wait().expect("learnt");
    }
    assert_eq!(gate.history(&key("gone@gmail.com")).expect("read").len(), 200);
    check(&gate, &[], 200);
}

#[test]
fn lines_behind_the_last_acknowledged_are_not_folded() {
    let dir = tempfile::tempdir().expect("a directory");
    teach(dir.path(), &["a@a.test", "never@a.test"]);
    fs::remove_dir_all(dir.path().join("index")).expect("removed");
    let settings = settings(dir.path());
    let policy = Policy::preset("quarantine").expect("a preset");
    let first = Some((1, journal::Position { segment: 1, offset: 0 }));
    let opened = index::open(&settings, first, &policy, &mut |_, _| {}).expect("opens");
    assert_eq!((opened.replayed, opened.store.count()), (1, 1));
}

#[test]
fn the_next_rcpt_already_knows() {
    let dir = tempfile::tempdir().expect("a directory");
    let gate = open(dir.path()).gate;
    let refused = |address: &str, stage, text: &str| {
        let reply = Reply::from_text(text).expect("a reply");
        let learning = gate.refused(&about(address), stage, &reply, 1, now());
        learning.durable.map(|durable| durable.wait().expect("learnt").change.expect("folded"))
    };
    let change =
        refused("gone@gmail.com", Stage::Rcpt, "550 5.1.1 no such user").expect("an event");
    assert_eq!(change.after, Standing::QuarantinedLongTerm);
    assert_eq!(verdict(&gate, "gone@gmail.com"), "refuse");
    let change = refused("full@a.test", Stage::EndOfData, "452 4.2.2 mailbox full");
    assert_eq!(change.map(|change| change.after), Some(Standing::OnWatch));
    assert_eq!(verdict(&gate, "full@a.test"), "forward");
    assert_eq!(refused("some@a.test", Stage::Rcpt, "450 4.1.1 user unknown"), None);
    assert_eq!(refused("some@a.test", Stage::EndOfData, "554 5.7.1 message is spam"), None);
    assert_eq!(gate.records(), Some(2));
}
