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
        if u64::try_from(line.len()).is_ok_and(|length| length == LINE_MAX)
            && line.last() != Some(&b'\n')
        {
            // Its rest would be read as a line of its own: an address in a comment, say.
            return Err(bad(&format!("a line has less than {LINE_MAX} bytes")));
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, from: From, expected: Result<&[(&str, Option<&str>)], &str>) {
        match (read(text.as_bytes(), "f", from), expected) {
            (Ok(wanted), Ok(expected)) => {
                let wanted: Vec<_> = wanted
                    .iter()
                    .map(|wanted| (wanted.address.as_str(), wanted.reason.as_deref()))
                    .collect();
                assert_eq!(wanted, expected, "{text:?}");
            }
            (Err(failure), Err(expected)) => {
                assert!(failure.to_string().contains(expected), "{text:?}: {failure}");
            }
            (read, expected) => panic!("{text:?}: {read:?}, not {expected:?}"),
        }
    }

    #[test]
    fn a_file_has_an_address_a_line_and_each_counts_once() {
        let all: &[_] = &[("b@x.test", None), ("a@x.test", None)];
        let text = "# who asked\n B@X.test \r\n\n  # a@c.test\na@x.test\nb@x.test";
        check(text, From::Quarantine, Ok(all));
        check(text, From::Allow, Ok(all));
        for empty in ["", "\n \n", "# nobody\n"] {
            check(empty, From::Quarantine, Err("f: no address in it"));
        }
        check("a@x.test\nnobody\n", From::Quarantine, Err("f:2: "));
        check("a@x.test, on 3 May\n", From::Quarantine, Err("f:1: "));
    }

    #[test]
    fn on_the_blacklist_each_has_a_reason_of_its_own() {
        let text = "a@x.test, on 3 May, by phone\n# b\nb@x.test ,wrote\na@x.test, again\n";
        let all: &[_] = &[("a@x.test", Some("on 3 May, by phone")), ("b@x.test", Some("wrote"))];
        check(text, From::Blacklist, Ok(all));
        for bare in ["a@x.test\n", "a@x.test,\n", "a@x.test , \n"] {
            check(bare, From::Blacklist, Err("f:1: each on the blacklist needs a reason"));
        }
        let given = |count: usize, from| {
            let addresses: Vec<_> = (0..count).map(|number| format!("u{number}@x.test")).collect();
            super::given(&[addresses.clone(), addresses].concat(), from).map(|all| all.len())
        };
        assert!(matches!(given(1, From::Blacklist), Ok(1)));
        assert!(given(2, From::Blacklist).is_err());
        assert!(matches!(given(2, From::Quarantine), Ok(2)));
    }

    #[test]
    fn the_rest_of_a_long_line_is_no_line() {
        // What stands behind the limit would be an address.
        let comment = format!("#{}\n", " ".repeat(4095) + "a@x.test");
        check(&comment, From::Quarantine, Err("f:1: a line has less than 4096 bytes"));
        let whole = format!("#{}\na@x.test\n", " ".repeat(4094));
        check(&whole, From::Quarantine, Ok(&[("a@x.test", None)]));
    }
}
