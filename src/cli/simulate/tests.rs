use super::*;

mod presets;

fn simulate(input: &str) -> (Result<(), Failure>, String) {
    simulate_under(&Policy::preset("quarantine").expect("a preset"), input)
}

fn simulate_under(policy: &Policy, input: &str) -> (Result<(), Failure>, String) {
    let listing = |key: &RecipientKey| Listing {
        allowed: key.as_str() == "vip@yopmail.com",
        disposable: (key.domain() == "yopmail.com").then(|| "yopmail.com".to_owned()),
    };
    let mut output = Vec::new();
    let classifier = Classifier::builtin();
    let outcome = run(input.as_bytes(), &mut output, &classifier, policy, listing);
    (outcome, String::from_utf8(output).expect("UTF-8"))
}

#[track_caller]
fn check(input: &str, expected: &str) {
    let (outcome, output) = simulate(input);
    outcome.expect("a good file");
    assert_eq!(output, expected);
}

#[track_caller]
fn check_fault(input: &str, expected: &str) {
    let (outcome, _) = simulate(input);
    let failure = outcome.expect_err("a fault");
    assert_eq!(failure.code(), 65, "{failure}");
    let text = failure.to_string();
    assert!(text.starts_with(expected), "{text:?} does not start with {expected:?}");
}

#[test]
fn one_answer_for_each_question_and_nothing_else() {
    check(
        concat!(
            r#"{"at":"2026-01-01T00:00:00Z","type":"complaint","address":"A@Example.TEST","tenant":"t1"}"#,
            "\n\n",
            r#"{"at":"2026-01-01T01:00:00+01:00","type":"ask","address":"<a@example.test>","tenant":"t1"}"#,
            "\r\n",
            r#"{"at":1767225600,"type":"ask","address":"a@example.test","tenant":null,"new key":[]}"#,
            "\n",
            r#"{"at":1767225600.5,"type":"ask","address":"x@yopmail.com"}"#,
            "\n",
            r#"{"at":"2026-01-02T00:00:00Z","type":"ask","address":"vip@yopmail.com"}"#,
        ),
        concat!(
            r#"{"at":"2026-01-01T01:00:00+01:00","address":"<a@example.test>","verdict":"refuse","standing":"blacklisted","reason":"blacklist","until":null}"#,
            "\n",
            r#"{"at":1767225600,"address":"a@example.test","verdict":"forward","standing":"clear","reason":"none","until":null}"#,
            "\n",
            r#"{"at":1767225600.5,"address":"x@yopmail.com","verdict":"refuse","standing":"clear","reason":"disposable","until":null}"#,
            "\n",
            r#"{"at":"2026-01-02T00:00:00Z","address":"vip@yopmail.com","verdict":"forward","standing":"allowed","reason":"allowed","until":null}"#,
            "\n",
        ),
    );
}

#[test]
fn an_operators_acts_and_their_end() {
    check(
        concat!(
            r#"{"at":0,"type":"quarantine","address":"a@b.test","until":"1970-01-02T00:00:00Z","reason":"asked"}"#,
            "\n",
            r#"{"at":86399,"type":"ask","address":"a@b.test"}"#,
            "\n",
            r#"{"at":86400,"type":"ask","address":"a@b.test"}"#,
            "\n",
            r#"{"at":86401,"type":"blacklist","address":"a@b.test"}"#,
            "\n",
            r#"{"at":86402,"type":"release","address":"a@b.test"}"#,
            "\n",
            r#"{"at":86403,"type":"ask","address":"a@b.test"}"#,
            "\n",
            r#"{"at":86404,"type":"release","address":"a@b.test","from":"blacklist"}"#,
            "\n",
            r#"{"at":86404,"type":"ask","address":"a@b.test"}"#,
            "\n",
        ),
        concat!(
            r#"{"at":86399,"address":"a@b.test","verdict":"refuse","standing":"quarantined","reason":"manual","until":"1970-01-02T00:00:00Z"}"#,
            "\n",
            r#"{"at":86400,"address":"a@b.test","verdict":"forward","standing":"clear","reason":"none","until":null}"#,
            "\n",
            r#"{"at":86403,"address":"a@b.test","verdict":"refuse","standing":"blacklisted","reason":"blacklist","until":null}"#,
            "\n",
            r#"{"at":86404,"address":"a@b.test","verdict":"forward","standing":"clear","reason":"none","until":null}"#,
            "\n",
        ),
    );
}

#[test]
fn what_a_reply_event_becomes() {
    let policy = Policy::default();
    let classifier = Classifier::builtin();
    let simulation = Simulation {
        classifier: &classifier,
        policy: &policy,
        records: Folded::new(&policy),
        latest: None,
        seq: 0,
    };
    for (stage, reply, expected) in [
        (r#""end-of-data""#, "250 2.0.0 queued", "delivered"),
        (r#""rcpt""#, "250 2.1.5 ok", "nothing"),
        ("null", "250 2.1.5 ok", "nothing"),
        (r#""data""#, "354 go", "nothing"),
        ("null", "550-5.1.1 a\\n550 5.1.1 b", "rcpt"),
        (r#""dsn""#, "452 4.2.2 full", "dsn"),
    ] {
        let text = format!(
            r#"{{"at":0,"type":"reply","address":"a@b.test","stage":{stage},"reply":"{reply}"}}"#
        );
        let line: Line = serde_json::from_str(&text).expect("a line");
        let got = match simulation.what(&line).expect("no fault") {
            None => "nothing",
            Some(What::Delivered(_)) => "delivered",
            Some(What::Reply(seen)) => {
                assert!(seen.reply.starts_with(&reply[..9]), "{}", seen.reply);
                seen.stage.name()
            }
            Some(other) => panic!("{other:?}"),
        };
        assert_eq!(got, expected, "{text}");
    }
}

#[test]
fn faults_name_the_line() {
    let good = r#"{"at":100,"type":"ask","address":"a@b.test"}"#;
    for (bad, expected) in [
        (r#"{"at":99,"type":"ask","address":"a@b.test"}"#, "1970-01-01T00:01:39Z is earlier than"),
        (
            r#"{"at":100,"type":"bounce","address":"a@b.test"}"#,
            "not an event: unknown variant `bounce`",
        ),
        (r#"{"at":100,"type":"ask","address":"nobody"}"#, "address \"nobody\": "),
        (r#"{"at":100,"type":"reply","address":"a@b.test"}"#, "a reply event without \"reply\""),
        (
            r#"{"at":100,"type":"reply","address":"a@b.test","reply":"hello"}"#,
            "\"hello\" is no SMTP reply",
        ),
        (
            r#"{"at":100,"type":"reply","address":"a@b.test","reply":"550 x","stage":"moon"}"#,
            "unknown stage \"moon\"",
        ),
        (r#"{"at":"noon","type":"ask","address":"a@b.test"}"#, "\"at\": not a time: \"noon\""),
        (r#"{"at":true,"type":"ask","address":"a@b.test"}"#, "\"at\": true is no time"),
        (r#"{"type":"ask","address":"a@b.test"}"#, "not an event: missing field `at`"),
        (r#"{"at":100,"#, "not an event: EOF"),
        ("[]", "not an event: "),
    ] {
        check_fault(&format!("{good}\n\n{bad}\n{good}\n"), &format!("line 3: {expected}"));
    }
    check_fault(&"x".repeat(2 << 20), "line 1: longer than");
}

#[test]
fn what_was_asked_before_the_fault_is_answered() {
    let (outcome, output) =
        simulate("{\"at\":1,\"type\":\"ask\",\"address\":\"a@b.test\"}\nnonsense\n");
    assert!(outcome.is_err());
    assert_eq!(output.lines().count(), 1);
}

/// Forty good users of gmail.com, all of whom are refused a day later.
fn outage() -> String {
    let mut input = String::new();
    for (at, rest) in [
        (0, r#""type":"delivered""#),
        (
            86_400,
            r#""type":"reply","stage":"rcpt","reply":"550-5.1.1 The email account that you tried to reach does not exist""#,
        ),
    ] {
        for user in 0..40 {
            input += &format!(
                "{{\"at\":{at},{rest},\"address\":\"u{user}@gmail.com\",\"receiver\":\"gmail-smtp-in.l.google.com\"}}\n"
            );
        }
    }
    input
}

#[test]
fn an_outage_is_held_until_an_operator_applies_it() {
    let ask = r#"{"at":86401,"type":"ask","address":"u0@gmail.com"}"#;
    let answer = |verdict, standing, reason| {
        format!(
            "{{\"at\":86401,\"address\":\"u0@gmail.com\",\"verdict\":\"{verdict}\",\"standing\":\"{standing}\",\"reason\":\"{reason}\",\"until\":null}}\n"
        )
    };
    let passes = answer("forward", "clear", "none");
    let refused = answer("refuse", "quarantined_long_term", "quarantine_long_term");
    let act = |what| {
        format!("{{\"at\":86401,\"type\":\"outage\",\"do\":\"{what}\",\"domain\":\"GMAIL.com\"}}\n")
    };
    let input = outage();
    check(&format!("{input}{ask}\n{}{ask}\n", act("apply")), &format!("{passes}{refused}"));
    check(&format!("{input}{ask}\n{}{ask}\n", act("void")), &format!("{passes}{passes}"));
    for (line, expected) in [
        (r#""do":"apply","domain":"a.test""#, "there was no outage of domain a.test"),
        (
            r#""do":"apply","receiver":"mx.google.com""#,
            "there was no outage of receiver google.com",
        ),
        (r#""do":"apply""#, "an outage is of a"),
        (r#""domain":"gmail.com""#, "an outage without \"do\""),
        (r#""do":"ignore","domain":"gmail.com""#, "not an event: unknown variant `ignore`"),
    ] {
        let line = format!("{{\"at\":86401,\"type\":\"outage\",{line}}}\n");
        check_fault(&format!("{input}{line}"), &format!("line 81: {expected}"));
    }
    check_fault(r#"{"at":1,"type":"ask"}"#, "line 1: not an event: missing field `address`");
}

/// A list that no journal brought counts at once: there is no commit to wait for.
#[test]
fn an_imported_line_counts() {
    let line = |at: u32, rest: &str| format!("{{\"at\":{at},\"address\":\"a@b.test\",{rest}}}\n");
    let ask = line(5, "\"type\":\"ask\"");
    let imported = line(1, "\"type\":\"imported\",\"kind\":\"hard\",\"source\":\"s\"");
    let (outcome, output) = simulate(&format!("{imported}{ask}"));
    outcome.expect("a good file");
    assert!(output.contains(r#""reason":"imported""#), "{output}");
    let learnt = imported.replace("\"s\"", "\"s\",\"learnt\":true");
    let delivered = line(2, "\"type\":\"delivered\"");
    let (_, output) = simulate(&format!("{learnt}{}", line(1, "\"type\":\"ask\"")));
    assert!(output.contains(r#""reason":"quarantine_long_term""#), "{output}");
    let (_, output) = simulate(&format!("{learnt}{delivered}{ask}"));
    assert!(output.contains(r#""reason":"none""#), "{output}");
}

/// The lines of a journal, with an import, its undo, an outage and its end, as the gate wrote them.
#[test]
fn lines_of_a_journal_are_taken_and_their_orders_obeyed() {
    let event = |seq: u32, address: &str, rest: &str| {
        format!(
            "{{\"seq\":{seq},\"id\":\"e{seq}\",\"at\":\"2026-01-01T00:00:{:02}Z\",\"address\":\"{address}\",\"tenant\":\"t\",{rest}}}\n",
            seq % 60
        )
    };
    let order = |seq: u32, rest: &str| {
        format!(
            "{{\"seq\":{seq},\"id\":\"o{seq}\",\"at\":\"2026-01-01T00:00:{:02}Z\",{rest},\"reason\":\"r\"}}\n",
            seq % 60
        )
    };
    let gone = |seq, address: &str| {
        event(
            seq,
            address,
            r#""type":"reply","category":"user_unknown","scope":"recipient","stage":"rcpt","reply":"299 as it was read then","rule":"some","receiver":"mx.google.com:25""#,
        )
        .replace("299", "550")
    };
    let row = |seq, batch: &str| {
        let rest = format!(
            "\"type\":\"imported\",\"kind\":\"hard\",\"source\":\"s\",\"batch\":\"{batch}\",\"reason\":\"r\""
        );
        event(seq, &format!("{batch}{seq}@b.test"), &rest)
    };
    let commit = |seq, batch: &str, first: u32| {
        order(
            seq,
            &format!(
                "\"order\":\"import_commit\",\"batch\":\"{batch}\",\"rows\":1,\"first\":{first}"
            ),
        )
    };
    let ask = |address: &str| {
        format!("{{\"at\":\"2026-01-02T00:00:00Z\",\"type\":\"ask\",\"address\":\"{address}\"}}\n")
    };
    let key = r#""key":{"receiver":"google.com"}"#;
    let input = [
        // Left over of an import of the same name.
        row(3, "one"),
        row(10, "one"),
        row(11, "two"),
        commit(12, "one", 10),
        commit(13, "two", 11),
        order(14, "\"order\":\"void\",\"select\":{\"batch\":\"two\"}"),
        gone(15, "a@gmail.com"),
        order(20, &format!("\"order\":\"outage\",{key},\"since\":\"2026-01-01T00:00:19Z\"")),
        gone(21, "held@gmail.com"),
        order(22, &format!("\"order\":\"outage_end\",{key},\"until\":\"2026-01-01T00:00:22Z\"")),
        // A clock that went back.
        gone(80, "c@gmail.com"),
        order(90, "\"order\":\"void\",\"select\":{\"domain\":\"gmail.com\",\"since\":\"2026-01-01T00:00:20Z\"}"),
    ]
    .concat();
    let check = |more: &str, address: &str, reason: &str| {
        let (outcome, output) = simulate(&format!("{input}{more}{}", ask(address)));
        outcome.expect("a good file");
        assert!(output.contains(&format!("\"reason\":\"{reason}\"")), "{address}: {output}");
    };
    check("", "one3@b.test", "none");
    check("", "one10@b.test", "imported");
    check("", "two11@b.test", "none");
    check("", "a@gmail.com", "quarantine_long_term");
    check("", "c@gmail.com", "none");
    let held = input.replace(
        "\"order\":\"void\",\"select\":{\"domain\"",
        "\"order\":\"void\",\"select\":{\"rule\":\"x\",\"domain\"",
    );
    let apply = order(91, "\"order\":\"outage_apply\",\"outage\":\"o20\"");
    for (more, reason) in [("", "none"), (&*apply, "quarantine_long_term")] {
        let (outcome, output) = simulate(&format!("{held}{more}{}", ask("held@gmail.com")));
        outcome.expect("a good file");
        assert!(output.contains(&format!("\"reason\":\"{reason}\"")), "{output}");
    }
    check_fault(&format!("{input}{}", row(90, "x")), "line 13: a line of a journal: sequence 90");
    check_fault(&order(1, "\"order\":\"forget\""), "line 1: a line of a journal: not an order");
    check_fault("{\"order\":\"void\"}", "line 1: a line of a journal: not an order: missing");
    // What is no line of a journal may say what it likes besides.
    let (outcome, _) = simulate("{\"at\":1,\"type\":\"ask\",\"address\":\"a@b.test\",\"seq\":7}");
    outcome.expect("a good file");
}

/// Lines that no journal brought, among those of one: an order folds an address again from all that was heard of it, whether the policy
/// watches for outages or not.
#[test]
fn an_order_of_a_journal_loses_no_plain_line_and_means_those_too() {
    let void = |seq: u32, select: &str| {
        format!(
            "{{\"order\":\"void\",\"seq\":{seq},\"id\":\"o{seq}\",\"at\":\"2026-01-01T00:00:20Z\",\"reason\":\"r\",\"select\":{{{select}}}}}\n"
        )
    };
    let plain = |rest: &str| {
        format!("{{\"at\":\"2026-01-01T00:00:00Z\",\"address\":\"a@x.test\",{rest}}}\n")
    };
    let reply = "{\"seq\":1,\"id\":\"e1\",\"at\":\"2026-01-01T00:00:01Z\",\"address\":\"a@x.test\",\"tenant\":\"t\",\"type\":\"reply\",\"category\":\"user_unknown\",\"scope\":\"recipient\",\"stage\":\"rcpt\",\"reply\":\"550 gone\",\"rule\":\"some\"}\n";
    let ask = "{\"at\":\"2026-01-02T00:00:00Z\",\"type\":\"ask\",\"address\":\"a@x.test\"}\n";
    let mut policy = Policy::preset("quarantine").expect("a preset");
    for enabled in [true, false] {
        policy.outage.enabled = enabled;
        let check = |lines: &[&str], reason: &str| {
            let (outcome, output) = simulate_under(&policy, &[lines, &[ask]].concat().concat());
            outcome.expect("a good file");
            assert!(output.contains(&format!("\"reason\":\"{reason}\"")), "{enabled}: {output}");
        };
        let manual = plain("\"type\":\"quarantine\"");
        check(&[&manual, reply, &void(2, "\"rule\":\"some\"")], "manual");
        let imported = plain("\"type\":\"imported\",\"kind\":\"hard\",\"source\":\"s\"");
        check(&[&imported, &void(2, "\"source\":\"other\"")], "imported");
        check(&[&imported, &void(2, "\"source\":\"s\"")], "none");
    }
}
