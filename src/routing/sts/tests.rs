//! Records, policies, names, and the step that follows from them.

use proptest::prelude::*;

use super::*;

fn id(text: &str) -> PolicyId {
    PolicyId::new(text).expect("an id")
}

fn policy(text: &str) -> Policy {
    Policy::parse(text.as_bytes()).expect("a policy")
}

#[test]
fn exactly_one_record_announces_a_policy() {
    let good = "v=STSv1; id=20260101T000000Z;";
    let cases: [(&[&str], Option<&str>); 16] = [
        (&[good], Some("20260101T000000Z")),
        (&["v=spf1 -all", good, "verification=v=STSv1;"], Some("20260101T000000Z")),
        (&["v=STSv1;id=1"], Some("1")),
        (&["v=STSv1; ext=x y; id=abc ; other=1"], Some("abc")),
        (&["v=STSv1; id=a; id=b"], Some("a")),
        (&[], None),
        (&["v=spf1 -all"], None),
        (&[good, good], None),
        (&[good, "v=STSv1; nothing"], None),
        (&["v=STSv1; id="], None),
        (&["v=STSv1; id=no-hyphen"], None),
        (&["v=STSv1; id=123456789012345678901234567890123"], None),
        (&["v=STSv1; ID=a"], None),
        (&["v=stsv1; id=a"], None),
        (&[" v=STSv1; id=a"], None),
        (&["v=STSv1"], None),
    ];
    for (records, expected) in cases {
        assert_eq!(PolicyId::announced(records), expected.map(id), "{records:?}");
    }
}

#[test]
fn a_policy_is_read_with_either_end_of_line() {
    let text =
        "version: STSv1\nmode: enforce\nmx: Mail.example.com\nmx:*.example.net\nmax_age: 604800\n";
    let expected = Policy {
        mode: Mode::Enforce,
        mx: ["mail.example.com", "*.example.net"].map(|mx| mx.parse().expect("a pattern")).to_vec(),
        max_age: Duration::from_secs(604_800),
    };
    assert_eq!(policy(text), expected);
    assert_eq!(policy(&text.replace('\n', "\r\n")), expected);
    assert_eq!(policy(text.trim_end()), expected);
    assert_eq!(policy(&expected.to_string()), expected);
    // The order is free, unknown keys are ignored, of two values the first counts.
    let twice = format!("new_key: x:y\n\n{text}mode: none\nmax_age: 1\nversion: STSv2\n");
    assert_eq!(policy(&twice), expected);
}

#[test]
fn what_is_no_policy() {
    use PolicyFault::*;
    let cases = [
        ("", Version),
        ("version: STSv2\nmode: none\nmax_age: 1", Version),
        ("mode: none\nmax_age: 1", Version),
        ("version: STSv1\nmax_age: 1", Mode),
        ("version: STSv1\nmode: Enforce\nmx: a.test\nmax_age: 1", Mode),
        ("version: STSv1\nmode: enforce\nmax_age: 1", Mx),
        ("version: STSv1\nmode: testing\nmax_age: 1", Mx),
        ("version: STSv1\nmode: enforce\nmx: a..test\nmax_age: 1", Mx),
        ("version: STSv1\nmode: enforce\nmx: *\nmax_age: 1", Mx),
        ("version: STSv1\nmode: enforce\nmx: *.*.test\nmax_age: 1", Mx),
        ("version: STSv1\nmode: enforce\nmx: a*.test\nmax_age: 1", Mx),
        ("version: STSv1\nmode: enforce\nmx: a.test/\nmax_age: 1", Mx),
        ("version: STSv1\nmode: none", MaxAge),
        ("version: STSv1\nmode: none\nmax_age: -1", MaxAge),
        ("version: STSv1\nmode: none\nmax_age: +1", MaxAge),
        ("version: STSv1\nmode: none\nmax_age: 31557601", MaxAge),
        ("version: STSv1\nmode: none\nmax_age: 99999999999999999999999", MaxAge),
        ("version: STSv1\nmode: none\nmax_age: 1\n<html>", Line),
    ];
    for (text, expected) in cases {
        assert_eq!(Policy::parse(text.as_bytes()), Err(expected), "{text}");
    }
    assert_eq!(Policy::parse(b"version: STSv1\xff"), Err(NotText));
    let none = "version: STSv1\nmode: none\nmax_age: 31557600\n";
    let padded = format!("{none}x: {}", "y".repeat(TEXT_MAX - none.len() - 3));
    assert_eq!(policy(&padded).mode, super::Mode::None);
    assert_eq!(Policy::parse(format!("{padded}y").as_bytes()), Err(TooLong));
}

#[test]
fn a_wildcard_stands_for_one_label() {
    let policy = policy("version: STSv1\nmode: enforce\nmx: mx.a.test\nmx: *.B.test\nmax_age: 1");
    for host in ["mx.a.test", "MX.A.test.", "x.b.test", "X.b.TEST"] {
        assert!(policy.admits(host), "{host}");
    }
    for host in
        ["a.test", "x.mx.a.test", "b.test", ".b.test", "x.y.b.test", "xb.test", "b.test.x", ""]
    {
        assert!(!policy.admits(host), "{host}");
    }
}

fn cached(max_age: u32) -> Cached {
    let text = format!("version: STSv1\nmode: enforce\nmx: a.test\nmax_age: {max_age}");
    Cached { id: id("one"), policy: Arc::new(policy(&text)), fetched: Timestamp::from_secs(1000) }
}

/// J07.
#[test]
fn a_known_policy_ends_by_its_age_only() {
    let known = cached(100);
    let (same, other) = (Record::Policy(id("one")), Record::Policy(id("two")));
    let within = [Timestamp::from_secs(1000), Timestamp::from_millis(1_099_999)];
    let after = [Timestamp::from_secs(1100), Timestamp::from_secs(99_999)];
    let (one, two) = (id("one"), id("two"));
    for now in within {
        assert_eq!(step(Some(&known), &same, now), Step::Use(&known));
        assert_eq!(step(Some(&known), &Record::Nothing, now), Step::Use(&known));
        assert_eq!(step(Some(&known), &Record::Unknown, now), Step::Use(&known));
        assert_eq!(step(Some(&known), &other, now), Step::Fetch(&two));
    }
    let unknown = after.map(|now| (Some(&known), now)).into_iter().chain([(None, within[0])]);
    for (known, now) in unknown {
        assert_eq!(step(known, &same, now), Step::Fetch(&one));
        assert_eq!(step(known, &other, now), Step::Fetch(&two));
        assert_eq!(step(known, &Record::Nothing, now), Step::None);
        assert_eq!(step(known, &Record::Unknown, now), Step::None);
    }
    assert_eq!(step(Some(&cached(0)), &same, within[0]), Step::Fetch(&one));
}

#[test]
fn a_policy_is_renewed_before_it_ends() {
    let at = |secs: i64| Timestamp::from_secs(1000 + secs);
    assert!(!cached(31_557_600).is_due(at(86_399)) && cached(31_557_600).is_due(at(86_400)));
    assert!(!cached(100).is_due(at(49)) && cached(100).is_due(at(50)));
}

/// Text that is nearly a policy, or anything.
fn any_text() -> impl Strategy<Value = Vec<u8>> {
    let words = [
        "version",
        "STSv1",
        "v=STSv1;",
        "mode",
        "enforce",
        "none",
        "mx",
        "max_age",
        "id=",
        ":",
        ": ",
        "*.",
        "a.test",
        ".",
        "-",
        "0",
        "31557600",
        "99999999999",
        "\n",
        "\r\n",
        "\r",
        "\0",
        " ",
        "\t",
        ";",
        "é",
    ];
    let word = prop_oneof![
        9 => prop::sample::select(words.to_vec()).prop_map(|word| word.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..4),
    ];
    let lines = prop::collection::vec(
        prop::sample::select(vec![
            "version: STSv1\n",
            "mode: enforce\r\n",
            "mode: none\n",
            "mx: *.a.test\n",
            "mx: b.test\n",
            "max_age: 7\n",
        ]),
        0..6,
    );
    (lines, prop::collection::vec(word, 0..40))
        .prop_map(|(lines, words)| [lines.concat().into_bytes(), words.concat()].concat())
}

proptest! {
    #[test]
    fn whatever_is_published_is_read_or_refused(bytes in any_text()) {
        if let Ok(read) = Policy::parse(&bytes) {
            prop_assert!(read.mode == Mode::None || !read.mx.is_empty());
            prop_assert!(read.max_age <= Duration::from_secs(31_557_600));
            prop_assert!(read.to_string().len() <= bytes.len());
            prop_assert_eq!(Policy::parse(read.to_string().as_bytes()), Ok(read));
        }
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some(id) = PolicyId::announced(&[&text]) {
            prop_assert!((1..=32).contains(&id.to_string().len()));
            prop_assert_eq!(PolicyId::announced(&[&text, &text]), None);
        }
        if let Ok(pattern) = text.parse::<Pattern>() {
            prop_assert!(is_host_name(pattern.to_string().trim_start_matches("*.")));
        }
        _ = policy("version: STSv1\nmode: enforce\nmx: *.a.test\nmax_age: 1").admits(&text);
    }

    #[test]
    fn a_wildcard_matches_what_has_one_label_more(left in "[a-z0-9-]{1,9}(\\.[a-z0-9]{1,5}){0,2}") {
        let pattern: Pattern = "*.example.com".parse().expect("a pattern");
        prop_assert_eq!(pattern.matches(&format!("{left}.example.com")), !left.contains('.'));
        let partial = format!("{left}example.com");
        prop_assert!(!pattern.matches(&partial));
    }
}
