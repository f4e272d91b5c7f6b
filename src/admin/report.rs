//! What became of recipients, as rates: pure arithmetic over a sum of the tally.

use std::collections::BTreeMap;

use super::desk::{Fault, tenant};
use super::wire::{CauseRow, Report, ReportRequest, Share, Tallied};
use crate::bounce::labels::{SalesforceCause, description, labels};
use crate::tally::{By, Cause, Class, Counts, Ground, Outcome, Question, Sum};

/// What a report can be made by.
pub const BY: [&str; 5] = ["day", "receiver", "tenant", "campaign", "cause"];
/// Rows of one answer, at most.
const ROWS_MAX: u64 = 100_000;

/// The rates from which on a row is marked, from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Alerts {
    /// Of hard bounces. The quarantine document holds a campaign safe below 1 %.
    pub hard: f64,
    /// Of soft bounces: a high one is a sign of trouble with the server, the configuration or an old list.
    pub soft: f64,
}

impl Default for Alerts {
    fn default() -> Self {
        Self { hard: 0.01, soft: 0.05 }
    }
}

/// What a request asks of the tally.
///
/// # Errors
/// `Bad` names what makes no sense.
pub fn question(request: &ReportRequest) -> Result<Question, Fault> {
    let by = match request.by.as_deref() {
        // Of causes only the total is told.
        None | Some("day" | "cause") => By::Day,
        Some("receiver") => By::Receiver,
        Some("tenant") => By::Tenant,
        Some("campaign") => By::Campaign,
        Some(other) => {
            let known = BY.join(", ");
            return Err(Fault::Bad(format!(
                "{other:?} is nothing to report by; there are {known}"
            )));
        }
    };
    tenant(request.tenant.as_deref())?;
    Ok(Question {
        by,
        first: request.since.map(|since| since.utc_day()),
        last: request.until.map(|until| until.utc_day()),
        tenant: request.tenant.clone(),
        receiver: request.receiver.as_deref().map(str::to_ascii_lowercase),
        campaign: request.campaign.clone(),
    })
}

/// The report that answers a request.
pub fn report(sum: &Sum, request: &ReportRequest, alerts: Alerts) -> Report {
    let by = request.by.as_deref().unwrap_or("day");
    let mut report = Report {
        by: by.to_owned(),
        total: tallied("total", &sum.total, alerts),
        broken: sum.broken,
        hard_alert: alerts.hard,
        soft_alert: alerts.soft,
        ..Report::default()
    };
    if by == "cause" {
        report.causes = causes(sum);
        return report;
    }
    report.rows = sum.groups.iter().map(|(name, counts)| tallied(name, counts, alerts)).collect();
    let volume = |row: &Tallied| std::cmp::Reverse(row.sent.saturating_add(row.refused.count));
    report.rows.sort_by(|a, b| volume(a).cmp(&volume(b)).then_with(|| a.name.cmp(&b.name)));
    let limit = usize::try_from(request.limit.unwrap_or(ROWS_MAX).min(ROWS_MAX));
    let all = report.rows.len();
    report.rows.truncate(limit.unwrap_or(usize::MAX));
    report.left_out = (all - report.rows.len()) as u64;
    if by == "day" {
        report.rows.sort_by(|a, b| a.name.cmp(&b.name));
    }
    report
}

fn tallied(name: &str, counts: &Counts, alerts: Alerts) -> Tallied {
    let of = |class| bounces(counts, class);
    let (hard, soft) = (of(Class::Hard), of(Class::Soft));
    let reaches = |share: &Share, alert: f64| share.rate.is_some_and(|rate| rate >= alert);
    let high = [
        ("hard", hard.count > 0 && reaches(&hard, alerts.hard)),
        ("soft", soft.count > 0 && reaches(&soft, alerts.soft)),
    ];
    Tallied {
        name: name.to_owned(),
        sent: counts.sent(),
        delivered: counts.of(Outcome::Delivered),
        blocked: of(Class::Block),
        technical: of(Class::Technical),
        deferred: attempts(
            Cause::ALL.map(|cause| (cause.name(), counts.of(Outcome::Deferred(cause)))),
        ),
        unfinished: counts.of(Outcome::Unfinished),
        refused: attempts(
            Ground::ALL.map(|ground| (ground.name(), counts.of(Outcome::Refused(ground)))),
        ),
        alerts: high.into_iter().filter(|(_, is)| *is).map(|(name, _)| name.to_owned()).collect(),
        hard,
        soft,
    }
}

/// Bounces of a class, as a share of the messages whose end is known.
fn bounces(counts: &Counts, class: Class) -> Share {
    let mut causes = BTreeMap::new();
    if class == Class::Block {
        causes.extend(BLOCKS.map(|(_, name)| (name.to_owned(), 0)));
    }
    for cause in Cause::ALL.into_iter().filter(|cause| cause.class() == class) {
        let count = counts.of(Outcome::Bounced(cause));
        if count > 0 {
            let name = if class == Class::Block { block(cause) } else { cause.name() };
            *causes.entry(name.to_owned()).or_default() += count;
        }
    }
    let count = counts.bounced(class);
    Share { count, rate: ratio(count, counts.decided()), causes }
}

/// Attempts, which are a share of nothing.
fn attempts<const N: usize>(causes: [(&str, u64); N]) -> Share {
    let causes: BTreeMap<_, _> = causes
        .into_iter()
        .filter(|(_, count)| *count > 0)
        .map(|(name, count)| (name.to_owned(), count))
        .collect();
    Share { count: causes.values().sum(), rate: None, causes }
}

const BLOCK_OTHER: &str = "other";
/// Salesforce's causes of a block, in its order.
const BLOCKS: [(SalesforceCause, &str); 5] = [
    (SalesforceCause::Complaint, "complaint"),
    (SalesforceCause::Blacklist, "blacklist"),
    (SalesforceCause::Content, "content"),
    (SalesforceCause::Url, "url"),
    (SalesforceCause::Authentication, "authentication"),
];

fn block(cause: Cause) -> &'static str {
    let is = |(of, _): &&(SalesforceCause, &str)| Some(*of) == cause.block();
    BLOCKS.iter().find(is).map_or(BLOCK_OTHER, |(_, name)| name)
}

/// What is told by cause: its name, where it is counted, and how often all of it came.
type Kind = (&'static str, fn(Cause) -> Outcome, u64);

/// Marketo's bounce house: every cause that came, with its share.
fn causes(sum: &Sum) -> Vec<CauseRow> {
    let bounced = sum.total.decided() - sum.total.of(Outcome::Delivered);
    let kinds: [Kind; 2] = [
        ("bounced", Outcome::Bounced, bounced),
        ("deferred", Outcome::Deferred, sum.total.deferred()),
    ];
    let mut rows = Vec::new();
    for (outcome, of, all) in kinds {
        for cause in Cause::ALL {
            let count = sum.total.of(of(cause));
            if count == 0 {
                continue;
            }
            rows.push(CauseRow {
                outcome: outcome.to_owned(),
                cause: cause.name().to_owned(),
                class: cause.class().name().to_owned(),
                count,
                share: ratio(count, all).unwrap_or_default(),
                description: description(cause.category()).to_owned(),
                labels: Some(labels(cause.category(), None, cause.rule())),
                example: sum.examples.get(&cause).cloned(),
            });
        }
    }
    rows
}

/// A share, exact to far more digits than are shown.
fn ratio(part: u64, whole: u64) -> Option<f64> {
    #[expect(clippy::as_conversions, clippy::cast_precision_loss, reason = "counts of mail")]
    let share = part as f64 / whole as f64;
    (whole > 0).then_some(share)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(outcomes: &[(Outcome, u64)]) -> Sum {
        let mut sum = Sum::default();
        for (outcome, count) in outcomes {
            sum.total.add(*outcome, *count);
        }
        sum.groups.insert("a.test".to_owned(), sum.total.clone());
        sum
    }

    fn by(name: &str) -> ReportRequest {
        ReportRequest { by: Some(name.to_owned()), ..ReportRequest::default() }
    }

    #[test]
    fn alerts_begin_at_their_rate() {
        let alerts = |outcomes: &[(Outcome, u64)]| {
            let report = report(&sum(outcomes), &by("receiver"), Alerts::default());
            report.rows[0].alerts.join(" ")
        };
        let (hard, soft) = (Cause::UserUnknown, Cause::Throttled);
        let (hard, soft) = (Outcome::Bounced(hard), Outcome::Bounced(soft));
        assert_eq!(alerts(&[(Outcome::Delivered, 100), (hard, 1)]), "");
        assert_eq!(alerts(&[(Outcome::Delivered, 99), (hard, 1)]), "hard");
        assert_eq!(alerts(&[(Outcome::Delivered, 95), (soft, 5)]), "soft");
        assert_eq!(alerts(&[(Outcome::Deferred(Cause::UserUnknown), 5)]), "", "no rate of nothing");
    }

    #[test]
    fn the_five_causes_of_a_block_are_always_told() {
        let report = report(
            &sum(&[(Outcome::Bounced(Cause::SpamUrl), 2), (Outcome::Bounced(Cause::Policy), 1)]),
            &by("receiver"),
            Alerts::default(),
        );
        let told = serde_json::to_string(&report.total.blocked.causes).unwrap();
        let wanted =
            r#"{"authentication":0,"blacklist":0,"complaint":0,"content":0,"other":1,"url":2}"#;
        assert_eq!((report.total.blocked.count, told.as_str()), (3, wanted));
    }

    #[test]
    fn causes_have_shares_and_labels() {
        let sum = sum(&[
            (Outcome::Delivered, 90),
            (Outcome::Bounced(Cause::BlockedComplaints), 1),
            (Outcome::Bounced(Cause::UserUnknown), 3),
            (Outcome::Deferred(Cause::MailboxFull), 7),
        ]);
        let rows = report(&sum, &by("cause"), Alerts::default()).causes;
        let told: Vec<_> =
            rows.iter().map(|row| (row.cause.as_str(), row.count, row.share)).collect();
        let wanted =
            [("user_unknown", 3, 0.75), ("blocked_complaints", 1, 0.25), ("mailbox_full", 7, 1.0)];
        assert_eq!(told, wanted);
        let labels = rows[1].labels.as_ref().unwrap();
        assert_eq!(labels.salesforce_cause, Some(SalesforceCause::Complaint));
    }

    #[test]
    fn the_largest_rows_are_told_and_days_in_their_order() {
        let mut sum = Sum::default();
        for (day, sent, refused) in
            [("2026-11-01", 1, 0), ("2026-11-02", 3, 0), ("2026-11-03", 0, 9)]
        {
            let mut counts = Counts::default();
            counts.add(Outcome::Delivered, sent);
            counts.add(Outcome::Refused(Ground::Disposable), refused);
            sum.groups.insert(day.to_owned(), counts);
        }
        let told = |by: &str, limit| {
            let request = ReportRequest { by: Some(by.to_owned()), limit, ..Default::default() };
            let report = report(&sum, &request, Alerts::default());
            let names: Vec<_> = report.rows.into_iter().map(|row| row.name).collect();
            (names.join(" "), report.left_out)
        };
        let all = "2026-11-03 2026-11-02 2026-11-01".to_owned();
        assert_eq!(told("receiver", None), (all, 0));
        assert_eq!(told("receiver", Some(1)), ("2026-11-03".to_owned(), 2));
        assert_eq!(told("day", Some(2)), ("2026-11-02 2026-11-03".to_owned(), 1));
    }

    #[test]
    fn a_rate_is_of_messages_whose_end_is_known() {
        let sum = sum(&[
            (Outcome::Delivered, 3),
            (Outcome::Bounced(Cause::UserUnknown), 1),
            (Outcome::Deferred(Cause::MailboxFull), 90),
            (Outcome::Unfinished, 6),
        ]);
        let total = report(&sum, &by("day"), Alerts::default()).total;
        assert_eq!((total.sent, total.hard.rate), (100, Some(0.25)));
    }

    #[test]
    fn a_question_is_of_whole_days_and_names_as_they_are_counted() {
        let at = |text: &str| Some(text.parse().expect("a time"));
        let request = ReportRequest {
            since: at("2026-11-28T23:59:59Z"),
            until: at("2026-11-29T00:00:00Z"),
            receiver: Some("Google.COM".to_owned()),
            ..by("receiver")
        };
        let asked = question(&request).expect("a question");
        assert_eq!((asked.first, asked.last), (Some(20_785), Some(20_786)));
        assert_eq!(asked.receiver.as_deref(), Some("google.com"));
        let nobody = ReportRequest { tenant: Some("a b".to_owned()), ..by("day") };
        assert!(matches!(question(&nobody), Err(Fault::Bad(_))));
    }

    #[test]
    fn nothing_else_is_reported_by() {
        assert!(matches!(question(&by("moon")), Err(Fault::Bad(_))));
        assert!(BY.iter().all(|name| question(&by(name)).is_ok()));
    }
}
