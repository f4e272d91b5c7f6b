//! `rcptgate release`: takes addresses off a list; many of them only after their causes were shown.

use std::collections::{BTreeMap, HashSet};
use std::fs::File;
use std::io::{BufRead, BufReader, Read as _, Write as _};
use std::path::Path;

use super::access::Access;
use super::acts::{by, reason, show};
use super::args::{From, Release};
use super::out::{self, Out, Tone, harmless, plain};
use crate::admin::desk::{self, BATCH_MAX};
use crate::admin::wire::{Found, LookupRequest, ReleaseRequest};
use crate::failure::Failure;
use crate::smtp::address::RecipientKey;

/// More addresses than this are not released unseen.
pub const UNSEEN_MAX: usize = 10;
/// Longest line of a file of addresses, in bytes.
const LINE_MAX: u64 = 4096;

pub fn run(config: Option<&Path>, args: &Release, out: &mut Out) -> Result<(), Failure> {
    let usage = |fault: desk::Fault| Failure::Usage(fault.to_string());
    desk::tenant(args.tenant.as_deref()).map_err(usage)?;
    let reason = reason(&args.signed.reason)?;
    let addresses = match &args.file {
        Some(file) => from_file(file)?,
        None => distinct(args.addresses.iter().map(|text| desk::address(text)))?,
    };
    let access = super::access(config)?;
    if addresses.len() > UNSEEN_MAX {
        causes(&access, &addresses, args, out)?;
        if !args.yes {
            let count = addresses.len();
            return Err(Failure::Usage(format!(
                "nothing was released: say --yes to release these {count} addresses"
            )));
        }
    }
    let (mut released, mut left) = (0_usize, 0_usize);
    for batch in addresses.chunks(BATCH_MAX) {
        let request = ReleaseRequest {
            addresses: batch.to_vec(),
            from: args.from.into(),
            tenant: args.tenant.clone(),
            reason: reason.clone(),
            by: by(args.signed.by.as_deref()),
        };
        let results = access.release(&request).inspect_err(|_| partly(released))?;
        for done in results {
            if done.done {
                released += 1
            } else {
                left += 1
            }
            if args.signed.json {
                out::json(out, &done)?;
            } else if addresses.len() <= UNSEEN_MAX {
                show(&done, out)?;
            }
        }
    }
    if addresses.len() > UNSEEN_MAX && !args.signed.json {
        writeln!(out, "ok {released} released, {left} had nothing to be released from")?;
    }
    Ok(())
}

/// What was done before it failed is done; a second try finds nothing to do there.
fn partly(released: usize) {
    if released > 0 {
        let _ =
            writeln!(std::io::stderr(), "rcptgate: {released} were released before this failed");
    }
}

fn from_file(file: &Path) -> Result<Vec<String>, Failure> {
    if file == Path::new("-") {
        return read(std::io::stdin().lock(), "standard input");
    }
    let name = file.display().to_string();
    let opened = File::open(file).map_err(|error| Failure::Io(format!("{name}: {error}")))?;
    read(BufReader::new(opened), &name)
}

/// One address a line; blank lines and `#` comments say nothing. All must be good, or none is released.
fn read(mut input: impl BufRead, name: &str) -> Result<Vec<String>, Failure> {
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
        if !text.is_empty() && !text.starts_with('#') {
            keys.push(desk::address(text).map_err(|fault| bad(&fault.to_string()))?);
        }
    }
    if keys.is_empty() {
        return Err(Failure::Data(format!("{name}: no address in it")));
    }
    distinct(keys.into_iter().map(Ok))
}

/// Each address once, in the order of its first mention.
fn distinct(
    keys: impl Iterator<Item = Result<RecipientKey, desk::Fault>>,
) -> Result<Vec<String>, Failure> {
    let mut seen = HashSet::new();
    let mut texts = Vec::new();
    for key in keys {
        let key = key?;
        if seen.insert(key.clone()) {
            texts.push(key.to_string());
        }
    }
    Ok(texts)
}

/// Why these addresses are where they are, by count: an outage of one receiver looks different from two hundred dead mailboxes.
fn causes(
    access: &Access,
    addresses: &[String],
    args: &Release,
    out: &mut Out,
) -> Result<(), Failure> {
    let mut groups: BTreeMap<(String, String), (usize, String)> = BTreeMap::new();
    for batch in addresses.chunks(BATCH_MAX) {
        let request = LookupRequest { addresses: batch.to_vec(), tenant: args.tenant.clone() };
        for found in access.lookup(&request)? {
            let example = example(&found);
            let key = (plain(&found.standing), ground(&found, args.from));
            groups.entry(key).or_insert((0, example)).0 += 1;
        }
    }
    let mut groups: Vec<_> = groups.into_iter().collect();
    groups.sort_by_key(|(_, (count, _))| std::cmp::Reverse(*count));
    // Beside the results, which a program may be reading.
    let mut text = Vec::new();
    writeln!(text, "{}", out.paint(Tone::Head, "causes"))?;
    for ((standing, ground), (count, example)) in groups {
        let example = if example.is_empty() { example } else { format!("  such as: {example}") };
        writeln!(text, "{count:>8}  {standing:<21}  {ground:<16}{example}")?;
    }
    if args.signed.json {
        std::io::stderr().write_all(&text)?
    } else {
        out.write_all(&text)?
    }
    Ok(())
}

fn ground(found: &Found, from: From) -> String {
    if from == From::Blacklist && found.complained.is_some() {
        return "complaint".to_owned();
    }
    found.category.clone().unwrap_or_else(|| plain(&found.reason))
}

fn example(found: &Found) -> String {
    let text = found.cause.as_ref().or(found.note.as_ref()).map(|text| harmless(text));
    text.unwrap_or_default().chars().take(70).collect()
}
