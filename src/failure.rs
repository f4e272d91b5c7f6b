//! Exit codes, as sysexits has them: what a script may rely on.

use std::process::ExitCode;

/// Why a command did not do what it was asked, by whose fault it is.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The command line makes no sense (64).
    #[error("{0}")]
    Usage(String),
    /// The input data is wrong (65).
    #[error("{0}")]
    Data(String),
    /// A service that is needed does not answer (69).
    #[error("{0}")]
    Unavailable(String),
    /// A fault of this program (70).
    #[error("internal error: {0}")]
    Internal(String),
    /// Reading or writing failed (74).
    #[error("{0}")]
    Io(String),
    /// It may work later: a locked store (75).
    #[error("{0}")]
    Temporary(String),
    /// The configuration is wrong (78).
    #[error("{0}")]
    Config(String),
    /// Whoever reads the output has seen enough, as `head` has: no fault of anybody (0).
    #[error("nobody reads the output any more")]
    Unread,
}

impl Failure {
    /// The exit code.
    pub const fn code(&self) -> u8 {
        match self {
            Self::Usage(_) => 64,
            Self::Data(_) => 65,
            Self::Unavailable(_) => 69,
            Self::Internal(_) => 70,
            Self::Io(_) => 74,
            Self::Temporary(_) => 75,
            Self::Config(_) => 78,
            Self::Unread => 0,
        }
    }
}

impl From<Failure> for ExitCode {
    fn from(failure: Failure) -> Self {
        failure.code().into()
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        if error.kind() == std::io::ErrorKind::BrokenPipe {
            return Self::Unread;
        }
        Self::Io(error.to_string())
    }
}
