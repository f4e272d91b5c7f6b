use super::*;
use crate::bounce::classify::Classifier;

fn faults(text: &str) -> Vec<String> {
    match Classifier::from_toml(text) {
        Ok(_) => Vec::new(),
        Err(faults) => faults.iter().map(ToString::to_string).collect(),
    }
}

const RULE: &str = "[[rule]]\nname = \"a\"\ncategory = \"policy\"\n";
const SPECIMEN: &str = "specimens = [\"550 no\"]\n";

/// Rule `a` of policy with this and a specimen, which begins at line 1; this begins at line 4.
fn rule(fields: &str) -> String {
    format!("{RULE}{fields}\n{SPECIMEN}")
}

#[test]
fn faults_name_line_rule_key_and_value() {
    let check = |text: &str, expected: &[&str]| assert_eq!(faults(text), expected, "{text}");
    check(&rule("text = [\"no\"]"), &[]);
    check(
        &rule("text = [\"no\",\n\"n(o\"]"),
        &["line 5: rule \"a\", text[1] = \"n(o\": unclosed group"],
    );
    check(
        &rule("text = [\"%who% no\"]"),
        &["line 4: rule \"a\", text[0] = \"%who% no\": no list of words called \"who\""],
    );
    check(&format!("{RULE}text = [\"no\"]\n"), &["line 2: rule \"a\": has no specimen"]);
    check(
        &rule(""),
        &["line 2: rule \"a\": would match everything: give text, raw, codes or status"],
    );
    check(
        &rule("codes = [\"5x\", \"25\"]\nstatus = [\"5.1\", \"2.1.1\", \"5.7.9-3\"]"),
        &[
            "line 4: rule \"a\", codes[0] = \"5x\": not the start of a reply code",
            "line 4: rule \"a\", codes[1] = \"25\": no refusal begins so: only 4yz and 5yz are read",
            "line 5: rule \"a\", status[0] = \"5.1\": no pattern of enhanced codes, such as 5.1.1, x.2.2 or 5.7.500-599",
            "line 5: rule \"a\", status[1] = \"2.1.1\": no refusal has this class: only 4.y.z and 5.y.z are read",
            "line 5: rule \"a\", status[2] = \"5.7.9-3\": ends before it begins",
        ],
    );
    check(
        &rule("text = [\"yes\"]"),
        &["line 5: rule \"a\", specimens[0] = \"550 no\": the rule does not match it"],
    );
    check(
        &format!("{RULE}text = [\"no\"]\nspecimens = [\"no\"]\n"),
        &["line 5: rule \"a\", specimens[0] = \"no\": has no reply code"],
    );
    check(
        &rule("text = [\"(?:x{1000}){1000}\"]"),
        &[
            "line 4: rule \"a\", text[0] = \"(?:x{1000}){1000}\": Compiled regex exceeds size limit of 4194304 bytes.",
        ],
    );
    check("words.w = []\n", &["line 1: words.w: a list of words must not be empty"]);
    check("[words]\nw = [\"a\", \"b(\"]\n", &["line 2: words.w[1] = \"b(\": unclosed group"]);
    check(
        &rule("receivers = [\"*.example.com\", \"example.org\"]\ntext = [\"no\"]"),
        &[
            "line 4: rule \"a\", receivers[0] = \"*.example.com\": no domain: sub-domains are meant without a dot or * before it",
        ],
    );
}

#[test]
fn what_is_not_in_the_form_is_told_at_once() {
    let text = "replace = 1\nnois = []\n[[rule]]\nname = \"a b\"\ncategory = \"bad\"\ncolour = 1\n\
                stages = [\"noon\"]\ntext = \"no\"\nspecimens = [5]\n[[rule]]\ncategory = \"policy\"\n";
    let told = faults(text);
    let starts = [
        "line 1: replace = 1: expected true or false",
        "line 2: nois: unknown key; known here: replace, ",
        "line 4: rule[0].name = \"a b\": a name is ",
        "line 5: rule \"a b\", category = \"bad\": unknown variant `bad`, expected one of ",
        "line 6: rule \"a b\", colour: unknown key; known here: name, ",
        "line 7: rule \"a b\", stages[0] = \"noon\": unknown variant `noon`, expected one of ",
        "line 8: rule \"a b\", text = \"no\": expected a list of strings, found: string",
        "line 9: rule \"a b\", specimens[0] = 5: expected a string, found: integer",
        "line 10: rule[1]: has no name",
    ];
    for start in starts {
        assert!(told.iter().any(|fault| fault.starts_with(start)), "{start}: {told:#?}");
    }
    let broken = faults("replace = \n[[rule]\n");
    assert!(broken.len() == 2 && broken[0].starts_with("line 1: replace ="), "{broken:#?}");
}

#[test]
fn names_are_there_once() {
    let check = |text: &str, expected: &[&str]| assert_eq!(faults(text), expected, "{text}");
    let no = rule("text = [\"no\"]");
    check(&format!("{no}{no}"), &["line 7: rule \"a\": stands here a second time, after line 2"]);
    check(
        &no.replace("\"a\"", "\"none\""),
        &["line 2: rule \"none\": this name means that no rule decided"],
    );
}

#[test]
fn a_rule_that_can_never_win_is_named() {
    let check = |text: &str, expected: &[&str]| {
        let expected: Vec<_> =
            expected.iter().map(|why| format!("rule \"a\": can never win: {why}")).collect();
        let mut told = faults(text);
        // The specimens tell too, in most cases.
        told.retain(|fault| fault.contains("can never win"));
        let told: Vec<_> =
            told.iter().map(|fault| fault.strip_prefix("line 2: ").unwrap_or(fault)).collect();
        assert_eq!(told, expected, "{text}");
    };
    let agree = "no reply has a code of these codes and an enhanced code of this status";
    check(&rule("codes = [\"4\"]\nstatus = [\"5.1.1\"]"), &[agree]);
    check(&rule("codes = [\"4\", \"5\"]\nstatus = [\"5.1.1\"]"), &[]);
    check(&rule("codes = [\"4\"]\nstatus = [\"x.1.1\"]"), &[]);
    let hard = |fields: &str| rule(fields).replace("policy", "user_unknown");
    check(
        &hard("text = [\"no\"]\nstages = [\"mail\", \"connect\"]"),
        &["user_unknown is never said at mail or connect"],
    );
    check(&hard("text = [\"no\"]\nstages = [\"mail\", \"rcpt\"]"), &[]);
    check(&rule("text = [\"no\"]\nstages = [\"lookup\"]"), &["what DNS says is not read by rules"]);
    check(
        &rule("text = [\"no\"]\nstages = [\"rcpt\"]").replace("policy", "auto_reply"),
        &["auto_reply is never said at rcpt"],
    );
    check(
        &hard("text = [\"no\"]\ncodes = [\"4\", \"45\"]"),
        &["user_unknown is never said of a 4yz, which is deferred"],
    );
    check(&hard("text = [\"no\"]\ncodes = [\"4\", \"5\"]"), &[]);
    let except = "except matches whatever text matches";
    check(&rule("text = [\"no\", \"on ~ x\"]\nexcept = [\"on ~ x\", \"no\"]"), &[except]);
    check(&rule("text = [\"no ?thing\", \"no one\"]\nexcept = [\"nothing|no\"]"), &[except]);
    check(&rule("text = [\"no ?thing\", \"no one\"]\nexcept = [\"nothing\"]"), &[]);
    check(&rule("text = [\"no\"]\nexcept = [\"no$\"]"), &[]);
    check(&rule("text = [\"no\"]\nraw = [\"x\"]\nexcept = [\"no\"]"), &[]);
    check(&rule("text = [\"no\\\\w*\"]\nexcept = [\"no\"]"), &[]);
}

#[test]
fn a_rule_that_an_earlier_one_covers_is_named() {
    let check = |first: &str, second: &str, dead: bool| {
        let rule = |name: &str, fields: &str| {
            let named = RULE.replace("\"a\"", &format!("\"{name}\""));
            format!("{named}{}\n{SPECIMEN}", fields.replace("; ", "\n"))
        };
        let told = faults(&format!("{}{}", rule("a", first), rule("b", second)));
        let fault = "rule \"b\": can never win: rule \"a\" of line 2 takes whatever it matches";
        let found = told.iter().any(|told| told.ends_with(fault));
        assert_eq!(found, dead, "{first} / {second}: {told:#?}");
    };
    let no = "text = [\"no\"]";
    check(no, no, true);
    check(no, "text = [\"no (?:user|one)\", \"never or no\"]", true);
    check(no, "text = [\"no (?:user|one)\", \"never\"]", false);
    check("text = [\"no ~ x\", \"y\"]", "text = [\"no ~ x\"]", true);
    check("text = [\"no$\"]", no, false);
    check("text = [\"no\"]", "raw = [\"no\"]", false);
    check("raw = [\"no\"]", "raw = [\"no\"]", true);
    check("codes = [\"5\"]", "text = [\"no\"]; codes = [\"55\"]", true);
    check("codes = [\"55\"]", "text = [\"no\"]; codes = [\"5\"]", false);
    check("codes = [\"5\"]", no, false);
    check(no, "codes = [\"55\"]", false);
    check("status = [\"x.1.x\"]", "status = [\"5.1.1\", \"4.1.2-4\"]", true);
    check("status = [\"5.1.x\"]", "status = [\"x.1.1\"]", false);
    check("text = [\"no\"]; stages = [\"rcpt\"]", no, false);
    check(no, "text = [\"no\"]; stages = [\"rcpt\"]", true);
    let receiver = |name: &str| format!("text = [\"no\"]; receivers = [\"{name}\"]");
    check(&receiver("example.com"), &receiver("mx.example.com"), true);
    check(&receiver("mx.example.com"), &receiver("example.com"), false);
    check("text = [\"no\"]; except = [\"x\"]", no, false);
    check("text = [\"no\"]; except = [\"x\"]", "text = [\"no\"]; except = [\"y\", \"x\"]", true);
}

#[test]
fn a_rule_that_takes_what_is_not_its_own_is_named() {
    let check = |text: &str, expected: &[&str]| assert_eq!(faults(text), expected, "{text}");
    let first = "[[rule]]\nname = \"a\"\ncategory = \"policy\"\ntext = [\"no\"]\nspecimens = [\"550 no\"]\n";
    let second = "[[rule]]\nname = \"b\"\ncategory = \"blocked\"\ntext = [\"no ~ ip\"]\n";
    check(
        &format!("{first}{second}specimens = [\"550 no ip\"]\n"),
        &["line 10: rule \"b\", specimens[0] = \"550 no ip\": goes to rule \"a\" of line 2"],
    );
    check(&format!("{first}not = [\"550 yes\", \"450 x\"]\n"), &[]);
    check(
        &format!("{first}not = [\"550 yes\",\n\"550 no ip\"]\n"),
        &["line 7: rule \"a\", not[1] = \"550 no ip\": the rule wins it, and must not"],
    );
    check(
        &format!("{first}not = [\"no\"]\n"),
        &["line 6: rule \"a\", not[0] = \"no\": has no reply code"],
    );
}

fn whole(text: &str) -> Rules {
    let draft = compile(text, None);
    assert_eq!(draft.faults, []);
    draft.rules
}

#[test]
fn what_a_rule_may_ask_for() {
    let rules = |conditions: &str| {
        whole(&format!(
            "[[rule]]\nname = \"a\"\ncategory = \"policy\"\ncodes = [\"5\"]\nspecimens = [\"550 x\"]\n{conditions}"
        ))
    };
    let check = |conditions: &str, reply: &str, stage, receiver, expected| {
        let reply = crate::smtp::reply::Reply::from_text(reply).expect("a reply");
        let normal = crate::bounce::normalize::normalize(&reply);
        let rules = rules(conditions);
        let found = rules.find(&normal.layers[0], stage, receiver).is_some();
        assert_eq!(found, expected, "{conditions} {reply} {receiver:?}");
    };
    check("", "550 x", Stage::Rcpt, None, true);
    check("", "450 x", Stage::Rcpt, None, false);
    check("status = [\"x.7.20-29\"]", "550 5.7.26 x", Stage::Rcpt, None, true);
    check("status = [\"x.7.20-29\"]", "550 5.7.30 x", Stage::Rcpt, None, false);
    check("status = [\"x.7.x\"]", "550 x", Stage::Rcpt, None, false);
    check("stages = [\"mail\"]", "550 x", Stage::Mail, None, true);
    check("stages = [\"mail\"]", "550 x", Stage::Rcpt, None, false);
    let receivers = "receivers = [\"example.com\"]";
    check(receivers, "550 x", Stage::Rcpt, Some("MX1.Example.com."), true);
    check(receivers, "550 x", Stage::Rcpt, Some("example.com"), true);
    check(receivers, "550 x", Stage::Rcpt, Some("mx1.example.com:25"), true);
    check(receivers, "550 x", Stage::Rcpt, Some("badexample.com"), false);
    check(receivers, "550 x", Stage::Rcpt, None, false);
    check("text = [\"no ~ user\"]", "550 no known such User.", Stage::Rcpt, None, true);
    check("text = [\"no ~ user\"]", "550 no. Such a user", Stage::Rcpt, None, false);
    check("text = [\"user\"]", "550 users", Stage::Rcpt, None, false);
    check("text = [\"宛先\"]", "550 この宛先は", Stage::Rcpt, None, true);
    check("text = [\"boîte\"]", "550 la BOITE", Stage::Rcpt, None, true);
    check("raw = [\"p=abc\"]", "550 http://x.example/?p=ABC", Stage::Rcpt, None, true);
    check("text = [\"x\"]\nexcept = [\"y\"]", "550 x y", Stage::Rcpt, None, false);
}

#[test]
fn noise_is_taken_out() {
    let text = "noise = [\"protected by \\\\w+\"]\n[[rule]]\nname = \"a\"\ncategory = \"policy\"\ntext = [\"acme\"]\nspecimens = [\"550 acme\"]\n";
    let rules = whole(text);
    let reply =
        crate::smtp::reply::Reply::from_text("550 gone, protected by acme").expect("a reply");
    let normal = crate::bounce::normalize::normalize(&reply);
    assert!(rules.find(&normal.layers[0], Stage::Rcpt, None).is_none());
}

proptest::proptest! {
    // What fails becomes a specimen, not a file of seeds.
    #![proptest_config(proptest::prelude::ProptestConfig {
        failure_persistence: None,
        ..Default::default()
    })]

    /// Halves of two specimens hold pieces of many rules and match few.
    #[test]
    fn rules_that_are_not_asked_would_not_match(
        one in proptest::prelude::any::<proptest::sample::Index>(),
        two in proptest::prelude::any::<proptest::sample::Index>(),
        cut in 0_usize..120,
    ) {
        let classifier = Classifier::builtin();
        let rules = classifier.compiled();
        let (one, two) = (one.get(&rules.specimens).reply.value.as_str(), two.get(&rules.specimens).reply.value.as_str());
        let (head, tail) = (one.split_at(one.floor_char_boundary(cut)).0, two.split_at(two.floor_char_boundary(cut)).1);
        let Some(reply) = crate::smtp::reply::Reply::from_text(&format!("550 {head} {tail}").replace('\n', " ")) else {
            return Ok(());
        };
        for layer in crate::bounce::normalize::normalize(&reply).layers {
            let words = rules.noise.as_ref().expect("noise").replace_all(&layer.words, " ");
            let asked_all = rules.rules.iter().find(|rule| rule.matches(&words, &layer, Stage::Rcpt, None));
            let found = rules.find(&layer, Stage::Rcpt, None).map(|hit| &hit.rule.name);
            proptest::prop_assert_eq!(found, asked_all.map(|rule| &rule.name));
        }
    }
}
