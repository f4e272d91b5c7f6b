//! From a reply to a standing: reading it, and one step of the fold.

use std::hint::black_box;

use criterion::{Criterion, criterion_group};
use rcptgate::bounce::classify::Classifier;
use rcptgate::bounce::{Category, Scope, Stage};
use rcptgate::event::{Context, Event, EventId, Evidence, Tenant, What};
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
    group.finish();
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
