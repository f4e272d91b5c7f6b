//! The last table of `tests/README.md` names a test for each case: every number is there, and every name exists.

use std::path::Path;

use super::texts;

/// The groups of the catalogue and how many cases each has.
const GROUPS: [(char, usize); 11] = [
    ('A', 20),
    ('B', 13),
    ('C', 19),
    ('D', 10),
    ('E', 16),
    ('F', 27),
    ('G', 9),
    ('H', 13),
    ('I', 10),
    ('J', 19),
    ('K', 15),
];

#[test]
fn every_case_names_tests_that_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let table = std::fs::read_to_string(root.join("tests/README.md")).expect("the table");
    let (_, table) = table.split_once("## The cases\n").expect("the cases");
    let rows: Vec<Vec<&str>> = table
        .lines()
        .filter_map(|line| line.strip_prefix("| ").map(|row| row.split(" | ").collect()))
        .filter(|row: &Vec<&str>| row.first() != Some(&"case"))
        .collect();
    let numbers: Vec<&str> = rows.iter().filter_map(|row| row.first().copied()).collect();
    let wanted: Vec<String> = GROUPS
        .iter()
        .flat_map(|(group, count)| (1..=*count).map(move |number| format!("{group}{number:02}")))
        .collect();
    assert_eq!(numbers, wanted);
    let sources: Vec<(String, String)> =
        [texts(root, "src"), texts(root, "tests/it"), texts(root, "tests/interop")].concat();
    let mut missing = Vec::new();
    for row in &rows {
        let shown = row.get(2).copied().unwrap_or_default();
        let names =
            shown.split('`').skip(1).step_by(2).filter(|name| name.contains(['/', ':', '.']));
        missing.extend(names.filter(|name| !exists(root, &sources, name)));
    }
    assert!(missing.is_empty(), "no such tests: {missing:#?}");
}

fn exists(root: &Path, sources: &[(String, String)], name: &str) -> bool {
    if let Some((file, test)) = name.strip_prefix("interop ").and_then(|name| name.split_once('.'))
    {
        let path = format!("tests/interop/scenarios/{file}.py");
        return sources
            .iter()
            .any(|(of, text)| *of == path && text.contains(&format!("def {test}(")));
    }
    let Some((modules, test)) = name.rsplit_once("::") else {
        return root.join("tests/transcripts").join(format!("{name}.txt")).is_file();
    };
    // The file of the innermost module, or, of `tests` within a file, that file.
    let modules: Vec<&str> = modules.split("::").filter(|module| *module != "tests").collect();
    let module = modules.last().copied().unwrap_or_default();
    let within = |path: &str| path.split(['/', '.']).any(|part| part == module);
    sources.iter().any(|(path, text)| within(path) && text.contains(&format!("fn {test}(")))
}
