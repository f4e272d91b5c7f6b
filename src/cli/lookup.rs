//! `rcptgate lookup`: what a recipient would get now, and why.

use std::io::Write as _;
use std::path::Path;

use super::args::Lookup;
use super::out::{self, Out, Tone, harmless, plain, tone};
use crate::admin::desk::{self, BATCH_MAX};
use crate::admin::wire::{Found, LookupRequest};
use crate::bounce::labels::description;
use crate::failure::Failure;

pub fn run(config: Option<&Path>, args: &Lookup, out: &mut Out) -> Result<(), Failure> {
    for address in &args.addresses {
        desk::address(address)?;
    }
    desk::tenant(args.tenant.as_deref())?;
    let access = super::access(config)?;
    let mut first = true;
    for batch in args.addresses.chunks(BATCH_MAX) {
        let (addresses, tenant) = (batch.to_vec(), args.tenant.clone());
        let request = LookupRequest { addresses, tenant, record: false };
        for found in access.lookup(&request)? {
            if args.json {
                out::json(out, &found)?;
                continue;
            }
            if !std::mem::take(&mut first) {
                writeln!(out)?;
            }
            show(&found, out)?;
        }
    }
    Ok(())
}

/// One readable block.
pub fn show(found: &Found, out: &mut Out) -> Result<(), Failure> {
    writeln!(out, "{}", out.paint(Tone::Head, &harmless(&found.address)))?;
    if found.key != found.address {
        writeln!(out, "  known as  {}", harmless(&found.key))?;
    }
    let monitored = found.mode == "monitor" && found.verdict != "forward";
    let note = if monitored { "  (monitor mode: forwarded all the same)" } else { "" };
    writeln!(out, "  verdict   {}{note}", out.paint(tone(&found.verdict), &found.verdict))?;
    writeln!(out, "  standing  {}", out.paint(tone(&found.standing), &plain(&found.standing)))?;
    writeln!(out, "  why       {}", why(found))?;
    if let Some(cause) = &found.cause {
        writeln!(out, "  after     {}", harmless(cause))?;
    }
    if let Some(since) = found.since {
        writeln!(out, "  since     {since}")?;
    }
    match found.until {
        Some(until) => writeln!(out, "  until     {until}")?,
        None if found.since.is_some() => writeln!(out, "  until     released")?,
        None => {}
    }
    let others = found.blacklisted.iter().filter(|tenant| tenant.0 != found.tenant);
    let others: Vec<_> = others.map(|tenant| harmless(&tenant.0)).collect();
    if !others.is_empty() {
        writeln!(out, "  but       blacklisted for tenant {}", others.join(", "))?;
    }
    if let Some(reply) = &found.reply {
        writeln!(out, "  reply     {}", harmless(reply))?;
    }
    Ok(())
}

/// The ground of the verdict in plain words.
fn why(found: &Found) -> String {
    let by = || {
        let who = found.by.as_deref().unwrap_or("an operator");
        let note = found.note.as_deref().map(|note| format!(": {note}")).unwrap_or_default();
        harmless(&format!("{who}{note}"))
    };
    match found.reason.as_str() {
        "allowed" if found.since.is_some() => format!("allowed by {}", by()),
        "allowed" => "on the allow list".to_owned(),
        "blacklist" => match found.complained {
            Some(at) => format!("the recipient complained to tenant {} at {at}", found.tenant),
            None => format!("blacklisted for tenant {} by {}", found.tenant, by()),
        },
        "manual" => format!("quarantined by {}", by()),
        "imported" => {
            let (source, batch) = (found.source.as_deref(), found.batch.as_deref());
            let from =
                format!("{} (import {})", source.unwrap_or("elsewhere"), batch.unwrap_or("?"));
            format!("imported from {} by {}", harmless(&from), by())
        }
        "quarantine" | "quarantine_long_term" => {
            let name = found.category.as_deref().unwrap_or("");
            let words = desk::category(name).map(description).unwrap_or("The receiver refused it");
            let brought = found.batch.as_deref();
            let brought =
                brought.map(|batch| format!(", as import {} brought it", harmless(batch)));
            format!("{words} ({name}){}", brought.unwrap_or_default())
        }
        "disposable" => "the domain is on the disposable list".to_owned(),
        "none" if found.verdict != "forward" => "its standing cannot be read now".to_owned(),
        "none" if found.standing == "on_watch" => watch(found.hards, found.softs),
        "none" if found.blocked > 0 => {
            format!(
                "refused {} times for the sender's sake, which counts for nothing",
                found.blocked
            )
        }
        "none" => "nothing is known against it".to_owned(),
        other => plain(other),
    }
}

fn watch(hards: u32, softs: u32) -> String {
    let count = |number: u32, kind: &str| match number {
        0 => None,
        1 => Some(format!("1 {kind} bounce")),
        more => Some(format!("{more} {kind} bounces")),
    };
    let counts: Vec<String> =
        [count(hards, "hard"), count(softs, "soft")].into_iter().flatten().collect();
    if counts.is_empty() {
        "a message to it is being deferred".to_owned()
    } else {
        format!("{} so far, not enough to refuse it", counts.join(" and "))
    }
}
