//! A name server for tests, on a free port of loopback, over UDP and TCP. It says what it is told to: a name that nothing was
//! said of does not exist, and one that has only other types has no such record. It ends when it is dropped.

mod answer;

use std::collections::{BTreeSet, HashMap};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use hickory_proto::op::Message;
use hickory_proto::rr::RecordType;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

pub use self::answer::Answer;

/// How long a test may wait for questions that do not come.
const PATIENCE: Duration = Duration::from_secs(20);

/// A running server.
pub struct DnsServer {
    pub address: SocketAddr,
    state: Arc<State>,
    _tasks: JoinSet<()>,
}

/// One question as it came: without the last dot, in the case in which it was written.
pub type Question = (String, RecordType);

struct State {
    told: Mutex<Told>,
    /// How many questions have come.
    count: watch::Sender<usize>,
    /// Those sent again included.
    received: watch::Sender<usize>,
    held: watch::Sender<bool>,
}

#[derive(Default)]
struct Told {
    answers: HashMap<(String, RecordType), Answer>,
    asked: Vec<Question>,
    /// Questions by their identifiers: one that is sent again is the same.
    seen: BTreeSet<(u16, String, u16)>,
    under_way: BTreeSet<(String, u16)>,
    most_at_once: usize,
    over_tcp: usize,
}

impl DnsServer {
    pub async fn start() -> Self {
        let (tcp, udp) = listen().await;
        let address = tcp.local_addr().expect("an address");
        let state = State {
            told: Mutex::default(),
            count: watch::Sender::new(0),
            received: watch::Sender::new(0),
            held: watch::Sender::new(false),
        };
        let state = Arc::new(state);
        let mut tasks = JoinSet::new();
        tasks.spawn(serve_udp(Arc::new(udp), Arc::clone(&state)));
        tasks.spawn(serve_tcp(tcp, Arc::clone(&state)));
        Self { address, state, _tasks: tasks }
    }

    /// From here this is the answer.
    pub fn answer(&self, name: &str, kind: RecordType, answer: Answer) {
        self.told().answers.insert((name.to_ascii_lowercase(), kind), answer);
    }

    /// All questions so far, in order; those sent again are not counted.
    pub fn asked(&self) -> Vec<Question> {
        self.told().asked.clone()
    }

    /// Waits until so many questions have come.
    pub async fn has_been_asked(&self, count: usize) {
        wait_for(&self.state.count, count).await;
    }

    /// Waits until so many messages have come, questions sent again included.
    pub async fn has_received(&self, count: usize) {
        wait_for(&self.state.received, count).await;
    }

    /// The most questions that waited for their answers at one time.
    pub fn most_at_once(&self) -> usize {
        self.told().most_at_once
    }

    /// Questions that came over TCP.
    pub fn over_tcp(&self) -> usize {
        self.told().over_tcp
    }

    /// Questions are taken and not answered until [`Self::release`].
    pub fn hold(&self) {
        self.state.held.send_replace(true);
    }

    pub fn release(&self) {
        self.state.held.send_replace(false);
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        self.state.told.lock().expect("no test panicked")
    }
}

async fn wait_for(seen: &watch::Sender<usize>, count: usize) {
    let mut seen = seen.subscribe();
    let waited = timeout(PATIENCE, seen.wait_for(|seen| *seen >= count)).await;
    waited.expect("questions that do not come").expect("the server is there");
}

/// One port for both.
async fn listen() -> (TcpListener, UdpSocket) {
    for _ in 0..50 {
        let tcp = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = tcp.local_addr().expect("an address");
        if let Ok(udp) = UdpSocket::bind(address).await {
            return (tcp, udp);
        }
    }
    panic!("no port that is free for TCP and UDP");
}

async fn serve_udp(socket: Arc<UdpSocket>, state: Arc<State>) {
    let mut tasks = JoinSet::new();
    let mut buffer = vec![0; 65_535];
    while let Ok((length, peer)) = socket.recv_from(&mut buffer).await {
        let question = buffer.get(..length).unwrap_or_default().to_vec();
        let (socket, state) = (Arc::clone(&socket), Arc::clone(&state));
        tasks.spawn(async move {
            if let Some(bytes) = state.reply(&question, false).await {
                let _ = socket.send_to(&bytes, peer).await;
            }
        });
    }
}

async fn serve_tcp(listener: TcpListener, state: Arc<State>) {
    let mut tasks = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        tasks.spawn(connection(stream, Arc::clone(&state)));
    }
}

async fn connection(mut stream: TcpStream, state: Arc<State>) {
    while let Ok(length) = stream.read_u16().await {
        let mut question = vec![0; length.into()];
        if stream.read_exact(&mut question).await.is_err() {
            return;
        }
        let Some(bytes) = state.reply(&question, true).await else { continue };
        let framed =
            [&u16::try_from(bytes.len()).expect("it fits").to_be_bytes(), &*bytes].concat();
        if stream.write_all(&framed).await.is_err() {
            return;
        }
    }
}

impl State {
    async fn reply(&self, question: &[u8], tcp: bool) -> Option<Vec<u8>> {
        let message = Message::from_vec(question).ok()?;
        let query = message.queries.first()?;
        let name = query.name().to_ascii();
        let name = name.strip_suffix('.').unwrap_or(&name).to_owned();
        let key = (name.to_ascii_lowercase(), query.query_type());
        self.takes(&message, &name, key.clone(), tcp);
        let mut held = self.held.subscribe();
        held.wait_for(|held| !held).await.ok()?;
        let answer = {
            let mut told = self.told.lock().expect("no test panicked");
            told.under_way.remove(&(key.0.clone(), key.1.into()));
            told.answers.get(&key).cloned().unwrap_or_else(|| told.nothing(&key.0))
        };
        answer.wire(&message, tcp)
    }

    fn takes(&self, message: &Message, name: &str, key: (String, RecordType), tcp: bool) {
        let mut told = self.told.lock().expect("no test panicked");
        let kind = u16::from(key.1);
        told.over_tcp += usize::from(tcp);
        if told.seen.insert((message.metadata.id, key.0.clone(), kind)) {
            told.asked.push((name.to_owned(), key.1));
        }
        told.under_way.insert((key.0, kind));
        told.most_at_once = told.most_at_once.max(told.under_way.len());
        let count = told.asked.len();
        drop(told);
        self.count.send_replace(count);
        self.received.send_modify(|received| *received += 1);
    }
}

impl Told {
    fn nothing(&self, name: &str) -> Answer {
        let known = self.answers.keys().any(|(known, _)| known == name);
        if known { Answer::no_records() } else { Answer::no_such_domain() }
    }
}
