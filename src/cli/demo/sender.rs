//! The SMTP client that plays the MTA of a mailing: one message a recipient, each with its queue id as Postfix sends it.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::timeout;

use crate::failure::Failure;
use crate::smtp::reply::Reply;

/// Longer than anything takes on loopback: a gate that needs it has failed.
const PATIENCE: Duration = Duration::from_secs(10);
/// Octets of a reply; only our own gate speaks here.
const REPLY_MAX: u64 = 64 * 1024;

/// A connection to the gate.
pub(super) struct Sender {
    read: BufReader<OwnedReadHalf>,
    write: OwnedWriteHalf,
}

impl Sender {
    pub(super) async fn connect(door: SocketAddr) -> Result<Self, Failure> {
        let stream = TcpStream::connect(door).await?;
        stream.set_nodelay(true)?;
        let (read, write) = stream.into_split();
        let mut sender = Self { read: BufReader::new(read), write };
        let greeting = sender.reply().await?;
        wants(&greeting, "the connection")?;
        sender.must("EHLO mta.shop.test").await?;
        Ok(sender)
    }

    /// Sends one message to one recipient; returns the reply that decided: that to RCPT when it refused, else that to the end
    /// of the message.
    pub(super) async fn send(
        &mut self,
        from: &str,
        to: &str,
        queue_id: &str,
    ) -> Result<Reply, Failure> {
        self.must(&format!("XFORWARD IDENT={queue_id}")).await?;
        self.must(&format!("MAIL FROM:<{from}>")).await?;
        let rcpt = self.ask(&format!("RCPT TO:<{to}>")).await?;
        if !rcpt.is_success() {
            self.must("RSET").await?;
            return Ok(rcpt);
        }
        let go_ahead = self.ask("DATA").await?;
        if go_ahead.code.get() != 354 {
            return Err(unexpected("DATA", &go_ahead));
        }
        self.ask(&format!(
            "From: <{from}>\r\nTo: <{to}>\r\nSubject: {queue_id}\r\n\r\nThe content passes unchanged.\r\n."
        ))
        .await
    }

    pub(super) async fn quit(mut self) -> Result<(), Failure> {
        self.must("QUIT").await
    }

    async fn must(&mut self, command: &str) -> Result<(), Failure> {
        let reply = self.ask(command).await?;
        wants(&reply, command)
    }

    async fn ask(&mut self, lines: &str) -> Result<Reply, Failure> {
        self.write.write_all(format!("{lines}\r\n").as_bytes()).await?;
        self.reply().await
    }

    async fn reply(&mut self) -> Result<Reply, Failure> {
        let mut text = String::new();
        loop {
            let start = text.len();
            let mut bounded = (&mut self.read).take(REPLY_MAX);
            let read = timeout(PATIENCE, bounded.read_line(&mut text))
                .await
                .map_err(|_| Failure::Internal("the gate does not answer".to_owned()))??;
            if read == 0 {
                return Err(Failure::Internal("the gate hung up".to_owned()));
            }
            let line = text.get(start..).unwrap_or_default();
            if line.as_bytes().get(3) != Some(&b'-') {
                break;
            }
        }
        Reply::from_text(text.trim_end())
            .ok_or_else(|| Failure::Internal(format!("not a reply: {text:?}")))
    }
}

fn wants(reply: &Reply, command: &str) -> Result<(), Failure> {
    if reply.is_success() { Ok(()) } else { Err(unexpected(command, reply)) }
}

fn unexpected(command: &str, reply: &Reply) -> Failure {
    Failure::Internal(format!("the gate answered {command} with {reply}"))
}
