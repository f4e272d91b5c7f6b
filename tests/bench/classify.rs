//! What reading a reply costs, and making ready to read.

use std::hint::black_box;
use std::path::Path;

use criterion::{Criterion, criterion_group};
use rcptgate::bounce::Stage;
use rcptgate::bounce::classify::{BUILTIN, Classifier, read_reply};
use rcptgate::smtp::reply::Reply;
use serde::Deserialize;

criterion_group!(benches, classify, compile);

#[derive(Deserialize)]
struct Specimens {
    specimen: Vec<Specimen>,
}

#[derive(Deserialize)]
struct Specimen {
    stage: Option<Stage>,
    reply: String,
}

/// Every reply of `tests/specimens`, in turn: what one costs on the average, with whatever was built for the ones before.
fn classify(criterion: &mut Criterion) {
    let classifier = Classifier::builtin();
    let replies = specimens();
    criterion.bench_function("classify/mix", |bencher| {
        let mut asked = replies.iter().cycle();
        bencher.iter(|| {
            let (stage, reply) = asked.next().expect("a cycle has no end");
            black_box(classifier.classify(*stage, black_box(reply), 1, Some("mx.example.com")))
        });
    });
}

/// An operator's file at a reload, its specimens and those of the built-in rules asked: ten rules before the built-in ones, which are
/// compiled once; and one that stands in their place.
fn compile(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("compile");
    group.sample_size(10);
    let mut bench = |name: &str, text: &str| {
        assert!(Classifier::with_own(text).is_ok(), "{name}");
        group
            .bench_function(name, |bencher| bencher.iter(|| Classifier::with_own(black_box(text))));
    };
    bench("ten_rules_and_the_built_in_ones", &ten());
    bench("a_copy_of_the_built_in_ones", &format!("replace = true\n{BUILTIN}"));
    group.finish();
}

fn ten() -> String {
    let rule = |number: usize| {
        format!(
            "[[rule]]\nname = \"own-{number}\"\ncategory = \"user_unknown\"\n\
             text = [\"%who% ~ handed back to agency {number}\", \"%who-abroad% %absent-abroad% agency {number}\"]\n\
             specimens = [\"550 The mailbox was handed back to agency {number}\"]\n"
        )
    };
    (0..10).map(rule).collect()
}

fn specimens() -> Vec<(Stage, Reply)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/specimens/replies");
    let mut replies = Vec::new();
    for entry in std::fs::read_dir(folder).expect("the folder of specimens") {
        let text = std::fs::read_to_string(entry.expect("an entry").path()).expect("a file");
        let file: Specimens = toml::from_str(&text).expect("specimens");
        for Specimen { stage, reply } in file.specimen {
            let stage = stage.unwrap_or(Stage::Rcpt);
            replies.push((stage, read_reply(stage, &reply).expect("a reply")));
        }
    }
    replies
}
