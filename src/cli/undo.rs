//! `rcptgate undo`: takes back what was learnt; never before it was shown what that does.

mod unknown;

use std::io::Write as _;
use std::path::Path;

use super::access::{self, Access};
use super::acts::{by, reason};
use super::args::Undo;
use super::keep::patiently;
use super::out::{self, Out, Tone, harmless, plain, tone};
use super::release::UNSEEN_MAX;
use crate::admin::desk;
use crate::admin::wire::{UndoRequest, Undone};
use crate::event::select::{Conditions, Selector};
use crate::failure::Failure;
use crate::time::Timestamp;

pub fn run(config: Option<&Path>, args: &Undo, out: &mut Out) -> Result<(), Failure> {
    let select = conditions(args)?;
    let dry = UndoRequest { select, dry_run: true, ..UndoRequest::default() };
    let reason = args.order.reason.as_deref().map(reason).transpose()?;
    let settings = access::settings(config)?;
    let access = Access::open(&settings)?;
    let foreseen = patiently("reading the journal", || access.undo(&dry))?;
    if foreseen.events == 0 {
        let unknown = unknown::unknown(&settings, &dry.select)?;
        if !unknown.is_empty() {
            if args.order.json {
                out::json(out, &foreseen)?;
                out.flush()?;
            }
            return Err(Failure::Data(format!("nothing to undo: {}", unknown.join("; "))));
        }
    }
    let text = shown(&foreseen, out)?;
    let Some(reason) = reason.filter(|_| !args.order.dry_run && foreseen.events > 0) else {
        if args.order.json {
            out::json(out, &foreseen)?;
        } else {
            out.write_all(&text)?;
        }
        return Ok(());
    };
    let count = foreseen.addresses;
    let refusal =
        format!("nothing was undone: say --yes to undo what is known of these {count} addresses");
    show_first(&text, args.order.json, out)?;
    agreed(&foreseen, args.order.yes, refusal)?;
    let by = by(args.order.by.as_deref());
    let request = UndoRequest { dry_run: false, reason, by, ..dry };
    let undone = patiently("folding the addresses again", || access.undo(&request))?;
    if args.order.json {
        return Ok(out::json(out, &undone)?);
    }
    let Undone { events, addresses, id, changed, .. } = &undone;
    let id = id.as_deref().unwrap_or_default();
    match changed {
        Some(changed) => writeln!(
            out,
            "ok {events} events of {addresses} addresses no longer count, {changed} records changed [{id}]"
        )?,
        // The index was built anew meanwhile.
        None => writeln!(out, "ok, in force [{id}]")?,
    }
    Ok(())
}

/// Shows what an order would do before it is given: beside the result, which a program may be reading.
pub(super) fn show_first(text: &[u8], json: bool, out: &mut Out) -> Result<(), Failure> {
    if json {
        return Ok(std::io::stderr().write_all(text)?);
    }
    out.write_all(text)?;
    Ok(out.flush()?)
}

/// Whether the operator wants what concerns many.
///
/// # Errors
/// They were not asked for with `--yes`: the refusal.
pub(super) fn agreed(foreseen: &Undone, yes: bool, refusal: String) -> Result<(), Failure> {
    let many = usize::try_from(foreseen.addresses).unwrap_or(usize::MAX) > UNSEEN_MAX;
    if many && !yes { Err(Failure::Usage(refusal)) } else { Ok(()) }
}

fn conditions(args: &Undo) -> Result<Conditions, Failure> {
    let now = Timestamp::now();
    let conditions = Conditions {
        since: args.since.map(|since| since.point(now)),
        until: args.until.map(|until| until.point(now)),
        receiver: args.receiver.clone(),
        rule: args.rule.clone(),
        source: args.source.clone(),
        batch: args.batch.clone(),
        category: args.category.as_deref().and_then(desk::category),
        domain: args.domain.clone(),
        by: args.signed_by.clone(),
    };
    Selector::new(conditions.clone()).map_err(|fault| Failure::Usage(fault.to_string()))?;
    Ok(conditions)
}

/// What it would do, in words.
pub fn shown(foreseen: &Undone, out: &Out) -> std::io::Result<Vec<u8>> {
    let mut text = Vec::new();
    if foreseen.events == 0 {
        writeln!(text, "nothing to undo: no event fits that still counts")?;
        return Ok(text);
    }
    let Undone { events, addresses, .. } = foreseen;
    let head = format!("{events} events of {addresses} addresses");
    writeln!(text, "{}", out.paint(Tone::Head, &head))?;
    for (kind, count) in &foreseen.kinds {
        writeln!(text, "{count:>8}  {}", plain(&harmless(kind)))?;
    }
    writeln!(text, "{}", out.paint(Tone::Head, "standings"))?;
    if foreseen.moves.is_empty() {
        writeln!(text, "          none would move")?;
    }
    for moved in &foreseen.moves {
        let after = out.paint(tone(&moved.after), &plain(&moved.after));
        writeln!(text, "{:>8}  {} → {after}", moved.count, plain(&moved.before))?;
    }
    for example in &foreseen.examples {
        let (before, after) = (plain(&example.before), plain(&example.after));
        writeln!(text, "          such as {}: {before} → {after}", harmless(&example.address))?;
    }
    Ok(text)
}
