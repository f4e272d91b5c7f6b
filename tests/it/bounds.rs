//! Rule 9: whatever a peer sends or withholds, a session takes so much and no more, and the program ends when it is told to.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::Stdio;
use std::time::Duration;

use bytes::BytesMut;
use rcptgate::proxy::Timeouts;
use rcptgate::routing::Destination;
use rcptgate::session::{Action, Input, Limits, Outputs, Sent, Session};
use rcptgate::smtp::extensions::Capabilities;
use tokio::net::TcpStream;

use crate::cli::Home;
use crate::harness::{Client, Downstream, Lab, Wish};

/// C14: what is header and what is body is not looked at, so neither many lines nor a long one is kept.
#[test]
fn a_bomb_of_headers_is_passed_on_as_it_comes() {
    const PIECE: usize = 32 * 1024;
    let many = b"X-Bomb: 0123456789abcdef\r\n".repeat(1 << 18);
    let long = [b"X-Bomb: ".as_slice(), &vec![b'x'; 8 << 20], b"\r\n"].concat();
    for (bomb, end) in [(many, "250 2.0.0 taken\r\n"), (long, "554 5.6.0 rcptgate:")] {
        let mut session = Session::new(crate::rig::settings());
        let mut out = Outputs::default();
        session.step(Input::Accepted, &mut out);
        let mut client =
            BytesMut::from("EHLO c\r\nMAIL FROM:<a@x.test>\r\nRCPT TO:<b@y.test>\r\nDATA\r\n");
        session.step(Input::Client(&mut client), &mut out);
        session.step(Input::Forward(Destination::default()), &mut out);
        session.step(Input::Client(&mut client), &mut out);
        session.step(Input::Opened(Capabilities::GATE.into()), &mut out);
        session.step(Input::Client(&mut client), &mut out);
        let mut replies = BytesMut::from("250 ok\r\n250 ok\r\n354 go\r\n");
        session.step(Input::Downstream(&mut replies, Sent::All), &mut out);
        out.to_client.clear();
        let (mut most, mut passed) = (0, 0);
        for piece in bomb.chunks(PIECE).chain([b".\r\n".as_slice()]) {
            client.extend_from_slice(piece);
            session.step(Input::Client(&mut client), &mut out);
            most = most.max(client.len() + out.to_downstream.len() + out.to_client.len());
            passed += out.to_downstream.len();
            out.to_downstream.clear();
            assert!(client.capacity() + out.to_downstream.capacity() <= 8 * PIECE);
        }
        assert!(most <= PIECE + 64, "{most} octets held at once");
        if end.starts_with('2') {
            assert!(passed > bomb.len(), "{passed} octets of {}", bomb.len());
            let mut taken = BytesMut::from(end);
            session.step(Input::Downstream(&mut taken, Sent::All), &mut out);
        }
        let told = String::from_utf8_lossy(&out.to_client).into_owned();
        assert!(told.starts_with(end), "{told}");
    }
}

async fn until_left(lab: &Lab) -> Vec<String> {
    let left = |line: &String| line == "QUIT" || line == "CLOSED";
    lab.downstream.until(|heard| heard.iter().any(left)).await;
    lab.downstream.heard().into_iter().filter(left).collect()
}

#[tokio::test]
async fn replies_that_the_client_does_not_read_are_not_taken_from_the_next_hop() {
    const RECIPIENTS: u32 = 4000;
    let line = format!("450-4.2.0 {}\r\n", "x".repeat(150));
    let long = format!("{}450 4.2.0 later", line.repeat(90));
    let downstream = Downstream::answering(&[("RCPT", &long)]).await;
    let moment = Duration::from_millis(300);
    let wish = Wish {
        limits: Limits {
            recipients: RECIPIENTS,
            pipeline: RECIPIENTS as usize,
            ..Limits::default()
        },
        timeouts: Timeouts { reply: moment, idle_connection: moment, ..Timeouts::default() },
        ..Wish::default()
    };
    let lab = Lab::with(downstream, wish).await;
    let mut client = lab.client().await;
    client.ask("MAIL FROM:<a@x.test>", "250").await;
    let all: Vec<_> = (0..RECIPIENTS).map(|number| format!("RCPT TO:<u{number}@y.test>")).collect();
    client.send(&all.join("\n")).await;
    // Had all 54 MB been read, the idle next hop would be told goodbye; it is left because it seems to be stuck.
    assert_eq!(until_left(&lab).await, ["CLOSED"]);
}

#[tokio::test]
async fn content_that_is_thrown_away_ends_some_time() {
    let limits = Limits { size: 1000, ..Limits::default() };
    let lab = Lab::with(Downstream::answering(&[]).await, Wish { limits, ..Wish::default() }).await;
    let mut client = lab.client().await;
    client.ask("MAIL FROM:<a@x.test>", "250").await;
    client.ask("RCPT TO:<b@y.test>", "250").await;
    client.ask("DATA", "354").await;
    // A little more than the mebibyte that is read in any case: what is left behind the reply would reset the connection.
    client.raw(&b"MAIL FROM:<evil@x.test>\r\n".repeat(43_000)).await;
    client.expect("552 5.3.4 rcptgate:").await;
    client.expect_end().await;
    assert_eq!(lab.downstream.heard().iter().filter(|line| line.as_str() == ".").count(), 0);
}

#[tokio::test]
async fn recipients_far_beyond_the_limit_are_errors() {
    let limits = Limits { recipients: 2, errors: 2, ..Limits::default() };
    let lab = Lab::with(Downstream::answering(&[]).await, Wish { limits, ..Wish::default() }).await;
    let mut client = lab.client().await;
    client.ask("MAIL FROM:<a@x.test>", "250").await;
    client.send(&["RCPT TO:<b@y.test>"; 6].join("\n")).await;
    for start in ["250", "250", "452 4.5.3", "452 4.5.3", "452 4.5.3", "452 4.5.3", "421 4.7.0"] {
        client.expect(start).await;
    }
    client.expect_end().await;
}

#[tokio::test]
async fn a_silent_client_does_not_hold_up_the_end() {
    let timeouts = Timeouts { quit: Duration::from_millis(50), ..Timeouts::default() };
    let lab =
        Lab::with(Downstream::answering(&[]).await, Wish { timeouts, ..Wish::default() }).await;
    let mut client = Client::connect(lab.door).await;
    client.expect("220").await;
    lab.drain.cancel();
    client.expect("421 4.3.2 rcptgate:").await;
    client.expect_end().await;
}

#[tokio::test]
async fn a_client_that_is_silent_within_a_transaction_does_not_hold_up_the_end() {
    let timeouts = Timeouts { drain: Duration::from_millis(50), ..Timeouts::default() };
    let lab =
        Lab::with(Downstream::answering(&[]).await, Wish { timeouts, ..Wish::default() }).await;
    let mut client = lab.client().await;
    client.ask("MAIL FROM:<a@x.test>", "250").await;
    client.ask("RCPT TO:<b@y.test>", "250").await;
    lab.drain.cancel();
    client.expect("421 4.3.2 rcptgate:").await;
    client.expect_end().await;
}

/// Makes the connection that a client has said this over break, once the next hop has been told so much; the session ends.
async fn broken(lab: &Lab, said: &str, told: &str) {
    let stream = TcpStream::connect(lab.door).await.expect("a connection");
    socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).expect("an option");
    let mut client = Client::over(stream);
    client.expect("220").await;
    client.send(said).await;
    lab.downstream.until(|heard| heard.iter().any(|line| line == told)).await;
    drop(client);
    lab.sessions.close();
    lab.sessions.wait().await;
}

#[tokio::test]
async fn a_client_whose_connection_breaks_is_not_waited_for() {
    let said = "EHLO client.test\nMAIL FROM:<a@x.test>\nRCPT TO:<b@y.test>";
    // Silent when it is connected to, to a command, and to a command that nothing may follow.
    let greeting = Downstream::answering(&[("", "")]).await;
    broken(&Lab::new(greeting).await, said, "CONNECT").await;
    let rcpt = Downstream::answering(&[("RCPT", "")]).await;
    broken(&Lab::new(rcpt).await, said, "RCPT TO:<b@y.test>").await;
    let lock_step = Downstream::answering(&[("EHLO", "250 plain"), ("MAIL", "")]).await;
    broken(&Lab::new(lock_step).await, said, "MAIL FROM:<a@x.test>").await;
}

#[test]
fn a_log_that_nobody_reads_does_not_keep_the_program_from_ending() {
    let home = Home::new();
    let mut gate = home.command(&["serve"]).stdout(Stdio::piped()).spawn().expect("it starts");
    // Held to the end, and not read any further.
    let mut log = BufReader::new(gate.stdout.take().expect("a pipe"));
    let mut line = String::new();
    while !line.contains(" event=ready ") {
        line.clear();
        assert_ne!(log.read_line(&mut line).expect("a line"), 0, "it is never ready");
    }
    let door = line.split("smtp=").nth(1).and_then(|rest| rest.split([' ', '"']).next());
    let mut client = std::net::TcpStream::connect(door.expect("a door")).expect("a connection");
    // Nobody listens at the next hop: every recipient is worth two lines, and all of them more than any pipe holds.
    let talk = format!(
        "EHLO c\r\nMAIL FROM:<a@x.test>\r\n{}QUIT\r\n",
        "RCPT TO:<b@y.test>\r\n".repeat(900)
    );
    let mut greeting = [0; 4];
    client.read_exact(&mut greeting).expect("a greeting");
    client.write_all(talk.as_bytes()).expect("sent");
    let mut said = String::new();
    client.read_to_string(&mut said).expect("replies");
    assert!(said.ends_with("221 2.0.0 rcptgate: bye\r\n"), "{:?}", said.lines().last());
    let id = i32::try_from(gate.id()).ok().and_then(rustix::process::Pid::from_raw);
    let told = rustix::process::kill_process(id.expect("an id"), rustix::process::Signal::TERM);
    told.expect("told to end");
    let (done, wait) = std::sync::mpsc::channel();
    let id = id.expect("an id");
    std::thread::spawn(move || done.send(gate.wait()));
    let end = wait.recv_timeout(Duration::from_secs(60));
    let _ = rustix::process::kill_process(id, rustix::process::Signal::KILL);
    assert!(end.expect("it ends").expect("a status").success());
}

#[test]
fn a_disk_that_is_behind_holds_up_the_next_hop() {
    slow_disk("550", 6);
    // What may go, but for the one that waits before it, takes as much room.
    slow_disk("250", 1);
}

/// One reply waits for the disk, and five with this code follow, of which so many wait in all.
fn slow_disk(others: &str, waiting: usize) {
    let mut session = Session::new(crate::rig::settings());
    let mut out = Outputs::default();
    session.step(Input::Accepted, &mut out);
    let recipients = "RCPT TO:<b@y.test>\r\n".repeat(6);
    let group = format!("EHLO client.test\r\nMAIL FROM:<a@x.test>\r\n{recipients}");
    let mut client = BytesMut::from(group.as_bytes());
    session.step(Input::Client(&mut client), &mut out);
    let mut tickets = Vec::new();
    let reply = |code: &str| {
        let long = format!("{code}-{}\r\n", "x".repeat(1900));
        format!("{}{code} so it is\r\n", long.repeat(7))
    };
    let replies = format!("250 ok\r\n{}{}", reply("550"), reply(others).repeat(5));
    let mut replies = Some(BytesMut::from(replies.as_bytes()));
    while let Some(action) = out.actions.pop_front() {
        match action {
            Action::Ask(..) => {
                session.step(Input::Forward(Destination::default()), &mut out);
                session.step(Input::Client(&mut client), &mut out);
            }
            Action::Open { .. } => {
                session.step(Input::Opened(Capabilities::GATE.into()), &mut out);
                session.step(Input::Client(&mut client), &mut out);
            }
            Action::Answered(answered) => tickets.extend(answered.ticket),
            Action::StartTls
            | Action::CloseDownstream(_)
            | Action::CloseClient
            | Action::Renamed(_)
            | Action::Untold(_)
            | Action::Authenticate(_)
            | Action::LoginRelayed(_)
            | Action::Finished(_) => panic!("{action:?}"),
        }
        if out.actions.is_empty()
            && let Some(mut bytes) = replies.take()
        {
            assert!(session.wants_downstream());
            session.step(Input::Downstream(&mut bytes, Sent::All), &mut out);
        }
    }
    assert_eq!(tickets.len(), waiting);
    assert!(!session.wants_downstream(), "78 KiB wait for the disk");
    for ticket in tickets {
        session.step(Input::Settled(ticket), &mut out);
    }
    assert!(session.wants_downstream());
}
