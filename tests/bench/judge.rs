//! The verdict on one recipient, with a full store.

use std::cell::OnceCell;
use std::hint::black_box;
use std::path::Path;

use criterion::{BatchSize, Criterion, criterion_group};
use rcptgate::app::open_gate;
use rcptgate::bounce::classify::Classifier;
use rcptgate::event::{Act, Event, EventId, Tenant, What};
use rcptgate::gate::{Gate, GateSettings};
use rcptgate::journal;
use rcptgate::lists::Lists;
use rcptgate::policy::Policy;
use rcptgate::policy::verdict::Verdict;
use rcptgate::smtp::address::RecipientKey;
use rcptgate::time::Timestamp;

/// How many addresses the store knows, unless `RCPTGATE_BENCH_RECORDS` says otherwise: up to ten million, which take five minutes to fill and 9 GB of disk.
const RECORDS: usize = 100_000;
/// Different addresses that are asked about in turn: more than a processor's caches remember by themselves.
const ASKED: usize = 65_536;
/// Events in one commit while the store is filled.
const COMMIT: usize = 10_000;

criterion_group!(benches, judge);

fn judge(criterion: &mut Criterion) {
    // Filling takes a while: only when one of these benches is to run.
    let store = OnceCell::new();
    let records = records();
    let mut group = criterion.benchmark_group(format!("judge/{records}"));
    let mut ask = |name: &str, forwards: bool, address: &dyn Fn(usize) -> String| {
        group.bench_function(name, |bencher| {
            let (gate, _folder) = store.get_or_init(|| filled(records));
            let keys: Vec<_> = (0..ASKED).map(|number| key(&address(number))).collect();
            let (tenant, now) = (Tenant::default(), Timestamp::from_secs(1_800_000_000));
            for key in &keys {
                let verdict = gate.judge(key, &tenant, now).verdict;
                assert_eq!(matches!(verdict, Verdict::Forward), forwards, "{key}");
            }
            let mut asked = keys.iter().cycle();
            let parsed = || asked.next().expect("a cycle has no end").clone();
            bencher.iter_batched_ref(
                parsed,
                |key| black_box(gate.judge(black_box(key), &tenant, now)),
                // The address was parsed a moment ago, as that of a RCPT is; what the gate knows was touched long ago.
                BatchSize::NumIterations(64),
            );
        });
    };
    ask("clean", true, &|number| format!("clean{number}@shop{}.test", number % 1000));
    // A stride that is no divisor of the number of records visits all parts of the index.
    ask("suppressed", false, &|number| known(number.wrapping_mul(7919) % records));
    ask("disposable", false, &|number| format!("throwaway{number}@x.yopmail.com"));
    group.finish();
}

fn records() -> usize {
    let wanted = std::env::var("RCPTGATE_BENCH_RECORDS").ok();
    wanted.map_or(RECORDS, |number| number.parse().expect("RCPTGATE_BENCH_RECORDS is a number"))
}

fn known(number: usize) -> String {
    format!("known{number:07}@listed{:03}.test", number % 1000)
}

fn key(address: &str) -> RecipientKey {
    RecipientKey::parse(address).expect("an address")
}

/// A gate that has every one of so many addresses in long-term quarantine: a journal in large commits, folded as at any start.
fn filled(records: usize) -> (Gate, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("a directory");
    let settings = GateSettings::new(folder.path());
    let (journal, index) = (settings.journal_dir(), settings.index_dir());
    write_journal(&journal, settings.segment_bytes, records);
    let policy = Policy::preset("quarantine").expect("the preset");
    let begin = Timestamp::now();
    let (gate, report) =
        open_gate(settings, policy, Classifier::builtin(), Lists::embedded(), |_, _| {})
            .expect("a gate");
    assert_eq!(report.records, u64::try_from(records).expect("a count"));
    eprintln!(
        "{records} addresses: index built in {:.0} s, {} MiB beside {} MiB of journal; {}",
        Timestamp::now().since(begin).as_secs_f64(),
        bytes_in(&index) >> 20,
        bytes_in(&journal) >> 20,
        resident()
    );
    (gate, folder)
}

fn bytes_in(folder: &Path) -> u64 {
    let files = std::fs::read_dir(folder).expect("a directory").map(|file| file.expect("a file"));
    let size = |file: std::fs::DirEntry| match file.metadata().expect("metadata") {
        metadata if metadata.is_dir() => bytes_in(&file.path()),
        metadata => metadata.len(),
    };
    files.map(size).sum()
}

/// The line of Linux about memory in use.
fn resident() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS"));
    line.unwrap_or("VmRSS unknown").split_whitespace().collect::<Vec<_>>().join(" ")
}

fn write_journal(folder: &Path, segment_bytes: u64, records: usize) {
    let (mut writer, _) = journal::Writer::open(folder, segment_bytes).expect("a journal");
    let act = Act { reason: "no such user".to_owned(), by: "bench".to_owned() };
    for number in 0..records {
        let event = Event {
            id: EventId(format!("{number:026}")),
            at: Timestamp::from_secs(1_700_000_000),
            address: key(&known(number)),
            tenant: Tenant::default(),
            what: What::Quarantine { until: None, act: act.clone() },
        };
        writer.stage(&event).expect("staged");
        if number % COMMIT == COMMIT - 1 {
            writer.commit().expect("committed");
        }
    }
    writer.commit().expect("committed");
}
