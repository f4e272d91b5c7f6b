//! What the inner sessions say.

use std::borrow::Cow;

use bytes::BytesMut;

use super::super::replies as said;
use super::inner::{Asked, Expected, Share};
use super::mail::Standing;
use super::{Action, Outputs, Place, Splitter};
use crate::smtp::reply::{Reply, Severity};

/// Lines and octets of a reply that are passed on, far below what the outer session takes of one.
const LINES_MAX: usize = 50;
const OCTETS_MAX: usize = 8 * 1024;

impl<D: Clone + Eq> Splitter<D> {
    pub(super) fn inner_bytes(&mut self, place: Place, bytes: &mut BytesMut, out: &mut Outputs<D>) {
        while let Some(inner) = self.inners.get_mut(&place) {
            match inner.decode(bytes) {
                Ok(None) => return,
                Ok(Some(reply)) => self.inner_reply(place, shortened(reply), out),
                Err(_) => self.leave_inner(place, out),
            }
        }
        bytes.clear();
    }

    fn inner_reply(&mut self, place: Place, reply: Reply, out: &mut Outputs<D>) {
        let Some(inner) = self.inners.get_mut(&place) else { return };
        let refused_mail = inner.refused_mail.clone();
        match (inner.awaited.pop_front(), reply.severity()) {
            (Some(Expected::Greeting | Expected::Hello), Severity::Completion) => {}
            (Some(Expected::Anything), Severity::Intermediate) => self.leave_inner(place, out),
            (Some(Expected::Anything), _) => {}
            // Only now: when it was sent, replies to recipients of the one before may still have been due.
            (Some(Expected::Mail), Severity::Completion) => inner.refused_mail = None,
            (Some(Expected::Mail), Severity::Transient | Severity::Permanent) => {
                inner.refused_mail = Some(reply);
            }
            (
                Some(Expected::Rcpt(asked)),
                Severity::Completion | Severity::Transient | Severity::Permanent,
            ) => {
                self.rcpt_answered(asked, refused_mail.unwrap_or(reply));
            }
            // It wants content for nobody: it must not get an end.
            (Some(Expected::Data), Severity::Intermediate)
                if !self.mail.as_ref().is_some_and(|mail| mail.has_accepted(place)) =>
            {
                self.leave_inner(place, out);
            }
            (Some(Expected::Data), Severity::Intermediate) => {
                inner.share = Share::Takes;
                if let Some(mail) = &mut self.mail {
                    mail.go_ahead.get_or_insert(reply);
                }
                self.answer_data();
            }
            (Some(Expected::Data), Severity::Transient | Severity::Permanent) => {
                // Its transaction ends with that.
                (inner.share, inner.begun) = (Share::None, false);
                self.ended_at(place, reply);
                self.answer_data();
            }
            (
                Some(Expected::Final),
                Severity::Completion | Severity::Transient | Severity::Permanent,
            ) => self.final_reply(place, reply),
            (unexpected, _) => {
                // What it was to answer is answered like all that it still owes.
                inner.awaited.extend(unexpected);
                self.leave_inner(place, out);
            }
        }
    }

    fn final_reply(&mut self, place: Place, reply: Reply) {
        if self.recipient_ended(place, reply)
            && let Some(inner) = self.inners.get_mut(&place)
        {
            (inner.share, inner.begun) = (Share::None, false);
            self.finish_if_done();
        }
    }

    fn rcpt_answered(&mut self, asked: Asked, reply: Reply) {
        let Asked { slot, mail, index } = asked;
        let now = self.mail.as_mut().filter(|_| mail == self.mails);
        if let Some((_, standing)) = now.and_then(|now| now.recipients.get_mut(index)) {
            let accepted = reply.is_success();
            *standing = if accepted { Standing::Accepted } else { Standing::Refused };
        }
        self.owed.settle(slot, reply);
    }

    /// It said what it should not have, or says goodbye.
    fn leave_inner(&mut self, place: Place, out: &mut Outputs<D>) {
        out.actions.push_back(Action::Close(place));
        self.inner_lost(place, &said::LOST);
    }

    /// It is gone: what it owes is settled with `reply`, or as unknown behind an end of data.
    pub(super) fn inner_lost(&mut self, place: Place, reply: &Reply) {
        let Some(inner) = self.inners.remove(&place) else { return };
        for expected in inner.awaited {
            if let Expected::Rcpt(asked) = expected {
                self.rcpt_answered(asked, reply.clone());
            }
        }
        if inner.begun {
            let whole = inner.share == Share::Whole;
            self.ended_at(place, if whole { said::UNKNOWN_OUTCOME } else { reply.clone() });
        }
        self.answer_data();
    }

    /// The inner sessions that have not given their final reply are left; they go on waiting for it, and record it.
    pub(super) fn late(&mut self, out: &mut Outputs<D>) {
        let late = self.inners.iter().filter(|(_, inner)| inner.share == Share::Whole);
        let late: Vec<Place> = late.map(|(place, _)| *place).collect();
        late.into_iter().for_each(|place| self.leave_inner(place, out));
    }
}

/// The beginning of a reply, all of it as a rule.
fn shortened(mut reply: Reply) -> Reply {
    let long = reply.text.len() > OCTETS_MAX || reply.text.split('\n').count() > LINES_MAX;
    if long {
        let lines: Vec<&str> = reply.text.split('\n').take(LINES_MAX).collect();
        let mut text = lines.join("\n");
        text.truncate(text.floor_char_boundary(OCTETS_MAX));
        reply.text = Cow::Owned(text);
    }
    reply
}
