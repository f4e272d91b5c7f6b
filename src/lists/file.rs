//! List files: plain text, one entry a line, `#` comments, blank lines; a byte order mark and CRLF do no harm.
//!
//! A file is read whole: either every line is good, or every fault is told.

use std::collections::{BTreeMap, HashSet};

use crate::smtp::address::{RecipientKey, domain_key};

use super::{AddressSet, Disposable, DomainSet};

/// Faults told of one file at most: the wrong file named as a list has one on every line.
const FAULTS_MAX: usize = 1000;
/// Characters of a bad line that are shown.
const SHOWN_MAX: usize = 200;

/// A line that cannot be an entry. `text` is as it stands in the file: escape it before showing it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {why}")]
pub struct ListFault {
    /// Line number, from 1.
    pub line: usize,
    /// The line, cut to 200 characters.
    pub text: String,
    /// What is wrong with it.
    pub why: String,
}

/// An entry of a disposable list: a domain, put in or taken out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The domain as keys have it.
    pub domain: String,
    /// Whether a leading `!` takes it out.
    pub removes: bool,
}

/// Reads the operator's disposable list. Of two lines about one domain the later holds.
///
/// # Errors
/// Every line that is no entry.
pub fn parse_disposable(bytes: &[u8], with_builtin: bool) -> Result<Disposable, Vec<ListFault>> {
    // The later line wins, so that appending to the file always does what it says.
    let mut entries = BTreeMap::new();
    each_entry(bytes, |text| {
        disposable_entry(text).map(|entry| {
            entries.insert(entry.domain, entry.removes);
        })
    })?;
    let side = |wanted: bool| -> DomainSet {
        entries
            .iter()
            .filter(|(_, removes)| **removes == wanted)
            .map(|(domain, _)| domain)
            .collect()
    };
    Ok(Disposable::new(with_builtin, side(false), side(true)))
}

/// Reads a list of domains.
///
/// # Errors
/// Every line that is no domain.
pub fn parse_domains(bytes: &[u8]) -> Result<DomainSet, Vec<ListFault>> {
    let mut domains = HashSet::new();
    each_entry(bytes, |text| domain_entry(text).map(|domain| _ = domains.insert(domain)))?;
    Ok(domains.into_iter().collect())
}

/// Reads a list of addresses and domains.
///
/// # Errors
/// Every line that is neither.
pub fn parse_addresses(bytes: &[u8]) -> Result<AddressSet, Vec<ListFault>> {
    let mut addresses = HashSet::new();
    let mut domains = HashSet::new();
    each_entry(bytes, |text| {
        if text.contains('@') && !text.starts_with('@') {
            let key =
                RecipientKey::parse(text).map_err(|fault| format!("not an address: {fault}"))?;
            addresses.insert(key);
        } else {
            domains.insert(domain_entry(text)?);
        }
        Ok(())
    })?;
    Ok(AddressSet::new(addresses, domains.into_iter().collect()))
}

/// The entry on one line of a disposable list; `None` for a blank line or a comment.
///
/// # Errors
/// Says why the line is no entry.
pub fn entry_of(line: &str) -> Result<Option<Entry>, String> {
    let text = without_comment(line);
    if text.is_empty() { Ok(None) } else { disposable_entry(text).map(Some) }
}

/// A domain as a list has it, in the form that keys have.
///
/// # Errors
/// Says why the text is no domain that mail goes to.
pub fn domain_entry(text: &str) -> Result<String, String> {
    if text.starts_with('!') {
        return Err("only the disposable list takes entries out with !".to_owned());
    }
    if text.starts_with(['.', '*', '@']) {
        return Err("write the bare domain, its sub-domains are matched with it".to_owned());
    }
    if text.contains('@') {
        return Err("an address where a domain is expected".to_owned());
    }
    // A domain is good if an address in it is; literals have no sub-domains and no place in a list.
    let fits = RecipientKey::parse(&format!("x@{text}")).is_ok() && !text.starts_with('[');
    let key = domain_key(text);
    if !fits {
        return Err("not a domain name".to_owned());
    }
    if !key.contains('.') {
        return Err("not a domain name: a single label, without a dot".to_owned());
    }
    Ok(key)
}

fn disposable_entry(text: &str) -> Result<Entry, String> {
    let (removes, name) = text.strip_prefix('!').map_or((false, text), |rest| (true, rest.trim()));
    domain_entry(name).map(|domain| Entry { domain, removes })
}

/// Gives each entry's text to `take` and gathers what it objects to.
fn each_entry(
    bytes: &[u8],
    mut take: impl FnMut(&str) -> Result<(), String>,
) -> Result<(), Vec<ListFault>> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut faults = Vec::new();
    for (index, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
        let outcome = match std::str::from_utf8(line).map(without_comment) {
            Ok("") => Ok(()),
            Ok(text) => take(text),
            Err(_) => Err("not UTF-8".to_owned()),
        };
        let Err(why) = outcome else { continue };
        let text = String::from_utf8_lossy(line).trim().chars().take(SHOWN_MAX).collect();
        faults.push(ListFault { line: index + 1, text, why });
        if faults.len() == FAULTS_MAX {
            break;
        }
    }
    if faults.is_empty() { Ok(()) } else { Err(faults) }
}

/// The line without blanks around it and without its comment. A `#` inside a word belongs to it: local parts may have one.
fn without_comment(line: &str) -> &str {
    let mut before = ' ';
    for (at, character) in line.char_indices() {
        if character == '#' && before.is_whitespace() {
            return line.get(..at).unwrap_or(line).trim();
        }
        before = character;
    }
    line.trim()
}
