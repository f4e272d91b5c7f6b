//! What watching one outcome costs: it stands in the path of every delivery.

use std::hint::black_box;

use criterion::{Criterion, criterion_group};
use rcptgate::policy::guard::{Guard, Observation, OutageSettings, Outcome};
use rcptgate::smtp::address::RecipientKey;
use rcptgate::time::Timestamp;

/// Different addresses, more than a processor's caches remember by themselves.
const ADDRESSES: usize = 1 << 18;

criterion_group!(benches, observe);

fn observe(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("guard");
    let mut bench = |name: &str, domains: usize, refused: usize| {
        group.bench_function(name, |bencher| {
            let seen: Vec<_> = (0..ADDRESSES)
                .map(|number| {
                    let address = format!("user{number}@shop{}.test", number % domains);
                    let receiver = format!("mx{}.host{}.example", number % 3, number % domains);
                    (RecipientKey::parse(&address).expect("an address"), receiver)
                })
                .collect();
            let mut guard = Guard::new(OutageSettings::default(), 1);
            let mut turns = seen.iter().enumerate().cycle();
            let mut millis = 1_800_000_000_000;
            bencher.iter(|| {
                let (number, (address, receiver)) = turns.next().expect("a cycle has no end");
                let hard = number % 1000 < refused;
                let outcome = if hard { Outcome::HardRefused } else { Outcome::Accepted };
                // A thousand a second.
                millis += 1;
                let at = Timestamp::from_millis(millis);
                let receiver = Some(receiver.as_str());
                black_box(guard.observe(&Observation { address, receiver, at, outcome }))
            });
        });
    };
    bench("accepted, one domain", 1, 0);
    bench("accepted, ten thousand domains", 10_000, 0);
    bench("one in a hundred refused", 100, 10);
    group.finish();
}
