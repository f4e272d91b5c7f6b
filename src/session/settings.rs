//! What a session is set up with, and what bounds it.

use std::sync::Arc;

use super::{Access, Auth, ClientTls};
use crate::attribution::Keys;
use crate::smtp::extensions::Capabilities;
use crate::smtp::identity::Identity;

/// What a session is set up with; the same for all sessions of a listener but for the last three.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The gate's own name in its greeting and EHLO reply.
    pub hostname: Arc<str>,
    /// A word of this process alone, for the greeting; empty: none.
    pub instance: Arc<str>,
    /// What is offered to the client, and what SIZE it may declare.
    pub offer: Capabilities,
    /// Bounds on what the client may send.
    pub limits: Limits,
    /// Whether this client may relay; if not, each RCPT is refused.
    pub may_relay: bool,
    /// Whether this client's XFORWARD is believed.
    pub xforward: bool,
    /// TLS towards the client.
    pub tls: ClientTls,
    /// Whether the client may log in, and who checks it.
    pub auth: Auth,
    /// Whether nothing goes on without a login.
    pub auth_required: bool,
    /// What is spoken with the client.
    pub protocol: Protocol,
    /// Where the client comes from; the address is part of its message keys.
    pub client: Arc<Identity>,
    /// What XCLIENT of this peer may make of it; without, it is refused.
    pub xclient: Option<Arc<Access>>,
    /// What the next hop is told of the client.
    pub tell_client: TellClient,
    /// Where the keys of messages are read.
    pub keys: Arc<Keys>,
}

/// What the next hop is told of the client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TellClient {
    /// Nothing.
    #[default]
    Off,
    /// By XFORWARD, before each message: for its logs.
    Xforward,
    /// By XCLIENT, once behind its EHLO: it then treats the connection as the client's own.
    Xclient,
}

/// What is spoken with a peer: a client, or a next hop.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// RFC 5321.
    #[default]
    Smtp,
    /// RFC 2033: LHLO, and a final reply for each accepted recipient. What a next hop of SMTP says of several at once is said to
    /// each, and is evidence about none.
    Lmtp,
}

/// Bounds on one session.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Octets of a command line, CRLF included.
    pub line: usize,
    /// Octets of a line of content, CRLF included.
    pub content_line: usize,
    /// Octets of a message.
    pub size: u64,
    /// Recipients asked for in one transaction.
    pub recipients: u32,
    /// Errors of the client before it is sent away. Policy refusals are no errors.
    pub errors: u32,
    /// Commands that do nothing (NOOP, RSET, VRFY, HELP, tiny chunks) before they count as errors.
    pub junk: u32,
    /// Logins that fail before the client is sent away.
    pub login_failures: u32,
    /// Commands taken before their replies are settled; further ones wait in the client's socket.
    pub pipeline: usize,
    /// Transactions in one session.
    pub transactions: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            line: 2048,
            content_line: 64 * 1024,
            size: 50 * 1024 * 1024,
            recipients: 1000,
            errors: 20,
            junk: 100,
            login_failures: 3,
            pipeline: 1000,
            transactions: 1000,
        }
    }
}
