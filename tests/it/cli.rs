//! The commands as a person or a script runs them, while no gate runs: what they print, and how they end.

#![allow(clippy::indexing_slicing, reason = "a test may panic")]

mod classify;
mod release;
mod undo;

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rcptgate::bounce::classify::Classifier;
use rcptgate::event::{Act, Tenant, What};
use rcptgate::gate::{Draft, Gate, GateSettings};
use rcptgate::policy::Policy;
use rcptgate::smtp::address::RecipientKey;
use rcptgate::time::Timestamp;
use serde_json::Value;

/// A configuration with a data directory of its own.
pub struct Home(tempfile::TempDir);

/// How a command ended.
#[derive(Debug)]
pub struct End {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Home {
    pub fn new() -> Self {
        let home = Self(tempfile::tempdir().expect("a directory"));
        let text = "data_dir = \"data\"\n[[listen]]\naddress = \"127.0.0.1:0\"\n\
                    [downstream]\nhosts = [\"127.0.0.1:9\"]\ntls = \"off\"\n\
                    [admin]\nlisten = \"127.0.0.1:0\"\n";
        home.write("rcptgate.toml", text);
        home
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).expect("written");
    }

    /// The program with these words and this configuration, in a directory that has none.
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rcptgate"));
        command.args(words).args([Path::new("-c"), &self.path("rcptgate.toml")]);
        command.current_dir(self.0.path()).env_remove("RCPTGATE_CONFIG");
        command.env_remove("SUDO_USER").env("USER", "eve");
        command
    }

    pub fn run(&self, words: &[&str]) -> End {
        self.feed(words, "")
    }

    pub fn feed(&self, words: &[&str], input: &str) -> End {
        let mut command = self.command(words);
        end_of(command.stdin(Stdio::piped()), input)
    }

    /// Runs a command that must succeed; what it printed.
    pub fn ok(&self, words: &[&str]) -> String {
        let end = self.run(words);
        assert_eq!(end.code, 0, "{words:?}: {end:?}");
        assert_eq!(end.err, "", "{words:?}");
        end.out
    }

    /// The same, printed as JSON lines.
    pub fn json(&self, words: &[&str]) -> Vec<Value> {
        let out = self.ok(&[words, &["--json"]].concat());
        out.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }
}

fn end_of(command: &mut Command, input: &str) -> End {
    let mut child =
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    if let Some(mut stdin) = child.stdin.take() {
        // One that reads no input may be gone already.
        let _ = stdin.write_all(input.as_bytes());
    }
    let output = child.wait_with_output().expect("it ends");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    let code = output.status.code().expect("no signal");
    End { code, out: text(output.stdout), err: text(output.stderr) }
}

/// An address from quarantine to release; the same words whether a gate runs or not.
pub fn acts_are_answered(home: &Home) {
    let quarantine = ["quarantine", "Gone@Example.com", "--for", "7d", "--reason", "asked us to"];
    assert!(home.ok(&quarantine).starts_with("ok gone@example.com: quarantined until "));
    let found = home.json(&["lookup", "gone@example.com", "fine@example.com"]);
    let check =
        |at: usize, field: &str, value: &str| assert_eq!(found[at][field], value, "{found:?}");
    check(0, "verdict", "refuse");
    check(0, "standing", "quarantined");
    check(0, "reason", "manual");
    check(0, "by", "eve");
    check(0, "note", "asked us to");
    check(1, "verdict", "forward");
    check(1, "standing", "clear");
    let text = home.ok(&["lookup", "gone@example.com"]);
    assert!(text.contains("why       quarantined by eve: asked us to\n"), "{text}");
    assert!(text.contains("reply     550 5.7.1 rcptgate: quarantined by the operator"), "{text}");
    assert!(home.ok(&["list"]).contains("gone@example.com"));
    assert_eq!(home.json(&["list", "--standing", "quarantined"])[0]["address"], "gone@example.com");
    assert_eq!(home.ok(&["list", "--standing", "blacklisted"]), "");
    let csv = home.ok(&["list", "--csv"]);
    assert!(csv.starts_with("address,standing,tenant,reason,"), "{csv}");
    assert_eq!(csv.lines().count(), 2, "{csv}");
    home.ok(&["blacklist", "gone@example.com", "--tenant", "acme", "--reason", "asked them to"]);
    let found = home.json(&["lookup", "gone@example.com", "--tenant", "acme"]);
    assert_eq!(found[0]["reason"], "blacklist");
    let release = ["release", "gone@example.com", "--reason", "back"];
    assert_eq!(home.ok(&release), "ok gone@example.com: clear (was quarantined)\n");
    assert!(home.ok(&release).starts_with("nothing to do: gone@example.com is clear"));
    assert_eq!(home.json(&["lookup", "gone@example.com"])[0]["verdict"], "forward");
    // Another tenant's word is another list, and whoever looks is told of it.
    let told = home.ok(&["lookup", "gone@example.com"]);
    assert!(told.contains("but       blacklisted for tenant acme"), "{told}");
    assert_eq!(
        home.json(&["lookup", "gone@example.com", "--tenant", "acme"])[0]["verdict"],
        "refuse"
    );
    let counts = &home.json(&["stats"])[0]["standings"];
    assert_eq!((&counts["blacklisted"], &counts["clear"]), (&1.into(), &0.into()));
    let other = home.ok(&["release", "gone@example.com", "--from", "blacklist", "--reason", "r"]);
    assert!(other.starts_with("nothing to do: ") && other.contains("for acme"), "{other}");
    let from =
        ["release", "gone@example.com", "--from", "blacklist", "--tenant", "acme", "--reason", "r"];
    assert!(home.ok(&from).starts_with("ok "));
    home.ok(&["allow", "gone@example.com", "--reason", "always"]);
    assert_eq!(home.json(&["lookup", "gone@example.com"])[0]["reason"], "allowed");
    let story = home.ok(&["explain", "gone@example.com"]);
    for words in [
        "quarantine until",
        "asked us to",
        "[clear → quarantined]",
        "release from quarantine",
        "next  ",
    ] {
        assert!(story.contains(words), "{words:?} in {story}");
    }
    assert_eq!(home.json(&["explain", "gone@example.com"])[0]["events"][4]["after"], "allowed");
    assert!(home.ok(&["verify"]).starts_with("ok: 5 events of 1 addresses"));
    assert_eq!(home.json(&["stats"])[0]["standings"]["allowed"], 1);
    assert_eq!(home.ok(&["tail", "--once"]).lines().count(), 5);
    assert_eq!(home.json(&["tail", "--once", "-n", "2"])[1]["type"], "allow");
}

/// What was done by mistake, taken back; the same words whether a gate runs or not.
pub fn an_undo_is_answered(home: &Home) {
    for address in ["a@x.test", "b@x.test", "c@y.test"] {
        home.ok(&["quarantine", address, "--reason", "by mistake"]);
    }
    let verdict = |address: &str| home.json(&["lookup", address])[0]["verdict"].clone();
    let words = ["undo", "--domain", "X.test", "--since", "2h"];
    let told = home.ok(&[&words[..], &["--dry-run"]].concat());
    for line in [
        "2 events of 2 addresses\n",
        "       2  quarantine\n",
        "       2  quarantined long-term → clear\n",
        "such as a@x.test: quarantined long-term → clear\n",
    ] {
        assert!(told.contains(line), "{line:?} in {told}");
    }
    let dry = &home.json(&[&words[..], &["--dry-run"]].concat())[0];
    assert_eq!((&dry["done"], &dry["kinds"]["quarantine"]), (&false.into(), &2.into()), "{dry}");
    assert_eq!(verdict("a@x.test"), "refuse");
    let words = [&words[..], &["--reason", "wrong file"]].concat();
    let done = home.ok(&words);
    assert!(done.starts_with(&told), "{done}");
    let ok = "\nok 2 events of 2 addresses no longer count, 2 records changed [";
    assert!(done.contains(ok), "{done}");
    assert_eq!(["a@x.test", "b@x.test", "c@y.test"].map(verdict), ["forward", "forward", "refuse"]);
    assert!(home.ok(&words).starts_with("nothing to undo: "));
    let story = home.ok(&["explain", "a@x.test"]);
    let id = done.rsplit_once('[').map_or("", |(_, id)| id.trim_end().trim_end_matches(']'));
    for words in ["quarantine  (void)  #", &format!("⇒ voided by {id}: wrong file  [still clear]")]
    {
        assert!(story.contains(words), "{words:?} in {story}");
    }
    let story = &home.json(&["explain", "a@x.test"])[0]["events"][0];
    let voided = &story["voided"];
    assert_eq!((&voided["id"], &voided["by"]), (&id.into(), &"eve".into()), "{story}");
    assert_eq!(voided["reason"], "wrong file");
    let tail = home.ok(&["tail", "--once", "-n", "1"]);
    assert!(
        tail.contains("  undo  since=") && tail.contains(" domain=x.test  by eve: wrong file"),
        "{tail}"
    );
    let line = &home.json(&["tail", "--once", "-n", "1"])[0];
    assert_eq!((&line["order"], &line["select"]["domain"]), (&"void".into(), &"x.test".into()));
    assert_eq!(home.json(&["stats"])[0]["orders"], 1);
    let verified = &home.json(&["verify"])[0];
    assert_eq!((&verified["agrees"], &verified["orders"]), (&true.into(), &1.into()));
}

#[test]
fn an_act_is_signed_by_whoever_runs_the_command() {
    let home = Home::new();
    let by = |set: &[(&str, &str)], more: &[&str]| {
        let words = [&["allow", "a@example.com", "--reason", "r"], more].concat();
        let mut command = home.command(&words);
        command.env_remove("USER").envs(set.iter().copied());
        assert_eq!(end_of(&mut command, "").code, 0);
        let last = &home.json(&["tail", "--once", "-n", "1"])[0];
        last["by"].as_str().unwrap_or_default().to_owned()
    };
    assert_eq!(by(&[("USER", "root"), ("SUDO_USER", "ann")], &["--by", "bob"]), "bob");
    assert_eq!(by(&[("USER", "root"), ("SUDO_USER", "ann")], &[]), "ann");
    assert_eq!(by(&[("USER", "carl"), ("SUDO_USER", "")], &[]), "carl");
    let owner = Command::new("id").arg("-un").output().expect("id");
    let name = String::from_utf8(owner.stdout).expect("a name");
    assert_eq!(by(&[], &[]), name.trim());
}

#[test]
fn acts_are_answered_from_the_store() {
    let home = Home::new();
    acts_are_answered(&home);
    assert!(home.ok(&["rebuild"]).starts_with("ok: 5 events folded into 1 records"));
    assert_eq!(home.json(&["lookup", "gone@example.com"])[0]["reason"], "allowed");
}

#[test]
fn what_is_wrong_has_its_exit_code_and_is_named() {
    let home = Home::new();
    home.write("bad.txt", "one@example.com\n\n# a comment\nnonsense\n");
    home.write("empty.txt", "# nobody\n");
    let check = |words: &[&str], code: i32, named: &str| {
        let end = home.run(words);
        assert_eq!(end.code, code, "{words:?}: {end:?}");
        assert!(end.err.contains(named), "{named:?} in {end:?}");
        assert_eq!(end.out, "", "{words:?}");
    };
    check(&[], 64, "Usage");
    check(&["frobnicate"], 64, "frobnicate");
    check(&["lookup"], 64, "ADDRESS");
    check(&["list", "--standing", "bogus"], 64, "bogus");
    check(&["list", "--category", "bogus"], 64, "bogus");
    check(&["list", "--domain", "a b"], 64, "a b");
    check(&["list", "--tenant", "a b"], 64, "a b");
    check(&["list", "--since", "yesterday"], 64, "yesterday");
    check(&["quarantine", "a@example.com"], 64, "--reason");
    check(&["quarantine", "a@example.com", "--reason", " "], 64, "--reason");
    check(&["quarantine", "a@example.com", "--for", "soon", "--reason", "r"], 64, "soon");
    check(&["blacklist", "a@example.com", "--tenant", "a b", "--reason", "r"], 64, "a b");
    check(&["undo", "--reason", "r"], 64, "no condition");
    check(&["undo", "--dry-run"], 64, "no condition");
    check(&["undo", "--rule", "r"], 64, "--reason");
    check(&["undo", "--rule", "r", "--reason", " "], 64, "--reason");
    check(&["undo", "--since", "1h", "--until", "2h", "--dry-run"], 64, "no time is before");
    check(&["simulate", "--policy", "nonsense"], 64, "nonsense");
    check(&["lookup", "nonsense"], 65, "nonsense");
    check(&["lookup", "a@example.com", "nonsense"], 65, "nonsense");
    check(&["explain", "@"], 65, "@");
    check(&["allow", "a@", "--reason", "r"], 65, "a@");
    check(&["release", "--file", "bad.txt", "--reason", "r"], 65, "bad.txt:4");
    check(&["release", "--file", "empty.txt", "--reason", "r"], 65, "empty.txt");
    check(&["release", "--file", "missing.txt", "--reason", "r"], 74, "missing.txt");
    check(&["release", "a@b.test", "--slice", "0", "--reason", "r"], 64, "from 1 on");
    check(&["release", "a@b.test", "--campaign-size", "0", "--reason", "r"], 64, "0");
    check(&["tail", "--once"], 69, "journal");
    home.write("rcptgate.toml", "data_dri = \"data\"\n");
    for words in [&["lookup", "a@example.com"][..], &["serve"], &["check"], &["rebuild"], &["tail"]]
    {
        check(words, 78, "data_dri");
    }
}

#[test]
fn a_data_directory_that_cannot_be_used_is_an_input_output_error() {
    let home = Home::new();
    std::fs::create_dir_all(home.path("data/lock")).expect("a directory in the way");
    for words in [&["lookup", "a@example.com"][..], &["rebuild"], &["verify"]] {
        let end = home.run(words);
        assert_eq!((end.code, end.err.contains("data/lock")), (74, true), "{words:?}: {end:?}");
    }
}

#[test]
fn what_is_kept_is_not_for_everybody() {
    let home = Home::new();
    // One that the operator made, and left open.
    std::fs::create_dir(home.path("data")).expect("a directory");
    home.ok(&["allow", "a@example.com", "--reason", "r"]);
    for (path, mode) in
        [("data/journal", 0o750), ("data/index", 0o750), ("data/journal/0000000001.jsonl", 0o640)]
    {
        let found = std::fs::metadata(home.path(path)).expect(path).permissions().mode();
        assert_eq!(found & 0o777 & !mode, 0, "{path}: {found:o}");
    }
}

#[test]
fn help_and_version_are_no_errors() {
    let home = Home::new();
    for words in [&["--help"][..], &["-V"], &["lookup", "--help"], &["disposable", "-h"]] {
        assert!(!home.ok(words).is_empty(), "{words:?}");
    }
    for words in [&["completions", "bash"][..], &["completions", "fish"], &["man"]] {
        assert!(home.ok(words).contains("rcptgate"), "{words:?}");
    }
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let home = Home::new();
    quarantine(&home, 1000);
    for words in [&["list", "--json"][..], &["list"], &["list", "--csv"]] {
        let mut command = home.command(words);
        let mut child =
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("its output");
        BufReader::with_capacity(16, stdout).read_line(&mut line).expect("a line");
        // The reader is gone here, as `head -1` would be.
        let output = child.wait_with_output().expect("it ends");
        let err = String::from_utf8_lossy(&output.stderr);
        assert_eq!((output.status.code(), &err[..]), (Some(0), ""), "{words:?}");
    }
}

#[test]
fn a_damaged_index_is_told_and_mended_by_rebuild() {
    let home = Home::new();
    quarantine(&home, 3);
    // The journal has a story that the index was never told.
    let journal = home.path("data/journal/0000000001.jsonl");
    let text = std::fs::read_to_string(&journal).expect("a journal");
    std::fs::write(&journal, text.replacen("an outage", "AN OUTAGE", 1)).expect("written");
    let end = home.run(&["verify"]);
    assert_eq!(end.code, 65, "{end:?}");
    assert!(end.out.starts_with("DIFFERENT") && end.err.contains("rcptgate rebuild"), "{end:?}");
    assert!(home.ok(&["rebuild"]).starts_with("ok: 3 events"));
    assert!(home.ok(&["verify"]).starts_with("ok"));
}

#[test]
fn events_and_replies_are_read_from_standard_input() {
    let home = Home::new();
    let mut command = Command::new(env!("CARGO_BIN_EXE_rcptgate"));
    command.current_dir(home.path("")).env_remove("RCPTGATE_CONFIG").stdin(Stdio::piped());
    let events = "{\"at\":\"2026-01-01T00:00:00Z\",\"type\":\"reply\",\"address\":\"a@gmail.com\",\"stage\":\"rcpt\",\"reply\":\"550 5.1.1 The email account that you tried to reach does not exist\"}\n\
                  {\"at\":\"2026-01-02T00:00:00Z\",\"type\":\"ask\",\"address\":\"a@gmail.com\"}\n";
    let end = end_of(command.args(["simulate", "--policy", "quarantine"]), events);
    assert_eq!(end.code, 0, "{end:?}");
    assert!(end.out.contains("\"verdict\":\"refuse\""), "{end:?}");
    let end = home.feed(&["simulate"], "nonsense\n");
    assert_eq!((end.code, end.err.contains("line 1")), (65, true), "{end:?}");
    let end = home.feed(&["classify"], "nonsense\n");
    assert_eq!((end.code, end.err.contains("line 1")), (65, true), "{end:?}");
    // The parser's own count of lines would be of this one line.
    for words in [["simulate"], ["classify"]] {
        let end = home.feed(&words, "{\n");
        assert!(end.err.contains("line 1: ") && !end.err.contains("line 2"), "{end:?}");
    }
    assert!(home.ok(&["classify", "550 5.1.1 no such user"]).contains("user_unknown"));
}

const HANDED_BACK: &str = "550 5.0.0 This postbox was handed back to the town";

#[test]
fn replies_are_read_by_the_rules_of_the_configuration() {
    let home = Home::new();
    let text = std::fs::read_to_string(home.path("rcptgate.toml")).expect("a configuration");
    let classify = ["classify", HANDED_BACK];
    assert!(home.ok(&classify).contains(r#""rule":"leftover""#));
    assert!(home.ok(&["check"]).contains("  rules       66 built in, 0 off\n"));
    home.write("rcptgate.toml", &format!("{text}[classification]\nfile = \"mine.toml\"\n"));
    home.write(
        "mine.toml",
        "disable = [\"greylisted\"]\n[[rule]]\nname = \"handed-back\"\ncategory = \"user_unknown\"\n\
         text = [\"postbox ~ handed back\"]\nspecimens = [\"550 postbox handed back\"]\n",
    );
    let told = home.ok(&["check"]);
    let line =
        format!("  rules       1 of {}, 65 built in, 1 off\n", home.path("mine.toml").display());
    assert!(told.contains(&line), "{told}");
    assert!(home.ok(&classify).contains(r#""rule":"handed-back""#));
    // Found where a configuration is looked for, without being named; a directory without one has the built-in rules.
    let unnamed = |folder: &Path| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rcptgate"));
        command.args(classify).current_dir(folder).env_remove("RCPTGATE_CONFIG");
        end_of(&mut command, "").out
    };
    assert!(unnamed(&home.path("")).contains(r#""rule":"leftover""#));
    std::fs::create_dir(home.path("config")).expect("a folder");
    for name in ["rcptgate.toml", "mine.toml"] {
        std::fs::copy(home.path(name), home.path("config").join(name)).expect("copied");
    }
    assert!(unnamed(&home.path("")).contains(r#""rule":"handed-back""#));
    // So does simulate, but only what is named.
    let events = format!(
        "{{\"at\":1,\"type\":\"reply\",\"address\":\"a@gmail.com\",\"reply\":\"{HANDED_BACK}\"}}\n\
         {{\"at\":2,\"type\":\"ask\",\"address\":\"a@gmail.com\"}}\n"
    );
    let end = home.feed(&["simulate"], &events);
    assert!(end.out.contains(r#""verdict":"refuse""#), "{end:?}");

    home.write("mine.toml", "[[rule]]\nname = \"a\"\ncategory = \"policy\"\ntext = [\"a(\"]\nspecimens = []\n\
         [[rule]]\nname = \"quota\"\ncategory = \"policy\"\ntext = [\"over its quota\"]\nspecimens = [\"550 over its quota\"]\n");
    let end = home.run(&["check"]);
    assert_eq!((end.code, end.err.lines().count()), (78, 3), "{end:?}");
    for words in [
        "mine.toml:2: rule \"a\": has no specimen",
        "mine.toml:4: rule \"a\", text[0] = \"a(\": unclosed group",
        "mine.toml:7: rule \"quota\" = \"552 5.2.2 The mailbox of this user is over its quota\": takes this specimen of the built-in rule \"mailbox-full\"",
    ] {
        assert!(end.err.contains(words), "{words}: {end:?}");
    }
    for words in [&classify[..], &["simulate"], &["serve"]] {
        assert_eq!(home.run(words).code, 78, "{words:?}");
    }
    std::fs::remove_file(home.path("mine.toml")).expect("removed");
    let end = home.run(&["check"]);
    assert!(end.err.contains("classification.file = \"mine.toml\": "), "{end:?}");
    assert_eq!((end.code, end.err.lines().count()), (78, 1), "{end:?}");
}

/// Quarantines so many addresses at once, as a command for each would take long.
fn quarantine(home: &Home, count: usize) {
    let policy = Policy::preset("quarantine").expect("the preset");
    let settings = GateSettings::new(home.path("data"));
    let opened = Gate::open(settings, policy, Classifier::builtin(), |_, _| {});
    let gate = opened.expect("a gate").gate;
    let learning: Vec<_> = (0..count)
        .map(|number| {
            let address = RecipientKey::parse(&format!("u{number}@example.com"));
            let act = Act { reason: "an outage".to_owned(), by: "eve".to_owned() };
            gate.learn(Draft {
                at: Timestamp::now(),
                address: address.expect("an address"),
                tenant: Tenant::default(),
                what: What::Quarantine { until: None, act },
            })
        })
        .collect();
    for durable in learning {
        durable.wait().expect("learnt");
    }
}
