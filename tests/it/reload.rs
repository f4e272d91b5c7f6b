//! Routes, and rules for reading replies, that are changed while the program runs.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use super::admin::Served;
use super::cli::Home;
use super::harness::Downstream;
use super::mx::greeted;

const TAKEN: &str = "250 2.0.0 ok queued as SINK1";

/// A configuration whose mail goes to `rest`, with these routes and more.
fn configure(home: &Home, rest: &Downstream, more: &str) {
    let text = format!(
        "data_dir = \"data\"\n[[listen]]\naddress = \"127.0.0.1:0\"\n[admin]\nlisten = \"127.0.0.1:0\"\n\
         [downstream]\nhosts = [\"{}\"]\ntls = \"off\"\n{more}",
        rest.address
    );
    // Put there whole, as an operator's editor does.
    home.write("new.toml", &text);
    std::fs::rename(home.path("new.toml"), home.path("rcptgate.toml")).expect("renamed");
}

fn route(domain: &str, to: &Downstream) -> String {
    format!("[[route]]\ndomains = [\"{domain}\"]\nhosts = [\"{}\"]\ntls = \"off\"\n", to.address)
}

#[tokio::test(flavor = "multi_thread")]
async fn routes_follow_the_file_and_a_fault_keeps_them() {
    let (home, one, two) = (Home::new(), sink().await, sink().await);
    let rest = sink().await;
    configure(&home, &rest, &route("a.test", &one));
    let served = Served::begin(&home);
    let (mut client, _) = greeted(served.door()).await;
    client.ask("MAIL FROM:<s@x.test>", "250").await;
    client.ask("RCPT TO:<x@a.test>", "250").await;

    configure(&home, &rest, &route("a.test", &two));
    let line = served.logged(&["event=reload", "result=swapped", "routes="]);
    assert!(line.contains("routes=1"), "{line}");
    // The message under way goes where it was going, the next one elsewhere.
    client.ask("DATA", "354").await;
    client.ask("body\n.", TAKEN).await;
    assert_eq!(client.write_to("x@a.test").await, TAKEN);
    assert_eq!((one.count("."), two.count("."), rest.count(".")), (1, 1, 0));

    // A key that does not exist.
    configure(&home, &rest, &format!("{}porrt = 26\n", route("a.test", &one)));
    let line = served.logged(&["event=reload", "result=kept", "porrt"]);
    let file = home.path("rcptgate.toml").display().to_string();
    assert!(line.contains(&format!("file={file}")), "{line}");
    assert!(line.contains("line=13"), "{line}");
    assert_eq!(client.write_to("x@a.test").await, TAKEN);
    // So does a file that is not there, which only the setting up finds out.
    let more = format!("{}username = \"ann\"\npassword_file = \"none\"\n", route("a.test", &one));
    configure(&home, &rest, &more.replace("tls = \"off\"", "tls = \"required\""));
    let line = served.logged(&["event=reload", "result=kept", "none"]);
    assert!(line.contains(&format!("file={file}")), "{line}");
    assert_eq!(client.write_to("x@a.test").await, TAKEN);
    assert_eq!((one.count("."), two.count("."), rest.count(".")), (1, 3, 0));

    // What is not about routes waits, and is told; the routes of the same file do not.
    configure(&home, &rest, "[limits]\nrecipients = 1\n");
    served.logged(&["event=reload", "result=restart_needed"]);
    assert_eq!(client.write_to("x@a.test").await, TAKEN);
    client.ask("MAIL FROM:<s@x.test>", "250").await;
    client.ask("RCPT TO:<x@a.test>", "250").await;
    client.ask("RCPT TO:<y@a.test>", "250").await;
    assert_eq!((one.count("."), two.count("."), rest.count(".")), (1, 3, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_reply_is_read_by_the_rules_in_force() {
    let told = "550 5.0.0 This postbox was handed back to the town";
    let (home, rest) = (Home::new(), Downstream::answering(&[("RCPT", told)]).await);
    configure(&home, &rest, "[classification]\nfile = \"mine.toml\"\n");
    home.write("mine.toml", "");
    let served = Served::begin(&home);
    let (mut client, _) = greeted(served.door()).await;
    assert_eq!(client.write_to("a@a.test").await, told);
    let line = served.logged(&["event=learn", "a@a.test"]);
    assert!(line.contains("rule=leftover"), "{line}");
    assert!(line.contains("category=undetermined"), "{line}");

    let rule = "[[rule]]\nname = \"handed-back\"\ncategory = \"user_unknown\"\n\
                text = [\"postbox ~ handed back\"]\nspecimens = [\"550 postbox handed back\"]\n";
    put(&home, rule);
    let line = served.logged(&["event=reload", "result=swapped", "mine.toml"]);
    assert!(line.contains("rules=1 ") && line.contains("rules_off=0"), "{line}");
    let mut read_by_it = async |address: &str| {
        assert_eq!(client.write_to(address).await, told);
        let line = served.logged(&["event=learn", address]);
        assert!(line.contains("rule=handed-back"), "{line}");
        assert!(line.contains("category=user_unknown"), "{line}");
    };
    read_by_it("b@a.test").await;

    // A fault keeps the rules, whoever asks for the file to be read.
    put(&home, &rule.replace("postbox ~", "postbox (~"));
    let is_told = |line: &str| {
        let file = home.path("mine.toml").display().to_string();
        assert!(line.contains(&format!("file={file} line=4 ")), "{line}");
        assert!(line.contains("unclosed group"), "{line}");
    };
    let kept = ["event=reload", "result=kept", "mine.toml"];
    is_told(&served.logged(&kept));
    served.hang_up();
    is_told(&served.logged(&kept));
    let answer = reload_by_api(&home);
    assert!(answer.starts_with("HTTP/1.1 400") && answer.contains("mine.toml:4: "), "{answer}");
    is_told(&served.logged(&kept));
    read_by_it("c@a.test").await;
    std::fs::remove_file(home.path("mine.toml")).expect("removed");
    let line = served.logged(&kept);
    assert!(line.contains("cannot be read"), "{line}");
    read_by_it("d@a.test").await;

    // What was in force is there again: nothing is to be swapped, and nothing is wrong.
    put(&home, rule);
    let answer = reload_by_api(&home);
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    read_by_it("e@a.test").await;
    put(&home, "disable = [\"greylisted\"]\n");
    let line = served.logged(&["event=reload", "result=swapped", "mine.toml"]);
    assert!(line.contains("rules=0 ") && line.contains("rules_off=1"), "{line}");
    assert_eq!(client.write_to("f@a.test").await, told);
    let line = served.logged(&["event=learn", "f@a.test"]);
    assert!(line.contains("rule=leftover"), "{line}");
}

/// Puts rules there whole.
fn put(home: &Home, rules: &str) {
    home.write("new-rules.toml", rules);
    std::fs::rename(home.path("new-rules.toml"), home.path("mine.toml")).expect("renamed");
}

fn reload_by_api(home: &Home) -> String {
    let read = |name: &str| std::fs::read_to_string(home.path(name)).expect("a file of the gate");
    let (address, token) = (read("data/admin.address"), read("data/admin.token"));
    let mut connection = TcpStream::connect(address.trim()).expect("a connection");
    let request = format!(
        "POST /api/v1/reload HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\n\
         Content-Type: application/json\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
        address.trim(),
        token.trim()
    );
    connection.write_all(request.as_bytes()).expect("asked");
    let mut answer = String::new();
    connection.read_to_string(&mut answer).expect("an answer");
    answer
}

async fn sink() -> Downstream {
    Downstream::answering(&[]).await
}
