//! Steps taken by hand, so that anything can come between any two of them.

use std::fs;

use proptest::prelude::*;

use super::*;
use crate::bounce::{Category, Scope, Stage};
use crate::event::order::{Decree, Order, OrderId};
use crate::event::select::{Conditions, Selector};
use crate::event::{Act, Context, Delivery, EventId, Evidence, Tenant, What};
use crate::gate::{GateSettings, index};
use crate::journal::{Entry, Said};
use crate::policy::{Masks, Policy};
use crate::store::Store;
use crate::store::filter::Filter;
use crate::time::Timestamp;

/// Journal and index without threads.
struct Bench {
    dir: tempfile::TempDir,
    journal: journal::Writer,
    store: Store,
    filter: Filter,
    masks: Masks,
    policy: Policy,
    walk: Walk,
}

fn policy() -> Policy {
    Policy::preset("quarantine").expect("a preset")
}

fn settings(dir: &Path) -> GateSettings {
    GateSettings { cache_bytes: 1 << 20, segment_bytes: 1000, ..GateSettings::new(dir) }
}

impl Bench {
    fn new() -> Self {
        Self::open(tempfile::tempdir().expect("a directory"))
    }

    fn open(dir: tempfile::TempDir) -> Self {
        let settings = settings(dir.path());
        let opened = journal::Writer::open(&settings.journal_dir(), settings.segment_bytes);
        let (journal, torn) = opened.expect("opens");
        assert_eq!(torn, None);
        let opened =
            index::open(&settings, journal.last(), &policy(), &mut |_, _| {}).expect("opens");
        assert_eq!(opened.moved_aside, None);
        let index::Opened { store, filter, masks, .. } = opened;
        Self { dir, journal, store, filter, masks, policy: policy(), walk: Walk::default() }
    }

    /// What is on disk, as a crash leaves it: sled has flushed some of it or nothing.
    fn crash(&self) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        copy(self.dir.path(), dir.path());
        Self::open(dir)
    }

    /// A stop in order.
    fn reopen(self) -> Self {
        let Self { dir, journal, store, .. } = self;
        store.flush().expect("flushed");
        drop((journal, store));
        Self::open(dir)
    }

    fn means(&self) -> Means<'_> {
        let Self { store, filter, policy, masks, .. } = self;
        Means { store, filter, policy, masks }
    }

    fn take(&mut self, said: Said) {
        let (seq, position) = self.journal.stage(&said).expect("staged");
        self.journal.commit().expect("committed");
        if let Said::Order(order) = &said {
            self.masks = self.masks.with(seq, order.clone());
        }
        super::super::fold::fold(&self.means(), &[(Entry { seq, said }, position)])
            .expect("folded");
    }

    fn gather(&mut self, limits: Limits) -> Option<Chunk> {
        let mut walk = std::mem::take(&mut self.walk);
        let chunk = gather(&self.means(), &self.dir.path().join("journal"), &mut walk, limits);
        self.walk = walk;
        chunk.expect("gathered")
    }

    fn apply(&self, chunk: Chunk) -> Option<Taken> {
        apply(&self.means(), &self.dir.path().join("journal"), chunk).expect("applied")
    }

    fn finish(&self) {
        finish(&self.means(), &self.dir.path().join("journal"), &mut |_, _| {}).expect("finished");
    }

    /// Once nothing is left to do the index is what the journal says, and what one built anew would be.
    fn check(&self) {
        assert_eq!(self.store.jobs(), []);
        let report = super::super::verify::verify(
            &self.store,
            &self.dir.path().join("journal"),
            &self.policy,
            &mut |_, _| {},
        );
        let report = report.expect("verified");
        assert!(report.agrees(), "{:?}", report.first);
        let anew = tempfile::tempdir().expect("a directory");
        copy(&self.dir.path().join("journal"), &anew.path().join("journal"));
        let anew = Self::open(anew);
        assert_eq!(anew.store.jobs(), []);
        assert_eq!(records(&anew.store), records(&self.store));
        assert_eq!(anew.masks, self.masks);
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("made");
    for entry in fs::read_dir(from).expect("read") {
        let path = entry.expect("read").path();
        let target = to.join(path.file_name().expect("a name"));
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, &target).expect("copied");
        }
    }
}

fn records(store: &Store) -> Vec<(RecipientKey, Stored)> {
    store.scan(None).map(|found| found.expect("read")).collect()
}

fn event(secs: i64, address: &str, what: What) -> Said {
    let (id, tenant) = (EventId(format!("e{secs}")), Tenant::default());
    let address = RecipientKey::parse(address).expect("an address");
    Said::Event(Event { id, at: Timestamp::from_secs(secs), address, tenant, what })
}

fn hard(secs: i64, address: &str) -> Said {
    let receiver = Some(format!("mx.{address}:25"));
    let evidence = Evidence {
        category: Category::UserUnknown,
        scope: Scope::Recipient,
        stage: Stage::Rcpt,
        reply: "550 5.1.1 no such user".to_owned(),
        rule: "test".to_owned(),
        context: Context { receiver, ..Context::default() },
    };
    event(secs, address, What::Reply(evidence))
}

fn delivered(secs: i64, address: &str) -> Said {
    event(secs, address, What::Delivered(Delivery::default()))
}

fn void(since: i64, until: i64) -> Said {
    let times = (Timestamp::from_secs(since), Timestamp::from_secs(until));
    let conditions =
        Conditions { since: Some(times.0), until: Some(times.1), ..Conditions::default() };
    let select = Selector::new(conditions).expect("a selector");
    let (id, at) = (OrderId(format!("o{since}-{until}")), Timestamp::from_secs(until));
    let act = Act { reason: "why".to_owned(), by: "eve".to_owned() };
    Said::Order(Order { id, at, decree: Decree::Void { select }, act })
}

const HOUR: i64 = 3600;
const STEP: Limits = Limits { addresses: 2, lines: 5 };

/// Six addresses that bounced twice, days apart, the second time within the window that is void.
fn bounced(bench: &mut Bench) {
    for address in 0..6 {
        bench.take(hard(address, &format!("u{address}@gmail.com")));
    }
    for address in 0..6 {
        bench.take(hard(100 * HOUR + address, &format!("u{address}@other.test")));
        bench.take(hard(100 * HOUR + address, &format!("u{address}@gmail.com")));
    }
}

#[test]
fn a_crash_between_any_two_steps_loses_nothing() {
    let mut bench = Bench::new();
    bounced(&mut bench);
    bench.store.flush().expect("flushed");
    bench.take(void(0, HOUR));
    let mut steps = 0;
    loop {
        // The order may not have reached the index yet, or some of the steps.
        let crashed = bench.crash();
        crashed.finish();
        crashed.check();
        if steps % 2 == 0 {
            bench.store.flush().expect("flushed");
        }
        let Some(chunk) = bench.gather(STEP) else { break };
        let crashed = bench.crash();
        crashed.finish();
        crashed.check();
        assert!(bench.apply(chunk).is_some());
        steps += 1;
    }
    assert!(steps >= 4, "{steps}");
    bench.check();
    bench.reopen().check();
}

#[test]
fn a_stop_and_a_start_go_on_where_it_was() {
    let mut bench = Bench::new();
    bounced(&mut bench);
    // Half of the addresses have two events in it: each is folded again once all the same.
    bench.take(void(0, 200 * HOUR));
    let (mut last, mut tally) = (0, None);
    while let Some(chunk) = bench.gather(STEP) {
        let taken = bench.apply(chunk).expect("taken");
        assert!(taken.job.tally.addresses >= last);
        last = taken.job.tally.addresses;
        tally = taken.over.then_some(taken.job.tally);
        bench = bench.reopen();
    }
    let tally = tally.expect("over");
    assert_eq!((tally.events, tally.addresses, tally.changed), (18, 12, 12));
    bench.check();
}

#[test]
fn what_comes_while_an_address_is_folded_again_counts_once() {
    let mut bench = Bench::new();
    bench.take(hard(0, "a@gmail.com"));
    bench.take(hard(0, "b@gmail.com"));
    bench.take(hard(0, "c@other.test"));
    bench.take(void(0, HOUR));
    let chunk = bench.gather(Limits::USUAL).expect("a step");
    // Between the two halves of the step: folded on the old record first.
    bench.take(hard(300 * HOUR, "a@gmail.com"));
    bench.take(hard(300 * HOUR, "c@other.test"));
    bench.take(delivered(301 * HOUR, "b@gmail.com"));
    bench.take(event(302 * HOUR, "b@gmail.com", What::Blacklist { act: Act::default() }));
    assert!(bench.apply(chunk).is_some_and(|taken| taken.over));
    bench.take(hard(400 * HOUR, "c@other.test"));
    let found = |address: &str| {
        let key = RecipientKey::parse(address).expect("an address");
        bench.store.get(&key).expect("read").map(|stored| (stored.record, stored.seq))
    };
    let (record, seq) = found("a@gmail.com").expect("a record");
    assert_eq!((record.hard.count, seq), (1, 5));
    assert!(record.learnt.is_some_and(|learnt| learnt.since == Timestamp::from_secs(300 * HOUR)));
    let (record, seq) = found("b@gmail.com").expect("a record");
    assert_eq!((record.hard.count, record.learnt, record.blacklists.len(), seq), (0, None, 1, 8));
    let (record, seq) = found("c@other.test").expect("a record");
    assert_eq!((record.hard.count, seq), (2, 9));
    bench.check();
}

#[test]
fn a_step_that_the_index_has_left_behind_is_not_written() {
    let mut bench = Bench::new();
    bounced(&mut bench);
    bench.take(void(0, HOUR));
    let old = bench.gather(STEP).expect("a step");
    let again = bench.gather(STEP).expect("the same step");
    assert!(bench.apply(again).is_some());
    assert_eq!(bench.apply(old), None);
    // A walk that has gone ahead of the index begins again where that is.
    let lost = bench.gather(STEP).expect("a step");
    let kept = bench.gather(STEP).expect("the same step");
    assert_eq!(lost.job, kept.job);
    assert_eq!(lost.len(), kept.len());
    bench.finish();
    bench.check();
}

#[test]
fn nothing_is_walked_without_the_order_at_hand() {
    let mut bench = Bench::new();
    bounced(&mut bench);
    bench.take(void(0, HOUR));
    let masks = std::mem::take(&mut bench.masks);
    let gathered = gather(
        &bench.means(),
        &bench.dir.path().join("journal"),
        &mut Walk::default(),
        Limits::USUAL,
    );
    assert!(matches!(gathered, Err(GateError::Store(StoreError::Paused))));
    bench.masks = masks;
    bench.finish();
    bench.check();
}

#[test]
fn orders_that_overlap_are_carried_out_one_after_the_other() {
    let mut bench = Bench::new();
    bounced(&mut bench);
    bench.take(void(0, 4));
    let chunk = bench.gather(STEP).expect("a step");
    bench.take(void(2, 200 * HOUR));
    assert_eq!(bench.store.jobs().len(), 2);
    assert!(bench.apply(chunk).is_some());
    let mut tallies = Vec::new();
    while let Some(chunk) = bench.gather(STEP) {
        tallies.extend(bench.apply(chunk).filter(|taken| taken.over).map(|taken| taken.job.tally));
    }
    let events: Vec<u64> = tallies.iter().map(|tally| tally.events).collect();
    let addresses: Vec<u64> = tallies.iter().map(|tally| tally.addresses).collect();
    // The second one finds two of its six first bounces void already.
    assert_eq!((events, addresses), (vec![4, 14], vec![4, 12]));
    assert_eq!(records(&bench.store), []);
    bench.check();
}

/// One of what may happen.
#[derive(Clone, Debug)]
enum Deed {
    Hard(u8),
    Delivered(u8),
    Void(i64, i64),
    Gather,
    Apply,
    Crash,
    Reopen,
}

fn any_deed() -> impl Strategy<Value = Deed> {
    prop_oneof![
        6 => (0..4_u8).prop_map(Deed::Hard),
        1 => (0..4_u8).prop_map(Deed::Delivered),
        2 => (0..40_i64, 1..20_i64).prop_map(|(since, length)| Deed::Void(since, since + length)),
        4 => Just(Deed::Gather),
        4 => Just(Deed::Apply),
        1 => Just(Deed::Crash),
        1 => Just(Deed::Reopen),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn in_whatever_order_things_happen_the_index_is_what_the_journal_says(
        deeds in prop::collection::vec(any_deed(), 1..40),
        addresses in 1..4_usize,
    ) {
        let limits = Limits { addresses, lines: 7 };
        let mut bench = Bench::new();
        let mut gathered = None;
        for (hour, deed) in (0_i64..).zip(&deeds) {
            let address = |number: &u8| match number {
                0 | 1 => format!("u{number}@gmail.com"),
                _ => format!("u{number}@other.test"),
            };
            match deed {
                Deed::Hard(number) => bench.take(hard(hour * 2 * HOUR, &address(number))),
                Deed::Delivered(number) => bench.take(delivered(hour * 2 * HOUR, &address(number))),
                Deed::Void(since, until) => bench.take(void(since * 2 * HOUR, until * 2 * HOUR)),
                Deed::Gather => gathered = bench.gather(limits),
                Deed::Apply => drop(gathered.take().map(|chunk| bench.apply(chunk))),
                Deed::Crash => bench = bench.crash(),
                Deed::Reopen => bench = bench.reopen(),
            }
        }
        bench.finish();
        bench.check();
    }
}
