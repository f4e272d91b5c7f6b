//! `config/snippets/`: what other programs are told of the gate's refusals matches all of them, and nothing else.

#![allow(clippy::indexing_slicing, reason = "a test may panic")]

use std::path::Path;

use rcptgate::policy::replies::{Replies, Template, Values};
use regex::Regex;

fn snippet(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/snippets");
    std::fs::read_to_string(folder.join(name)).expect("a snippet")
}

fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'))
}

/// A file's patterns, and how a reply looks to them.
struct Snippet {
    name: &'static str,
    patterns: Vec<Regex>,
    around: fn(&str) -> String,
}

fn snippets() -> Vec<Snippet> {
    let regex = |text: &str| Regex::new(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    let kumomta: toml::Value = toml::from_str(&snippet("kumomta-bounces.toml")).expect("TOML");
    let kumomta = kumomta["rules"]["Suppressed"].as_array().expect("patterns").clone();
    let kumomta = kumomta.iter().map(|pattern| regex(pattern.as_str().expect("text"))).collect();
    // The form of a line: regex,action,category,message. JavaScript's own expressions agree with ours on these.
    let zonemta = snippet("zonemta-bounces.txt");
    let zonemta = lines(&zonemta).map(|line| {
        let parts: Vec<_> = line.split(',').collect();
        let action = if parts[0].starts_with("^4") { "defer" } else { "reject" };
        assert_eq!((parts[1], parts[2], parts.len()), (action, "suppressed", 4), "{line}");
        regex(parts[0])
    });
    let zonemta = zonemta.collect();
    let sisimai = snippet("sisimai.jq");
    let (_, sisimai) = sisimai.split_once("test(").expect("a test");
    let (sisimai, _) = sisimai.split_once(")\n").expect("its end");
    let sisimai: String = serde_json::from_str(sisimai).expect("text as JSON has it");
    let postfix = snippet("postfix-suppressed");
    let postfix = lines(&postfix).map(|line| {
        let (pattern, result) =
            line.strip_prefix('/').and_then(|line| line.split_once("/ ")).expect("a rule");
        assert_eq!(result, "$1 suppressed: $2");
        regex(pattern)
    });
    let postfix = postfix.collect();
    let bare: fn(&str) -> String = str::to_owned;
    vec![
        Snippet { name: "kumomta", patterns: kumomta, around: bare },
        Snippet { name: "zonemta", patterns: zonemta, around: bare },
        Snippet {
            name: "sisimai",
            patterns: vec![regex(&sisimai)],
            around: |reply| {
                format!("host gate.example[192.0.2.1] said: {reply} (in reply to RCPT TO command)")
            },
        },
        Snippet {
            name: "postfix",
            patterns: postfix,
            around: |reply| {
                let status = reply.split([' ', '-']).nth(1).unwrap_or_default();
                format!(
                    "{status} host gate.example[192.0.2.1] said: {reply} (in reply to RCPT TO command)"
                )
            },
        },
    ]
}

fn matches(snippet: &Snippet, reply: &str) -> usize {
    let text = (snippet.around)(reply);
    snippet.patterns.iter().filter(|pattern| pattern.is_match(&text)).count()
}

#[test]
fn every_refusal_of_the_gate_is_matched_once() {
    let Replies {
        quarantine,
        quarantine_ending,
        quarantine_long_term,
        manual,
        blacklist,
        disposable,
        imported,
    } = Replies::default();
    let templates: [Template; 7] = [
        quarantine,
        quarantine_ending,
        quarantine_long_term,
        manual,
        blacklist,
        disposable,
        imported,
    ];
    let values = Values {
        why: "no such mailbox".into(),
        since: "2026-01-05".to_owned(),
        until: "2026-02-05".to_owned(),
        reply: "550 5.1.1 no such user, [x] here",
        id: "01AB",
        entry: "yopmail.com",
        source: "old-esp",
    };
    for snippet in snippets() {
        for template in &templates {
            for values in [&values, &Values::default()] {
                let reply = template.fill(values).to_string();
                assert_eq!(matches(&snippet, &reply), 1, "{}: {reply}", snippet.name);
            }
        }
    }
}

#[test]
fn ordinary_replies_are_left_alone() {
    let replies = [
        "550 5.1.1 no such user",
        "550 5.7.1 this message was quarantined by policy",
        "550 5.7.1 your address is blacklisted here",
        "550 5.7.1 disposable addresses are not accepted",
        "450 4.7.1 greylisted, try again in 300 seconds",
        "452 4.2.2 mailbox full",
        // The gate's, and about nobody's standing.
        "550 5.7.1 rcptgate: you may not relay here",
        "451 4.3.0 rcptgate: cannot look this recipient up now, try again later",
        "452 4.5.3 rcptgate: one destination domain per transaction",
    ];
    for snippet in snippets() {
        for reply in replies {
            assert_eq!(matches(&snippet, reply), 0, "{}: {reply}", snippet.name);
        }
    }
}
