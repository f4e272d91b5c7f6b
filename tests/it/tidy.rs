//! The rules about the source that a compiler does not know: layers, purity, one user per library, sizes, words.

mod cases;
mod requirements;
mod rules;
mod source;
#[cfg(test)]
mod tests;
mod tokens;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use rules::Fault;
use source::Source;

/// The repository as a whole; each fault is named with file, line and rule.
#[test]
fn the_repository_is_tidy() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let program = sources(root, "src");
    assert!(!program.is_empty(), "no source found under {}", root.display());
    let tests = sources(root, "tests");

    let mut faults = rules::layers(&program);
    faults.extend(program.iter().flat_map(rules::purity));
    faults.extend(program.iter().flat_map(rules::owners));
    faults.extend(program.iter().flat_map(rules::size));
    faults.extend(program.iter().chain(&tests).flat_map(rules::leftovers));
    for folder in ["src", "config", "README.md"] {
        for (path, text) in texts(root, folder) {
            faults.extend(rules::words(&path, &text));
        }
    }
    report(&faults);
}

fn report(faults: &[Fault]) {
    let list: String = faults.iter().map(|fault| format!("  {fault}\n")).collect();
    assert!(faults.is_empty(), "{} untidy:\n{list}", faults.len());
}

/// Every Rust file below `folder`, read into tokens.
fn sources(root: &Path, folder: &str) -> Vec<Source> {
    texts(root, folder)
        .into_iter()
        .filter(|(path, _)| path.ends_with(".rs"))
        .map(|(path, text)| Source::new(&path, &text))
        .collect()
}

/// Every text file at or below `start`, with its path from the root; what is not UTF-8 is no text.
fn texts(root: &Path, start: &str) -> Vec<(String, String)> {
    let mut pending = vec![root.join(start)];
    let mut found = Vec::new();
    while let Some(path) = pending.pop() {
        if path.is_dir() {
            pending.extend(entries(&path));
        } else if let Ok(text) = fs::read_to_string(&path) {
            let name = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().into_owned();
            found.push((name, text));
        }
    }
    found.sort();
    found
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let listing = fs::read_dir(folder).expect("a folder of the repository can be listed");
    listing.map(|entry| entry.expect("a folder entry can be read").path()).collect()
}

#[test]
fn the_log_has_the_events_that_the_architecture_names() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let named = fs::read_to_string(root.join("src/ARCHITECTURE.md")).expect("the architecture");
    let named = named.split_once("**Logs** ").and_then(|(_, rest)| rest.split_once('.'));
    let named: BTreeSet<&str> =
        named.expect("a paragraph on logs").0.split('`').skip(1).step_by(2).collect();
    let (event, text) = (r#"\bevent = "([a-z_]+)""#, r#",\s*"[^"]*"\s*\);"#);
    let event = regex::Regex::new(event).expect("a pattern");
    let text = regex::Regex::new(text).expect("a pattern");
    let mut found = BTreeSet::new();
    for (path, source) in texts(root, "src") {
        if path.contains("tests") {
            continue;
        }
        for event in event.captures_iter(&source) {
            let whole = event.get(0).expect("the match");
            let call = source[whole.end()..].split_inclusive(");").next().unwrap_or_default();
            // `message` is the client's queue id, and what tracing calls the free text of an event.
            assert!(!text.is_match(call), "{path}: free text in {}", whole.as_str());
            found.insert(event[1].to_owned());
        }
    }
    assert_eq!(found.iter().map(String::as_str).collect::<BTreeSet<_>>(), named);
}
