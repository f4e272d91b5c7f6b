//! The addresses that are to be released, and why each.

use std::collections::HashSet;
use std::fs::File;
use std::io::{BufRead, BufReader, Read as _};
use std::path::Path;

use crate::admin::desk;
use crate::cli::args::From;
use crate::failure::Failure;
use crate::smtp::address::RecipientKey;

/// Longest line of a file of addresses, in bytes.
const LINE_MAX: u64 = 4096;

/// An address to release.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) address: String,
    /// Why this one, where the file says so.
    pub(super) reason: Option<String>,
}

/// The addresses of a command line, each once. A recipient who complained is a person: off the blacklist they come one at a time.
pub(super) fn given(addresses: &[String], from: From) -> Result<Vec<Wanted>, Failure> {
    let keys = addresses.iter().map(|text| Ok((desk::address(text)?, None)));
    let wanted = distinct(keys)?;
    if from == From::Blacklist && wanted.len() > 1 {
        let why = "nothing was released: each on the blacklist needs a reason of its own; say them one at a time, or in a --file with \
                   lines such as: someone@example.com, subscribed again on 3 May";
        return Err(Failure::Usage(why.to_owned()));
    }
    Ok(wanted)
}

/// Those of a file; `-` is standard input.
pub(super) fn from_file(file: &Path, from: From) -> Result<Vec<Wanted>, Failure> {
    if file == Path::new("-") {
        return read(std::io::stdin().lock(), "standard input", from);
    }
    let name = file.display().to_string();
    let opened = File::open(file).map_err(|error| Failure::Io(format!("{name}: {error}")))?;
    read(BufReader::new(opened), &name, from)
}

/// One address a line, and for the blacklist a reason behind a comma; blank lines and `#` comments say nothing. All must be good, or
/// none is released.
fn read(mut input: impl BufRead, name: &str, from: From) -> Result<Vec<Wanted>, Failure> {
    let mut keys = Vec::new();
    let mut line = Vec::new();
    for number in 1_u64.. {
        line.clear();
        let read = (&mut input).take(LINE_MAX).read_until(b'\n', &mut line);
        if read.map_err(|error| Failure::Io(format!("{name}: {error}")))? == 0 {
            break;
        }
        let bad = |why: &str| Failure::Data(format!("{name}:{number}: {why}"));
        let text = str::from_utf8(&line).map_err(|_| bad("not UTF-8"))?.trim();
        if text.is_empty() || text.starts_with('#') {
            continue;
        }
        let (address, reason) = match (from, text.split_once(',')) {
            (From::Blacklist, Some((address, reason))) => (address.trim(), reason.trim()),
            (From::Blacklist, None) | (From::Quarantine | From::Allow, _) => (text, ""),
        };
        let key = desk::address(address).map_err(|fault| bad(&fault.to_string()))?;
        if from == From::Blacklist && reason.is_empty() {
            return Err(bad("each on the blacklist needs a reason of its own, behind a comma"));
        }
        keys.push((key, (!reason.is_empty()).then(|| reason.to_owned())));
    }
    if keys.is_empty() {
        return Err(Failure::Data(format!("{name}: no address in it")));
    }
    distinct(keys.into_iter().map(Ok))
}

/// Each address once, in the order of its first mention.
fn distinct(
    keys: impl Iterator<Item = Result<(RecipientKey, Option<String>), desk::Fault>>,
) -> Result<Vec<Wanted>, Failure> {
    let mut seen = HashSet::new();
    let mut wanted = Vec::new();
    for key in keys {
        let (key, reason) = key?;
        if seen.insert(key.clone()) {
            wanted.push(Wanted { address: key.to_string(), reason });
        }
    }
    Ok(wanted)
}
