//! The gate adds no round trip: counted are the times that the next hop has to speak before the client can go on.

use tokio::net::TcpListener;

use crate::harness::{Downstream, Lab, Wish};
use crate::live::{self, Clock, Peer};

const RECIPIENTS: usize = 50;

/// A next hop that answers all that has come once nothing more comes, and counts how often it speaks.
struct Slow {
    peer: Peer,
    content: bool,
    turns: usize,
}

impl Slow {
    async fn turn(&mut self, clock: &Clock) {
        self.peer.look(clock).await;
        let mut said = String::new();
        while let Some(end) = self.peer.input.windows(2).position(|pair| pair == b"\r\n") {
            let line: Vec<u8> = self.peer.input.drain(..end + 2).take(end).collect();
            let line = String::from_utf8_lossy(&line).into_owned();
            said.push_str(match line.split(' ').next().unwrap_or_default() {
                "." => "250 taken\r\n",
                _ if self.content => "",
                "EHLO" => "250-mx.test\r\n250-PIPELINING\r\n250 SIZE\r\n",
                "DATA" => "354 go\r\n",
                _ => "250 ok\r\n",
            });
            self.content = (self.content || line == "DATA") && line != ".";
        }
        if !said.is_empty() {
            self.turns += 1;
            self.peer.say(said.as_bytes(), clock).await;
        }
    }
}

/// Has the client send each of these when all that it sent before is answered; how often the next hop spoke.
async fn turns(groups: &[String], through_the_gate: bool, clock: &Clock) -> Vec<usize> {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let lab = Lab::with(Downstream::at(address), Wish::default()).await;
    let mut client = Peer::connect(if through_the_gate { lab.door } else { address }).await;
    let mut hop: Option<Slow> = None;
    let mut spoken = Vec::new();
    let greeting = String::new();
    for group in [&greeting].into_iter().chain(groups) {
        client.say(group.as_bytes(), clock).await;
        let content = group.starts_with("Subject:");
        let mut due = if content { 1 } else { group.matches("\r\n").count().max(1) };
        while due > 0 {
            if let Some(peer) = live::accept_now(&listener, clock).await {
                let mut slow = Slow { peer, content: false, turns: 1 };
                slow.peer.say(b"220 mx.test\r\n", clock).await;
                hop = Some(slow);
            }
            if let Some(hop) = &mut hop {
                hop.turn(clock).await;
            }
            client.look(clock).await;
            while due > 0 && client.input.windows(2).any(|pair| pair == b"\r\n") {
                let reply = client.reply(clock).await;
                assert!(reply.starts_with(['2', '3']), "{reply}");
                due -= 1;
            }
        }
        spoken.push(hop.as_ref().map_or(0, |hop| hop.turns));
    }
    spoken
}

fn recipients() -> String {
    (0..RECIPIENTS).map(|number| format!("RCPT TO:<r{number}@y.test>\r\n")).collect()
}

#[test]
fn fifty_pipelined_recipients_take_no_more_round_trips() {
    let envelope = format!("MAIL FROM:<s@x.test>\r\n{}DATA\r\n", recipients());
    let content = "Subject: x\r\n\r\nbody\r\n.\r\n".to_owned();
    let message = [envelope, content];
    let groups = [&["EHLO client.test\r\n".to_owned()], &message[..], &message[..]].concat();
    live::run(async |clock| {
        let alone = turns(&groups, false, clock).await;
        // Greeting, EHLO, envelope, content; a second message over the open connection is envelope and content.
        assert_eq!(alone, [1, 2, 3, 4, 5, 6]);
        let gated = turns(&groups, true, clock).await;
        // The connection is made at the first recipient, and all of it together is as many.
        assert_eq!(gated, [0, 0, 3, 4, 5, 6]);
    });
}

#[test]
fn a_client_that_asks_one_by_one_waits_no_more_often() {
    let mut groups = vec!["EHLO client.test\r\n".to_owned(), "MAIL FROM:<s@x.test>\r\n".to_owned()];
    groups.extend(recipients().split_inclusive('\n').map(str::to_owned));
    groups.extend(["DATA\r\n".to_owned(), "Subject: x\r\n\r\nbody\r\n.\r\n".to_owned()]);
    live::run(async |clock| {
        let alone = turns(&groups, false, clock).await.pop().expect("a count");
        let gated = turns(&groups, true, clock).await.pop().expect("a count");
        assert_eq!(alone, 1 + groups.len());
        // MAIL goes along with the first recipient.
        assert_eq!(gated, alone - 1);
    });
}
