//! The rules. Each takes sources and returns faults, so that it can be tried on a few lines of text.

use std::collections::BTreeMap;
use std::fmt;

use super::source::{Named, Source};

/// Where a rule is broken, and which.
#[derive(Debug, PartialEq)]
pub struct Fault {
    pub path: String,
    pub line: usize,
    pub rule: &'static str,
    pub what: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}: {}", self.path, self.line, self.rule, self.what)
    }
}

/// Every top-level module and its layer; imports go downwards. A new module takes its place here first.
const LAYERS: &[(&str, u8)] = &[
    ("time", 0),
    ("smtp", 0),
    ("bounce", 1),
    ("attribution", 1),
    ("event", 1),
    ("lists", 1),
    ("routing", 1),
    ("policy", 2),
    ("exchange", 2),
    ("session", 3),
    ("journal", 4),
    ("sorter", 4),
    ("store", 4),
    ("tally", 4),
    ("dns", 4),
    ("mta_sts", 4),
    ("credentials", 4),
    ("tls", 4),
    ("metrics", 4),
    ("watch", 4),
    ("gate", 5),
    ("proxy", DOORS),
    ("policy_service", DOORS),
    ("milter", DOORS),
    ("intake", DOORS),
    ("admin", DOORS),
    ("replication", DOORS),
    ("config", PROGRAM),
    ("log", 4),
    ("failure", PROGRAM),
    ("app", PROGRAM),
    ("cli", PROGRAM),
];
const LAST_PURE: u8 = 3;
const DOORS: u8 = 6;
/// `main.rs` and `lib.rs` belong here too.
const PROGRAM: u8 = 7;

/// What would make a pure layer depend on the machine or the moment.
const IMPURE: &[&str] = &[
    "tokio",
    "std::fs",
    "std::net",
    "std::env",
    "std::process",
    "std::thread",
    "sled",
    "hickory_resolver",
    "rustls",
];
/// Time is an argument below the double line; `time` itself is where the edges get it.
const CLOCKS: &[&str] = &["std::time::Instant", "std::time::SystemTime"];
/// Plain values for all their module's name: an address literal and the text of a reply hold them.
const ADDRESS_TYPES: &[&str] = &["IpAddr", "Ipv4Addr", "Ipv6Addr"];

/// Each library and the only modules that name it, so that replacing one stays a matter of one file.
const OWNERS: &[(&[&str], &[&str])] = &[
    (&["sled"], &["store"]),
    (&["hickory_resolver", "hickory_proto"], &["dns"]),
    (&["hyper", "hyper_util", "http_body_util"], &["mta_sts"]),
    (&["moka"], &["mta_sts", "dns"]),
    (&["ring"], &["tls"]),
    (&["notify"], &["watch"]),
    (&["x509_parser"], &["tls"]),
    (&["argon2"], &["credentials"]),
    (&["prometheus_client"], &["metrics"]),
    (&["rustls", "tokio_rustls", "rustls_platform_verifier"], &["tls", "proxy::stream"]),
];

const LONGEST_FILE: usize = 400;

fn layer(module: &str) -> Option<u8> {
    LAYERS.iter().find(|(name, _)| *name == module).map(|(_, layer)| *layer)
}

fn top(source: &Source) -> Option<String> {
    source.module().into_iter().next()
}

fn fault(source: &Source, line: usize, rule: &'static str, what: String) -> Fault {
    Fault { path: source.path.clone(), line, rule, what }
}

/// Imports go downwards, doors do not know each other, and no modules import each other in a ring.
pub fn layers(sources: &[Source]) -> Vec<Fault> {
    let mut faults = Vec::new();
    let mut edges = Edges::new();
    for source in sources {
        let Some(from) = top(source) else { continue };
        let Some(own) = layer(&from) else {
            faults.push(fault(
                source,
                1,
                "layers",
                format!("module {from} has no layer in LAYERS"),
            ));
            continue;
        };
        for name in &source.names {
            let [first, to, ..] = name.segments.as_slice() else { continue };
            if first != "crate" || *to == from {
                continue;
            }
            edges.entry(from.clone()).or_default().entry(to.clone()).or_insert((source, name.line));
            if let Some(what) = forbidden(&from, own, to) {
                faults.push(fault(source, name.line, "layers", what));
            }
        }
    }
    faults.extend(rings(&edges));
    faults
}

fn forbidden(from: &str, own: u8, to: &str) -> Option<String> {
    match layer(to) {
        None => Some(format!("crate::{to} is no module with a layer in LAYERS")),
        Some(other) if other > own => {
            Some(format!("{from} (layer {own}) may not import {to} (layer {other})"))
        }
        Some(DOORS) if own == DOORS => Some(format!("door {from} may not import door {to}")),
        Some(_) => None,
    }
}

/// From module to module, with the first place that says so.
type Edges<'a> = BTreeMap<String, BTreeMap<String, (&'a Source, usize)>>;

fn rings(edges: &Edges<'_>) -> Vec<Fault> {
    let mut faults = Vec::new();
    for (from, targets) in edges {
        for (to, (source, line)) in targets {
            let Some(way_back) = way(edges, to, from) else { continue };
            // A ring is seen from each of its edges; it is named once, from its first module.
            if way_back.iter().all(|module| from <= module) {
                let ring = format!("ring {from} -> {}", way_back.join(" -> "));
                faults.push(fault(source, *line, "layers", ring));
            }
        }
    }
    faults
}

/// A shortest way from `start` to `goal`, both included.
fn way(edges: &Edges<'_>, start: &str, goal: &str) -> Option<Vec<String>> {
    let mut ways = vec![vec![start.to_owned()]];
    let mut seen = vec![start.to_owned()];
    while !ways.is_empty() {
        let mut longer = Vec::new();
        for way in ways {
            let last = way.last().cloned().unwrap_or_default();
            if last == goal {
                return Some(way);
            }
            for next in edges.get(&last).into_iter().flat_map(BTreeMap::keys) {
                if !seen.contains(next) {
                    seen.push(next.clone());
                    longer.push(way.iter().chain([next]).cloned().collect());
                }
            }
        }
        ways = longer;
    }
    None
}

/// Layers 0 to 3 take bytes, values and the time, and touch nothing. Their tests may read what they are fed.
pub fn purity(source: &Source) -> Vec<Fault> {
    let Some(own) = top(source) else { return Vec::new() };
    if layer(&own).is_none_or(|layer| layer > LAST_PURE) {
        return Vec::new();
    }
    let broken = |name: &&Named| !name.in_test && impure(name, &own);
    let names = source.names.iter().filter(broken);
    names
        .map(|name| {
            let what = format!("{own} is pure and may not name {}", name.segments.join("::"));
            fault(source, name.line, "purity", what)
        })
        .collect()
}

fn impure(name: &Named, module: &str) -> bool {
    let path = name.segments.join("::");
    let address = name.segments.iter().any(|segment| ADDRESS_TYPES.contains(&segment.as_str()));
    if below(&path, "std::net") && address {
        return false;
    }
    // Importing the module or all that is in it hides which of its items is used.
    let hides_clock = name.imported && matches!(path.as_str(), "std::time" | "std::time::*");
    let reads_clock = hides_clock
        || path.ends_with("Timestamp::now")
        || CLOCKS.iter().any(|clock| begins(name, clock));
    IMPURE.iter().any(|library| begins(name, library)) || (module != "time" && reads_clock)
}

/// Whether a name is `wanted` or inside it; a lone word in code is a variable, only in a `use` is it a crate.
fn begins(name: &Named, wanted: &str) -> bool {
    (name.imported || name.segments.len() > 1) && below(&name.segments.join("::"), wanted)
}

fn below(path: &str, wanted: &str) -> bool {
    path.strip_prefix(wanted).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

/// A library of the means is named by its one user only.
pub fn owners(source: &Source) -> Vec<Fault> {
    let own = source.module().join("::");
    let mut faults = Vec::new();
    for (libraries, modules) in OWNERS {
        if modules.iter().any(|module| below(&own, module)) {
            continue;
        }
        for library in *libraries {
            for name in source.names.iter().filter(|name| begins(name, library)) {
                let what = format!("{library} may be named in {} only", modules.join(" and "));
                faults.push(fault(source, name.line, "owners", what));
            }
        }
    }
    faults
}

/// No file longer than can be held in mind; a file of tests is a table and may be.
pub fn size(source: &Source) -> Option<Fault> {
    let exempt = source.path.ends_with("/tests.rs");
    (!exempt && source.lines > LONGEST_FILE).then(|| {
        let what = format!("{} lines, {LONGEST_FILE} at most", source.lines);
        fault(source, source.lines, "size", what)
    })
}

/// What is left lying about while working: skipped tests, holes, debugging.
pub fn leftovers(source: &Source) -> Vec<Fault> {
    let words: Vec<&str> = source.tokens.iter().map(|token| token.text.as_str()).collect();
    let mut faults = Vec::new();
    for (token, window) in source.tokens.iter().zip(words.windows(3)) {
        let what = match window {
            ["#", "[", "ignore"] => "a skipped test",
            ["todo" | "unimplemented" | "dbg", "!", "(" | "[" | "{"] => "a leftover macro",
            _ => continue,
        };
        let what = format!("{what}: {}", window.concat());
        faults.push(fault(source, token.line, "leftovers", what));
    }
    faults
}

/// Which way mail flows has two words here, client and downstream; the third means opposite things to different readers.
pub fn words(path: &str, text: &str) -> Vec<Fault> {
    let hit = |line: &str| line.to_lowercase().contains("upstream");
    let lines = text.lines().enumerate().filter(|(_, line)| hit(line));
    lines
        .map(|(index, line)| Fault {
            path: path.into(),
            line: index + 1,
            rule: "words",
            what: format!("say client or downstream: {}", line.trim()),
        })
        .collect()
}
