//! Files as people and hostile hands write them.

mod formats;
mod known;
mod terms;

use std::io::Read;

use super::export::{Exported, without_guard};
use super::*;
use crate::event::{Act, ImportKind, Tenant};
use crate::policy::Policy;
use crate::time::Timestamp;

const NOW: Timestamp = Timestamp::from_secs(1_767_225_600);

fn terms() -> Terms {
    Terms {
        now: NOW,
        source: "old-esp".to_owned(),
        batch: "b1".to_owned(),
        tenant: Some(Tenant("shop".to_owned())),
        act: Act { reason: "move".to_owned(), by: "eve".to_owned() },
        reset: false,
        again: false,
        force_unsubscribes: false,
    }
}

/// Everything that becomes of a file: `address kind date tenant detail becomes`, the reason for nothing, or a fault.
fn read_with(text: impl Read, wanted: &Wanted, terms: &Terms) -> Result<Vec<String>, String> {
    let policy = Policy::default();
    let mut reader = Reader::open(text, wanted).map_err(|error| error.to_string())?;
    let mut told = Vec::new();
    loop {
        told.push(match reader.outcome(terms, &policy) {
            Ok(None) => return Ok(told),
            Ok(Some(Ok(Outcome::Entry(entry)))) => {
                let imported = &entry.imported;
                let dated = imported.dated.map(|at| at.to_string()).unwrap_or("-".to_owned());
                format!(
                    "{} {} {dated} {} [{}] {}",
                    entry.address,
                    imported.kind.name(),
                    entry.tenant,
                    imported.detail,
                    entry.becomes.name()
                )
            }
            Ok(Some(Ok(Outcome::Nothing(address, _, idle)))) => {
                format!("{address} {}", idle.name())
            }
            Ok(Some(Err(fault))) => fault.to_string(),
            Err(error) => return Err(error.to_string()),
        });
    }
}

#[track_caller]
fn check(text: &str, expected: &[&str]) {
    check_with(text, &Wanted::default(), expected);
}

#[track_caller]
fn check_with(text: &str, wanted: &Wanted, expected: &[&str]) {
    assert_eq!(read_with(text.as_bytes(), wanted, &terms()).expect("a form"), expected);
}

#[track_caller]
fn refused(text: &str, wanted: &Wanted, part: &str) {
    let why = read_with(text.as_bytes(), wanted, &terms()).expect_err("refused");
    assert!(why.contains(part), "{why}");
}

fn kind(kind: ImportKind) -> Wanted {
    Wanted { kind: Some(kind), ..Wanted::default() }
}

fn columns(list: &[&str]) -> Wanted {
    let columns = list.iter().map(|text| column(text).expect("a mapping")).collect();
    Wanted { columns, ..Wanted::default() }
}

#[test]
fn a_file_is_read_however_it_is_written() {
    let expected = [
        "a@x.test hard 2024-03-01T00:00:00Z shop [two\nlines; with \"quotes\", too] quarantined_long_term",
        "b@x.test soft - shop [] quarantined",
    ];
    let text = "Mail;Status;Date;Why\n\na@x.test;Hard Bounce;2024-03-01;\"two\nlines; with \"\"quotes\"\", too\"\n b@x.test ;SOFT_BOUNCE;;\n";
    let wanted = columns(&["address=mail", "kind=Status", "at=Date", "reason=#4"]);
    for text in [
        text.to_owned(),
        text.replace('\n', "\r\n"),
        text.replace('\n', "\r"),
        format!("\u{feff}{text}"),
        text.trim_end().to_owned(),
    ] {
        check_with(&text, &wanted, &expected);
    }
    let plain = ["a@x.test hard - shop [] quarantined_long_term"];
    check_with(
        "mail\tstatus\na@x.test\thard\n",
        &columns(&["address=mail", "kind=status"]),
        &plain,
    );
    check_with(
        "mail\na@x.test\n",
        &Wanted { kind: Some(ImportKind::Hard), ..columns(&["address=mail"]) },
        &plain,
    );
    check_with("a@x.test\n", &kind(ImportKind::Hard), &plain);
    check_with(
        "{\"a\":{\"b\":\"a@x.test\"}}\n",
        &Wanted { kind: Some(ImportKind::Hard), ..columns(&["address=a.b"]) },
        &plain,
    );
    refused("a@x.test\n", &Wanted::default(), "say --kind");
    refused("", &Wanted::default(), "nothing in it");
    refused("[{\"email\":1}]", &Wanted::default(), "jq -c '.[]'");
    refused("{\n  \"Suppressions\": []\n}", &Wanted::default(), "one JSON document");
    refused("\u{0}", &Wanted::default(), "no exporter");
    let utf16 = read_with(&b"\xff\xfea\0"[..], &Wanted::default(), &terms());
    assert!(utf16.expect_err("refused").contains("UTF-16"));
    refused("mail,x\n", &columns(&["address=email"]), "no column \"email\"; there are: mail, x");
    refused("mail,x\n", &columns(&["kind=x"]), "address=COLUMN");
    let both = Wanted { kind: Some(ImportKind::Hard), ..columns(&["address=mail", "kind=x"]) };
    refused("mail,x\n", &both, "--kind is for files that do not say it");
    let ses = Wanted { format: Some(Format::Ses), ..Wanted::default() };
    refused("mail,x\n", &ses, "no file of ses");
    let jsonl = Wanted { format: Some(Format::Jsonl), ..Wanted::default() };
    refused("mail,x\n", &jsonl, "it is CSV");
}

#[test]
fn what_is_wrong_is_named_with_row_line_and_column() {
    let text = "mail,status,date,until,tenant,why,category\r\n\
                \"a@x.test\",hard,,,,\"two\r\nlines\",\r\n\
                nobody,hard,,,,,\r\n\
                a@x.test,strange,,,,,\r\n\
                a@x.test,hard,yesterday,,,,\r\n\
                a@x.test,hard,2026-01-03,,,,\r\n\
                a@x.test,hard,2026-01-01 12:00,soon,,,\r\n\
                a@x.test,hard\r\n\
                a@x.test,hard,0001-06-01,,,,\r\n\
                a@x.test,hard,1989-12-31,,,,\r\n\
                a@x.test,hard,,1985-01-01,,,\r\n\
                a@x.test,hard,,1e300,,,\r\n\
                a@x.test,,,,,,\r\n\
                a@x.test,hard,,,no tenant,,\r\n\
                a@x.test,hard,,,,,silly\r\n\
                b@x.test,soft,2026-01-01 12:00,,,,mailbox_full\r\n\
                nobody,hard,,,,\"two\r\nlines\",\r\n";
    let wanted = columns(&[
        "address=mail",
        "kind=status",
        "at=date",
        "until=until",
        "tenant=tenant",
        "reason=why",
        "category=category",
    ]);
    let told = read_with(text.as_bytes(), &wanted, &terms()).expect("a form");
    let expected = [
        "a@x.test hard - shop [two\nlines] quarantined_long_term",
        "row 2 (line 4), column mail, \"nobody\": ",
        "row 3 (line 5), column status, \"strange\": no kind that is known: say --value 'strange=KIND', or =skip",
        "row 4 (line 6), column date, \"yesterday\": not a time",
        "row 5 (line 7), column date, \"2026-01-03\": lies in the future",
        "row 6 (line 8), column until, \"soon\": not a time",
        "row 7 (line 9): has 2 cells, and there are 7 columns",
        "row 8 (line 10), column date, \"0001-06-01\": lies before 1990",
        "row 9 (line 11), column date, \"1989-12-31\": lies before 1990",
        "row 10 (line 12), column until, \"1985-01-01\": lies before 1990",
        "row 11 (line 13), column until, \"1e300\": lies later than can be written",
        "row 12 (line 14), column status: nothing says what the row is",
        "row 13 (line 15), column tenant, \"no tenant\": expected 1 to 64 letters",
        "row 14 (line 16), column category, \"silly\": no category",
        // Not later than now, whatever the other clock says.
        "b@x.test soft 2026-01-01T00:00:00Z shop [] quarantined",
        "row 16 (line 18), column mail, \"nobody\": ",
    ];
    assert_eq!(told.len(), expected.len(), "{told:#?}");
    for (told, expected) in told.iter().zip(expected) {
        assert!(told.starts_with(expected), "{told}\n{expected}");
    }
    let latin = b"mail,why\na@x.test,ok\nb@x.test,caf\xe9\n";
    let wanted =
        Wanted { kind: Some(ImportKind::Hard), ..columns(&["address=mail", "reason=why"]) };
    let told = read_with(&latin[..], &wanted, &terms()).expect("a form");
    assert_eq!(told[1], "row 2 (line 3), column why, \"caf\u{fffd}\": not UTF-8");
    let json = "{\"mail\":\"a@x.test\"}\n\n{\"mail\":{\"x\":1}}\n{\"mail\"}\n";
    let wanted = Wanted { kind: Some(ImportKind::Hard), ..columns(&["address=mail"]) };
    let told = read_with(json.as_bytes(), &wanted, &terms()).expect("a form");
    assert_eq!(told[1], "row 2 (line 3), column mail: expected a plain value");
    assert!(
        told[2].starts_with("row 3 (line 4), \"{\\\"mail\\\"}\": not a JSON object"),
        "{told:?}"
    );
}

#[test]
fn a_blacklist_needs_a_tenant_and_nothing_else_does() {
    let nobody = Terms { tenant: None, ..terms() };
    let text = "mail,status\na@x.test,hard\nb@x.test,unsubscribed\n";
    let told = read_with(text.as_bytes(), &columns(&["address=mail", "kind=status"]), &nobody)
        .expect("a form");
    assert_eq!(told[0], "a@x.test hard - default [] quarantined_long_term");
    assert!(
        told[1].ends_with("a blacklist belongs to a tenant: say --tenant T (unsubscribe)"),
        "{told:?}"
    );
}

/// Q20 of the requirements: plain unsubscribes must not become quarantine.
#[test]
fn unsubscribes_go_into_the_quarantine_only_when_forced() {
    let text = "mail,status\na@x.test,opt-out\n";
    let called = |words: &str, force_unsubscribes| Wanted {
        values: vec![value(words).expect("a value")],
        force_unsubscribes,
        ..columns(&["address=mail", "kind=status"])
    };
    refused(text, &called("opt-out=hard", false), "--force-unsubscribes-into-quarantine");
    refused(text, &called("auto_unsub=soft", false), "--force-unsubscribes-into-quarantine");
    let unsubscribed = "Email Address,UNSUB_TIME,LEID,EUID\na@x.test,,1,2\n";
    refused(unsubscribed, &kind(ImportKind::Blocked), "--force-unsubscribes-into-quarantine");
    let spark = "recipient,type,source,description,created\na@x.test,t,List Unsubscribe,,\n";
    let values = vec![value("List Unsubscribe=hard").expect("a value")];
    refused(spark, &Wanted { values, ..Wanted::default() }, "--force-unsubscribes-into-quarantine");
    check_with(text, &called("opt-out=skip", false), &["a@x.test skipped"]);
    check_with(
        text,
        &called("opt-out=complaint", false),
        &["a@x.test complaint - shop [] blacklisted"],
    );
    let forced = Terms { force_unsubscribes: true, tenant: None, ..terms() };
    let told = read_with(text.as_bytes(), &called("opt-out=hard", true), &forced).expect("a form");
    assert_eq!(told, ["a@x.test unsubscribe - default [] quarantined_long_term"]);
}

#[test]
fn rows_that_do_nothing_say_why() {
    let text = "mail,status,at,until\na@x.test,active,2020-01-01,\nb@x.test,soft,2020-01-01,\n\
                c@x.test,soft,,2025-01-01\npostmaster@x.test,hard,,\nd@x.test,soft,,2027-01-01\n";
    let wanted = columns(&["address=mail", "kind=status", "at=at", "until=until"]);
    let mut expected = vec![
        "a@x.test active_without_reset",
        "b@x.test over_already",
        "c@x.test over_already",
        "postmaster@x.test postmaster_or_abuse",
        "d@x.test soft - shop [] quarantined",
    ];
    check_with(text, &wanted, &expected);
    let reset = Terms { reset: true, ..terms() };
    expected[0] = "a@x.test active - shop [] reset";
    assert_eq!(read_with(text.as_bytes(), &wanted, &reset).expect("a form"), expected);
}

/// A file of any size, made while it is read.
struct Made<F> {
    rows: std::ops::RangeInclusive<u64>,
    row: F,
    text: std::io::Cursor<Vec<u8>>,
}

impl<F: Fn(u64) -> String> Read for Made<F> {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        loop {
            let read = self.text.read(out)?;
            if read > 0 {
                return Ok(read);
            }
            let rows: String = self.rows.by_ref().take(1000).map(&self.row).collect();
            if rows.is_empty() {
                return Ok(0);
            }
            self.text = std::io::Cursor::new(rows.into_bytes());
        }
    }
}

fn made<F: Fn(u64) -> String>(rows: u64, row: F) -> Made<F> {
    Made { rows: 1..=rows, row, text: std::io::Cursor::new(b"mail,status,at\n".to_vec()) }
}

#[test]
fn one_bad_row_of_a_million_is_named() {
    let file = made(1_000_000, |row| match row {
        999_999 => "broken@@x.test,hard,2024-03-01\n".to_owned(),
        _ => format!("u{row}@d{}.test,hard,2024-03-01\n", row % 7),
    });
    let wanted = columns(&["address=mail", "kind=status", "at=at"]);
    let mut reader = Reader::open(file, &wanted).expect("a form");
    let mut told = 0;
    let report = survey(&mut reader, &terms(), &Policy::default(), None, |bytes| told = bytes)
        .expect("read");
    assert_eq!((report.rows, report.entries, report.faults.count()), (1_000_000, 999_999, 1));
    let fault = report.faults.shown[0].to_string();
    assert!(
        fault.starts_with("row 999999 (line 1000000), column mail, \"broken@@x.test\": "),
        "{fault}"
    );
    assert_eq!(report.domains.len(), 7);
    assert!(told > 27_000_000, "{told}");
}

#[test]
fn a_report_counts_and_shows_the_first_faults_only() {
    let file = made(100, |row| match row % 4 {
        0 => "nobody,hard,\n".to_owned(),
        1 => format!("U{}@x.test,hard,2024-03-0{}\n", row % 8, 1 + row % 2),
        2 => format!("u{row}@y.test,unsubscribed,\n"),
        _ => format!("u{row}@x.test,active,2020-01-01\n"),
    });
    let wanted = columns(&["address=mail", "kind=status", "at=at"]);
    let mut reader = Reader::open(file, &wanted).expect("a form");
    let report = survey(&mut reader, &terms(), &Policy::default(), None, |_| {}).expect("read");
    assert_eq!((report.rows, report.entries, report.faults.count()), (100, 50, 25));
    assert_eq!((report.faults.shown.len(), report.faults.more), (20, 5));
    assert_eq!(report.kinds["hard"].rows, 25);
    assert_eq!(report.kinds["hard"].becomes["quarantined_long_term"], 25);
    assert_eq!(report.kinds["hard"].examples, ["u1@x.test", "u5@x.test", "u1@x.test"]);
    assert_eq!(report.kinds["unsubscribe"].becomes["blacklisted"], 25);
    assert_eq!(report.nothing["active_without_reset"], 25);
    assert_eq!((report.undated, report.repeated), (25, 23));
    assert_eq!((report.tenants[0].name.as_str(), report.tenants[0].rows), ("shop", 50));
    assert_eq!((report.domains[0].name.as_str(), report.domains[0].rows), ("x.test", 50));
    assert_eq!(report.from, report.to);
}

/// A quote that is never closed, a line without end: told where it begins, and not taken into memory whole.
#[test]
fn no_row_is_endless() {
    let wanted = columns(&["address=mail", "kind=status", "at=at"]);
    let endless = made(u64::MAX - 1, |row| match row {
        3 => "\"a@x.test,hard,\n".to_owned(),
        _ => "a@x.test,hard,\n".to_owned(),
    });
    let why = read_with(endless, &wanted, &terms()).expect_err("refused");
    assert!(why.starts_with("row 3 (line 4): longer than 1048576 bytes"), "{why}");
    let endless = std::io::repeat(b'{');
    let why = read_with(endless, &wanted, &terms()).expect_err("refused");
    assert!(why.starts_with("row 1 (line 1): longer than"), "{why}");
}

#[test]
fn what_a_spreadsheet_would_calculate_is_guarded_and_read_back() {
    for text in ["=1+1", "+49", "-x", "@a", "'=1", "''", "plain", "it's", "\t=", ""] {
        let row = Exported {
            address: "=cmd@x.test".to_owned(),
            reason: Some(text.to_owned()),
            ..Exported::default()
        };
        let cells = row.cells();
        assert_eq!(cells[0], "=cmd@x.test");
        assert!(!cells[6].starts_with(['=', '+', '-', '@', '\t']), "{text:?}");
        assert_eq!(without_guard(&cells[6]), text);
    }
}
