//! `rcptgate stats`: figures of the gate.

use std::io::Write as _;
use std::path::Path;

use serde::Serialize;

use super::out::{self, Out, Tone, harmless};
use crate::admin::wire::Figures;
use crate::failure::Failure;

/// Figures, and whose: those since a start are zero where no gate runs.
#[derive(Serialize)]
struct Told<'a> {
    running: bool,
    #[serde(flatten)]
    figures: &'a Figures,
}

pub fn run(config: Option<&Path>, json: bool, out: &mut Out) -> Result<(), Failure> {
    let access = super::access(config)?;
    let figures = access.figures()?;
    if json {
        return Ok(out::json(
            out,
            &Told { running: access.running().is_some(), figures: &figures },
        )?);
    }
    match access.running() {
        Some(address) if figures.ready => {
            let ready = out.paint(Tone::Good, "ready");
            writeln!(
                out,
                "gate                     {ready}, {} mode, admin {address}",
                figures.mode
            )?;
        }
        Some(address) => {
            let state = out.paint(Tone::Bad, "NOT READY");
            writeln!(
                out,
                "gate                     {state}, {} mode, admin {address}",
                figures.mode
            )?;
        }
        None => {
            writeln!(out, "gate                     none runs: these are the figures of its store")?
        }
    }
    for why in &figures.why {
        writeln!(out, "                         {}", harmless(why))?;
    }
    let records = figures.records.map_or_else(|| "?".to_owned(), |count| count.to_string());
    writeln!(out, "version                  {}", figures.version)?;
    writeln!(out, "records                  {records}")?;
    if let Some(standings) = &figures.standings {
        let rows = [
            ("on watch", standings.on_watch),
            ("quarantined", standings.quarantined),
            ("quarantined long-term", standings.quarantined_long_term),
            ("blacklisted", standings.blacklisted),
            ("allowed", standings.allowed),
            ("clear", standings.clear),
        ];
        for (name, count) in rows {
            writeln!(out, "  {name:<23}{count}")?;
        }
    }
    if figures.orders > 0 {
        let under_way = match figures.refolding {
            0 => String::new(),
            count => format!(", {count} being carried out"),
        };
        writeln!(out, "undos                    {}{under_way}", figures.orders)?;
    }
    if figures.imports > 0 {
        writeln!(out, "imports                  {}", figures.imports)?;
    }
    if figures.unresolved > 0 {
        let lasting = match figures.outages {
            0 => String::new(),
            count => format!(", {} on", out.paint(Tone::Bad, &count.to_string())),
        };
        writeln!(
            out,
            "outages                  {} to be resolved{lasting}: see `rcptgate outages`",
            figures.unresolved
        )?;
    }
    if access.running().is_some() {
        let rows = [
            ("judged", figures.judged),
            ("learnt", figures.learnt),
            ("unlearnt", figures.unlearnt),
            ("late", figures.late),
            ("noted only", figures.noted),
            ("left out", figures.left_out),
            ("held by outages", figures.held),
            ("without effect", figures.ignored),
            ("failures", figures.failures),
            ("recoveries", figures.recoveries),
        ];
        writeln!(out, "sessions                 {}", figures.sessions)?;
        writeln!(out, "since the start")?;
        for (name, count) in rows {
            writeln!(out, "  {name:<23}{count}")?;
        }
    }
    Ok(())
}
