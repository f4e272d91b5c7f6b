//! A raw client.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long a test may wait for a reply that does not come.
const PATIENCE: Duration = Duration::from_secs(60);

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
            let read = timeout(PATIENCE, self.read.read_line(&mut line)).await;
            let read = read.expect("a reply that does not come").unwrap_or(0);
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

    /// Sends a message to this address; the reply to it, or to the recipient if there is none.
    pub async fn write_to(&mut self, address: &str) -> String {
        self.ask("MAIL FROM:<s@x.test>", "250").await;
        self.send(&format!("RCPT TO:<{address}>")).await;
        let told = self.reply().await;
        if !told.starts_with("250") {
            self.ask("RSET", "250").await;
            return told;
        }
        self.ask("DATA", "354").await;
        self.send("Subject: x\n\nbody\n.").await;
        self.reply().await
    }

    /// Leaves in order.
    pub async fn quit(mut self) {
        self.ask("QUIT", "221").await;
        self.expect_end().await;
    }

    /// The end of the connection.
    pub async fn expect_end(&mut self) {
        let mut rest = Vec::new();
        let _ = self.read.read_to_end(&mut rest).await;
        assert!(rest.is_empty(), "{:?}", String::from_utf8_lossy(&rest));
    }
}
