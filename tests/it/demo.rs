//! `rcptgate demo --once`, as a newcomer runs it first.

use std::process::Command;

use rcptgate::time::Timestamp;

#[test]
fn shows_who_refused_and_what_was_learnt() {
    let folder = tempfile::tempdir().expect("a directory");
    let run = Command::new(env!("CARGO_BIN_EXE_rcptgate"))
        .args(["demo", "--once"])
        .env("TMPDIR", folder.path())
        .output()
        .expect("the program runs");
    let (out, err) = (String::from_utf8_lossy(&run.stdout), String::from_utf8_lossy(&run.stderr));
    assert_eq!((run.status.code(), err.as_ref()), (Some(0), ""), "{out}");
    assert!(out.is_ascii(), "not plain text: {out}");

    let rows: Vec<Vec<&str>> = out
        .lines()
        .filter(|line| line.starts_with("| "))
        .map(|line| line.split('|').map(str::trim).collect())
        .collect();
    let check = |recipient: &str, refused_by: &[&str]| {
        let found: Vec<&str> = rows
            .iter()
            .filter(|row| row.get(1) == Some(&recipient))
            .filter_map(|row| row.get(2).copied())
            .collect();
        assert_eq!(found, refused_by, "{recipient} in {out}");
    };
    check("anna@bakery.test", &["-", "-", "-"]);
    // Learnt from the receiver once, refused by the gate ever after, to all tenants and in any spelling.
    check("gone@gmail.com", &["receiver", "gate", "gate"]);
    check("Gone@GMAIL.com", &["gate"]);
    // Never learnt.
    check("guarded@hotmail.com", &["receiver", "receiver"]);
    // A message under way is not killed by its own deferral.
    check("busy@library.test", &["receiver", "-"]);
    // A complaint counts for the tenant that it was about.
    check("angry@harbour.test", &["gate", "gate", "-"]);
    check("partner@yopmail.com", &["-"]);

    // What was learnt of it: how many bounces of how many, or why it is none.
    let lesson = |recipient: &str, begins: &[&str]| {
        let mut learnt = rows
            .iter()
            .filter(|row| row.get(1) == Some(&recipient))
            .filter_map(|row| row.get(4).copied());
        for begin in begins {
            let told = learnt.next().unwrap_or_default();
            assert!(told.starts_with(begin), "{recipient}: {told:?}, not {begin:?}, in {out}");
        }
    };
    lesson("gone@gmail.com", &["hard 1 of 1", "-"]);
    lesson("moved@harbour.test", &["hard 1 of 3", "counted already"]);
    lesson("full@library.test", &["soft 1 of 1", "-"]);
    lesson("busy@library.test", &["not counted yet", "delivered, starts over"]);
    lesson("guarded@hotmail.com", &["nothing (blocked)"]);
    assert!(
        out.contains("  moved@harbour.test  2 more hard bounces, an hour or more apart"),
        "{out}"
    );

    // On a clock that runs ahead: 1, 2, 4, 8, 16 weeks, then for good. Of the mailings in between all but the one at the end are refused.
    let climb: Vec<(&str, &str)> = rows
        .iter()
        .filter(|row| row.get(1).is_some_and(|date| date.len() == 10 && date.starts_with("20")))
        .filter_map(|row| Some((*row.get(2)?, *row.get(3)?)))
        .collect();
    let refused: Vec<&str> = climb.iter().map(|(_, refused)| *refused).collect();
    assert_eq!(refused, ["0", "1", "3", "7", "15", "1", "0"], "{out}");
    let what: Vec<&str> =
        climb.iter().map(|(what, _)| what.split(" until 20").next().unwrap_or("")).collect();
    let again = "passes, bounces, quarantined";
    let for_good = "passes, bounces, quarantined for good";
    let refused = "refused by the gate, until it is released";
    assert_eq!(
        what,
        [again, again, again, again, for_good, refused, "released by an operator: passes"],
        "{out}"
    );

    // Each quarantine ends when it says: the first of one week was in force when the clock began to run.
    let day = |date: &str| {
        let at = format!("{date}T00:00:00Z").parse::<Timestamp>();
        at.unwrap_or_else(|_| panic!("{date} in {out}")).utc_day()
    };
    let weeks: Vec<i64> = rows
        .iter()
        .filter_map(|row| {
            Some((row.get(1)?, row.get(2)?.split_once("bounces, quarantined until ")?.1))
        })
        .map(|(on, until)| (day(until) - day(on)) / 7)
        .collect();
    assert_eq!(weeks, [2, 4, 8, 16], "{out}");

    let left = std::fs::read_dir(folder.path()).expect("a directory").count();
    assert_eq!(left, 0, "the demonstration cleans up behind itself");
}
