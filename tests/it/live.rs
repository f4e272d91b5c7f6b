//! Peers on real sockets under a clock that stands still: time passes only where a test moves it, so a deadline of minutes costs
//! nothing and never fires by accident. A test that waits for something that never comes is ended by a watchdog.

use std::cell::Cell;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::mpsc;
use std::task::Poll;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

/// How long a test may wait for bytes that do not come, in real time.
const PATIENCE: Duration = Duration::from_secs(20);
/// Turns that everything in this runtime gets to come to rest.
const TURNS: usize = 24;
/// By how much an impatient clock moves between two looks.
const STRIDE: Duration = Duration::from_secs(5);

/// Runs a test in a runtime of its own, on this thread, with the clock stopped.
pub fn run<T>(test: impl AsyncFnOnce(&Clock) -> T) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let stuck = CancellationToken::new();
        let (done, waiting) = mpsc::channel::<()>();
        let alarm = stuck.clone();
        // While a blocking task runs, a paused clock does not move by itself; this one is the watchdog too.
        tokio::task::spawn_blocking(move || {
            if waiting.recv_timeout(PATIENCE) == Err(mpsc::RecvTimeoutError::Timeout) {
                alarm.cancel();
            }
        });
        let clock = Clock { stuck, hurried: Cell::new(false) };
        let result = test(&clock).await;
        drop(done);
        result
    })
}

/// The time of one test.
pub struct Clock {
    stuck: CancellationToken,
    hurried: Cell<bool>,
}

impl Clock {
    /// From here time passes until the next bytes that somebody waits for.
    pub fn hurry(&self) {
        self.hurried.set(true);
    }

    /// Everybody else gets to do what there is to do.
    pub async fn rest(&self) {
        for _ in 0..TURNS {
            std::thread::yield_now();
            tokio::task::yield_now().await;
        }
    }

    /// What `ready` comes to, with time passing if it is to.
    async fn wait<T>(&self, mut ready: impl AsyncFnMut() -> T) -> Option<T> {
        loop {
            if !self.hurried.get() {
                tokio::select! {
                    biased;
                    result = ready() => return Some(result),
                    () = self.stuck.cancelled() => return None,
                }
            }
            self.rest().await;
            tokio::select! {
                biased;
                result = ready() => {
                    self.hurried.set(false);
                    return Some(result);
                }
                () = std::future::ready(()) => {}
            }
            if self.stuck.is_cancelled() {
                return None;
            }
            tokio::time::advance(STRIDE).await;
        }
    }
}

/// The next connection to this listener.
pub async fn accept(listener: &TcpListener, clock: &Clock) -> Option<Peer> {
    let accepted = clock.wait(async || listener.accept().await).await?;
    let (stream, _) = accepted.expect("a connection");
    Some(Peer::over(stream))
}

/// Whether somebody is connecting now.
pub async fn is_called(listener: &TcpListener, clock: &Clock) -> bool {
    clock.rest().await;
    poll_fn(|context| Poll::Ready(listener.poll_accept(context).is_ready())).await
}

trait Duplex: AsyncRead + AsyncWrite + Unpin {}
impl<T: AsyncRead + AsyncWrite + Unpin> Duplex for T {}

/// One end of a connection, played by the test.
pub struct Peer {
    stream: Box<dyn Duplex>,
    /// The socket below, to break it.
    socket: Option<socket2::Socket>,
    /// Read and not yet looked at.
    pub input: Vec<u8>,
    /// The other side has ended the connection.
    pub ended: bool,
}

impl Peer {
    pub async fn connect(address: SocketAddr) -> Self {
        Self::over(TcpStream::connect(address).await.expect("a connection"))
    }

    pub fn over(stream: TcpStream) -> Self {
        stream.set_nodelay(true).expect("an option");
        let socket = socket2::SockRef::from(&stream).try_clone().expect("a second handle");
        Self { socket: Some(socket), ..Self::within(stream) }
    }

    /// Likewise within TLS.
    pub fn within(stream: impl AsyncRead + AsyncWrite + Unpin + 'static) -> Self {
        Self { stream: Box::new(stream), socket: None, input: Vec::new(), ended: false }
    }

    /// Sends this in one write. What the other side does not want any more is lost.
    pub async fn say(&mut self, bytes: &[u8], clock: &Clock) {
        let said = async || {
            let _ = self.stream.write_all(bytes).await;
            let _ = self.stream.flush().await;
        };
        let _ = clock.wait(said).await;
        clock.rest().await;
    }

    /// The next line without its CRLF; `None` at the end of the connection.
    pub async fn line(&mut self, clock: &Clock) -> Option<Vec<u8>> {
        loop {
            if let Some(end) = self.input.windows(2).position(|pair| pair == b"\r\n") {
                let line = self.input.drain(..end + 2).take(end).collect();
                return Some(line);
            }
            if self.ended || clock.wait(async || self.fill().await).await.is_none() {
                return None;
            }
        }
    }

    /// The next so many bytes; fewer at the end of the connection.
    pub async fn bytes(&mut self, count: usize, clock: &Clock) -> Vec<u8> {
        while self.input.len() < count && !self.ended {
            if clock.wait(async || self.fill().await).await.is_none() {
                break;
            }
        }
        let count = count.min(self.input.len());
        self.input.drain(..count).collect()
    }

    /// The next reply: its lines joined by `\n`; empty at the end.
    pub async fn reply(&mut self, clock: &Clock) -> String {
        let mut lines = Vec::new();
        while let Some(line) = self.line(clock).await {
            let last = line.get(3) != Some(&b'-');
            lines.push(String::from_utf8_lossy(&line).into_owned());
            if last {
                break;
            }
        }
        lines.join("\n")
    }

    /// Reads to the end of the connection, whether it was closed or broken. Says whether it came to that.
    pub async fn end(&mut self, clock: &Clock) -> bool {
        while !self.ended {
            if clock.wait(async || self.fill().await).await.is_none() {
                return false;
            }
        }
        true
    }

    /// Takes in what is there now.
    pub async fn look(&mut self, clock: &Clock) {
        clock.rest().await;
        while !self.ended {
            let read = poll_fn(|context| Poll::Ready(self.poll_fill(context).is_ready())).await;
            if !read {
                break;
            }
        }
    }

    /// Sends no more, and goes on reading.
    pub async fn half_close(&mut self, clock: &Clock) {
        let _ = self.stream.shutdown().await;
        clock.rest().await;
    }

    /// Breaks the connection (RST).
    pub async fn reset(self, clock: &Clock) {
        if let Some(socket) = &self.socket {
            socket.set_linger(Some(Duration::ZERO)).expect("an option");
        }
        drop(self);
        clock.rest().await;
    }

    async fn fill(&mut self) {
        poll_fn(|context| self.poll_fill(context)).await;
    }

    fn poll_fill(&mut self, context: &mut std::task::Context<'_>) -> Poll<()> {
        let mut room = [0; 16 * 1024];
        let mut buffer = ReadBuf::new(&mut room);
        let read: Poll<io::Result<()>> =
            Pin::new(&mut *self.stream).poll_read(context, &mut buffer);
        let Poll::Ready(read) = read else { return Poll::Pending };
        self.ended = read.is_err() || buffer.filled().is_empty();
        self.input.extend_from_slice(buffer.filled());
        Poll::Ready(())
    }
}
