//! A scripted next hop.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufStream};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

/// How long a test may wait for words that do not come.
const PATIENCE: Duration = Duration::from_secs(20);

/// How a next hop answers a line; `None` closes the connection. Content ends with a line `.`, which is asked about as `.`.
pub type Answer = dyn Fn(&str) -> Option<String> + Send + Sync;

/// A next hop that answers as it is told to and writes down what it hears.
#[derive(Clone)]
pub struct Downstream {
    pub address: SocketAddr,
    heard: Arc<Mutex<Vec<String>>>,
    peers: Arc<Mutex<Vec<SocketAddr>>>,
    news: Arc<Notify>,
}

impl Downstream {
    /// Accepts everything, but answers these prefixes of lines in these ways.
    pub async fn answering(answers: &[(&str, &str)]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        Self::on(listener, answers)
    }

    /// Likewise, at this port.
    pub fn on(listener: TcpListener, answers: &[(&str, &str)]) -> Self {
        let answers: Vec<(String, String)> = answers
            .iter()
            .map(|(line, answer)| ((*line).to_owned(), (*answer).to_owned()))
            .collect();
        let answer = move |line: &str| {
            let found = answers.iter().find(|(start, _)| line.starts_with(start.as_str()));
            Some(found.map_or_else(|| usual(line), |(_, answer)| answer.clone()))
        };
        Self::serve(listener, Arc::new(answer), None)
    }

    /// Likewise, but each of these answers is given once.
    pub async fn answering_once(answers: &[(&'static str, Option<&'static str>)]) -> Self {
        let left = Mutex::new(answers.to_vec());
        Self::start(Arc::new(move |line: &str| {
            let mut left = left.lock().expect("the answers");
            match left.iter().position(|(start, _)| line.starts_with(start)) {
                Some(at) => left.remove(at).1.map(str::to_owned),
                None => Some(usual(line)),
            }
        }))
        .await
    }

    pub async fn start(answer: Arc<Answer>) -> Self {
        Self::listen(answer, None).await
    }

    /// A next hop that the test itself plays at this address.
    pub fn at(address: SocketAddr) -> Self {
        Self { address, heard: Arc::default(), peers: Arc::default(), news: Arc::default() }
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
        Self::serve(listener, answer, acceptor)
    }

    fn serve(listener: TcpListener, answer: Arc<Answer>, acceptor: Option<TlsAcceptor>) -> Self {
        let address = listener.local_addr().expect("an address");
        let heard = Arc::new(Mutex::new(Vec::new()));
        let (news, peers) = (Arc::new(Notify::new()), Arc::new(Mutex::new(Vec::new())));
        let came = Arc::clone(&peers);
        let log = Log { lines: Arc::clone(&heard), news: Arc::clone(&news) };
        tokio::spawn(async move {
            while let Ok((stream, peer)) = listener.accept().await {
                came.lock().expect("the peers").push(peer);
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
        Self { address, heard, peers, news }
    }

    /// Where connections came from, in order.
    pub fn peers(&self) -> Vec<SocketAddr> {
        self.peers.lock().expect("the peers").clone()
    }

    /// How many connections there were so far.
    pub fn connections(&self) -> usize {
        self.peers().len()
    }

    /// How often a line that starts so was heard.
    pub fn count(&self, start: &str) -> usize {
        self.heard().iter().filter(|line| line.starts_with(start)).count()
    }

    /// Everything heard so far: `CONNECT`, command lines, lines of content, `CLOSED`.
    pub fn heard(&self) -> Vec<String> {
        self.heard.lock().expect("the log").clone()
    }

    /// Waits until what has been heard is as wanted.
    pub async fn until(&self, wanted: impl Fn(&[String]) -> bool) {
        let heard = async {
            loop {
                let more = self.news.notified();
                if wanted(&self.heard()) {
                    return;
                }
                more.await;
            }
        };
        let waited = timeout(PATIENCE, heard).await;
        waited.unwrap_or_else(|_| panic!("never heard: {:#?}", self.heard()));
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
