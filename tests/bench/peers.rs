//! The gate and its two peers, all in this process: a client that says no more than it must, a next hop that looks at as little as
//! it can.

use std::net::SocketAddr;
use std::path::Path;

use bytes::Bytes;
use memchr::memmem;
use rcptgate::app::{Running, build};
use rcptgate::config;
use rcptgate::log::{Format, Lines, Writer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;

/// What is logged in production is logged here, to nowhere.
pub fn log_to_nowhere() {
    let (writer, guard) = Writer::start(Format::Text, std::io::sink());
    // Until the process ends: the first of these is everybody's.
    std::mem::forget(guard);
    let targets = Targets::new().with_target("rcptgate", LevelFilter::INFO);
    let subscriber =
        tracing_subscriber::registry().with(targets).with(Lines::new(Format::Text, writer));
    let _ = tracing::subscriber::set_global_default(subscriber);
}

/// The gate as the program starts it, in front of this next hop.
pub async fn start(folder: &Path, sink: SocketAddr) -> Running {
    let downstream = format!("route = \"fixed\"\nhosts = [\"{sink}\"]\ntls = \"off\"");
    start_with(folder, "smtp", &downstream, "").await
}

/// Likewise, with this for `[downstream]`, and more for `[limits]` and behind it.
pub async fn start_with(folder: &Path, protocol: &str, downstream: &str, more: &str) -> Running {
    let file = folder.join("rcptgate.toml");
    let text = format!(
        "hostname = \"gate.test\"\ndata_dir = \"data\"\n\
         [[listen]]\naddress = \"127.0.0.1:0\"\nprotocol = \"{protocol}\"\n\
         [downstream]\n{downstream}\n\
         [admin]\nlisten = \"off\"\n[limits]\ntransactions = 1000000\n{more}\n"
    );
    std::fs::write(&file, text).expect("a configuration");
    let (settings, rules) = config::load_all(&file).expect("a valid configuration");
    let (parts, _) = build::parts(&settings, &rules).expect("the parts of a gate");
    Running::start(parts, |_, _| {}).await.expect("a gate")
}

/// What was counted on the way out, as far as it explains the time.
pub fn tell(name: &str, gate: &Running) {
    let text = gate.metrics.text();
    let figure = |series: &str| -> f64 {
        let value = text.lines().find_map(|line| line.strip_prefix(&format!("rcptgate_{series} ")));
        value.map_or(0.0, |value| value.parse().expect("a number"))
    };
    let share = |part: f64, rest: f64| 100.0 * part / (part + rest).max(1.0);
    let dns = |kind| figure(&format!("dns_question_total{{kind=\"{kind}\"}}"));
    let connections = |kind| figure(&format!("downstream_connection_total{{kind=\"{kind}\"}}"));
    println!(
        "{name}: {:.2} % of {} questions from memory, {:.2} % of {} connections used again\n",
        share(dns("remembered"), dns("asked")),
        dns("remembered") + dns("asked"),
        share(connections("kept"), connections("ok")),
        connections("kept") + connections("ok"),
    );
}

/// A message as it goes over the wire: the commands in one write, then the content.
pub struct Message {
    commands: Vec<u8>,
    replies: usize,
    content: Bytes,
    finals: usize,
}

impl Message {
    /// To so many recipients of one domain.
    pub fn new(recipients: usize, octets: usize) -> Self {
        let names = (0..recipients).map(|number| format!("bob{number}@shop.test"));
        Self::to(&names.collect::<Vec<_>>(), octets)
    }

    /// To these recipients.
    pub fn to(recipients: &[String], octets: usize) -> Self {
        let line = [&[b'x'; 76][..], b"\r\n"].concat();
        let mut content = line.repeat(octets / line.len());
        content.extend_from_slice(b".\r\n");
        let nobody = Self { commands: Vec::new(), replies: 0, content: content.into(), finals: 1 };
        nobody.with(recipients)
    }

    /// The same content, to others.
    pub fn with(&self, recipients: &[String]) -> Self {
        let names = recipients.iter().map(|name| format!("RCPT TO:<{name}>\r\n"));
        let names: String = names.collect();
        let commands = format!("MAIL FROM:<news@sender.test>\r\n{names}DATA\r\n").into_bytes();
        Self { commands, replies: recipients.len() + 2, content: self.content.clone(), finals: 1 }
    }

    /// As LMTP ends it: each recipient has a reply of its own.
    pub fn by_lmtp(self) -> Self {
        Self { finals: self.replies - 2, ..self }
    }

    /// Octets of content.
    pub fn octets(&self) -> u64 {
        self.content.len() as u64
    }
}

pub struct Client {
    stream: TcpStream,
    heard: Vec<u8>,
}

impl Client {
    /// A client that has been greeted and has said EHLO.
    pub async fn greeted(door: SocketAddr) -> Self {
        Self::saying(door, "EHLO").await
    }

    /// A client that has been greeted and has said hello in this word.
    pub async fn saying(door: SocketAddr, hello: &str) -> Self {
        let stream = TcpStream::connect(door).await.expect("a connection");
        stream.set_nodelay(true).expect("an option");
        let mut client = Self { stream, heard: Vec::with_capacity(8 << 10) };
        client.replies(1).await;
        client.say(format!("{hello} client.test\r\n").as_bytes(), 1).await;
        client
    }

    /// Sends a message: commands and content in a write each.
    pub async fn message(&mut self, message: &Message) {
        self.say(&message.commands, message.replies).await;
        self.say(&message.content, message.finals).await;
    }

    async fn say(&mut self, bytes: &[u8], replies: usize) {
        self.stream.write_all(bytes).await.expect("a write");
        self.replies(replies).await;
    }

    /// Reads so many replies, none of which refuses.
    async fn replies(&mut self, wanted: usize) {
        self.heard.clear();
        while last_lines(&self.heard) < wanted {
            let read = self.stream.read_buf(&mut self.heard).await.expect("a read");
            assert_ne!(
                read,
                0,
                "the gate hung up after {:?}",
                String::from_utf8_lossy(&self.heard)
            );
        }
        let refuses = |line: &[u8]| matches!(line.first(), Some(b'4' | b'5'));
        let refused = self.heard.split_inclusive(|byte| *byte == b'\n').any(refuses);
        assert!(!refused, "{}", String::from_utf8_lossy(&self.heard));
    }
}

/// Replies that are complete: lines whose code no hyphen follows.
fn last_lines(heard: &[u8]) -> usize {
    let lines = heard.split_inclusive(|byte| *byte == b'\n');
    lines.filter(|line| line.ends_with(b"\n") && line.get(3) != Some(&b'-')).count()
}

/// A next hop that takes everything.
pub async fn sink() -> SocketAddr {
    sink_at("127.0.0.1:0".parse().expect("an address"), None).await
}

/// Likewise at this address, within TLS if there is something to make it with.
pub async fn sink_at(address: SocketAddr, tls: Option<TlsAcceptor>) -> SocketAddr {
    let listener = TcpListener::bind(address).await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(take(stream, tls.clone()));
        }
    });
    address
}

async fn take(mut stream: TcpStream, tls: Option<TlsAcceptor>) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    stream.write_all(b"220 sink.test ESMTP\r\n").await?;
    if let (Then::Secure, Some(tls)) = (converse(&mut stream, tls.is_some()).await?, tls) {
        converse(&mut tls.accept(stream).await?, false).await?;
    }
    Ok(())
}

/// What follows a conversation.
enum Then {
    Nothing,
    Secure,
}

async fn converse(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    offers_tls: bool,
) -> std::io::Result<Then> {
    let (mut input, mut output) = (Vec::with_capacity(64 << 10), Vec::new());
    let mut content = false;
    while stream.read_buf(&mut input).await? > 0 {
        if content {
            if !input.ends_with(b"\r\n.\r\n") {
                // The end may come in pieces, so its first octets are kept.
                input.drain(..input.len().saturating_sub(4));
                continue;
            }
            content = false;
            input.clear();
            output.extend_from_slice(b"250 2.0.0 ok: queued as SINK\r\n");
        } else {
            let Some(end) = input.iter().rposition(|byte| *byte == b'\n') else { continue };
            let lines: Vec<u8> = input.drain(..=end).collect();
            if lines.starts_with(b"STARTTLS") {
                stream.write_all(b"220 go\r\n").await?;
                return Ok(Then::Secure);
            }
            if lines.starts_with(b"QUIT") {
                stream.write_all(b"221 2.0.0 bye\r\n").await?;
                return Ok(Then::Nothing);
            }
            content = memmem::find(&lines, b"DATA\r\n").is_some();
            answer(&lines, offers_tls, &mut output);
        }
        stream.write_all(&output).await?;
        stream.flush().await?;
        output.clear();
    }
    Ok(Then::Nothing)
}

fn answer(lines: &[u8], offers_tls: bool, output: &mut Vec<u8>) {
    for line in lines.split_inclusive(|byte| *byte == b'\n') {
        output.extend_from_slice(match line.first() {
            Some(b'E') if offers_tls => {
                b"250-sink.test\r\n250-PIPELINING\r\n250-STARTTLS\r\n250 8BITMIME\r\n"
            }
            Some(b'E') => b"250-sink.test\r\n250-PIPELINING\r\n250 8BITMIME\r\n",
            Some(b'D') => b"354 go on\r\n",
            _ => b"250 2.1.0 ok\r\n",
        });
    }
}
