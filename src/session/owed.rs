//! Replies owed to the client, in the order of its commands (RFC 2920 §3.2).
//!
//! One command draws one reply, but for the end of data in LMTP, which draws one for each accepted recipient (RFC 2033 §4.2).

use std::collections::VecDeque;

use bytes::BytesMut;

use crate::smtp::reply::Reply;

/// A place in the queue, never used twice in a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SlotId(u64);

/// What a place holds.
#[derive(Debug)]
enum Slot {
    /// The reply may go as soon as it is first.
    Ready(Reply),
    /// Likewise; it never carries an enhanced status (RFC 2034 §4: not in the reply to EHLO, whose lines are keywords).
    Plain(Reply),
    /// The reply is known, and waits until its event is on disk.
    Held(Reply),
    /// The next hop has not answered.
    Awaited,
}

/// A place in the queue, and how often its reply is sent.
#[derive(Debug)]
struct Place {
    slot: Slot,
    copies: usize,
    /// Octets of text, if it is the next hop's.
    octets: usize,
}

/// The queue. A slot is `first + its index`.
#[derive(Debug, Default)]
pub(super) struct Owed {
    slots: VecDeque<Place>,
    first: u64,
    /// Octets of text in replies of the next hop. They come in order, so where any are left the first of them waits for the disk.
    held: usize,
    /// Whether replies carry enhanced status codes: after EHLO, not after HELO.
    pub(super) enhanced: bool,
}

impl Owed {
    pub(super) fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    /// Octets of the replies that wait for the disk, or behind one that does.
    pub(super) const fn held_octets(&self) -> usize {
        self.held
    }

    /// Owes a reply that is known.
    pub(super) fn push(&mut self, reply: Reply) {
        self.push_copies(reply, 1);
    }

    /// Owes a reply that is known, several times over.
    pub(super) fn push_copies(&mut self, reply: Reply, copies: usize) {
        self.slots.push_back(Place { slot: Slot::Ready(reply), copies, octets: 0 });
    }

    /// Owes a reply that is known and carries no enhanced status, whatever was agreed on.
    pub(super) fn push_plain(&mut self, reply: Reply) {
        self.slots.push_back(Place { slot: Slot::Plain(reply), copies: 1, octets: 0 });
    }

    /// Owes a reply that the next hop must give.
    pub(super) fn push_awaited(&mut self) -> SlotId {
        self.push_awaited_copies(1)
    }

    /// Owes a reply that the next hop must give, several times over.
    pub(super) fn push_awaited_copies(&mut self, copies: usize) -> SlotId {
        self.slots.push_back(Place { slot: Slot::Awaited, copies, octets: 0 });
        SlotId(self.first + self.slots.len() as u64 - 1)
    }

    /// The reply for a place is to be sent so many times.
    pub(super) fn set_copies(&mut self, id: SlotId, copies: usize) {
        if let Some(place) = self.place(id) {
            place.copies = copies;
        }
    }

    /// The reply for a place is known, and may go.
    pub(super) fn settle(&mut self, id: SlotId, reply: Reply) {
        self.put(id, reply.text.len(), Slot::Ready(reply));
    }

    /// The reply for a place is known, and waits for [`Owed::release`].
    pub(super) fn hold(&mut self, id: SlotId, reply: Reply) {
        self.put(id, reply.text.len(), Slot::Held(reply));
    }

    /// Takes back a go-ahead that still waits behind others.
    pub(super) fn replace_last(&mut self, reply: Reply) {
        if let Some(last) = self.slots.back_mut() {
            last.slot = Slot::Ready(reply);
        }
    }

    /// A held reply may go. A place that holds none, or has gone, is left alone: the driver may be late.
    pub(super) fn release(&mut self, id: SlotId) {
        if let Some(Place { slot, .. }) = self.place(id)
            && let Slot::Held(_) = slot
            && let Slot::Held(reply) = std::mem::replace(slot, Slot::Awaited)
        {
            *slot = Slot::Ready(reply);
        }
    }

    /// Every held reply may go: the time for the disk is over.
    pub(super) fn release_all(&mut self) {
        for index in 0..self.slots.len() as u64 {
            self.release(SlotId(self.first + index));
        }
    }

    /// Writes the replies that are ready, as far as nothing before them is missing.
    pub(super) fn flush(&mut self, to_client: &mut BytesMut) {
        while let Some(Place { slot, copies, octets }) = self.slots.front() {
            let (reply, enhanced) = match slot {
                Slot::Ready(reply) => (reply, self.enhanced),
                Slot::Plain(reply) => (reply, false),
                Slot::Held(_) | Slot::Awaited => return,
            };
            for _ in 0..*copies {
                reply.encode(enhanced, to_client);
            }
            self.held = self.held.saturating_sub(*octets);
            self.slots.pop_front();
            self.first += 1;
        }
    }

    fn put(&mut self, id: SlotId, octets: usize, slot: Slot) {
        if let Some(place) = self.place(id) {
            let before = std::mem::replace(&mut place.octets, octets);
            place.slot = slot;
            self.held = self.held.saturating_sub(before) + octets;
        }
    }

    fn place(&mut self, id: SlotId) -> Option<&mut Place> {
        let index = id.0.checked_sub(self.first)?;
        self.slots.get_mut(usize::try_from(index).ok()?)
    }
}
