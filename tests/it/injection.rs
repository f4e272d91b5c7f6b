//! Bytes slipped in around STARTTLS, on both legs, whole and in fragments, cut everywhere (CVE-2011-0411 and kin).

use rcptgate::proxy::route::Protection;
use rcptgate::session::ClientTls;
use rcptgate::tls::{Connector, Trust};
use tokio::net::TcpListener;

use crate::harness::{Downstream, Lab, Wish};
use crate::live::{self, Clock, Peer};
use crate::tls::Pair;

const STARTTLS: &[u8] = b"STARTTLS\r\n";

async fn door() -> Lab {
    let pair = Pair::new();
    let (tls, acceptor) = (ClientTls::Offered, Some(pair.certificate()));
    Lab::with(Downstream::answering(&[]).await, Wish { tls, acceptor, ..Wish::default() }).await
}

/// What a client reads that says this in these writes, to the end of the connection.
async fn told(lab: &Lab, writes: &[&[u8]], clock: &Clock) -> String {
    let mut client = Peer::connect(lab.door).await;
    let _greeting = client.reply(clock).await;
    client.say(b"EHLO client.test\r\n", clock).await;
    let _ = client.reply(clock).await;
    for write in writes {
        client.say(write, clock).await;
    }
    client.half_close(clock).await;
    assert!(client.end(clock).await, "it stays open");
    String::from_utf8_lossy(&client.input).into_owned()
}

#[test]
fn a_command_behind_starttls_is_never_answered_however_it_is_cut() {
    live::run(async |clock| {
        let lab = door().await;
        let all = [STARTTLS, b"EHLO evil.test\r\n"].concat();
        for cut in 1..all.len() {
            let (head, tail) = all.split_at(cut);
            let said = told(&lab, &[head, tail], clock).await;
            // Behind a whole STARTTLS it is taken for the handshake, which fails.
            let expected = if cut == STARTTLS.len() { "220 2.0.0" } else { "554 5.5.0" };
            assert!(said.starts_with(expected), "cut at {cut}: {said}");
            assert!(!said.contains("250"), "cut at {cut}: {said}");
        }
    });
}

#[test]
fn a_fragment_behind_starttls_is_enough() {
    live::run(async |clock| {
        let lab = door().await;
        for injected in ["E", "EHLO", "EHLO evil.test", "EHLO evil.test\r", "\r\n", "\0"] {
            let write = [STARTTLS, injected.as_bytes()].concat();
            let said = told(&lab, &[&write], clock).await;
            assert!(said.starts_with("554 5.5.0") && !said.contains("220"), "{injected}: {said}");
        }
    });
}

/// What the recipient is told when the next hop answers STARTTLS in these writes.
async fn answered(protection: Protection, writes: &[&[u8]], clock: &Clock) -> (String, Vec<u8>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let next_hop = Downstream::at(listener.local_addr().expect("an address"));
    let lab = Lab::with(next_hop, Wish { protection, ..Wish::default() }).await;
    let mut client = Peer::connect(lab.door).await;
    let _greeting = client.reply(clock).await;
    client.say(b"EHLO c.test\r\nMAIL FROM:<s@x.test>\r\nRCPT TO:<a@y.test>\r\n", clock).await;
    for _ in 0..2 {
        let _ = client.reply(clock).await;
    }
    let mut hop = live::accept(&listener, clock).await.expect("a connection");
    hop.say(b"220 mx.test\r\n", clock).await;
    let _ = hop.line(clock).await;
    hop.say(b"250-mx.test\r\n250 STARTTLS\r\n", clock).await;
    assert_eq!(hop.line(clock).await.as_deref(), Some(b"STARTTLS".as_slice()));
    for write in writes {
        hop.say(write, clock).await;
    }
    hop.half_close(clock).await;
    assert!(hop.end(clock).await, "it stays");
    (client.reply(clock).await, hop.input)
}

#[test]
fn a_reply_behind_the_220_is_never_read_as_one_from_within() {
    live::run(async |clock| {
        let anybody = || Connector::new(&Trust::Anybody).expect("a connector");
        let injected = b"250-mx.test\r\n250 SIZE\r\n";
        for length in 1..=injected.len() {
            let fragment = injected.get(..length).unwrap_or_default();
            let write = [b"220 go\r\n", fragment].concat();
            for protection in
                [Protection::Required(anybody()), Protection::Opportunistic(anybody())]
            {
                let (told, heard) = answered(protection, &[&write], clock).await;
                assert!(told.starts_with("451 4.7.5 rcptgate:"), "{length}: {told}");
                assert!(heard.is_empty(), "{length}: {}", heard.escape_ascii());
            }
            // In a write of its own it is no handshake.
            let writes: [&[u8]; 2] = [b"220 go\r\n", fragment];
            let (told, heard) = answered(Protection::Required(anybody()), &writes, clock).await;
            assert!(told.starts_with("451 4.7.5 rcptgate:"), "{length}: {told}");
            let mail = heard.windows(4).any(|four| four == b"MAIL");
            assert!(!mail, "{length}: {}", heard.escape_ascii());
        }
    });
}
