//! One mailing: sent message by message, compared with what is expected, told as a table.

use std::io::Write;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::cast::{Mailing, Who};
use super::receivers::Heard;
use super::sender::Sender;
use super::show::Show;
use super::stage::Stage;
use crate::bounce::classify::Classifier;
use crate::bounce::{Effect, Stage as Answered};
use crate::event::{Event, Evidence, Tenant, What};
use crate::failure::Failure;
use crate::policy::verdict::{Decision, Reason, Verdict};
use crate::policy::{Record, Standing};
use crate::smtp::reply::Reply;

/// How long a delivery, for which nobody waits, may take to the journal.
const SETTLED: Duration = Duration::from_secs(5);
const LOOK_AGAIN: Duration = Duration::from_millis(2);

const HEADER: &[&str] = &["recipient", "refused\nby", "reply", "learnt", "standing now"];

/// What all mailings came to.
#[derive(Debug, Default)]
pub(super) struct Totals {
    sent: usize,
    by_gate: usize,
    by_receiver: usize,
    delivered: usize,
}

/// What was known of a recipient at one moment.
struct Known {
    decision: Decision,
    record: Record,
    events: Vec<Event>,
    heard: Heard,
}

impl Known {
    fn of(stage: &Stage, address: &str, tenant: &Tenant) -> Result<Self, Failure> {
        // The events first: what is judged after them knows them.
        let events = stage.history(address)?;
        let (decision, record) = (stage.judge(address, tenant)?, stage.record(address)?);
        Ok(Self { decision, record, events, heard: stage.receivers.heard() })
    }
}

/// Sends a mailing and tells what became of it.
pub(super) async fn run(
    mailing: &Mailing,
    stage: &Stage,
    show: &mut Show<impl Write>,
    totals: &mut Totals,
) -> Result<(), Failure> {
    let tenant = Tenant(mailing.tenant.to_owned());
    show.heading(&format!("{}, for the tenant `{tenant}`", mailing.title))?;
    if let Some(address) = mailing.released {
        show.say(&format!("An operator has released {address} from quarantine."))?;
    }
    let mut sender = Sender::connect(stage.door(&tenant)?).await?;
    let mut rows = Vec::new();
    for (address, queue_id, expected) in mailing.recipients {
        let before = Known::of(stage, address, &tenant)?;
        let reply = sender.send(mailing.sender, address, queue_id).await?;
        let after = settled(stage, address, &tenant, &before, &reply).await?;
        let who = decided_by(address, &before, &after, &reply)?;
        if who != *expected {
            let what = format!("{address}: expected {expected:?} to decide, got {who:?}: {reply}");
            return Err(Failure::Internal(what));
        }
        totals.count(who);
        rows.push(vec![
            (*address).to_owned(),
            who.name().to_owned(),
            shown(&reply, &before.decision),
            learnt(stage, &before, &after, &reply, who),
            standing(&after.decision, &tenant),
        ]);
    }
    sender.quit().await?;
    show.table(HEADER, rows)
}

/// What is known once everything that this reply teaches is on disk. A refusal waits for that itself; a delivery does not.
async fn settled(
    stage: &Stage,
    address: &str,
    tenant: &Tenant,
    before: &Known,
    reply: &Reply,
) -> Result<Known, Failure> {
    let teaches = reply.is_success() && before.record.awaits_delivery();
    let deadline = Instant::now() + SETTLED;
    loop {
        let after = Known::of(stage, address, tenant)?;
        if !teaches || after.events.len() > before.events.len() {
            return Ok(after);
        }
        if Instant::now() > deadline {
            return Err(Failure::Internal(format!("{address}: the delivery was not learnt")));
        }
        sleep(LOOK_AGAIN).await;
    }
}

/// Who decided, by what the receivers heard; an error if that is not what the gate's verdict was.
fn decided_by(address: &str, before: &Known, after: &Known, reply: &Reply) -> Result<Who, Failure> {
    let reached = after.heard.of(address) > before.heard.of(address);
    let delivered = after.heard.messages > before.heard.messages;
    let forwarded = before.decision.verdict == Verdict::Forward;
    if reached != forwarded {
        let did = if reached { "reached" } else { "did not reach" };
        let verdict = before.decision.verdict.name();
        return Err(Failure::Internal(format!("{address} {did} a receiver; verdict: {verdict}")));
    }
    if delivered != reply.is_success() {
        return Err(Failure::Internal(format!("{address}: not what the receiver said: {reply}")));
    }
    Ok(match (delivered, reached) {
        (true, _) => Who::Nobody,
        (false, true) => Who::Receiver,
        (false, false) => Who::Gate,
    })
}

impl Who {
    const fn name(self) -> &'static str {
        match self {
            Self::Gate => "gate",
            Self::Receiver => "receiver",
            Self::Nobody => "-",
        }
    }
}

fn learnt(stage: &Stage, before: &Known, after: &Known, reply: &Reply, who: Who) -> String {
    let new = after.events.iter().skip(before.events.len());
    let told: Vec<String> = new.map(|event| lesson(stage, before, after, event)).collect();
    if !told.is_empty() {
        return told.join("; ");
    }
    match who {
        Who::Gate | Who::Nobody => "-".to_owned(),
        Who::Receiver => {
            let read = Classifier::builtin().classify(Answered::Rcpt, reply, 1, None);
            format!("nothing ({})", read.category)
        }
    }
}

/// What an event of the journal did.
fn lesson(stage: &Stage, before: &Known, after: &Known, event: &Event) -> String {
    match &event.what {
        What::Reply(evidence) => bounce(stage, before, after, event, evidence),
        What::Delivered(_) => "delivered, starts over".to_owned(),
        What::Complaint { .. } => "complaint".to_owned(),
        What::Engaged => "engaged".to_owned(),
        What::Quarantine { .. }
        | What::Blacklist { .. }
        | What::Allow { .. }
        | What::Release { .. }
        | What::Imported(_) => "an operator's act".to_owned(),
    }
}

fn bounce(
    stage: &Stage,
    before: &Known,
    after: &Known,
    event: &Event,
    evidence: &Evidence,
) -> String {
    let category = evidence.category;
    let policy = stage.policy();
    let (kind, was, run, tolerated) = match policy.effect_of(evidence) {
        Effect::Hard => {
            let trusted = policy.trusts(event.address.domain(), None);
            let hard = &policy.hard;
            let tolerated = if trusted { hard.trusted_tolerated } else { hard.tolerated };
            ("hard", before.record.hard.count, &after.record.hard, tolerated)
        }
        Effect::Soft => {
            ("soft", before.record.soft.count, &after.record.soft, policy.soft.tolerated)
        }
        Effect::None => return format!("{category}, recorded only"),
    };
    if run.count > was {
        format!("{kind} {} of {} ({category})", run.count, tolerated + 1)
    } else if evidence.is_permanent() {
        format!("counted already ({category})")
    } else {
        format!("not counted yet ({category})")
    }
}

/// The reply without the event's id, which ends a refusal of the gate: a column of them hides the words.
fn shown(reply: &Reply, decision: &Decision) -> String {
    let text = reply.to_string();
    let id = decision.id.as_ref().map(|id| format!(" [{id}]"));
    match id.and_then(|id| text.strip_suffix(&id).map(str::to_owned)) {
        Some(words) => words,
        None => text,
    }
}

fn standing(decision: &Decision, tenant: &Tenant) -> String {
    let standing = match decision.standing {
        Standing::Clear => "clear".to_owned(),
        Standing::OnWatch => "on watch".to_owned(),
        Standing::Quarantined { until } => format!("quarantined until {}", until.date()),
        Standing::QuarantinedLongTerm => "quarantined long-term".to_owned(),
        Standing::Blacklisted => format!("blacklisted for {tenant}"),
        Standing::Allowed => "allowed".to_owned(),
    };
    match decision.reason {
        Reason::Disposable => format!("{standing}, disposable domain"),
        Reason::None
        | Reason::Allowed
        | Reason::Blacklist
        | Reason::Quarantine
        | Reason::QuarantineLongTerm
        | Reason::Manual
        | Reason::Imported => standing,
    }
}

impl Totals {
    const fn count(&mut self, who: Who) {
        self.sent += 1;
        match who {
            Who::Gate => self.by_gate += 1,
            Who::Receiver => self.by_receiver += 1,
            Who::Nobody => self.delivered += 1,
        }
    }

    /// The sum, from what both sides of the gate counted.
    pub(super) fn tell(
        &self,
        stage: &Stage,
        took: Duration,
        show: &mut Show<impl Write>,
    ) -> Result<(), Failure> {
        let heard = stage.receivers.heard();
        let asked: usize = heard.asked.values().sum();
        if asked != self.by_receiver + self.delivered || heard.messages != self.delivered {
            let what = format!("the receivers heard {asked} RCPTs and took {}", heard.messages);
            return Err(Failure::Internal(format!("{what}; the sender saw {self:?}")));
        }
        show.heading("In all")?;
        show.say(&format!(
            "  {:3}  sent, in {:.1} s\n  \
             {:3}  refused by the gate: no receiver heard of them\n  \
             {:3}  refused by receivers\n  \
             {:3}  delivered\n  \
             {:3}  events learnt, each a line of the journal",
            self.sent,
            took.as_secs_f64(),
            self.by_gate,
            self.by_receiver,
            self.delivered,
            stage.events()?,
        ))
    }
}
