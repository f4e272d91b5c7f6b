//! What a reply is taken to mean.

use rcptgate::bounce::classify::{Classifier, read_reply};
use rcptgate::bounce::{Effect, Stage};

/// What a reply means: always something, and never more than its code and its stage allow.
pub fn classify(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let classifier = Classifier::builtin();
    for stage in [Stage::Mail, Stage::Rcpt, Stage::EndOfData, Stage::Dsn] {
        let Some(reply) = read_reply(stage, &text) else { continue };
        let found = classifier.classify(stage, &reply, 2, None);
        let again = read_reply(stage, &reply.to_string()).expect("our own");
        assert_eq!(again.code, reply.code, "{text:?}");
        // Who was refused at MAIL is the sender, and the answer to content for two is nobody's.
        let may = matches!(stage, Stage::Rcpt | Stage::Dsn);
        assert!(may || found.effect == Effect::None, "{stage} {text:?}: {found:?}");
        assert!(reply.code.get() >= 500 || found.effect != Effect::Hard, "{text:?}: {found:?}");
    }
}
