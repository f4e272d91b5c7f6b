use super::*;
use crate::bounce::classify::Classifier;

fn faults(text: &str) -> Vec<String> {
    match Classifier::from_toml(text) {
        Ok(_) => Vec::new(),
        Err(faults) => faults.iter().map(ToString::to_string).collect(),
    }
}

#[test]
fn faults_name_line_and_rule() {
    let check = |text: &str, expected: &[&str]| assert_eq!(faults(text), expected, "{text}");
    let rule = "[[rule]]\nname = \"a\"\ncategory = \"policy\"\n";
    let specimen = "specimens = [\"550 no\"]\n";
    check(&format!("{rule}text = [\"no\"]\n{specimen}"), &[]);
    check(
        &format!("{rule}text = [\"no\",\n\"n(o\"]\n{specimen}"),
        &["line 5: rule \"a\": unclosed group"],
    );
    check(
        &format!("{rule}text = [\"%who% no\"]\n{specimen}"),
        &["line 4: rule \"a\": no list of words called \"who\""],
    );
    check(&format!("{rule}text = [\"no\"]\n"), &["line 2: rule \"a\" has no specimen"]);
    check(
        &format!("{rule}{specimen}"),
        &["line 2: rule \"a\" would match everything: give text, raw, codes or status"],
    );
    check(
        &format!("{rule}codes = [\"5x\"]\nstatus = [\"5.1\"]\n{specimen}"),
        &[
            "line 4: rule \"a\": \"5x\" is not the start of a reply code",
            "line 5: rule \"a\": \"5.1\" is no pattern of enhanced codes, such as 5.1.1, x.2.2 or 5.7.500-599",
        ],
    );
    check(
        &format!("{rule}text = [\"yes\"]\n{specimen}"),
        &["line 5: rule \"a\" does not match its specimen \"550 no\""],
    );
    check(
        &format!("{rule}text = [\"no\"]\nspecimens = [\"no\"]\n"),
        &["line 5: rule \"a\": specimen \"no\" has no reply code"],
    );
    check(
        &format!("{rule}text = [\"no\"]\n{specimen}{rule}text = [\"no\"]\n{specimen}"),
        &["line 7: rule \"a\" stands here a second time"],
    );
    check(
        &format!("{rule}text = [\"(?:x{{1000}}){{1000}}\"]\n{specimen}"),
        &["line 4: rule \"a\": Compiled regex exceeds size limit of 4194304 bytes."],
    );
    check("words.w = []\n", &["line 1: list of words \"w\" is empty"]);
    let unknown = faults(&format!("{rule}colour = 1\n{specimen}"));
    assert!(unknown[0].starts_with("line 4: unknown field `colour`"), "{unknown:?}");
    let category = faults("[[rule]]\nname = \"a\"\ncategory = \"bad\"\n");
    assert!(category[0].starts_with("line 3: unknown variant `bad`"), "{category:?}");
}

#[test]
fn a_rule_that_takes_what_is_not_its_own_is_named() {
    let check = |text: &str, expected: &[&str]| assert_eq!(faults(text), expected, "{text}");
    let first = "[[rule]]\nname = \"a\"\ncategory = \"policy\"\ntext = [\"no\"]\nspecimens = [\"550 no\"]\n";
    let second = "[[rule]]\nname = \"b\"\ncategory = \"blocked\"\ntext = [\"no ip\"]\n";
    check(
        &format!("{first}{second}specimens = [\"550 no ip\"]\n"),
        &["line 10: rule \"b\": specimen \"550 no ip\" goes to rule \"a\" of line 2"],
    );
    check(&format!("{first}not = [\"550 yes\", \"450 x\"]\n"), &[]);
    check(
        &format!("{first}not = [\"550 yes\",\n\"550 no ip\"]\n"),
        &["line 7: rule \"a\" wins \"550 no ip\", which it must not"],
    );
    check(
        &format!("{first}not = [\"no\"]\n"),
        &["line 6: rule \"a\": specimen \"no\" has no reply code"],
    );
}

#[test]
fn what_a_rule_may_ask_for() {
    let rules = |conditions: &str| {
        compile(&format!(
            "[[rule]]\nname = \"a\"\ncategory = \"policy\"\ncodes = [\"5\"]\nspecimens = [\"550 x\"]\n{conditions}"
        ))
        .expect("compiles")
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
    let rules = compile(text).expect("compiles");
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
        let (one, two) = (one.get(&rules.specimens).reply.as_str(), two.get(&rules.specimens).reply.as_str());
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
