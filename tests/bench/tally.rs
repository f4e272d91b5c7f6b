//! What counting one recipient costs: a campaign that is there already, and names that are made up.

use std::hint::black_box;

use criterion::{Criterion, criterion_group};
use rcptgate::tally::{Campaign, Cause, Outcome, Place, Settings, Tally};
use rcptgate::time::Timestamp;

criterion_group!(benches, count);

/// Receivers of a mailing, about as many as a large one has.
const RECEIVERS: usize = 1000;

fn count(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a directory");
    let now = Timestamp::from_secs(1_800_000_000);
    let tally = Tally::open(Settings::new(folder.path()), now);
    let receivers: Vec<String> = (0..RECEIVERS).map(|n| format!("receiver{n}.test")).collect();
    let mut group = criterion.benchmark_group("tally");
    group.bench_function("delivered", |bencher| {
        let mut turn = receivers.iter().cycle();
        bencher.iter(|| {
            let receiver = turn.next().expect("endless");
            let campaign = Campaign::Named("spring catalogue 2026");
            let place = Place { tenant: "default", receiver, campaign };
            tally.count(black_box(&place), Outcome::Delivered, None, now);
        });
    });
    group.bench_function("a_new_campaign_each_time", |bencher| {
        let mut number = 0_u64;
        bencher.iter(|| {
            number += 1;
            let campaign = number.to_string();
            let campaign = Campaign::Named(&campaign);
            let place = Place { tenant: "default", receiver: "receiver1.test", campaign };
            let outcome = Outcome::Bounced(Cause::UserUnknown);
            tally.count(black_box(&place), outcome, Some("550 5.1.1 no such user"), now);
        });
    });
    group.finish();
}
