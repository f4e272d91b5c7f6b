//! The presets as `simulate --policy` runs them, from replies as receivers write them.

use super::*;

/// The verdict on a RCPT right after the last of these replies, a day and a bit apart, each of a campaign of its own.
fn verdict(policy: &Policy, stage: &str, recipients: u32, replies: &[&str]) -> String {
    let mut input = String::new();
    for (number, reply) in replies.iter().enumerate() {
        let at = number * 100_000;
        input.push_str(&format!(
            r#"{{"at":{at},"type":"reply","address":"a@b.test","campaign":"c{number}","stage":"{stage}","recipients":{recipients},"reply":"{reply}"}}"#
        ));
        input.push('\n');
    }
    let at = replies.len().saturating_sub(1) * 100_000;
    input.push_str(&format!(r#"{{"at":{at},"type":"ask","address":"a@b.test"}}"#));
    let (outcome, output) = simulate_under(policy, &input);
    outcome.expect("a good file");
    let answer: Value = serde_json::from_str(&output).expect("one answer");
    format!("{} {}", answer["verdict"], answer["standing"]).replace('"', "")
}

const GONE: &str = "550 5.1.1 no such user";
const FULL: &str = "552 5.2.2 mailbox full";
const SPAM: &str = "554 5.7.1 this looks like spam";

#[test]
fn each_preset_has_its_table() {
    let check = |name: &str, replies: &[&str], expected: &str| {
        let policy = Policy::preset(name).expect("a preset");
        assert_eq!(verdict(&policy, "rcpt", 1, replies), expected, "{name}: {replies:?}");
    };
    check("quarantine", &[GONE; 2], "forward on_watch");
    check("quarantine", &[GONE; 3], "refuse quarantined_long_term");
    check("quarantine", &[FULL], "refuse quarantined");
    check("marketo", &[GONE], "refuse quarantined_long_term");
    check("marketo", &[FULL; 20], "defer quarantined");
    check("marketo", &[SPAM; 20], "forward clear");
    check("salesforce", &[GONE; 13], "forward on_watch");
    check("salesforce", &[GONE; 14], "refuse quarantined_long_term");
    check("salesforce", &[FULL; 2], "forward on_watch");
    check("salesforce", &[FULL; 3], "refuse quarantined_long_term");
    check("activecampaign", &[GONE], "refuse quarantined_long_term");
    check("activecampaign", &[FULL; 2], "forward on_watch");
    check("activecampaign", &[FULL; 3], "refuse quarantined_long_term");
    check("activecampaign", &[SPAM; 20], "forward clear");
}

#[test]
fn a08_literal_codes_are_honoured() {
    let file = "literal_codes = true\n[hard]\ntolerated = 0\n[soft]\ntolerated = 2\nsteps = []\n";
    let policy = Policy::from_toml(file).expect("a policy");
    let check = |stage: &str, recipients, reply: &str, expected: &str| {
        assert_eq!(verdict(&policy, stage, recipients, &[reply]), expected, "{stage}: {reply}");
    };
    check("rcpt", 1, SPAM, "refuse quarantined_long_term");
    check("rcpt", 5, SPAM, "refuse quarantined_long_term");
    check("end-of-data", 1, SPAM, "refuse quarantined_long_term");
    check("end-of-data", 2, SPAM, "forward clear");
    check("mail", 1, SPAM, "forward clear");
    check("rcpt", 1, "450 4.7.1 this looks like spam", "forward clear");
    check("rcpt", 1, "550 no such user", "refuse quarantined_long_term");
    assert_eq!(verdict(&policy, "rcpt", 1, &["550 5.2.1 no such user"; 2]), "forward on_watch");
}

#[test]
fn a11_every_row_of_the_table_through_the_classifier() {
    use crate::bounce::activecampaign::{Kind, NO_CODE, rows};

    let file = "literal_codes = true\n[hard]\ntolerated = 0\n[soft]\ntolerated = 1000\n";
    let policy = Policy::from_toml(file).expect("a policy");
    for (code, row) in rows().filter(|(code, _)| *code != NO_CODE) {
        let reply = format!("{}50 {code} words", code.class);
        let expected = match row.kind {
            Kind::Hard => "refuse quarantined_long_term",
            Kind::Soft => "forward on_watch",
        };
        assert_eq!(verdict(&policy, "rcpt", 1, &[&reply]), expected, "{reply}");
    }
}
