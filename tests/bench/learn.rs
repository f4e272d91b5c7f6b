//! From a reply to a standing: reading it, and one step of the fold.

use std::collections::HashMap;
use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, criterion_group};
use rcptgate::bounce::classify::Classifier;
use rcptgate::bounce::{Category, Scope, Stage};
use rcptgate::event::{Act, Context, Delivery, Event, EventId, Evidence, List, Tenant, What};
use rcptgate::policy::{Policy, Record, transition};
use rcptgate::smtp::address::RecipientKey;
use rcptgate::smtp::reply::Reply;
use rcptgate::time::Timestamp;

criterion_group!(benches, classify, fold);

/// A short reply that an early rule takes, a long one, and one that every rule is tried on in vain.
const REPLIES: &[(&str, &str)] = &[
    ("user_unknown", "550 5.1.1 <bob@shop.test>: Recipient address rejected: User unknown"),
    (
        "long",
        "550-5.7.26 This mail has been blocked because the sender is unauthenticated.\n\
         550-5.7.26 We require all senders to authenticate with either SPF or DKIM.\n\
         550-5.7.26  DKIM = did not pass\n550-5.7.26  SPF [shop.test] with ip: [192.0.2.7] = did not pass\n\
         550 5.7.26  For instructions, see https://help.shop.test/mail/authentication",
    ),
    ("no_rule", "554 the quick brown fox jumps over the lazy dog 0123456789 times today"),
];

fn classify(criterion: &mut Criterion) {
    let classifier = Classifier::builtin();
    let mut group = criterion.benchmark_group("classify");
    for (name, text) in REPLIES {
        let reply = Reply::from_text(text).expect("a reply");
        group.bench_function(*name, |bencher| {
            bencher.iter(|| {
                classifier.classify(Stage::Rcpt, black_box(&reply), 1, Some("mx.shop.test"))
            });
        });
    }
    group.finish();
}

fn fold(criterion: &mut Criterion) {
    let policy = Policy::preset("quarantine").expect("the preset");
    let events: Vec<Event> = (0..32).map(soft_bounce).collect();
    let mut group = criterion.benchmark_group("fold");
    group.throughput(criterion::Throughput::Elements(32));
    group.bench_function("32_soft_bounces", |bencher| {
        bencher.iter(|| {
            black_box(&events)
                .iter()
                .fold(Record::default(), |record, event| transition(record, event, &policy))
        });
    });
    let (events, addresses) = (mix(), 30_000);
    let owners: Vec<usize> = owners(&events);
    group.throughput(criterion::Throughput::Elements(events.len() as u64));
    for name in Policy::presets() {
        let policy = Policy::preset(name).expect("a preset");
        // By the processor's time, which other work on the machine does not stretch.
        group.bench_function(format!("mix/{name}"), |bencher| {
            bencher.iter_custom(|rounds| {
                let mut spent = Duration::ZERO;
                for _ in 0..rounds {
                    let mut records = vec![Record::default(); addresses];
                    let begin = processor_time();
                    fold_all(&mut records, black_box(&events), &owners, &policy);
                    spent += processor_time().saturating_sub(begin);
                    black_box(records);
                }
                spent
            });
        });
    }
    group.finish();
}

/// Events of many addresses, each folded into the record of its owner: finding that is no part of the measure.
#[inline(never)]
fn fold_all(records: &mut [Record], events: &[Event], owners: &[usize], policy: &Policy) {
    for (event, owner) in events.iter().zip(owners) {
        let record = records.get_mut(*owner).expect("a record for each address");
        *record = transition(std::mem::take(record), event, policy);
    }
}

/// Of each event, the number of its address.
fn owners(events: &[Event]) -> Vec<usize> {
    let mut numbers = HashMap::new();
    let number = |event: &Event| {
        let next = numbers.len();
        *numbers.entry(event.address.clone()).or_insert(next)
    };
    events.iter().map(number).collect()
}

/// What this thread has had of a processor, as Linux counts it.
fn processor_time() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux");
    let nanos = text.split(' ').next().and_then(|field| field.parse().ok());
    Duration::from_nanos(nanos.expect("a number"))
}

/// What a sender of newsletters learns in some weeks: 100,000 events of 30,000 addresses. Of a hundred, 30 are hard bounces, 10 final
/// soft ones, 30 attempts that are put off, 15 refusals for the sender's sake, 12 deliveries, 2 complaints, 1 a release.
fn mix() -> Vec<Event> {
    let mut events = Vec::with_capacity(100_000);
    for number in 0..100_000_i64 {
        let address = (number * 7919) % 30_000;
        let message = Some(format!("mta1.shop.test/{:010X}", number / 3));
        let reply = |category, text: &str| {
            What::Reply(Evidence {
                category,
                scope: Scope::Recipient,
                stage: Stage::Rcpt,
                reply: text.to_owned(),
                rule: "no-such-user".to_owned(),
                context: Context {
                    message: message.clone(),
                    sender: Some("<news@shop.test>".to_owned()),
                    campaign: Some(format!("campaign{}", number / 20_000)),
                    receiver: Some("mx.receiver.test:25".to_owned()),
                },
            })
        };
        // In steps of their own, so that each address gets some of everything.
        let what = match number / 7 % 100 {
            0..30 => reply(
                Category::UserUnknown,
                "550 5.1.1 <bob@shop.test>: Recipient address rejected: User unknown",
            ),
            30..40 => reply(Category::MailboxFull, "552 5.2.2 Mailbox full"),
            40..70 => reply(Category::MailboxFull, "452 4.2.2 Mailbox full, try later"),
            70..85 => reply(Category::Blocked, "550 5.7.1 Blocked, see https://receiver.test/list"),
            85..97 => What::Delivered(Delivery::default()),
            97..99 => What::Complaint { source: Some("fbl".to_owned()) },
            _ => What::Release { from: List::Quarantine, act: Act::default() },
        };
        let address = format!("recipient{address}@domain{}.test", address % 500);
        events.push(Event {
            id: EventId(format!("{number:026}")),
            at: Timestamp::from_secs(1_700_000_000 + number * 30),
            address: RecipientKey::parse(&address).expect("an address"),
            tenant: Tenant::default(),
            what,
        });
    }
    events
}

/// A full mailbox, half a year after the last one: nearly every one takes a step.
fn soft_bounce(number: i64) -> Event {
    let evidence = Evidence {
        category: Category::MailboxFull,
        scope: Scope::Recipient,
        stage: Stage::Rcpt,
        reply: "552 5.2.2 Mailbox full".to_owned(),
        rule: "status-5.2.2".to_owned(),
        context: Context { message: Some(format!("message{number}")), ..Context::default() },
    };
    Event {
        id: EventId(format!("{number:026}")),
        at: Timestamp::from_secs(1_700_000_000 + number * 15_000_000),
        address: RecipientKey::parse("bob@shop.test").expect("an address"),
        tenant: Tenant::default(),
        what: What::Reply(evidence),
    }
}
