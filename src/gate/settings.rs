//! The gate's settings.

use std::path::PathBuf;
use std::time::Duration;

/// Where the gate keeps what it knows, and how it behaves when it cannot.
#[derive(Clone, Debug)]
pub struct GateSettings {
    /// Directory of journal, index and lock. Made if need be.
    pub data_dir: PathBuf,
    /// Memory for the index's cache, in bytes. sled takes up to a few times as much.
    pub cache_bytes: u64,
    /// Memory that sorting takes, of an import or of an index that is built anew, in bytes; the rest goes through files in `data_dir`.
    pub sort_bytes: usize,
    /// What a RCPT gets whose standing cannot be read.
    pub on_store_failure: OnStoreFailure,
    /// Whether decisions are carried out.
    pub mode: Mode,
    /// Which refusals are written down that can move no standing.
    pub record: Recording,
    /// Most events that wait for the writer; more are not learnt.
    pub queue: usize,
    /// How long a reply waits for its event to be durable.
    pub durable_wait: Duration,
    /// A segment of the journal is closed once it has so many bytes.
    pub segment_bytes: u64,
    /// How long a start waits for the lock of a gate that is going away.
    pub lock_wait: Duration,
    /// How long after a failed write the next attempt is made.
    pub retry_every: Duration,
    #[cfg(test)]
    pub(crate) journal_fault: crate::journal::Fault,
    #[cfg(test)]
    pub(crate) index_fault: crate::journal::Fault,
}

impl GateSettings {
    /// The defaults.
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        Self {
            data_dir: data_dir.into(),
            cache_bytes: 64 << 20,
            sort_bytes: 64 << 20,
            on_store_failure: OnStoreFailure::default(),
            mode: Mode::default(),
            record: Recording::default(),
            queue: 10_000,
            durable_wait: Duration::from_secs(2),
            segment_bytes: 64 << 20,
            lock_wait: Duration::from_secs(5),
            retry_every: Duration::from_secs(3),
            #[cfg(test)]
            journal_fault: crate::journal::Fault::default(),
            #[cfg(test)]
            index_fault: crate::journal::Fault::default(),
        }
    }

    /// The directory of the journal.
    pub fn journal_dir(&self) -> PathBuf {
        self.data_dir.join("journal")
    }

    /// The directory of the index.
    pub fn index_dir(&self) -> PathBuf {
        self.data_dir.join("index")
    }
}

/// What a RCPT gets whose standing cannot be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnStoreFailure {
    /// `451 4.3.0`: the client asks again later.
    #[default]
    Defer,
    /// It passes, for those who prefer delivery to suppression.
    Accept,
}

/// Whether decisions are carried out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// They are.
    #[default]
    Enforce,
    /// They are made, logged and counted; every recipient is forwarded.
    Monitor,
}

/// Which refusals about one recipient are written down although they can move no standing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Recording {
    /// Every 5yz, and every 4yz that nobody understands; all others only of addresses that have a record.
    #[default]
    All,
    /// Those of addresses that have a record, whose story they complete.
    Known,
}
