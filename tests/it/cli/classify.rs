//! `classify`: what a reply means and why, and which replies nobody understands.

use rcptgate::bounce::Stage;
use rcptgate::bounce::classify::{BUILTIN, Classifier};
use rcptgate::event::{Context, Tenant};
use rcptgate::gate::{About, Gate, GateSettings};
use rcptgate::policy::Policy;
use rcptgate::smtp::address::RecipientKey;
use rcptgate::smtp::reply::Reply;
use rcptgate::time::Timestamp;

use super::Home;

#[test]
fn a_reply_is_explained() {
    let home = Home::new();
    let reply = r"550 5.7.1 host mx.a.example[192.0.2.1] said: 552-5.2.2 <bob@a.example>: Mailbox\n552 5.2.2 full";
    let told = home.ok(&["classify", "--explain", reply]);
    for expected in [
        "mailbox_full, scope recipient, effect soft, rule mailbox-full",
        "quoted reply  552 5.2.2: mailbox",
        "address     <...> left out",
        "mx.a.example read as <fqdn>",
        "<- this decided",
        "it goes by codes alone, and words are asked before codes",
        "Marketo         category 3, soft",
        "Salesforce      soft bounce",
    ] {
        assert!(told.contains(expected), "{expected}: {told}");
    }
    let told = home.ok(&["classify", "--explain", "--stage", "mail", "450 5.1.1 user unknown"]);
    assert!(told.contains("before RCPT nobody but the sender can be unknown"), "{told}");
    // What a peer wrote can move no terminal.
    let told = home.ok(&["classify", "--explain", "550 \u{1b}[2Juser unknown"]);
    assert!(!told.contains('\u{1b}'), "{told:?}");
    assert_eq!(home.run(&["classify", "--explain"]).code, 64);
    assert_eq!(home.run(&["classify", "--stage", "noon", "550 no"]).code, 64);
}

const MINE: &str = "[[rule]]\nname = \"mine\"\ncategory = \"blocked\"\ntext = [\"so sorry\"]\nspecimens = [\"550 so sorry\"]\n";

/// A file is tried as the configuration's would be: before the built-in rules, and with the same checks.
#[test]
fn rules_of_a_file_are_tried() {
    let home = Home::new();
    home.write("rules.toml", MINE);
    let asked = ["classify", "--rules", "rules.toml", "550 we are so sorry"];
    assert!(home.ok(&asked).contains(r#""rule":"mine""#));
    let known = home.ok(&["classify", "--rules", "rules.toml", "550 5.1.1 no such user"]);
    assert!(known.contains(r#""rule":"no-such-user""#), "{known}");
    home.write("rules.toml", &MINE.replace("550 so", "550 not"));
    let end = home.run(&asked);
    assert_eq!((end.code, end.err.contains("rules.toml:5: ")), (78, true), "{end:?}");
    home.write("rules.toml", &MINE.replace("so sorry", "over its quota"));
    let end = home.run(&asked);
    let taken = "takes this specimen of the built-in rule \"mailbox-full\"";
    assert_eq!((end.code, end.err.contains(taken)), (78, true), "{end:?}");
}

#[test]
fn an_explanation_names_the_file_of_a_rule() {
    let home = Home::new();
    let configuration = std::fs::read_to_string(home.path("rcptgate.toml")).expect("text");
    let over = MINE.replace("category", "over = [\"mailbox-full\"]\ncategory");
    home.write("mine.toml", &over.replace("so sorry", "over its quota"));
    let reply = "552 5.2.2 the mailbox is over its quota";
    let full = line_of_builtin("mailbox-full");
    let builtin = format!("mailbox-full, line {full} of the built-in rules: text ");
    let told = home.ok(&["classify", "--explain", reply]);
    assert!(told.contains(&format!("  {builtin}")), "{told}");
    // The one that is tried, and the one of the configuration.
    let own = |file: &str, told: &str| {
        let own = format!("mine, line 2 of {file}: text \"over its quota\" of line 5 took");
        let (mine, other) = (told.find(&own), told.find(&builtin));
        assert!(mine.is_some() && mine < other, "{own}: {told}");
        assert!(told.contains("another rule is asked before it"), "{told}");
    };
    own("mine.toml", &home.ok(&["classify", "--explain", "--rules", "mine.toml", reply]));
    home.write(
        "rcptgate.toml",
        &format!("{configuration}[classification]\nfile = \"mine.toml\"\n"),
    );
    let file = home.path("mine.toml").display().to_string();
    own(&file, &home.ok(&["classify", "--explain", reply]));
}

/// The line that names a built-in rule.
fn line_of_builtin(name: &str) -> usize {
    let name = format!("name = {name:?}");
    1 + BUILTIN.lines().position(|line| line == name).expect("a rule of that name")
}

/// What the next hop says and no rule knows is in the journal, and goes from the list once a rule knows it.
#[test]
fn what_nobody_understands_is_listed_until_a_rule_knows_it() {
    let home = Home::new();
    let none = home.run(&["classify", "--unmatched"]);
    assert_eq!(
        (none.code, none.err.contains("no gate has kept a journal")),
        (69, true),
        "{none:?}"
    );
    assert!(!home.ok(&["check"]).contains("undetermined"));
    refuse(
        &home,
        &[
            "550 5.0.0 <a@a.example>: qwertz 35",
            "550 5.0.0 <b@b.example>: qwertz 7",
            "550 asdfgh",
            "554 5.7.1 spam",
        ],
    );
    let told = home.ok(&["classify", "--unmatched"]);
    assert!(
        told.contains("3 replies since ") && told.contains("undetermined, of 2 texts"),
        "{told}"
    );
    assert!(told.contains("       2  qwertz <n>\n"), "{told}");
    assert!(told.contains("2 at rcpt, from mx.b.example, "), "{told}");
    let told = home.ok(&["check"]);
    assert!(
        told.contains("journal     3 undetermined replies") && told.contains("--unmatched"),
        "{told}"
    );
    assert!(home.ok(&["check", "--json"]).contains(r#""undetermined":3"#));
    let lines = home.ok(&["classify", "--unmatched", "--json", "--limit", "1"]);
    let lines: Vec<serde_json::Value> =
        lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!((&lines[0]["text"], &lines[0]["count"]), (&"qwertz <n>".into(), &2.into()));
    assert_eq!(
        (&lines[1]["sum"]["undetermined"], &lines[1]["sum"]["texts"]),
        (&3.into(), &2.into())
    );
    assert_eq!(lines.len(), 2);
    let later = ["classify", "--unmatched", "--since", "2100-01-01"];
    assert!(home.ok(&later).starts_with("0 replies since 2100-01-01"));

    let skeleton = home.ok(&["classify", "--unmatched", "--skeleton", "--limit", "1"]);
    let rule = skeleton.replace("\"?\"", "\"blocked\"");
    home.write("rules.toml", &rule);
    let told = home.ok(&["classify", "--unmatched", "--rules", "rules.toml"]);
    assert!(
        told.starts_with("1 replies since") && told.contains("\n2 more were when they came"),
        "{told}"
    );

    // An order is no reply.
    home.ok(&["quarantine", "a@x.test", "--reason", "tried"]);
    let undone = home.ok(&["undo", "--signed-by", "eve", "--reason", "tried"]);
    assert!(undone.contains("ok 1 events of 1 addresses"), "{undone}");
    // The rules of the configuration are asked, too; what is left over gets a name that they have not taken.
    let configuration = std::fs::read_to_string(home.path("rcptgate.toml")).expect("text");
    let with_rules = format!("{configuration}[classification]\nfile = \"rules.toml\"\n");
    home.write("rcptgate.toml", &with_rules);
    let told = home.ok(&["classify", "--unmatched"]);
    assert!(told.starts_with("1 replies since"), "{told}");
    assert!(home.ok(&["check"]).contains("journal     1 undetermined replies"));
    let skeleton = home.ok(&["classify", "--unmatched", "--skeleton"]);
    assert!(skeleton.contains("name = \"unmatched-2\""), "{skeleton}");
    let both = format!("{rule}{}", skeleton.replace("\"?\"", "\"policy\""));
    home.write("rules.toml", &both);
    assert!(home.ok(&["classify", "--unmatched"]).starts_with("0 replies since"));

    // A journal that cannot be read fails the list, and not the check.
    home.write("data/journal/0000000001.jsonl", "nonsense\n");
    assert_eq!(home.run(&["classify", "--unmatched"]).code, 74);
    assert!(!home.ok(&["check"]).contains("undetermined"));
}

/// Has a next hop refuse a recipient with each of these replies.
fn refuse(home: &Home, replies: &[&str]) {
    let policy = Policy::preset("quarantine").expect("the preset");
    let settings = GateSettings::new(home.path("data"));
    let opened = Gate::open(settings, policy, Classifier::builtin(), |_, _| {});
    let gate = opened.expect("a gate").gate;
    for reply in replies {
        let about = About {
            address: RecipientKey::parse("new@example.com").expect("an address"),
            tenant: Tenant::default(),
            context: Context { receiver: Some("mx.b.example:25".to_owned()), ..Context::default() },
        };
        let reply = Reply::from_text(reply).expect("a reply");
        assert!(gate.refused(&about, Stage::Rcpt, &reply, 1, Timestamp::now()).noted, "{reply}");
    }
}
