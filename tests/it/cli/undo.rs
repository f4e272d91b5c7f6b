//! What an undo says before it does anything, and of what nobody knows.

use super::*;

/// What nobody knows selects nothing, which is no success.
#[test]
fn an_undo_of_what_nobody_knows_says_so() {
    let home = Home::new();
    home.write("list.csv", "address,kind,at\na@x.test,hard,\n");
    let import = ["import", "list.csv", "--source", "old-esp", "--reason", "r", "--trust", "--yes"];
    let told = home.ok(&[&import[..], &["--columns", "address=address,kind=kind"]].concat());
    let batch = told.split("as batch ").nth(1).and_then(|rest| rest.split(':').next());
    let batch = batch.expect("a batch");
    let refused = |words: &[&str], part: &str| {
        for more in [&["--dry-run"][..], &["--reason", "r"], &["--reason", "r", "--json"]] {
            let end = home.run(&[&["undo"], words, more].concat());
            assert!(end.code == 65 && end.err.contains(part), "{end:?}");
            assert_eq!(end.out.contains("\"events\":0"), more.len() == 3, "{end:?}");
        }
    };
    let text = "rcptgate: nothing to undo: no rule \"nosuch\" is known\n";
    refused(&["--rule", "nosuch"], text);
    refused(
        &["--rule", "own-refusa"],
        "no rule \"own-refusa\" is known; did you mean own-refusal?",
    );
    refused(&["--source", "old-esb"], "no source \"old-esb\" is known; did you mean old-esp?");
    refused(&["--batch", &batch[..9]], &format!("did you mean {batch}?"));
    refused(&["--batch", "b", "--rule", "nosuch"], "; no import \"b\" is known; ");
    // What is known and selects nothing, or nothing any more, is nothing to do.
    home.ok(&["undo", "--rule", "own-refusal", "--reason", "r"]);
    let back = ["undo", "--batch", batch, "--reason", "r"];
    for expected in ["ok 1 events", "nothing to undo: no event fits that still counts"] {
        let told = home.ok(&back);
        assert!(told.contains(expected), "{told}");
    }
    home.ok(&["undo", "--category", "user_unknown", "--dry-run"]);
}

#[test]
fn an_undo_is_answered_from_the_store() {
    let home = Home::new();
    an_undo_is_answered(&home);
    assert!(home.ok(&["rebuild"]).starts_with("ok: 4 events folded into 1 records"));
    assert_eq!(home.json(&["lookup", "a@x.test"])[0]["verdict"], "forward");
}

#[test]
fn much_is_undone_only_after_it_was_shown() {
    let home = Home::new();
    quarantine(&home, 11);
    let words = ["undo", "--signed-by", "eve", "--reason", "all of it"];
    let end = home.run(&words);
    assert_eq!(end.code, 64, "{end:?}");
    assert!(end.out.starts_with("11 events of 11 addresses\n"), "{end:?}");
    assert!(end.err.contains("nothing was undone") && end.err.contains("--yes"), "{end:?}");
    assert_eq!(home.json(&["list"]).len(), 11);
    let end = home.run(&[&words[..], &["--yes", "--json"]].concat());
    let undone: Value = serde_json::from_str(&end.out).expect("JSON");
    assert_eq!((end.code, &undone["done"], &undone["changed"]), (0, &true.into(), &11.into()));
    assert!(end.err.starts_with("11 events of 11 addresses\n"), "{end:?}");
    assert_eq!(home.ok(&["list"]), "");
    // Ten are few.
    quarantine(&home, 10);
    assert!(home.ok(&words).contains("ok 10 events of 10 addresses"));
}
