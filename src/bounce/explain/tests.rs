use super::*;
use crate::bounce::classify::read_reply;
use crate::bounce::{Category, Effect};

fn explain(stage: Stage, reply: &str, recipients: u32) -> Explanation {
    let reply = read_reply(stage, reply).expect("a code");
    Classifier::builtin().explain(stage, &reply, recipients, None)
}

/// An operator's file: a rule of its own, and one that takes from a built-in one.
const OWN: &str = r#"
[[rule]]
name = "handed-back"
category = "user_unknown"
text = ["postbox ~ handed back"]
specimens = ["550 postbox handed back"]

[[rule]]
name = "our-quota"
category = "mailbox_inactive"
over = ["mailbox-full"]
text = ["over its quota"]
specimens = ["550 over its quota"]
"#;

#[test]
fn the_story_ends_as_the_decision_does() {
    for classifier in [Classifier::builtin(), Classifier::with_own(OWN).expect("rules")] {
        ends_alike(&classifier);
    }
}

fn ends_alike(classifier: &Classifier) {
    for specimen in classifier.compiled().specimens() {
        let Some(reply) = read_reply(specimen.stage, &specimen.reply.value) else { continue };
        let receiver = specimen.receiver.as_deref();
        let told = classifier.explain(specimen.stage, &reply, 1, receiver);
        let found = classifier.classify(specimen.stage, &reply, 1, receiver);
        assert_eq!(told.classification, found, "{}", specimen.reply.value);
        let winner = told.winner.map(|winner| winner.rule);
        let named = classifier.rules().any(|rule| *rule == *found.rule);
        assert_eq!(winner, named.then(|| found.rule.to_string()), "{}", specimen.reply.value);
        let decided = told.steps.iter().filter(|step| step.decided).count();
        assert_eq!(decided, usize::from(named), "{}", specimen.reply.value);
        let (short, by, _) = classifier.classify_with_words(specimen.stage, &reply, 1, receiver);
        assert_eq!((short, by), (found, told.decided_by), "{}", specimen.reply.value);
    }
}

#[test]
fn the_winner_names_its_pattern_and_the_words_that_it_took() {
    let told = explain(Stage::Rcpt, "550 5.1.1 <bob@a.example>: User unknown at mx.a.example", 1);
    assert_eq!(told.decided_by, DecidedBy::Text);
    let winner = told.winner.expect("a rule");
    let matched = winner.matched.expect("a pattern");
    assert!(matched.found.contains("user unknown"), "{matched:?}");
    // The line that is named holds the pattern that is named.
    let line = crate::bounce::classify::BUILTIN.lines().nth(matched.line - 1).unwrap_or_default();
    let head: String = matched.pattern.chars().take_while(|c| !matches!(c, '\\' | '"')).collect();
    assert!(line.contains(&head), "{line} has not {head}");
    let text = &told.layers[0];
    assert_eq!(text.words, "user unknown at <fqdn>");
    let out: Vec<_> = text.taken_out.iter().map(|(kind, text)| (*kind, text.as_str())).collect();
    assert_eq!(out, [(Kind::Address, "bob@a.example"), (Kind::Host, "mx.a.example")]);
}

#[test]
fn rules_of_the_operator_come_first_and_tell_whose_they_are() {
    let classifier = Classifier::with_own(OWN).expect("rules");
    let line = |file: &str, name: &str| {
        let name = format!("name = {name:?}");
        1 + file.lines().position(|line| line == name).expect("the rule")
    };
    let reply = read_reply(Stage::Rcpt, "552 5.2.2 mailbox is over its quota").expect("a code");
    let told = classifier.explain(Stage::Rcpt, &reply, 1, None);
    let winner = told.winner.expect("a rule");
    assert_eq!((winner.rule.as_str(), winner.own), ("our-quota", true));
    assert_eq!(winner.line, line(OWN, "our-quota"));
    let matched = winner.matched.expect("a pattern");
    assert_eq!((matched.line, matched.pattern.as_str()), (winner.line + 3, "over its quota"));
    let other = told.others.iter().find(|other| other.rule == "mailbox-full").expect("matches too");
    assert_eq!((other.own, other.lost), (false, Some(Lost::Later)));
    assert_eq!(other.line, line(crate::bounce::classify::BUILTIN, "mailbox-full"));
}

#[test]
fn noise_is_shown_apart() {
    let told = explain(Stage::Rcpt, "550 user unknown (in reply to RCPT TO command)", 1);
    assert_eq!(told.layers[0].noise, ["in reply to rcpt to command"]);
    assert_eq!(told.layers[0].words, "user unknown");
}

#[test]
fn a_rule_that_lost_says_to_what() {
    let lost = |reply: &str, rule: &str| {
        let told = explain(Stage::Rcpt, reply, 1);
        let found = told.others.iter().find(|other| other.rule == rule);
        found.unwrap_or_else(|| panic!("{rule}: {told:#?}")).lost
    };
    assert_eq!(lost("550 5.1.1 mailbox full", "status-user"), Some(Lost::Later));
    assert_eq!(lost("550 mailbox full, your ip is blacklisted", "mailbox-full"), Some(Lost::Later));
    let quoting = "550 host mx.a.example said: 552 5.2.2 mailbox full";
    assert_eq!(lost(quoting, "mailbox-full"), Some(Lost::Quoting));
    let codes = "550 5.7.1 host mx.a.example said: 552 5.2.2 mailbox full";
    assert_eq!(lost(codes, "status-policy"), Some(Lost::Codes));
    let own = "550 5.7.1 rcptgate: quarantined since today after 550 5.1.1 user unknown";
    assert!(explain(Stage::Rcpt, own, 1).winner.is_some_and(|winner| winner.rule == "own-refusal"));
    let own = "550 5.7.1 rcptgate: quarantined, remote said: 550 5.1.1 user unknown";
    assert_eq!(lost(own, "no-such-user"), Some(Lost::Whole));
}

#[test]
fn a_transient_reply_and_a_message_for_several_are_explained() {
    let told = explain(Stage::Rcpt, "450 4.1.1 user unknown", 1);
    assert_eq!(told.classification.category, Category::Deferred);
    assert!(told.category_because.is_some_and(|why| why.contains("4yz")), "{told:?}");
    let told = explain(Stage::EndOfData, "550 5.1.1 user unknown", 3);
    assert_eq!(
        (told.classification.scope, told.classification.effect),
        (Scope::Message, Effect::None)
    );
    assert!(told.scope_because.contains("several recipients"), "{}", told.scope_because);
    let told = explain(Stage::Mail, "550 5.1.1 user unknown", 1);
    assert!(told.category_because.is_some_and(|why| why.contains("before RCPT")), "{told:?}");
}

#[test]
fn what_no_rule_knows_is_told_so() {
    let rule = "[[rule]]\nname = \"a\"\ncategory = \"policy\"\ntext = [\"no\"]\nspecimens = [\"550 no\"]\n";
    let classifier = Classifier::from_toml(rule).expect("rules");
    let reply = read_reply(Stage::Rcpt, "550 5.9.9 sorry about that").expect("a code");
    let told = classifier.explain(Stage::Rcpt, &reply, 1, None);
    assert_eq!((told.decided_by, told.winner), (DecidedBy::Nothing, None));
    assert!(!told.steps.iter().any(|step| step.decided));
    assert!(told.scope_because.contains("not understood"), "{}", told.scope_because);
}

#[test]
fn what_needs_no_words_has_none() {
    let told = explain(Stage::Rcpt, "250 ok", 1);
    assert_eq!((told.decided_by, told.layers.len()), (DecidedBy::Class, 0));
    let told = explain(Stage::Lookup, "556 5.1.10 rcptgate: null MX", 1);
    assert_eq!((told.decided_by, told.classification.effect), (DecidedBy::Lookup, Effect::Hard));
    assert_eq!(without_code().decided_by, DecidedBy::NoCode);
}
