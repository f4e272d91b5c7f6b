//! One SMTP server that plays every receiver and writes down what it hears.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

use super::cast;

/// Octets of a line; only our own gate speaks here.
const LINE_MAX: u64 = 64 * 1024;

/// The receivers, listening.
pub(super) struct Receivers {
    /// Where.
    pub(super) address: SocketAddr,
    heard: Arc<Mutex<Heard>>,
}

/// What the receivers have heard.
#[derive(Clone, Debug, Default)]
pub(super) struct Heard {
    /// Connections.
    pub(super) connections: usize,
    /// RCPTs by address, in lower case.
    pub(super) asked: HashMap<String, usize>,
    /// Messages taken.
    pub(super) messages: usize,
}

impl Heard {
    /// How often RCPT named this address.
    pub(super) fn of(&self, address: &str) -> usize {
        self.asked.get(&address.to_lowercase()).copied().unwrap_or(0)
    }
}

impl Receivers {
    pub(super) async fn listen() -> std::io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let heard = Arc::new(Mutex::new(Heard::default()));
        let log = Arc::clone(&heard);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                lock(&log).connections += 1;
                // What goes wrong here, the gate tells its client.
                tokio::spawn(converse(stream, Arc::clone(&log)));
            }
        });
        Ok(Self { address, heard })
    }

    /// What has been heard so far.
    pub(super) fn heard(&self) -> Heard {
        lock(&self.heard).clone()
    }
}

fn lock(heard: &Mutex<Heard>) -> MutexGuard<'_, Heard> {
    heard.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn converse(stream: TcpStream, heard: Arc<Mutex<Heard>>) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let (read, mut write) = stream.into_split();
    let mut lines = BufReader::new(read);
    write.write_all(b"220 receivers.test ESMTP\r\n").await?;
    let mut content = false;
    loop {
        let mut line = String::new();
        if (&mut lines).take(LINE_MAX).read_line(&mut line).await? == 0 {
            return Ok(());
        }
        let line = line.trim_end_matches(['\r', '\n']);
        let reply = if content {
            if line != "." {
                continue;
            }
            content = false;
            taken(&mut lock(&heard))
        } else {
            content = line.eq_ignore_ascii_case("DATA");
            answer(line, &mut lock(&heard))
        };
        write.write_all(format!("{reply}\r\n").as_bytes()).await?;
        if reply.starts_with("221") || reply.starts_with("421") {
            return Ok(());
        }
    }
}

fn taken(heard: &mut Heard) -> String {
    heard.messages += 1;
    format!("250 2.0.0 queued as R{}", heard.messages)
}

fn answer(line: &str, heard: &mut Heard) -> String {
    let verb = line.split([' ', ':']).next().unwrap_or_default().to_uppercase();
    match verb.as_str() {
        "EHLO" => "250-receivers.test\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 ENHANCEDSTATUSCODES",
        "RCPT" => return mailbox(line, heard).to_owned(),
        "DATA" => "354 go ahead",
        "QUIT" => "221 2.0.0 bye",
        _ => "250 2.0.0 ok",
    }
    .to_owned()
}

/// The answer of a mailbox to RCPT, which depends on how often it was asked.
fn mailbox(line: &str, heard: &mut Heard) -> &'static str {
    let path = line.split_once('<').and_then(|(_, rest)| rest.split_once('>'));
    let address = path.map_or("", |(address, _)| address).to_lowercase();
    let times = heard.asked.entry(address.clone()).or_default();
    let turn = *times;
    *times += 1;
    let mailbox = cast::MAILBOXES.iter().find(|(owner, _)| *owner == address);
    let Some((_, answers)) = mailbox else { return cast::ACCEPTED };
    answers.get(turn).or(answers.last()).copied().unwrap_or(cast::ACCEPTED)
}
