//! Journals with a known outcome.

use std::path::Path;

use super::fold::{Means, Window};
use super::tally::{Change, Place, Report, Tried};
use super::{Replay, UNKNOWN, replay};
use crate::bounce::classify::Classifier;
use crate::bounce::{Category, Scope, Stage};
use crate::event::order::{Decree, Order, OrderId};
use crate::event::outage::OutageKey;
use crate::event::select::{Conditions, Selector};
use crate::event::{Act, Context, Delivery, Event, EventId, Evidence, Tenant, What};
use crate::journal::{Said, Writer};
use crate::lists::{AddressSet, DomainSet, Lists};
use crate::policy::Policy;
use crate::smtp::address::RecipientKey;
use crate::time::Timestamp;

const DAY: i64 = 86_400;
/// On the list of those who are never refused.
const ALLOWED: &str = "always@a.test";

fn day(number: i64) -> Timestamp {
    Timestamp::from_secs(1_767_225_600 + number * DAY)
}

fn said(address: &str, at: Timestamp, what: What) -> Said {
    let id = EventId(format!("{address}-{}", at.as_millis()));
    let address = RecipientKey::parse(address).expect("an address");
    Event { id, at, address, tenant: Tenant::default(), what }.into()
}

fn gone(address: &str, number: i64) -> Said {
    said(address, day(number), What::Reply(unknown(number, "mx1.receiver.com:25")))
}

fn unknown(number: i64, receiver: &str) -> Evidence {
    let context = Context {
        message: Some(format!("message{number}")),
        receiver: Some(receiver.to_owned()),
        ..Context::default()
    };
    Evidence {
        category: Category::UserUnknown,
        scope: Scope::Recipient,
        stage: Stage::Rcpt,
        reply: "550 5.1.1 no such user".to_owned(),
        rule: "some".to_owned(),
        context,
    }
}

/// One message that was put off for a full mailbox, at these hours.
fn full(address: &str, hours: &[i64]) -> Vec<Said> {
    let evidence = Evidence {
        category: Category::MailboxFull,
        reply: "452 4.2.2 mailbox full".to_owned(),
        ..unknown(0, "mx1.receiver.com:25")
    };
    let at = |hour: &i64| Timestamp::from_secs(day(0).as_millis() / 1000 + hour * 3600);
    hours.iter().map(|hour| said(address, at(hour), What::Reply(evidence.clone()))).collect()
}

fn void(domain: &str, at: Timestamp) -> Said {
    let conditions = Conditions { domain: Some(domain.to_owned()), ..Conditions::default() };
    let select = Selector::new(conditions).expect("a condition");
    let id = OrderId("order".to_owned());
    Order { id, at, decree: Decree::Void { select }, act: Act::default() }.into()
}

/// One that bounced once, one that bounced three times, one whose bounces were undone, one that is fine.
fn story() -> Vec<Said> {
    let delivered = What::Delivered(Delivery::default());
    vec![
        gone("once@a.test", 0),
        gone("thrice@b.test", 0),
        gone("undone@c.test", 0),
        gone("thrice@b.test", 1),
        gone("undone@c.test", 1),
        gone("thrice@b.test", 2),
        gone("undone@c.test", 2),
        void("c.test", day(3)),
        said("fine@d.test", day(3), delivered),
    ]
}

fn write(folder: &Path, story: Vec<Said>) {
    let (mut writer, _) = Writer::open(folder, 500).expect("a journal");
    for said in story {
        writer.stage(&said).expect("staged");
        writer.commit().expect("committed");
    }
}

struct Try<'a> {
    before: Option<&'a str>,
    after: &'a str,
    rules: Option<&'a Classifier>,
    since: Option<Timestamp>,
    until: Option<Timestamp>,
    pass_bytes: u64,
}

fn tried(story: Vec<Said>, wanted: &Try<'_>) -> (Report, Vec<String>) {
    let folder = tempfile::tempdir().expect("a directory");
    write(folder.path(), story);
    let preset = |name: &str| Policy::preset(name).expect("a preset");
    let (before, after) = (wanted.before.map(preset), preset(wanted.after));
    let as_of = wanted.until.unwrap_or_else(|| day(30));
    let window = Window { since: wanted.since, until: wanted.until, as_of };
    let means = Means { before: before.as_ref(), after: &after, rules: wanted.rules, window };
    let told = Tried {
        policy: wanted.after.to_owned(),
        rules: None,
        against: wanted.before.map(str::to_owned),
        as_of,
        unknown: UNKNOWN,
    };
    let mut rows = Vec::new();
    let allowed = RecipientKey::parse(ALLOWED).expect("an address");
    let allow = AddressSet::new([allowed].into(), DomainSet::default());
    let lists = Lists { allow, ..Lists::embedded() };
    let report = replay(folder.path(), wanted.pass_bytes, &means, &lists, told, |moved| {
        rows.push(moved.cells().join(","));
        Ok(())
    });
    rows.sort();
    (report.expect("replayed"), rows)
}

fn diff<'a>(after: &'a str) -> Try<'a> {
    let (rules, since, until) = (None, None, None);
    Try { before: Some("quarantine"), after, rules, since, until, pass_bytes: u64::MAX }
}

fn change(before: Option<&'static str>, after: &'static str, address: &str) -> Change {
    let examples = vec![address.to_owned()];
    Change { cause: "user_unknown", before, after, count: 1, examples }
}

#[test]
fn what_an_outage_holds_is_for_each_policy_and_reading_to_say() {
    let key = OutageKey::Domain("b.test".to_owned());
    let id = OrderId("outage".to_owned());
    let decree = Decree::Outage { key, since: day(1) };
    let outage = Order { id, at: day(1), decree, act: Act::default() };
    let story = [story(), vec![outage.into()]].concat();
    // Under either policy two of the three are held, in whatever place of the journal they stand.
    let (report, rows) = tried(story.clone(), &diff("marketo"));
    assert_eq!(report.before.get("quarantined_long_term"), None, "{report:?}");
    assert_eq!(rows.len(), 2, "{rows:?}");
    assert_eq!((report.counts.events, report.counts.held, report.counts.undone), (3, 2, 3));
    // Read as a matter of policy it is no hard evidence: the outage does not hold it, but for the policy in force it does.
    let rules = own_rules();
    let (report, _) = tried(story, &Try { rules: Some(&rules), ..diff("quarantine") });
    assert_eq!((report.counts.events, report.counts.held), (5, 0), "{report:?}");
    assert_eq!(report.before.get("quarantined_long_term"), None, "{report:?}");
}

#[test]
fn who_would_be_quarantined_that_is_not() {
    let (report, rows) = tried(story(), &diff("marketo"));
    assert_eq!(
        rows,
        ["once@a.test,on_watch,quarantined_long_term,,user_unknown,receiver.com"],
        "{report:?}"
    );
    assert_eq!((report.quarantined, report.released, report.addresses), (1, 0, 3));
    let wanted = change(Some("on_watch"), "quarantined_long_term", "once@a.test");
    assert_eq!(report.moves, [wanted]);
    let place = |name: &str| Place { name: name.to_owned(), quarantined: 1, released: 0 };
    assert_eq!(report.domains, [place("a.test")]);
    assert_eq!(report.receivers, [place("receiver.com")]);
    assert_eq!((report.before["on_watch"], report.after["quarantined_long_term"]), (1, 2));
    // It would have been refused at the second and the third message.
    assert_eq!(report.counts.attempts_refused, 2);
}

#[test]
fn who_would_be_released() {
    let (report, rows) = tried(story(), &diff("salesforce"));
    assert_eq!(rows, ["thrice@b.test,quarantined_long_term,on_watch,,user_unknown,receiver.com"]);
    assert_eq!((report.quarantined, report.released), (0, 1));
    assert_eq!(report.domains[0].released, 1);
    assert_eq!(report.counts.attempts_refused, 0);
}

#[test]
fn what_was_undone_does_not_count() {
    let (report, _) = tried(story(), &diff("marketo"));
    assert_eq!((report.counts.events, report.counts.undone), (5, 3));
    let mut kept = story();
    kept.retain(|said| matches!(said, Said::Event(_)));
    let (report, rows) = tried(kept, &diff("salesforce"));
    assert_eq!((report.counts.undone, rows.len()), (0, 2), "{rows:?}");
}

#[test]
fn the_same_in_many_passes() {
    for after in ["marketo", "salesforce"] {
        let (whole, rows) = tried(story(), &diff(after));
        let (parts, others) = tried(story(), &Try { pass_bytes: 200, ..diff(after) });
        assert!(parts.passes > 3, "{parts:?}");
        assert_eq!(rows, others);
        assert_eq!(whole.counts, parts.counts);
        assert_eq!((whole.moves, whole.addresses), (parts.moves, parts.addresses));
    }
}

#[test]
fn without_a_comparison_the_policy_alone() {
    let (report, rows) = tried(story(), &Try { before: None, ..diff("marketo") });
    assert_eq!(rows.len(), 2, "{rows:?}");
    assert_eq!((report.quarantined, report.released), (2, 0));
    assert!(report.before.is_empty());
    assert_eq!(report.moves[0].before, None);
}

#[test]
fn standings_are_as_of_the_end_of_what_is_asked_for() {
    let (report, rows) = tried(story(), &Try { until: Some(day(1)), ..diff("marketo") });
    // At that time nobody had bounced twice.
    assert_eq!(rows.len(), 2, "{rows:?}");
    assert_eq!(report.counts.outside, 5);
}

#[test]
fn a_window_takes_its_first_instant_and_not_its_last() {
    let wanted = Try { since: Some(day(1)), until: Some(day(2)), ..diff("marketo") };
    let (report, rows) = tried(story(), &wanted);
    assert_eq!((report.counts.outside, report.counts.undone, report.counts.events), (6, 1, 1));
    assert_eq!(rows, ["thrice@b.test,on_watch,quarantined_long_term,,user_unknown,receiver.com"]);
}

#[test]
fn standings_are_as_of_now_or_of_an_end_before_that() {
    let asked = |since: Option<i64>, until: Option<i64>| {
        let at = |number| super::super::args::Since::At(day(number));
        let (since, until) = (since.map(at), until.map(at));
        let (policy, rules) = (None, None);
        let args = Replay { policy, rules, diff: false, since, until, json: false, csv: false };
        super::window(&args, day(10)).map(|window| window.as_of)
    };
    let as_of = |until| asked(None, until).expect("a window");
    assert_eq!([None, Some(9), Some(11)].map(as_of), [day(10), day(9), day(10)]);
    assert!(asked(Some(3), Some(4)).is_ok());
    for until in [2, 3] {
        assert!(asked(Some(3), Some(until)).is_err(), "{until}");
    }
}

#[test]
fn a_message_under_way_counts_once_it_has_fallen_silent() {
    // Quarantined for a week from the last attempt on; whoever wrote on the fifth day would have been refused.
    let delivered = said("full@a.test", day(5), What::Delivered(Delivery::default()));
    let story = [full("full@a.test", &[0, 13]), vec![delivered]].concat();
    let (report, _) = tried(story.clone(), &diff("quarantine"));
    assert_eq!(report.counts.attempts_refused, 1);
    // Each side is read by its own policy: the other one holds it for a day.
    let wanted = Try { until: Some(day(5)), ..diff("marketo") };
    let (report, rows) = tried(story, &wanted);
    assert_eq!(
        (report.released, report.before["quarantined"], report.after["on_watch"]),
        (1, 1, 1)
    );
    assert_eq!(rows, ["full@a.test,quarantined,on_watch,,mailbox_full,receiver.com"]);
    assert_eq!(report.counts.attempts_refused, 0);
    let (report, rows) = tried(
        full("full@a.test", &[0, 13]),
        &Try { before: None, until: Some(day(5)), ..diff("quarantine") },
    );
    assert_eq!(report.quarantined, 1);
    let wanted = "full@a.test,,quarantined,2026-01-08T13:00:00Z,mailbox_full,receiver.com";
    assert_eq!(rows, [wanted]);
}

#[test]
fn what_no_policy_has_a_say_in_is_no_refusal_of_one() {
    let story = |address: &str| (0..3).map(|number| gone(address, number)).collect();
    let alone = Try { before: None, ..diff("salesforce") };
    let (report, rows) = tried(story("x@yopmail.com"), &alone);
    assert_eq!((report.quarantined, report.after["on_watch"], rows.len()), (0, 1, 1), "{report:?}");
    let (report, _) = tried(story("x@a.test"), &Try { before: None, ..diff("quarantine") });
    assert_eq!(report.quarantined, 1);
    let (report, _) = tried(story(ALLOWED), &Try { before: None, ..diff("quarantine") });
    assert_eq!((report.quarantined, report.after["allowed"]), (0, 1));
}

#[test]
fn what_moves_most_is_told_first_and_a_few_examples_of_it() {
    let mut story: Vec<_> = (0..7).map(|number| gone(&format!("u{number}@z.test"), 0)).collect();
    let other = What::Reply(unknown(0, "mx.elsewhere.net:25"));
    story.push(said("u0@z.test", day(1), other));
    story.extend(full("full@a.test", &[0, 13]));
    story.extend((0..12).map(|number| gone(&format!("once@{number:02}.test"), 0)));
    let wanted = Try { before: None, until: Some(day(5)), ..diff("quarantine") };
    let (report, rows) = tried(story.clone(), &wanted);
    let told = |report: &Report| -> Vec<_> {
        report
            .moves
            .iter()
            .map(|change| (change.after, change.count, change.examples.len()))
            .collect()
    };
    assert_eq!(told(&report), [("on_watch", 19, 5), ("quarantined", 1, 1)]);
    assert!(
        rows.iter().any(|row| row == "u0@z.test,,on_watch,,user_unknown,elsewhere.net"),
        "who answered last: {rows:?}"
    );
    let (report, _) = tried(story, &Try { before: None, ..diff("marketo") });
    let place = |place: &Place| (place.name.clone(), place.quarantined);
    assert_eq!(report.domains.len(), 10);
    assert_eq!(place(&report.domains[0]), ("z.test".to_owned(), 7));
    assert_eq!(place(&report.domains[1]), ("00.test".to_owned(), 1));
    let receivers: Vec<_> = report.receivers.iter().map(place).collect();
    assert_eq!(receivers, [("receiver.com".to_owned(), 18), ("elsewhere.net".to_owned(), 1)]);
}

/// For which that no such user is there says something about the message.
fn own_rules() -> Classifier {
    let rules = "[[rule]]\nname = \"own\"\ncategory = \"policy\"\nscope = \"message\"\ntext = [\"no such user\"]\n\
                 specimens = [\"550 5.1.1 no such user\"]\n";
    Classifier::from_toml(rules).expect("rules")
}

#[test]
fn replies_are_read_again_by_other_rules() {
    let rules = own_rules();
    let wanted = Try { rules: Some(&rules), ..diff("quarantine") };
    let (report, rows) = tried(story(), &wanted);
    assert_eq!(report.counts.read_otherwise, 4);
    assert_eq!(
        rows,
        [
            "once@a.test,on_watch,clear,,user_unknown,receiver.com",
            "thrice@b.test,quarantined_long_term,clear,,user_unknown,receiver.com"
        ]
    );
    assert_eq!(report.released, 1);
}

#[test]
fn an_order_selects_by_what_was_read_then_and_a_rule_by_who_answered() {
    let conditions = Conditions { rule: Some("some".to_owned()), ..Conditions::default() };
    let select = Selector::new(conditions).expect("a condition");
    let (id, decree) = (OrderId("all".to_owned()), Decree::Void { select });
    let undo = Order { id, at: day(3), decree, act: Act::default() };
    let rules = own_rules();
    let wanted = Try { rules: Some(&rules), ..diff("quarantine") };
    let (report, _) = tried([story(), vec![undo.into()]].concat(), &wanted);
    assert_eq!((report.counts.undone, report.counts.read_otherwise), (7, 0));

    let by_receiver = "[[rule]]\nname = \"theirs\"\ncategory = \"policy\"\nscope = \"message\"\n\
                       text = [\"no such user\"]\nreceivers = [\"receiver.com\"]\n\
                       specimens = [\"550 5.1.1 no such user\"]\n\
                       [[rule]]\nname = \"some\"\ncategory = \"user_unknown\"\nscope = \"recipient\"\n\
                       text = [\"no such user\"]\nspecimens = [\"550 5.1.1 no such user\"]\n";
    let rules = Classifier::from_toml(by_receiver).expect("rules");
    let elsewhere = What::Reply(unknown(0, "mx.elsewhere.net:25"));
    let story = vec![gone("one@a.test", 0), said("other@a.test", day(0), elsewhere)];
    let (report, _) = tried(story, &Try { rules: Some(&rules), ..diff("quarantine") });
    assert_eq!((report.counts.read_otherwise, report.after["on_watch"]), (1, 1), "{report:?}");

    // The name of the rule is part of the reading: orders select by it.
    let (_, renamed) = by_receiver.split_once("\n[[rule]]").expect("two rules");
    let renamed = format!("[[rule]]{}", renamed.replace("\"some\"", "\"other\""));
    let rules = Classifier::from_toml(&renamed).expect("rules");
    let wanted = Try { rules: Some(&rules), ..diff("quarantine") };
    let (report, rows) = tried(vec![gone("one@a.test", 0)], &wanted);
    assert_eq!((report.counts.read_otherwise, rows.len()), (1, 0));
}
