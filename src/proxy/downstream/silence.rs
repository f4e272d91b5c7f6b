//! Addresses that did not answer a moment ago: not asked again for a while, so that a receiver that is down costs each of a thousand
//! messages no half minute, and is not stormed when it comes back.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How long an address is left alone.
const SPAN: Duration = Duration::from_secs(60);
/// Addresses remembered at the most; beyond that all are tried.
const MOST: usize = 10_000;

/// An address, and from where it is connected to, if that is not the system's choice: what cannot be reached from one address of ours
/// may be from another.
pub(super) type Path = (Option<IpAddr>, SocketAddr);

/// Addresses that did not take a connection.
#[derive(Debug, Default)]
pub(in crate::proxy) struct Silent {
    until: Mutex<HashMap<Path, Instant>>,
}

impl Silent {
    /// Whether this one is to be left alone now.
    pub(super) fn has(&self, path: &Path) -> bool {
        let until = self.until.lock().unwrap_or_else(PoisonError::into_inner);
        until.get(path).is_some_and(|until| *until > Instant::now())
    }

    /// No connection came about.
    pub(super) fn note(&self, path: Path) {
        let mut until = self.until.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if until.len() >= MOST {
            until.retain(|_, until| *until > now);
        }
        if until.len() < MOST {
            until.insert(path, now + SPAN);
        }
    }

    /// It answers again.
    pub(super) fn forget(&self, path: &Path) {
        self.until.lock().unwrap_or_else(PoisonError::into_inner).remove(path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_address_is_left_alone_for_a_minute() {
        let silent = Silent::default();
        let address = (None, "192.0.2.1:25".parse().expect("an address"));
        assert!(!silent.has(&address));
        silent.note(address);
        tokio::time::advance(SPAN - Duration::from_millis(1)).await;
        assert!(silent.has(&address));
        tokio::time::advance(Duration::from_millis(1)).await;
        assert!(!silent.has(&address));
        silent.note(address);
        silent.forget(&address);
        assert!(!silent.has(&address));
    }
}
