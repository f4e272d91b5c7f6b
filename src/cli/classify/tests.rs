use super::*;

/// What is written, and how it ends.
fn ask(input: &[u8]) -> (Vec<String>, Result<(), String>) {
    let mut output = Vec::new();
    let result = lines(input, &mut output, &Classifier::builtin());
    let output = String::from_utf8(output).expect("JSON is UTF-8");
    (output.lines().map(str::to_owned).collect(), result.map_err(|failure| failure.to_string()))
}

fn field(line: &str, name: &str) -> String {
    let line: serde_json::Value = serde_json::from_str(line).expect("JSON");
    line.get(name).and_then(|value| value.as_str()).unwrap_or_default().to_owned()
}

#[test]
fn one_reply() {
    let (lines, result) = ask(br#"{"reply":"550-5.1.1 No such\n550 5.1.1 user"}"#);
    assert_eq!(result, Ok(()));
    assert_eq!(
        lines,
        [concat!(
            r#"{"category":"user_unknown","scope":"recipient","effect":"hard","rule":"no-such-user","labels":"#,
            r#"{"marketo":2,"salesforce":"hard","salesforce_cause":null,"activecampaign":{"code":"5.1.1","type":"hard","means":"No such recipient"},"quarantine":"long_term"},"#,
            r#""description":"No such mailbox: it never existed, was closed or has moved","decided_by":"text","normalized":"no such user"}"#
        )]
    );
}

#[test]
fn lines_in_lines_out() {
    let input = br#"{"stage":"rcpt","reply":"550 5.1.1 user unknown"}

{"reply":"452 4.2.2 mailbox full","more":1}
{"stage":"DATA","reply":"550 user unknown","recipients":2}
{"stage":"end_of_data","reply":"550 user unknown","recipients":1}
{"stage":"-","reply":"nothing to go by"}
{"stage":"dsn","reply":"5.1.1 unknown user"}"#;
    let (lines, result) = ask(input);
    assert_eq!(result, Ok(()));
    let effects: Vec<_> = lines.iter().map(|line| field(line, "effect")).collect();
    assert_eq!(effects, ["hard", "soft", "none", "hard", "none", "hard"]);
    assert_eq!(field(&lines[4], "category"), "undetermined");
}

#[test]
fn a_bad_line_is_named_and_the_answers_before_it_stand() {
    let check = |bad: &[u8], fault: &str| {
        let (lines, result) = ask(&[b"{\"reply\":\"550 no\"}\n", bad].concat());
        assert_eq!(lines.len(), 1);
        assert_eq!(result, Err(fault.to_owned()));
    };
    check(b"{\"reply\":", "line 2: EOF while parsing a value at column 9");
    check(b"{}", "line 2: missing field `reply` at column 2");
    check(
        b"{\"reply\":\"550 no\",\"stage\":\"noon\"}",
        "line 2: unknown stage \"noon\" (expected connect, ehlo, starttls, auth, mail, rcpt, data, end-of-data, rset, quit or dsn)",
    );
    check(&vec![b'x'; LINE_MAX as usize], "line 2: longer than 262144 octets");
}
