//! Where a conversation stands.

use std::collections::VecDeque;

use super::auth::Step;
use super::content::Unwanted;
use super::leg::Awaited;
use super::transaction::Asked;
use crate::routing::Destination;
use crate::smtp::chunk::ChunkDecoder;
use crate::smtp::data::DataDecoder;
use crate::smtp::reply::Reply;
use crate::smtp::sasl::Start;

/// Where the conversation stands.
#[derive(Debug)]
pub(super) enum Phase {
    /// Taking commands.
    Command,
    /// Waiting for the verdict on this recipient; no further command is taken.
    Asking(Asked),
    /// A recipient of another destination waits until all before it are answered; no further command is taken.
    Parked(Asked, Destination),
    /// Waiting for a connection; no further command is taken.
    Opening(Need),
    /// DATA has gone out; any byte of the client before its answer is a violation.
    GoAhead,
    /// Content passes to the next hop.
    Content(DataDecoder),
    /// Content is thrown away up to its end; then the client is told this.
    Swallow(DataDecoder, Reply),
    /// Content of a chunk passes to the next hop, of which octets are still to come.
    Chunk(ChunkDecoder),
    /// A chunk is thrown away, octet for octet.
    Discard(Unwanted),
    /// The end of data has gone out; no command is taken before its answer.
    Final(u64),
    /// The client is being sent away, or has gone.
    Over,
    /// STARTTLS was answered: nothing is taken before the handshake is done.
    Securing,
    /// Within an AUTH that has not been answered.
    Login(Step),
}

/// What a connection to the next hop is needed for.
#[derive(Debug)]
pub(super) enum Need {
    /// This recipient.
    Recipient(Asked),
    /// EHLO, to see what is offered of AUTH.
    Hello,
    /// This AUTH.
    Login(Start),
    /// What was sent over a kept connection that was lost before it answered.
    Again(VecDeque<Awaited>),
}

impl Phase {
    /// The phase, which is left for that of taking commands.
    pub(super) const fn take(&mut self) -> Self {
        std::mem::replace(self, Self::Command)
    }

    /// Whether what the client sends is content, wanted or not.
    pub(super) const fn is_content(&self) -> bool {
        matches!(self, Self::Content(_) | Self::Swallow(..) | Self::Chunk(_) | Self::Discard(_))
    }

    /// Whether content passes to the next hop.
    pub(super) const fn passes_content(&self) -> bool {
        matches!(self, Self::Content(_) | Self::Chunk(_))
    }

    /// Octets that the next hop has of a message without an end.
    pub(super) const fn begun(&self) -> Option<u64> {
        match self {
            Self::Content(decoder) => Some(decoder.octets()),
            Self::Chunk(decoder) => Some(decoder.octets()),
            Self::GoAhead => Some(0),
            Self::Command
            | Self::Asking(_)
            | Self::Parked(..)
            | Self::Opening(_)
            | Self::Swallow(..)
            | Self::Discard(_)
            | Self::Final(_)
            | Self::Over
            | Self::Securing
            | Self::Login(_) => None,
        }
    }
}
