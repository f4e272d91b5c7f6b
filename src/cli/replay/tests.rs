//! Journals with a known outcome.

use std::path::Path;

use super::fold::{Means, Window};
use super::tally::{Change, Place, Report, Tried};
use super::{UNKNOWN, replay};
use crate::bounce::classify::Classifier;
use crate::bounce::{Category, Scope, Stage};
use crate::event::order::{Decree, Order, OrderId};
use crate::event::outage::OutageKey;
use crate::event::select::{Conditions, Selector};
use crate::event::{Act, Context, Delivery, Event, EventId, Evidence, Tenant, What};
use crate::journal::{Said, Writer};
use crate::lists::Lists;
use crate::policy::Policy;
use crate::smtp::address::RecipientKey;
use crate::time::Timestamp;

const DAY: i64 = 86_400;

fn day(number: i64) -> Timestamp {
    Timestamp::from_secs(1_767_225_600 + number * DAY)
}

fn said(address: &str, at: Timestamp, what: What) -> Said {
    let id = EventId(format!("{address}-{}", at.as_millis()));
    let address = RecipientKey::parse(address).expect("an address");
    Event { id, at, address, tenant: Tenant::default(), what }.into()
}

fn gone(address: &str, number: i64) -> Said {
    let context = Context {
        message: Some(format!("message{number}")),
        receiver: Some("mx1.receiver.com:25".to_owned()),
        ..Context::default()
    };
    let evidence = Evidence {
        category: Category::UserUnknown,
        scope: Scope::Recipient,
        stage: Stage::Rcpt,
        reply: "550 5.1.1 no such user".to_owned(),
        rule: "some".to_owned(),
        context,
    };
    said(address, day(number), What::Reply(evidence))
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
    until: Option<Timestamp>,
    pass_bytes: u64,
}

fn tried(story: Vec<Said>, wanted: &Try<'_>) -> (Report, Vec<String>) {
    let folder = tempfile::tempdir().expect("a directory");
    write(folder.path(), story);
    let preset = |name: &str| Policy::preset(name).expect("a preset");
    let (before, after) = (wanted.before.map(preset), preset(wanted.after));
    let as_of = wanted.until.unwrap_or_else(|| day(30));
    let window = Window { since: None, until: wanted.until, as_of };
    let means = Means { before: before.as_ref(), after: &after, rules: wanted.rules, window };
    let told = Tried {
        policy: wanted.after.to_owned(),
        rules: None,
        against: wanted.before.map(str::to_owned),
        as_of,
        unknown: UNKNOWN,
    };
    let mut rows = Vec::new();
    let lists = Lists::embedded();
    let report = replay(folder.path(), wanted.pass_bytes, &means, &lists, told, |moved| {
        rows.push(moved.cells().join(","));
        Ok(())
    });
    rows.sort();
    (report.expect("replayed"), rows)
}

fn diff<'a>(after: &'a str) -> Try<'a> {
    Try { before: Some("quarantine"), after, rules: None, until: None, pass_bytes: u64::MAX }
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
