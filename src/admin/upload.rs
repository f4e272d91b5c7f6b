//! The request that brings a list: lines of any number, taken in as they come, in bounded memory.
//!
//! A thread of its own looks at the rows and sorts them; a few pieces of the body wait for it, and the connection waits for those. What is
//! journaled is only a body that came to its end with the number of rows that its first line says, and what is committed one whose caller
//! still waits then: one that breaks off before has changed nothing.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::extract::{Request, State};
use bytes::Bytes;
use futures_core::Stream as _;
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;

use super::Api;
use super::desk::Fault;
use super::import::{self, Kept};
use super::routes::{Answer, Shared, aside, joined};
use super::wire::{ImportHead, ImportProgress, ImportReply, ImportRow};
use crate::time::Timestamp;

/// Pieces of a body that wait for the thread.
const AHEAD: usize = 4;
/// Longest line, in bytes: the longest words of a row several times over, since JSON may escape every octet.
const LINE_MAX: usize = 64 * 1024;
/// How long a caller may take for one piece.
const STALL_MAX: Duration = Duration::from_secs(30);
/// How often it is looked whether something keeps an import from coming into force.
const LOOK: Duration = Duration::from_secs(1);
/// Bytes of a body that are read after it was refused: a caller that cannot send its list does not read why.
const DRAIN_MAX: usize = 256 << 20;

/// Whoever asked, until this is dropped.
struct Caller(Arc<AtomicBool>);

impl Drop for Caller {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

/// `POST /import`.
pub(super) async fn import(State(api): Shared, request: Request) -> Answer<ImportReply> {
    let (pieces, coming) = mpsc::channel(AHEAD);
    let gone = Arc::new(AtomicBool::new(false));
    let _caller = Caller(Arc::clone(&gone));
    let importing = tokio::spawn(taken(api, coming, gone));
    feed(request.into_body(), pieces).await;
    joined(importing.await).map(Json)
}

/// Takes a list in. Once its rows count it goes on when the caller leaves, and is logged then too.
async fn taken(
    api: Arc<Api>,
    coming: mpsc::Receiver<Piece>,
    gone: Arc<AtomicBool>,
) -> Result<ImportReply, Fault> {
    let (gate, trusted, shown) = (api.gate.clone(), api.trusted.clone(), api.shown);
    let waits = move |_| match gone.load(Ordering::Acquire) {
        true => Err(Fault::Later("whoever asked has gone: nothing was imported".to_owned())),
        false => Ok(()),
    };
    let taking = aside(move || {
        let mut lines = Lines { coming, text: Vec::new(), read: 0, over: false };
        let head: ImportHead =
            lines.next_as()?.ok_or_else(|| Fault::Bad("there is nothing in it".to_owned()))?;
        if !head.trust && !trusted.contains(&head.source) {
            return Err(Fault::Bad(format!("{}: its lists are not trusted", head.source)));
        }
        let intake = import::begin(&gate, head.clone(), Timestamp::now())?;
        let rows = std::iter::from_fn(|| lines.next_as::<ImportRow>().transpose());
        let kept = intake.take(&gate, rows, waits);
        if let Err(fault) = &kept {
            let ImportHead { source, batch, .. } = &head;
            let error = shown.scrub(&fault.to_string()).into_owned();
            tracing::warn!(event = "import", result = "broken_off", source, batch, error);
        }
        Ok((head, kept?))
    });
    let (head, Kept { reply, obeying }) = taking.await?;
    let Some(mut obeying) = obeying else { return Ok(reply) };
    let outcome = loop {
        tokio::select! {
            outcome = &mut obeying => break outcome,
            () = tokio::time::sleep(LOOK) => if let Some(why) = api.gate.trouble() {
                return Err(import::held_up(&reply, &why));
            },
        }
    };
    let reply = import::outcome(reply, outcome)?;
    tracing::info!(
        event = "import",
        result = "in_force",
        source = head.source,
        batch = reply.batch,
        rows = reply.rows,
        addresses = reply.addresses,
        changed = reply.changed,
        by = head.by,
        reason = &*shown.scrub(&head.reason),
        id = reply.id,
    );
    Ok(reply)
}

/// `GET /import`: how far the one is that is under way.
pub(super) async fn progress(State(api): Shared) -> Json<ImportProgress> {
    Json(import::progress(&api.gate))
}

/// Part of a body.
enum Piece {
    Bytes(Bytes),
    /// There is no more: the body is whole.
    End,
}

/// Hands a body on, piece by piece. One that breaks off has no [`Piece::End`].
async fn feed(body: Body, pieces: mpsc::Sender<Piece>) {
    let mut body = body.into_data_stream();
    let mut next = async || poll_fn(|context| Pin::new(&mut body).poll_next(context)).await;
    let mut drained = 0;
    while let Ok(frame) = tokio::time::timeout(STALL_MAX, next()).await {
        let piece = match frame {
            None => Piece::End,
            Some(Ok(bytes)) => Piece::Bytes(bytes),
            Some(Err(_broken)) => return,
        };
        let (last, length) = match &piece {
            Piece::Bytes(bytes) => (false, bytes.len()),
            Piece::End => (true, 0),
        };
        if pieces.send(piece).await.is_err() {
            drained += length;
        }
        if last || drained > DRAIN_MAX {
            return;
        }
    }
}

/// The lines of a body.
struct Lines {
    coming: mpsc::Receiver<Piece>,
    /// What has come; what of it is before `read` was read.
    text: Vec<u8>,
    read: usize,
    over: bool,
}

impl Lines {
    fn next_as<T: DeserializeOwned>(&mut self) -> Result<Option<T>, Fault> {
        let Some(line) = self.next()? else { return Ok(None) };
        let read = serde_json::from_slice(line);
        read.map(Some).map_err(|why| Fault::Bad(format!("a line is none of an import: {why}")))
    }

    /// The next line; `None` only at the end of a body that is whole.
    fn next(&mut self) -> Result<Option<&[u8]>, Fault> {
        let mut looked = self.read;
        loop {
            let rest = self.text.get(looked..).unwrap_or_default();
            if let Some(length) = memchr::memchr(b'\n', rest) {
                let (start, end) = (self.read, looked + length);
                self.read = end + 1;
                return Ok(self.text.get(start..end));
            }
            self.text.drain(..self.read);
            self.read = 0;
            looked = self.text.len();
            if looked > LINE_MAX {
                return Err(Fault::Bad(format!("a line has {LINE_MAX} bytes at most")));
            }
            if self.over {
                return match looked {
                    0 => Ok(None),
                    _ => Err(Fault::Bad("the last line does not end".to_owned())),
                };
            }
            match self.coming.blocking_recv() {
                Some(Piece::Bytes(bytes)) => self.text.extend_from_slice(&bytes),
                Some(Piece::End) => self.over = true,
                None => {
                    let why = "the request broke off: nothing was imported";
                    return Err(Fault::Bad(why.to_owned()));
                }
            }
        }
    }
}
