//! The certificates of the program: read again when they change, and watched as their end draws near.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::metrics::Metrics;
use crate::proxy::route::Routes;
use crate::time::Timestamp;
use crate::tls::{Certificate, Connector, TlsFault};

/// What is left of a certificate when the log begins to warn: enough for somebody to come back from a holiday.
const NEAR: Duration = Duration::from_secs(14 * 86_400);
/// How often the log says so.
const EVERY: Duration = Duration::from_secs(12 * 3600);

/// Those of the listeners, and what is shown to next hops.
#[derive(Clone)]
pub(super) struct Certificates {
    pub(super) listeners: Vec<Certificate>,
    pub(super) routes: Routes,
    pub(super) metrics: Arc<Metrics>,
}

impl Certificates {
    /// The files to watch.
    pub(super) fn files(&self) -> Vec<PathBuf> {
        let own = self.listeners.iter().flat_map(Certificate::files);
        own.chain(self.routes.connectors().iter().flat_map(Connector::files)).collect()
    }

    /// Reads all of them again; false when one has a fault. That one stays as it was.
    pub(super) fn reload(&self) -> bool {
        let before = self.ends();
        let own = self.listeners.iter().map(Certificate::reload);
        let connectors = self.routes.connectors();
        let results: Vec<_> = own.chain(connectors.iter().map(Connector::reload)).collect();
        let whole = results.iter().all(Result::is_ok);
        results.into_iter().filter_map(Result::err).for_each(|fault| kept(&fault));
        // What was not exchanged is warned about in its turn: files of all kinds are read again together, however often.
        self.look(Timestamp::now(), &before);
        whole
    }

    /// Looks at their ends now and then, for as long as the program runs.
    pub(super) async fn keep_looking(self) {
        let mut ticks = tokio::time::interval(EVERY);
        loop {
            ticks.tick().await;
            self.look(Timestamp::now(), &[]);
        }
    }

    /// When those in force end.
    fn ends(&self) -> Vec<(PathBuf, Timestamp)> {
        let own = self.listeners.iter().map(Certificate::expiry);
        let connectors = self.routes.connectors();
        own.chain(connectors.iter().filter_map(Connector::expiry))
            .filter_map(|(file, not_after)| Some((file.to_owned(), not_after?)))
            .collect()
    }

    fn look(&self, now: Timestamp, known: &[(PathBuf, Timestamp)]) {
        for end in self.ends() {
            let (file, not_after) = (end.0.display().to_string(), end.1);
            self.metrics.certificate(&file, not_after.as_millis() / 1000);
            if !known.contains(&end)
                && let Some(result) = state(not_after, now)
            {
                tracing::warn!(event = "certificate", result, file, not_after = %not_after);
            }
        }
    }
}

fn kept(fault: &TlsFault) {
    tracing::error!(event = "reload", result = "kept", error = %fault);
}

/// What there is to say of a certificate that ends then.
fn state(not_after: Timestamp, now: Timestamp) -> Option<&'static str> {
    if not_after <= now {
        Some("expired")
    } else if not_after.since(now) < NEAR {
        Some("expires_soon")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proxy::route::Protection;

    #[test]
    fn the_end_of_one_that_has_expired_is_a_figure_like_any_other() {
        let folder = tempfile::tempdir().expect("a folder");
        let (chain, key) = (folder.path().join("a.pem"), folder.path().join("a.key"));
        let mut parameters = rcgen::CertificateParams::default();
        parameters.not_before = rcgen::date_time_ymd(2000, 1, 1);
        parameters.not_after = rcgen::date_time_ymd(2001, 2, 3);
        let own = rcgen::KeyPair::generate().expect("a key");
        let made = parameters.self_signed(&own).expect("a certificate");
        std::fs::write(&chain, made.pem()).expect("a file");
        std::fs::write(&key, own.serialize_pem()).expect("a file");
        let listeners = vec![Certificate::open(&chain, &key).expect("a certificate")];
        let metrics = Arc::new(Metrics::new());
        let routes = Routes::fixed(Vec::new(), Protection::Off);
        let all = Certificates { listeners, routes, metrics: Arc::clone(&metrics) };
        assert!(all.reload());
        let text = metrics.text();
        let expected =
            format!("certificate_not_after_seconds{{file=\"{}\"}} 981158400", chain.display());
        assert!(text.contains(&expected), "{text}");
        std::fs::write(&chain, "rubbish").expect("a file");
        assert!(!all.reload());
        assert!(metrics.text().contains(&expected));
    }

    #[test]
    fn an_end_is_told_two_weeks_ahead() {
        let end: Timestamp = "2026-11-24T00:00:00Z".parse().expect("a time");
        let check = |now: &str, expected: Option<&str>| {
            assert_eq!(state(end, now.parse().expect("a time")), expected, "{now}");
        };
        check("2026-11-10T00:00:00Z", None);
        check("2026-11-10T00:00:01Z", Some("expires_soon"));
        check("2026-11-23T23:59:59Z", Some("expires_soon"));
        check("2026-11-24T00:00:00Z", Some("expired"));
        check("2030-01-01T00:00:00Z", Some("expired"));
    }
}
