//! `rcptgate report`: what became of recipients.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;

use comfy_table::{CellAlignment, Table, presets};

use super::args::ReportArgs;
use super::events::labels;
use super::out::{self, Out, Tone, harmless, percent};
use crate::admin::desk;
use crate::admin::wire::{CauseRow, Report, ReportRequest, Share, Tallied};
use crate::failure::Failure;
use crate::tally::{Cause, Class, Ground};
use crate::time::Timestamp;

pub fn run(config: Option<&Path>, args: &ReportArgs, out: &mut Out) -> Result<(), Failure> {
    desk::tenant(args.tenant.as_deref()).map_err(|fault| Failure::Usage(fault.to_string()))?;
    let now = Timestamp::now();
    let request = ReportRequest {
        by: Some(args.by.clone()),
        since: args.since.map(|since| since.point(now)),
        until: args.until.map(|until| until.point(now)),
        tenant: args.tenant.clone(),
        receiver: args.receiver.clone(),
        campaign: args.campaign.clone(),
        limit: Some(args.limit),
    };
    let settings = super::access::settings(config)?;
    let report = super::access::Access::open(&settings)?.report(&settings, &request)?;
    if report.broken > 0 {
        let told = format!("rcptgate: {} lines of the tally cannot be read", report.broken);
        // Whoever does not read it misses a warning only.
        let _ = writeln!(std::io::stderr(), "{told}: so much is missing");
    }
    match (args.json, args.csv, report.by == "cause") {
        (true, _, _) => Ok(out::json(out, &report)?),
        (false, true, true) => csv_of_causes(&report.causes, out),
        (false, true, false) => csv_of_rows(&report.rows, out),
        (false, false, true) => causes(&report.causes, out),
        (false, false, false) => rows(&report, out),
    }
}

fn rows(report: &Report, out: &mut Out) -> Result<(), Failure> {
    if report.total.sent == 0 && report.total.refused.count == 0 {
        writeln!(out, "nothing was counted")?;
        return Ok(());
    }
    let name = report.by.to_uppercase();
    let heading = [
        &name,
        "SENT",
        "DELIVERED",
        "HARD",
        "",
        "SOFT",
        "",
        "BLOCKED",
        "",
        "OTHER",
        "",
        "DEFERRED",
        "REFUSED HERE",
        "BOUNCED FOR",
    ];
    let mut table = plain_table(&heading, 1..heading.len() - 1);
    for row in report.rows.iter().chain([&report.total]) {
        let decided = row.delivered + bounced(row);
        let rate = |share: &Share| percent(Some(share.count), decided);
        let marked = |share: &Share, kind: &str| {
            let mark = if row.alerts.iter().any(|alert| alert == kind) { " !" } else { "" };
            format!("{}{mark}", rate(share))
        };
        table.add_row([
            harmless(&row.name),
            row.sent.to_string(),
            row.delivered.to_string(),
            row.hard.count.to_string(),
            marked(&row.hard, "hard"),
            row.soft.count.to_string(),
            marked(&row.soft, "soft"),
            row.blocked.count.to_string(),
            rate(&row.blocked),
            row.technical.count.to_string(),
            rate(&row.technical),
            row.deferred.count.to_string(),
            row.refused.count.to_string(),
            bounces(row),
        ]);
    }
    writeln!(out, "{}", table.trim_fmt())?;
    if report.left_out > 0 {
        writeln!(out, "and {} more; the total has all", report.left_out)?;
    }
    writeln!(out)?;
    why(&report.total, out)?;
    if report.rows.iter().any(|row| !row.alerts.is_empty()) {
        let told = format!(
            "! hard bounces of {}% or more, or soft ones of {}% or more, of what was delivered or bounced",
            report.hard_alert * 100.0,
            report.soft_alert * 100.0
        );
        writeln!(out, "{}", out.paint(Tone::Bad, &told))?;
    }
    Ok(())
}

/// Of what the columns consist, in all.
fn why(total: &Tallied, out: &mut Out) -> Result<(), Failure> {
    let parts = [
        ("hard", &total.hard),
        ("soft", &total.soft),
        ("blocked", &total.blocked),
        ("other", &total.technical),
        ("deferred", &total.deferred),
        ("refused here", &total.refused),
    ];
    for (name, share) in parts.into_iter().filter(|(_, share)| share.count > 0) {
        writeln!(out, "{}  {}", out.paint(Tone::Dim, &format!("{name:<12}")), causes_of(share))?;
    }
    if total.unfinished > 0 {
        let name = out.paint(Tone::Dim, "unfinished  ");
        writeln!(out, "{name}  {}", total.unfinished)?;
    }
    Ok(())
}

/// For what a row bounced, the causes of a class together.
fn bounces(row: &Tallied) -> String {
    let shares = [&row.hard, &row.soft, &row.blocked, &row.technical];
    let told: Vec<_> = shares.map(causes_of).into_iter().filter(|told| !told.is_empty()).collect();
    told.join("; ")
}

fn causes_of(share: &Share) -> String {
    let came = share.causes.iter().filter(|(_, count)| **count > 0);
    came.map(|(cause, count)| format!("{cause} {count}")).collect::<Vec<_>>().join(", ")
}

const fn bounced(row: &Tallied) -> u64 {
    row.hard.count + row.soft.count + row.blocked.count + row.technical.count
}

fn causes(causes: &[CauseRow], out: &mut Out) -> Result<(), Failure> {
    if causes.is_empty() {
        writeln!(out, "nothing was refused")?;
        return Ok(());
    }
    let heading = [
        "OUTCOME",
        "CAUSE",
        "CLASS",
        "COUNT",
        "SHARE",
        "MARKETO",
        "SALESFORCE",
        "ACTIVECAMPAIGN",
        "QUARANTINE",
    ];
    let mut table = plain_table(&heading, 3..5);
    for row in causes {
        let [marketo, salesforce, cause, activecampaign, quarantine] = labels(row.labels.as_ref());
        let salesforce = format!("{salesforce} {cause}");
        table.add_row([
            row.outcome.clone(),
            row.cause.clone(),
            row.class.clone(),
            row.count.to_string(),
            format!("{:.2}%", row.share * 100.0),
            marketo,
            salesforce.trim_end().to_owned(),
            activecampaign,
            quarantine,
        ]);
    }
    writeln!(out, "{}\n", table.trim_fmt())?;
    let mut told = std::collections::BTreeSet::new();
    for row in causes.iter().filter(|row| told.insert(&row.cause)) {
        let name = out.paint(Tone::Head, &format!("{:<18}", row.cause));
        writeln!(out, "{name}  {}", row.description)?;
        if let Some(example) = &row.example {
            let example = harmless(&example.replace('\n', " "));
            writeln!(out, "{:<18}  {}", "", out.paint(Tone::Dim, &example))?;
        }
    }
    Ok(())
}

fn plain_table(heading: &[&str], numbers: std::ops::Range<usize>) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_header(heading.iter().copied());
    for column in numbers {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

/// Numbers only, a column for each cause, so that a spreadsheet can go on from there.
fn csv_of_rows(rows: &[Tallied], out: &mut Out) -> Result<(), Failure> {
    let mut heading = Vec::from(["name", "sent", "delivered", "unfinished"].map(str::to_owned));
    let columns = columns();
    for (kind, has_rate, causes) in &columns {
        heading.push((*kind).to_owned());
        heading.extend(has_rate.then(|| format!("{kind}_rate")));
        heading.extend(causes.iter().map(|cause| format!("{kind}.{cause}")));
    }
    heading.push("alerts".to_owned());
    let mut table = csv::Writer::from_writer(&mut *out);
    table.write_record(&heading).map_err(out::unwritten)?;
    for row in rows {
        let mut record = vec![out::cell(&row.name)];
        record.extend([row.sent, row.delivered, row.unfinished].map(|count| count.to_string()));
        let shares =
            [&row.hard, &row.soft, &row.blocked, &row.technical, &row.deferred, &row.refused];
        for ((_, has_rate, causes), share) in columns.iter().zip(shares) {
            record.push(share.count.to_string());
            let rate = || share.rate.map(|rate| format!("{rate:.6}")).unwrap_or_default();
            record.extend(has_rate.then(rate));
            let of = |cause: &&str| share.causes.get(*cause).copied().unwrap_or_default();
            record.extend(causes.iter().map(of).map(|count| count.to_string()));
        }
        record.push(row.alerts.join(" "));
        table.write_record(&record).map_err(out::unwritten)?;
    }
    Ok(table.flush()?)
}

/// Each kind of end, whether it has a rate, and its causes.
fn columns() -> [(&'static str, bool, Vec<&'static str>); 6] {
    let mut of_class = BTreeMap::new();
    for cause in Cause::ALL {
        of_class.entry(cause.class().name()).or_insert_with(Vec::new).push(cause.name());
    }
    let mut of = |class: Class| of_class.remove(class.name()).unwrap_or_default();
    let blocks = vec!["complaint", "blacklist", "content", "url", "authentication", "other"];
    [
        ("hard", true, of(Class::Hard)),
        ("soft", true, of(Class::Soft)),
        ("blocked", true, blocks),
        ("technical", true, of(Class::Technical)),
        ("deferred", false, Cause::ALL.map(Cause::name).to_vec()),
        ("refused", false, Ground::ALL.map(Ground::name).to_vec()),
    ]
}

fn csv_of_causes(causes: &[CauseRow], out: &mut Out) -> Result<(), Failure> {
    let mut table = csv::Writer::from_writer(&mut *out);
    let heading = [
        "outcome",
        "cause",
        "class",
        "count",
        "share",
        "marketo",
        "salesforce",
        "salesforce_cause",
        "activecampaign",
        "quarantine",
        "description",
        "example",
    ];
    table.write_record(heading).map_err(out::unwritten)?;
    for row in causes {
        let [marketo, salesforce, cause, activecampaign, quarantine] = labels(row.labels.as_ref());
        let record = [
            row.outcome.clone(),
            row.cause.clone(),
            row.class.clone(),
            row.count.to_string(),
            format!("{:.6}", row.share),
            marketo,
            salesforce,
            cause,
            activecampaign,
            quarantine,
            row.description.clone(),
            out::cell(row.example.as_deref().unwrap_or_default()),
        ];
        table.write_record(record).map_err(out::unwritten)?;
    }
    Ok(table.flush()?)
}
