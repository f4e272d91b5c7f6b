//! `rcptgate import`: a list of another system, checked whole before anything of it is kept.

mod known;
pub(super) mod rows;
mod show;
mod sum;

use std::fs::File;
use std::io::{self, Read, Seek as _, Write as _};
use std::path::Path;

use super::access::{Access, Progress};
use super::acts::{by, reason};
use super::args::Import;
use super::out::{self, Out};
use super::{access, keep};
use crate::admin::desk;
use crate::admin::import::ROWS_MAX;
use crate::admin::wire::{ImportHead, ImportReply, ImportRow};
use crate::app::build;
use crate::config::{self, Settings};
use crate::event::{ImportKind, plain_word};
use crate::exchange::{Entry, Format, Known, ReadError, Reader, Report, Terms, Wanted, survey};
use crate::failure::Failure;
use crate::policy::Policy;
use crate::time::Timestamp;
use rows::Rows;
use sum::Summed;

pub fn run(config: Option<&Path>, args: &Import, out: &mut Out) -> Result<(), Failure> {
    let settings = access::settings(config)?;
    let terms = terms(args, Timestamp::now())?;
    trusted(&settings, args)?;
    let lists = config::load_lists(&settings.lists).map_err(|errors| build::faults(&errors))?;
    let policy =
        config::load_policy(&settings.policy, &lists).map_err(|errors| build::faults(&errors))?;
    let name = args.file.display().to_string();
    let said = |error: ReadError| match error {
        ReadError::Form(why) => Failure::Data(format!("{name}: {why}")),
        ReadError::Row(fault) => Failure::Data(format!("{name}: {fault}")),
        ReadError::Io(error) => Failure::Io(format!("{name}: {error}")),
    };
    if args.file == Path::new("-") {
        if !args.dry_run {
            let why = "standard input can be read once only: put it into a file, or say --dry-run";
            return Err(Failure::Usage(why.to_owned()));
        }
        let access = to_compare(&settings, args);
        let before = (&terms, &policy, access.as_ref());
        let report = look(io::stdin().lock(), None, args, before).map_err(said)?;
        return tell(&report, &name, args, out);
    }
    let (mut file, size) = open(&args.file)?;
    let (summed, before) = Summed::new(&mut file);
    let access = to_compare(&settings, args);
    let report =
        look(summed, Some(size), args, (&terms, &policy, access.as_ref())).map_err(said)?;
    drop(access);
    tell(&report, &name, args, out)?;
    if args.dry_run {
        return Ok(());
    }
    if !args.yes {
        let count = report.entries;
        return Err(Failure::Usage(format!(
            "nothing was imported: say --yes to import these {count} entries"
        )));
    }
    // The same file, whatever has its name by now.
    file.rewind()?;
    let (summed, now) = Summed::new(&mut file);
    let reader = Reader::open(summed, &wanted(args)).map_err(said)?;
    let sums = (now, before.value());
    let rows = Rows { reader, terms: &terms, policy: &policy, name: &name, sums, over: false };
    let kept = keep_all(&settings, &head(&terms, report.entries), rows)?;
    done(&kept, args, out)
}

fn done(kept: &ImportReply, args: &Import, out: &mut Out) -> Result<(), Failure> {
    if args.signed.json {
        return Ok(out::json(out, kept)?);
    }
    let ImportReply { batch, rows, skipped, .. } = kept;
    if *skipped > 0 {
        writeln!(out, "{skipped} rows reset what is not known of their addresses: nothing to do")?;
    }
    match kept.id {
        Some(_) => writeln!(
            out,
            "ok imported {rows} rows as batch {batch}: `rcptgate undo --batch {batch} --reason R` takes it back"
        )?,
        None => writeln!(out, "nothing to import")?,
    }
    Ok(())
}

fn head(terms: &Terms, rows: u64) -> ImportHead {
    ImportHead {
        source: terms.source.clone(),
        batch: terms.batch.clone(),
        rows,
        // It was asked before the file was read.
        trust: true,
        reason: terms.act.reason.clone(),
        by: terms.act.by.clone(),
    }
}

/// Hands all rows to the gate, and waits until they are in force.
fn keep_all(
    settings: &Settings,
    head: &ImportHead,
    rows: impl Iterator<Item = Result<ImportRow, Failure>>,
) -> Result<ImportReply, Failure> {
    let access = Access::open(settings)?;
    let bar = keep::counting("sorting", head.rows);
    let kept = access.import(head, rows, |progress| {
        let (what, done) = match progress {
            Progress::Sorted(rows) => ("sorting", rows),
            Progress::Journaled(rows) => ("journaling", rows),
            Progress::Folded(addresses) => ("folding", addresses),
        };
        if bar.message() != what {
            bar.reset();
            bar.set_message(what);
        }
        bar.set_position(done);
    });
    bar.finish_and_clear();
    kept
}

fn terms(args: &Import, now: Timestamp) -> Result<Terms, Failure> {
    let usage = |why: String| Failure::Usage(why);
    let source = plain_word(&args.source)
        .map_err(|why| usage(format!("--source {:?}: {why}", args.source)))?;
    let tenant = args.tenant.as_deref().map(|name| desk::tenant(Some(name)));
    let tenant = tenant.transpose().map_err(|fault| usage(fault.to_string()))?;
    let (reason, by) = (reason(&args.signed.reason)?, by(args.signed.by.as_deref()));
    let act = desk::signed(&reason, &by).map_err(|fault| usage(fault.to_string()))?;
    Ok(Terms {
        now,
        source: source.to_owned(),
        batch: batch(now)?,
        tenant,
        act,
        reset: args.reset,
        again: args.again,
        force_unsubscribes: args.force_unsubscribes_into_quarantine,
    })
}

/// A name for this import that a person can type, and that no other has: its second, and 32 random bits.
fn batch(now: Timestamp) -> Result<String, Failure> {
    let mut random = [0; 4];
    getrandom::fill(&mut random).map_err(|error| Failure::Internal(error.to_string()))?;
    let second = Timestamp::from_secs(now.as_millis().div_euclid(1000)).to_string();
    let second: String = second.chars().filter(char::is_ascii_alphanumeric).collect();
    Ok(format!("{second}-{:08x}", u32::from_be_bytes(random)))
}

fn trusted(settings: &Settings, args: &Import) -> Result<(), Failure> {
    let known = settings.import_sources.iter().find(|source| source.name == args.source);
    if args.dry_run || args.trust || known.is_some_and(|source| source.trust) {
        return Ok(());
    }
    let name = &args.source;
    let is = if known.is_some() { "is not trusted" } else { "is no [[import_source]]" };
    Err(Failure::Usage(format!(
        "nothing was imported: {name} {is} in {}. Try it with --dry-run; --trust believes this file all the same",
        settings.file.display()
    )))
}

fn wanted(args: &Import) -> Wanted {
    let format = |name: &String| Format::ALL.into_iter().find(|format| format.name() == name);
    Wanted {
        format: args.format.as_ref().and_then(format),
        columns: args.columns.clone(),
        kind: args.kind.as_deref().and_then(ImportKind::named),
        values: args.value.clone(),
        force_unsubscribes: args.force_unsubscribes_into_quarantine,
    }
}

fn open(path: &Path) -> Result<(File, u64), Failure> {
    let said = |error: io::Error| Failure::Io(format!("{}: {error}", path.display()));
    let about = path.metadata().map_err(said)?;
    if !about.is_file() {
        return Err(said(io::Error::other("not a regular file: it is read twice")));
    }
    Ok((File::open(path).map_err(said)?, about.len()))
}

/// The gate that says what it knows already, where somebody is to decide by that. A data directory that is not there knows nothing.
/// Standard input ends when it likes, and without a running gate the store would be ours until then: no gate could start.
fn to_compare(settings: &Settings, args: &Import) -> Option<Access> {
    if args.yes && !args.dry_run || !settings.data_dir.exists() {
        return None;
    }
    if args.file == Path::new("-") {
        known::say("standard input may take its time", &mut io::stderr());
        return None;
    }
    known::or_say(Access::open(settings), &mut io::stderr())
}

/// The first pass: everything is looked at, and nothing is changed.
fn look(
    input: impl Read,
    size: Option<u64>,
    args: &Import,
    (terms, policy, access): (&Terms, &Policy, Option<&Access>),
) -> Result<Report, ReadError> {
    let mut reader = Reader::open(input, &wanted(args))?;
    let bar = keep::bar("reading");
    if let Some(size) = size {
        bar.set_length(size);
    }
    let mut known = access.map(|access| {
        |entries: &[Entry]| {
            let known = known::known(access, entries, (terms.now, policy));
            bar.suspend(|| known::or_say(known, &mut io::stderr()))
        }
    });
    let known = known.as_mut().map(|known| known as &mut Known<'_>);
    let report = survey(&mut reader, terms, policy, known, |bytes| bar.set_position(bytes));
    bar.finish_and_clear();
    Ok(report?)
}

fn tell(report: &Report, name: &str, args: &Import, out: &mut Out) -> Result<(), Failure> {
    if args.signed.json {
        out::json(out, report)?;
    } else {
        show::report(report, name, out)?;
    }
    if report.entries > ROWS_MAX {
        out.flush()?;
        let entries = report.entries;
        return Err(Failure::Data(format!("{name}: {entries} rows, {ROWS_MAX} at most")));
    }
    match report.faults.count() {
        0 if args.dry_run && !args.signed.json => {
            writeln!(out, "dry run: nothing was changed")?;
            Ok(())
        }
        0 => Ok(()),
        faults => {
            out.flush()?;
            let of = report.rows;
            Err(Failure::Data(format!(
                "{name}: {faults} of {of} rows cannot be imported, so nothing was"
            )))
        }
    }
}

#[cfg(test)]
mod tests;
