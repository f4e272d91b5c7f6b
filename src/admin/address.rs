//! Where the API really listens, for commands whose configuration leaves the port to the system.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::Path;

/// The file's name in the data directory.
const NAME: &str = "admin.address";

/// Notes where the API of the gate that has this data directory listens.
///
/// # Errors
/// When the file cannot be written.
pub fn note(data_dir: &Path, address: SocketAddr) -> io::Result<()> {
    let fresh = data_dir.join("admin.address.new");
    let noted = fs::write(&fresh, format!("{address}\n"))
        .and_then(|()| fs::rename(&fresh, data_dir.join(NAME)));
    if noted.is_err() {
        // None is better than that of a gate before.
        let _ = fs::remove_file(fresh);
        let _ = fs::remove_file(data_dir.join(NAME));
    }
    noted
}

/// What was noted last, by a gate that may be gone.
///
/// # Errors
/// When nothing was.
pub fn noted(data_dir: &Path) -> io::Result<SocketAddr> {
    let text = fs::read_to_string(data_dir.join(NAME))?;
    text.trim().parse().map_err(io::Error::other)
}
