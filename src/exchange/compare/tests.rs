use super::*;
use crate::bounce::{Category, Scope, Stage};
use crate::event::{Act, Context, Delivery, Evidence, ImportKind, Imported, List, Tenant};
use crate::smtp::address::RecipientKey;

const DAY: i64 = 86_400;
const NOW: i64 = 1_767_225_600;

fn at(days: i64) -> Timestamp {
    Timestamp::from_secs(NOW + days * DAY)
}

fn key() -> RecipientKey {
    RecipientKey::parse("a@gmail.com").expect("an address")
}

/// The record after these events, each so many days from now.
fn known(story: &[(i64, What)]) -> Record {
    story.iter().fold(Record::default(), |record, (days, what)| {
        let (id, tenant) = (EventId(format!("e{days}")), Tenant("shop".to_owned()));
        let event = Event { id, at: at(*days), address: key(), tenant, what: what.clone() };
        transition(record, &event, &Policy::default())
    })
}

fn imported(kind: ImportKind, dated: Option<i64>, until: Option<i64>, learnt: bool) -> Imported {
    Imported {
        kind,
        source: "s".to_owned(),
        batch: "b".to_owned(),
        row: None,
        dated: dated.map(at),
        until: until.map(at),
        category: None,
        detail: String::new(),
        forced: false,
        again: false,
        learnt,
        act: Act::default(),
    }
}

fn entry(imported: Imported, becomes: Becomes) -> Entry {
    Entry { address: key(), tenant: Tenant("shop".to_owned()), imported, becomes }
}

#[track_caller]
fn check(story: &[(i64, What)], entry: &Entry, expected: Comes) {
    assert_eq!(comes_of(entry, &known(story), at(0), &Policy::default()), expected);
}

fn gone() -> What {
    What::Reply(Evidence {
        category: Category::UserUnknown,
        scope: Scope::Recipient,
        stage: Stage::Rcpt,
        reply: "550 5.1.1 no such user".to_owned(),
        rule: "some".to_owned(),
        context: Context::default(),
    })
}

fn release(from: List) -> What {
    What::Release { from, act: Act::default() }
}

#[test]
fn a_row_is_new_once_and_stays_answered_by_what_came_after_it() {
    let hard = entry(imported(ImportKind::Hard, Some(-10), None, false), Becomes::LongTerm);
    let row = (-9, What::Imported(hard.imported.clone()));
    check(&[], &hard, Comes::New);
    check(std::slice::from_ref(&row), &hard, Comes::Already);
    check(&[row.clone(), (-5, release(List::Quarantine))], &hard, Comes::Answered);
    // News is what is dated later than the release.
    let news = entry(imported(ImportKind::Hard, Some(-4), None, false), Becomes::LongTerm);
    check(&[row, (-5, release(List::Quarantine))], &news, Comes::New);
    let learnt = entry(imported(ImportKind::Hard, Some(-10), None, true), Becomes::LongTerm);
    let delivered = What::Delivered(Delivery::default());
    check(&[(-9, gone()), (-8, delivered.clone())], &learnt, Comes::Answered);
    // No delivery answers what was not learnt.
    check(&[(-9, gone()), (-8, delivered)], &hard, Comes::New);
    let wrong =
        entry(imported(ImportKind::Complaint, Some(-10), None, false), Becomes::Blacklisted);
    let complaint = (-9, What::Complaint { source: None });
    check(&[], &wrong, Comes::New);
    check(std::slice::from_ref(&complaint), &wrong, Comes::Already);
    check(&[complaint, (-5, release(List::Blacklist))], &wrong, Comes::Answered);
    let allowed = entry(imported(ImportKind::Allowed, None, None, false), Becomes::Allowed);
    check(&[], &allowed, Comes::New);
    check(&[(-1, What::Allow { act: Act::default() })], &allowed, Comes::Already);
    let reset = entry(imported(ImportKind::Active, None, None, false), Becomes::Reset);
    check(&[(-1, gone())], &reset, Comes::New);
}

/// What a delivery lifts, and what none lifts, are two quarantines.
#[test]
fn a_quarantine_of_another_ground_is_added() {
    let hard = entry(imported(ImportKind::Hard, Some(-10), None, false), Becomes::LongTerm);
    let learnt = entry(imported(ImportKind::Hard, Some(-10), None, true), Becomes::LongTerm);
    check(&[(-9, gone())], &hard, Comes::Added);
    check(&[(-9, gone())], &learnt, Comes::Already);
    let row = |entry: &Entry| (-9, What::Imported(entry.imported.clone()));
    check(&[row(&learnt)], &hard, Comes::Added);
    check(&[row(&hard)], &learnt, Comes::Added);
    let ordered = |until| (-9, What::Quarantine { until, act: Act::default() });
    check(&[ordered(None)], &hard, Comes::Added);
    check(&[ordered(Some(at(1)))], &hard, Comes::New);
    // What is over holds nothing.
    check(&[ordered(Some(at(0)))], &hard, Comes::New);
}

#[test]
fn another_end_is_new_where_it_becomes_the_end() {
    let soft = |dated, until| {
        entry(imported(ImportKind::Soft, Some(dated), Some(until), false), Becomes::Quarantined)
    };
    let known = [(-5, What::Imported(soft(-6, 5).imported))];
    check(&known, &soft(-6, 5), Comes::Already);
    // The newer one stands, longer or shorter.
    check(&known, &soft(-4, 9), Comes::New);
    check(&known, &soft(-4, 2), Comes::New);
    check(&known, &soft(-7, 9), Comes::Already);
    check(&[(-5, gone())], &soft(-4, 9), Comes::Added);
    let over = [(-5, What::Imported(soft(-6, -1).imported))];
    check(&over, &soft(-7, 9), Comes::Answered);
    check(&over, &soft(-5, 9), Comes::New);
}
