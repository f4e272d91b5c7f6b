//! `rcptgate outages`: receivers that refuse what they used to accept, and what an operator makes of that.

use std::io::Write as _;
use std::path::Path;

use super::acts::{by, reason};
use super::args::{OutageCommand, Outages, Resolve};
use super::keep::patiently;
use super::out::{self, Out, Tone, harmless, plain};
use super::undo::{agreed, show_first, shown};
use crate::admin::wire::{OutageReply, OutageRow, ResolveRequest, Undone};
use crate::failure::Failure;
use crate::policy::outage::Resolution;

pub fn run(config: Option<&Path>, args: &Outages, out: &mut Out) -> Result<(), Failure> {
    match &args.command {
        None => list(config, args.json, out),
        Some(OutageCommand::List { json }) => list(config, *json, out),
        Some(OutageCommand::Apply(resolve)) => say(config, Resolution::Apply, resolve, out),
        Some(OutageCommand::Void(resolve)) => say(config, Resolution::Void, resolve, out),
    }
}

fn list(config: Option<&Path>, json: bool, out: &mut Out) -> Result<(), Failure> {
    let access = super::access(config)?;
    let OutageReply { outages } = patiently("reading the journal", || access.outages())?;
    if json {
        return Ok(out::json(out, &OutageReply { outages })?);
    }
    if outages.is_empty() {
        writeln!(out, "no receiver has refused of a sudden what it used to accept")?;
    }
    for outage in &outages {
        show(outage, out)?;
    }
    if outages.iter().any(|outage| matches!(&outage.state[..], "open" | "ended")) {
        let todo = "say what it was: `rcptgate outages void ID --reason R` if mailboxes were refused that exist, `... apply ...` if they are gone";
        writeln!(out, "{}", out.paint(Tone::Dim, todo))?;
    }
    Ok(())
}

fn show(outage: &OutageRow, out: &mut Out) -> Result<(), Failure> {
    let OutageRow { id, key, state, since, until, why, events, addresses, examples } = outage;
    let tone = if state == "open" { Tone::Bad } else { Tone::Head };
    let until = until.map_or_else(|| "it lasts".to_owned(), |until| format!("until {until}"));
    writeln!(out, "{}  {}  {}", out.paint(tone, &plain(state)), harmless(key), harmless(id))?;
    writeln!(out, "    since {since}, {until}: {}", harmless(why))?;
    let kept = if state == "voided" { "void" } else { "held" };
    writeln!(out, "    {kept}: {events} events of {addresses} addresses")?;
    for example in examples {
        writeln!(out, "    such as {}", harmless(example))?;
    }
    Ok(())
}

/// Says what an outage was; never before it was shown what that does.
fn say(
    config: Option<&Path>,
    word: Resolution,
    args: &Resolve,
    out: &mut Out,
) -> Result<(), Failure> {
    let reason = args.order.reason.as_deref().map(reason).transpose()?;
    let access = super::access(config)?;
    let dry = ResolveRequest { dry_run: true, ..ResolveRequest::default() };
    let foreseen =
        patiently("reading the journal", || access.resolve_outage(&args.id, word, &dry))?;
    let text = match foreseen.events {
        0 => b"it keeps nothing from counting\n".to_vec(),
        _ => shown(&foreseen, out)?,
    };
    let Some(reason) = reason.filter(|_| !args.order.dry_run) else {
        if args.order.json {
            out::json(out, &foreseen)?;
        } else {
            out.write_all(&text)?;
        }
        return Ok(());
    };
    let count = foreseen.addresses;
    let refusal = format!("nothing was done: say --yes to decide about these {count} addresses");
    show_first(&text, args.order.json, out)?;
    agreed(&foreseen, args.order.yes, refusal)?;
    let request = ResolveRequest { dry_run: false, reason, by: by(args.order.by.as_deref()) };
    let done = patiently("folding the addresses again", || {
        access.resolve_outage(&args.id, word, &request)
    })?;
    if args.order.json {
        return Ok(out::json(out, &done)?);
    }
    let Undone { events, addresses, id, .. } = &done;
    let outcome = match word {
        Resolution::Apply => "count",
        Resolution::Void => "never count",
    };
    let id = id.as_deref().unwrap_or_default();
    writeln!(out, "ok {events} events of {addresses} addresses {outcome} [{id}]")?;
    Ok(())
}
