//! A transaction: who is sent where, and how it ends for each.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::super::owed::SlotId;
use super::super::replies as said;
use super::inner::{Asked, Expected, Inner, Share};
use super::{Action, Outputs, Phase, Place, Splitter};
use crate::smtp::address::Recipient;
use crate::smtp::data::DataDecoder;
use crate::smtp::reply::Reply;

/// MAIL to end of data.
#[derive(Debug, Default)]
pub(super) struct Mail {
    /// XFORWARD and MAIL, line by line, for each inner session before its first recipient.
    opening: Vec<u8>,
    /// In the order of RCPT.
    pub(super) recipients: Vec<(Place, Standing)>,
    /// How it ended at an inner session before its end of data, or without: for each recipient there the same.
    pub(super) ends: BTreeMap<Place, Reply>,
    /// What the first inner session said that takes the content.
    pub(super) go_ahead: Option<Reply>,
    /// Final replies that are due, in the order of RCPT.
    finals: Vec<(Place, SlotId)>,
}

/// What became of a recipient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    Pending,
    Accepted,
    Refused,
}

impl Mail {
    /// Where the accepted recipients are, in the order of RCPT: one reply is due for each.
    fn accepted(&self) -> impl Iterator<Item = Place> {
        let accepted = self.recipients.iter().filter(|(_, how)| *how == Standing::Accepted);
        accepted.map(|(place, _)| *place)
    }

    pub(super) fn has_accepted(&self, at: Place) -> bool {
        self.accepted().any(|place| place == at)
    }

    fn may_have_taken(&self, at: Place) -> bool {
        self.recipients.iter().any(|(place, how)| *place == at && *how != Standing::Refused)
    }
}

impl<D: Clone + Eq> Splitter<D> {
    pub(super) fn begin(&mut self, line: &[u8]) {
        let mut opening = std::mem::take(&mut self.forwarded);
        opening.extend_from_slice(line);
        self.mails += 1;
        self.mail = Some(Mail { opening, ..Mail::default() });
        self.owed.push(said::SENDER_OK);
    }

    pub(super) fn reset(&mut self, out: &mut Outputs<D>) {
        self.forwarded.clear();
        self.mail = None;
        self.inners.iter_mut().for_each(|(place, inner)| inner.forget(*place, out));
        self.owed.push(said::OK);
    }

    pub(super) fn rcpt(&mut self, recipient: &Recipient, line: &[u8], out: &mut Outputs<D>) {
        if self.mail.is_none() {
            return self.owed.push(said::NO_MAIL);
        }
        let Some(place) = self.place_for((self.destination)(recipient), out) else {
            return self.owed.push(said::TOO_MANY_DESTINATIONS);
        };
        let (Some(mail), Some(inner)) = (&mut self.mail, self.inners.get_mut(&place)) else {
            return;
        };
        if !std::mem::replace(&mut inner.begun, true) {
            let mut lines = mail.opening.split(|byte| *byte == b'\n').peekable();
            while let Some(line) = lines.next() {
                let last = lines.peek().is_none();
                let expected = if last { Expected::Mail } else { Expected::Anything };
                inner.say(place, line.strip_suffix(b"\r").unwrap_or(line), expected, out);
            }
        }
        let (slot, index) = (self.owed.push_awaited(), mail.recipients.len());
        mail.recipients.push((place, Standing::Pending));
        inner.say(place, line, Expected::Rcpt(Asked { slot, mail: self.mails, index }), out);
    }

    /// The inner session of a destination, started if there is none; `None` if there are too many.
    fn place_for(&mut self, destination: D, out: &mut Outputs<D>) -> Option<Place> {
        let there = self.inners.iter().find(|(_, inner)| inner.destination == destination);
        if let Some((place, _)) = there {
            return Some(*place);
        }
        if self.inners.len() >= self.bounds.destinations {
            let idle = self.inners.iter().find(|(_, inner)| inner.is_idle());
            let idle = idle.map(|(place, _)| *place)?;
            self.inners.remove(&idle);
            out.actions.push_back(Action::Close(idle));
        }
        let place = Place(self.next);
        self.next += 1;
        let inner = Inner::open(place, destination, &self.hello, out);
        self.inners.insert(place, inner);
        Some(place)
    }

    pub(super) fn data(&mut self, out: &mut Outputs<D>) {
        let Some(mail) = &self.mail else { return self.owed.push(said::NO_MAIL) };
        if mail.recipients.is_empty() {
            return self.owed.push(said::NO_RCPT);
        }
        for (place, inner) in self.inners.iter_mut().filter(|(_, inner)| inner.begun) {
            if mail.may_have_taken(*place) {
                inner.say(*place, b"DATA", Expected::Data, out);
                inner.share = Share::Asked;
            } else {
                inner.forget(*place, out);
            }
        }
        self.phase = Phase::GoAhead(self.owed.push_awaited());
        self.answer_data();
    }

    /// Answers DATA once all have, if it has not been answered.
    ///
    /// Where some take the content it goes to them, and what the others said is the final reply for their recipients. It is so even
    /// when none takes it but there are several: DATA has one reply, and each recipient is owed that of its own next hop.
    pub(super) fn answer_data(&mut self) {
        let (Phase::GoAhead(slot), Some(mail)) = (&self.phase, &self.mail) else { return };
        let slot = *slot;
        if self.inners.values().any(|inner| inner.share == Share::Asked) {
            return;
        }
        let first = mail.accepted().next();
        let one = mail.accepted().all(|place| Some(place) == first);
        let only = first.filter(|_| one).and_then(|place| mail.ends.get(&place)).cloned();
        match (first, only) {
            (None, _) => self.refuse_data(slot, said::NO_VALID_RCPT_LMTP),
            (Some(_), Some(refusal)) => self.refuse_data(slot, refusal),
            (Some(_), None) => {
                self.owed.settle(slot, mail.go_ahead.clone().unwrap_or(said::GO_AHEAD));
                self.phase = Phase::Content(DataDecoder::new(self.bounds.content_line));
            }
        }
    }

    fn refuse_data(&mut self, slot: SlotId, reply: Reply) {
        self.owed.settle(slot, reply);
        self.mail = None;
        self.phase = Phase::Command;
    }

    /// Content goes to all that take it; the others' is thrown away here.
    pub(super) fn repeat_content(&self, content: Bytes, out: &mut Outputs<D>) {
        if content.is_empty() {
            return;
        }
        let takers = self.inners.iter().filter(|(_, inner)| inner.share == Share::Takes);
        let sends = takers.map(|(place, _)| Action::Send(*place, content.clone()));
        out.actions.extend(sends);
    }

    /// The end has gone to all that take it.
    pub(super) fn end_content(&mut self) {
        self.phase = Phase::Final;
        let Some(mail) = &mut self.mail else { return };
        let places: Vec<Place> = mail.accepted().collect();
        for place in places {
            let slot = self.owed.push_awaited();
            match (mail.ends.get(&place), self.inners.get_mut(&place)) {
                (Some(end), _) => self.owed.settle(slot, end.clone()),
                (None, Some(inner)) => {
                    inner.share = Share::Whole;
                    inner.awaited.push_back(Expected::Final);
                    mail.finals.push((place, slot));
                }
                // Whoever is gone has an end.
                (None, None) => self.owed.settle(slot, said::LOST),
            }
        }
        self.finish_if_done();
    }

    /// An inner session gave the final reply for the first of its recipients that has none. Whether it was the last.
    pub(super) fn recipient_ended(&mut self, at: Place, reply: Reply) -> bool {
        let Some(mail) = &mut self.mail else { return true };
        let mut of_it = mail.finals.iter().enumerate().filter(|(_, (place, _))| *place == at);
        let (first, last) = (of_it.next().map(|(index, _)| index), of_it.next().is_none());
        if let Some(first) = first {
            let (_, slot) = mail.finals.remove(first);
            self.owed.settle(slot, reply);
        }
        last
    }

    /// It has ended so at an inner session, for all who have no other end.
    pub(super) fn ended_at(&mut self, at: Place, reply: Reply) {
        let Some(mail) = &mut self.mail else { return };
        for (_, slot) in mail.finals.iter().filter(|(place, _)| *place == at) {
            self.owed.settle(*slot, reply.clone());
        }
        mail.ends.insert(at, reply);
        self.finish_if_done();
    }

    pub(super) fn finish_if_done(&mut self) {
        let whole = |inner: &Inner<D>| inner.share == Share::Whole;
        if self.awaits_finals() && !self.inners.values().any(whole) {
            self.mail = None;
            self.phase = Phase::Command;
        }
    }
}
