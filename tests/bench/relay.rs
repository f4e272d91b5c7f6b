//! Whole messages through the real gate over loopback, with client and next hop in this process: the sum of all three, and of the
//! kernel between them. To see the gate's own share, measure it as a process of its own (see `README.md`).

use std::net::SocketAddr;
use std::sync::Arc;

use criterion::{Criterion, Throughput, criterion_group};
use memchr::memmem;
use rcptgate::app::{Running, build};
use rcptgate::config;
use rcptgate::log::{Format, Lines, Writer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;

criterion_group!(benches, messages);

/// Connections that send at the same time, each kept for all its messages.
const CLIENTS: usize = 8;

fn messages(criterion: &mut Criterion) {
    let runtime = Runtime::new().expect("a runtime");
    // What is logged in production is logged here, to nowhere.
    let (writer, _guard) = Writer::start(Format::Text, std::io::sink());
    let targets = Targets::new().with_target("rcptgate", LevelFilter::INFO);
    let subscriber =
        tracing_subscriber::registry().with(targets).with(Lines::new(Format::Text, writer));
    let _ = tracing::subscriber::set_global_default(subscriber);
    let folder = tempfile::tempdir().expect("a directory");
    let gate = runtime.block_on(async { start(folder.path(), sink().await).await });
    let door = *gate.doors.first().expect("a listener");

    let mut group = criterion.benchmark_group("relay");
    for (name, recipients, octets) in
        [("4_KiB", 1, 4 << 10), ("1_MiB", 1, 1 << 20), ("50_recipients_pipelined", 50, 4 << 10)]
    {
        let message = Arc::new(Message::new(recipients, octets));
        if octets > 4 << 10 {
            group.throughput(Throughput::Bytes(message.content.len() as u64));
        } else {
            group.throughput(Throughput::Elements(1));
        }
        group.bench_function(name, |bencher| {
            let clients = runtime.block_on(clients(door));
            bencher.to_async(&runtime).iter_custom(|count| {
                send(
                    clients.clone(),
                    Arc::clone(&message),
                    usize::try_from(count).expect("a count"),
                )
            });
        });
    }
    group.finish();
    runtime.block_on(gate.stop(async {}));
}

/// The gate as the program starts it, in front of this next hop.
pub async fn start(folder: &std::path::Path, sink: SocketAddr) -> Running {
    let file = folder.join("rcptgate.toml");
    let text = format!(
        "hostname = \"gate.test\"\ndata_dir = \"data\"\n\
         [[listen]]\naddress = \"127.0.0.1:0\"\n\
         [downstream]\nroute = \"fixed\"\nhosts = [\"{sink}\"]\ntls = \"off\"\n\
         [admin]\nlisten = \"off\"\n[limits]\ntransactions = 1000000\n"
    );
    std::fs::write(&file, text).expect("a configuration");
    let settings = config::load(&file).expect("a valid configuration");
    let (parts, _) = build::parts(&settings).expect("the parts of a gate");
    Running::start(parts, |_, _| {}).await.expect("a gate")
}

/// A message as it goes over the wire: the commands in one write, then the content.
pub struct Message {
    commands: Vec<u8>,
    replies: usize,
    content: Vec<u8>,
}

impl Message {
    pub fn new(recipients: usize, octets: usize) -> Self {
        let names = (0..recipients).map(|number| format!("RCPT TO:<bob{number}@shop.test>\r\n"));
        let names: String = names.collect();
        let commands = format!("MAIL FROM:<news@sender.test>\r\n{names}DATA\r\n").into_bytes();
        let line = [&[b'x'; 76][..], b"\r\n"].concat();
        let mut content = line.repeat(octets / line.len());
        content.extend_from_slice(b".\r\n");
        Self { commands, replies: recipients + 2, content }
    }
}

pub struct Client {
    stream: TcpStream,
    heard: Vec<u8>,
}

async fn clients(door: SocketAddr) -> Vec<Arc<Mutex<Client>>> {
    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        clients.push(Arc::new(Mutex::new(Client::greeted(door).await)));
    }
    clients
}

impl Client {
    /// A client that has been greeted and has said EHLO.
    pub async fn greeted(door: SocketAddr) -> Self {
        let stream = TcpStream::connect(door).await.expect("a connection");
        stream.set_nodelay(true).expect("an option");
        let mut client = Self { stream, heard: Vec::with_capacity(8 << 10) };
        client.replies(1).await;
        client.say(b"EHLO client.test\r\n", 1).await;
        client
    }

    /// Sends a message: commands and content in a write each.
    pub async fn message(&mut self, message: &Message) {
        self.say(&message.commands, message.replies).await;
        self.say(&message.content, 1).await;
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
        assert!(!self.heard.split_inclusive(|byte| *byte == b'\n').any(refuses));
    }
}

/// Replies that are complete: lines whose code no hyphen follows.
fn last_lines(heard: &[u8]) -> usize {
    let lines = heard.split_inclusive(|byte| *byte == b'\n');
    lines.filter(|line| line.ends_with(b"\n") && line.get(3) != Some(&b'-')).count()
}

/// Sends so many messages over all connections at once; returns how long that took.
async fn send(
    clients: Vec<Arc<Mutex<Client>>>,
    message: Arc<Message>,
    count: usize,
) -> std::time::Duration {
    let start = Instant::now();
    let mut sending = JoinSet::new();
    for (place, client) in clients.into_iter().enumerate() {
        let share = count / CLIENTS + usize::from(place < count % CLIENTS);
        let message = Arc::clone(&message);
        sending.spawn(async move {
            let mut client = client.lock().await;
            for _ in 0..share {
                client.message(&message).await;
            }
        });
    }
    sending.join_all().await;
    start.elapsed()
}

/// A next hop that takes everything and looks at as little as it can.
pub async fn sink() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(take(stream));
        }
    });
    address
}

async fn take(mut stream: TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    stream.write_all(b"220 sink.test ESMTP\r\n").await?;
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
            content = memmem::find(&lines, b"DATA\r\n").is_some();
            answer(&lines, &mut output);
        }
        stream.write_all(&output).await?;
        output.clear();
    }
    Ok(())
}

fn answer(lines: &[u8], output: &mut Vec<u8>) {
    for line in lines.split_inclusive(|byte| *byte == b'\n') {
        output.extend_from_slice(match line.first() {
            Some(b'E') => b"250-sink.test\r\n250-PIPELINING\r\n250 8BITMIME\r\n",
            Some(b'D') => b"354 go on\r\n",
            _ => b"250 2.1.0 ok\r\n",
        });
    }
}
