//! Replies that are written to confuse, or by somebody who was confused.

use super::*;

#[test]
fn a_reply_of_16_kib_with_controls() {
    let classifier = Classifier::builtin();
    for piece in [
        "a",
        "\u{1} ",
        "user ",
        "user unknown or ",
        "550 5.1.1 said: ",
        "x@",
        "\u{e9}",
        "<",
        ". ",
        "\u{fdfa}",
    ] {
        let text: String = piece.repeat(16 * 1024 / piece.len());
        let reply = Reply::from_text(&format!("550 {text}")).expect("a reply");
        let found = classifier.classify(Stage::Rcpt, &reply, 1, None);
        assert_ne!(&*found.rule, "none", "{piece:?}");
    }
}

#[test]
fn what_contradicts_itself_does_nothing() {
    let classifier = Classifier::builtin();
    let check = |text: &str, expected: Category, effect| {
        let reply = read_reply(Stage::Rcpt, text).expect("a code");
        let found = classifier.classify(Stage::Rcpt, &reply, 1, None);
        assert_eq!((found.category, found.effect), (expected, effect), "{text}: {found:?}");
    };
    // Two codes in one reply: the receiver does not know for good.
    check("550-5.1.1 User unknown\n450 4.2.0 Try again", Category::Deferred, Effect::None);
    check("450-4.2.0 Try again\n550 5.1.1 User unknown", Category::Deferred, Effect::None);
    check("550 5.1.1 User unknown\n554 5.1.1 really", Category::UserUnknown, Effect::Hard);
    // The enhanced code of another class is not believed.
    check("550 4.2.2 Sorry", Category::Undetermined, Effect::None);
    check("550 4.1.1 User unknown", Category::UserUnknown, Effect::Hard);
    check("450 5.1.1 User unknown", Category::Deferred, Effect::None);
    check("550 2.1.5 User unknown", Category::UserUnknown, Effect::Hard);
    check("450 2.1.5 Sorry", Category::Deferred, Effect::None);
    // Two causes at once.
    check("550 5.1.1 User unknown or mailbox full", Category::Undetermined, Effect::None);
    check("550 5.2.2 User unknown or mailbox full", Category::Undetermined, Effect::None);
    // Words of one, code of the other.
    check("550 5.2.2 User unknown", Category::UserUnknown, Effect::Hard);
    check("550 5.1.1 Mailbox full", Category::MailboxFull, Effect::Soft);
    // Nothing to read.
    check("550 ", Category::Undetermined, Effect::None);
    check("550", Category::Undetermined, Effect::None);
    check("550 \0\u{1b}[2J", Category::Undetermined, Effect::None);
    check("599 9.9.9 User", Category::Undetermined, Effect::None);
    check("250 2.1.5 User unknown", Category::Undetermined, Effect::None);
    check("550 250 2.1.5 OK", Category::Undetermined, Effect::None);
}

#[test]
fn no_code_is_no_evidence() {
    for text in ["", " ", "User unknown", "5 5 0", "999 x", "-550 x"] {
        let read = read_reply(Stage::Rcpt, text);
        if let Some(reply) = read {
            panic!("{text:?} is read as {reply}");
        }
    }
    assert_eq!(Classifier::without_code().effect, Effect::None);
}

#[test]
fn nothing_counts_behind_what_is_read() {
    let classifier = Classifier::builtin();
    let reply = |text: &str| Reply::from_text(text).expect("a reply");
    let filler = "x ".repeat(4096);
    let late = reply(&format!("550 {filler} user unknown"));
    let early = reply(&format!("550 user unknown {filler} your ip is blacklisted"));
    assert_eq!(classifier.classify(Stage::Rcpt, &late, 1, None).effect, Effect::None);
    assert_eq!(classifier.classify(Stage::Rcpt, &early, 1, None).effect, Effect::Hard);
}
