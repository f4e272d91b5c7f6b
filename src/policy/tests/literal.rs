//! ActiveCampaign's table to the letter: A8, A11, A12, X1, X2, X9, X18. One test for each of its fifty rows.

use super::*;
use crate::bounce::Effect;
use crate::policy::settings::Distinct;

fn literal() -> Policy {
    Policy { literal_codes: true, ..preset("activecampaign") }
}

/// A refusal as spam: classified as no fault of the recipient, so that only the code can move anything.
fn refused(reply: &str, campaign: &str) -> Evidence {
    let Do::Reply(mut seen) = of_campaign(Category::SpamContent, reply, campaign) else {
        unreachable!()
    };
    seen.scope = Scope::Message;
    seen
}

/// The row by the fold, and by the same fold when the table is not taken to the letter.
#[track_caller]
fn check_row(code: &str, expected: Effect) {
    let class = code.split('.').next().expect("a class");
    let reply = format!("{class}50 {code} words that say nothing");
    assert_eq!(literal().effect_of(&refused(&reply, "c1")), expected);
    let third = match expected {
        Effect::Hard => return check_hard(&reply),
        // Attempts of one message: a day apart they are three bounces at the earliest after three days.
        Effect::Soft if class == "4" => {
            let mut policy = literal();
            policy.soft.distinct = Distinct::Message;
            let attempts = (0..=3).map(|day| (day * DAY, Do::Reply(refused(&reply, "c1"))));
            let record = check_with(&policy, "a@example.test", &attempts.collect::<Vec<_>>());
            return assert_eq!(record.soft.count, 1);
        }
        Effect::Soft => LONG_TERM,
        Effect::None => PASSES,
    };
    let bounce = |campaign: &str| Do::Reply(refused(&reply, campaign));
    let story = [(0, bounce("c1")), (1, bounce("c2")), (1, PASSES), (2, bounce("c3")), (2, third)];
    check_with(&literal(), "a@example.test", &story);
    check_unmoved(&reply);
}

#[track_caller]
fn check_hard(reply: &str) {
    let bounce = Do::Reply(refused(reply, "c1"));
    check_with(&literal(), "a@example.test", &[(0, bounce), (0, LONG_TERM)]);
    check_unmoved(reply);
}

#[track_caller]
fn check_unmoved(reply: &str) {
    for name in Policy::presets() {
        let seen = refused(reply, "c1");
        assert_eq!(preset(name).effect_of(&seen), Effect::None, "{name}");
        let story = [(0, Do::Reply(seen)), (0, PASSES)];
        check_with(&preset(name), "a@gmail.com", &story);
    }
}

macro_rules! rows {
    ($($test:ident $code:literal $effect:ident,)*) => {
        $(#[test] fn $test() { check_row($code, Effect::$effect); })*

        #[test]
        fn a11_every_row_has_its_test() {
            let tested = [$($code),*];
            let listed: Vec<String> = crate::bounce::activecampaign::rows()
                .map(|(code, _)| code.to_string())
                .filter(|code| code != "9.1.1")
                .collect();
            assert_eq!(listed, tested);
        }
    };
}

rows! {
    a11_row_4_2_2 "4.2.2" Soft,
    a11_row_5_0_0 "5.0.0" Hard,
    a11_row_5_1_0 "5.1.0" Hard,
    a11_row_5_1_1 "5.1.1" Hard,
    a11_row_5_1_2 "5.1.2" Hard,
    a11_row_5_1_3 "5.1.3" Hard,
    a11_row_5_1_4 "5.1.4" Hard,
    a11_row_5_1_5 "5.1.5" Hard,
    a11_row_5_1_6 "5.1.6" Hard,
    a11_row_5_1_7 "5.1.7" Hard,
    a11_row_5_1_8 "5.1.8" Hard,
    a11_row_5_2_0 "5.2.0" Soft,
    a11_row_5_2_1 "5.2.1" Soft,
    a11_row_5_2_2 "5.2.2" Soft,
    a11_row_5_2_3 "5.2.3" Hard,
    a11_row_5_2_4 "5.2.4" Hard,
    a11_row_5_3_0 "5.3.0" Hard,
    a11_row_5_3_1 "5.3.1" Soft,
    a11_row_5_3_2 "5.3.2" Hard,
    a11_row_5_3_3 "5.3.3" Hard,
    a11_row_5_3_4 "5.3.4" Hard,
    a11_row_5_4_0 "5.4.0" Hard,
    a11_row_5_4_1 "5.4.1" Hard,
    a11_row_5_4_2 "5.4.2" Hard,
    a11_row_5_4_3 "5.4.3" Hard,
    a11_row_5_4_4 "5.4.4" Hard,
    a11_row_5_4_5 "5.4.5" Soft,
    a11_row_5_4_6 "5.4.6" Hard,
    a11_row_5_4_7 "5.4.7" Hard,
    a11_row_5_5_0 "5.5.0" Hard,
    a11_row_5_5_1 "5.5.1" Hard,
    a11_row_5_5_2 "5.5.2" Hard,
    a11_row_5_5_3 "5.5.3" Soft,
    a11_row_5_5_4 "5.5.4" Hard,
    a11_row_5_5_5 "5.5.5" Hard,
    a11_row_5_6_0 "5.6.0" Hard,
    a11_row_5_6_1 "5.6.1" Hard,
    a11_row_5_6_2 "5.6.2" Hard,
    a11_row_5_6_3 "5.6.3" Hard,
    a11_row_5_6_4 "5.6.4" Hard,
    a11_row_5_6_5 "5.6.5" Hard,
    a11_row_5_7_0 "5.7.0" Hard,
    a11_row_5_7_1 "5.7.1" Hard,
    a11_row_5_7_2 "5.7.2" Hard,
    a11_row_5_7_3 "5.7.3" Hard,
    a11_row_5_7_4 "5.7.4" Hard,
    a11_row_5_7_5 "5.7.5" Hard,
    a11_row_5_7_6 "5.7.6" Hard,
    a11_row_5_7_7 "5.7.7" Hard,
}

#[test]
fn a11_row_9_1_1() {
    // A hard bounce without a code. By the words: the table has none.
    let gone = |reply: &str| evidence(Category::UserUnknown, reply, None);
    check_with(
        &literal(),
        "a@example.test",
        &[(0, Do::Reply(gone("550 no such user"))), (0, LONG_TERM)],
    );
    // Not classified as hard, it is none.
    assert_eq!(literal().effect_of(&refused("554 spam", "c1")), Effect::None);
}

#[test]
fn a12_no_code_and_hard_is_hard() {
    let labels = crate::bounce::labels::labels(Category::UserUnknown, None, "");
    assert_eq!(labels.activecampaign.code.as_deref(), Some("9.1.1"));
    assert!(labels.activecampaign.means.is_some_and(|means| means.contains("or refused")));
}

#[test]
fn a08_codes_that_are_not_listed_count_as_classified() {
    for code in ["5.1.9", "5.1.10", "5.4.14", "5.7.8", "5.7.26", "5.8.0"] {
        let reply = format!("550 {code} words");
        assert_eq!(literal().effect_of(&refused(&reply, "c1")), Effect::None, "{code}");
        let gone = evidence(Category::UserUnknown, &reply, None);
        assert_eq!(literal().effect_of(&gone), Effect::Hard, "{code}");
    }
}

#[test]
fn a08_the_code_beats_the_words() {
    let gone = evidence(Category::UserUnknown, "550 5.2.1 no such user", None);
    assert_eq!(gone.effect(), Effect::Hard);
    assert_eq!(literal().effect_of(&gone), Effect::Soft);
    let full = evidence(Category::MailboxFull, "552 5.2.3 full", None);
    assert_eq!(literal().effect_of(&full), Effect::Hard);
}

#[test]
fn a08_a_temporary_reply_is_never_hard_whatever_its_code() {
    for (category, reply) in [
        (Category::UserUnknown, "450 4.1.1 unknown"),
        (Category::UserUnknown, "450 5.1.1 unknown"),
        (Category::Policy, "421 5.7.1 no"),
    ] {
        let story = [(0, Do::Reply(evidence(category, reply, None))), (0, PASSES)];
        assert!(check_with(&literal(), "a@gmail.com", &story).is_blank(), "{reply}");
    }
}

#[test]
fn a08_what_is_not_about_one_recipient_stays_without_effect() {
    for stage in [Stage::Connect, Stage::Ehlo, Stage::Starttls, Stage::Auth, Stage::Mail] {
        let mut seen = refused("550 5.1.1 no", "c1");
        (seen.scope, seen.stage) = (Scope::Session, stage);
        assert_eq!(literal().effect_of(&seen), Effect::None, "{stage}");
    }
}

#[test]
fn a08_roles_are_never_learnt() {
    let story = [(0, Do::Reply(refused("550 5.1.1 no", "c1"))), (0, PASSES)];
    check_with(&literal(), "postmaster@example.test", &story);
}
