//! Peers that do not read, or read slowly: what they are sent waits with them and not here, nobody locks up, and it ends.

use std::time::Duration;

use rcptgate::proxy::Timeouts;
use rcptgate::session::Limits;
use tokio::net::{TcpListener, TcpSocket};

use crate::harness::{Downstream, Lab, Wish};
use crate::live::{self, Peer};

/// More than the buffers of all sockets on the way.
const PLENTY: usize = 64 << 20;

/// B10: the replies that nobody reads fill the client's own sockets; then no more is taken from it, and its time runs.
#[test]
fn a_client_that_never_reads_is_not_read_from_and_is_sent_away() {
    live::run(async |clock| {
        let limits = Limits { junk: u32::MAX, ..Limits::default() };
        let nobody = Downstream::at("127.0.0.1:9".parse().expect("an address"));
        let lab = Lab::with(nobody, Wish { limits, ..Wish::default() }).await;
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.set_recv_buffer_size(4096).expect("an option");
        let mut client = Peer::over(socket.connect(lab.door).await.expect("a connection"));
        assert!(client.reply(clock).await.starts_with("220 "));
        let block = b"EHLO a\r\n".repeat(8192);
        let (mut sent, mut stuck) = (0, 0);
        while stuck < 20 && sent < PLENTY {
            let from = sent % block.len();
            let written = client.push(block.get(from..).unwrap_or_default(), clock).await;
            stuck = if written == 0 { stuck + 1 } else { 0 };
            sent += written;
        }
        assert!(sent < PLENTY, "it reads and reads");
        lab.sessions.close();
        let mut seconds = 0;
        while !lab.sessions.is_empty() && seconds < 2000 {
            clock.pass(Duration::from_secs(1)).await;
            seconds += 1;
        }
        let due = Timeouts::default().client.as_secs();
        assert!(
            (due * 9 / 10..=due * 11 / 10).contains(&seconds),
            "{seconds} s instead of {due} s"
        );
    });
}

/// B09: neither side reads before it has written; the next hop has room for a few commands and takes its time.
#[test]
fn a_thousand_recipients_in_one_write_lock_up_nobody() {
    const RECIPIENTS: usize = 1000;
    live::run(async |clock| {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.set_recv_buffer_size(4096).expect("an option");
        socket.bind("127.0.0.1:0".parse().expect("an address")).expect("a port");
        let listener: TcpListener = socket.listen(1).expect("a listener");
        let next_hop = Downstream::at(listener.local_addr().expect("an address"));
        let lab = Lab::with(next_hop, Wish::default()).await;
        let mut client = Peer::connect(lab.door).await;
        let mut group = "EHLO c\r\nMAIL FROM:<s@x.test>\r\n".to_owned();
        (0..RECIPIENTS).for_each(|number| group.push_str(&recipient(number)));
        assert!(client.reply(clock).await.starts_with("220 "));
        client.say(group.as_bytes(), clock).await;
        let mut hop = live::accept(&listener, clock).await.expect("a connection");
        hop.say(b"220 mx.test\r\n", clock).await;
        assert_eq!(hop.line(clock).await.as_deref(), Some(b"EHLO gate.test".as_slice()));
        hop.say(b"250-mx.test\r\n250 PIPELINING\r\n", clock).await;
        assert_eq!(hop.line(clock).await.as_deref(), Some(b"MAIL FROM:<s@x.test>".as_slice()));
        hop.say(b"250 ok\r\n", clock).await;
        for number in 0..RECIPIENTS {
            let line = hop.line(clock).await.expect("a command");
            assert_eq!(line, recipient(number).trim_end().as_bytes());
            clock.pass(Duration::from_millis(100)).await;
            hop.say(format!("250 2.1.5 number {number}\r\n").as_bytes(), clock).await;
        }
        for start in ["250-gate.test", "250 2.1.0 "] {
            assert!(client.reply(clock).await.starts_with(start));
        }
        for number in 0..RECIPIENTS {
            assert_eq!(client.reply(clock).await, format!("250 2.1.5 number {number}"));
        }
    });
}

fn recipient(number: usize) -> String {
    format!("RCPT TO:<somebody-with-a-rather-long-name-{number}@y.test>\r\n")
}
