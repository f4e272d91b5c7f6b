//! Histories told line by line, to the second, and properties over any history.

mod activecampaign;
mod bounds;
mod clocks;
mod episodes;
mod hards;
mod imports;
mod late;
mod lists;
mod literal;
mod marketo;
mod masks;
mod outages;
mod properties;
mod salesforce;
mod settings;
mod softs;

use super::verdict::{Listing, Reason, Verdict};
use super::{Policy, Record, decide, transition};
use crate::bounce::{Category, Scope, Stage};
use crate::event::{
    Act, Context, Delivery, Event, EventId, Evidence, ImportKind, Imported, List, Tenant, What,
};
use crate::smtp::address::RecipientKey;
use crate::time::Timestamp;

pub(super) const HOUR: i64 = 3600;
pub(super) const DAY: i64 = 24 * HOUR;
pub(super) const WEEK: i64 = 7 * DAY;

/// Seconds after the start of the story.
pub(super) fn at(secs: i64) -> Timestamp {
    Timestamp::from_secs(1_767_225_600 + secs)
}

/// What a story is made of.
#[derive(Clone, Debug)]
pub(super) enum Do {
    /// A final refusal that says the mailbox does not exist, of this message.
    Hard(Option<&'static str>),
    /// A 5yz that says the mailbox is full, of this message.
    Full(Option<&'static str>),
    /// The same as 4yz.
    Deferred(Option<&'static str>),
    /// Any other reply.
    Reply(Evidence),
    Delivered(Option<&'static str>),
    Complaint,
    Engaged,
    Quarantine(Option<i64>),
    Blacklist,
    Allow,
    Release(List),
    Import(Imported),
    /// A RCPT of this tenant, what it gets, and the reason.
    Ask(&'static str, &'static str),
    AskAs(&'static str, &'static str, &'static str),
}

pub(super) fn evidence(category: Category, reply: &str, message: Option<&str>) -> Evidence {
    Evidence {
        category,
        scope: Scope::Recipient,
        stage: Stage::Rcpt,
        reply: reply.to_owned(),
        rule: "test".to_owned(),
        context: Context {
            message: message.map(str::to_owned),
            sender: Some("<news@sender.test>".to_owned()),
            ..Context::default()
        },
    }
}

/// A policy that comes with the program.
pub(super) fn preset(name: &str) -> Policy {
    Policy::preset(name).expect("a preset")
}

/// A final reply of this category, of a message of this campaign.
pub(super) fn of_campaign(category: Category, reply: &str, campaign: &str) -> Do {
    let mut seen = evidence(category, reply, None);
    seen.context.campaign = Some(campaign.to_owned());
    Do::Reply(seen)
}

pub(super) fn act() -> Act {
    Act { reason: "asked for".to_owned(), by: "ops".to_owned() }
}

/// An entry of that kind, without a date.
pub(super) fn imported(kind: ImportKind) -> Imported {
    Imported {
        kind,
        source: "old-esp".to_owned(),
        batch: "b1".to_owned(),
        row: Some(1),
        dated: None,
        until: None,
        category: None,
        detail: "550 5.1.1 no such user".to_owned(),
        forced: false,
        again: false,
        learnt: false,
        act: act(),
    }
}

/// What happened in this step; nothing when it is a question.
fn what(step: &Do) -> Option<What> {
    Some(match step {
        Do::Hard(message) => {
            What::Reply(evidence(Category::UserUnknown, "550 5.1.1 no such user", *message))
        }
        Do::Full(message) => {
            What::Reply(evidence(Category::MailboxFull, "552 5.2.2 mailbox full", *message))
        }
        Do::Deferred(message) => {
            What::Reply(evidence(Category::MailboxFull, "452 4.2.2 mailbox full", *message))
        }
        Do::Reply(evidence) => What::Reply(evidence.clone()),
        Do::Delivered(message) => What::Delivered(Delivery {
            reply: "250 2.0.0 ok".to_owned(),
            context: evidence(Category::Undetermined, "", *message).context,
        }),
        Do::Complaint => What::Complaint { source: Some("arf".to_owned()) },
        Do::Engaged => What::Engaged,
        Do::Quarantine(until) => What::Quarantine { until: until.map(at), act: act() },
        Do::Blacklist => What::Blacklist { act: act() },
        Do::Allow => What::Allow { act: act() },
        Do::Release(from) => What::Release { from: *from, act: act() },
        Do::Import(imported) => What::Imported(imported.clone()),
        Do::Ask(..) | Do::AskAs(..) => return None,
    })
}

pub(super) fn event(secs: i64, address: &str, what: What) -> Event {
    Event {
        id: EventId(format!("e{secs}")),
        at: at(secs),
        address: RecipientKey::parse(address).expect("an address"),
        tenant: Tenant::default(),
        what,
    }
}

/// Folds a story about one address and checks every question in it. Returns the record at the end.
#[track_caller]
pub(super) fn check_with(policy: &Policy, address: &str, story: &[(i64, Do)]) -> Record {
    let mut record = Record::default();
    for (line, (secs, step)) in story.iter().enumerate() {
        if let Some(what) = what(step) {
            let mut event = event(*secs, address, what);
            if line > 0 {
                event.id = EventId(format!("e{secs}-{line}"));
            }
            record = transition(record, &event, policy);
        }
        let (Do::Ask(verdict, reason) | Do::AskAs(_, verdict, reason)) = step else { continue };
        let tenant = if let Do::AskAs(tenant, ..) = step { *tenant } else { "default" };
        let tenant = Tenant(tenant.to_owned());
        let decision = decide(Some(&record), &Listing::default(), &tenant, at(*secs), policy);
        let got = (decision.verdict.name(), decision.reason.name());
        assert_eq!(got, (*verdict, *reason), "line {line}, {secs} s: {decision:?}\n{record:#?}");
    }
    record
}

#[track_caller]
pub(super) fn check(address: &str, story: &[(i64, Do)]) -> Record {
    check_with(&Policy::default(), address, story)
}

/// Whether a question at this second is forwarded.
pub(super) fn forwards(record: &Record, secs: i64) -> bool {
    let policy = Policy::default();
    let decision = decide(Some(record), &Listing::default(), &Tenant::default(), at(secs), &policy);
    assert_eq!(decision.verdict == Verdict::Forward, decision.reason == Reason::None);
    decision.verdict == Verdict::Forward
}

pub(super) const PASSES: Do = Do::Ask("forward", "none");
pub(super) const TEMPORARY: Do = Do::Ask("refuse", "quarantine");
pub(super) const ENDING: Do = Do::Ask("defer", "quarantine");
pub(super) const LONG_TERM: Do = Do::Ask("refuse", "quarantine_long_term");
