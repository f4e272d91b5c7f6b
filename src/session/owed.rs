//! Replies owed to the client, in the order of its commands (RFC 2920 §3.2).

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

/// The queue. A slot is `first + its index`.
#[derive(Debug, Default)]
pub(super) struct Owed {
    slots: VecDeque<Slot>,
    first: u64,
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

    /// Owes a reply that is known.
    pub(super) fn push(&mut self, reply: Reply) {
        self.slots.push_back(Slot::Ready(reply));
    }

    /// Owes a reply that is known and carries no enhanced status, whatever was agreed on.
    pub(super) fn push_plain(&mut self, reply: Reply) {
        self.slots.push_back(Slot::Plain(reply));
    }

    /// Owes a reply that the next hop must give.
    pub(super) fn push_awaited(&mut self) -> SlotId {
        self.slots.push_back(Slot::Awaited);
        SlotId(self.first + self.slots.len() as u64 - 1)
    }

    /// The reply for a place is known, and may go.
    pub(super) fn settle(&mut self, id: SlotId, reply: Reply) {
        self.put(id, Slot::Ready(reply));
    }

    /// The reply for a place is known, and waits for [`Owed::release`].
    pub(super) fn hold(&mut self, id: SlotId, reply: Reply) {
        self.put(id, Slot::Held(reply));
    }

    /// Takes back a go-ahead that still waits behind others.
    pub(super) fn replace_last(&mut self, reply: Reply) {
        if let Some(slot) = self.slots.back_mut() {
            *slot = Slot::Ready(reply);
        }
    }

    /// A held reply may go. A place that holds none, or has gone, is left alone: the driver may be late.
    pub(super) fn release(&mut self, id: SlotId) {
        if let Some(slot) = self.slot(id)
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
        loop {
            match self.slots.front() {
                Some(Slot::Ready(reply)) => reply.encode(self.enhanced, to_client),
                Some(Slot::Plain(reply)) => reply.encode(false, to_client),
                Some(Slot::Held(_) | Slot::Awaited) | None => return,
            }
            self.slots.pop_front();
            self.first += 1;
        }
    }

    fn put(&mut self, id: SlotId, new: Slot) {
        if let Some(slot) = self.slot(id) {
            *slot = new;
        }
    }

    fn slot(&mut self, id: SlotId) -> Option<&mut Slot> {
        let index = id.0.checked_sub(self.first)?;
        self.slots.get_mut(usize::try_from(index).ok()?)
    }
}
