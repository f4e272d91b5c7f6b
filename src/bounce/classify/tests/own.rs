//! An operator's rules before the built-in ones.

use super::*;

fn faults(text: &str) -> Vec<String> {
    let faults = Classifier::with_own(text).err().unwrap_or_default();
    faults.iter().map(ToString::to_string).collect()
}

fn rule(fields: &str) -> String {
    format!("[[rule]]\nname = \"mine\"\ncategory = \"mailbox_inactive\"\n{fields}\n")
}

fn read(classifier: &Classifier, reply: &str) -> String {
    let reply = Reply::from_text(reply).expect("a reply");
    classifier.classify(Stage::Rcpt, &reply, 1, None).rule.to_string()
}

const HANDED_BACK: &str = "550 5.0.0 The postbox was handed back";

#[test]
fn they_are_asked_first_and_the_built_in_ones_after_them() {
    let text =
        rule(&format!("text = [\"postbox ~ handed back\"]\nspecimens = [\"{HANDED_BACK}\"]"));
    let own = Classifier::with_own(&text).expect("good rules");
    assert_eq!(read(&Classifier::builtin(), HANDED_BACK), "leftover");
    assert_eq!(read(&own, HANDED_BACK), "mine");
    assert_eq!(read(&own, "550 5.1.1 no such user; his postbox was handed back"), "mine");
    assert_eq!(read(&own, "550 5.1.1 no such user"), "no-such-user");
    let builtin = Classifier::builtin().counts().builtin;
    assert!(builtin > 60);
    assert_eq!(own.counts(), Counts { own: 1, builtin, off: 0 });
    assert_eq!(Classifier::with_own("").expect("nothing").counts().builtin, builtin);
}

#[test]
fn they_can_stand_alone() {
    let text = rule(&format!("text = [\"%pot% ~ back\"]\nspecimens = [\"{HANDED_BACK}\"]"));
    let head = "replace = true\n[words]\npot = [\"postbox\"]\nwho = [\"x\"]\n";
    let own = Classifier::with_own(&format!("{head}{text}")).expect("good rules");
    assert_eq!(own.counts(), Counts { own: 1, builtin: 0, off: 0 });
    assert_eq!(read(&own, "550 5.1.1 no such user"), "none");
    let alone = "replace = true\ndisable = [\"no-such-user\"]\n";
    let why = "these rules stand alone: there are no others";
    assert_eq!(faults(alone), [format!("line 2: disable[0] = \"no-such-user\": {why}")]);
    let over = rule("text = [\"no\"]\nover = [\"no-such-user\"]\nspecimens = [\"550 no\"]");
    assert_eq!(
        faults(&format!("replace = true\n{over}")),
        [format!("line 6: rule \"mine\", over[0] = \"no-such-user\": {why}")]
    );
    // The built-in file can be copied whole, and is then the operator's own.
    let copied = Classifier::with_own(&format!("replace = true\n{BUILTIN}")).expect("good rules");
    assert_eq!(copied.counts().own, Classifier::builtin().counts().builtin);
}

#[test]
fn a_built_in_rule_can_be_turned_off_and_its_name_be_taken() {
    let off = Classifier::with_own("disable = [\"greylisted\"]").expect("good rules");
    assert_eq!(off.counts().off, 1);
    assert_ne!(read(&off, "450 4.2.0 Greylisted, see you in five minutes"), "greylisted");
    assert_eq!(
        faults("\ndisable = [\"greylisted\", \"gone\"]"),
        ["line 2: disable[1] = \"gone\": there is no built-in rule of that name"]
    );
    let mine = rule("text = [\"not before noon\"]\nspecimens = [\"450 Not before noon\"]")
        .replace("\"mine\"", "\"greylisted\"");
    assert_eq!(
        faults(&mine),
        [
            "line 2: rule \"greylisted\": is the name of a built-in rule: choose another, or turn that one off with disable = [\"greylisted\"]"
        ]
    );
    let own = Classifier::with_own(&format!("disable = [\"greylisted\"]\n{mine}"));
    assert_eq!(read(&own.expect("good rules"), "450 Not before noon"), "greylisted");
}

#[test]
fn what_a_built_in_rule_kept_from_another_is_told_when_it_is_turned_off() {
    let told = faults("\ndisable = [\"either-or\"]");
    assert!(!told.is_empty());
    for fault in told {
        assert!(fault.starts_with("line 2: disable[0] = \"either-or\": then the built-in rule "));
    }
    let told = faults("noise = [\"user unknown\"]");
    assert!(told.iter().all(|fault| fault.starts_with("line 1: noise[0] = ")), "{told:?}");
    assert!(told.iter().any(|fault| fault.contains("loses ")), "{told:?}");
}

#[test]
fn taking_a_specimen_of_a_built_in_rule_must_be_said() {
    let full = "text = [\"over its quota\"]\nspecimens = [\"550 He is over its quota\"]\n";
    let told = faults(&rule(full));
    assert_eq!(told.len(), 1, "{told:?}");
    let start = "line 2: rule \"mine\" = \"552 5.2.2 The mailbox of this user is over its quota\": takes this specimen of the built-in rule \"mailbox-full\"";
    assert!(told[0].starts_with(start), "{told:?}");
    assert!(told[0].ends_with("; if that is meant, say over = [\"mailbox-full\"]"), "{told:?}");
    assert_eq!(faults(&rule(&format!("{full}over = [\"mailbox-full\"]"))), [""; 0]);
    let other = faults(&rule(&format!("{full}over = [\"greylisted\"]")));
    assert_eq!(other, told);
    assert_eq!(
        faults(&rule(&format!("{full}over = [\"mailbox-full\", \"x\"]"))),
        ["line 6: rule \"mine\", over[1] = \"x\": there is no built-in rule of that name"]
    );
}

#[test]
fn taking_a_near_miss_of_a_built_in_rule_must_be_said() {
    // A near-miss of own-refusal that is nobody's.
    let near = "text = [\"not what said so\"]\nspecimens = [\"550 It is not what said so\"]\n";
    let told = faults(&rule(near));
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(
        told[0].contains("takes this near-miss of the built-in rule \"own-refusal\";"),
        "{told:?}"
    );
    assert_eq!(faults(&rule(&format!("{near}over = [\"own-refusal\"]"))), [""; 0]);
    let off = format!("disable = [\"own-refusal\"]\n{}", rule(near));
    assert_eq!(faults(&off), [""; 0]);
    let both = format!(
        "disable = [\"own-refusal\"]\n{}",
        rule(&format!("{near}over = [\"own-refusal\"]"))
    );
    let why = "this built-in rule is turned off: nothing is taken from it";
    assert_eq!(faults(&both), [format!("line 7: rule \"mine\", over[0] = \"own-refusal\": {why}")]);
}

#[test]
fn lists_of_words_are_shared_and_not_redefined() {
    let who =
        rule("text = [\"%who% ~ handed back\"]\nspecimens = [\"550 the user was handed back\"]");
    assert_eq!(faults(&who), [""; 0]);
    assert_eq!(
        faults(&format!("[words]\nwho = [\"x\"]\n{who}")),
        [
            "line 2: words.who: is a list of the built-in rules, which can be used; call this one otherwise"
        ]
    );
}

#[test]
fn a_specimen_that_is_already_read_goes_to_the_built_in_rule() {
    let text = rule(
        "text = [\"handed back\"]\nspecimens = [\"550 handed back\",\n\"550 5.1.1 no such user\"]",
    );
    assert_eq!(
        faults(&text),
        [
            "line 6: rule \"mine\", specimens[1] = \"550 5.1.1 no such user\": goes to the built-in rule \"no-such-user\": the rule does not match it, or not by its words"
        ]
    );
}

#[test]
fn faults_of_all_kinds_are_told_at_once() {
    let told = faults(&format!(
        "{}{}{}",
        rule("text = [\"a(\"]\nspecimens = [\"550 a\"]"),
        rule("text = [\"over its quota\"]\nspecimens = [\"550 over its quota\"]")
            .replace("mine", "quota"),
        rule("text = [\"x\"]\nspecimens = [\"550 y\"]")
            .replace("mine", "never")
            .replace("text = [\"x\"]", "text = [\"xyzzy\"]"),
    ));
    let lines: Vec<_> = told.iter().map(|fault| fault.split(':').next().unwrap_or("")).collect();
    assert_eq!(lines, ["line 4", "line 7", "line 15"], "{told:?}");
}
