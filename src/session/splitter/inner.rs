//! One inner session: what it has been asked, and how it stands with the transaction under way.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

use super::super::owed::SlotId;
use super::{Action, Outputs, Place};
use crate::smtp::reply::{Reply, ReplyDecoder, ReplyFault, ReplyLimits};

/// An inner session writes a reply of the next hop anew, in shorter lines and each with its status: so it may be a little longer
/// than one that a session takes.
const LIMITS: ReplyLimits = ReplyLimits { line: 2048, lines: 1000, octets: 64 * 1024 };

/// What an inner session has been asked and has not answered.
#[derive(Debug)]
pub(super) enum Expected {
    Greeting,
    Hello,
    /// Whatever it says to this, nobody waits for it: XFORWARD, RSET.
    Anything,
    Mail,
    Rcpt(Asked),
    Data,
    /// One for each recipient that it accepted.
    Final,
}

/// A recipient that was sent to an inner session.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    /// Where its reply goes.
    pub(super) slot: SlotId,
    /// Of which transaction, and the how many-eth of it.
    pub(super) mail: u64,
    pub(super) index: usize,
}

/// How an inner session stands with the content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Share {
    /// It has not been asked to take it.
    None,
    Asked,
    Takes,
    /// It has all of it.
    Whole,
}

#[derive(Debug)]
pub(super) struct Inner<D> {
    pub(super) destination: D,
    pub(super) awaited: VecDeque<Expected>,
    /// It knows of the transaction under way.
    pub(super) begun: bool,
    /// It will not have that, and why: its recipients are told this, and not that there is no MAIL.
    pub(super) refused_mail: Option<Reply>,
    pub(super) share: Share,
    replies: ReplyDecoder,
}

impl<D: Clone> Inner<D> {
    /// One that is about to be started; it is greeted in the same write.
    pub(super) fn open(
        place: Place,
        destination: D,
        hello: &str,
        out: &mut super::Outputs<D>,
    ) -> Self {
        out.actions.push_back(Action::Open(place, destination.clone()));
        out.actions.push_back(Action::Send(place, format!("LHLO {hello}\r\n").into()));
        Self {
            destination,
            awaited: VecDeque::from([Expected::Greeting, Expected::Hello]),
            begun: false,
            refused_mail: None,
            share: Share::None,
            replies: ReplyDecoder::new(LIMITS),
        }
    }

    /// Sends a line and notes what it is to answer.
    pub(super) fn say(
        &mut self,
        place: Place,
        line: &[u8],
        expected: Expected,
        out: &mut Outputs<D>,
    ) {
        let line = [line, b"\r\n"].concat();
        out.actions.push_back(Action::Send(place, Bytes::from(line)));
        self.awaited.push_back(expected);
    }

    /// Has it forget the transaction that it knows of.
    pub(super) fn forget(&mut self, place: Place, out: &mut Outputs<D>) {
        if std::mem::take(&mut self.begun) {
            self.say(place, b"RSET", Expected::Anything, out);
        }
        self.share = Share::None;
    }

    /// Whether nothing goes on there, so that it may be left for another.
    pub(super) fn is_idle(&self) -> bool {
        !self.begun && self.awaited.is_empty()
    }

    pub(super) fn decode(&mut self, bytes: &mut BytesMut) -> Result<Option<Reply>, ReplyFault> {
        self.replies.decode(bytes)
    }
}
