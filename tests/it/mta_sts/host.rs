//! A host of policies: HTTPS on loopback that says what it is told to.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use rustls::ServerConfig;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio_rustls::TlsAcceptor;

/// The answer that a policy comes in.
pub fn ok(policy: &str) -> String {
    let length = policy.len();
    format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {length}\r\n\r\n{policy}"
    )
}

/// The host; it ends with the test's runtime.
pub struct Host {
    pub port: u16,
    shared: Arc<Shared>,
    taken: mpsc::UnboundedReceiver<bool>,
}

struct Shared {
    config: Mutex<Arc<ServerConfig>>,
    answer: Mutex<String>,
    /// What is said in place of that where this name is asked for.
    answers: Mutex<HashMap<String, String>>,
    /// The name asked for by SNI, and the head of the request in lower case.
    heard: Mutex<Vec<(String, String)>>,
    /// A request that is there counts one.
    requests: Semaphore,
    is_held: watch::Sender<bool>,
    /// Requests that are there, and the most that ever were.
    at_once: Mutex<(usize, usize)>,
    /// Of each answer, whether all of it was taken.
    taken: mpsc::UnboundedSender<bool>,
}

impl Host {
    pub async fn new((chain, key): &(PathBuf, PathBuf), answer: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let config = crate::tls::server(chain.clone(), key.clone());
        let (sender, taken) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared {
            config: Mutex::new(config),
            answer: Mutex::new(answer),
            answers: Mutex::default(),
            heard: Mutex::default(),
            requests: Semaphore::new(0),
            is_held: watch::Sender::new(false),
            at_once: Mutex::default(),
            taken: sender,
        });
        let server = Arc::clone(&shared);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(Arc::clone(&server).serve(stream));
            }
        });
        Self { port, shared, taken }
    }

    /// Shows this certificate from now on.
    pub fn show(&self, (chain, key): &(PathBuf, PathBuf)) {
        let config = crate::tls::server(chain.clone(), key.clone());
        *self.shared.config.lock().expect("a lock") = config;
    }

    /// Says this from now on, and ends.
    pub fn say(&self, answer: &str) {
        answer.clone_into(&mut self.shared.answer.lock().expect("a lock"));
    }

    /// Says this from now on where this name is asked for, and ends.
    pub fn say_as(&self, name: &str, answer: &str) {
        self.shared.answers.lock().expect("a lock").insert(name.to_owned(), answer.to_owned());
    }

    /// Takes requests and answers none, until [`Self::release`].
    pub fn hold(&self) {
        self.shared.is_held.send_replace(true);
    }

    pub fn release(&self) {
        self.shared.is_held.send_replace(false);
    }

    /// Waits for a request.
    pub async fn request(&self) {
        self.shared.requests.acquire().await.expect("open").forget();
    }

    /// What was asked since this was last called.
    pub fn heard(&self) -> Vec<(String, String)> {
        std::mem::take(&mut *self.shared.heard.lock().expect("a lock"))
    }

    /// Whether the client has taken all of the next answer.
    pub async fn was_taken(&mut self) -> bool {
        self.taken.recv().await.expect("an answer")
    }

    pub fn most_at_once(&self) -> usize {
        self.shared.at_once.lock().expect("a lock").1
    }
}

impl Shared {
    async fn serve(self: Arc<Self>, stream: TcpStream) {
        let acceptor = TlsAcceptor::from(Arc::clone(&self.config.lock().expect("a lock")));
        let Ok(mut stream) = acceptor.accept(stream).await else { return };
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            // A client that refuses the certificate says so after the handshake.
            match stream.read_buf(&mut head).await {
                Ok(1..) => {}
                Ok(0) | Err(_) => return,
            }
        }
        let asked = stream.get_ref().1.server_name().unwrap_or_default().to_owned();
        let head = String::from_utf8(head).expect("text").to_lowercase();
        self.heard.lock().expect("a lock").push((asked.clone(), head));
        self.count(|now, most| (now + 1, most.max(now + 1)));
        self.requests.add_permits(1);
        let mut is_held = self.is_held.subscribe();
        is_held.wait_for(|is_held| !is_held).await.expect("a host");
        self.count(|now, most| (now - 1, most));
        let own = self.answers.lock().expect("a lock").get(&asked).cloned();
        let answer = own.unwrap_or_else(|| self.answer.lock().expect("a lock").clone());
        let written = stream.write_all(answer.as_bytes()).await;
        // A host that has gone with its test hears of none.
        _ = self.taken.send(written.is_ok());
        _ = stream.shutdown().await;
    }

    fn count(&self, change: impl FnOnce(usize, usize) -> (usize, usize)) {
        let mut at_once = self.at_once.lock().expect("a lock");
        *at_once = change(at_once.0, at_once.1);
    }
}
