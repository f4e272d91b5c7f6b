//! `rcptgate simulate`: the fold over a file of events under any policy.

mod folded;
mod journaled;

use std::io::{BufRead, Read as _, Write};

use serde::Deserialize;
use serde_json::Value;

use super::classify::stage;
use crate::bounce::classify::Classifier;
use crate::bounce::{Category, Stage, is_about_one_recipient};
use crate::event::{
    Act, Context, Delivery, Event, EventId, Evidence, ImportKind, Imported, List, Tenant, What,
};
use crate::failure::Failure;
use crate::policy::answer::Answer;
use crate::policy::guard::OutageKey;
use crate::policy::outage::Resolution;
use crate::policy::verdict::Listing;
use crate::policy::{Policy, decide};
use crate::routing::receiver::organisation;
use crate::smtp::address::{RecipientKey, domain_key};
use crate::smtp::reply::{Reply, Severity};
use crate::time::Timestamp;
use folded::Folded;

/// Longest line of input, in bytes.
const LINE_MAX: u64 = 1 << 20;

/// A line of input.
#[derive(Deserialize)]
struct Line {
    at: Value,
    #[serde(rename = "type")]
    kind: Kind,
    address: Option<String>,
    domain: Option<String>,
    tenant: Option<Tenant>,
    campaign: Option<String>,
    message: Option<String>,
    sender: Option<String>,
    stage: Option<String>,
    reply: Option<String>,
    recipients: Option<u32>,
    receiver: Option<String>,
    from: Option<List>,
    until: Option<Timestamp>,
    reason: Option<String>,
    source: Option<String>,
    #[serde(rename = "do")]
    resolution: Option<Resolution>,
    #[serde(rename = "kind")]
    imported: Option<ImportKind>,
    dated: Option<Timestamp>,
    category: Option<Category>,
    #[serde(default)]
    forced: bool,
    #[serde(default)]
    learnt: bool,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Reply,
    Delivered,
    Complaint,
    Release,
    Engaged,
    Quarantine,
    Blacklist,
    Allow,
    /// An operator's word about an outage that the guard has seen.
    Outage,
    Imported,
    Ask,
}

/// Folds JSON lines of events, in order of time, and answers each `ask` with a line, as of that line's own time. Lines of a journal are
/// taken as they stand, in its order, and as `replay` does: replies as they were read, orders obeyed, outages those that were seen.
///
/// # Errors
/// `Data` names the line that is no event or is earlier than the one before it; what was asked before it has been answered.
/// `Io` when reading or writing fails.
pub fn run(
    mut input: impl BufRead,
    mut output: impl Write,
    classifier: &Classifier,
    policy: &Policy,
    listing: impl Fn(&RecipientKey) -> Listing,
) -> Result<(), Failure> {
    let mut simulation =
        Simulation { classifier, policy, records: Folded::new(policy), latest: None, seq: 0 };
    let mut text = Vec::new();
    let mut number = 0_u64;
    let outcome = loop {
        text.clear();
        number += 1;
        match (&mut input).take(LINE_MAX + 1).read_until(b'\n', &mut text) {
            Ok(0) => break Ok(()),
            Ok(_) if text.trim_ascii().is_empty() => {}
            Ok(_) => match simulation.line(number, &text, &listing) {
                Ok(None) => {}
                Ok(Some(answer)) => {
                    serde_json::to_writer(&mut output, &answer).map_err(std::io::Error::from)?;
                    output.write_all(b"\n")?;
                }
                Err(problem) => break Err(Failure::Data(format!("line {number}: {problem}"))),
            },
            Err(error) => break Err(error.into()),
        }
    };
    output.flush()?;
    outcome
}

struct Simulation<'a> {
    classifier: &'a Classifier,
    policy: &'a Policy,
    records: Folded<'a>,
    latest: Option<(Timestamp, u64)>,
    /// The sequence of the last line of a journal.
    seq: u64,
}

impl Simulation<'_> {
    fn line(
        &mut self,
        number: u64,
        text: &[u8],
        listing: impl Fn(&RecipientKey) -> Listing,
    ) -> Result<Option<Answer<Value>>, String> {
        if text.len() as u64 > LINE_MAX {
            return Err(format!("longer than {LINE_MAX} bytes"));
        }
        if journaled::is_journaled(text) {
            return self.journaled(number, text).map(|()| None);
        }
        let line: Line =
            serde_json::from_slice(text.trim_ascii_end()).map_err(|error| no_event(&error))?;
        let at = read_time(&line.at)?;
        match self.latest {
            Some((latest, before)) if at < latest => {
                return Err(format!("{at} is earlier than {latest} of line {before}"));
            }
            Some(_) | None => self.latest = Some((at, number)),
        }
        if matches!(line.kind, Kind::Outage) {
            return self.outage(&line, at).map(|()| None);
        }
        let text = line.address.as_deref().ok_or("not an event: missing field `address`")?;
        let address =
            RecipientKey::parse(text).map_err(|error| format!("address {text:?}: {error}"))?;
        let Some(what) = self.what(&line)? else {
            return Ok(match line.kind {
                Kind::Ask => Some(self.answer(line, &address, at, &listing(&address))),
                Kind::Reply
                | Kind::Delivered
                | Kind::Complaint
                | Kind::Release
                | Kind::Engaged
                | Kind::Quarantine
                | Kind::Blacklist
                | Kind::Allow
                | Kind::Imported
                | Kind::Outage => None,
            });
        };
        let id = EventId(format!("line-{number}"));
        let event = Event { id, at, address, tenant: line.tenant.unwrap_or_default(), what };
        self.records.learn(event);
        Ok(None)
    }

    /// Resolves the outage that the line names.
    fn outage(&mut self, line: &Line, at: Timestamp) -> Result<(), String> {
        let resolution = line.resolution.ok_or("an outage without \"do\"")?;
        let key = match (&line.receiver, &line.domain) {
            (Some(name), None) => OutageKey::Receiver(organisation(name)),
            (None, Some(name)) => OutageKey::Domain(domain_key(name)),
            (Some(_), Some(_)) | (None, None) => {
                return Err("an outage is of a \"receiver\" or of a \"domain\"".to_owned());
            }
        };
        self.records.resolve(&key, at, resolution)
    }

    fn answer(
        &self,
        line: Line,
        address: &RecipientKey,
        at: Timestamp,
        listing: &Listing,
    ) -> Answer<Value> {
        let tenant = line.tenant.unwrap_or_default();
        let decision = decide(self.records.record(address), listing, &tenant, at, self.policy);
        Answer::new(line.at, line.address.unwrap_or_default(), &decision)
    }

    /// What happened, or nothing: a question, and a reply that neither refuses nor proves anything.
    fn what(&self, line: &Line) -> Result<Option<What>, String> {
        let context = || Context {
            message: line.message.clone(),
            sender: line.sender.clone(),
            campaign: line.campaign.clone(),
            receiver: line.receiver.clone(),
        };
        let act = || Act { reason: line.reason.clone().unwrap_or_default(), by: String::new() };
        Ok(Some(match line.kind {
            Kind::Ask | Kind::Outage => return Ok(None),
            Kind::Reply => return self.reply(line, context()),
            Kind::Delivered => What::Delivered(Delivery {
                reply: line.reply.clone().unwrap_or_default(),
                context: context(),
            }),
            Kind::Complaint => What::Complaint { source: line.source.clone() },
            Kind::Engaged => What::Engaged,
            Kind::Release => What::Release { from: line.from.unwrap_or_default(), act: act() },
            Kind::Quarantine => What::Quarantine { until: line.until, act: act() },
            Kind::Blacklist => What::Blacklist { act: act() },
            Kind::Allow => What::Allow { act: act() },
            Kind::Imported => What::Imported(Imported {
                kind: line.imported.ok_or("an imported event without \"kind\"")?,
                source: line.source.clone().unwrap_or_default(),
                batch: String::new(),
                row: None,
                dated: line.dated,
                until: line.until,
                category: line.category,
                detail: String::new(),
                forced: line.forced,
                again: false,
                learnt: line.learnt,
                act: act(),
            }),
        }))
    }

    fn reply(&self, line: &Line, context: Context) -> Result<Option<What>, String> {
        let text = line.reply.as_deref().ok_or("a reply event without \"reply\"")?;
        let reply = Reply::from_text(text).ok_or_else(|| format!("{text:?} is no SMTP reply"))?;
        let stage = stage(line.stage.as_deref())?;
        match reply.severity() {
            Severity::Completion if stage == Stage::EndOfData => {
                return Ok(Some(What::Delivered(Delivery { reply: reply.to_string(), context })));
            }
            Severity::Completion | Severity::Intermediate => return Ok(None),
            Severity::Transient | Severity::Permanent => {}
        }
        let recipients = line.recipients.unwrap_or(1);
        // What the gate would keep no event of is none here.
        if !is_about_one_recipient(stage, &reply, recipients) {
            return Ok(None);
        }
        let seen = self.classifier.classify(stage, &reply, recipients, line.receiver.as_deref());
        Ok(Some(What::Reply(Evidence {
            category: seen.category,
            scope: seen.scope,
            stage,
            reply: reply.to_string(),
            rule: seen.rule.to_string(),
            context,
        })))
    }
}

/// RFC 3339, or seconds since the epoch.
fn read_time(at: &Value) -> Result<Timestamp, String> {
    match at {
        Value::String(text) => text.parse().map_err(|error| format!("\"at\": {error}")),
        Value::Number(number) => number
            .as_i64()
            .map(Timestamp::from_secs)
            .or_else(|| {
                let millis = (number.as_f64()? * 1000.0).round();
                // Saturating by definition of `as`; a time that far away is as good as any.
                #[expect(clippy::cast_possible_truncation, reason = "see above")]
                let millis = millis as i64;
                Some(Timestamp::from_millis(millis))
            })
            .ok_or_else(|| format!("\"at\": {number} is no time")),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => {
            Err(format!("\"at\": {at} is no time (expected RFC 3339 or seconds)"))
        }
    }
}

/// The parser counts lines within the one line that it was given, which would mislead.
fn no_event(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let text = text.split(" at line ").next().unwrap_or("");
    format!("not an event: {text} (column {})", error.column())
}

#[cfg(test)]
mod tests;
