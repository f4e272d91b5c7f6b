//! `rcptgate export`: the standings in a form that `import` reads back, or the journal.

use std::io::Write as _;
use std::path::Path;

use super::access::Rows;
use super::args::{Export, ExportFormat};
use super::out::{self, Out, unwritten};
use super::tail::unreadable;
use crate::admin::desk;
use crate::admin::wire::{ListRequest, Row};
use crate::app::build;
use crate::exchange::export::{COLUMNS, Exported};
use crate::failure::Failure;
use crate::journal::Reader;

pub fn run(config: Option<&Path>, args: &Export, out: &mut Out) -> Result<(), Failure> {
    if args.events {
        return events(config, out);
    }
    desk::tenant(args.tenant.as_deref()).map_err(|fault| Failure::Usage(fault.to_string()))?;
    let request = ListRequest {
        standing: args.standing.clone(),
        tenant: args.tenant.clone(),
        ..ListRequest::default()
    };
    let access = super::access(config)?;
    let rows = access.list(&request)?;
    match args.format {
        ExportFormat::Jsonl => {
            for row in rows {
                out::json(out, &exported(row?))?;
            }
            Ok(())
        }
        ExportFormat::Csv => csv(rows, out),
    }
}

fn csv(rows: Rows, out: &mut Out) -> Result<(), Failure> {
    let mut table = csv::Writer::from_writer(&mut *out);
    table.write_record(COLUMNS).map_err(unwritten)?;
    for row in rows {
        let mut row = exported(row?);
        // What strangers wrote reads the same on a terminal and in a file: no escape, no second line. JSON lines keep every character.
        for text in [&mut row.reason, &mut row.by].into_iter().flatten() {
            *text = out::harmless(text);
        }
        table.write_record(row.cells().iter().map(|cell| cell.as_bytes())).map_err(unwritten)?;
    }
    Ok(table.flush()?)
}

/// The journal itself, as `tail` reads it: from the first event that is kept to the last one there is.
fn events(config: Option<&Path>, out: &mut Out) -> Result<(), Failure> {
    let settings = super::access::settings(config)?;
    let journal = build::gate_settings(&settings).journal_dir();
    for located in Reader::open(&journal).map_err(unreadable)? {
        out::json(out, &located.map_err(unreadable)?.entry)?;
    }
    Ok(out.flush()?)
}

fn exported(row: Row) -> Exported {
    Exported {
        kind: Exported::kind_of(&row.standing, &row.reason, row.complained.is_some()),
        address: row.address,
        at: row.since,
        until: row.until,
        tenant: row.tenant,
        category: row.category,
        reason: row.cause.or(row.note),
        standing: row.standing,
        ground: row.reason,
        by: row.by,
        source: row.source,
        batch: row.batch,
        id: row.id,
    }
}
