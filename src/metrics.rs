//! Every figure that the program counts, in one place: the only user of prometheus-client.
//!
//! Whatever only grows is a counter, so that its name ends in `_total` and `rate()` knows of restarts.
//!
//! Labels come from closed sets, never from an address or a domain: a stranger must not be able to make a series.

use std::fmt;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicI64, Ordering};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// One label out of a closed set.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Kind {
    kind: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Decided {
    verdict: &'static str,
    reason: &'static str,
}

/// What protected the way to the next hop, in the words of the log.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Protected {
    tls: &'static str,
}

/// The reason of a recipient that nothing speaks against.
const NOTHING_KNOWN: &str = "none";

/// What the way out counts itself, read when somebody asks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outward {
    /// Questions to DNS that were answered from memory.
    pub remembered: u64,
    /// Questions to DNS that were asked.
    pub asked: u64,
    /// Connections to next hops that are kept for others now.
    pub kept: usize,
}

/// Where that is read.
struct Source(Box<dyn Fn() -> Outward + Send + Sync>);

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Source")
    }
}

/// A file that the configuration names.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct File {
    file: String,
}

/// The figures. Everything counts from the start of the program.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    decisions: Family<Decided, Counter>,
    /// Of the decisions the one that nearly all are, so that it need not be looked up.
    passed: Counter,
    replies: Family<Kind, Counter>,
    messages: Family<Kind, Counter>,
    connections: Family<Kind, Counter>,
    protected_connections: Family<Protected, Counter>,
    protected_messages: Family<Protected, Counter>,
    kept: Gauge<i64, AtomicI64>,
    remembered: Counter,
    asked: Counter,
    outward: OnceLock<Source>,
    policies: Family<Kind, Counter>,
    sessions: Gauge<i64, AtomicI64>,
    refused_sessions: Family<Kind, Counter>,
    reloads: Family<Kind, Counter>,
    untold: Family<Kind, Counter>,
    certificates: Family<File, Gauge<i64, AtomicI64>>,
    logins: Family<Kind, Counter>,
    client_gone: Counter,
    ready: Gauge<i64, AtomicI64>,
    unlearnt: Counter,
    noted: Counter,
    left_out: Counter,
    log_dropped: Counter,
    outages: Gauge<i64, AtomicI64>,
    unresolved: Gauge<i64, AtomicI64>,
    held: Counter,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

/// What others count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Observed {
    /// Whether the gate is ready.
    pub ready: bool,
    /// Events that the disk did not take.
    pub unlearnt: u64,
    /// Refusals without effect that were written down.
    pub noted: u64,
    /// Those that were left out.
    pub left_out: u64,
    /// Lines of the log that were dropped.
    pub log_dropped: u64,
}

impl Metrics {
    /// All figures at zero.
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("rcptgate");
        let decisions = Family::default();
        registry.register("rcpt", "RCPT decisions of the gate", decisions.clone());
        let replies = Family::default();
        registry.register("reply", "Refusals of the next hop by category", Family::clone(&replies));
        let messages = Family::default();
        registry.register(
            "message",
            "Transactions that reached DATA, by outcome",
            Family::clone(&messages),
        );
        let connections = Family::default();
        registry.register(
            "downstream_connection",
            "Connections to the next hop, by result",
            Family::clone(&connections),
        );
        let protected_connections = Family::default();
        registry.register(
            "downstream_connection_tls",
            "Connections made to the next hop, by what protects them",
            Family::clone(&protected_connections),
        );
        let protected_messages = Family::default();
        registry.register(
            "message_tls",
            "Messages delivered, by what protected the way to the next hop",
            Family::clone(&protected_messages),
        );
        let kept = Gauge::default();
        registry.register(
            "kept_connections",
            "Connections to next hops that are kept for others now",
            kept.clone(),
        );
        let questions = Family::<Kind, Counter>::default();
        registry.register(
            "dns_question",
            "Questions to DNS, by whether they were asked or answered from memory",
            Family::clone(&questions),
        );
        let policies = Family::default();
        registry.register(
            "mta_sts_fetch",
            "Fetches of MTA-STS policies, by result",
            Family::clone(&policies),
        );
        let sessions = Gauge::default();
        registry.register("sessions", "Client sessions open now", sessions.clone());
        let refused_sessions = Family::default();
        registry.register(
            "session",
            "Client sessions, by what became of the connection",
            Family::clone(&refused_sessions),
        );
        let reloads = Family::default();
        registry.register("reload", "Reloads of files, by result", Family::clone(&reloads));
        let untold = Family::default();
        registry.register(
            "client_untold",
            "Connections and messages whose next hop was to be told who the client is, and was not, by reason",
            Family::clone(&untold),
        );
        let certificates = Family::default();
        registry.register(
            "certificate_not_after_seconds",
            "When a certificate in force ends, in seconds since 1970",
            Family::clone(&certificates),
        );
        let logins = Family::default();
        registry.register("login", "Logins of clients, by result", Family::clone(&logins));
        let client_gone = Counter::default();
        registry.register(
            "accepted_client_gone",
            "Messages that the next hop took after the client had gone: its retry will be a duplicate",
            client_gone.clone(),
        );
        let ready = Gauge::default();
        registry.register("ready", "Whether the gate is ready (1) or not (0)", ready.clone());
        let unlearnt = Counter::default();
        registry.register("unlearnt", "Events that the disk did not take", unlearnt.clone());
        let (noted, left_out) = (Counter::default(), Counter::default());
        let help = "Refusals that move no standing and were written down all the same";
        registry.register("noted", help, noted.clone());
        let help = "Such refusals that were left out because too much waited for the disk";
        registry.register("noted_left_out", help, left_out.clone());
        let log_dropped = Counter::default();
        registry.register(
            "log_dropped",
            "Log lines dropped because nobody reads them",
            log_dropped.clone(),
        );
        let (outages, unresolved) = (Gauge::default(), Gauge::default());
        registry.register(
            "outages_open",
            "Receivers that refuse now what they used to accept",
            Gauge::clone(&outages),
        );
        registry.register(
            "outages_unresolved",
            "Outages of receivers, those open among them, that await an operator's word",
            Gauge::clone(&unresolved),
        );
        let held = Counter::default();
        registry.register("held", "Evidence that an outage kept from counting", held.clone());
        let nothing_known = Decided { verdict: "forward", reason: NOTHING_KNOWN };
        let passed = decisions.get_or_create_owned(&nothing_known);
        let question = |kind| questions.get_or_create_owned(&Kind { kind });
        Self {
            registry,
            decisions,
            passed,
            replies,
            messages,
            connections,
            protected_connections,
            protected_messages,
            kept,
            remembered: question("remembered"),
            asked: question("asked"),
            outward: OnceLock::new(),
            policies,
            sessions,
            refused_sessions,
            reloads,
            untold,
            certificates,
            logins,
            client_gone,
            ready,
            unlearnt,
            noted,
            left_out,
            log_dropped,
            outages,
            unresolved,
            held,
        }
    }

    /// The gate decided on a RCPT.
    pub fn decided(&self, verdict: &'static str, reason: &'static str) {
        if verdict == "forward" && reason == NOTHING_KNOWN {
            self.passed.inc();
        } else {
            self.decisions.get_or_create(&Decided { verdict, reason }).inc();
        }
    }

    /// The next hop refused, for this category of reasons.
    pub fn replied(&self, category: &'static str) {
        self.replies.get_or_create(&Kind { kind: category }).inc();
    }

    /// A transaction that reached DATA ended. `tls` is what protected it on its way, as the log has it.
    pub fn finished(&self, outcome: &'static str, tls: &'static str, client_gone: bool) {
        self.messages.get_or_create(&Kind { kind: outcome }).inc();
        if outcome != "delivered" {
            return;
        }
        self.protected_messages.get_or_create(&Protected { tls }).inc();
        if client_gone {
            self.client_gone.inc();
        }
    }

    /// A connection to the next hop was tried, or one that was kept is used again.
    pub fn connected(&self, result: &'static str) {
        self.connections.get_or_create(&Kind { kind: result }).inc();
    }

    /// A connection to the next hop was made, with this to protect it.
    pub fn protected(&self, tls: &'static str) {
        self.protected_connections.get_or_create(&Protected { tls }).inc();
    }

    /// A policy of MTA-STS was fetched, or was not.
    pub fn policy_fetched(&self, result: &'static str) {
        self.policies.get_or_create(&Kind { kind: result }).inc();
    }

    /// From here on this is what the way out counts. The first to say so is listened to.
    pub fn read_outward(&self, source: impl Fn() -> Outward + Send + Sync + 'static) {
        let _ = self.outward.set(Source(Box::new(source)));
    }

    /// A client's session began.
    pub fn session_began(&self) {
        self.sessions.inc();
        self.refused_sessions.get_or_create(&Kind { kind: "served" }).inc();
    }

    /// A client's session ended.
    pub fn session_ended(&self) {
        self.sessions.dec();
    }

    /// A client was sent away before its session began.
    pub fn session_refused(&self, why: &'static str) {
        self.refused_sessions.get_or_create(&Kind { kind: why }).inc();
    }

    /// The next hop was to be told who the client is, and was not.
    pub fn untold(&self, why: &'static str) {
        self.untold.get_or_create(&Kind { kind: why }).inc();
    }

    /// The certificate in this file, which the configuration names, is in force until then: seconds since the epoch.
    pub fn certificate(&self, file: &str, not_after: i64) {
        self.certificates.get_or_create(&File { file: file.to_owned() }).set(not_after);
    }

    /// A client tried to log in.
    pub fn login(&self, result: &'static str) {
        self.logins.get_or_create(&Kind { kind: result }).inc();
    }

    /// A file was read anew.
    pub fn reloaded(&self, result: &'static str) {
        self.reloads.get_or_create(&Kind { kind: result }).inc();
    }

    /// What others count, read when somebody asks.
    pub fn observe(&self, observed: &Observed) {
        self.ready.set(i64::from(observed.ready));
        self.unlearnt.inner().store(observed.unlearnt, Ordering::Relaxed);
        self.noted.inner().store(observed.noted, Ordering::Relaxed);
        self.left_out.inner().store(observed.left_out, Ordering::Relaxed);
        self.log_dropped.inner().store(observed.log_dropped, Ordering::Relaxed);
    }

    /// What the gate knows of outages, read when somebody asks.
    pub fn outages(&self, open: usize, unresolved: usize, held: u64) {
        self.outages.set(i64::try_from(open).unwrap_or(i64::MAX));
        self.unresolved.set(i64::try_from(unresolved).unwrap_or(i64::MAX));
        self.held.inner().store(held, Ordering::Relaxed);
    }

    /// Client sessions open now.
    pub fn sessions(&self) -> i64 {
        self.sessions.get()
    }

    /// Everything in the OpenMetrics text format.
    pub fn text(&self) -> String {
        if let Some(Source(outward)) = self.outward.get() {
            let Outward { remembered, asked, kept } = outward();
            self.remembered.inner().store(remembered, Ordering::Relaxed);
            self.asked.inner().store(asked, Ordering::Relaxed);
            self.kept.set(i64::try_from(kept).unwrap_or(i64::MAX));
        }
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}

#[cfg(test)]
mod tests;
