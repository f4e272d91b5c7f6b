//! The program killed within content, at any octet of it: the next hop sees no end that the client did not send, and the client
//! no 250.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Stdio;

use crate::cli::Home;
use crate::dice::{Dice, from_environment};

/// Sessions at a time, each at another octet, and kills.
const SESSIONS: usize = 40;
const KILLS: u64 = 5;

const CONTENT: &[u8] = b"Subject: x\r\n\r\n..\r\n.x\r\n\r\nbody\r\n.\r\n";

/// A connection that is read line by line.
struct Line(BufReader<TcpStream>);

impl Line {
    fn over(stream: TcpStream) -> Self {
        stream.set_nodelay(true).expect("an option");
        Self(BufReader::new(stream))
    }

    fn say(&mut self, text: &str) {
        self.0.get_mut().write_all(text.as_bytes()).expect("a write");
    }

    /// Reads up to the line that starts so.
    fn until(&mut self, start: &str) {
        let mut line = String::new();
        while !line.starts_with(start) {
            line.clear();
            assert_ne!(self.0.read_line(&mut line).expect("a line"), 0, "no {start}");
        }
    }

    /// All that comes before the end, however it comes.
    fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        let _ = self.0.read_to_end(&mut rest);
        rest
    }
}

/// Content up to here has been sent by the client, and what can go on has reached the next hop.
fn within_content(door: SocketAddr, next_hop: &TcpListener, octets: usize) -> (Line, Line) {
    let mut client = Line::over(TcpStream::connect(door).expect("a connection"));
    client.until("220 ");
    client.say("EHLO c\r\nMAIL FROM:<s@x.test>\r\nRCPT TO:<a@y.test>\r\nDATA\r\n");
    let mut hop = Line::over(next_hop.accept().expect("a connection").0);
    hop.say("220 mx\r\n");
    hop.until("EHLO");
    hop.say("250-mx\r\n250 PIPELINING\r\n");
    hop.until("RCPT");
    hop.say("250 ok\r\n250 ok\r\n");
    hop.until("DATA");
    hop.say("354 go\r\n");
    client.until("354 ");
    client.0.get_mut().write_all(CONTENT.get(..octets).expect("octets")).expect("a write");
    (client, hop)
}

#[test]
fn no_end_is_invented_when_the_program_is_killed_within_content() {
    let next_hop = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = next_hop.local_addr().expect("an address").port();
    let start = from_environment("RCPTGATE_SEED", 1);
    for seed in start..start + KILLS {
        let home = Home::new();
        let config = std::fs::read_to_string(home.path("rcptgate.toml")).expect("a configuration");
        home.write("rcptgate.toml", &config.replace("127.0.0.1:9", &format!("127.0.0.1:{port}")));
        let mut gate = home.command(&["serve"]).stdout(Stdio::piped()).spawn().expect("it starts");
        let mut log = BufReader::new(gate.stdout.take().expect("a pipe"));
        let mut line = String::new();
        while !line.contains(" event=ready ") {
            line.clear();
            assert_ne!(log.read_line(&mut line).expect("a line"), 0, "it is never ready");
        }
        let door = line.split("smtp=").nth(1).and_then(|rest| rest.split([' ', '"']).next());
        let door = door.and_then(|door| door.parse().ok()).expect("a door");
        let mut dice = Dice::new(seed);
        let mut sessions: Vec<_> = (0..SESSIONS)
            .map(|_| within_content(door, &next_hop, dice.below(CONTENT.len())))
            .collect();
        gate.kill().expect("a process");
        gate.wait().expect("a status");
        for (client, hop) in &mut sessions {
            let (told, content) = (client.rest(), hop.rest());
            assert!(told.is_empty(), "seed {seed}: {}", told.escape_ascii());
            assert!(CONTENT.starts_with(&content), "seed {seed}: {}", content.escape_ascii());
            assert!(!content.ends_with(b"\r\n.\r\n"), "seed {seed}: an end");
        }
    }
}
