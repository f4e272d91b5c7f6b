//! The table of requirements in `tests/README.md`: every requirement of the source documents is there, and every test that it names.

use std::path::Path;

use super::cases::missing;

/// The source documents by letter, and how many requirements each has; X are the points where they disagree.
const DOCUMENTS: [(char, usize); 6] =
    [('M', 15), ('S', 23), ('A', 12), ('Q', 31), ('G', 11), ('X', 20)];

#[test]
fn every_requirement_names_tests_that_exist_or_why_there_is_none() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let table = std::fs::read_to_string(root.join("tests/README.md")).expect("the table");
    let rows = super::cases::rows(&table, "## The requirements\n");
    let numbers: Vec<&str> = rows.iter().map(|(number, _)| *number).collect();
    let wanted: Vec<String> = DOCUMENTS
        .iter()
        .flat_map(|(document, count)| (1..=*count).map(move |number| format!("{document}{number}")))
        .collect();
    assert_eq!(numbers, wanted);
    let unproven: Vec<&str> =
        rows.iter().filter(|(_, shown)| !is_answer(shown)).map(|row| row.0).collect();
    assert!(unproven.is_empty(), "neither a test nor a reason: {unproven:?}");
    let missing = missing(root, &rows);
    assert!(missing.is_empty(), "no such tests: {missing:#?}");
}

/// A test, or a reason why there is none.
fn is_answer(shown: &str) -> bool {
    shown.starts_with("out of reach: ") || shown.contains("::") || shown.contains('/')
}
