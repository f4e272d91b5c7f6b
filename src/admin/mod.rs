//! The admin door: JSON over HTTP for operators, their programs and `rcptgate`'s own commands.
//!
//! `/live`, `/ready` and `/metrics` answer anybody who can connect; they hold no address. All of `/api/v1` needs the token of the
//! data directory, and a request that a browser could have been tricked into is refused (see `guard`).
//!
//! | file | holds |
//! |---|---|
//! | `routes` | what each path does |
//! | `guard` | who may call |
//! | `token` | the secret |
//! | `address` | where it listens, when the system chose |
//! | `desk` | the questions and acts themselves, for commands too |
//! | `figures` | figures since the start, for commands too |
//! | `outages` | outages of receivers, and what they were, for commands too |
//! | `reports` | what other systems report: openings, complaints |
//! | `rows` | records as a list |
//! | `report` | what became of recipients, as rates, for commands too |
//! | `events` | what bounced, out of the journal, for commands too |
//! | `story` | the events of an address in words, for commands too |
//! | `undo` | taking back what was learnt, for commands too |
//! | `import` | the rows of an import, for commands too |
//! | `upload` | the request that brings them |
//! | `wire` | the shapes of requests and answers |
//! | `places` | how many may be connected |
//! | `stream` | an answer that is made while it is sent |

pub mod address;
pub mod desk;
pub mod events;
pub mod figures;
mod guard;
pub mod import;
pub mod outages;
mod places;
pub mod report;
pub mod reports;
mod routes;
pub mod rows;
pub mod story;
mod stream;
pub mod token;
pub mod undo;
mod upload;
pub mod wire;

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::sync::Mutex;

use crate::gate::Gate;
use crate::log::{Addresses, Writer};
use crate::metrics::Metrics;
use crate::tally::Tally;
use report::Alerts;
use token::Token;

/// Reads lists and policy again, or says why the old ones stay in force.
pub type Reload = Arc<dyn Fn() -> Result<(), String> + Send + Sync>;

/// Everything that the API answers from.
pub struct Api {
    gate: Gate,
    metrics: Arc<Metrics>,
    token: Token,
    reload: Reload,
    log: Option<Writer>,
    /// How much of an address the log may show.
    shown: Addresses,
    /// One comparison or dry run at a time: it reads all there is.
    reading: Arc<Mutex<()>>,
    /// What was counted, and the rates that are high.
    counted: Option<(Tally, Alerts)>,
    /// The sources whose lists are believed.
    trusted: Vec<String>,
}

impl Api {
    /// An API for this gate.
    pub fn new(gate: Gate, metrics: Arc<Metrics>, token: Token, reload: Reload) -> Self {
        Self {
            gate,
            metrics,
            token,
            reload,
            log: None,
            shown: Addresses::Full,
            reading: Arc::default(),
            counted: None,
            trusted: Vec::new(),
        }
    }

    /// The same, which believes the lists of these sources.
    #[must_use]
    pub fn with_trusted(self, trusted: Vec<String>) -> Self {
        Self { trusted, ..self }
    }

    /// The same, which also tells how many log lines were dropped, and shows so much of an address there.
    #[must_use]
    pub fn with_log(self, log: Writer, shown: Addresses) -> Self {
        Self { log: Some(log), shown, ..self }
    }

    /// The same, which also reports what was counted, and warns from these rates on.
    #[must_use]
    pub fn with_tally(self, tally: Tally, alerts: Alerts) -> Self {
        Self { counted: Some((tally, alerts)), ..self }
    }
}

/// Answers until `shutdown`, then finishes the requests under way.
///
/// # Errors
/// When the listener has no address.
pub async fn serve(
    listener: TcpListener,
    api: Api,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    let address: SocketAddr = listener.local_addr()?;
    let service =
        routes::router(api, address).into_make_service_with_connect_info::<places::Caller>();
    axum::serve(places::Listener::new(listener), service).with_graceful_shutdown(shutdown).await
}

#[cfg(test)]
mod tests;
