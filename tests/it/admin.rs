//! The commands while a gate runs: they ask it through its admin API.

#![allow(clippy::indexing_slicing, reason = "a test may panic")]

use std::fs::{self, Permissions};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Child, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use rcptgate::store::lock::DataLock;

use super::cli::{Home, acts_are_answered, an_undo_is_answered};
use super::harness::Downstream;

/// How long a line of the log is waited for.
const PATIENCE: Duration = Duration::from_secs(20);

/// `rcptgate serve`, until it is dropped.
pub struct Served {
    child: Child,
    log: Receiver<String>,
    /// The line that said so, with where it listens.
    ready: String,
}

impl Served {
    /// Returns once the gate says that it is ready.
    pub fn begin(home: &Home) -> Self {
        let mut child = home.command(&["serve"]).stdout(Stdio::piped()).spawn().expect("it starts");
        let mut lines = BufReader::new(child.stdout.take().expect("its output")).lines();
        let ready = lines.by_ref().map_while(Result::ok).find(|line| line.contains("ready"));
        let ready = ready.expect("it ended before it was ready");
        // Read on, or the log would have nobody to write to.
        let (send, log) = mpsc::channel();
        std::thread::spawn(move || {
            lines.map_while(Result::ok).for_each(|line| _ = send.send(line))
        });
        Self { child, log, ready }
    }

    /// The lines that it logs, as they come.
    pub fn log(&self) -> impl Iterator<Item = String> {
        self.log.iter()
    }

    /// The next line with all of these words; a test waits for it for so long and no longer.
    pub fn logged(&self, words: &[&str]) -> String {
        loop {
            let line = self.log.recv_timeout(PATIENCE);
            let line = line.unwrap_or_else(|_| panic!("never logged: {words:?}"));
            if words.iter().all(|word| line.contains(word)) {
                return line;
            }
        }
    }

    /// Asks it to read its files again, as systemd's reload does.
    pub fn hang_up(&self) {
        self.signal(rustix::process::Signal::HUP);
    }

    /// Ends it in order, and waits for that. Nobody may have a connection to it.
    pub fn terminate(mut self) {
        self.signal(rustix::process::Signal::TERM);
        let status = self.child.wait().expect("it ends");
        assert!(status.success(), "{status}");
    }

    fn signal(&self, signal: rustix::process::Signal) {
        let pid = i32::try_from(self.child.id()).ok().and_then(rustix::process::Pid::from_raw);
        rustix::process::kill_process(pid.expect("a process"), signal).expect("it runs");
    }

    /// Where it takes mail.
    pub fn door(&self) -> SocketAddr {
        let (_, address) = self.ready.split_once("smtp=").expect("a listener");
        let address = address.split([' ', '"']).next().expect("its address");
        address.parse().expect("an address")
    }
}

#[test]
fn a_second_instance_is_told_that_there_is_one() {
    let home = Home::new();
    let served = Served::begin(&home);
    let address = fs::read_to_string(home.path("data/admin.address")).expect("an address");
    let check = |admin: &str| {
        let text = fs::read_to_string(home.path("rcptgate.toml")).expect("a configuration");
        home.write("rcptgate.toml", &text.replace("listen = \"127.0.0.1:0\"", admin));
        let end = home.run(&["serve"]);
        assert_eq!((end.code, end.err.contains("another rcptgate uses")), (75, true), "{end:?}");
    };
    check("listen = \"127.0.0.1:0\"");
    // Of the same file: the port of the API is the first thing that is taken.
    check(&format!("listen = \"{}\"", address.trim()));
    drop(served);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_decision_is_one_line_of_the_log_and_says_why() {
    let downstream = Downstream::answering(&[]).await;
    let home = Home::new();
    let text = fs::read_to_string(home.path("rcptgate.toml")).expect("a configuration");
    let text = text.replace("127.0.0.1:9", &downstream.address.to_string());
    home.write("rcptgate.toml", &format!("{text}[policy]\nmode = \"monitor\"\n"));
    home.write("allow.txt", "friend@yopmail.com\n");
    let served = Served::begin(&home);
    let mut client = TcpStream::connect(served.door()).expect("a connection");
    // Who speaks before the greeting is sent away.
    let mut greeting = [0; 3];
    client.read_exact(&mut greeting).expect("a greeting");
    assert_eq!(&greeting, b"220");
    let mut said = String::new();
    for line in [
        "EHLO client.test",
        "MAIL FROM:<me@client.test>",
        "RCPT TO:<x@yopmail.com>",
        "RCPT TO:<friend@yopmail.com>",
        "RCPT TO:<x@plain.test>",
        "QUIT",
    ] {
        client.write_all(format!("{line}\r\n").as_bytes()).expect("sent");
    }
    client.read_to_string(&mut said).expect("replies");
    assert!(!said.contains("\n5"), "{said}");
    let lines: Vec<String> =
        served.log().filter(|line| line.contains("event=rcpt")).take(3).collect();
    let check = |at: usize, words: &str| assert!(lines[at].contains(words), "{words:?}: {lines:?}");
    check(0, " verdict=forward reason=disposable would=refuse recipient=x@yopmail.com ");
    check(
        0,
        " reply=\"250 2.1.0 ok\" would_reply=\"550 5.7.1 rcptgate: disposable address [yopmail.com]\"",
    );
    check(1, " verdict=forward reason=allowed would=\"\" recipient=friend@yopmail.com ");
    check(2, " verdict=forward reason=none would=\"\" recipient=x@plain.test ");
}

#[test]
fn an_act_is_logged_with_whom_what_and_why() {
    let home = Home::new();
    let text = fs::read_to_string(home.path("rcptgate.toml")).expect("a configuration");
    home.write("rcptgate.toml", &format!("{text}[log]\naddresses = \"domain\"\n"));
    let served = Served::begin(&home);
    home.ok(&["blacklist", "A@x.test", "--tenant", "t", "--reason", "see b@y.test\nevent=forged"]);
    home.ok(&["release", "a@x.test", "--from", "blacklist", "--tenant", "t", "--reason", "r"]);
    home.ok(&["allow", "b@x.test", "--reason", "r"]);
    home.ok(&["undo", "--domain", "x.test", "--reason", "see b@y.test"]);
    let wanted =
        |line: &String| line.contains("event=act") || line.contains("event=undo result=in_force");
    let acts: Vec<String> = served.log().filter(wanted).take(4).collect();
    let check = |at: usize, words: &str| assert!(acts[at].contains(words), "{words:?}: {acts:?}");
    check(0, " act=blacklist from=\"\" recipient=*@x.test domain=x.test tenant=t ");
    check(0, " by=eve reason=\"see *@y.test\\nevent=forged\" id=");
    check(1, " act=release from=blacklist recipient=*@x.test domain=x.test tenant=t ");
    check(1, " before=blacklisted after=clear by=eve reason=r id=");
    // Both: the release left behind that the address was released from that blacklist, which no older import may undo.
    check(3, r#" select="{\"domain\":\"x.test\"}" events=3 addresses=2 changed=2 by=eve "#);
    check(3, " reason=\"see *@y.test\" id=");
}

#[test]
fn an_undo_is_answered_by_the_running_gate() {
    let home = Home::new();
    let served = Served::begin(&home);
    an_undo_is_answered(&home);
    drop(served);
    assert_eq!(home.json(&["lookup", "a@x.test"])[0]["verdict"], "forward");
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn acts_are_answered_by_the_running_gate_and_outlive_it() {
    let home = Home::new();
    let served = Served::begin(&home);
    acts_are_answered(&home);
    let end = home.run(&["rebuild"]);
    assert_eq!((end.code, end.err.contains("stop it first")), (75, true), "{end:?}");
    let mode = fs::metadata(home.path("data/admin.token")).expect("a token").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    // Killed without a chance to put anything in order.
    drop(served);
    assert_eq!(home.json(&["lookup", "gone@example.com"])[0]["reason"], "allowed");
    assert!(home.ok(&["stats"]).contains("none runs"));
}

#[test]
fn a_gate_that_cannot_be_asked_is_unavailable() {
    let home = Home::new();
    let check = |named: &str| {
        let end = home.run(&["lookup", "a@example.com"]);
        assert_eq!((end.code, end.err.contains(named)), (69, true), "{named:?} in {end:?}");
        assert_eq!(end.err.lines().count(), 1, "{end:?}");
    };
    let served = Served::begin(&home);
    let token = home.path("data/admin.token");
    let secret = fs::read_to_string(&token).expect("a token");
    fs::set_permissions(&token, Permissions::from_mode(0o644)).expect("a mode");
    check("0644");
    fs::set_permissions(&token, Permissions::from_mode(0o600)).expect("a mode");
    fs::write(&token, "0".repeat(64)).expect("written");
    check("another gate listens there");
    fs::write(&token, secret).expect("written");
    home.ok(&["lookup", "a@example.com"]);
    drop(served);
    // Somebody has the lock, and nothing listens any more.
    let _lock =
        DataLock::take(&home.path("data"), std::time::Duration::from_secs(10)).expect("the lock");
    check("does not answer");
}
