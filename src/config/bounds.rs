//! The bounds that a configuration sets: how much, how long, how large.

use std::time::Duration;

/// `[limits]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LimitSettings {
    /// Client connections at once.
    pub connections: usize,
    /// Client connections at once from one address; loopback is exempt.
    pub connections_per_client: usize,
    /// Longest command line, in octets with its CRLF.
    pub line: usize,
    /// Recipients of one transaction.
    pub recipients: usize,
    /// Largest message, in octets.
    pub size: u64,
    /// Commands of a session that may fail before it is closed.
    pub errors: usize,
    /// Commands of a session that do nothing (NOOP, RSET, VRFY ...) before they count as errors.
    pub junk: usize,
    /// Logins of a session that may fail before it is closed.
    pub login_failures: usize,
    /// Passwords checked at once.
    pub login_checks: usize,
    /// Octets a second that a client must send of content, on the average; 0 asks for none.
    pub data_rate: u64,
    /// Transactions of one session.
    pub transactions: usize,
    /// Connections to next hops that are kept for other sessions, in all; 0 keeps none.
    pub kept_connections: usize,
    /// The same of one kind.
    pub kept_alike: usize,
}

impl Default for LimitSettings {
    fn default() -> Self {
        Self {
            connections: 1000,
            connections_per_client: 50,
            line: 2048,
            recipients: 1000,
            size: 50 << 20,
            errors: 20,
            junk: 100,
            login_failures: 3,
            login_checks: 2,
            data_rate: 500,
            transactions: 1000,
            kept_connections: 100,
            kept_alike: 10,
        }
    }
}

/// `[timeouts]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimeoutSettings {
    /// For the client's next command.
    pub client_idle: Duration,
    /// The same within a transaction, once the program is to end.
    pub drain: Duration,
    /// The same, and for a TLS handshake, in a session that begins when connections are running out.
    pub crowded: Duration,
    /// For the client's next block of content.
    pub data_idle: Duration,
    /// For the PROXY header of a load balancer.
    pub proxy_header: Duration,
    /// How long a client is watched before it is greeted.
    pub greeting: Duration,
    /// For a client's TLS handshake.
    pub handshake: Duration,
    /// For the turn of a client's password to be checked.
    pub login_check: Duration,
    /// For a connection to one downstream address.
    pub connect: Duration,
    /// In all, from connecting to the reply to the first RCPT.
    pub opening: Duration,
    /// For the reply to MAIL and RCPT.
    pub reply: Duration,
    /// For the reply to DATA.
    pub data: Duration,
    /// For a block of content to be taken by the downstream.
    pub data_block: Duration,
    /// For the reply to end-of-data.
    pub end_of_data: Duration,
    /// For the reply to RSET.
    pub reset: Duration,
    /// For the reply to QUIT.
    pub quit: Duration,
    /// How long a downstream connection is kept between two transactions of a session.
    pub idle_connection: Duration,
    /// How long a connection that no session uses is kept.
    pub kept_connection: Duration,
    /// How old a connection gets that serves several sessions.
    pub connection_age: Duration,
}

impl Default for TimeoutSettings {
    fn default() -> Self {
        Self {
            client_idle: Duration::from_secs(300),
            drain: Duration::from_secs(30),
            crowded: Duration::from_secs(10),
            data_idle: Duration::from_secs(180),
            proxy_header: Duration::from_secs(5),
            greeting: Duration::ZERO,
            handshake: Duration::from_secs(30),
            login_check: Duration::from_secs(10),
            connect: Duration::from_secs(30),
            opening: Duration::from_secs(240),
            reply: Duration::from_secs(280),
            data: Duration::from_secs(110),
            data_block: Duration::from_secs(170),
            end_of_data: Duration::from_secs(590),
            reset: Duration::from_secs(20),
            quit: Duration::from_secs(5),
            idle_connection: Duration::from_secs(30),
            kept_connection: Duration::from_secs(10),
            connection_age: Duration::from_secs(300),
        }
    }
}

/// `[store]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreSettings {
    /// Memory for the index's cache, in octets.
    pub cache: u64,
    /// Memory that sorting takes, in octets.
    pub sort: u64,
    /// Size at which a journal segment is closed and the next begun, in octets.
    pub segment_bytes: u64,
    /// How long a reply waits for what was learnt from it to be on disk.
    pub durable_wait: Duration,
    /// What a RCPT gets whose standing cannot be read.
    pub on_store_failure: OnStoreFailure,
    /// Which refusals are written down that can move no standing.
    pub record: Recording,
}

impl Default for StoreSettings {
    fn default() -> Self {
        Self {
            cache: 64 << 20,
            sort: 64 << 20,
            segment_bytes: 64 << 20,
            durable_wait: Duration::from_secs(2),
            on_store_failure: OnStoreFailure::default(),
            record: Recording::default(),
        }
    }
}

/// What a RCPT gets whose standing cannot be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnStoreFailure {
    /// `451 4.3.0`: the client tries again.
    #[default]
    Defer,
    /// It may pass.
    Accept,
}

/// `[report]`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ReportSettings {
    /// Keys that a day is counted by at most: tenant, receiver and campaign together.
    pub keys: usize,
    /// Days that are kept.
    pub days: u32,
    /// The share of hard bounces from which on a report warns, from 0 to 1.
    pub hard_alert: f64,
    /// Likewise of soft bounces.
    pub soft_alert: f64,
}

impl Default for ReportSettings {
    fn default() -> Self {
        Self { keys: 10_000, days: 400, hard_alert: 0.01, soft_alert: 0.05 }
    }
}

/// Which refusals are written down that can move no standing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Recording {
    /// Those about one recipient: every 5yz, and every 4yz that nobody understands.
    #[default]
    All,
    /// Those of addresses that have a record.
    Known,
}
