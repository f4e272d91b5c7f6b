//! Routes that are changed in the configuration file while the program runs.

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

async fn sink() -> Downstream {
    Downstream::answering(&[]).await
}
