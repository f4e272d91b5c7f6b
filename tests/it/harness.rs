//! A gate in this process between a raw client and a scripted next hop, all on loopback and on ports that the system picks.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use ipnet::IpNet;
use rcptgate::bounce::classify::Classifier;
use rcptgate::credentials::{Account, Credentials};
use rcptgate::dns::Resolver;
use rcptgate::event::Tenant;
use rcptgate::gate::{Gate, GateSettings};
use rcptgate::log::Addresses;
use rcptgate::metrics::Metrics;
use rcptgate::policy::Policy;
use rcptgate::policy::verdict::Listing;
use rcptgate::proxy::route::{Host, Protection, Route};
use rcptgate::proxy::{Door, DoorSettings, Timeouts, listener};
use rcptgate::session::{Auth, ClientTls, Limits, Protocol, TellClient};
use rcptgate::smtp::extensions::Extension;
use rcptgate::tls::Certificate;
use tokio::io::{
    AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader, BufStream,
};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// A gate and its surroundings. Dropping it ends everything.
pub struct Lab {
    pub gate: Gate,
    pub door: SocketAddr,
    pub downstream: Downstream,
    pub metrics: Arc<Metrics>,
    pub drain: CancellationToken,
    pub sessions: TaskTracker,
    halt: CancellationToken,
    data: tempfile::TempDir,
}

/// What a test may change.
pub struct Wish {
    pub limits: Limits,
    pub timeouts: Timeouts,
    pub monitor: bool,
    pub may_relay: bool,
    pub connections: usize,
    pub protocol: Protocol,
    pub proxies: Vec<IpNet>,
    pub withhold: Vec<Extension>,
    pub xclient: Vec<IpNet>,
    pub tell_client: TellClient,
    pub clients: Option<Vec<IpNet>>,
    /// Whose XFORWARD is believed; loopback's if nothing is said.
    pub xforward: Option<Vec<IpNet>>,
    pub tls: ClientTls,
    pub acceptor: Option<Certificate>,
    pub auth: Auth,
    pub credentials: Option<Credentials>,
    pub protection: Protection,
    pub account: Option<Account>,
    /// Next hops that are tried first.
    pub before: Vec<Host>,
}

impl Default for Wish {
    fn default() -> Self {
        let (limits, timeouts) = (Limits::default(), Timeouts::default());
        Self {
            limits,
            timeouts,
            monitor: false,
            may_relay: true,
            connections: 100,
            protocol: Protocol::Smtp,
            proxies: Vec::new(),
            withhold: Vec::new(),
            xclient: Vec::new(),
            tell_client: TellClient::Off,
            clients: None,
            xforward: None,
            tls: ClientTls::Off,
            acceptor: None,
            auth: Auth::Off,
            credentials: None,
            protection: Protection::Off,
            account: None,
            before: Vec::new(),
        }
    }
}

impl Lab {
    pub async fn new(downstream: Downstream) -> Self {
        Self::with(downstream, Wish::default()).await
    }

    pub async fn with(downstream: Downstream, wish: Wish) -> Self {
        let data = tempfile::tempdir().expect("a directory");
        let policy = Policy::preset("quarantine").expect("the preset");
        let opened = Gate::open(
            GateSettings::new(data.path().join("data")),
            policy,
            Classifier::builtin(),
            |_, _| {},
        )
        .expect("a gate");
        let host = Host { name: "127.0.0.1".to_owned(), port: downstream.address.port() };
        let (drain, halt) = (CancellationToken::new(), CancellationToken::new());
        let loopback = vec!["127.0.0.0/8".parse().expect("a network")];
        let metrics = Arc::new(Metrics::new());
        let door = Door {
            gate: opened.gate.clone(),
            route: Route::fixed(
                wish.before.into_iter().chain([host]).collect(),
                wish.protection,
                Resolver::new(&[]).expect("a resolver"),
            )
            .logging_in(wish.account),
            metrics: Arc::clone(&metrics),
            addresses: Addresses::Full,
            settings: DoorSettings {
                hostname: "gate.test".into(),
                tenant: Tenant::default(),
                clients: match wish.clients {
                    Some(clients) => clients,
                    None if wish.may_relay => loopback.clone(),
                    None => Vec::new(),
                },
                xforward: wish.xforward.unwrap_or(loopback),
                withhold: wish.withhold,
                xclient: wish.xclient,
                tell_client: wish.tell_client,
                proxies: wish.proxies,
                protocol: wish.protocol,
                tls: wish.tls,
                acceptor: wish.acceptor,
                auth: wish.auth,
                auth_required: false,
                credentials: wish.credentials,
                limits: wish.limits,
                timeouts: wish.timeouts,
                data_rate: 500,
                connections: wish.connections,
                connections_per_client: 50,
                monitor: wish.monitor,
            },
            drain: drain.clone(),
            halt: halt.clone(),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let sessions = TaskTracker::new();
        tokio::spawn(listener::serve(listener, Arc::new(door), sessions.clone()));
        Self { gate: opened.gate, door: address, downstream, metrics, drain, sessions, halt, data }
    }

    /// Ends everything but the next hop's memory.
    pub fn into_downstream(self) -> Downstream {
        let Downstream { address, heard, news } = &self.downstream;
        Downstream { address: *address, heard: Arc::clone(heard), news: Arc::clone(news) }
    }

    /// Makes a domain disposable.
    pub fn disposable(&self, domain: &'static str) {
        self.gate.set_listing(Arc::new(move |recipient| Listing {
            allowed: false,
            disposable: (recipient.domain() == domain).then(|| domain.to_owned()),
        }));
    }

    /// The journal as it stands on disk.
    pub fn journal(&self) -> String {
        let folder = std::fs::read_dir(self.data.path().join("data/journal")).expect("the journal");
        let segments = folder.map(|entry| entry.expect("an entry").path());
        segments.map(|path| std::fs::read_to_string(path).expect("a segment")).collect()
    }

    /// A client that has been greeted and has said EHLO.
    pub async fn client(&self) -> Client {
        let mut client = Client::connect(self.door).await;
        client.expect("220 gate.test").await;
        client.send("EHLO client.test").await;
        let _ = client.reply().await;
        client
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        self.halt.cancel();
    }
}

/// A client that says what it is told to.
pub struct Client {
    read: BufReader<Box<dyn AsyncRead + Send + Unpin>>,
    write: Box<dyn AsyncWrite + Send + Unpin>,
}

impl Client {
    pub async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.expect("a connection");
        stream.set_nodelay(true).expect("an option");
        Self::over(stream)
    }

    /// A client over a connection that is there already.
    pub fn over(stream: impl AsyncRead + AsyncWrite + Send + 'static) -> Self {
        let (read, write) = tokio::io::split(stream);
        Self { read: BufReader::new(Box::new(read)), write: Box::new(write) }
    }

    /// Sends a line, or several joined by `\n`, in one write.
    pub async fn send(&mut self, lines: &str) {
        let bytes = format!("{}\r\n", lines.replace('\n', "\r\n"));
        self.raw(bytes.as_bytes()).await;
    }

    pub async fn raw(&mut self, bytes: &[u8]) {
        self.write.write_all(bytes).await.expect("a write");
        self.write.flush().await.expect("a flush");
    }

    /// The next reply, its lines joined by `\n`; empty at the end of the connection.
    pub async fn reply(&mut self) -> String {
        let mut reply = String::new();
        loop {
            let mut line = String::new();
            let read = self.read.read_line(&mut line).await.unwrap_or(0);
            if read == 0 {
                return reply;
            }
            let line = line.strip_suffix("\r\n").expect("a whole line");
            if !reply.is_empty() {
                reply.push('\n');
            }
            reply.push_str(line);
            if line.as_bytes().get(3) != Some(&b'-') {
                return reply;
            }
        }
    }

    /// Reads a reply that must start with this.
    pub async fn expect(&mut self, start: &str) -> String {
        let reply = self.reply().await;
        assert!(reply.starts_with(start), "expected {start:?}, got {reply:?}");
        reply
    }

    /// Sends and reads the reply.
    pub async fn ask(&mut self, line: &str, start: &str) -> String {
        self.send(line).await;
        self.expect(start).await
    }

    /// The end of the connection.
    pub async fn expect_end(&mut self) {
        let mut rest = Vec::new();
        let _ = self.read.read_to_end(&mut rest).await;
        assert!(rest.is_empty(), "{:?}", String::from_utf8_lossy(&rest));
    }
}

/// How a next hop answers a line; `None` closes the connection. Content ends with a line `.`, which is asked about as `.`.
pub type Answer = dyn Fn(&str) -> Option<String> + Send + Sync;

/// A next hop that answers as it is told to and writes down what it hears.
pub struct Downstream {
    pub address: SocketAddr,
    heard: Arc<Mutex<Vec<String>>>,
    news: Arc<Notify>,
}

impl Downstream {
    /// Accepts everything, but answers these prefixes of lines in these ways.
    pub async fn answering(answers: &[(&str, &str)]) -> Self {
        let answers: Vec<(String, String)> = answers
            .iter()
            .map(|(line, answer)| ((*line).to_owned(), (*answer).to_owned()))
            .collect();
        Self::start(Arc::new(move |line: &str| {
            let found = answers.iter().find(|(start, _)| line.starts_with(start.as_str()));
            Some(found.map_or_else(|| usual(line), |(_, answer)| answer.clone()))
        }))
        .await
    }

    pub async fn start(answer: Arc<Answer>) -> Self {
        Self::listen(answer, None).await
    }

    /// A next hop that the test itself plays at this address.
    pub fn at(address: SocketAddr) -> Self {
        Self { address, heard: Arc::default(), news: Arc::default() }
    }

    /// Accepts everything, within TLS once it is asked for; `TLS` is heard when the handshake is done.
    pub async fn with_starttls(acceptor: TlsAcceptor) -> Self {
        let answer = |line: &str| {
            Some(match line {
                "STARTTLS" => "220 go".to_owned(),
                line if line.starts_with("EHLO") => {
                    "250-sink.test\r\n250-REQUIRETLS\r\n250 STARTTLS".to_owned()
                }
                _ => usual(line),
            })
        };
        Self::listen(Arc::new(answer), Some(acceptor)).await
    }

    /// Likewise, and answers these prefixes of lines in these ways; all is offered in the clear and within TLS.
    pub async fn within_tls(
        acceptor: TlsAcceptor,
        answers: &[(&'static str, &'static str)],
    ) -> Self {
        let answers = answers.to_vec();
        let answer = move |line: &str| {
            let found = answers.iter().find(|(start, _)| line.starts_with(start));
            Some(match found {
                Some((_, answer)) => (*answer).to_owned(),
                None if line == "STARTTLS" => "220 go".to_owned(),
                None => usual(line),
            })
        };
        Self::listen(Arc::new(answer), Some(acceptor)).await
    }

    async fn listen(answer: Arc<Answer>, acceptor: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let heard = Arc::new(Mutex::new(Vec::new()));
        let news = Arc::new(Notify::new());
        let log = Log { lines: Arc::clone(&heard), news: Arc::clone(&news) };
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                log.add("CONNECT");
                let (answer, log, acceptor) = (Arc::clone(&answer), log.clone(), acceptor.clone());
                tokio::spawn(async move {
                    let mut stream = stream;
                    if converse(&mut stream, "", &answer, &log).await == Then::Secure
                        && let Some(acceptor) = acceptor
                        && let Ok(mut stream) = acceptor.accept(stream).await
                    {
                        log.add("TLS");
                        converse(&mut stream, WITHIN_TLS, &answer, &log).await;
                    }
                    log.add("CLOSED");
                });
            }
        });
        Self { address, heard, news }
    }

    /// Everything heard so far: `CONNECT`, command lines, lines of content, `CLOSED`.
    pub fn heard(&self) -> Vec<String> {
        self.heard.lock().expect("the log").clone()
    }

    /// Waits until what has been heard is as wanted.
    pub async fn until(&self, wanted: impl Fn(&[String]) -> bool) {
        loop {
            let more = self.news.notified();
            if wanted(&self.heard()) {
                return;
            }
            more.await;
        }
    }
}

fn usual(line: &str) -> String {
    match line.split(' ').next().unwrap_or_default() {
        "" => "220 sink.test ESMTP".to_owned(),
        "EHLO" => {
            "250-sink.test\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SIZE 100000000".to_owned()
        }
        "DATA" => "354 go on".to_owned(),
        "." => "250 2.0.0 ok queued as SINK1".to_owned(),
        "QUIT" => "221 bye".to_owned(),
        _ => "250 2.1.0 ok".to_owned(),
    }
}

/// What a next hop has heard.
#[derive(Clone)]
struct Log {
    lines: Arc<Mutex<Vec<String>>>,
    news: Arc<Notify>,
}

impl Log {
    fn add(&self, line: &str) {
        self.lines.lock().expect("the log").push(line.to_owned());
        self.news.notify_waiters();
    }
}

/// What follows a conversation.
#[derive(PartialEq)]
enum Then {
    Secure,
    Nothing,
}

/// What is asked first within TLS: nothing is said to it, since a server greets only once.
const WITHIN_TLS: &str = "(within TLS)";

async fn converse(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    first: &str,
    answer: &Arc<Answer>,
    log: &Log,
) -> Then {
    let mut stream = BufStream::new(stream);
    let (mut question, mut content) = (first.to_owned(), false);
    loop {
        if (!content || question == ".") && question != WITHIN_TLS {
            let Some(said) = answer(&question) else { return Then::Nothing };
            content = said.starts_with("354");
            let bytes = if said.is_empty() { said } else { format!("{said}\r\n") };
            let sent =
                stream.write_all(bytes.as_bytes()).await.is_ok() && stream.flush().await.is_ok();
            if question == "STARTTLS" && sent {
                return Then::Secure;
            }
            if !sent {
                return Then::Nothing;
            }
        }
        let mut line = Vec::new();
        if stream.read_until(b'\n', &mut line).await.unwrap_or(0) == 0 {
            return Then::Nothing;
        }
        question = String::from_utf8_lossy(&line).trim_end_matches("\r\n").to_owned();
        log.add(&question);
    }
}
