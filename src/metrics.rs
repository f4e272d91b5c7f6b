//! Every figure that the program counts, in one place: the only user of prometheus-client.
//!
//! Whatever only grows is a counter, so that its name ends in `_total` and `rate()` knows of restarts.
//!
//! Labels come from closed sets, never from an address or a domain: a stranger must not be able to make a series.

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

/// The reason of a recipient that nothing speaks against.
const NOTHING_KNOWN: &str = "none";
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
    sessions: Gauge<i64, AtomicI64>,
    refused_sessions: Family<Kind, Counter>,
    reloads: Family<Kind, Counter>,
    untold: Family<Kind, Counter>,
    certificates: Family<File, Gauge<i64, AtomicI64>>,
    logins: Family<Kind, Counter>,
    client_gone: Counter,
    ready: Gauge<i64, AtomicI64>,
    unlearnt: Counter,
    log_dropped: Counter,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
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
        let log_dropped = Counter::default();
        registry.register(
            "log_dropped",
            "Log lines dropped because nobody reads them",
            log_dropped.clone(),
        );
        let nothing_known = Decided { verdict: "forward", reason: NOTHING_KNOWN };
        let passed = decisions.get_or_create_owned(&nothing_known);
        Self {
            registry,
            decisions,
            passed,
            replies,
            messages,
            connections,
            sessions,
            refused_sessions,
            reloads,
            untold,
            certificates,
            logins,
            client_gone,
            ready,
            unlearnt,
            log_dropped,
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

    /// A transaction that reached DATA ended.
    pub fn finished(&self, outcome: &'static str, client_gone: bool) {
        self.messages.get_or_create(&Kind { kind: outcome }).inc();
        if client_gone && outcome == "delivered" {
            self.client_gone.inc();
        }
    }

    /// A connection to the next hop was tried.
    pub fn connected(&self, result: &'static str) {
        self.connections.get_or_create(&Kind { kind: result }).inc();
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
    pub fn observe(&self, ready: bool, unlearnt: u64, log_dropped: u64) {
        self.ready.set(i64::from(ready));
        self.unlearnt.inner().store(unlearnt, Ordering::Relaxed);
        self.log_dropped.inner().store(log_dropped, Ordering::Relaxed);
    }

    /// Client sessions open now.
    pub fn sessions(&self) -> i64 {
        self.sessions.get()
    }

    /// Everything in the OpenMetrics text format.
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_what_happened() {
        let metrics = Metrics::new();
        metrics.decided("refuse", "quarantine");
        metrics.finished("delivered", true);
        metrics.observe(true, 3, 0);
        let text = metrics.text();
        assert!(text.contains("rcptgate_rcpt_total{verdict=\"refuse\",reason=\"quarantine\"} 1"));
        assert!(text.contains("rcptgate_accepted_client_gone_total 1"), "{text}");
        assert!(text.contains("rcptgate_unlearnt_total 3"), "{text}");
    }
}
