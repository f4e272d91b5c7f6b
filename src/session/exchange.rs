//! What goes into a session and what comes out of it: all that a driver needs to know.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::BytesMut;

use super::auth::Checked;
use super::owed::SlotId;
use super::transaction::Envelope;
use crate::bounce::Stage;
use crate::routing::Destination;
use crate::smtp::address::Recipient;
use crate::smtp::extensions::Capabilities;
use crate::smtp::identity::Identity;
use crate::smtp::reply::Reply;
use crate::smtp::sasl::Login;

/// Names an observation whose reply waits until the event is on disk.
pub type Ticket = SlotId;

/// What happened.
#[derive(Debug)]
pub enum Input<'buffer> {
    /// The client connected.
    Accepted,
    /// Instead of that: the client connected and spoke before it was greeted.
    SpokeFirst,
    /// The client sent bytes; what can be used now is taken off the front.
    Client(&'buffer mut BytesMut),
    /// The client will send no more, and what it sent has been offered for as long as the session wanted it: a client that
    /// half-closes behind QUIT is still owed replies.
    ClientClosed,
    /// The client's connection was reset: it neither sends nor hears any more. Reported at once.
    ClientLost,
    /// The answer to [`Action::Ask`]: the recipient may pass, to there.
    Forward(Destination),
    /// The other answer: this is what the recipient is told.
    Refused(Reply),
    /// The answer to [`Action::Open`].
    Opened(Opened),
    /// The other answer to [`Action::Open`]: what every recipient that needs it is told.
    NotOpened(Unopened),
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
    /// The time for this is over: what [`super::Session::waiting`] said, or the next hop when it takes no more bytes.
    Expired(Waiting),
    /// The program is to end: no further transaction.
    Drain,
}

/// A connection to the next hop that is ready for mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opened {
    /// What the next hop can do.
    pub capabilities: Capabilities,
    /// It has served before, so that it may be dead without our knowing.
    pub kept: bool,
}

impl From<Capabilities> for Opened {
    /// A fresh one.
    fn from(capabilities: Capabilities) -> Self {
        Self { capabilities, kept: false }
    }
}

/// Why there is no connection.
#[derive(Clone, Debug, PartialEq)]
pub struct Unopened {
    /// What recipients are told.
    pub reply: Reply,
    /// What failed: [`Stage::Lookup`] if the domain itself says that it takes no mail, which is about each of its recipients;
    /// else [`Stage::Connect`], which is about nobody.
    pub stage: Stage,
}

impl From<Reply> for Unopened {
    fn from(reply: Reply) -> Self {
        Self { reply, stage: Stage::Connect }
    }
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
    /// Judge this recipient and come back with [`Input::Forward`] or [`Input::Refused`].
    Ask(Arc<Envelope>, Recipient),
    /// Open a connection to the next hop and come back with [`Input::Opened`] or [`Input::NotOpened`].
    Open {
        /// Whose; without, that of all mail.
        to: Option<Destination>,
        /// One that was kept has just failed: this one must not have served before.
        fresh: bool,
    },
    /// Send what is left, make the handshake with the client and come back with [`Input::Secured`]. Nothing that the client sent
    /// before may be left over.
    StartTls,
    /// From here on the client is this one: XCLIENT said so, or is forgotten again.
    Renamed(Arc<Identity>),
    /// The next hop would not be told who the client is, and said this. The message goes on.
    Untold(Reply),
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
    /// Nothing is left of any transaction: it may serve others. Else as [`Self::Quit`].
    Keep,
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

impl Answered {
    /// About one recipient, with no reply waiting for the event.
    pub(super) const fn alone(
        envelope: Arc<Envelope>,
        recipient: Recipient,
        stage: Stage,
        reply: Reply,
    ) -> Self {
        Self { envelope, recipient, stage, reply, recipients: 1, ticket: None }
    }
}

/// How a transaction that came as far as DATA ended. A next hop that speaks LMTP ends it for each recipient by itself: then there
/// are as many of these as recipients, and one more for all whose final replies never came.
#[derive(Clone, Debug, PartialEq)]
pub struct Finished {
    /// The transaction.
    pub envelope: Arc<Envelope>,
    /// Those of whom the next hop had accepted whom this is about.
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
