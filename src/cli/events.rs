//! `rcptgate events`: what bounced, across all campaigns.
//!
//! Read from the journal itself, as `tail` does: whether a gate runs or not, and without end in memory.

use std::io::Write as _;
use std::path::Path;

use super::args::EventsArgs;
use super::out::{self, Out, Tone, harmless};
use crate::admin::events::events;
use crate::admin::wire::{EventsRequest, Happened};
use crate::app::build;
use crate::bounce::labels::{Kind, Labels};
use crate::failure::Failure;
use crate::time::Timestamp;

pub fn run(config: Option<&Path>, args: &EventsArgs, out: &mut Out) -> Result<(), Failure> {
    let settings = super::access::settings(config)?;
    let now = Timestamp::now();
    let request = EventsRequest {
        since: args.since.map(|since| since.point(now)),
        until: args.until.map(|until| until.point(now)),
        category: args.category.clone(),
        campaign: args.campaign.clone(),
        receiver: args.receiver.clone(),
        address: args.address.clone(),
        tenant: args.tenant.clone(),
    };
    let found = events(&build::gate_settings(&settings).journal_dir(), &request)?;
    if args.csv {
        return csv(found.map(|it| it.map_err(Failure::from)), out);
    }
    for it in found {
        let it = it?;
        if args.json {
            out::json(out, &it)?;
        } else {
            line(&it, out)?;
        }
    }
    Ok(())
}

fn line(it: &Happened, out: &mut Out) -> Result<(), Failure> {
    let tone = if it.kind == "hard" { Tone::Bad } else { Tone::Fair };
    let reply = it.reply.as_deref().unwrap_or(&it.description).replace('\n', " ");
    writeln!(
        out,
        "{}  {}  {:<16}  {}  {}{}",
        it.at,
        out.paint(tone, &format!("{:<4}", it.kind)),
        it.category,
        out.paint(Tone::Head, &harmless(&it.address)),
        out.paint(Tone::Dim, &harmless(&reply)),
        it.campaign
            .as_ref()
            .map(|name| format!("  campaign {}", harmless(name)))
            .unwrap_or_default(),
    )?;
    Ok(())
}

const HEADING: [&str; 21] = [
    "at",
    "address",
    "type",
    "code",
    "status",
    "category",
    "description",
    "reply",
    "stage",
    "rule",
    "campaign",
    "message",
    "sender",
    "receiver",
    "tenant",
    "marketo",
    "salesforce",
    "salesforce_cause",
    "activecampaign",
    "quarantine",
    "id",
];

fn csv(
    found: impl Iterator<Item = Result<Happened, Failure>>,
    out: &mut Out,
) -> Result<(), Failure> {
    let mut table = csv::Writer::from_writer(&mut *out);
    table.write_record(HEADING).map_err(out::unwritten)?;
    for it in found {
        let it = it?;
        let text = |text: Option<String>| out::cell(&text.unwrap_or_default().replace('\n', " "));
        let [marketo, salesforce, cause, activecampaign, quarantine] = labels(it.labels.as_ref());
        let record: [String; 21] = [
            it.at.to_string(),
            it.address,
            it.kind,
            it.code.map(|code| code.to_string()).unwrap_or_default(),
            text(it.status),
            it.category,
            it.description,
            text(it.reply),
            text(it.stage),
            text(it.rule),
            text(it.campaign),
            text(it.message),
            text(it.sender),
            text(it.receiver),
            it.tenant,
            marketo,
            salesforce,
            cause,
            activecampaign,
            quarantine,
            it.id,
        ];
        table.write_record(record).map_err(out::unwritten)?;
    }
    Ok(table.flush()?)
}

/// Labels in one cell each: Marketo, Salesforce, its cause, ActiveCampaign with its code, the quarantine document.
pub fn labels(labels: Option<&Labels>) -> [String; 5] {
    let Some(labels) = labels else { return Default::default() };
    let kind = match labels.activecampaign.kind {
        Kind::Hard => "hard",
        Kind::Soft => "soft",
    };
    let code = labels.activecampaign.code.as_deref().unwrap_or_default();
    [
        labels.marketo.map(|number| number.to_string()).unwrap_or_default(),
        labels.salesforce.map(word).unwrap_or_default(),
        labels.salesforce_cause.map(word).unwrap_or_default(),
        format!("{code} {kind}").trim_start().to_owned(),
        word(labels.quarantine),
    ]
}

/// The word that stands for it in JSON.
fn word(value: impl serde::Serialize) -> String {
    let value = serde_json::to_value(value).unwrap_or_default();
    value.as_str().unwrap_or_default().to_owned()
}
