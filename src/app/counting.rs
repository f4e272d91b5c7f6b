//! The tally's way to the disk: once a minute, and at the end.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::failure::Failure;
use crate::tally::{Settings, Tally};
use crate::time::Timestamp;

/// How often what was counted is written down: so much is lost by a kill.
const EVERY: Duration = Duration::from_secs(60);

/// Whether the last write failed: a full disk is told once, not every minute.
static FAILING: AtomicBool = AtomicBool::new(false);

/// Goes on counting where the files end, and writes until `halt`.
pub(super) async fn start(settings: Settings, halt: &CancellationToken) -> Result<Tally, Failure> {
    let opened = tokio::task::spawn_blocking(|| Tally::open(settings, Timestamp::now())).await;
    let tally = opened.map_err(|error| Failure::Internal(error.to_string()))?;
    let (counted, halt) = (tally.clone(), halt.clone());
    tokio::spawn(async move {
        let mut ticks = tokio::time::interval(EVERY);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        while halt.run_until_cancelled(ticks.tick()).await.is_some() {
            write(&counted).await;
        }
    });
    Ok(tally)
}

/// Writes down what was counted. What the disk does not take is lost, which is told once until it takes some again.
pub(super) async fn write(tally: &Tally) {
    let tally = tally.clone();
    let written = tokio::task::spawn_blocking(move || tally.write(Timestamp::now())).await;
    match written.unwrap_or_else(|error| Err(io::Error::other(error))) {
        Ok(()) if FAILING.swap(false, Ordering::Relaxed) => {
            tracing::info!(event = "tally", result = "resumed");
        }
        Ok(()) => {}
        Err(error) if !FAILING.swap(true, Ordering::Relaxed) => {
            tracing::error!(event = "tally", result = "lost", error = %error);
        }
        Err(_told) => {}
    }
}
