//! Why a request comes to nothing.

use crate::gate::GateError;
use crate::journal::JournalError;
use crate::store::StoreError;

/// Why a request came to nothing, by whose fault it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The request makes no sense.
    #[error("{0}")]
    Bad(String),
    /// It may work later.
    #[error("{0}")]
    Later(String),
    /// Reading or writing failed.
    #[error("{0}")]
    Disk(String),
    /// A fault of this program.
    #[error("{0}")]
    Internal(String),
}

impl From<GateError> for Fault {
    fn from(error: GateError) -> Self {
        match error {
            GateError::Store(error) => error.into(),
            GateError::Journal(error) => error.into(),
            GateError::JournalBehind { .. } => Self::Disk(error.to_string()),
            GateError::Refolding => Self::Later(error.to_string()),
            GateError::Thread(_) | GateError::Panicked(_) => Self::Internal(error.to_string()),
        }
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Paused | StoreError::Unfinished | StoreError::Locked { .. } => {
                Self::Later(error.to_string())
            }
            StoreError::Io { .. }
            | StoreError::Damaged { .. }
            | StoreError::Format { .. }
            | StoreError::Failed(_)
            | StoreError::Panicked { .. } => Self::Disk(error.to_string()),
        }
    }
}

impl From<JournalError> for Fault {
    fn from(error: JournalError) -> Self {
        Self::Disk(error.to_string())
    }
}
