//! A replay in words.

use std::io::{self, Write as _};

use super::super::out::{Out, Tone, harmless, plain, tone};
use super::tally::{Place, Report};

pub fn show(report: &Report, out: &mut Out) -> io::Result<()> {
    let Report { tried, counts, .. } = report;
    let rules = tried.rules.as_ref().map(|file| format!(", replies read by {file}"));
    let against = tried.against.as_ref().map(|name| format!(" against {name}"));
    let (rules, against) = (rules.unwrap_or_default(), against.unwrap_or_default());
    let head = format!("policy {}{rules}{against}, as of {}", tried.policy, tried.as_of);
    writeln!(out, "{}", out.paint(Tone::Head, &harmless(&head)))?;
    writeln!(
        out,
        "{:>8}  events of {} addresses; {} undone and {} of another time left out",
        counts.events, report.addresses, counts.undone, counts.outside
    )?;
    if counts.held > 0 {
        writeln!(out, "{:>8}  more are kept from counting by outages", counts.held)?;
    }
    if tried.rules.is_some() {
        writeln!(out, "{:>8}  replies read otherwise", counts.read_otherwise)?;
    }
    if tried.against.is_some() {
        writeln!(out, "{:>8}  addresses would be refused that are not", report.quarantined)?;
        writeln!(out, "{:>8}  addresses would be released", report.released)?;
    } else {
        writeln!(out, "{:>8}  addresses would be refused", report.quarantined)?;
    }
    let attempts = counts.attempts_refused;
    writeln!(
        out,
        "{attempts:>8}  messages or more that it would have refused, of those that went on"
    )?;
    standings(report, out)?;
    moves(report, out)?;
    places("domains", &report.domains, out)?;
    places("receivers", &report.receivers, out)?;
    writeln!(out, "{}", out.paint(Tone::Head, "not known"))?;
    for words in tried.unknown {
        writeln!(out, "          {}", out.paint(Tone::Dim, words))?;
    }
    Ok(())
}

fn standings(report: &Report, out: &mut Out) -> io::Result<()> {
    writeln!(out, "{}", out.paint(Tone::Head, "standings"))?;
    let mut names: Vec<_> = report.after.keys().chain(report.before.keys()).collect();
    names.sort();
    names.dedup();
    for name in names {
        let after = report.after.get(name).copied().unwrap_or_default();
        let painted = out.paint(tone(name), &plain(name));
        match &report.tried.against {
            Some(_) => {
                let before = report.before.get(name).copied().unwrap_or_default();
                writeln!(out, "{before:>8} → {after:<8}  {painted}")?;
            }
            None => writeln!(out, "{after:>8}  {painted}")?,
        }
    }
    Ok(())
}

fn moves(report: &Report, out: &mut Out) -> io::Result<()> {
    writeln!(out, "{}", out.paint(Tone::Head, "by cause"))?;
    if report.moves.is_empty() {
        writeln!(out, "          none would move")?;
    }
    for change in &report.moves {
        let after = out.paint(tone(change.after), &plain(change.after));
        let before = match change.before {
            Some(before) if before == change.after => "another end, ".to_owned(),
            Some(before) => format!("{} → ", plain(before)),
            None => String::new(),
        };
        writeln!(out, "{:>8}  {}: {before}{after}", change.count, plain(change.cause))?;
        for address in &change.examples {
            writeln!(out, "            such as {}", harmless(address))?;
        }
    }
    Ok(())
}

fn places(title: &str, places: &[Place], out: &mut Out) -> io::Result<()> {
    if places.is_empty() {
        return Ok(());
    }
    writeln!(out, "{}", out.paint(Tone::Head, title))?;
    for Place { name, quarantined, released } in places {
        writeln!(out, "{quarantined:>8} refused, {released} released  {}", harmless(name))?;
    }
    Ok(())
}
