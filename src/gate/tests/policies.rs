//! The gate keeps what the policy in force can use, and one event that comes twice counts once.

use super::*;
use crate::policy::Policy;

fn open_with(dir: &Path, policy: Policy) -> Gate {
    Gate::open(settings(dir), policy, Classifier::builtin(), |_, _| {}).expect("opens").gate
}

fn preset(name: &str) -> Policy {
    Policy::preset(name).expect("a preset")
}

/// The next hop's answer, and the verdict on the next RCPT.
fn after(
    gate: &Gate,
    address: &str,
    stage: Stage,
    reply: &str,
    recipients: u32,
) -> (bool, &'static str) {
    let reply = Reply::from_text(reply).expect("a reply");
    let learning = gate.refused(&about(address), stage, &reply, recipients, now());
    let kept = learning.durable.map(|durable| durable.wait().expect("learnt")).is_some();
    (kept, verdict(gate, address))
}

const GONE: &str = "550 5.1.1 <a@b.test>: Recipient address rejected: User unknown";
const SPAM: &str = "554 5.7.1 Message refused: it looks like spam";

#[test]
fn every_preset_runs_in_the_gate() {
    for (name, first_hard, first_soft) in [
        ("quarantine", "forward", "refuse"),
        ("marketo", "refuse", "defer"),
        ("salesforce", "forward", "forward"),
        ("activecampaign", "refuse", "forward"),
    ] {
        let dir = tempfile::tempdir().expect("a directory");
        let gate = open_with(dir.path(), preset(name));
        assert_eq!(after(&gate, "gone@b.test", Stage::Rcpt, GONE, 1), (true, first_hard), "{name}");
        let full = "552 5.2.2 mailbox full";
        assert_eq!(after(&gate, "full@b.test", Stage::Rcpt, full, 1), (true, first_soft), "{name}");
        let spam = after(&gate, "spam@b.test", Stage::EndOfData, SPAM, 1);
        assert_eq!(spam, (name == "marketo", "forward"), "{name}");
        assert!(gate.verify().expect("verified").agrees(), "{name}");
    }
}

#[test]
fn a08_codes_taken_to_the_letter_are_kept_as_events() {
    let dir = tempfile::tempdir().expect("a directory");
    let gate = open_with(dir.path(), Policy { literal_codes: true, ..preset("activecampaign") });
    let check = |address: &str, stage, reply: &str, recipients, expected| {
        assert_eq!(after(&gate, address, stage, reply, recipients), expected, "{address}: {reply}");
    };
    check("rcpt@b.test", Stage::Rcpt, "550 5.7.1 not welcome", 1, (true, "refuse"));
    check("alone@b.test", Stage::EndOfData, SPAM, 1, (true, "refuse"));
    check("many@b.test", Stage::EndOfData, SPAM, 2, (false, "forward"));
    check("mail@b.test", Stage::Mail, "550 5.1.1 no", 1, (false, "forward"));
    check("later@b.test", Stage::Rcpt, "450 5.7.1 later", 1, (false, "forward"));
    check("own@b.test", Stage::Rcpt, "550 5.7.1 rcptgate: no [1]", 1, (false, "forward"));
    check("unlisted@b.test", Stage::EndOfData, "554 5.7.26 unauthenticated", 1, (false, "forward"));
    assert!(gate.verify().expect("verified").agrees());
}

#[test]
fn m04_a_counted_block_is_kept_and_a_delivery_clears_it() {
    let dir = tempfile::tempdir().expect("a directory");
    let gate = open_with(dir.path(), preset("marketo"));
    let blocks =
        || gate.record(&key("a@b.test")).expect("read").map_or(0, |record| record.blocked.count);
    assert_eq!(after(&gate, "a@b.test", Stage::EndOfData, SPAM, 1), (true, "forward"));
    assert_eq!(after(&gate, "a@b.test", Stage::EndOfData, SPAM, 2), (false, "forward"));
    assert_eq!(blocks(), 1);
    gate.delivered(&about("a@b.test"), &Reply::from_text("250 ok").expect("a reply"), now());
    // The next event is behind it in the queue.
    learnt(&gate, quarantine("other@b.test"));
    assert_eq!(blocks(), 0);
}

#[test]
fn entries_that_are_folded_already_change_nothing() {
    let dir = tempfile::tempdir().expect("a directory");
    let gate = open_with(dir.path(), preset("salesforce"));
    for address in ["a@b.test", "a@b.test", "c@gmail.com"] {
        learnt(&gate, hard(address));
    }
    let release = What::Release { from: List::Quarantine, act: Act::default() };
    learnt(&gate, draft("c@gmail.com", release));
    learnt(&gate, hard("c@gmail.com"));
    let read =
        || ["a@b.test", "c@gmail.com"].map(|address| gate.record(&key(address)).expect("read"));
    let before = read();
    let shared = &gate.0.shared;
    let entries: Vec<_> = journal::Reader::open(&dir.path().join("journal"))
        .expect("opens")
        .map(|located| located.map(|located| (located.entry, located.position)).expect("a line"))
        .collect();
    assert_eq!(entries.len(), 5);
    let (store, filter) = (shared.store().expect("open"), shared.filter.load());
    let (policy, masks) = (shared.policy.load(), shared.masks.load());
    let means = fold::Means { store: &store, filter: &filter, policy: &policy, masks: &masks };
    let changes = fold::fold(&means, &entries).expect("folded");
    let same = |change: &Option<Change>| change.is_some_and(|change| change.before == change.after);
    assert!(changes.iter().all(same), "{changes:?}");
    assert_eq!(read(), before);
}

#[test]
fn m12_a06_every_bounce_is_kept_with_its_date_code_category_and_words() {
    let dir = tempfile::tempdir().expect("a directory");
    let gate = open_with(dir.path(), preset("quarantine"));
    let context = Context {
        message: Some("mta1/4F5D2A".to_owned()),
        campaign: Some("spring".to_owned()),
        ..Context::default()
    };
    let about = About { context: context.clone(), ..about("a@b.test") };
    let reply = Reply::from_text(GONE).expect("a reply");
    let learning = gate.refused(&about, Stage::Rcpt, &reply, 1, now());
    learning.durable.expect("an event").wait().expect("learnt");
    let history = gate.history(&key("a@b.test")).expect("read");
    let [(_, event)] = history.as_slice() else { panic!("one event") };
    let What::Reply(seen) = &event.what else { panic!("a reply") };
    assert_eq!((event.at, seen.category, seen.stage), (now(), Category::UserUnknown, Stage::Rcpt));
    assert_eq!((seen.reply.as_str(), &seen.context), (GONE, &context));
    assert!(!seen.rule.is_empty());
}

#[test]
fn q23_another_address_of_the_same_person_or_domain_starts_clean() {
    let dir = tempfile::tempdir().expect("a directory");
    let gate = open_with(dir.path(), preset("quarantine"));
    learnt(&gate, hard("old.name@gmail.com"));
    assert_eq!(verdict(&gate, "old.name@gmail.com"), "refuse");
    for other in ["new.name@gmail.com", "old.name@b.test", "oldname@gmail.com"] {
        assert_eq!(verdict(&gate, other), "forward", "{other}");
    }
}
