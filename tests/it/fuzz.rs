//! A short run of the fuzz targets on plain Rust: the committed corpus, and mutants of it. `tests/fuzz/README.md` says how to
//! run them for long under libFuzzer. `RCPTGATE_SEED` and `RCPTGATE_RUNS` start elsewhere and go on for longer.

#[path = "../fuzz/checks.rs"]
mod checks;

use std::fs;
use std::panic;
use std::path::Path;

use crate::dice::{Dice, from_environment};

/// Words that mean something to one parser or another.
const WORDS: [&[u8]; 32] = [
    b"\r\n",
    b"\r",
    b"\n",
    b"\0",
    b".",
    b"\r\n.\r\n",
    b"..",
    b"<",
    b">",
    b"@",
    b"\"",
    b"\\",
    b":",
    b" ",
    b"\t",
    b"-",
    b"250 ",
    b"250-",
    b"550 5.1.1 ",
    b"354",
    b"MAIL FROM:<",
    b"RCPT TO:<",
    b"EHLO a\r\n",
    b"SIZE=",
    b"xn--",
    b"\xc3\xa9",
    b"\x80",
    b"PROXY TCP4 ",
    b"\r\n\r\n\0\r\nQUIT\n",
    b"[IPv6:::1]",
    b"9999999999999999999999",
    b"x.test",
];

#[test]
fn every_target_holds_for_its_corpus_and_mutants_of_it() {
    let start = from_environment("RCPTGATE_SEED", 1);
    for (name, check) in checks::ALL {
        let corpus = corpus(name);
        assert!(!corpus.is_empty(), "no corpus for {name}");
        corpus.iter().for_each(|bytes| run(name, *check, bytes));
        for seed in start..start + from_environment("RCPTGATE_RUNS", 3000) {
            run(name, *check, &mutant(&corpus, &mut Dice::new(seed)));
        }
    }
}

fn corpus(name: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus").join(name);
    let mut paths: Vec<_> = fs::read_dir(folder)
        .expect("a corpus")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    paths.sort();
    paths.into_iter().map(|path| fs::read(path).expect("a specimen")).collect()
}

fn run(name: &str, check: fn(&[u8]), bytes: &[u8]) {
    let held = panic::catch_unwind(|| check(bytes));
    assert!(held.is_ok(), "{name} does not hold for \"{}\"", bytes.escape_ascii());
}

fn mutant(corpus: &[Vec<u8>], dice: &mut Dice) -> Vec<u8> {
    let any = |dice: &mut Dice| corpus.get(dice.below(corpus.len())).cloned().unwrap_or_default();
    let mut bytes = any(dice);
    for _ in 0..1 + dice.below(6) {
        let at = dice.below(bytes.len() + 1);
        match dice.below(6) {
            0 => drop(bytes.splice(at..at, dice.pick(&WORDS).iter().copied())),
            1 => {
                let random = u8::try_from(dice.below(256)).unwrap_or_default();
                bytes.get_mut(at).into_iter().for_each(|byte| *byte = random);
            }
            2 => drop(bytes.drain(at..(at + 1 + dice.below(8)).min(bytes.len()).max(at))),
            3 => {
                let tail = any(dice);
                let from = dice.below(tail.len() + 1);
                bytes.truncate(at);
                bytes.extend_from_slice(tail.get(from..).unwrap_or_default());
            }
            4 => {
                let end = (at + dice.below(64)).min(bytes.len());
                let again = bytes.get(at..end).unwrap_or_default().repeat(1 + dice.below(12));
                bytes.splice(at..at, again);
            }
            _ => bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 0x20),
        }
    }
    bytes
}
