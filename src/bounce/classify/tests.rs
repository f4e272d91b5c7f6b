mod hostile;
mod own;

use std::path::Path;

use proptest::prelude::*;
use serde::Deserialize;

use super::*;

#[test]
fn the_built_in_rules_hold() {
    if let Err(faults) = Classifier::from_toml(BUILTIN) {
        let faults: Vec<_> = faults.iter().map(ToString::to_string).collect();
        panic!("config/classification.toml:\n{}", faults.join("\n"));
    }
}

#[test]
fn x09_the_senders_faults_are_not_the_recipients() {
    for reply in [
        "550 5.1.5 no",
        "550 5.1.7 no",
        "550 5.1.8 no",
        "553 5.1.8 Domain of sender does not exist",
    ] {
        let parsed = Reply::from_text(reply).expect("a reply");
        let seen = Classifier::builtin().classify(Stage::Rcpt, &parsed, 1, None);
        assert_eq!(seen.effect, Effect::None, "{reply}: {seen:?}");
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Specimens {
    specimen: Vec<Specimen>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Specimen {
    #[serde(default = "rcpt")]
    stage: Stage,
    #[serde(default = "one")]
    recipients: u32,
    receiver: Option<String>,
    reply: String,
    category: Category,
    scope: Option<Scope>,
    effect: Option<Effect>,
    reason: String,
}

fn rcpt() -> Stage {
    Stage::Rcpt
}

fn one() -> u32 {
    1
}

#[test]
fn specimens() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/specimens/replies");
    let classifier = Classifier::builtin();
    let mut wrong = Vec::new();
    let mut read = 0;
    for entry in std::fs::read_dir(folder).expect("the folder of specimens") {
        let path = entry.expect("an entry").path();
        let text = std::fs::read_to_string(&path).expect("a readable file");
        let file: Specimens =
            toml::from_str(&text).unwrap_or_else(|error| panic!("{path:?}: {error}"));
        for specimen in file.specimen {
            read += 1;
            let Specimen { stage, recipients, receiver, reply, .. } = &specimen;
            let reply = read_reply(*stage, reply).expect("a code");
            let found = classifier.classify(*stage, &reply, *recipients, receiver.as_deref());
            let right = found.category == specimen.category
                && specimen.scope.is_none_or(|scope| scope == found.scope)
                && specimen.effect.is_none_or(|effect| effect == found.effect);
            if !right {
                wrong.push(format!("{:?} ({}): {found:?}", specimen.reply, specimen.reason));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {read}:\n{}", wrong.len(), wrong.join("\n"));
    assert!(read >= 700, "only {read} specimens");
}

#[test]
fn only_the_recipient_or_its_domain_can_be_affected() {
    let classifier = Classifier::builtin();
    let check = |stage, reply: &str, recipients, scope, effect| {
        let reply = Reply::from_text(reply).expect("a reply");
        let found = classifier.classify(stage, &reply, recipients, None);
        assert_eq!((found.scope, found.effect), (scope, effect), "{stage} {reply} {recipients}");
    };
    let unknown = "550 5.1.1 user unknown";
    for stage in
        [Stage::Connect, Stage::Ehlo, Stage::Starttls, Stage::Auth, Stage::Rset, Stage::Quit]
    {
        check(stage, unknown, 1, Scope::Session, Effect::None);
    }
    check(Stage::Mail, unknown, 1, Scope::Message, Effect::None);
    check(Stage::Rcpt, unknown, 1, Scope::Recipient, Effect::Hard);
    check(Stage::Rcpt, unknown, 5, Scope::Recipient, Effect::Hard);
    check(Stage::Dsn, unknown, 5, Scope::Recipient, Effect::Hard);
    for stage in [Stage::Data, Stage::EndOfData] {
        check(stage, unknown, 1, Scope::Recipient, Effect::Hard);
        check(stage, unknown, 2, Scope::Message, Effect::None);
        check(stage, unknown, 0, Scope::Message, Effect::None);
        check(stage, "550 5.1.1 sorry", 1, Scope::Message, Effect::None);
        check(stage, "552 5.2.2 mailbox full", 2, Scope::Message, Effect::None);
    }
    check(Stage::Rcpt, "550 5.1.2 no such domain", 1, Scope::Domain, Effect::Hard);
    check(Stage::Rcpt, "550 5.7.1 your IP is blacklisted", 1, Scope::Message, Effect::None);
}

/// Words that rules are made of, so that random texts come near them.
fn wordy() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        Just("user"),
        Just("unknown"),
        Just("sender"),
        Just("mailbox"),
        Just("full"),
        Just("or"),
        Just("550"),
        Just("5.1.1"),
        Just("said:"),
        Just("<a@b.example>"),
        Just("[192.0.2.1]"),
        Just("."),
        Just("domain"),
        Just("n't"),
        Just("can't"),
        Just("\n550-"),
        Just("\u{5b9b}\u{5148}"),
        Just("(#5.1.1)"),
        Just("'5.2.2"),
    ];
    prop::collection::vec(word, 0..40).prop_map(|words| words.join(" "))
}

proptest! {
    // What fails becomes a specimen, not a file of seeds.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_have_a_category(bytes in prop::collection::vec(any::<u8>(), 0..2000), code in 200_u16..600) {
        let text = format!("{code} {}", String::from_utf8_lossy(&bytes));
        if let Some(reply) = read_reply(Stage::Rcpt, &text) {
            Classifier::builtin().classify(Stage::Rcpt, &reply, 1, None);
        }
    }

    #[test]
    fn a_transient_reply_is_never_hard(text in wordy(), code in 400_u16..500) {
        if let Some(reply) = read_reply(Stage::Rcpt, &format!("{code} {text}")) {
            let found = Classifier::builtin().classify(Stage::Rcpt, &reply, 1, None);
            prop_assert_ne!(found.effect, Effect::Hard);
            prop_assert_ne!(found.category.effect(), Effect::Hard);
        }
    }

    #[test]
    fn case_does_not_matter(text in wordy()) {
        let read = |text: &str| Reply::from_text(&format!("550 {}", text.replace('\n', " ")));
        let classify = |reply: Option<Reply>| {
            reply.map(|reply| Classifier::builtin().classify(Stage::Rcpt, &reply, 1, None))
        };
        prop_assert_eq!(classify(read(&text)), classify(read(&text.to_uppercase())));
    }
}
