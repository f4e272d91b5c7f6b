//! The SMTP door: sockets around [`crate::session`].
//!
//! | file | holds |
//! |---|---|
//! | `listener` | accepting, limits on connections, drain |
//! | `connection` | one session between two sockets |
//! | `side` | one of the two sockets |
//! | `header` | the PROXY protocol |
//! | `stream` | in the clear or within TLS |
//! | `deadline` | how long what is waited for |
//! | `report` | what a session saw, told to the gate, the log and the metrics |
//! | `rarely` | log lines that a peer could make without end |
//! | `route` | where mail goes, and what next hops were last seen to offer |
//! | `source` | where connections to the next hop come from, and where clients were going |
//! | `outbound` | what all connections to next hops share |
//! | `downstream` | making a connection to the next hop, keeping it for others |
//! | `fanout` | several next hops behind one client of LMTP |

mod connection;
mod deadline;
mod downstream;
mod fanout;
pub mod header;
pub mod listener;
pub mod outbound;
mod rarely;
mod report;
pub mod route;
mod side;
pub mod source;
mod stream;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use tokio_util::sync::CancellationToken;

use crate::attribution::{Keys, Tenants};
use crate::credentials::Credentials;
use crate::event::Tenant;
use crate::gate::Gate;
use crate::log::Addresses;
use crate::metrics::Metrics;
use crate::session::{Access, Auth, ClientTls, Limits, Protocol, TellClient};
use crate::smtp::extensions::Extension;
use crate::tally::Tally;
use crate::tls::Certificate;
pub use downstream::PoolLimits;
use outbound::Outbound;

/// Everything that the sessions of one listener share.
pub struct Door {
    /// Judges and learns.
    pub gate: Gate,
    /// The way out.
    pub outbound: Arc<Outbound>,
    /// Counts.
    pub metrics: Arc<Metrics>,
    /// Counts what became of recipients.
    pub tally: Tally,
    /// How addresses are shown in the log.
    pub addresses: Addresses,
    /// Of this listener.
    pub settings: DoorSettings,
    /// Cancelled once: no further transaction.
    pub drain: CancellationToken,
    /// Cancelled when waiting is over: every connection is closed at once.
    pub halt: CancellationToken,
}

/// The settings of one listener.
#[derive(Clone, Debug)]
pub struct DoorSettings {
    /// The gate's own name.
    pub hostname: Arc<str>,
    /// On whose account mail through this listener is; without, `tenants` decide.
    pub tenant: Option<Tenant>,
    /// By what else tenants are known.
    pub tenants: Arc<Tenants>,
    /// Where the keys of messages are read.
    pub keys: Arc<Keys>,
    /// Who may relay.
    pub clients: Vec<IpNet>,
    /// Whose XFORWARD is believed.
    pub xforward: Vec<IpNet>,
    /// Whose XCLIENT is believed.
    pub xclient: Vec<IpNet>,
    /// Load balancers that begin each connection with a PROXY header.
    pub proxies: Vec<IpNet>,
    /// What is not offered to clients though it could be.
    pub withhold: Vec<Extension>,
    /// What the next hop is told of the client.
    pub tell_client: TellClient,
    /// What is spoken with clients.
    pub protocol: Protocol,
    /// TLS towards the clients.
    pub tls: ClientTls,
    /// What it is made with.
    pub acceptor: Option<Certificate>,
    /// Who checks logins of clients.
    pub auth: Auth,
    /// Whether a client must log in whoever it is.
    pub auth_required: bool,
    /// Whose logins, with [`Auth::Local`].
    pub credentials: Option<Credentials>,
    /// Bounds on a session.
    pub limits: Limits,
    /// Bounds on waiting.
    pub timeouts: Timeouts,
    /// Octets a second that a client must send of content, on the average; 0 asks for none.
    pub data_rate: u64,
    /// Connections at a time.
    pub connections: usize,
    /// Connections at a time from one address; loopback is exempt, since there the MTA itself sits.
    pub connections_per_client: usize,
    /// Whether refusals are only logged.
    pub monitor: bool,
}

impl DoorSettings {
    fn lists(networks: &[IpNet], client: IpAddr) -> bool {
        Access::lists(networks, client)
    }
}

/// Bounds on waiting. Each towards the next hop ends before the client's own for the same command, or the client would give up
/// first; the reply to the end of data is the exception: an early 451 there makes duplicates (RFC 5321 §4.5.3.2.6, RFC 1047).
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// The client's next command (RFC 5321 §4.5.3.2.7: at least five minutes).
    pub client: Duration,
    /// The same within a transaction, once the program is to end.
    pub drain: Duration,
    /// The same, and for the TLS handshake, in a session that begins when places are running out.
    pub crowded: Duration,
    /// The client's next piece of content.
    pub content: Duration,
    /// The PROXY header of a load balancer.
    pub proxy_header: Duration,
    /// A client that is watched before it is greeted; one that speaks in that time is sent away.
    pub greeting: Duration,
    /// The TLS handshake with a client.
    pub handshake: Duration,
    /// Connecting to one address.
    pub connect: Duration,
    /// Connecting, greeting and EHLO together, over all addresses.
    pub opening: Duration,
    /// The next hop's reply to MAIL and RCPT.
    pub reply: Duration,
    /// Its reply to DATA, and to a chunk before the last: clients wait 120 s.
    pub data: Duration,
    /// Its taking one block of content: clients wait 180 s.
    pub block: Duration,
    /// Its reply to the end of data: clients wait 600 s.
    pub end_of_data: Duration,
    /// Its reply to RSET.
    pub reset: Duration,
    /// Its reply to QUIT, waited for in the background.
    pub quit: Duration,
    /// A connection to the next hop on which nothing goes on.
    pub idle_connection: Duration,
    /// An event on its way to the disk, before the reply is sent all the same.
    pub durable: Duration,
}

impl Timeouts {
    /// What a client gets when places are running out: enough for one that means to send mail, too little for one that sits there
    /// (Postfix `stress`).
    fn when_crowded(self) -> Self {
        let least = |one: Duration| one.min(self.crowded);
        Self { client: least(self.client), handshake: least(self.handshake), ..self }
    }
}

impl Default for Timeouts {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self {
            client: seconds(300),
            drain: seconds(30),
            crowded: seconds(10),
            content: seconds(180),
            proxy_header: seconds(5),
            greeting: Duration::ZERO,
            handshake: seconds(30),
            connect: seconds(30),
            opening: seconds(240),
            reply: seconds(280),
            data: seconds(110),
            block: seconds(170),
            end_of_data: seconds(590),
            reset: seconds(20),
            quit: seconds(5),
            idle_connection: seconds(30),
            durable: seconds(2),
        }
    }
}
