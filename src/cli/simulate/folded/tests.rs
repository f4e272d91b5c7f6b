//! The outage of Gmail of December 2020, replayed: 6 h 41 in which a part of the valid mailboxes "does not exist".

use super::*;
use crate::bounce::{Category, Scope, Stage};
use crate::event::{Context, Delivery, EventId, Evidence, Tenant, What};
use crate::policy::decide;
use crate::policy::verdict::{Listing, Verdict};

const MINUTE: i64 = 60;
const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;
const OUTAGE: std::ops::Range<i64> = 0..6 * HOUR + 41 * MINUTE;
const USERS: usize = 5000;

struct Replay<'a> {
    folded: Folded<'a>,
    /// Domain and receiver of a number.
    place: fn(usize) -> (String, &'static str),
    dice: u64,
    notices: usize,
}

fn at(secs: i64) -> Timestamp {
    Timestamp::from_secs(1_607_984_160 + secs)
}

fn key(address: &str) -> RecipientKey {
    RecipientKey::parse(address).expect("an address")
}

impl Replay<'_> {
    fn good(&self, user: usize) -> String {
        format!("user{user}@{}", (self.place)(user).0)
    }

    fn saw(&mut self, secs: i64, number: usize, name: &str, refused: bool) {
        let (domain, receiver) = (self.place)(number);
        let context = Context { receiver: Some(receiver.to_owned()), ..Context::default() };
        let what = if refused {
            What::Reply(Evidence {
                category: Category::UserUnknown,
                scope: Scope::Recipient,
                stage: Stage::Rcpt,
                reply: "550-5.1.1 The email account that you tried to reach does not exist"
                    .to_owned(),
                rule: "test".to_owned(),
                context,
            })
        } else {
            What::Delivered(Delivery { reply: String::new(), context })
        };
        self.notices += 1;
        let id = EventId(format!("{}", self.notices));
        let address = key(&format!("{name}{number}@{domain}"));
        let tenant = Tenant::default();
        self.folded.learn(Event { id, at: at(secs), address, tenant, what });
    }

    fn random(&mut self) -> usize {
        self.dice = self.dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        usize::try_from(self.dice >> 40).expect("24 bits")
    }

    /// Traffic to good users, some of whom are refused, and to strangers who do not exist, in percent of it.
    fn traffic(&mut self, when: std::ops::Range<i64>, ill: usize, strangers: usize) {
        for minute in when.step_by(60) {
            for second in 0..40 {
                let user = self.random() % USERS;
                self.saw(minute + second, user, "user", user % 10 < ill);
                if self.random() % 100 < strangers {
                    let number = self.random();
                    self.saw(minute + second, number, "typo", true);
                }
            }
        }
    }

    /// Refused for good so often that any domain is believed.
    fn bury(&mut self, secs: i64, numbers: std::ops::Range<usize>) {
        for hours in 0..3 {
            for number in numbers.clone() {
                self.saw(secs + hours * 2 * HOUR, number, "gone", true);
            }
        }
    }

    fn forwards(&self, secs: i64, address: &str) -> bool {
        let record = self.folded.record(&key(address));
        let policy = self.folded.policy;
        let (listing, tenant) = (Listing::default(), Tenant::default());
        decide(record, &listing, &tenant, at(secs), policy).verdict == Verdict::Forward
    }

    /// How many good users are refused.
    fn lost(&self, secs: i64) -> usize {
        (0..USERS).filter(|user| !self.forwards(secs, &self.good(*user))).count()
    }

    fn passing(&self, secs: i64, numbers: std::ops::Range<usize>) -> usize {
        let name = |number| format!("gone{number}@{}", (self.place)(number).0);
        numbers.filter(|number| self.forwards(secs, &name(*number))).count()
    }
}

/// Replays the outage. Gives the most good users that were refused when it was asked, and under which keys evidence was held.
fn replay(
    enabled: bool,
    place: fn(usize) -> (String, &'static str),
    strangers: usize,
) -> (usize, Vec<OutageKey>) {
    let mut policy = Policy::default();
    policy.outage.enabled = enabled;
    policy.outage.capacity = 200_000;
    let folded = Folded::new(&policy);
    let mut replay = Replay { folded, place, dice: 1, notices: 0 };
    for day in [3, 2] {
        for user in 0..USERS {
            replay.saw(-day * DAY + i64::try_from(user).expect("small"), user, "user", false);
        }
    }
    replay.bury(-30 * HOUR, 0..200);
    replay.traffic(-8 * HOUR..0, 0, strangers);
    assert_eq!(replay.lost(-1), 0);
    assert_eq!(replay.passing(-1, 0..200), 0);
    let mut lost = Vec::new();
    let mut now = OUTAGE.start;
    for next in [15 * MINUTE, HOUR, 2 * HOUR, 4 * HOUR, OUTAGE.end] {
        replay.traffic(now..next, 3, strangers);
        lost.push(replay.lost(next));
        now = next;
    }
    replay.traffic(OUTAGE.end..OUTAGE.end + 4 * HOUR, 0, strangers);
    now = OUTAGE.end + 4 * HOUR;
    lost.push(replay.lost(now));
    assert!(replay.folded.guard.open().next().is_none(), "it is over");
    replay.bury(now, 200..400);
    lost.push(replay.lost(now + 7 * DAY));
    // Those that were unknown before and after are as they should be.
    assert_eq!(replay.passing(now + 7 * DAY, 0..400), 0);
    let keys = replay.folded.masks.outages().iter().map(|outage| outage.key.clone()).collect();
    (lost.into_iter().max().unwrap_or(0), keys)
}

#[test]
fn an_outage_of_gmail_costs_no_good_address_its_standing() {
    let gmail = |_| ("gmail.com".to_owned(), "gmail-smtp-in.l.google.com:25");
    for strangers in [1, 8] {
        let (lost, keys) = replay(true, gmail, strangers);
        assert_eq!(lost, 0, "with {strangers} % of strangers");
        assert_eq!(keys, [OutageKey::Domain("gmail.com".to_owned())]);
    }
    assert!(replay(false, gmail, 1).0 > 1000, "without the guard it would");
}

#[test]
fn an_outage_of_workspace_costs_no_good_address_its_standing() {
    let workspace = |number| (format!("shop{}.test", number % 500), "aspmx.l.google.com:25");
    let (lost, keys) = replay(true, workspace, 1);
    assert_eq!(lost, 0);
    assert_eq!(keys, [OutageKey::Receiver("google.com".to_owned())]);
    assert!(replay(false, workspace, 1).0 > 100, "without the guard it would");
}

#[test]
fn what_was_held_is_applied_or_voided_by_the_operator() {
    let gmail = OutageKey::Domain("gmail.com".to_owned());
    for (resolution, passing) in [(Resolution::Apply, 0), (Resolution::Void, 40)] {
        let policy = Policy::default();
        let place = |_| ("gmail.com".to_owned(), "gmail-smtp-in.l.google.com:25");
        let folded = Folded::new(&policy);
        let mut replay = Replay { folded, place, dice: 1, notices: 0 };
        for secs in [0, 2 * HOUR] {
            for number in 0..40 {
                replay.saw(secs, number, "gone", secs > 0);
            }
        }
        assert_eq!(replay.passing(2 * HOUR, 0..40), 40, "held");
        replay.folded.resolve(&gmail, at(2 * HOUR + 1), resolution).expect("there was one");
        assert_eq!(replay.passing(2 * HOUR + 1, 0..40), passing);
        // Closed indeed: what comes behind it is believed at once. Otherwise it is watched as before.
        for number in 40..80 {
            replay.saw(2 * HOUR + 2, number, "gone", false);
        }
        for number in 40..80 {
            replay.saw(3 * HOUR, number, "gone", true);
        }
        assert_eq!(replay.passing(3 * HOUR, 40..80), passing);
        let other = OutageKey::Domain("other.test".to_owned());
        replay.folded.resolve(&other, at(3 * HOUR), resolution).expect_err("there was none");
    }
}

#[test]
fn a_delivery_counts_after_evidence_that_was_held() {
    let policy = Policy::default();
    let place = |_| ("gmail.com".to_owned(), "gmail-smtp-in.l.google.com:25");
    let folded = Folded::new(&policy);
    let mut replay = Replay { folded, place, dice: 1, notices: 0 };
    for secs in [0, 2 * HOUR] {
        for number in 0..40 {
            replay.saw(secs, number, "gone", secs > 0);
        }
    }
    replay.saw(3 * HOUR, 7, "gone", false);
    let gmail = OutageKey::Domain("gmail.com".to_owned());
    replay.folded.resolve(&gmail, at(4 * HOUR), Resolution::Apply).expect("there was one");
    assert_eq!(replay.passing(4 * HOUR, 0..40), 1, "the one that mail arrived at since");
}
