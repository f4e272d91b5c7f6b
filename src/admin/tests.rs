//! The API over real sockets, as curl, a browser and a stranger would use it.

use std::collections::BTreeSet;

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::*;
use crate::bounce::classify::Classifier;
use crate::gate::GateSettings;
use crate::journal::Fault;
use crate::policy::Policy;

mod reports;

/// An API with a gate behind it. Dropping it ends both.
struct Desk {
    address: SocketAddr,
    token: String,
    gate: Gate,
    _end: DropGuard,
    _data: tempfile::TempDir,
}

impl Desk {
    async fn open() -> Self {
        Self::with_disk(Fault::default()).await
    }

    async fn with_disk(journal_fault: Fault) -> Self {
        Self::with_policy("quarantine", journal_fault).await
    }

    async fn with_policy(preset: &str, journal_fault: Fault) -> Self {
        let data = tempfile::tempdir().expect("a directory");
        let policy = Policy::preset(preset).expect("the preset");
        let settings = GateSettings { journal_fault, ..GateSettings::new(data.path()) };
        let gate =
            Gate::open(settings, policy, Classifier::builtin(), |_, _| {}).expect("a gate").gate;
        let token = token::load_or_create(data.path()).expect("a token");
        let secret = token.secret().to_owned();
        let reload: Reload = Arc::new(|| Err("allow.txt: line 3: no address".to_owned()));
        let (taught, api) = (gate.clone(), gate);
        let api = Api::new(api, Arc::new(Metrics::new()), token, reload);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let end = CancellationToken::new();
        tokio::spawn(serve(listener, api, end.clone().cancelled_owned()));
        Self { address, token: secret, gate: taught, _end: end.drop_guard(), _data: data }
    }

    /// The next hop says that there is no such user.
    async fn bounce(&self, address: &str) {
        let address = crate::smtp::address::RecipientKey::parse(address).expect("an address");
        let about = crate::gate::About {
            address,
            tenant: crate::event::Tenant::default(),
            context: crate::event::Context::default(),
        };
        let reply = crate::smtp::reply::Reply::from_text("550 5.1.1 no such user");
        let reply = reply.expect("a reply");
        let now = crate::time::Timestamp::now();
        let learning = self.gate.refused(&about, crate::bounce::Stage::Rcpt, &reply, 1, now);
        learning.durable.expect("an event").await.expect("learnt");
    }

    /// Sends bytes as they are; status and body of the answer.
    async fn raw(&self, request: &[u8]) -> (u16, String) {
        let mut stream = TcpStream::connect(self.address).await.expect("connected");
        stream.write_all(request).await.expect("sent");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.expect("answered");
        let answer = String::from_utf8(answer).expect("UTF-8");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        (status.expect("a status"), body.to_owned())
    }

    async fn with(&self, method: &str, path: &str, headers: &[&str], body: &str) -> (u16, String) {
        let address = self.address;
        let length = body.len();
        let mut head = format!(
            "{method} {path} HTTP/1.1\r\nConnection: close\r\nContent-Length: {length}\r\n"
        );
        if !headers.iter().any(|header| header.starts_with("Host:")) {
            head.push_str(&format!("Host: {address}\r\n"));
        }
        for header in headers {
            head.push_str(&format!("{header}\r\n"));
        }
        self.raw(format!("{head}\r\n{body}").as_bytes()).await
    }

    fn bearer(&self) -> String {
        format!("Authorization: Bearer {}", self.token)
    }

    async fn get(&self, path: &str) -> (u16, String) {
        self.with("GET", path, &[&self.bearer()], "").await
    }

    async fn post(&self, path: &str, body: &str) -> (u16, String) {
        self.with("POST", path, &[&self.bearer(), "Content-Type: application/json"], body).await
    }
}

fn json(body: &str) -> Value {
    serde_json::from_str(body).unwrap_or_else(|fault| panic!("{fault}: {body}"))
}

/// Chunked bodies are short here: the lines that are JSON are the rows.
fn rows(body: &str) -> Vec<Value> {
    body.lines().filter(|line| line.starts_with('{')).map(json).collect()
}

#[tokio::test]
async fn probes_answer_anybody_and_nothing_else_does() {
    let desk = Desk::open().await;
    assert_eq!(desk.with("GET", "/live", &[], "").await, (200, "live\n".to_owned()));
    let (status, body) = desk.with("GET", "/ready", &["Host: prometheus.test"], "").await;
    assert_eq!((status, &json(&body)["ready"]), (200, &Value::Bool(true)));
    let (status, body) = desk.with("GET", "/metrics", &[], "").await;
    assert_eq!((status, body.ends_with("# EOF\n")), (200, true), "{body}");
    for (path, _) in routes::paths() {
        let url = format!("/api/v1{path}?token={}", desk.token);
        let near = format!("Authorization: Bearer {}0", desk.token);
        let basic = format!("Authorization: Basic {}", desk.token);
        let (bearer, other) = (desk.bearer(), "Authorization: Bearer other".to_owned());
        for headers in [
            vec![],
            vec![&near[..]],
            vec![&basic],
            vec!["Authorization: Bearer "],
            vec![&bearer, &other],
        ] {
            let (status, body) = desk.with("GET", &url, &headers, "").await;
            assert_eq!(status, 401, "{path} with {headers:?}: {body}");
            assert!(json(&body)["error"].is_string(), "{body}");
        }
    }
}

#[tokio::test]
async fn a_web_page_gets_nowhere() {
    let desk = Desk::open().await;
    let (bearer, port) = (desk.bearer(), desk.address.port());
    let check = async |headers: &[&str], expected: u16| {
        let headers: Vec<&str> = [&bearer[..]].iter().chain(headers).copied().collect();
        let (status, body) = desk.with("GET", "/api/v1/stats", &headers, "").await;
        assert_eq!(status, expected, "{headers:?}: {body}");
    };
    check(&[], 200).await;
    check(&[&format!("Host: localhost:{port}")], 200).await;
    check(&["Origin: http://evil.example"], 403).await;
    check(&["Origin: null"], 403).await;
    check(&[&format!("Origin: http://127.0.0.1:{port}")], 403).await;
    check(&[&format!("Host: evil.example:{port}")], 403).await;
    check(&["Host: 127.0.0.1:1"], 403).await;
    check(&["Host: 127.0.0.1", &format!("Host: 127.0.0.1:{port}")], 403).await;
    let (status, _) =
        desk.raw(format!("GET /api/v1/stats HTTP/1.0\r\n{bearer}\r\n\r\n").as_bytes()).await;
    assert_eq!(status, 403, "without a Host");
    // What a form of another page can send without being asked for permission.
    let body = r#"{"address":"a@b.test","reason":"why"}"#;
    for kind in ["text/plain", "application/x-www-form-urlencoded", "application/jsonx"] {
        let kind = format!("Content-Type: {kind}");
        let sent = desk.with("POST", "/api/v1/quarantine", &[&bearer, &kind], body).await;
        assert_eq!(sent.0, 415, "{kind}");
    }
    assert_eq!(desk.with("POST", "/api/v1/quarantine", &[&bearer], body).await.0, 415);
}

#[tokio::test]
async fn bad_requests_are_told_so_in_json() {
    let desk = Desk::open().await;
    let check = async |path: &str, body: &str, expected: u16| {
        let (status, answer) = desk.post(path, body).await;
        assert_eq!(status, expected, "{path} {body:.80}: {answer}");
        assert!(json(&answer)["error"].is_string(), "{answer}");
    };
    let one = |address: &str| serde_json::json!({ "addresses": [address] }).to_string();
    check("/api/v1/quarantine", "", 400).await;
    check("/api/v1/quarantine", "{", 400).await;
    check("/api/v1/quarantine", r#"{"address":"a@b.test"}"#, 422).await;
    check("/api/v1/quarantine", r#"{"address":"a@b.test","reason":"r","x":1}"#, 422).await;
    check("/api/v1/quarantine", r#"{"address":"a@b.test","address":"a@b.test","reason":"r"}"#, 422)
        .await;
    check("/api/v1/quarantine", r#"{"address":"ab.test","reason":"r"}"#, 400).await;
    check("/api/v1/quarantine", r#"{"address":"a@b.test","reason":" "}"#, 400).await;
    check("/api/v1/quarantine", r#"{"address":"a@b.test","reason":"r","for":"soon"}"#, 400).await;
    let (_, late) = desk
        .post("/api/v1/quarantine", r#"{"address":"a@b.test","reason":"r","for":"9000y"}"#)
        .await;
    assert!(late.contains("ends later than can be written down"), "{late}");
    let (_, long) = desk.post("/api/v1/lookup", &one(&"\u{1}".repeat(100_000))).await;
    assert!(long.len() < 3000 && long.contains("... is no address: "), "{long:.3000}");
    check("/api/v1/quarantine", r#"{"address":"a@b.test","reason":"r","tenant":"t"}"#, 400).await;
    check("/api/v1/blacklist", r#"{"address":"a@b.test","reason":"r"}"#, 400).await;
    check("/api/v1/blacklist", r#"{"address":"a@b.test","reason":"r","tenant":"a b"}"#, 400).await;
    check("/api/v1/allow", r#"{"address":"a@b.test","reason":"r","for":"7d"}"#, 400).await;
    check("/api/v1/release", r#"{"addresses":["a@b.test"],"from":"x","reason":"r"}"#, 422).await;
    let many =
        serde_json::json!({ "addresses": vec!["a@b.test"; desk::BATCH_MAX + 1] }).to_string();
    check("/api/v1/lookup", &many, 400).await;
    check("/api/v1/lookup", &"x".repeat((1 << 20) + 1), 413).await;
    check("/api/v1/reload", "{}", 400).await;
    let latin = b"{\"address\":\"a@b.test\",\"reason\":\"caf\xe9\"}";
    let (address, bearer, length) = (desk.address, desk.bearer(), latin.len());
    let head = format!(
        "POST /api/v1/allow HTTP/1.1\r\nHost: {address}\r\n{bearer}\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
    );
    let (status, answer) = desk.raw(&[head.as_bytes(), latin].concat()).await;
    assert_eq!((status, json(&answer)["error"].is_string()), (400, true), "{answer}");
    for path in [
        "lookup",
        "lookup?address=x",
        "explain?address=",
        "list?standing=bogus",
        "list?category=bogus",
        "list?domain=a%20b",
        "list?since=yesterday",
        "list?bogus=1",
        "list?limit=-1",
    ] {
        let (status, answer) = desk.get(&format!("/api/v1/{path}")).await;
        assert_eq!((status, json(&answer)["error"].is_string()), (400, true), "{path}: {answer}");
    }
    for (method, path, expected) in
        [("GET", "/api/v1/nothing", 404), ("GET", "/nothing", 404), ("GET", "/api/v1/allow", 405)]
    {
        let (status, answer) = desk.with(method, path, &[&bearer], "").await;
        assert_eq!((status, json(&answer)["error"].is_string()), (expected, true), "{path}");
    }
}

#[tokio::test]
async fn acts_take_effect_and_are_told() {
    let desk = Desk::open().await;
    let (status, body) = desk
        .post(
            "/api/v1/quarantine",
            r#"{"address":"A@B.test","for":"7d","reason":"why","by":"eve"}"#,
        )
        .await;
    let done = json(&body);
    assert_eq!(
        (status, &done["address"], &done["after"]),
        (200, &"a@b.test".into(), &"quarantined".into())
    );
    let (_, body) = desk.get("/api/v1/lookup?address=a%40b.test").await;
    let found = &json(&body)["answers"][0];
    assert_eq!((&found["verdict"], &found["reason"]), (&"refuse".into(), &"manual".into()));
    assert_eq!((&found["by"], &found["note"]), (&"eve".into(), &"why".into()));
    desk.post("/api/v1/blacklist", r#"{"address":"c@b.test","tenant":"acme","reason":"r"}"#).await;
    desk.post("/api/v1/allow", r#"{"address":"d@e.test","reason":"r"}"#).await;
    let check = async |query: &str, expected: &[(&str, &str)]| {
        let (status, body) = desk.get(&format!("/api/v1/list{query}")).await;
        let rows = rows(&body);
        let seen: Vec<_> = rows
            .iter()
            .map(|row| {
                (row["address"].as_str().unwrap_or(""), row["standing"].as_str().unwrap_or(""))
            })
            .collect();
        assert_eq!((status, &seen[..]), (200, expected), "{query}");
    };
    let (a, c, d) =
        (("a@b.test", "quarantined"), ("c@b.test", "blacklisted"), ("d@e.test", "allowed"));
    check("", &[a, c, d]).await;
    check("?standing=blacklisted", &[c]).await;
    check("?tenant=acme", &[a, c, d]).await;
    check("?tenant=other", &[a, d]).await;
    check("?tenant=other&standing=clear", &[("c@b.test", "clear")]).await;
    check("?domain=E.test", &[d]).await;
    check("?category=user_unknown", &[]).await;
    check("?limit=1", &[a]).await;
    check("?since=2020-01-01T00:00:00Z", &[a, c, d]).await;
    check("?since=2999-01-01T00:00:00Z", &[]).await;
    // One address that is none, and nothing is released.
    let all_or_none = r#"{"addresses":["a@b.test","x"],"reason":"r"}"#;
    assert_eq!(desk.post("/api/v1/release", all_or_none).await.0, 400);
    check("?domain=b.test&standing=quarantined", &[a]).await;
    let (_, body) =
        desk.post("/api/v1/release", r#"{"addresses":["a@b.test","d@e.test"],"reason":"r"}"#).await;
    let results = &json(&body)["results"];
    assert_eq!((&results[0]["done"], &results[1]["done"]), (&true.into(), &false.into()), "{body}");
    check("", &[c, d]).await;
    let (_, body) = desk.get("/api/v1/explain?address=a%40b.test").await;
    assert_eq!(json(&body)["events"].as_array().map(Vec::len), Some(2), "{body}");
    let (_, body) = desk.get("/api/v1/verify").await;
    assert_eq!(json(&body)["agrees"], true, "{body}");
    let (_, body) = desk.get("/api/v1/stats?standings=true").await;
    let figures = json(&body);
    assert_eq!((&figures["learnt"], &figures["judged"]), (&4.into(), &0.into()), "{body}");
    assert_eq!(figures["standings"]["blacklisted"], 1, "{body}");
}

#[tokio::test]
async fn an_undo_is_told_before_and_after() {
    let desk = Desk::open().await;
    for address in ["a@b.test", "c@b.test"] {
        let body = format!(r#"{{"address":"{address}","reason":"why","by":"eve"}}"#);
        desk.post("/api/v1/quarantine", &body).await;
    }
    let dry = r#"{"select":{"domain":"b.test"},"dry_run":true}"#;
    let (status, body) = desk.post("/api/v1/undo", dry).await;
    let told = json(&body);
    assert_eq!((status, &told["done"], &told["id"]), (200, &false.into(), &Value::Null), "{body}");
    assert_eq!((&told["events"], &told["addresses"]), (&2.into(), &2.into()), "{body}");
    assert_eq!(told["kinds"], serde_json::json!({ "quarantine": 2 }));
    let moves =
        serde_json::json!([{ "before": "quarantined_long_term", "after": "clear", "count": 2 }]);
    assert_eq!(told["moves"], moves);
    assert_eq!(told["examples"][0]["address"], "a@b.test", "{body}");
    let undo = r#"{"select":{"domain":"b.test"},"reason":"wrong","by":"adam"}"#;
    let (status, body) = desk.post("/api/v1/undo", undo).await;
    let undone = json(&body);
    assert_eq!(
        (status, &undone["done"], &undone["changed"]),
        (200, &true.into(), &2.into()),
        "{body}"
    );
    let (_, body) = desk.get("/api/v1/lookup?address=a%40b.test").await;
    assert_eq!(json(&body)["answers"][0]["verdict"], "forward", "{body}");
    let (_, body) = desk.get("/api/v1/explain?address=a%40b.test").await;
    let voided = &json(&body)["events"][0]["voided"];
    assert_eq!((&voided["id"], &voided["by"]), (&undone["id"], &"adam".into()), "{body}");
    let (_, body) = desk.get("/api/v1/verify").await;
    assert_eq!(
        (&json(&body)["agrees"], &json(&body)["orders"]),
        (&true.into(), &1.into()),
        "{body}"
    );
    for bad in [
        r#"{"select":{},"reason":"r"}"#,
        r#"{"select":{},"dry_run":true}"#,
        r#"{"select":{"domain":"b.test"}}"#,
        r#"{"select":{"domain":"b.test"},"reason":" "}"#,
        r#"{"select":{"since":"2026-01-02T00:00:00Z","until":"2026-01-01T00:00:00Z"},"reason":"r"}"#,
    ] {
        let (status, body) = desk.post("/api/v1/undo", bad).await;
        assert_eq!((status, json(&body)["error"].is_string()), (400, true), "{bad}: {body}");
    }
    for bad in [r#"{"reason":"r"}"#, r#"{"select":{"colour":"red"},"reason":"r"}"#] {
        assert_eq!(desk.post("/api/v1/undo", bad).await.0, 422, "{bad}");
    }
}

#[tokio::test]
async fn nothing_is_ok_that_is_not_on_disk() {
    let disk = Fault::default();
    let desk = Desk::with_disk(disk.clone()).await;
    disk.set(true);
    let (status, body) = desk.post("/api/v1/allow", r#"{"address":"a@b.test","reason":"r"}"#).await;
    assert_eq!((status, json(&body)["error"].is_string()), (507, true), "{body}");
    let undo = r#"{"select":{"domain":"b.test"},"reason":"r"}"#;
    assert_eq!(desk.post("/api/v1/undo", undo).await.0, 507);
    let (status, body) = desk.with("GET", "/ready", &[], "").await;
    assert_eq!((status, &json(&body)["ready"]), (503, &Value::Bool(false)), "{body}");
    assert!(body.contains("learning is paused"), "{body}");
    assert_eq!(desk.with("GET", "/live", &[], "").await.0, 200);
    let (_, body) = desk.get("/api/v1/lookup?address=a%40b.test").await;
    assert_eq!(json(&body)["answers"][0]["standing"], "clear", "{body}");
}

#[tokio::test]
async fn the_description_has_the_paths_of_the_router() {
    let desk = Desk::open().await;
    let (status, body) = desk.get("/api/v1/openapi.json").await;
    assert_eq!(status, 200);
    let described = json(&body);
    let paths = described["paths"].as_object().expect("paths");
    let ours: BTreeSet<&str> = routes::paths().into_iter().map(|(path, _)| path).collect();
    assert_eq!(paths.keys().map(String::as_str).collect::<BTreeSet<_>>(), ours);
    let kind = "Content-Type: application/json";
    for (path, operations) in paths {
        for method in ["get", "post", "put", "delete", "patch"] {
            let (url, name) = (format!("/api/v1{path}"), method.to_uppercase());
            let (status, _) = desk.with(&name, &url, &[&desk.bearer(), kind], "").await;
            assert_eq!(status != 405, operations.get(method).is_some(), "{name} {path}: {status}");
        }
    }
}
