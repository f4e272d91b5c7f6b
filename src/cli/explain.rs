//! `rcptgate explain`: the whole story of an address.

use std::io::Write as _;
use std::path::Path;

use super::args::Explain;
use super::out::{self, Out, Tone, harmless, plain, tone};
use crate::admin::desk;
use crate::admin::wire::Chapter;
use crate::event::{Act, Context, Event, Evidence, Imported, What};
use crate::failure::Failure;

pub fn run(config: Option<&Path>, args: &Explain, out: &mut Out) -> Result<(), Failure> {
    desk::address(&args.address)?;
    desk::tenant(args.tenant.as_deref())?;
    let story = super::access(config)?.explain(&args.address, args.tenant.as_deref())?;
    if args.json {
        return Ok(out::json(out, &story)?);
    }
    super::lookup::show(&story.now, out)?;
    writeln!(out)?;
    if story.events.is_empty() {
        writeln!(out, "nothing has been learnt about it")?;
    }
    for chapter in &story.events {
        show(chapter, out)?;
    }
    for (number, words) in story.next.iter().enumerate() {
        let head = if number == 0 { "next" } else { "    " };
        writeln!(out, "{}  {}", out.paint(Tone::Head, head), harmless(words))?;
    }
    Ok(())
}

fn show(chapter: &Chapter, out: &mut Out) -> Result<(), Failure> {
    let event = &chapter.event;
    let id = out.paint(Tone::Dim, &format!("#{} {}", chapter.seq, event.id));
    let (tone_of, void) = match (&chapter.voided, &chapter.held) {
        (Some(_), _) => (Tone::Dim, "  (void)"),
        (None, Some(_)) => (Tone::Dim, "  (held)"),
        (None, None) => (Tone::Head, ""),
    };
    writeln!(out, "{}  {}{void}  {id}", event.at, out.paint(tone_of, &title(event)))?;
    for line in details(event) {
        writeln!(out, "    {}", harmless(&line))?;
    }
    let after = out.paint(tone(&chapter.after), &plain(&chapter.after));
    let moved = if chapter.before == chapter.after {
        format!("still {after}")
    } else {
        format!("{} → {after}", plain(&chapter.before))
    };
    writeln!(out, "    ⇒ {}  [{moved}]", harmless(&chapter.did))?;
    writeln!(out)?;
    Ok(())
}

/// What happened, in a few words.
pub fn title(event: &Event) -> String {
    match &event.what {
        What::Reply(evidence) => format!("refused: {}", evidence.category),
        What::Delivered(_) => "delivered".to_owned(),
        What::Complaint { .. } => "complained".to_owned(),
        What::Engaged => "opened or clicked".to_owned(),
        What::Quarantine { until: Some(until), .. } => format!("quarantine until {until}"),
        What::Quarantine { until: None, .. } => "quarantine".to_owned(),
        What::Blacklist { .. } => format!("blacklist of tenant {}", event.tenant),
        What::Allow { .. } => "allow".to_owned(),
        What::Release { from, .. } => match from {
            crate::event::List::Quarantine => "release from quarantine".to_owned(),
            crate::event::List::Blacklist => {
                format!("release from the blacklist of tenant {}", event.tenant)
            }
            crate::event::List::Allow => "release from the allow list".to_owned(),
        },
        What::Imported(Imported { kind, source, .. }) => {
            format!("imported from {source}: {}", kind.name())
        }
    }
}

/// What else is known of it, a line each.
pub fn details(event: &Event) -> Vec<String> {
    match &event.what {
        What::Reply(evidence) => {
            let Evidence { reply, rule, stage, scope, .. } = evidence;
            let mut lines: Vec<String> = reply.lines().map(str::to_owned).collect();
            lines.push(format!("answer to {stage}, about the {scope}, read by rule {rule}"));
            lines.extend(message(&evidence.context));
            lines
        }
        What::Delivered(delivery) => {
            let reply = Some(delivery.reply.clone()).filter(|reply| !reply.is_empty());
            reply.into_iter().chain(message(&delivery.context)).collect()
        }
        What::Complaint { source } => {
            source.iter().map(|source| format!("from {source}")).collect()
        }
        What::Engaged => Vec::new(),
        What::Quarantine { act, .. }
        | What::Blacklist { act }
        | What::Allow { act }
        | What::Release { act, .. } => signed(act),
        What::Imported(imported) => {
            let detail = Some(imported.detail.clone()).filter(|detail| !detail.is_empty());
            let row = imported.row.map(|row| format!(", row {row}")).unwrap_or_default();
            let batch = format!("import {}{row}", imported.batch);
            detail.into_iter().chain([batch]).chain(signed(&imported.act)).collect()
        }
    }
}

/// Who did it, and why.
pub fn signed(act: &Act) -> Vec<String> {
    let by = if act.by.is_empty() { String::new() } else { format!("by {}", act.by) };
    let reason = if act.reason.is_empty() { String::new() } else { act.reason.clone() };
    let words: Vec<String> = [by, reason].into_iter().filter(|word| !word.is_empty()).collect();
    if words.is_empty() { words } else { vec![words.join(": ")] }
}

fn message(context: &Context) -> Option<String> {
    let parts = [
        ("message", &context.message),
        ("sender", &context.sender),
        ("campaign", &context.campaign),
        ("receiver", &context.receiver),
    ];
    let known: Vec<String> = parts
        .into_iter()
        .filter_map(|(name, value)| value.as_ref().map(|value| format!("{name} {value}")))
        .collect();
    (!known.is_empty()).then(|| known.join(", "))
}
