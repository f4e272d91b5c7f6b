//! Connections to the API are bounded, so that nobody who may connect can take descriptors and threads from mail; and whoever has
//! not shown the token keeps a place for moments only, so that nobody can take all of them from `/ready` and from operators.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::serve::IncomingStream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep, sleep};

/// Connections at a time; further ones wait in the kernel's queue.
const PLACES: usize = 64;
/// Waited after an error of `accept`: without it a process out of descriptors would spin.
const BACK_OFF: Duration = Duration::from_millis(50);

/// How long a stranger may take for a request, from its connection or from the answer before; longer than a body may take.
const STRANGER: Duration = Duration::from_secs(15);

/// A listener with a bounded number of places.
pub(super) struct Listener {
    inner: TcpListener,
    places: Arc<Semaphore>,
}

impl Listener {
    pub(super) fn new(inner: TcpListener) -> Self {
        Self { inner, places: Arc::new(Semaphore::new(PLACES)) }
    }
}

impl axum::serve::Listener for Listener {
    type Io = Seated;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Seated, SocketAddr) {
        // The semaphore is never closed.
        let place = Arc::clone(&self.places).acquire_owned().await.ok();
        loop {
            match self.inner.accept().await {
                Ok((stream, client)) => return (Seated::new(stream, place), client),
                Err(_) => tokio::time::sleep(BACK_OFF).await,
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.inner.local_addr()
    }
}

/// Who is at the other end of a connection.
#[derive(Clone, Debug, Default)]
pub(super) struct Caller(Arc<AtomicBool>);

impl Caller {
    /// It has shown the token: it may take its time.
    pub(super) fn is_known(&self) {
        self.0.store(true, Ordering::Release);
    }
}

impl Connected<IncomingStream<'_, Listener>> for Caller {
    fn connect_info(stream: IncomingStream<'_, Listener>) -> Self {
        stream.io().caller.clone()
    }
}

/// A connection and its place, which it gives back when it is closed.
pub(super) struct Seated {
    stream: TcpStream,
    caller: Caller,
    deadline: Pin<Box<Sleep>>,
    _place: Option<OwnedSemaphorePermit>,
}

impl Seated {
    fn new(stream: TcpStream, place: Option<OwnedSemaphorePermit>) -> Self {
        let deadline = Box::pin(sleep(STRANGER));
        Self { stream, caller: Caller::default(), deadline, _place: place }
    }

    /// What a stranger gets instead of waiting on.
    fn poll_patience(&mut self, context: &mut Context<'_>) -> Poll<io::Error> {
        if self.caller.0.load(Ordering::Acquire) {
            return Poll::Pending;
        }
        self.deadline.as_mut().poll(context).map(|()| io::ErrorKind::TimedOut.into())
    }
}

impl AsyncRead for Seated {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match Pin::new(&mut self.stream).poll_read(context, buffer) {
            Poll::Ready(read) => Poll::Ready(read),
            Poll::Pending => self.poll_patience(context).map(Err),
        }
    }
}

impl AsyncWrite for Seated {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match Pin::new(&mut self.stream).poll_write(context, bytes) {
            Poll::Ready(written) => {
                self.deadline.as_mut().reset(Instant::now() + STRANGER);
                Poll::Ready(written)
            }
            Poll::Pending => self.poll_patience(context).map(Err),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
