//! `rcptgate list`: the records, as they come from the index.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;

use serde::Serialize;

use super::access::Rows;
use super::args::ListArgs;
use super::out::{self, Out, Tone, harmless, plain, tone};
use crate::admin::desk;
use crate::admin::wire::{ListRequest, Row};
use crate::failure::Failure;
use crate::smtp::address::RecipientKey;
use crate::time::Timestamp;

pub fn run(config: Option<&Path>, args: &ListArgs, out: &mut Out) -> Result<(), Failure> {
    let usage = |fault: desk::Fault| Failure::Usage(fault.to_string());
    desk::tenant(args.tenant.as_deref()).map_err(usage)?;
    if let Some(domain) = args.domain.as_deref() {
        RecipientKey::parse(&format!("x@{domain}"))
            .map_err(|_| Failure::Usage(format!("--domain {domain:?} is no domain")))?;
    }
    let request = ListRequest {
        standing: args.standing.clone(),
        category: args.category.clone(),
        domain: args.domain.clone(),
        tenant: args.tenant.clone(),
        since: args.since.map(|since| since.point(Timestamp::now())),
        recurring: args.recurring,
        inactive: args.inactive,
        limit: args.limit,
    };
    let access = super::access(config)?;
    let rows = access.list(&request)?;
    if args.count {
        count(rows, args.json, out)
    } else if args.json {
        for row in rows {
            out::json(out, &row?)?;
        }
        Ok(())
    } else if args.csv {
        csv(rows, out)
    } else {
        columns(rows, out)
    }
}

/// How many rows have which standing. An address can be on several blacklists.
#[derive(Debug, Default, Serialize)]
struct Counted {
    standings: BTreeMap<String, u64>,
    /// Addresses in quarantine, of either length.
    quarantined: u64,
    /// Addresses in quarantine or on a blacklist.
    quarantined_or_blacklisted: u64,
}

fn count(rows: Rows, json: bool, out: &mut Out) -> Result<(), Failure> {
    let mut counted = Counted::default();
    // Rows of one address come one behind the other.
    let (mut latest, mut refused, mut quarantined) = (String::new(), false, false);
    for row in rows {
        let row = row?;
        if row.address != latest {
            (latest, refused, quarantined) = (row.address, false, false);
        }
        let is_quarantined = row.standing.starts_with("quarantined");
        if is_quarantined && !std::mem::replace(&mut quarantined, true) {
            counted.quarantined += 1;
        }
        let is_refused = is_quarantined || row.standing == "blacklisted";
        if is_refused && !std::mem::replace(&mut refused, true) {
            counted.quarantined_or_blacklisted += 1;
        }
        *counted.standings.entry(row.standing).or_default() += 1;
    }
    if json {
        return Ok(out::json(out, &counted)?);
    }
    let all: u64 = counted.standings.values().sum();
    for (standing, count) in &counted.standings {
        let share = out::percent(Some(*count), all);
        writeln!(out, "{:<34}{count:>10}{share:>10}", plain(standing))?;
    }
    writeln!(out, "{:<34}{:>10}", "addresses in quarantine", counted.quarantined)?;
    let either = counted.quarantined_or_blacklisted;
    writeln!(out, "{:<34}{either:>10}", "addresses there or on a blacklist")?;
    Ok(())
}

/// Columns of fixed width, the one of unknown width last: nothing has to be held back until the widest is known.
fn columns(rows: Rows, out: &mut Out) -> Result<(), Failure> {
    let mut first = true;
    for row in rows {
        let row = row?;
        if std::mem::take(&mut first) {
            let head = format!(
                "{:<21}  {:<20}  {:<20}  {:<16}  {}",
                "STANDING", "SINCE", "UNTIL", "CATEGORY", "ADDRESS"
            );
            writeln!(out, "{}", out.paint(Tone::Dim, &head))?;
        }
        line(&row, out)?;
    }
    Ok(())
}

fn line(row: &Row, out: &mut Out) -> Result<(), Failure> {
    // Padded before it is painted: colours have a width for the formatter and none on the screen.
    let standing = format!("{:<21}", plain(&row.standing));
    let second = |at: Timestamp| Timestamp::from_secs(at.as_millis().div_euclid(1000)).to_string();
    let tenant = row.tenant.as_ref().filter(|_| row.standing == "blacklisted");
    writeln!(
        out,
        "{}  {:<20}  {:<20}  {:<16}  {}{}",
        out.paint(tone(&row.standing), &standing),
        row.since.map(second).unwrap_or_default(),
        row.until.map_or_else(String::new, second),
        row.category.as_deref().unwrap_or(if row.by.is_some() { "manual" } else { "" }),
        harmless(&row.address),
        tenant.map(|tenant| format!("  tenant {tenant}")).unwrap_or_default(),
    )?;
    Ok(())
}

fn csv(rows: Rows, out: &mut Out) -> Result<(), Failure> {
    let mut table = csv::Writer::from_writer(&mut *out);
    let heading = [
        "address", "standing", "tenant", "reason", "category", "since", "until", "cause", "by",
        "note", "id", "hards", "softs",
    ];
    table.write_record(heading).map_err(out::unwritten)?;
    for row in rows {
        let row = row?;
        let time = |at: Option<Timestamp>| at.map(|at| at.to_string()).unwrap_or_default();
        let text = |text: Option<String>| out::cell(&text.unwrap_or_default());
        let record = [
            row.address,
            row.standing,
            text(row.tenant),
            row.reason,
            text(row.category),
            time(row.since),
            time(row.until),
            text(row.cause),
            text(row.by),
            text(row.note),
            text(row.id),
            row.hards.to_string(),
            row.softs.to_string(),
        ];
        table.write_record(record).map_err(out::unwritten)?;
    }
    Ok(table.flush()?)
}
