//! One peer of a connection: both directions of its socket, and what has been read and not been used.

use std::future::pending;
use std::io;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

/// One peer: both directions, and what has been read and not been used.
pub(super) struct Side {
    pub(super) read: OwnedReadHalf,
    pub(super) write: OwnedWriteHalf,
    pub(super) input: BytesMut,
    pub(super) state: Reading,
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
    pub(super) fn new(stream: TcpStream) -> Self {
        let (read, write) = stream.into_split();
        Self { read, write, input: BytesMut::new(), state: Reading::Open }
    }
}

/// The direction that is read, borrowed apart from the one that is written.
pub(super) type Inward<'side> = (&'side mut OwnedReadHalf, &'side mut BytesMut, &'side mut Reading);

impl Side {
    /// Both directions, so that they can wait side by side.
    pub(super) fn halves(&mut self) -> (Inward<'_>, &mut OwnedWriteHalf) {
        ((&mut self.read, &mut self.input, &mut self.state), &mut self.write)
    }
}

/// Reads once; an error is an end. For nobody it waits for ever.
pub(super) async fn read_some(from: Option<Inward<'_>>, room: usize) {
    let Some((read, input, state)) = from else { return pending().await };
    input.reserve(room);
    match read.read_buf(input).await {
        Ok(0) | Err(_) => *state = Reading::Ended,
        Ok(_) => {}
    }
}

/// Writes once, and takes what was written off. For nobody it waits for ever.
pub(super) async fn write_some(
    to: Option<&mut OwnedWriteHalf>,
    bytes: &mut BytesMut,
) -> io::Result<()> {
    let Some(write) = to else { return pending().await };
    let written = write.write(bytes).await?;
    bytes.advance(written);
    if bytes.is_empty() {
        // The whole of the buffer can be used again.
        bytes.clear();
    }
    Ok(())
}
