//! One peer of a connection: its stream, and what has been read from it and not been used.

use std::future::{Future as _, poll_fn};
use std::io;
use std::mem::MaybeUninit;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf as _, BytesMut};
use tokio::io::{AsyncRead as _, AsyncReadExt as _, AsyncWrite as _, AsyncWriteExt as _, ReadBuf};
use tokio::time::timeout;

use super::stream::Stream;
use crate::tls::Certificate;

/// Read at once at first: enough for a group of two hundred recipients or a short message.
const FIRST_READ: usize = 8 * 1024;
/// Read at once while so much comes: larger reads cost cache misses, smaller ones system calls.
pub(super) const NEXT_READ: usize = 32 * 1024;

/// A peer. Both directions are polled from one place, so the stream need not be split.
pub(super) struct Side {
    pub(super) stream: Stream,
    pub(super) input: BytesMut,
    pub(super) state: Reading,
    /// The connection was reset: nothing that is sent arrives.
    pub(super) lost: bool,
    /// The last read brought so much that the next is worth a large buffer.
    more: bool,
    /// Something was written since the last flush; TLS keeps records back until it is told.
    unflushed: bool,
}

/// Whether more may come from a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    Open,
    /// It has ended, and the session does not know yet: what came before is used first.
    Ended,
    /// The session knows.
    Told,
}

impl Side {
    pub(super) fn new(stream: Stream) -> Self {
        let (input, state) = (BytesMut::new(), Reading::Open);
        Self { stream, input, state, lost: false, more: false, unflushed: false }
    }

    /// Sends what is left in the clear, then makes the handshake as a server; whether it succeeded.
    pub(super) async fn secure(
        &mut self,
        last: &mut BytesMut,
        acceptor: Option<&Certificate>,
    ) -> bool {
        let Some(acceptor) = acceptor else { return false };
        if self.stream.write_all_buf(last).await.is_err() || self.stream.flush().await.is_err() {
            return false;
        }
        self.stream.accept_tls(&acceptor.current()).await
    }

    /// Whether the peer speaks before it is spoken to: now, or for so long. Its words, if any, are in [`Self::input`].
    pub(super) async fn speaks_first(&mut self, patience: Duration) -> bool {
        if patience.is_zero() {
            // A fresh connection is read from without asking the runtime whether there is anything, which it may not know yet.
            poll_fn(|context| Poll::Ready(self.poll_fill(context).is_ready())).await;
        } else {
            let _ = timeout(patience, poll_fn(|context| self.poll_fill(context))).await;
        }
        !self.input.is_empty()
    }

    /// Reads once; an error is an end. While nothing comes, nothing is held to read it into.
    pub(super) fn poll_fill(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let before = self.input.len();
        if self.more {
            self.input.reserve(NEXT_READ);
            let result = ready!(pin!(self.stream.read_buf(&mut self.input)).poll(context));
            self.lost = is_reset(&result.map(drop));
        } else {
            let mut room = [MaybeUninit::uninit(); FIRST_READ];
            let mut buffer = ReadBuf::uninit(&mut room);
            let result = ready!(Pin::new(&mut self.stream).poll_read(context, &mut buffer));
            self.lost = is_reset(&result);
            self.input.extend_from_slice(buffer.filled());
        }
        let read = self.input.len() - before;
        self.more = read >= FIRST_READ;
        if read == 0 {
            self.state = Reading::Ended;
        }
        Poll::Ready(())
    }

    /// Whether a little more may be read than is wanted now, so that an end or a reset behind it shows.
    pub(super) fn has_room(&self) -> bool {
        self.input.len() < FIRST_READ
    }

    /// Whether nothing is under way: neither bytes of the peer nor any that TLS holds back.
    pub(super) fn is_at_rest(&self) -> bool {
        self.input.is_empty() && !self.unflushed
    }

    /// Gives back what it holds while nothing goes on.
    pub(super) fn rest(&mut self) {
        (self.input, self.more) = (BytesMut::new(), false);
    }

    /// Whether [`Self::poll_drain`] has anything to do: bytes are with us, or within TLS and not with the network.
    pub(super) fn has_to_send(&self, bytes: &BytesMut) -> bool {
        self.unflushed || !bytes.is_empty()
    }

    /// Writes what the network takes; ready when something was taken and, at the end, flushed.
    pub(super) fn poll_drain(
        &mut self,
        context: &mut Context<'_>,
        bytes: &mut BytesMut,
    ) -> Poll<io::Result<()>> {
        if !bytes.is_empty() {
            let written = ready!(Pin::new(&mut self.stream).poll_write(context, bytes))?;
            self.unflushed = true;
            bytes.advance(written);
            if !bytes.is_empty() {
                return Poll::Ready(Ok(()));
            }
            // The whole of the buffer can be used again.
            bytes.clear();
        }
        ready!(Pin::new(&mut self.stream).poll_flush(context))?;
        self.unflushed = false;
        Poll::Ready(Ok(()))
    }
}

/// Whether a peer is gone altogether, rather than silent from here on. TLS without a goodbye is an end like any other.
fn is_reset(result: &io::Result<()>) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, TimedOut};

    let gone = [BrokenPipe, ConnectionAborted, ConnectionReset, TimedOut];
    result.as_ref().is_err_and(|error| gone.contains(&error.kind()))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn who_has_spoken_already_is_heard_without_waiting() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        for (words, expected) in [(&b"EHLO client.test\r\n"[..], true), (b"", false)] {
            let mut client = std::net::TcpStream::connect(address).expect("a connection");
            client.write_all(words).expect("a write");
            let (stream, _) = listener.accept().await.expect("a client");
            let mut side = Side::new(Stream::Clear(stream));
            assert_eq!(side.speaks_first(Duration::ZERO).await, expected, "{words:?}");
        }
    }
}
