//! The checker itself: what it must find and what it must leave alone.

use super::rules::{self, Fault};
use super::source::Source;

fn source(path: &str, text: &str) -> Source {
    Source::new(path, text)
}

fn paths(text: &str) -> Vec<String> {
    let source = source("src/smtp/status.rs", text);
    source.names.iter().map(|name| name.segments.join("::")).collect()
}

#[track_caller]
fn check(faults: Vec<Fault>, wanted: &[&str]) {
    let found: Vec<String> = faults.iter().map(ToString::to_string).collect();
    assert_eq!(found, wanted);
}

#[test]
fn every_branch_of_a_use_tree_is_a_path() {
    let cases: &[(&str, &[&str])] = &[
        ("use crate::smtp::reply::Reply;", &["crate::smtp::reply::Reply"]),
        (
            "use crate::{event, smtp::{reply, status as s}};",
            &["crate::event", "crate::smtp::reply", "crate::smtp::status"],
        ),
        ("pub(crate) use crate::{\n a::{self, b::*},\n};", &["crate::a", "crate::a::b::*"]),
        ("use {std::fs, ::std::net};", &["std::fs", "std::net"]),
        (
            "use super::reply::{Reply, decode};",
            &["crate::smtp::reply::Reply", "crate::smtp::reply::decode"],
        ),
        ("use super::super::event;", &["crate::event"]),
        ("use self::inner::X;", &["crate::smtp::status::inner::X"]),
        ("use rcptgate::cli;", &["crate::cli"]),
        (
            "mod inner { use super::x; } use super::y;",
            &["crate::smtp::status::x", "crate::smtp::y"],
        ),
        ("fn f() -> impl Sized + use<'_> { crate::a::b(c) }", &["crate::a::b"]),
        (
            "let x: Vec<crate::a::B> = crate::c::d::<crate::e::F>();",
            &["crate::a::B", "crate::c::d", "crate::e::F"],
        ),
    ];
    for (text, wanted) in cases {
        assert_eq!(paths(text), *wanted, "{text}");
    }
}

#[test]
fn comments_strings_and_lifetimes_name_nothing() {
    for text in [
        "// crate::a::b",
        "/* crate::a /* crate::b::c */ crate::d::e */",
        "/// [`crate::a::b`]",
        r##"let x = "crate::a::b \" crate::a::c";"##,
        r###"let x = r#"crate::a::b " crate::c::d"#;"###,
        r#"let x = (b"crate::a::b", '"', '\'', '\u{22}', b'"');"#,
        "fn f<'a>(x: &'a str) -> &'static str { x }",
    ] {
        assert_eq!(paths(text), Vec::<String>::new(), "{text}");
    }
    assert_eq!(paths("let q = '\"'; crate::a::b(); let r = '\"';"), ["crate::a::b"]);
}

#[test]
fn imports_go_downwards() {
    let down = [source("src/gate/mod.rs", "use crate::{store, policy::Policy, time};")];
    check(rules::layers(&down), &[]);

    let up =
        [source("src/policy/mod.rs", "//! x\nuse crate::{\n    smtp::reply,\n    gate::Gate,\n};")];
    check(
        rules::layers(&up),
        &["src/policy/mod.rs:4: layers: policy (layer 2) may not import gate (layer 5)"],
    );

    let inline = [source("src/gate.rs", "fn f() { crate::config::load() }")];
    check(
        rules::layers(&inline),
        &["src/gate.rs:1: layers: gate (layer 5) may not import config (layer 7)"],
    );

    let roots = [source("src/main.rs", "use rcptgate::cli;"), source("src/lib.rs", "pub mod cli;")];
    check(rules::layers(&roots), &[]);
}

#[test]
fn doors_do_not_know_each_other() {
    let doors = [source("src/proxy/mod.rs", "use crate::admin::Token;\nuse crate::proxy::stream;")];
    check(
        rules::layers(&doors),
        &["src/proxy/mod.rs:1: layers: door proxy may not import door admin"],
    );
}

#[test]
fn a_module_without_a_layer_is_named() {
    let strange = [source("src/helpers.rs", ""), source("src/gate.rs", "use crate::Shortcut;")];
    check(
        rules::layers(&strange),
        &[
            "src/helpers.rs:1: layers: module helpers has no layer in LAYERS",
            "src/gate.rs:1: layers: crate::Shortcut is no module with a layer in LAYERS",
        ],
    );
}

#[test]
fn a_ring_is_named_once() {
    let ring = [
        source("src/event.rs", "use crate::bounce::Stage;"),
        source("src/bounce/mod.rs", "use crate::lists::Lists;"),
        source("src/lists.rs", "\nuse crate::event::Event;"),
        source("src/policy.rs", "use crate::event::Event;"),
    ];
    check(
        rules::layers(&ring),
        &["src/bounce/mod.rs:1: layers: ring bounce -> lists -> event -> bounce"],
    );
    check(rules::layers(&ring[..2]), &[]);
}

#[test]
fn pure_layers_touch_nothing() {
    let cases: &[(&str, &str, bool)] = &[
        ("src/session/mod.rs", "use tokio::net::TcpStream;", true),
        ("src/session/mod.rs", "async fn f() { tokio::spawn(x) }", true),
        ("src/policy/mod.rs", "use std::{collections::HashMap, fs};", true),
        ("src/policy/mod.rs", "fn f() { std::env::var(NAME) }", true),
        ("src/policy/mod.rs", "use std::time::{Duration, Instant};", true),
        ("src/policy/mod.rs", "use std::time;", true),
        ("src/policy/mod.rs", "use std::time::*;", true),
        ("src/policy/mod.rs", "fn f() { Timestamp::now() }", true),
        ("src/policy/mod.rs", "use std::time::Duration;", false),
        ("src/policy/mod.rs", "use std::net::TcpListener;", true),
        ("src/smtp/address.rs", "use std::net::{Ipv4Addr, Ipv6Addr};", false),
        ("src/smtp/address.rs", "fn f() { std::net::IpAddr::from_str(x) }", false),
        ("src/session/mod.rs", "use std::net::TcpStream;", true),
        ("src/time.rs", "fn f() { std::time::SystemTime::now() }", false),
        ("src/time.rs", "use std::fs;", true),
        ("src/lists.rs", "use sled::Db;", true),
        ("src/lists.rs", "fn f(tokio: u8, sled: u8) {}", false),
        ("src/lists.rs", "#[cfg(test)]\nmod tests { use std::fs; }", false),
        ("src/lists.rs", "#[cfg(test)]\nmod tests { }\nuse std::fs;", true),
        ("src/lists.rs", "#[cfg(not(test))]\nmod inner { use std::fs; }", true),
        ("src/lists/tests.rs", "use std::fs;", false),
        ("src/store/mod.rs", "use std::fs;", false),
        ("src/main.rs", "use std::env;", false),
    ];
    for (path, text, broken) in cases {
        let faults = rules::purity(&source(path, text));
        assert_eq!(!faults.is_empty(), *broken, "{path}: {text}: {faults:?}");
    }
}

#[test]
fn each_library_has_one_user() {
    let cases: &[(&str, &str, bool)] = &[
        ("src/store/index.rs", "use sled::Db;", false),
        ("src/storefront.rs", "use sled::Db;", true),
        ("src/gate.rs", "fn f(db: &sled::Db) {}", true),
        ("src/dns.rs", "use hickory_resolver::TokioResolver;", false),
        ("src/proxy/mod.rs", "use hickory_resolver::TokioResolver;", true),
        ("src/watch.rs", "use notify::Watcher;", false),
        ("src/config/mod.rs", "use notify::Watcher;", true),
        ("src/app.rs", "async fn f(notify: Notify) { notify.notified() }", false),
        ("src/admin/mod.rs", "use prometheus_client::registry::Registry;", true),
        ("src/proxy/stream.rs", "use tokio_rustls::TlsStream;", false),
        ("src/proxy/mod.rs", "use tokio_rustls::rustls::ClientConfig;", true),
        ("src/tls/mod.rs", "use rustls::ClientConfig;", false),
    ];
    for (path, text, broken) in cases {
        let faults = rules::owners(&source(path, text));
        assert_eq!(!faults.is_empty(), *broken, "{path}: {text}: {faults:?}");
    }
}

#[test]
fn files_stay_short_but_tests_may_be_long() {
    let edge = "\n".repeat(400);
    let long = "\n".repeat(401);
    assert_eq!(rules::size(&source("src/gate.rs", &edge)), None);
    check(
        rules::size(&source("src/gate.rs", &long)).into_iter().collect(),
        &["src/gate.rs:401: size: 401 lines, 400 at most"],
    );
    assert_eq!(rules::size(&source("src/gate/tests.rs", &long)), None);
}

#[test]
fn leftovers_are_found_in_code_only() {
    let text = "#[test]\n#[ignore]\nfn f() {\n todo!();\n unimplemented!(\"x\");\n dbg!(x);\n}";
    check(
        rules::leftovers(&source("src/gate.rs", text)),
        &[
            "src/gate.rs:2: leftovers: a skipped test: #[ignore",
            "src/gate.rs:4: leftovers: a leftover macro: todo!(",
            "src/gate.rs:5: leftovers: a leftover macro: unimplemented!(",
            "src/gate.rs:6: leftovers: a leftover macro: dbg!(",
        ],
    );
    check(
        rules::leftovers(&source("src/gate.rs", "// todo!()\nlet x = \"dbg!(x)\"; fn todo() {}")),
        &[],
    );
    check(
        rules::leftovers(&source("src/gate.rs", "#[ignore = \"slow\"]")),
        &["src/gate.rs:1: leftovers: a skipped test: #[ignore"],
    );
}

#[test]
fn the_ambiguous_word_is_found_anywhere() {
    check(
        rules::words("config/x.toml", "a = 1\n# The Upstream server\n"),
        &["config/x.toml:2: words: say client or downstream: # The Upstream server"],
    );
    check(rules::words("README.md", "client and downstream\nup stream"), &[]);
}
