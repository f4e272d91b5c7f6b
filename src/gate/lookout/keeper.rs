//! The thread beside the mail: looks each minute whether outages are over, and keeps the file of known good addresses.

use std::sync::Arc;
use std::sync::PoisonError;
use std::sync::mpsc::SyncSender;
use std::thread::JoinHandle;
use std::time::Duration;

use super::file::Kept;
use super::mind;
use crate::gate::GateError;
use crate::gate::shared::Shared;
use crate::gate::task::Task;
use crate::time::Timestamp;

const THREAD: &str = "rcptgate-guard";
const ROUND: Duration = Duration::from_secs(60);
/// What is known is written each so many rounds: what a crash forgets.
const SAVE_ROUNDS: u32 = 10;

pub(super) fn start(
    shared: Arc<Shared>,
    tasks: SyncSender<Task>,
) -> Result<JoinHandle<()>, GateError> {
    let thread = std::thread::Builder::new().name(THREAD.to_owned());
    thread.spawn(move || run(&shared, &tasks)).map_err(GateError::Thread)
}

fn run(shared: &Shared, tasks: &SyncSender<Task>) {
    let mut round = 0_u32;
    while !sleep(shared) {
        mind(shared, tasks, Timestamp::now());
        round = round.wrapping_add(1);
        if round.is_multiple_of(SAVE_ROUNDS) {
            save(shared);
        }
    }
    save(shared);
}

/// Sleeps for a round; whether the gate ends.
fn sleep(shared: &Shared) -> bool {
    let lookout = &shared.lookout;
    let awaiting = |state: &mut super::State| !state.ending;
    let slept = lookout.changed.wait_timeout_while(lookout.state(), ROUND, awaiting);
    slept.unwrap_or_else(PoisonError::into_inner).0.ending
}

/// Copies what is known, which is a matter of a millisecond for two million addresses, and writes the copy when the mail is free to go on.
fn save(shared: &Shared) {
    let kept = match &mut shared.lookout.state().watch {
        Some(watch) if watch.unsaved => {
            watch.unsaved = false;
            Kept::of(&watch.guard)
        }
        Some(_) | None => return,
    };
    if let Err(error) = kept.write(&shared.settings.data_dir) {
        if let Some(watch) = &mut shared.lookout.state().watch {
            watch.unsaved = true;
        }
        tracing::error!(event = "outage", result = "known_good_unsaved", error = %error);
    }
}
