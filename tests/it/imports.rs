//! Import and export as a person runs them.

#![allow(clippy::indexing_slicing, reason = "a test may panic")]

use rcptgate::bounce::classify::Classifier;
use rcptgate::bounce::{Category, Scope, Stage};
use rcptgate::event::{Act, Context, Delivery, Evidence, ImportKind, Imported, Tenant, What};
use rcptgate::gate::{Draft, Gate, GateSettings};
use rcptgate::policy::Policy;
use rcptgate::smtp::address::RecipientKey;
use rcptgate::time::Timestamp;
use serde_json::Value;

use crate::cli::Home;

mod dry;
mod kept;

const LIST: &str = "Email,Status,Date,Why\n\
                    gone@x.test,dead,2024-03-01,550 5.1.1 no such user\n\
                    gone@y.test,dead,,\n\
                    enough@x.test,complaint,2024-03-02,\n\
                    fine@x.test,active,,\n";

const DRY: [&str; 12] = [
    "import",
    "list.csv",
    "--source",
    "old-esp",
    "--columns",
    "address=Email,kind=Status,at=Date,reason=Why",
    "--value",
    "dead=hard",
    "--reason",
    "moved",
    "--tenant",
    "acme",
];

fn dry<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&DRY[..], more].concat()
}

#[test]
fn a_dry_run_says_what_would_come_of_it() {
    let home = Home::new();
    home.write("list.csv", LIST);
    let told = home.ok(&dry(&["--dry-run"]));
    for words in [
        "list.csv: columns as told, 4 rows\n",
        "  source    old-esp\n",
        "  entries   3\n",
        "  dated     2024-03-01 to 2024-03-02\n",
        "  undated   1, ",
        "         2  hard          such as gone@x.test, gone@y.test\n",
        "2  become quarantined long-term\n",
        "1  become blacklisted\n",
        "         1  nothing: active: an import resets no counts without --reset\n",
        "         3  acme\n",
        "         3  x.test\n",
        "dry run: nothing was changed\n",
    ] {
        assert!(told.contains(words), "{words:?} in {told}");
    }
    assert!(!told.contains("faults"), "{told}");
    let report = &home.json(&dry(&["--dry-run"]))[0];
    assert_eq!((&report["rows"], &report["entries"]), (&4.into(), &3.into()));
    assert_eq!(report["kinds"]["hard"]["becomes"]["quarantined_long_term"], 2);
    assert_ne!(report["batch"], home.json(&dry(&["--dry-run"]))[0]["batch"]);
    // Standard input is as good for looking.
    let words: Vec<&str> = dry(&["--dry-run"])
        .iter()
        .map(|word| if *word == "list.csv" { "-" } else { word })
        .collect();
    let end = home.feed(&words, LIST);
    assert_eq!((end.code, end.err.as_str()), (0, ""), "{end:?}");
    assert_eq!(home.ok(&["list"]), "");
}

#[test]
fn a_dry_run_tells_what_is_new_from_what_is_so_already() {
    let home = Home::new();
    home.write("list.csv", LIST);
    home.ok(&dry(&["--trust", "--yes"]));
    home.ok(&["blacklist", "gone@y.test", "--tenant", "acme", "--reason", "asked"]);
    let more = "new@x.test,dead,2024-03-01,\nenough@x.test,dead,,\ngone@y.test,complaint,,\n";
    home.write("list.csv", &format!("{LIST}{more}"));
    let told = home.ok(&dry(&["--dry-run"]));
    for words in [
        "2  become quarantined long-term\n",
        "2  are quarantined long-term already\n",
        "2  are blacklisted already\n",
    ] {
        assert!(told.contains(words), "{words:?} in {told}");
    }
    assert!(!told.contains("become blacklisted"), "{told}");
    let report = &home.json(&dry(&["--dry-run"]))[0];
    assert_eq!(report["compared"], true);
    assert_eq!(report["kinds"]["hard"]["becomes"]["quarantined_long_term"], 4);
    assert_eq!(report["kinds"]["hard"]["already"]["quarantined_long_term"], 2);
    // Nothing was ever kept: nothing is known, and nothing is made to find that out.
    let fresh = Home::new();
    fresh.write("list.csv", LIST);
    assert!(fresh.ok(&dry(&["--dry-run"])).contains("2  become quarantined long-term\n"));
    assert!(!fresh.path("data").exists());
}

#[test]
fn one_bad_row_and_nothing_is_imported() {
    let home = Home::new();
    home.write("list.csv", &format!("{LIST}no\u{1b}[31mbody,dead,2024-03-01,\n"));
    for more in [&["--dry-run"][..], &["--trust", "--yes"]] {
        let end = home.run(&dry(more));
        assert_eq!(end.code, 65, "{end:?}");
        assert_eq!(end.err, "rcptgate: list.csv: 1 of 5 rows cannot be imported, so nothing was\n");
        assert!(
            end.out.contains("  row 5 (line 6), column Email, \"no\\u{1b}[31mbody\": "),
            "{end:?}"
        );
        assert!(!end.out.contains('\u{1b}'), "{end:?}");
    }
}

#[test]
fn q20_only_a_trusted_source_is_believed() {
    let home = Home::new();
    home.write("list.csv", LIST);
    let refused = |words: &[&str], code: i32, part: &str| {
        let end = home.run(words);
        assert_eq!(end.code, code, "{end:?}");
        assert!(end.err.contains(part), "{end:?}");
    };
    refused(&dry(&["--yes"]), 64, "nothing was imported: old-esp is no [[import_source]] in ");
    refused(&dry(&["--trust"]), 64, "nothing was imported: say --yes to import these 3 entries");
    let text = std::fs::read_to_string(home.path("rcptgate.toml")).expect("the file");
    home.write("rcptgate.toml", &format!("{text}[[import_source]]\nname = \"old-esp\"\n"));
    refused(&dry(&["--yes"]), 64, "old-esp is not trusted in ");
    home.write(
        "rcptgate.toml",
        &format!("{text}[[import_source]]\nname = \"old-esp\"\ntrust = true\n"),
    );
    assert_eq!(home.ok(&["list"]), "");
    let done = home.ok(&dry(&["--yes"]));
    assert!(done.contains("\nok imported 3 rows as batch "), "{done}");
    assert_eq!(home.json(&["list"]).len(), 3);
    refused(&dry(&["--source", "two words", "--dry-run"]), 64, "");
    refused(
        &["import", "-", "--source", "s", "--kind", "hard", "--trust", "--reason", "r"],
        64,
        "can be read once only",
    );
    refused(
        &["import", "nothing.csv", "--source", "s", "--dry-run", "--reason", "r"],
        74,
        "nothing.csv: ",
    );
    refused(
        &["import", ".", "--source", "s", "--dry-run", "--reason", "r"],
        74,
        "not a regular file",
    );
    refused(
        &dry(&["--value", "opted-out=hard", "--dry-run"]),
        65,
        "--force-unsubscribes-into-quarantine",
    );
    home.write("odd.csv", "a,b\n");
    refused(
        &["import", "odd.csv", "--source", "s", "--dry-run", "--reason", "r"],
        65,
        "odd.csv: the columns are of no exporter that is known (a, b)",
    );
}

fn at(days: i64) -> Timestamp {
    Timestamp::from_secs(Timestamp::now().as_millis() / 1000 - days * 86_400)
}

fn open(home: &Home) -> Gate {
    let settings = GateSettings::new(home.path("data"));
    let policy = Policy::preset("quarantine").expect("the preset");
    Gate::open(settings, policy, Classifier::builtin(), |_, _| {}).expect("a gate").gate
}

fn learn(gate: &Gate, days: i64, address: &str, tenant: &str, what: What) {
    let address = RecipientKey::parse(address).expect("an address");
    let draft = Draft { at: at(days), address, tenant: Tenant(tenant.to_owned()), what };
    gate.learn(draft).wait().expect("learnt");
}

fn reply(category: Category, reply: &str) -> What {
    What::Reply(Evidence {
        category,
        scope: Scope::Recipient,
        stage: Stage::Rcpt,
        reply: reply.to_owned(),
        rule: "test".to_owned(),
        context: Context::default(),
    })
}

/// One address of each standing and ground.
fn fill(gate: &Gate) {
    let act = || Act { reason: "=asked".to_owned(), by: "eve".to_owned() };
    let unknown = || reply(Category::UserUnknown, "550 5.1.1 \"no\", such user\n550 more");
    learn(gate, 3, "hard@gmail.com", "a", unknown());
    learn(gate, 2, "soft@x.test", "a", reply(Category::MailboxFull, "552 5.2.2 full"));
    learn(gate, 2, "watched@x.test", "a", unknown());
    learn(gate, 2, "manual@x.test", "a", What::Quarantine { until: None, act: act() });
    let until = Some(at(-2));
    learn(gate, 2, "paused@x.test", "a", What::Quarantine { until, act: act() });
    learn(gate, 2, "enough@x.test", "acme", What::Complaint { source: None });
    learn(gate, 2, "enough@x.test", "other", What::Blacklist { act: act() });
    learn(gate, 2, "vip@x.test", "a", What::Allow { act: act() });
    let imported = Imported {
        kind: ImportKind::Hard,
        source: "old-esp".to_owned(),
        batch: "b1".to_owned(),
        row: Some(1),
        dated: Some(at(100)),
        until: None,
        category: Some(Category::UserUnknown),
        detail: "-x".to_owned(),
        forced: false,
        again: false,
        learnt: false,
        act: act(),
    };
    let draft = Draft {
        at: at(1),
        address: RecipientKey::parse("old@x.test").expect("an address"),
        tenant: Tenant("a".to_owned()),
        what: What::Imported(imported),
    };
    let mut importing = gate.import("b1").expect("its turn");
    importing.push(vec![draft]).expect("on disk");
    importing.commit(at(1), act()).expect("a row").wait().expect("in force");
}

/// What an export must bring back: whom it is about, and how the gate stands to it since when and until when.
fn standings(home: &Home) -> Vec<String> {
    let rows = home.json(&["list"]).into_iter().filter(|row| row["standing"] != "on_watch");
    let text = |row: &Value| {
        ["address", "standing", "tenant", "since", "until"]
            .map(|key| row[key].to_string())
            .join(" ")
    };
    let mut rows: Vec<String> = rows.map(|row| text(&row)).collect();
    rows.sort();
    rows
}

#[test]
fn what_is_exported_is_imported_to_the_same_standings() {
    let home = Home::new();
    let gate = open(&home);
    fill(&gate);
    drop(gate);
    let expected = standings(&home);
    assert_eq!(expected.len(), 8, "{expected:#?}");
    let csv = home.ok(&["export", "--format", "csv"]);
    assert!(csv.starts_with("address,kind,at,until,tenant,category,reason,"), "{csv}");
    assert!(csv.contains(",'=asked,") && csv.contains(",'-x,"), "{csv}");
    for text in [home.ok(&["export"]), csv] {
        let other = Home::new();
        other.write("twin.txt", &text);
        let told = other.ok(&[
            "import", "twin.txt", "--source", "twin", "--reason", "twin", "--trust", "--yes",
        ]);
        // But for the one on watch.
        assert!(told.contains("\nok imported 8 rows as batch "), "{told}");
        let cause = |address: &str| other.json(&["lookup", address])[0]["cause"].clone();
        assert_eq!((cause("manual@x.test"), cause("old@x.test")), ("=asked".into(), "-x".into()));
        assert_eq!(standings(&other), expected, "{text}");
        // What was learnt is learnt there too, and lifted by what lifts such a one; what was ordered is not.
        let reason = |address: &str| other.json(&["lookup", address])[0]["reason"].clone();
        assert_eq!(reason("hard@gmail.com"), "quarantine_long_term");
        assert_eq!(
            (reason("soft@x.test"), reason("old@x.test")),
            ("quarantine".into(), "imported".into())
        );
        // No rule of this gate read the reply; what can be undone is the import.
        let found = &other.json(&["lookup", "hard@gmail.com"])[0];
        let batch = found["batch"].as_str().expect("the import");
        assert!(found["rule"].is_null() && told.contains(&format!("as batch {batch}:")), "{found}");
        let words = format!("(user_unknown), as import {batch} brought it\n");
        assert!(other.ok(&["lookup", "hard@gmail.com"]).contains(&words));
        assert_eq!(other.json(&["list", "--domain", "gmail.com"])[0]["batch"], batch);
        let again = other.ok(&["export", "--format", "csv"]);
        assert!(again.contains("hard@gmail.com,hard,") && again.contains(",quarantine_long_term,"));
        let story = other.ok(&["explain", "hard@gmail.com"]);
        assert!(story.contains("quarantined long-term, as twin had learnt it"), "{story}");
        let gate = open(&other);
        for address in ["hard@gmail.com", "soft@x.test", "old@x.test", "manual@x.test"] {
            learn(&gate, 0, address, "a", What::Delivered(Delivery::default()));
        }
        drop(gate);
        assert_eq!(
            (reason("hard@gmail.com"), reason("soft@x.test")),
            ("none".into(), "none".into())
        );
        assert_eq!(
            (reason("old@x.test"), reason("manual@x.test")),
            ("imported".into(), "imported".into())
        );
    }
    let mine = home.ok(&["export", "--standing", "blacklisted", "--tenant", "acme"]);
    assert!(mine.contains("\"kind\":\"complaint\"") && mine.lines().count() == 1, "{mine}");
    let events = home.ok(&["export", "--events"]);
    assert_eq!(events.lines().count(), 10, "{events}");
    assert!(
        events.contains("\"type\":\"imported\",\"kind\":\"hard\",\"source\":\"old-esp\""),
        "{events}"
    );
    assert_eq!(Home::new().run(&["export", "--events"]).code, 69);
}

/// What a dry run lets pass, the import takes: each field at its bound, and one beyond it.
#[test]
fn a_dry_run_knows_the_bounds_of_the_import() {
    let home = Home::new();
    let long = |length: usize| "x".repeat(length);
    let row = |tenant: &str, reason: &str| {
        format!("address,kind,tenant,reason\n{}@x.test,hard,{tenant},{reason}\n", long(64))
    };
    // A reason that is longer is cut.
    for (reason, by, text) in [(1000, 1000, row(&long(64), &long(100_000))), (1, 1, row("t", ""))] {
        home.write("list.csv", &text);
        let (reason, by) = (long(reason), long(by));
        let columns = "address=address,kind=kind,tenant=tenant,reason=reason";
        let file = ["import", "list.csv", "--source", "s", "--columns", columns];
        let words = [&file[..], &["--reason", &reason, "--by", &by]].concat();
        home.ok(&[&words[..], &["--dry-run"]].concat());
        let told = home.ok(&[&words[..], &["--trust", "--yes"]].concat());
        assert!(told.contains("ok imported 1 rows"), "{told}");
    }
    let long = long(1001);
    let import = ["import", "list.csv", "--source", "s", "--dry-run", "--reason"];
    for words in [
        [&import[..], &[&long]].concat(),
        [&import[..], &["r", "--by", &long]].concat(),
        vec!["undo", "--batch", "b", "--dry-run", "--reason", &long],
    ] {
        let end = home.run(&words);
        assert!(end.code == 64 && end.err.contains("1000 bytes at most"), "{end:?}");
    }
}

/// Reasons are what people, programs and receivers wrote; a list of them is read on terminals too.
#[test]
fn no_export_moves_a_terminal() {
    let home = Home::new();
    let reason = "a\u{1b}[2J\r\nb\u{9b}1m\u{202e}c";
    home.ok(&["quarantine", "a@x.test", "--reason", reason, "--by", "e\u{1b}ve"]);
    let harmless = |text: &str| {
        text.lines().count() == text.matches('\n').count()
            && text.chars().all(|c| c == '\n' || !c.is_control() && c != '\u{202e}')
    };
    let csv = home.ok(&["export", "--format", "csv"]);
    assert!(harmless(&csv) && csv.lines().count() == 2, "{csv:?}");
    assert!(csv.contains(r"a\u{1b}[2J\r\nb\u{9b}1m\u{202e}c"), "{csv}");
    for words in [&["export"][..], &["export", "--events"], &["list", "--json"]] {
        let text = home.ok(words);
        assert!(harmless(&text) && text.lines().count() == 1, "{text:?}");
        // JSON loses nothing.
        let row: Value = serde_json::from_str(&text).expect("JSON");
        let told = if row["note"].is_null() { &row["reason"] } else { &row["note"] };
        assert_eq!(told, reason, "{row}");
    }
}

#[test]
fn an_imported_entry_is_told_and_released_as_any_other() {
    let home = Home::new();
    let gate = open(&home);
    fill(&gate);
    drop(gate);
    let found = &home.json(&["lookup", "old@x.test"])[0];
    for (field, value) in [
        ("standing", "quarantined_long_term"),
        ("reason", "imported"),
        ("source", "old-esp"),
        ("batch", "b1"),
        ("cause", "-x"),
        ("category", "user_unknown"),
        ("by", "eve"),
    ] {
        assert_eq!(found[field], value, "{found}");
    }
    let told = home.ok(&["lookup", "old@x.test"]);
    assert!(told.contains("imported from old-esp (import b1) by eve: =asked\n"), "{told}");
    let story = home.ok(&["explain", "old@x.test"]);
    assert!(story.contains("imported from old-esp: hard"), "{story}");
    assert!(story.contains("    import b1, row 1\n"), "{story}");
    assert!(story.contains("quarantined long-term, as by old-esp"), "{story}");
    let row = &home.json(&[
        "list",
        "--category",
        "user_unknown",
        "--standing",
        "quarantined_long_term",
        "--domain",
        "x.test",
    ])[0];
    assert_eq!((&row["source"], &row["batch"]), (&"old-esp".into(), &"b1".into()));
    let released = home.ok(&["release", "old@x.test", "--reason", "back"]);
    assert_eq!(
        released,
        "ok old@x.test: clear (was quarantined_long_term)\n"
            .replace('_', " ")
            .replace("long term", "long-term")
    );
}
