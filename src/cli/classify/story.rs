//! `rcptgate classify --explain`: the story of a decision, for people.

use std::io::{self, Write as _};
use std::path::Path;

use crate::bounce::explain::{Explanation, Match, Text};
use crate::bounce::labels::{Quarantine, Salesforce, SalesforceCause, description, labels};
use crate::bounce::rules::Field;
use crate::bounce::{Effect, normalize::Kind};
use crate::cli::out::{Out, Tone, harmless};

/// Prints the story of a reply. `own` is the operator's file of rules, if there is one.
pub(super) fn tell(
    reply: &str,
    told: &Explanation,
    own: Option<&Path>,
    out: &mut Out,
) -> io::Result<()> {
    for line in reply.lines() {
        writeln!(out, "{}", harmless(line))?;
    }
    let found = &told.classification;
    let tone = match found.effect {
        Effect::Hard => Tone::Bad,
        Effect::Soft => Tone::Fair,
        Effect::None => Tone::Good,
    };
    let category = out.paint(tone, found.category.name());
    let (scope, effect) = (found.scope, found.effect.name());
    writeln!(out, "\n  {category}, scope {scope}, effect {effect}, rule {}", found.rule)?;
    writeln!(out, "  {}", description(found.category))?;
    read(told, out)?;
    decided(told, own, out)?;
    others(told, own, out)?;
    follows(told, out)?;
    in_other_words(told, out)
}

fn head(out: &mut Out, text: &str) -> io::Result<()> {
    let head = out.paint(Tone::Head, text);
    writeln!(out, "\n{head}")
}

/// What the rules saw.
fn read(told: &Explanation, out: &mut Out) -> io::Result<()> {
    if told.layers.is_empty() {
        return Ok(());
    }
    head(out, "What was read")?;
    let last = told.layers.len() - 1;
    for (place, text) in told.layers.iter().enumerate() {
        let name = match place {
            0 if last > 0 => "quoted reply",
            _ => "whole reply",
        };
        let codes = text
            .status
            .map_or_else(|| text.code.to_string(), |status| format!("{} {status}", text.code));
        writeln!(out, "  {name:<14}{codes}: {}", harmless(&text.words))?;
        taken_out(text, out)?;
    }
    Ok(())
}

fn taken_out(text: &Text, out: &mut Out) -> io::Result<()> {
    for (kind, piece) in &text.taken_out {
        let instead = match kind {
            Kind::Address | Kind::Status => "left out",
            Kind::Link => "read as <www>",
            Kind::Ip => "read as <ip>",
            Kind::Host => "read as <fqdn>",
            Kind::Id => "read as <id>",
            Kind::Words => "read as words",
        };
        let name = kind.name();
        // The address itself is the one thing of a reply that is nobody's business.
        let shown = if *kind == Kind::Address { "<...>".to_owned() } else { harmless(piece) };
        writeln!(out, "    {name:<12}{shown} {instead}")?;
    }
    for phrase in &text.noise {
        writeln!(out, "    {:<12}{:?} left out", "noise", harmless(phrase))?;
    }
    Ok(())
}

/// The questions in their order.
fn decided(told: &Explanation, own: Option<&Path>, out: &mut Out) -> io::Result<()> {
    head(out, "How it was decided")?;
    for (number, step) in (1..).zip(&told.steps) {
        let mark =
            if step.decided { out.paint(Tone::Head, "  <- this decided") } else { String::new() };
        writeln!(out, "  {number} {:<14}{}{mark}", step.question, step.answer)?;
    }
    if let Some(winner) = &told.winner {
        writeln!(out, "  {}", matched(winner, own))?;
    }
    if let Some(why) = told.category_because {
        writeln!(out, "  then {}: {why}", told.classification.category)?;
    }
    Ok(())
}

/// Rule, where it stands, pattern and what it took.
fn matched(one: &Match, own: Option<&Path>) -> String {
    let Match { rule, line, .. } = one;
    let file = match own.filter(|_| one.own) {
        Some(file) => harmless(&file.display().to_string()),
        None => "the built-in rules".to_owned(),
    };
    let rule = format!("{rule}, line {line} of {file}");
    let Some(matched) = &one.matched else { return rule };
    let field = match matched.field {
        Field::Text => "text",
        Field::Raw => "raw",
        Field::Codes => "codes",
        Field::Status => "status",
    };
    let (at, found) = (matched.line, harmless(&matched.found));
    format!("{rule}: {field} {:?} of line {at} took {found:?}", matched.pattern)
}

fn others(told: &Explanation, own: Option<&Path>, out: &mut Out) -> io::Result<()> {
    if told.others.is_empty() {
        return Ok(());
    }
    head(out, "Rules that matched too, and lost")?;
    for other in &told.others {
        let text = matched(other, own);
        let why = other.lost.map_or("", |lost| lost.sentence());
        let why = out.paint(Tone::Dim, why);
        writeln!(out, "  {text}\n    {why}")?;
    }
    Ok(())
}

fn follows(told: &Explanation, out: &mut Out) -> io::Result<()> {
    head(out, "What follows")?;
    let found = &told.classification;
    writeln!(out, "  scope   {:<10} {}", found.scope.name(), told.scope_because)?;
    writeln!(out, "  effect  {:<10} {}", found.effect.name(), told.effect_because)
}

/// The labels of other platforms.
fn in_other_words(told: &Explanation, out: &mut Out) -> io::Result<()> {
    let found = &told.classification;
    let labels = labels(found.category, told.status, &found.rule);
    head(out, "In the words of others")?;
    match labels.marketo {
        Some(number) => writeln!(out, "  Marketo         category {number}, {}", marketo(number))?,
        None => writeln!(out, "  Marketo         no bounce")?,
    }
    let kind = labels.salesforce.map_or("no bounce", salesforce);
    let cause = labels.salesforce_cause.map_or("", cause);
    writeln!(out, "  Salesforce      {kind}{cause}")?;
    let code = labels.activecampaign.code.as_deref().unwrap_or("no code");
    let kind = match labels.activecampaign.kind {
        crate::bounce::labels::Kind::Hard => "hard",
        crate::bounce::labels::Kind::Soft => "soft",
    };
    writeln!(out, "  ActiveCampaign  {code}, {kind} bounce")?;
    let quarantine = match labels.quarantine {
        Quarantine::LongTerm => "long-term quarantine",
        Quarantine::Temporary => "temporary quarantine: 1, 2, 4, 8, 16 weeks",
        Quarantine::Blacklist => "blacklist of the tenant",
        Quarantine::None => "none",
    };
    writeln!(out, "  Quarantine      {quarantine}")
}

const fn marketo(number: u8) -> &'static str {
    match number {
        1 => "spam block",
        2 => "invalid address",
        3 => "soft",
        4 => "technical",
        _ => "unknown",
    }
}

const fn salesforce(kind: Salesforce) -> &'static str {
    match kind {
        Salesforce::Hard => "hard bounce",
        Salesforce::Soft => "soft bounce",
        Salesforce::Technical => "technical bounce",
        Salesforce::Block => "block bounce",
    }
}

const fn cause(cause: SalesforceCause) -> &'static str {
    match cause {
        SalesforceCause::Complaint => ", cause complaint",
        SalesforceCause::Blacklist => ", cause blacklist",
        SalesforceCause::Content => ", cause content",
        SalesforceCause::Url => ", cause URL",
        SalesforceCause::Authentication => ", cause authentication",
    }
}
