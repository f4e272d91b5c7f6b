//! A table of `tests/README.md` names a test for each case: every number is there, and every name exists.

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
    let rows = rows(&table, "## The cases\n");
    let numbers: Vec<&str> = rows.iter().map(|(number, _)| *number).collect();
    let wanted: Vec<String> = GROUPS
        .iter()
        .flat_map(|(group, count)| (1..=*count).map(move |number| format!("{group}{number:02}")))
        .collect();
    assert_eq!(numbers, wanted);
    let missing = missing(root, &rows);
    assert!(missing.is_empty(), "no such tests: {missing:#?}");
}

/// The rows of the table below a heading: number, and what shows that it holds.
pub(super) fn rows<'a>(text: &'a str, heading: &str) -> Vec<(&'a str, &'a str)> {
    let (_, section) = text.split_once(heading).expect("the heading");
    let section = section.split_once("\n## ").map_or(section, |(section, _)| section);
    section
        .lines()
        .filter_map(|line| {
            let cells: Vec<&str> =
                line.strip_prefix("| ")?.trim_end_matches(" |").split(" | ").collect();
            Some((*cells.first()?, cells.get(2).copied().unwrap_or_default()))
        })
        .filter(|(number, _)| number.chars().any(|char| char.is_ascii_digit()))
        .collect()
}

/// The tests that rows name and that do not exist.
pub(super) fn missing<'a>(root: &Path, rows: &[(&str, &'a str)]) -> Vec<&'a str> {
    let sources: Vec<(String, String)> =
        [texts(root, "src"), texts(root, "tests/it"), texts(root, "tests/interop")].concat();
    let names = rows.iter().flat_map(|(_, shown)| shown.split('`').skip(1).step_by(2));
    names
        .filter(|name| name.contains(['/', ':', '.']))
        .filter(|name| !exists(root, &sources, name))
        .collect()
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
