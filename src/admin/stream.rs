//! An answer of many lines, made by a thread of its own while it is sent: memory does not grow with their number.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use serde::Serialize;
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use super::desk::Fault;

/// Pieces that wait to be sent.
const AHEAD: usize = 4;
/// Bytes of a piece.
const PIECE: usize = 32 * 1024;
/// How long a caller may take for one piece. The index stays open meanwhile, which a repair would have to wait for.
const STALL_MAX: Duration = Duration::from_secs(30);

struct Pieces(mpsc::Receiver<io::Result<Bytes>>);

impl futures_core::Stream for Pieces {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(context)
    }
}

/// One JSON line for each item. A failure on the way breaks the answer off, so that nobody takes half for the whole.
pub(super) fn lines<T: Serialize>(
    items: impl Iterator<Item = Result<T, Fault>> + Send + 'static,
) -> Response {
    let (pieces, sent) = mpsc::channel(AHEAD);
    let runtime = Handle::current();
    tokio::task::spawn_blocking(move || {
        let send = |piece| {
            let sending = tokio::time::timeout(STALL_MAX, pieces.send(piece));
            matches!(runtime.block_on(sending), Ok(Ok(())))
        };
        if let Err(fault) = feed(items, &send) {
            tracing::error!(event = "admin", result = "broken_off", error = %fault);
            send(Err(io::Error::other(fault.to_string())));
        }
    });
    ([(CONTENT_TYPE, "application/x-ndjson")], Body::from_stream(Pieces(sent))).into_response()
}

fn feed<T: Serialize>(
    items: impl Iterator<Item = Result<T, Fault>>,
    send: &impl Fn(io::Result<Bytes>) -> bool,
) -> Result<(), Fault> {
    let mut piece = Vec::with_capacity(PIECE);
    for item in items {
        serde_json::to_writer(&mut piece, &item?)
            .map_err(|error| Fault::Internal(error.to_string()))?;
        piece.push(b'\n');
        if piece.len() >= PIECE {
            let full = std::mem::replace(&mut piece, Vec::with_capacity(PIECE));
            // The caller has gone, or does not read.
            if !send(Ok(full.into())) {
                return Ok(());
            }
        }
    }
    if !piece.is_empty() {
        send(Ok(piece.into()));
    }
    Ok(())
}
