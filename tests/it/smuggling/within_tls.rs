//! The same with TLS on both legs, where a write is a record, over sockets.

use rcptgate::proxy::route::Protection;
use rcptgate::session::ClientTls;
use rcptgate::tls::{Connector, Trust};
use tokio::net::TcpStream;

use super::{HIDDEN, VECTORS};
use crate::harness::{Client, Downstream, Lab, Wish};
use crate::tls::{Pair, encrypt};

async fn world() -> (Lab, Client) {
    let pair = Pair::new();
    let acceptor = crate::tls::server(pair.chain(), pair.key());
    let anybody = Connector::new(&Trust::Anybody).expect("a connector");
    let wish = Wish {
        tls: ClientTls::Up,
        acceptor: Some(pair.certificate()),
        protection: Protection::Required(anybody),
        ..Wish::default()
    };
    let lab = Lab::with(Downstream::with_starttls(acceptor.into()).await, wish).await;
    let stream = TcpStream::connect(lab.door).await.expect("a connection");
    let mut client = encrypt(stream, &pair.der).await.expect("a handshake");
    client.expect("220").await;
    client.ask("EHLO client.test", "250").await;
    (lab, client)
}

async fn up_to_content(client: &mut Client) {
    client.ask("MAIL FROM:<s@x.test>", "250").await;
    client.ask("RCPT TO:<a@y.test>", "250").await;
    client.ask("DATA", "354").await;
}

#[tokio::test]
async fn no_vector_ends_a_message_within_tls() {
    let (lab, mut client) = world().await;
    for vector in VECTORS {
        for before in [b"".as_slice(), b"Subject: x\r\n\r\n"] {
            up_to_content(&mut client).await;
            client.raw(before).await;
            for byte in vector.chunks(1) {
                client.raw(byte).await;
            }
            client.raw(HIDDEN).await;
            client.raw(b"\r\n.\r\n").await;
            client.expect("550 5.5.2 rcptgate: bare").await;
        }
    }
    client.ask("NOOP", "250").await;
    let heard = lab.downstream.heard();
    assert!(heard.contains(&"TLS".to_owned()), "{heard:?}");
    let ends = heard.iter().filter(|line| *line == ".").count();
    let evil = heard.iter().filter(|line| line.contains("RCPT TO:<evil")).count();
    assert_eq!((ends, evil), (0, 0), "{heard:?}");
}

#[tokio::test]
async fn a_true_end_is_one_over_any_two_records() {
    let (lab, mut client) = world().await;
    const END: &[u8] = b"\r\n.\r\n";
    for cut in 1..END.len() {
        up_to_content(&mut client).await;
        let (head, tail) = END.split_at(cut);
        client.raw(&[b"Subject: x", head].concat()).await;
        client.raw(tail).await;
        client.expect("250 2.0.0 ok queued").await;
    }
    let ends = lab.downstream.heard().iter().filter(|line| *line == ".").count();
    assert_eq!(ends, END.len() - 1);
}
