//! Connections that are kept for whoever needs the same one next.
//!
//! Only a connection on which nothing is left of any transaction comes here, and only one that is the same in everything that
//! matters serves another client (Postfix keyed its cache by less for years: TLS level and SMTPUTF8 were added in 2025).
//! While it waits it is watched: a server that hangs up, or says anything, is gone at once, and is not found out by the next message.

use std::collections::HashMap;
use std::future::poll_fn;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;

use tokio::io::{AsyncRead as _, ReadBuf};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until};

use super::{Leg, NextHop, quit};
use crate::proxy::stream::Stream;
use crate::routing::RouteId;

/// What two uses of one connection must have in common.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(in crate::proxy) struct Key {
    /// Who answers.
    pub(super) address: SocketAddr,
    /// The name that it was to prove, and what is sent as SNI.
    pub(super) host: String,
    /// How the way there is protected, down to the records that prove it.
    pub(super) protection: String,
    /// Where the connection comes from.
    pub(super) source: Option<IpAddr>,
    /// By which route: the authorities that were believed, what was shown to the server, as whom the gate has logged in, and what is
    /// spoken are as that has it. One that is changed gets another.
    pub(super) route: RouteId,
}

/// Bounds on what is kept.
#[derive(Clone, Copy, Debug)]
pub struct PoolLimits {
    /// Connections in all; 0 keeps none.
    pub connections: usize,
    /// Connections of one kind.
    pub alike: usize,
    /// How long one waits before it is told goodbye.
    pub idle: Duration,
    /// How old one gets: a server that is being taken out of service gets rid of us some time.
    pub age: Duration,
}

impl PoolLimits {
    /// Nothing is kept.
    pub const NONE: Self =
        Self { connections: 0, alike: 0, idle: Duration::ZERO, age: Duration::ZERO };
}

impl Default for PoolLimits {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self { connections: 100, alike: 10, idle: seconds(10), age: seconds(300) }
    }
}

/// A place on the shelf: how to get what stands there.
struct Place {
    number: u64,
    give: oneshot::Sender<oneshot::Sender<Stream>>,
    next_hop: Arc<NextHop>,
}

#[derive(Default)]
struct Shelf {
    places: HashMap<Key, Vec<Place>>,
    count: usize,
    numbers: u64,
}

impl Shelf {
    fn remove(&mut self, key: &Key, number: u64) {
        if let Some(alike) = self.places.get_mut(key) {
            let before = alike.len();
            alike.retain(|place| place.number != number);
            self.count -= before - alike.len();
            if alike.is_empty() {
                self.places.remove(key);
            }
        }
    }

    fn pop(&mut self, key: &Key) -> Option<Place> {
        let alike = self.places.get_mut(key)?;
        let place = alike.pop();
        if alike.is_empty() {
            self.places.remove(key);
        }
        self.count -= usize::from(place.is_some());
        place
    }
}

/// The connections that are kept.
#[derive(Clone)]
pub(in crate::proxy) struct Pool {
    limits: PoolLimits,
    goodbye: Duration,
    shelf: Arc<Mutex<Shelf>>,
}

impl Pool {
    /// An empty one; `goodbye` is how long the reply to QUIT is waited for.
    pub(in crate::proxy) fn new(limits: PoolLimits, goodbye: Duration) -> Self {
        Self { limits, goodbye, shelf: Arc::default() }
    }

    /// The youngest of the connections of this kind, if there is one that is still there.
    pub(super) async fn take(&self, key: &Key) -> Option<Leg> {
        loop {
            let place = self.lock().pop(key)?;
            let (give, given) = oneshot::channel();
            if place.give.send(give).is_ok()
                && let Ok(stream) = given.await
            {
                return Some(Leg {
                    stream,
                    next_hop: place.next_hop,
                    places: Vec::new(),
                    kept: true,
                });
            }
        }
    }

    /// Keeps a connection, or tells it goodbye when there is no room or it has served long enough.
    pub(in crate::proxy) fn keep(&self, stream: Stream, next_hop: Arc<NextHop>) {
        let end = (Instant::now() + self.limits.idle).min(next_hop.born + self.limits.age);
        let (give, asked) = oneshot::channel();
        let Some(key) = next_hop.key.clone() else { return quit(stream, self.goodbye) };
        let number = {
            let mut shelf = self.lock();
            let alike = shelf.places.get(&key).map_or(0, Vec::len);
            let full = shelf.count >= self.limits.connections || alike >= self.limits.alike;
            if full || end <= Instant::now() {
                drop(shelf);
                return quit(stream, self.goodbye);
            }
            shelf.numbers += 1;
            shelf.count += 1;
            let number = shelf.numbers;
            shelf.places.entry(key.clone()).or_default().push(Place { number, give, next_hop });
            number
        };
        tokio::spawn(self.clone().watch(stream, key, number, asked, end));
    }

    /// How many are kept now.
    pub(in crate::proxy) fn count(&self) -> usize {
        self.lock().count
    }

    async fn watch(
        self,
        mut stream: Stream,
        key: Key,
        number: u64,
        asked: oneshot::Receiver<oneshot::Sender<Stream>>,
        end: Instant,
    ) {
        let taker = tokio::select! {
            biased;
            () = stirs(&mut stream) => None,
            taker = asked => taker.ok(),
            () = sleep_until(end) => {
                self.lock().remove(&key, number);
                return quit(stream, self.goodbye);
            }
        };
        match taker {
            Some(taker) => {
                // Who asked may have gone meanwhile: then it is dropped, which closes it.
                let _ = taker.send(stream);
            }
            None => self.lock().remove(&key, number),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Shelf> {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Done when a server that should be silent says something, or is gone.
async fn stirs(stream: &mut Stream) {
    let mut byte = [0; 1];
    poll_fn(|context| {
        let mut buffer = ReadBuf::new(&mut byte);
        match Pin::new(&mut *stream).poll_read(context, &mut buffer) {
            Poll::Ready(_) => Poll::Ready(()),
            Poll::Pending => Poll::Pending,
        }
    })
    .await;
}
