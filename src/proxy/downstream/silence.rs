//! Addresses that did not answer a moment ago: not asked again for a while, so that a receiver that is down costs each of a thousand
//! messages no half minute, and is not stormed when it comes back.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How long an address is left alone.
const SPAN: Duration = Duration::from_secs(60);
/// Addresses remembered at the most; beyond that all are tried.
const MOST: usize = 10_000;

/// Addresses that did not take a connection.
#[derive(Debug, Default)]
pub(in crate::proxy) struct Silent {
    until: Mutex<HashMap<SocketAddr, Instant>>,
}

impl Silent {
    /// Whether this one is to be left alone now.
    pub(super) fn has(&self, address: &SocketAddr) -> bool {
        let until = self.until.lock().unwrap_or_else(PoisonError::into_inner);
        until.get(address).is_some_and(|until| *until > Instant::now())
    }

    /// No connection came about.
    pub(super) fn note(&self, address: SocketAddr) {
        let mut until = self.until.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if until.len() >= MOST {
            until.retain(|_, until| *until > now);
        }
        if until.len() < MOST {
            until.insert(address, now + SPAN);
        }
    }

    /// It answers again.
    pub(super) fn forget(&self, address: &SocketAddr) {
        self.until.lock().unwrap_or_else(PoisonError::into_inner).remove(address);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_address_is_left_alone_for_a_minute() {
        let (silent, address) = (Silent::default(), "192.0.2.1:25".parse().expect("an address"));
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
