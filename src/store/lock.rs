//! One gate to a data directory.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::time::Duration;

use super::StoreError;

/// How often a locked directory is tried again.
const RETRY: Duration = Duration::from_millis(50);

/// Of a data directory that is made here: it will hold other people's addresses. One that exists keeps its own.
pub(super) const DIRECTORY_MODE: u32 = 0o750;

/// The right to use a data directory, until it is dropped. The kernel gives it back when the process ends, however it ends.
#[derive(Debug)]
pub struct DataLock {
    _file: File,
}

impl DataLock {
    /// Takes the lock `data_dir/lock`, making directory and file if need be; waits for it as long as `wait`, since a process that was
    /// killed a moment ago may still hold it.
    ///
    /// # Errors
    /// [`StoreError::Locked`] when another gate has it.
    pub fn take(data_dir: &Path, wait: Duration) -> Result<Self, StoreError> {
        let path = data_dir.join("lock");
        let io_error = |source| StoreError::Io { path: path.clone(), source };
        DirBuilder::new()
            .recursive(true)
            .mode(DIRECTORY_MODE)
            .create(data_dir)
            .map_err(io_error)?;
        let file = OpenOptions::new()
            .create(true)
            .write(true)
            .truncate(false)
            .open(&path)
            .map_err(io_error)?;
        let mut waited = Duration::ZERO;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Self { _file: file }),
                Err(TryLockError::Error(source)) => return Err(io_error(source)),
                Err(TryLockError::WouldBlock) if waited >= wait => {
                    return Err(StoreError::Locked { path: data_dir.to_owned() });
                }
                Err(TryLockError::WouldBlock) => {
                    std::thread::sleep(RETRY);
                    waited += RETRY;
                }
            }
        }
    }
}
