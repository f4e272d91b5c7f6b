//! One conversation between a client and the next hop, without input or output.
//!
//! [`Session::step`] takes what happened and appends to [`Outputs`] what the driver must do. Replies leave in the order of
//! their commands (RFC 2920 §3.2): every command takes a place in the queue of owed replies, and a refusal made here waits
//! until those before it are settled. A transaction is a value of its own; dropping it is the reset. The session never learns
//! of the store: it asks for a verdict and reports what it saw.
//!
//! | file | holds |
//! |---|---|
//! | `client` | framing of the client's bytes, the commands that concern the session |
//! | `envelope` | MAIL, RCPT, DATA |
//! | `auth` | AUTH from the client, checked here or relayed |
//! | `content` | from 354 to the final reply |
//! | `downstream` | the next hop's replies |
//! | `leg` | the connection to the next hop, and its loss |
//! | `owed` | replies owed to the client |
//! | `transaction` | MAIL to end of data |
//! | `opening` | greeting and EHLO of a fresh connection to the next hop |
//! | `tls` | STARTTLS towards the client |
//! | `settings` | what a session is set up with |
//! | `replies` | what the gate itself says |

mod auth;
mod client;
mod content;
mod downstream;
mod envelope;
mod leg;
pub mod opening;
mod owed;
mod replies;
mod settings;
mod tls;
mod transaction;

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::BytesMut;

use crate::bounce::Stage;
use crate::policy::verdict::Verdict;
use crate::smtp::address::Recipient;
use crate::smtp::data::DataDecoder;
use crate::smtp::extensions::Capabilities;
use crate::smtp::reply::Reply;
use crate::smtp::sasl::Login;

pub use auth::{Auth, Checked};
use auth::{LoggedIn, Step};
use leg::Leg;
use owed::{Owed, SlotId};
pub use settings::{Limits, Protocol, Settings};
pub use tls::ClientTls;
pub use transaction::Envelope;
use transaction::{Asked, MailState, Transaction};

/// Names an observation whose reply waits until the event is on disk.
pub type Ticket = SlotId;

/// What happened.
#[derive(Debug)]
pub enum Input<'buffer> {
    /// The client connected.
    Accepted,
    /// The client sent bytes; what can be used now is taken off the front.
    Client(&'buffer mut BytesMut),
    /// The client will send no more, and what it sent has been offered for as long as the session wanted it: a client that
    /// half-closes behind QUIT is still owed replies. A connection that was reset is reported at once.
    ClientClosed,
    /// The answer to [`Action::Ask`].
    Verdict(Verdict),
    /// The answer to [`Action::Open`]: greeted, and this is what the next hop can do.
    Opened(Capabilities),
    /// The other answer to [`Action::Open`]: what every recipient that needs it is told.
    NotOpened(Reply),
    /// The answer to [`Action::StartTls`]: what the client says from here on is said within TLS.
    Secured,
    /// The answer to [`Action::Authenticate`].
    Authenticated(Checked),
    /// The next hop sent bytes. `unsent` says that bytes for it are still with the driver: it cannot have answered those.
    Downstream(&'buffer mut BytesMut, Sent),
    /// The next hop's connection ended.
    DownstreamClosed,
    /// The event of this ticket is on disk, or will not be: the reply may go.
    Settled(Ticket),
    /// The time for this is over: what [`Session::waiting`] said, or the next hop when it takes no more bytes.
    Expired(Waiting),
    /// The program is to end: no further transaction.
    Drain,
}

/// Whether all bytes for the next hop have left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// All have been handed to the network.
    All,
    /// Some are still with the driver.
    Partly,
}

/// What the driver must do, besides sending the bytes.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Judge this recipient and come back with [`Input::Verdict`].
    Ask(Arc<Envelope>, Recipient),
    /// Open a connection to the next hop and come back with [`Input::Opened`] or [`Input::NotOpened`].
    Open,
    /// Send what is left, make the handshake with the client and come back with [`Input::Secured`]. Nothing that the client sent
    /// before may be left over.
    StartTls,
    /// Check this login and come back with [`Input::Authenticated`].
    Authenticate(Login),
    /// The next hop has decided on a login that was relayed to it.
    LoginRelayed(Checked),
    /// Close the connection to the next hop. The session has forgotten it.
    CloseDownstream(Farewell),
    /// Send what is left, then close the client's connection.
    CloseClient,
    /// The next hop answered RCPT. With a ticket the client's reply waits for [`Input::Settled`].
    Answered(Answered),
    /// The transaction reached the next hop's final reply, or was broken off after DATA.
    Finished(Finished),
}

/// How to leave the next hop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Farewell {
    /// With QUIT; whatever it says to that is ignored.
    Quit,
    /// At once: the one way to abort without inventing an end (I2: never CRLF.CRLF that the client did not send).
    Abort,
}

/// A reply of the next hop about recipients of a transaction.
#[derive(Clone, Debug, PartialEq)]
pub struct Answered {
    /// The transaction it belongs to.
    pub envelope: Arc<Envelope>,
    /// Whom it answers.
    pub recipient: Recipient,
    /// The command it answers.
    pub stage: Stage,
    /// What the next hop said.
    pub reply: Reply,
    /// How many recipients the reply is about.
    pub recipients: u32,
    /// Settle this when the event is on disk.
    pub ticket: Option<Ticket>,
}

/// How a transaction that came as far as DATA ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Finished {
    /// The transaction.
    pub envelope: Arc<Envelope>,
    /// Those whom the next hop accepted.
    pub recipients: Vec<Recipient>,
    /// Octets of content, dot-stuffing and the end included.
    pub octets: u64,
    /// What became of it.
    pub outcome: Outcome,
    /// What the client is told.
    pub reply: Reply,
    /// The client had gone before its reply.
    pub client_gone: bool,
}

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The next hop took it: a complete 2yz to our end of data.
    Delivered,
    /// The next hop refused it, for now or for good.
    Refused,
    /// It was broken off before its end: nothing was delivered.
    Aborted,
    /// The next hop was lost between our end of data and its reply.
    Unknown,
}

/// What the driver must send and do. Reused from step to step.
#[derive(Debug, Default)]
pub struct Outputs {
    /// Bytes for the client.
    pub to_client: BytesMut,
    /// Bytes for the next hop.
    pub to_downstream: BytesMut,
    /// What else to do, in order.
    pub actions: VecDeque<Action>,
}

/// What the session is waiting for, so that the driver can set its deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waiting {
    /// The client's next command.
    Client,
    /// The client's content.
    Content,
    /// The next hop's reply to this command.
    Downstream(Stage),
    /// Something that the driver itself bounds: a verdict, a connection, an event on its way to the disk.
    Driver,
    /// Nothing: the session is over.
    Nothing,
}

/// Where the conversation stands.
#[derive(Debug)]
enum Phase {
    /// Taking commands.
    Command,
    /// Waiting for the verdict on this recipient; no further command is taken.
    Asking(Asked),
    /// Waiting for a connection for this recipient; no further command is taken.
    Opening(Asked),
    /// DATA has gone out; any byte of the client before its answer is a violation.
    GoAhead,
    /// Content passes to the next hop.
    Content(DataDecoder),
    /// Content is thrown away up to its end; then the client is told this.
    Swallow(DataDecoder, Reply),
    /// The end of data has gone out; no command is taken before its answer.
    Final(u64),
    /// The client is being sent away, or has gone.
    Over,
    /// STARTTLS was answered: nothing is taken before the handshake is done.
    Securing,
    /// Within an AUTH that has not been answered.
    Login(Step),
}

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
    ident: Option<String>,
    /// The last MAIL was refused, so that a pipelining client's RCPTs behind it are no faults of their own.
    mail_refused: bool,
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
            ident: None,
            mail_refused: false,
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

    /// Takes one input and appends what is to be done. Commands that were left in the client's buffer need another
    /// [`Input::Client`] once the session takes commands again.
    pub fn step(&mut self, input: Input<'_>, out: &mut Outputs) {
        match input {
            Input::Accepted => self.greet(out),
            Input::Client(bytes) => self.client_bytes(bytes, out),
            Input::ClientClosed => self.client_closed(out),
            Input::Verdict(verdict) => self.judged(verdict, out),
            Input::Opened(capabilities) => self.opened(capabilities, out),
            Input::NotOpened(reply) => self.not_opened(reply, out),
            Input::Downstream(bytes, sent) => self.downstream_bytes(bytes, sent, out),
            Input::DownstreamClosed => self.lose_leg(&replies::LOST, out),
            Input::Settled(ticket) => self.owed.release(ticket),
            Input::Expired(waiting) => self.expired(waiting, out),
            Input::Secured => self.secured(),
            Input::Authenticated(checked) => self.authenticated(checked),
            Input::Drain => self.draining = true,
        }
        self.owed.flush(&mut out.to_client);
        self.leave_if_done(out);
    }

    /// What the session is waiting for.
    pub fn waiting(&self) -> Waiting {
        match self.phase {
            Phase::Over if self.owed.is_empty() => Waiting::Nothing,
            Phase::Content(_) | Phase::Swallow(..) if self.owed.is_empty() => Waiting::Content,
            Phase::Asking(_) | Phase::Opening(_) | Phase::Securing => Waiting::Driver,
            Phase::Login(ref step) if step.is_with_driver() => Waiting::Driver,
            // Whoever leaves, and whose go-ahead has not gone out, still waits for what is owed.
            Phase::Command
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
            Phase::Content(_) | Phase::Swallow(..) | Phase::GoAhead => true,
            Phase::Login(ref step) => step.listens(),
            Phase::Asking(_)
            | Phase::Opening(_)
            | Phase::Securing
            | Phase::Final(_)
            | Phase::Over => false,
        }
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

    /// Tells the next hop goodbye because the connection has been idle for too long.
    pub fn release_leg(&mut self, out: &mut Outputs) {
        if self.leg_is_idle() {
            self.leg = Leg::default();
            out.actions.push_back(Action::CloseDownstream(Farewell::Quit));
        }
    }
}
