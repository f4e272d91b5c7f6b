//! What holds for every history.

use proptest::prelude::*;

use super::*;
use crate::policy::{Standing, settle, settled};

fn any_category() -> impl Strategy<Value = Category> {
    use Category::*;
    prop::sample::select(vec![
        UserUnknown,
        UserUnknown,
        DomainUnknown,
        MailboxFull,
        MailboxFull,
        MailboxInactive,
        Deferred,
        SpamContent,
        Undetermined,
    ])
}

fn any_scope() -> impl Strategy<Value = Scope> {
    use Scope::*;
    prop::sample::select(vec![Recipient, Recipient, Recipient, Domain, Message, Session])
}

fn any_reply() -> impl Strategy<Value = What> {
    let context = (
        prop::option::weighted(0.7, prop::sample::select(vec!["m1", "m2", "m3"])),
        prop::option::of(prop::sample::select(vec!["<a@x.test>", "<>"])),
        prop::option::of(prop::sample::select(vec!["c1", "c2"])),
    );
    let code = prop::sample::select(vec!["550 5.1.1 a", "450 4.2.2 b", "552 c", "", "garbage"]);
    (any_category(), any_scope(), code, context).prop_map(
        |(category, scope, reply, (message, sender, campaign))| {
            let mut seen = evidence(category, reply, message);
            seen.scope = scope;
            seen.context.sender = sender.map(str::to_owned);
            seen.context.campaign = campaign.map(str::to_owned);
            What::Reply(seen)
        },
    )
}

fn did(step: &Do) -> What {
    what(step).expect("no question")
}

fn any_import() -> impl Strategy<Value = What> {
    let kind = prop::sample::select(ImportKind::ALL.to_vec());
    let date = prop::option::of((0..90 * DAY).prop_map(at));
    let until = prop::option::of((0..90 * DAY).prop_map(at));
    let flags = (any::<bool>(), any::<bool>());
    (kind, date, until, flags).prop_map(|(kind, dated, until, (forced, learnt))| {
        let learnt = learnt && kind.is_bounce();
        What::Imported(Imported { dated, until, forced, learnt, ..imported(kind) })
    })
}

fn any_what() -> impl Strategy<Value = What> {
    let list = prop::sample::select(vec![List::Quarantine, List::Blacklist, List::Allow]);
    prop_oneof![
        12 => any_reply(),
        2 => prop::option::of(Just("m1")).prop_map(|message| did(&Do::Delivered(message))),
        1 => Just(did(&Do::Complaint)),
        1 => Just(did(&Do::Engaged)),
        1 => prop::option::of(0..90 * DAY).prop_map(|until| did(&Do::Quarantine(until))),
        1 => Just(did(&Do::Blacklist)),
        1 => Just(did(&Do::Allow)),
        1 => list.prop_map(|from| did(&Do::Release(from))),
        2 => any_import(),
    ]
}

/// Gaps that touch the edges of every window.
fn any_gap() -> impl Strategy<Value = i64> {
    prop_oneof![
        0..4 * HOUR,
        0..4 * DAY,
        prop::sample::select(vec![0, HOUR - 1, HOUR, 12 * HOUR, 72 * HOUR - 1, 72 * HOUR, WEEK]),
        0..12 * WEEK,
    ]
}

pub(super) fn any_history() -> impl Strategy<Value = Vec<(i64, What)>> {
    prop::collection::vec((any_gap(), any_what()), 0..40).prop_map(|steps| {
        let mut now = 0;
        steps
            .into_iter()
            .map(|(gap, what)| {
                now += gap;
                (now, what)
            })
            .collect()
    })
}

/// Each preset, and the table to the letter.
fn any_policy() -> impl Strategy<Value = Policy> {
    let mut policies: Vec<Policy> = Policy::presets().map(preset).collect();
    policies.push(Policy { literal_codes: true, ..preset("activecampaign") });
    prop::sample::select(policies)
}

/// Everything but the counts that move nothing.
fn moved(record: &Record) -> Record {
    Record { blocked: Default::default(), ..record.clone() }
}

pub(super) fn fold(history: &[(i64, What)], policy: &Policy) -> Record {
    history.iter().fold(Record::default(), |record, (secs, what)| {
        transition(record, &event(*secs, "a@example.test", what.clone()), policy)
    })
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 200,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn total_and_the_same_every_time(
        steps in prop::collection::vec((any::<i64>(), any_what()), 0..40),
        now: i64,
        policy in any_policy(),
    ) {
        // Any order, any time, the ends of time included.
        let fold = || steps.iter().fold(Record::default(), |record, (millis, what)| {
            let event = Event {
                at: Timestamp::from_millis(*millis),
                ..event(0, "a@gmail.com", what.clone())
            };
            transition(record, &event, &policy)
        });
        let record = fold();
        prop_assert_eq!(&record, &fold());
        let now = Timestamp::from_millis(now);
        let ask = || decide(Some(&record), &Listing::default(), &Tenant::default(), now, &policy);
        prop_assert_eq!(ask(), ask());
    }

    #[test]
    fn asking_changes_nothing(history in any_history(), asks in prop::collection::vec(any_gap(), 40), policy in any_policy()) {
        // Even if what was asked were written back, at any time between two events.
        let mut record = Record::default();
        let mut asked = Record::default();
        let mut last = 0;
        for ((secs, what), wait) in history.iter().zip(asks) {
            let between = last + wait.min(secs - last);
            asked = settle(asked, at(between), &policy);
            let event = event(*secs, "a@example.test", what.clone());
            record = transition(record, &event, &policy);
            asked = transition(asked, &event, &policy);
            last = *secs;
        }
        for later in [0, HOUR, 80 * HOUR, 20 * WEEK] {
            let now = at(last + later);
            let ask = |record| decide(
                Some(record), &Listing::default(), &Tenant::default(), now, &policy,
            );
            prop_assert_eq!(ask(&record), ask(&asked));
            prop_assert_eq!(
                settle(record.clone(), now, &policy),
                settle(asked.clone(), now, &policy)
            );
        }
    }

    #[test]
    fn settling_twice_is_settling_once(history in any_history(), first in any_gap(), more in any_gap(), policy in any_policy()) {
        let record = fold(&history, &policy);
        let start = history.last().map_or(0, |(secs, _)| *secs);
        let (once, twice) = (at(start + first), at(start + first + more));
        let settled_once = settle(record.clone(), once, &policy);
        prop_assert_eq!(settle(settled_once.clone(), once, &policy), settled_once.clone());
        prop_assert_eq!(
            settle(settled_once, twice, &policy),
            settle(record.clone(), twice, &policy)
        );
        let _ = settled(&record, twice, &policy);
    }

    #[test]
    fn what_is_not_about_the_recipient_is_the_identity(
        history in any_history(),
        reply in any_reply(),
        secs in 0..100 * WEEK,
        name in prop::sample::select(Policy::presets().collect::<Vec<_>>()),
    ) {
        let policy = preset(name);
        let record = fold(&history, &policy);
        let What::Reply(mut seen) = reply else { unreachable!() };
        for scope in [Scope::Message, Scope::Session] {
            seen.scope = scope;
            let event = event(secs, "a@gmail.com", What::Reply(seen.clone()));
            let after = transition(record.clone(), &event, &policy);
            prop_assert_eq!(moved(&after), moved(&record));
            let standing = |record| Standing::of(record, &event.tenant, event.at, &policy);
            prop_assert_eq!(standing(&after), standing(&record));
        }
    }

    #[test]
    fn an_event_that_comes_twice_counts_once(
        steps in prop::collection::vec((any::<bool>(), any_gap(), any_what()), 0..40),
        policy in any_policy(),
    ) {
        // In order and out of it.
        let (mut once, mut twice, mut now) = (Record::default(), Record::default(), 0);
        for (number, (back, gap, what)) in steps.into_iter().enumerate() {
            now += if back { -gap } else { gap };
            let mut event = event(now, "a@example.test", what);
            event.id = EventId(format!("e{number}"));
            once = transition(once, &event, &policy);
            twice = transition(transition(twice, &event, &policy), &event, &policy);
            prop_assert_eq!(&once, &twice);
        }
    }

    #[test]
    fn a_bounce_that_comes_again_later_counts_once(
        bounces in prop::collection::vec((any_gap(), any_reply()), 1..8),
        again in any::<prop::sample::Index>(),
        policy in any_policy(),
    ) {
        // Of a message without a key: its event's own name tells it from the next one.
        let mut now = 0;
        let events: Vec<Event> = bounces.into_iter().enumerate().map(|(number, (gap, what))| {
            now += gap;
            let What::Reply(mut seen) = what else { unreachable!() };
            (seen.reply, seen.context.message) = ("550 5.9.9 no".to_owned(), None);
            let mut event = event(now, "a@example.test", What::Reply(seen));
            event.id = EventId(format!("e{number}"));
            event
        }).collect();
        let record = events.iter().fold(Record::default(), |record, event| transition(record, event, &policy));
        let counts = |record: &Record| (record.hard.count, record.soft.count, record.blocked.count);
        let after = transition(record.clone(), again.get(&events), &policy);
        prop_assert_eq!(counts(&after), counts(&record));
        prop_assert_eq!(after.learnt, record.learnt);
    }

    #[test]
    fn q30_after_a_release_the_next_hard_quarantines_at_once(
        history in any_history(),
        wait in any_gap(),
        policy in any_policy(),
        named in prop::option::of(Just("m9")),
    ) {
        let released = history.last().map_or(0, |(secs, _)| *secs) + 1;
        let mut record = fold(&history, &policy);
        for (secs, what) in [
            (released, did(&Do::Release(List::Quarantine))),
            (released + wait, did(&Do::Hard(named))),
        ] {
            prop_assert!(record.learnt.is_none() || secs == released);
            record = transition(record, &event(secs, "a@example.test", what), &policy);
        }
        prop_assert!(record.learnt.is_some_and(|learnt| learnt.until.is_none()));
    }

    #[test]
    fn replies_never_touch_what_operators_and_recipients_said(
        history in any_history(),
        replies in prop::collection::vec((any_gap(), any_reply()), 0..20),
        policy in any_policy(),
    ) {
        let before = fold(&history, &policy);
        let mut after = before.clone();
        let mut now = history.last().map_or(0, |(secs, _)| *secs);
        for (gap, what) in replies {
            now += gap;
            after = transition(after, &event(now, "a@gmail.com", what), &policy);
            after = transition(after, &event(now, "a@gmail.com", did(&Do::Delivered(None))), &policy);
        }
        prop_assert_eq!(
            (&before.manual, &before.blacklists, &before.allowed, &before.imported),
            (&after.manual, &after.blacklists, &after.allowed, &after.imported)
        );
    }

    #[test]
    fn temporary_replies_alone_never_quarantine_for_good_before_the_last_step(
        gaps in prop::collection::vec(any_gap(), 0..60),
    ) {
        let policy = Policy::default();
        let mut record = Record::default();
        let (mut now, mut steps) = (0, 0);
        let mut learnt = None;
        for gap in gaps {
            now += gap;
            let event = event(now, "a@gmail.com", did(&Do::Deferred(None)));
            record = transition(record, &event, &policy);
            if record.learnt.as_ref().map(|learnt| learnt.since) != learnt {
                learnt = record.learnt.as_ref().map(|learnt| learnt.since);
                steps += 1;
            }
            prop_assert!(record.soft.count >= steps);
            let long_term = record.learnt.as_ref().is_some_and(|learnt| learnt.until.is_none());
            prop_assert_eq!(long_term, record.soft.count >= 6);
        }
    }
}
