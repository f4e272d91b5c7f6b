use std::fs;

use super::*;

const DAY: i64 = 20_785;

fn at(day: i64) -> Timestamp {
    Timestamp::from_secs(day * 86_400 + 43_200)
}

fn place<'a>(tenant: &'a str, receiver: &'a str, campaign: &'a str) -> Place<'a> {
    Place { tenant, receiver, campaign: Campaign::Named(campaign) }
}

fn settings(folder: &Path, keys: usize) -> Settings {
    Settings { keys, ..Settings::new(folder) }
}

fn file(folder: &Path, day: i64) -> PathBuf {
    folder.join("tally").join(format!("{}.jsonl", files::name_of(day)))
}

fn by(by: By) -> Question {
    Question { by, ..Question::default() }
}

const HARD: Outcome = Outcome::Bounced(Cause::UserUnknown);

#[test]
fn counts_outlive_the_program_and_days_are_apart() {
    let folder = tempfile::tempdir().unwrap();
    let keep = settings(folder.path(), 1000);
    let tally = Tally::open(keep.clone(), at(DAY));
    for _ in 0..3 {
        tally.count(&place("t", "google.com", "c1"), Outcome::Delivered, None, at(DAY));
    }
    tally.write(at(DAY)).unwrap();
    tally.count(&place("t", "google.com", "c1"), HARD, Some("550 5.1.1 no"), at(DAY));
    tally.write(at(DAY)).unwrap();
    let tally = Tally::open(keep, at(DAY));
    tally.count(&place("t", "yahoo.com", "c2"), HARD, Some("550 other"), at(DAY));
    tally.count(&place("t", "yahoo.com", "c2"), Outcome::Delivered, None, at(DAY + 1));
    let days = tally.sum(&by(By::Day)).unwrap();
    assert_eq!(days.groups.len(), 2);
    assert_eq!((days.groups["2026-11-28"].sent(), days.groups["2026-11-29"].sent()), (5, 1));
    assert_eq!(days.examples[&Cause::UserUnknown], "550 5.1.1 no", "the day has one already");
    let receivers = tally.sum(&Question { last: Some(DAY), ..by(By::Receiver) }).unwrap();
    let google = &receivers.groups["google.com"];
    assert_eq!((google.of(Outcome::Delivered), google.of(HARD)), (3, 1));
    assert_eq!(receivers.groups["yahoo.com"].decided(), 1);
    let sent = |question: Question| tally.sum(&question).unwrap().total.sent();
    let named = |name: &str| Some(name.to_owned());
    assert_eq!(sent(Question { campaign: named("c2"), ..by(By::Tenant) }), 2);
    assert_eq!(sent(Question { receiver: named("google.com"), ..by(By::Day) }), 4);
    assert_eq!(sent(Question { tenant: named("other"), ..by(By::Day) }), 0);
    // A day is whole, the first and the last too.
    assert_eq!(sent(Question { first: Some(DAY), last: Some(DAY), ..by(By::Day) }), 5);
    assert_eq!(sent(Question { first: Some(DAY + 1), ..by(By::Day) }), 1);
    assert_eq!(sent(Question { first: Some(DAY + 2), ..by(By::Day) }), 0);
    assert_eq!(sent(Question { last: Some(DAY - 1), ..by(By::Day) }), 0);
}

#[test]
fn a_campaign_is_asked_for_by_its_key_or_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let tally = Tally::open(settings(folder.path(), 1000), at(DAY));
    for campaign in ["sender/spring", "envid/spring", "sender/summer"] {
        tally.count(&place("t", "a.test", campaign), HARD, None, at(DAY));
    }
    let sent = |campaign: &str| {
        let campaign = Some(campaign.to_owned());
        tally.sum(&Question { campaign, ..by(By::Day) }).unwrap().total.sent()
    };
    assert_eq!(["spring", "sender/spring", "summer", "winter"].map(sent), [2, 1, 1, 0]);
}

#[test]
fn the_latest_example_is_told_and_all_that_is_broken() {
    let folder = tempfile::tempdir().unwrap();
    let tally = Tally::open(settings(folder.path(), 1000), at(DAY));
    for day in [DAY + 2, DAY, DAY + 1] {
        let reply = format!("550 5.1.1 on day {}", day - DAY);
        tally.count(&place("t", "a.test", "c"), HARD, Some(&reply), at(day));
        // The first one of a day is as good as any.
        tally.count(&place("t", "a.test", "c"), HARD, Some("550 more"), at(day));
        tally.write(at(day)).unwrap();
        let path = file(folder.path(), day);
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, format!("nonsense\n{text}")).unwrap();
    }
    let sum = tally.sum(&by(By::Day)).unwrap();
    assert_eq!(sum.examples[&Cause::UserUnknown], "550 5.1.1 on day 2");
    assert_eq!((sum.total.sent(), sum.broken), (6, 3));
}

#[test]
fn a_day_has_so_many_keys_and_loses_none_of_the_counts() {
    let folder = tempfile::tempdir().unwrap();
    let keep = settings(folder.path(), 80);
    for start in 0..3 {
        let tally = Tally::open(keep.clone(), at(DAY));
        for number in 0..200 {
            let campaign = format!("c{start}.{number}");
            tally.count(&place("t", "google.com", &campaign), HARD, None, at(DAY));
            let receiver = format!("r{start}.{number}");
            tally.count(&place("t", &receiver, "c"), Outcome::Delivered, None, at(DAY));
            let tenant = format!("t{start}.{number}");
            tally.count(&place(&tenant, "google.com", "c"), Outcome::Unfinished, None, at(DAY));
        }
        tally.write(at(DAY)).unwrap();
    }
    let keys = by(By::Campaign);
    let text = fs::read_to_string(file(folder.path(), DAY)).unwrap();
    let mut lines: Vec<_> = text.lines().map(|line| line.split(",\"counts\"").next()).collect();
    lines.sort_unstable();
    lines.dedup();
    assert!(lines.len() <= 80, "{} keys", lines.len());
    let sum = super::sum(&folder.path().join("tally"), &keys).unwrap();
    assert_eq!(sum.total.sent(), 3 * 600);
    assert!(sum.groups[OTHER].sent() > 0);
    let receivers = super::sum(&folder.path().join("tally"), &by(By::Receiver)).unwrap();
    assert!(receivers.groups["google.com"].of(HARD) == 600, "campaigns go first");
    assert!(receivers.groups.contains_key(OTHER));
    let tenants = super::sum(&folder.path().join("tally"), &by(By::Tenant)).unwrap();
    assert!(tenants.groups.contains_key(OTHER));
}

#[test]
fn a_torn_line_is_neither_read_nor_written_behind() {
    let folder = tempfile::tempdir().unwrap();
    let keep = settings(folder.path(), 1000);
    let tally = Tally::open(keep.clone(), at(DAY));
    tally.count(&place("t", "a.test", "c"), HARD, None, at(DAY));
    tally.write(at(DAY)).unwrap();
    let path = file(folder.path(), DAY);
    let whole = fs::read_to_string(&path).unwrap();
    fs::write(&path, format!("{whole}{}", &whole[..whole.len() / 2])).unwrap();
    let tally = Tally::open(keep, at(DAY));
    assert_eq!(tally.sum(&by(By::Day)).unwrap().total.sent(), 1);
    tally.count(&place("t", "a.test", "c"), HARD, None, at(DAY));
    tally.write(at(DAY)).unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), format!("{whole}{whole}"));
    // However much is torn.
    fs::write(&path, format!("{whole}{}", "{".repeat(10_000))).unwrap();
    tally.count(&place("t", "a.test", "c"), HARD, None, at(DAY));
    tally.write(at(DAY)).unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), format!("{whole}{whole}"));
    // One in the midst is told.
    fs::write(&path, format!("{whole}nonsense\n{whole}")).unwrap();
    let sum = tally.sum(&by(By::Day)).unwrap();
    assert_eq!((sum.total.sent(), sum.broken), (2, 1));
    // And kept for whoever can mend it.
    tally.write(at(DAY + 1)).unwrap();
    assert!(fs::read_to_string(&path).unwrap().contains("nonsense"));
}

#[test]
fn a_day_that_is_over_is_put_in_order_once_and_old_ones_go() {
    let folder = tempfile::tempdir().unwrap();
    let keep = Settings { days: 2, ..settings(folder.path(), 1000) };
    let tally = Tally::open(keep, at(DAY));
    for _ in 0..4 {
        tally.count(&place("t", "a.test", "c"), HARD, Some("550 no"), at(DAY));
        tally.write(at(DAY)).unwrap();
    }
    let lines = |day| fs::read_to_string(file(folder.path(), day)).unwrap().lines().count();
    assert_eq!(lines(DAY), 5);
    let before = tally.sum(&by(By::Day)).unwrap();
    tally.write(at(DAY + 1)).unwrap();
    assert_eq!(lines(DAY), 3);
    assert_eq!(tally.sum(&by(By::Day)).unwrap(), before);
    // A count that comes late is added all the same.
    tally.count(&place("t", "a.test", "c"), HARD, None, at(DAY));
    tally.count(&place("t", "a.test", "c"), HARD, None, at(DAY + 1));
    tally.write(at(DAY + 1)).unwrap();
    assert_eq!(tally.sum(&by(By::Day)).unwrap().groups["2026-11-28"].sent(), 5);
    assert_eq!(lines(DAY), 4, "days are put in order once a day");
    tally.write(at(DAY + 2)).unwrap();
    assert!(!file(folder.path(), DAY).exists());
    assert_eq!(lines(DAY + 1), 2);
}

#[test]
fn a_clock_that_jumps_about_does_not_fill_the_memory() {
    let mut memory = Memory::new(100);
    for day in 0..50 {
        memory.count(day, &place("t", "r", "c"), HARD, None);
    }
    let mut days = 0;
    while let Some(moved) = memory.take(SLICE) {
        days += 1;
        assert!(!moved.lines.is_empty());
    }
    assert_eq!(days, 3);
    // Nothing is lost: what finds no room is counted in the latest day that has some.
    let mut memory = Memory::new(100);
    for day in [7, 8, 9, 1, 20] {
        memory.count(day, &place("t", "r", "c"), HARD, None);
    }
    let mut told = Vec::new();
    while let Some(Moved { day, lines }) = memory.take(SLICE) {
        let [Line::Counts { counts, .. }] = &lines[..] else { panic!("{lines:?}") };
        told.push((day, counts.of(HARD)));
    }
    assert_eq!(told, [(7, 1), (8, 1), (9, 3)]);
}

#[test]
fn hostile_names_stay_in_bounds() {
    let folder = tempfile::tempdir().unwrap();
    let tally = Tally::open(settings(folder.path(), 1000), at(DAY));
    let long = "\u{1f}\n\"ä".repeat(10_000);
    tally.count(&place("t", "a.test", &long), HARD, Some(&long), at(DAY));
    let sender = Place { campaign: Campaign::Sender("Shop.Test"), ..place("t", "a.test", "") };
    tally.count(&sender, HARD, None, at(DAY));
    let sum = tally.sum(&by(By::Campaign)).unwrap();
    assert_eq!((sum.broken, sum.groups.len()), (0, 2));
    assert_eq!(sum.groups["@shop.test"].sent(), 1);
    let length = fs::metadata(file(folder.path(), DAY)).unwrap().len();
    assert!(length < 2000, "{length}");
}

/// A header says what a campaign is called.
#[test]
fn no_campaign_shares_the_row_of_all_others() {
    let folder = tempfile::tempdir().unwrap();
    let keep = settings(folder.path(), 1000);
    for start in 1..=2 {
        let tally = Tally::open(keep.clone(), at(DAY));
        for name in [OTHER, "\\(other)", "other"] {
            tally.count(&place("t", "a.test", name), HARD, None, at(DAY));
        }
        let sum = tally.sum(&by(By::Campaign)).unwrap();
        let mut groups: Vec<_> = sum.groups.iter().map(|(name, of)| (&**name, of.sent())).collect();
        groups.sort_unstable();
        assert_eq!(groups, [(r"\(other)", start), (r"\\(other)", start), ("other", start)]);
    }
    // A key that was read back is the one that was written, or each start would make another.
    let mut memory = Memory::new(4);
    for name in [OTHER, r"\(other)", r"\\(other)"] {
        memory.know(DAY, "t", "a.test", name);
    }
    memory.count(DAY, &place("t", "a.test", r"\(other)"), HARD, None);
    memory.count(DAY, &place("t", "a.test", "beyond"), HARD, None);
    let moved = memory.take(SLICE).expect("counts");
    let campaign = |line: &Line| match line {
        Line::Counts { campaign, .. } => campaign.clone(),
        Line::Example { .. } => String::new(),
    };
    let names: Vec<_> = moved.lines.iter().map(campaign).collect();
    assert_eq!(names, [r"\\(other)", OTHER]);
}
