//! Replaces a file at once: whoever reads it sees the old content or the new one, whole.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, fchown};
use std::path::Path;

use super::folder_of;

/// Writes the content beside the file and renames it over. Permissions stay, and the owner as far as we may set one.
pub(in crate::cli) fn replace(file: &Path, content: &[u8]) -> io::Result<()> {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let new = file.with_file_name(format!(".{name}.{}.new", std::process::id()));
    let outcome = write(&new, file, content).and_then(|()| fs::rename(&new, file));
    if outcome.is_err() {
        // What is left over is of no use to anybody, and the first error is the one to tell.
        _ = fs::remove_file(&new);
        return outcome;
    }
    // The name is on disk only once its folder is.
    File::open(folder_of(file))?.sync_all()
}

fn write(new: &Path, old: &Path, content: &[u8]) -> io::Result<()> {
    let mut out = OpenOptions::new().write(true).create_new(true).open(new)?;
    if let Ok(like) = fs::metadata(old) {
        // Only root may give a file away.
        _ = fchown(&out, Some(like.uid()), Some(like.gid()));
        out.set_permissions(like.permissions())?;
    }
    out.write_all(content)?;
    out.sync_all()
}
