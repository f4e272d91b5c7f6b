//! Policy files.

use super::*;

#[test]
fn the_default_is_the_preset_and_the_file_says_so() {
    assert_eq!(Policy::preset("quarantine"), Some(Policy::default()));
    assert_eq!(Policy::from_toml(""), Ok(Policy::default()));
    assert_eq!(Policy::preset("no such"), None);
    for name in Policy::presets() {
        assert!(Policy::preset(name).is_some(), "{name}");
    }
}

#[test]
fn faults_name_line_key_and_value() {
    let reply = |rest: &str| format!("[replies]\nmanual = {{ {rest} }}\n");
    let text = "text = \"rcptgate: no\"";
    for (file, line, key, problem) in [
        ("[soft]\nstep = []\n".to_owned(), 2, "soft.step", "unknown field `step`"),
        ("[hard]\nmin_gap = \"1 eon\"\n".to_owned(), 2, "hard.min_gap", "\"1 eon\""),
        ("[soft]\n\nsteps = [\"7d\", \"0s\"]\n".to_owned(), 3, "soft.steps", "\"0s\""),
        ("[hard]\ntolerated = 5000\n".to_owned(), 2, "hard.tolerated", "5000"),
        ("[hard]\ntolerated = -1\n".to_owned(), 2, "hard.tolerated", "-1"),
        ("defer_within = 4\n".to_owned(), 1, "defer_within", "integer `4`"),
        ("[outage]\nmin_recipients = 4\n".to_owned(), 2, "outage.min_recipients", "4 is not"),
        ("[outage]\nwindow = \"8d\"\n".to_owned(), 2, "outage.window", "7 days"),
        ("[outage]\nknown_good_share = 5\n".to_owned(), 2, "outage.known_good_share", "5"),
        ("[outage]\nknown_good_share = nan\n".to_owned(), 2, "outage.known_good_share", "NaN"),
        ("[outage]\n\nshare = 0.0\n".to_owned(), 3, "outage.share", "0 is not within"),
        ("[outage]\nfactor = 0.5\n".to_owned(), 2, "outage.factor", "0.5"),
        ("[outage]\nquiet = \"0s\"\n".to_owned(), 2, "outage.quiet", "\"0s\""),
        ("[outage]\nknown_good_for = \"23h\"\n".to_owned(), 2, "outage.known_good_for", "a day"),
        ("[outage]\ncapacity = 0\n".to_owned(), 2, "outage.capacity", "0 is not"),
        ("[outage]\nfast = true\n".to_owned(), 2, "outage.fast", "unknown field"),
        ("trusted = [\"a.test\"]\n".to_owned(), 1, "trusted", "unknown field"),
        ("[soft\n".to_owned(), 1, "", ""),
        (reply(&format!("code = 452, status = \"4.7.1\", {text}")), 2, "replies.manual", "452"),
        (reply(&format!("code = 421, status = \"4.7.1\", {text}")), 2, "replies.manual", "421"),
        (reply(&format!("code = 250, status = \"2.0.0\", {text}")), 2, "replies.manual", "250"),
        (reply(&format!("code = 550, status = \"4.7.1\", {text}")), 2, "replies.manual", "4.7.1"),
        (
            reply("code = 550, status = \"5.7.1\", text = \"no\""),
            2,
            "replies.manual",
            "does not start with",
        ),
        (
            reply("code = 550, status = \"5.7.1\", text = \"rcptgate: {who}\""),
            2,
            "replies.manual",
            "{who}",
        ),
        (
            reply("code = 550, status = \"5.7.1\", text = \"rcptgate: a\\nb\""),
            2,
            "replies.manual",
            "printable",
        ),
    ] {
        let faults = Policy::from_toml(&file).expect_err(&file);
        let fault = faults.first().expect("a fault");
        assert_eq!((fault.line, fault.key.as_str()), (Some(line), key), "{file}{fault}");
        assert!(fault.problem.contains(problem), "{file}{fault}");
    }
}

#[test]
fn all_faults_of_meaning_come_at_once() {
    let file = "[hard]\ntolerated = 5000\n[soft]\nsteps = [\"0s\"]\nretry_window = \"0s\"\n";
    assert_eq!(Policy::from_toml(file).expect_err("faults").len(), 3);
}

#[test]
fn the_operators_choice_of_code_decides_between_refusing_and_deferring() {
    let file =
        "[replies]\nquarantine = { code = 450, status = \"4.2.1\", text = \"rcptgate: later\" }\n";
    let policy = Policy::from_toml(file).expect("a policy");
    check_with(&policy, "a@b.test", &[(0, Do::Full(None)), (0, ENDING)]);
}

#[test]
fn the_trusted_domains_are_those_that_everybody_names() {
    let mut trusted: Vec<_> = Policy::default().trusted.iter().map(str::to_owned).collect();
    trusted.sort();
    assert_eq!(trusted, ["gmail.com", "hotmail.com", "hotmail.fr"]);
}
