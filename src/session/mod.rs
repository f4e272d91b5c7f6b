//! One conversation between a client and the next hop, without input or output.
//!
//! [`Session::step`] takes what happened and appends to [`Outputs`] what the driver must do. Replies leave in the order of
//! their commands (RFC 2920 §3.2): every command takes a place in the queue of owed replies, and a refusal made here waits
//! until those before it are settled. A transaction is a value of its own; dropping it is the reset. The session never learns
//! of the store: it asks for a verdict and reports what it saw.
//!
//! | file | holds |
//! |---|---|
//! | `exchange` | what a driver puts in and gets out |
//! | `phase` | where a conversation stands |
//! | `client` | framing of the client's bytes, which command goes where, what idle talk and errors count |
//! | `hello` | greeting and EHLO: what is offered |
//! | `leaving` | how a session ends |
//! | `identity` | XCLIENT and XFORWARD |
//! | `envelope` | MAIL, RCPT, DATA from the client |
//! | `parameters` | what MAIL and RCPT may carry |
//! | `onward` | MAIL, RCPT, DATA to the next hop |
//! | `auth` | AUTH from the client, checked here or relayed |
//! | `content` | content that passes or is thrown away, and the report of how it ended |
//! | `chunks` | BDAT |
//! | `downstream` | the next hop's replies |
//! | `finals` | the final replies of a next hop that speaks LMTP |
//! | `leg` | the connection to the next hop, and its loss |
//! | `again` | a kept connection that was lost before it answered |
//! | `owed` | replies owed to the client |
//! | `transaction` | MAIL to end of data |
//! | `opening` | a fresh connection to the next hop: greeting, EHLO, STARTTLS, XCLIENT, AUTH |
//! | `splitter` | one LMTP conversation split over several sessions |
//! | `tls` | STARTTLS towards the client |
//! | `settings` | what a session is set up with |
//! | `replies` | what the gate itself says |

mod again;
mod auth;
mod chunks;
mod client;
mod content;
mod downstream;
mod envelope;
mod exchange;
mod finals;
mod hello;
mod identity;
mod leaving;
mod leg;
mod onward;
pub mod opening;
mod owed;
mod parameters;
mod phase;
mod replies;
mod settings;
pub mod splitter;
mod tls;
mod transaction;

use std::sync::Arc;

use crate::smtp::identity::Identity;

use auth::LoggedIn;
pub use auth::{Auth, Checked};
pub use exchange::{
    Action, Answered, Farewell, Finished, Input, Opened, Outcome, Outputs, Sent, Ticket, Unopened,
    Waiting,
};
pub use identity::Access;
use identity::Peer;
use leg::Leg;
use owed::Owed;
use phase::{Need, Phase};
pub use settings::{Limits, Protocol, Settings, TellClient};
pub use tls::ClientTls;
pub use transaction::Envelope;
use transaction::{MailState, Transaction};

/// Octets of replies waiting for the disk above which no more are taken from the next hop.
const HELD_MAX: usize = 64 * 1024;

/// One conversation.
#[derive(Debug)]
pub struct Session {
    settings: Settings,
    phase: Phase,
    owed: Owed,
    leg: Leg,
    transaction: Option<Transaction>,
    /// Of the client: set by EHLO (true) or HELO (false).
    greeted: Option<bool>,
    /// The last MAIL or a chunk was refused, so that what a pipelining client had sent behind it is no fault of its own.
    excused: bool,
    /// The client's name for itself, if the next hop may be told.
    helo: Option<Arc<str>>,
    /// XFORWARD, for the next MAIL.
    forwarded: Option<Box<Identity>>,
    /// Whose connection it is, while it is another's by XCLIENT.
    peer: Option<Box<Peer>>,
    transactions: u32,
    /// Final replies due for the content under way.
    finals: usize,
    errors: u32,
    junk: u32,
    login: LoggedIn,
    failed_logins: u32,
    draining: bool,
    client_gone: bool,
    leaving: bool,
    turns: u64,
}

impl Session {
    /// A session that nothing has happened to yet; the first input is [`Input::Accepted`].
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            phase: Phase::Command,
            owed: Owed::default(),
            leg: Leg::default(),
            transaction: None,
            greeted: None,
            excused: false,
            helo: None,
            forwarded: None,
            peer: None,
            transactions: 0,
            finals: 1,
            errors: 0,
            junk: 0,
            login: LoggedIn::No,
            failed_logins: 0,
            draining: false,
            client_gone: false,
            leaving: false,
            turns: 0,
        }
    }

    /// The connection to the next hop is there before the client is greeted: all mail goes that way.
    pub fn begins_with(&mut self, opened: Opened) {
        self.leg.open(opened, None);
    }

    /// Takes one input and appends what is to be done. Commands that were left in the client's buffer need another
    /// [`Input::Client`] once the session takes commands again.
    pub fn step(&mut self, input: Input<'_>, out: &mut Outputs) {
        match input {
            Input::Accepted => self.greet(out),
            Input::SpokeFirst => self.send_away(replies::SYNC),
            Input::Client(bytes) => self.client_bytes(bytes, out),
            Input::ClientClosed => self.client_closed(out),
            Input::ClientLost => self.client_lost(out),
            Input::Forward(destination) => self.forward(destination, out),
            Input::Refused(reply) => self.refuse(reply),
            Input::Opened(opened) => self.opened(opened, out),
            Input::NotOpened(unopened) => self.not_opened(&unopened, out),
            Input::Downstream(bytes, sent) => self.downstream_bytes(bytes, sent, out),
            Input::DownstreamClosed => self.lose_leg_or_begin_again(&replies::LOST, out),
            Input::Settled(ticket) => self.owed.release(ticket),
            Input::Expired(waiting) => self.expired(waiting, out),
            Input::Secured => self.secured(out),
            Input::Authenticated(checked) => self.authenticated(checked),
            Input::Drain => self.draining = true,
        }
        self.go_elsewhere(out);
        self.owed.flush(&mut out.to_client);
        self.leave_if_done(out);
    }

    /// What the session is waiting for.
    pub fn waiting(&self) -> Waiting {
        match self.phase {
            Phase::Over if self.owed.is_empty() => Waiting::Nothing,
            Phase::Content(_) | Phase::Swallow(..) if self.owed.is_empty() => Waiting::Content,
            // Whatever the next hop owes: it cannot answer a chunk that the client holds back.
            Phase::Chunk(_) | Phase::Discard(_) => Waiting::Content,
            Phase::Asking(_) | Phase::Opening(_) | Phase::Securing => Waiting::Driver,
            Phase::Login(ref step) if step.is_with_driver() => Waiting::Driver,
            // Whoever leaves, and whose go-ahead has not gone out, still waits for what is owed.
            Phase::Command
            | Phase::Parked(..)
            | Phase::Login(_)
            | Phase::GoAhead
            | Phase::Final(_)
            | Phase::Content(_)
            | Phase::Swallow(..)
            | Phase::Over => match (self.leg.awaited_stage(), self.owed.is_empty()) {
                (Some(stage), _) => Waiting::Downstream(stage),
                (None, false) => Waiting::Driver,
                (None, true) => Waiting::Client,
            },
        }
    }

    /// Grows with every command taken and every reply of the next hop: a deadline starts anew when it has moved, not with
    /// every byte, so that nobody can hold a session open by dripping.
    pub const fn turns(&self) -> u64 {
        self.turns
    }

    /// Whether the session would take bytes of the client now. If not, they may stay where they are.
    pub fn wants_client(&self) -> bool {
        match self.phase {
            Phase::Command => !self.is_held_up(),
            // Content may come; before the go-ahead any byte is a violation that must be seen.
            Phase::Content(_)
            | Phase::Swallow(..)
            | Phase::GoAhead
            | Phase::Chunk(_)
            | Phase::Discard(_) => true,
            // Within AUTH a response or a violation; behind EHLO and RCPT it may wait.
            Phase::Login(_) | Phase::Opening(Need::Login(_)) => true,
            Phase::Asking(_)
            | Phase::Parked(..)
            | Phase::Opening(Need::Recipient(_) | Need::Hello | Need::Again(_))
            | Phase::Securing
            | Phase::Final(_)
            | Phase::Over => false,
        }
    }

    /// Whether the program is to end.
    pub const fn is_draining(&self) -> bool {
        self.draining
    }

    /// Whether the program is to end and the client has not said a word: it is told so soon, since it may never say one.
    pub const fn is_unwelcome(&self) -> bool {
        self.draining && self.greeted.is_none()
    }

    /// Whether the session would take replies of the next hop now. Those that wait for the disk are bounded: without that, a
    /// next hop with long replies and a client with many recipients would fill the memory between them. They wait for
    /// seconds at most, so this resolves by itself.
    pub const fn wants_downstream(&self) -> bool {
        self.owed.held_octets() < HELD_MAX
    }

    /// Whether a connection to the next hop is open and nothing is under way on it, so that it may be released.
    pub fn leg_is_idle(&self) -> bool {
        let untouched = |now: &Transaction| matches!(now.mail, MailState::Unsent);
        // One on which the client logged in is not left while the client stays.
        let kept = self.login == LoggedIn::There;
        self.leg.is_idle() && !kept && self.transaction.as_ref().is_none_or(untouched)
    }

    /// Lets go of the next hop because the connection has been idle for too long.
    pub fn release_leg(&mut self, out: &mut Outputs) {
        if self.leg_is_idle() {
            self.close_leg(Farewell::Keep, out);
        }
    }
}
