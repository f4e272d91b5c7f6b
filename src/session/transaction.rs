//! A transaction: MAIL to end of data. Dropping the value is the reset, so nothing can be left over.

use std::collections::VecDeque;
use std::sync::{Arc, OnceLock};

use crate::attribution::HeaderWatch;
use crate::bounce::Stage;
use crate::routing::Destination;
use crate::smtp::address::{Recipient, ReversePath};
use crate::smtp::chunk::ChunkDecoder;
use crate::smtp::command::Parameter;
use crate::smtp::identity::Identity;
use crate::smtp::reply::Reply;

/// What everybody may know of a transaction: shared with the actions that speak of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Envelope {
    /// The sender.
    pub sender: ReversePath,
    /// The client's queue id, from XFORWARD IDENT.
    pub ident: Option<String>,
    /// ENVID of RFC 3461, as it was sent.
    pub envid: Option<String>,
    /// Tells messages apart ([`crate::attribution::Keys`]).
    pub message: Option<String>,
    /// The campaign, as the envelope has it.
    pub campaign: Option<String>,
    /// The campaign, as a header has it: once the content has passed.
    pub named: OnceLock<String>,
}

impl Envelope {
    /// One without keys.
    pub fn of(sender: ReversePath) -> Self {
        Self {
            sender,
            ident: None,
            envid: None,
            message: None,
            campaign: None,
            named: OnceLock::new(),
        }
    }

    /// The campaign, as far as it is known by now.
    pub fn campaign(&self) -> Option<&str> {
        self.named.get().or(self.campaign.as_ref()).map(String::as_str)
    }
}

/// What the client asked of MAIL, by extension.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Wants {
    pub(super) eight_bit_mime: bool,
    pub(super) binary_mime: bool,
    pub(super) smtputf8: bool,
    pub(super) dsn: bool,
    pub(super) require_tls: bool,
    pub(super) size: Option<u64>,
}

/// A recipient that the client asked for, with its parameters.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) recipient: Recipient,
    pub(super) parameters: Vec<Parameter>,
}

/// How MAIL fares with the next hop.
#[derive(Debug)]
pub(super) enum MailState {
    /// Not sent: nobody was worth it yet.
    Unsent,
    /// Sent; its reply has not come, or was 2yz.
    Sent,
    /// The next hop will not have this transaction, or has been lost: what further recipients are told, and what failed.
    Failed(Reply, Stage),
}

/// A transaction under way.
#[derive(Debug)]
pub(super) struct Transaction {
    /// Shared with the commands under way: a reply whose envelope is another one belongs to a transaction that was dropped.
    pub(super) envelope: Arc<Envelope>,
    /// MAIL parameters as they go on, if the next hop takes them.
    pub(super) parameters: Vec<Parameter>,
    pub(super) wants: Wants,
    /// Where the message came from, as the client's XFORWARD has it.
    pub(super) origin: Option<Box<Identity>>,
    /// Where it goes: where the first recipient goes that passed.
    pub(super) destination: Option<Destination>,
    /// How often that has changed.
    pub(super) moves: u8,
    pub(super) mail: MailState,
    /// Recipients asked for, whatever became of them.
    pub(super) asked: u32,
    /// Recipients sent to the next hop whose reply has not come.
    pub(super) pending: u32,
    /// Recipients that the next hop accepted and has not given their final reply, in order.
    pub(super) accepted: VecDeque<Recipient>,
    /// Reads the campaign off the content, where a header may name it.
    pub(super) watch: Option<Box<HeaderWatch>>,
    /// Between two chunks, what the next one goes on from.
    pub(super) chunks: Option<ChunkDecoder>,
}

impl Transaction {
    /// Looks at content that passes.
    pub(super) fn look_at(&mut self, content: &[u8]) {
        if let Some(watch) = &mut self.watch {
            watch.feed(content);
        }
    }

    /// All of the content has passed.
    pub(super) fn looked(&mut self) {
        if let Some(named) = self.watch.take().and_then(|watch| watch.into_value()) {
            // Shared with recipients that have not been answered yet (BDAT), so it is not replaced.
            let _ = self.envelope.named.set(named);
        }
    }

    /// Why the next hop is not to have the content, if so: it failed, or there is nobody to have it for.
    pub(super) fn no_content(&self, nobody: Reply) -> Option<Reply> {
        let anyone = !self.accepted.is_empty();
        match &self.mail {
            MailState::Failed(reply, _) if anyone => Some(reply.clone()),
            MailState::Sent if anyone || self.pending > 0 => None,
            MailState::Failed(..) | MailState::Unsent | MailState::Sent => Some(nobody),
        }
    }
}
