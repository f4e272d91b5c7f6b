//! A journal with a known outcome, folded again by the program: what it prints, and how it ends.

#![allow(clippy::indexing_slicing, reason = "a test may panic")]

use rcptgate::bounce::{Category, Scope, Stage};
use rcptgate::event::{Context, Event, EventId, Evidence, Tenant, What};
use rcptgate::journal::Writer;
use rcptgate::smtp::address::RecipientKey;
use rcptgate::time::Timestamp;

use crate::cli::Home;

/// A home whose journal has, of each address, so many bounces, a day apart.
fn home(bounces: &[(&str, i64)]) -> Home {
    let home = Home::new();
    let (mut writer, _) = Writer::open(&home.path("data/journal"), 1 << 20).expect("a journal");
    for (address, count) in bounces {
        for number in 0..*count {
            let context = Context {
                message: Some(format!("message{number}")),
                receiver: Some("mx.receiver.com:25".to_owned()),
                ..Context::default()
            };
            let what = What::Reply(Evidence {
                category: Category::UserUnknown,
                scope: Scope::Recipient,
                stage: Stage::Rcpt,
                reply: "550 5.1.1 nobody here today".to_owned(),
                rule: "some-rule".to_owned(),
                context,
            });
            let event = Event {
                id: EventId(format!("{address}{number}")),
                at: Timestamp::from_secs(1_767_225_600 + number * 86_400),
                address: RecipientKey::parse(address).expect("an address"),
                tenant: Tenant::default(),
                what,
            };
            writer.stage(&event).expect("staged");
        }
    }
    writer.commit().expect("committed");
    home
}

#[test]
fn a_policy_is_tried_on_the_journal() {
    let home = home(&[("once@a.test", 1), ("thrice@b.test", 3), ("undone@c.test", 3)]);
    let undo = ["undo", "--domain", "c.test", "--reason", "an outage", "--yes"];
    assert!(home.ok(&undo).contains("3 events of 1 addresses"));
    let found = home.json(&["replay", "--policy", "marketo", "--diff"]);
    let report = &found[0];
    let figure = |name: &str| report[name].as_u64();
    assert_eq!(figure("quarantined"), Some(1), "{report}");
    assert_eq!(
        (figure("released"), figure("undone"), figure("events")),
        (Some(0), Some(3), Some(4))
    );
    let change = &report["moves"][0];
    assert_eq!(
        (&change["cause"], &change["before"], &change["after"], &change["examples"][0]),
        (
            &"user_unknown".into(),
            &"on_watch".into(),
            &"quarantined_long_term".into(),
            &"once@a.test".into()
        )
    );
    assert_eq!(report["receivers"][0]["name"], "receiver.com");
    let csv = home.ok(&["replay", "--policy", "salesforce", "--diff", "--csv"]);
    assert_eq!(
        csv,
        "address,before,after,until,cause,receiver\n\
         thrice@b.test,quarantined_long_term,on_watch,,user_unknown,receiver.com\n"
    );
    let text = home.ok(&["replay", "--policy", "salesforce", "--diff"]);
    for words in [
        "policy salesforce against quarantine, as of ",
        "1  addresses would be released\n",
        "1  user unknown: quarantined long-term → on watch\n",
        "such as thrice@b.test\n",
        "0 refused, 1 released  b.test\n",
        "not known\n",
    ] {
        assert!(text.contains(words), "{words:?} is not in {text}");
    }
    // Nothing was changed.
    assert_eq!(home.json(&["lookup", "once@a.test"])[0]["standing"], "on_watch");
}

#[test]
fn rules_are_tried_on_the_journal() {
    let home = home(&[("thrice@b.test", 3)]);
    let rules = "[[rule]]\nname = \"away\"\ncategory = \"policy\"\nscope = \"message\"\n\
                 text = [\"nobody here today\"]\nspecimens = [\"550 5.1.1 nobody here today\"]\n";
    home.write("own.toml", rules);
    let report = &home.json(&["replay", "--rules", "own.toml", "--diff"])[0];
    assert_eq!(
        (&report["read_otherwise"], &report["released"]),
        (&3.into(), &1.into()),
        "{report}"
    );
    let without = &home.json(&["replay"])[0];
    assert_eq!((&without["quarantined"], &without["against"]), (&1.into(), &().into()));
}

#[test]
fn what_cannot_be_tried_is_named() {
    let home = home(&[("once@a.test", 1)]);
    home.write("broken.toml", "[hard]\ntolerated = \"many\"\n");
    home.write("rules.toml", "[[rule]]\nname = \"one\"\n");
    let check = |words: &[&str], code: i32, named: &str| {
        let end = home.run(&[&["replay"], words].concat());
        assert_eq!(end.code, code, "{words:?}: {end:?}");
        assert!(end.err.contains(named), "{words:?}: {end:?}");
    };
    check(&["--diff"], 64, "--policy or --rules");
    check(&["--policy", "no-such"], 64, "no-such");
    check(&["--policy", "broken.toml"], 78, "broken.toml:2");
    check(&["--rules", "rules.toml"], 78, "rules.toml:2");
    check(&["--since", "2026-02-01", "--until", "2026-01-01"], 64, "no time is before");
    check(&["--since", "yesterday"], 64, "yesterday");
    std::fs::remove_dir_all(home.path("data")).expect("removed");
    check(&[], 69, "no gate has kept a journal there yet");
}
