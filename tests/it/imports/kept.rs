//! Imports that are kept: with a gate that runs and without, all or nothing, and back out again.

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use crate::admin::Served;
use crate::cli::{End, Home};

/// A list of so many hard bounces.
fn list(rows: usize) -> String {
    (0..rows).fold("address,kind,at\n".to_owned(), |mut text, row| {
        writeln!(text, "u{row}@x.test,hard,2024-03-01").expect("text");
        text
    })
}

fn words<'a>(file: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let always = ["import", file, "--source", "old-esp", "--reason", "moved", "--trust", "--yes"];
    let columns = ["--columns", "address=address,kind=kind,at=at", "--tenant", "acme"];
    [&always[..], &columns, more].concat()
}

fn import(home: &Home, file: &str, more: &[&str]) -> End {
    home.run(&words(file, more))
}

/// The name of the import that was told.
fn batch_of(told: &str) -> String {
    let batch = told.lines().last().and_then(|line| line.split("--batch ").nth(1));
    let (name, rest) = batch.and_then(|rest| rest.split_once(' ')).expect("a batch");
    // What is told is the whole command: without a reason it would be refused.
    assert!(rest.starts_with("--reason R`"), "{told}");
    name.to_owned()
}

fn standing(home: &Home, address: &str) -> Value {
    home.json(&["lookup", address, "--tenant", "acme"])[0]["standing"].clone()
}

fn verified(home: &Home) -> (u64, u64) {
    let report = &home.json(&["verify"])[0];
    assert_eq!(report["agrees"], true, "{report}");
    let number = |field: &str| report[field].as_u64().expect("a number");
    (number("events"), number("unfinished"))
}

/// Waits until the journal has grown by a hundred thousand bytes, which are a few hundred rows.
fn rows_are_journaled(home: &Home, before: u64) {
    let begin = Instant::now();
    while journal_bytes(home) < before + 100_000 {
        assert!(begin.elapsed() < Duration::from_secs(120), "no row is journaled");
    }
}

fn journal_bytes(home: &Home) -> u64 {
    let journal = std::fs::read_dir(home.path("data/journal")).expect("a directory");
    journal.map(|file| file.expect("a file").metadata().expect("known").len()).sum()
}

/// In, refused, out, passed; the same whether a gate runs or not.
fn goes_in_and_out(home: &Home) {
    home.ok(&["quarantine", "u3@x.test", "--reason", "asked us to"]);
    home.write("list.csv", &list(1300));
    let told = home.ok(&words("list.csv", &[]));
    assert!(told.contains("\nok imported 1300 rows as batch "), "{told}");
    let batch = batch_of(&told);
    for address in ["u0@x.test", "u3@x.test", "u1299@x.test"] {
        assert_eq!(standing(home, address), "quarantined_long_term", "{address}");
    }
    let found = &home.json(&["lookup", "u0@x.test"])[0];
    assert_eq!((&found["source"], &found["batch"]), (&"old-esp".into(), &batch.clone().into()));
    assert_eq!(verified(home), (1301, 0));
    let figures = &home.json(&["stats"])[0];
    assert_eq!((&figures["imports"], &figures["orders"]), (&1.into(), &0.into()));
    let back = home.ok(&["undo", "--batch", &batch, "--reason", "the wrong list", "--yes"]);
    assert!(back.contains("ok 1300 events of 1300 addresses no longer count"), "{back}");
    assert_eq!((standing(home, "u0@x.test"), verified(home)), ("clear".into(), (1301, 0)));
    // What an operator ordered was never the list's.
    assert_eq!(home.json(&["lookup", "u3@x.test"])[0]["reason"], "manual");
    let story = home.ok(&["explain", "u0@x.test"]);
    assert!(story.contains("the wrong list"), "{story}");
}

#[test]
fn q17_q19_a_list_goes_in_and_out_while_no_gate_runs() {
    let home = Home::new();
    goes_in_and_out(&home);
    let rebuilt = home.ok(&["rebuild"]);
    assert!(rebuilt.starts_with("ok: 1303 events folded into 1 records"), "{rebuilt}");
    assert_eq!((standing(&home, "u0@x.test"), verified(&home)), ("clear".into(), (1301, 0)));
}

#[test]
fn q17_q19_a_list_goes_in_and_out_while_a_gate_runs() {
    let home = Home::new();
    let served = Served::begin(&home);
    goes_in_and_out(&home);
    let line = served.logged(&["event=import", "result=in_force"]);
    assert!(line.contains("rows=1300") && line.contains("source=old-esp"), "{line}");
}

#[test]
fn one_bad_row_of_many_and_nothing_is_imported_while_a_gate_runs() {
    let home = Home::new();
    let served = Served::begin(&home);
    home.write("list.csv", &format!("{}nobody,hard,\n", list(1300)));
    let end = import(&home, "list.csv", &[]);
    assert!(end.code == 65 && end.err.contains("1 of 1301 rows cannot be imported"), "{end:?}");
    assert_eq!((standing(&home, "u0@x.test"), verified(&home)), ("clear".into(), (0, 0)));
    drop(served);
}

#[test]
fn s21_active_rows_reset_what_was_learnt_and_write_nothing_of_strangers() {
    let home = Home::new();
    let served = Served::begin(&home);
    home.write("hard.csv", "address,kind,at\nold@x.test,hard,\n");
    home.ok(&words("hard.csv", &[]));
    home.write("active.csv", "address,kind,at\nold@x.test,active,\nnew@x.test,active,\n");
    let reset = words("active.csv", &["--reset"]);
    let told = home.ok(&reset);
    assert!(told.ends_with("\nnothing to import\n"), "{told}");
    assert_eq!(standing(&home, "old@x.test"), "quarantined_long_term");
    assert_eq!(verified(&home), (1, 0));
    drop(served);
    let gate = super::open(&home);
    let unknown = || super::reply(rcptgate::bounce::Category::UserUnknown, "550 5.1.1 unknown");
    super::learn(&gate, 1, "new@gmail.com", "acme", unknown());
    drop(gate);
    home.write("active.csv", "address,kind,at\nnew@gmail.com,active,\nother@x.test,active,\n");
    assert_eq!(standing(&home, "new@gmail.com"), "quarantined_long_term");
    let told = home.ok(&reset);
    assert!(told.contains("\n1 rows reset what is not known"), "{told}");
    assert!(told.contains("ok imported 1 rows"), "{told}");
    assert_eq!(standing(&home, "new@gmail.com"), "clear");
}

#[test]
fn a09_only_an_operator_releases_an_imported_hard_bounce_and_no_list_brings_it_back() {
    let home = Home::new();
    home.write("list.csv", "address,kind,at\ngone@x.test,hard,\nenough@x.test,complaint,\n");
    home.ok(&words("list.csv", &[]));
    home.write("active.csv", "address,kind,at\ngone@x.test,active,\n");
    home.ok(&words("active.csv", &["--reset"]));
    assert_eq!(standing(&home, "gone@x.test"), "quarantined_long_term");
    home.ok(&["release", "gone@x.test", "--reason", "support"]);
    let sorry = ["--from", "blacklist", "--tenant", "acme", "--reason", "sorry"];
    home.ok(&[&["release", "enough@x.test"], &sorry[..]].concat());
    home.ok(&words("list.csv", &[]));
    let both = || [standing(&home, "gone@x.test"), standing(&home, "enough@x.test")];
    assert_eq!(both(), ["clear", "clear"]);
    home.ok(&words("list.csv", &["--again"]));
    assert_eq!(both(), ["quarantined_long_term", "blacklisted"]);
}

/// A connection to the admin API on which a request for an import was begun.
struct Request(TcpStream);

impl Request {
    fn begin(home: &Home) -> Self {
        let read = |name: &str| std::fs::read_to_string(home.path(name)).expect("a file");
        let address: SocketAddr = read("data/admin.address").trim().parse().expect("an address");
        let token = read("data/admin.token");
        let mut stream = TcpStream::connect(address).expect("a connection");
        write!(
            stream,
            "POST /api/v1/import HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {}\r\n\
             Content-Type: application/x-ndjson\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n",
            token.trim()
        )
        .expect("sent");
        Self(stream)
    }

    fn send(&mut self, text: &str) {
        write!(self.0, "{:x}\r\n{text}\r\n", text.len()).expect("sent");
    }

    fn head(&mut self, rows: u64, more: &str) {
        self.send(&format!(
            "{{\"source\":\"s\",\"batch\":\"b1\",\"rows\":{rows},\"reason\":\"r\"{more}}}\n"
        ));
    }

    /// Ends the body.
    fn finish(&mut self) {
        self.0.write_all(b"0\r\n\r\n").expect("sent");
    }

    /// Ends the body; the status, and what was said.
    fn end(mut self) -> (u16, String) {
        self.finish();
        let mut answer = String::new();
        self.0.read_to_string(&mut answer).expect("an answer");
        let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
        (status.expect("a status"), answer)
    }
}

/// More rows than are journaled while somebody is killed or leaves.
const MANY: usize = 60_000;
const TRUST: &str = ",\"trust\":true";

fn rows(range: std::ops::Range<usize>) -> String {
    range.fold(String::new(), |mut text, row| {
        writeln!(text, "{{\"address\":\"u{row}@x.test\",\"kind\":\"hard\"}}").expect("text");
        text
    })
}

/// Hands over more rows than are journaled by now, behind something that mail or an operator taught.
fn journaling(home: &Home) -> Request {
    home.ok(&["quarantine", "manual@x.test", "--reason", "r"]);
    let before = journal_bytes(home);
    let mut request = Request::begin(home);
    request.head(MANY as u64, TRUST);
    request.send(&rows(0..MANY));
    request.finish();
    rows_are_journaled(home, before);
    request
}

#[test]
fn a_connection_that_breaks_in_the_middle_changes_nothing() {
    let home = Home::new();
    let served = Served::begin(&home);
    let mut request = Request::begin(&home);
    request.head(2000, TRUST);
    request.send(&rows(0..1500));
    drop(request);
    served.logged(&["event=import", "result=broken_off"]);
    // Nothing is journaled before all rows have come.
    assert_eq!(verified(&home), (0, 0));
    assert_eq!(standing(&home, "u0@x.test"), "clear");
    // All rows, and no end.
    let mut request = Request::begin(&home);
    request.head(10, TRUST);
    request.send(&rows(0..10));
    drop(request);
    served.logged(&["event=import", "result=broken_off"]);
    assert_eq!(standing(&home, "u0@x.test"), "clear");
    assert_eq!(verified(&home), (0, 0));
}

#[test]
fn a_caller_that_leaves_before_the_rows_count_has_changed_nothing() {
    let home = Home::new();
    let served = Served::begin(&home);
    let request = journaling(&home);
    drop(request);
    let line = served.logged(&["event=import", "result=broken_off"]);
    assert!(line.contains("whoever asked has gone"), "{line}");
    let (events, unfinished) = verified(&home);
    assert!(unfinished > 0 && unfinished < MANY as u64, "{unfinished}");
    assert_eq!(events, unfinished + 1);
    assert_eq!(standing(&home, "u0@x.test"), "clear");
}

#[test]
fn a_request_that_is_wrong_is_told_why_and_changes_nothing() {
    let home = Home::new();
    let served = Served::begin(&home);
    let check = |head: (u64, &str), lines: &str, status: u16, part: &str| {
        let mut request = Request::begin(&home);
        request.head(head.0, head.1);
        request.send(lines);
        let (found, answer) = request.end();
        assert!(found == status && answer.contains(part), "{answer}");
    };
    let good = rows(0..3);
    check((3, ""), &good, 400, "s: its lists are not trusted");
    check((4, TRUST), &good, 400, "4 rows were announced, and 3 came");
    check((2, TRUST), &good, 400, "2 rows were announced, and more came");
    check((1, TRUST), "{\"address\":\"nobody\",\"kind\":\"hard\"}\n", 400, "row 1: ");
    check(
        (1, TRUST),
        "{\"address\":\"a@x.test\",\"kind\":\"complaint\"}\n",
        400,
        "belongs to a tenant",
    );
    check(
        (1, TRUST),
        "{\"address\":\"a@x.test\",\"kind\":\"hard\",\"dated\":\"0001-06-01T00:00:00Z\"}\n",
        400,
        "row 1: dated lies before 1990",
    );
    check((1, TRUST), "{\"address\":\"a@x.test\",\"kind\":\"dead\"}\n", 400, "none of an import");
    check((1, TRUST), "{\"address\":\"a@x.test\",\"kind\":\"hard\"}", 400, "does not end");
    check((1, TRUST), &"x".repeat(100_000), 400, "a line has 65536 bytes at most");
    check((1, ",\"colour\":1"), &good, 400, "none of an import");
    assert_eq!(standing(&home, "u0@x.test"), "clear");
    assert_eq!(verified(&home).0, verified(&home).1);
    check((3, TRUST), &good, 200, "\"rows\":3");
    check((3, TRUST), &good, 400, "there was an import of that name");
    // One at a time.
    let mut first = Request::begin(&home);
    first
        .send("{\"source\":\"s\",\"batch\":\"b2\",\"rows\":600,\"reason\":\"r\",\"trust\":true}\n");
    first.send(&rows(0..599));
    let begin = Instant::now();
    while home.json(&["verify"])[0]["importing"] != true {
        assert!(begin.elapsed() < Duration::from_secs(120), "no import is under way");
    }
    let mut second = Request::begin(&home);
    second.send("{\"source\":\"s\",\"batch\":\"b3\",\"rows\":0,\"reason\":\"r\",\"trust\":true}\n");
    let (status, answer) = second.end();
    assert!(status == 503 && answer.contains("another import is under way"), "{answer}");
    first.send(&rows(599..600));
    assert_eq!(first.end().0, 200);
    assert_eq!(standing(&home, "u599@x.test"), "quarantined_long_term");
    drop(served);
}

#[test]
fn killed_in_the_middle_it_changes_nothing_and_the_same_file_can_be_imported_again() {
    let home = Home::new();
    let served = Served::begin(&home);
    let request = journaling(&home);
    // As kill -9 does.
    drop(served);
    drop(request);
    let served = Served::begin(&home);
    assert_eq!(standing(&home, "u0@x.test"), "clear");
    assert_eq!(standing(&home, "manual@x.test"), "quarantined_long_term");
    let (events, unfinished) = verified(&home);
    assert!(unfinished > 0 && unfinished < MANY as u64, "{unfinished}");
    assert_eq!(events, unfinished + 1);
    let told = home.ok(&["verify"]);
    assert!(told.contains("rows of imports that were never finished"), "{told}");
    home.write("list.csv", &list(600));
    home.ok(&words("list.csv", &[]));
    assert_eq!(standing(&home, "u0@x.test"), "quarantined_long_term");
    assert_eq!(verified(&home), (events + 600, unfinished));
    drop(served);
    // The command itself, killed while it has the store.
    home.write("list.csv", &list(MANY));
    let mut child =
        home.command(&words("list.csv", &[])).stdout(Stdio::null()).spawn().expect("it starts");
    let before = journal_bytes(&home);
    rows_are_journaled(&home, before);
    child.kill().expect("a process");
    child.wait().expect("a status");
    let end = home.run(&["lookup", "u600@x.test", "--json"]);
    assert!(end.code == 0 && end.out.contains("\"standing\":\"clear\""), "{end:?}");
    assert!(verified(&home).1 > unfinished);
    home.write("list.csv", &list(700));
    let told = home.ok(&words("list.csv", &[]));
    assert!(told.contains("ok imported 700 rows"), "{told}");
    assert_eq!(standing(&home, "u600@x.test"), "quarantined_long_term");
}
