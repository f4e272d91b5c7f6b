//! What a dry run says of a list of which some is known already: the same as the import then does.

use serde_json::Value;

use crate::admin::Served;
use crate::cli::Home;

const OWN: &str =
    "address,kind,at,until,tenant,category,reason,standing,ground,by,source,batch,id\n";

/// A row of the gate's own form.
fn row(address: &str, kind: &str, at: &str, until: &str, ground: &str) -> String {
    format!("{address},{kind},{at},{until},,,,quarantined_long_term,{ground},,,,\n")
}

fn import(home: &Home, rows: &[String], more: &[&str]) -> String {
    home.write("list.csv", &format!("{OWN}{}", rows.concat()));
    home.ok(&[&["import", "list.csv", "--source", "s", "--reason", "r"], more].concat())
}

fn rows() -> [String; 4] {
    [
        row("released@x.test", "blocked", "2024-03-01T00:00:00Z", "", "manual"),
        row("kept@x.test", "blocked", "2024-03-01T00:00:00Z", "", "manual"),
        row("ending@x.test", "blocked", "2024-03-01T00:00:00Z", "2999-01-01T00:00:00Z", "manual"),
        row("learnt@x.test", "hard", "2024-03-01T00:00:00Z", "", "quarantine_long_term"),
    ]
}

/// Each row once more, one with another end and a later date, and one that no gate had learnt.
fn told_as_it_is(home: &Home) {
    let [released, kept, ending, learnt] = rows();
    let later = ending.replace("2024-03-01", "2024-03-02").replace("2999", "2998");
    let sterner = learnt.replace("hard", "blocked").replace("quarantine_long_term,,", "manual,,");
    let list = [released, kept, ending, later, learnt, sterner];
    let told = import(home, &list, &["--dry-run"]);
    for words in [
        "1  do not become quarantined long-term: a release, delivery or newer entry stands\n",
        "1  are quarantined long-term already\n",
        "1  are quarantined long-term already for another reason; this one is added\n",
        "1  become quarantined\n",
        "1  are quarantined already, with the end that they have\n",
    ] {
        assert!(told.contains(&format!(" {words}")), "{words:?} in {told}");
    }
    let report: Value =
        serde_json::from_str(&import(home, &list, &["--dry-run", "--json"])).expect("JSON");
    assert_eq!(report["compared"], true);
    let blocked = &report["kinds"]["blocked"];
    let counts = ["already", "added", "answered"].map(|count| &blocked[count]);
    assert_eq!(counts.map(|count| &count["quarantined_long_term"]), [1, 1, 1], "{blocked}");
    assert_eq!(report["kinds"]["hard"]["already"]["quarantined_long_term"], 1, "{report}");
}

#[test]
fn what_is_known_is_told_with_a_running_gate_and_without() {
    let home = Home::new();
    import(&home, &rows(), &["--trust", "--yes"]);
    home.ok(&["release", "released@x.test", "--reason", "r"]);
    told_as_it_is(&home);
    let _served = Served::begin(&home);
    told_as_it_is(&home);
    // Whoever does not ask is not told.
    assert!(home.json(&["lookup", "kept@x.test"])[0].get("record").is_none());
}

/// It may be long in coming, and no gate could start meanwhile.
#[test]
fn standard_input_is_not_compared_and_that_is_said() {
    let home = Home::new();
    import(&home, &rows(), &["--trust", "--yes"]);
    let words = ["import", "-", "--source", "s", "--reason", "r", "--dry-run", "--json"];
    let end = home.feed(&words, &format!("{OWN}{}", rows().concat()));
    assert_eq!(end.code, 0, "{end:?}");
    let why = "rcptgate: what is so already was not looked up: standard input may take its time\n";
    assert_eq!(end.err, why);
    let report: Value = serde_json::from_str(&end.out).expect("JSON");
    assert_eq!((&report["compared"], &report["entries"]), (&false.into(), &4.into()));
    assert_eq!(report["kinds"]["blocked"]["already"], serde_json::json!({}));
}
