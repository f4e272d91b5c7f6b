//! The report of an import for people.

use std::collections::BTreeMap;
use std::io::Write as _;

use crate::cli::out::{Out, Tone, harmless, plain, tone};
use crate::exchange::Report;
use crate::failure::Failure;

/// What would come of a file.
pub(super) fn report(report: &Report, name: &str, out: &mut Out) -> Result<(), Failure> {
    let Report { rows, entries, form, source, batch, .. } = report;
    let head = format!("{}: {}, {rows} rows", harmless(name), harmless(form));
    writeln!(out, "{}", out.paint(Tone::Head, &head))?;
    writeln!(out, "  source    {source}")?;
    writeln!(out, "  import    {batch}")?;
    writeln!(out, "  entries   {entries}")?;
    if let (Some(from), Some(to)) = (report.from, report.to) {
        writeln!(out, "  dated     {} to {}", from.date(), to.date())?;
    }
    if report.undated > 0 {
        writeln!(out, "  undated   {}, which count from the import on", report.undated)?;
    }
    if report.repeated > 0 {
        writeln!(
            out,
            "  repeated  {}: the longer one of an address holds, then the newer one",
            report.repeated
        )?;
    }
    kinds(report, out)?;
    for (why, rows) in &report.nothing {
        writeln!(out, "{rows:>10}  nothing: {}", because(why))?;
    }
    counts("tenants", &report.tenants, out)?;
    counts("domains", &report.domains, out)?;
    faults(report, out)
}

fn kinds(report: &Report, out: &mut Out) -> Result<(), Failure> {
    writeln!(out, "{}", out.paint(Tone::Head, "kinds"))?;
    for (kind, of) in &report.kinds {
        let examples = harmless(&of.examples.join(", "));
        writeln!(out, "{:>10}  {kind:<12}  such as {examples}", of.rows)?;
        for (becomes, rows) in &of.becomes {
            let those =
                |counts: &BTreeMap<_, u64>| counts.get(becomes).copied().unwrap_or_default();
            let [already, added, answered] = [&of.already, &of.added, &of.answered].map(those);
            let new = rows.saturating_sub(already + added + answered);
            let ended =
                if *becomes == "quarantined" { ", with the end that they have" } else { "" };
            let becomes = out.paint(tone(becomes), &plain(becomes));
            for (rows, words) in [
                (new, format!("become {becomes}")),
                (already, format!("are {becomes} already{ended}")),
                (added, format!("are {becomes} already for another reason; this one is added")),
                (
                    answered,
                    format!("do not become {becomes}: a release, delivery or newer entry stands"),
                ),
            ] {
                if rows > 0 {
                    writeln!(out, "{:>12}{rows:>10}  {words}", "")?;
                }
            }
        }
    }
    Ok(())
}

fn because(why: &str) -> &str {
    match why {
        "active_without_reset" => "active: an import resets no counts without --reset",
        "over_already" => "their quarantine is over by now",
        "postmaster_or_abuse" => "postmaster and abuse stay reachable",
        "skipped" => "their kind is nothing to import",
        other => other,
    }
}

fn counts(what: &str, counts: &[crate::exchange::Count], out: &mut Out) -> Result<(), Failure> {
    if counts.is_empty() {
        return Ok(());
    }
    writeln!(out, "{}", out.paint(Tone::Head, what))?;
    for count in counts {
        let name = if count.name.is_empty() { "all others" } else { &count.name };
        writeln!(out, "{:>10}  {}", count.rows, harmless(name))?;
    }
    Ok(())
}

fn faults(report: &Report, out: &mut Out) -> Result<(), Failure> {
    if report.faults.count() == 0 {
        return Ok(());
    }
    writeln!(out, "{}", out.paint(Tone::Bad, "faults"))?;
    for fault in &report.faults.shown {
        writeln!(out, "  {}", harmless(&fault.to_string()))?;
    }
    if report.faults.more > 0 {
        writeln!(out, "  and {} more", report.faults.more)?;
    }
    Ok(())
}
