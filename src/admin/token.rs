//! The secret that lets a program use the API: 32 random bytes in hexadecimal, in a file that only its owner can read.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use subtle::ConstantTimeEq as _;

/// The file's name in the data directory.
const NAME: &str = "admin.token";
/// Shortest and longest token that an operator may have put there, in bytes.
const LENGTH: std::ops::RangeInclusive<usize> = 32..=256;

/// The secret. It is never shown.
#[derive(Clone)]
pub struct Token(String);

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub enum TokenFault {
    /// The file system failed.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
    /// Others than its owner may read it.
    #[error(
        "{}: others than its owner may use it (mode {mode:04o}): say `chmod 600` if nobody has read it, else remove it \
         and a new one is made at the next start",
        path.display()
    )]
    Open {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// It holds something else.
    #[error(
        "{}: holds no token (32 to 256 letters and digits): remove it and a new one is made at the next start",
        path.display()
    )]
    NoToken {
        /// The file.
        path: PathBuf,
    },
}

/// The token of a data directory, made if there is none. Only the gate that has the directory's lock calls this.
///
/// # Errors
/// The file cannot be used, or must not be.
pub fn load_or_create(data_dir: &Path) -> Result<Token, TokenFault> {
    match load(data_dir) {
        Err(TokenFault::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            create(data_dir)?;
            load(data_dir)
        }
        other => other,
    }
}

/// The token of a data directory.
///
/// # Errors
/// As [`load_or_create`], and when there is none.
pub fn load(data_dir: &Path) -> Result<Token, TokenFault> {
    let path = data_dir.join(NAME);
    let io_fault = |source| TokenFault::Io { path: path.clone(), source };
    let mut file = File::open(&path).map_err(io_fault)?;
    let mode = file.metadata().map_err(io_fault)?.permissions().mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(TokenFault::Open { path, mode });
    }
    let mut text = String::new();
    let read = (&mut file).take(1024).read_to_string(&mut text);
    match read {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            return Err(TokenFault::NoToken { path });
        }
        Err(error) => return Err(io_fault(error)),
    }
    let token = text.trim();
    // Whatever else stands there could not be sent in a header.
    if !LENGTH.contains(&token.len()) || !token.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Err(TokenFault::NoToken { path });
    }
    Ok(Token(token.to_owned()))
}

/// Written beside and renamed, so that a crash never leaves half a token.
fn create(data_dir: &Path) -> Result<(), TokenFault> {
    let (path, fresh) = (data_dir.join(NAME), data_dir.join("admin.token.new"));
    let write = || {
        let mut secret = [0; 32];
        getrandom::fill(&mut secret).map_err(|error| io::Error::other(error.to_string()))?;
        fs::create_dir_all(data_dir)?;
        let mut file =
            OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(&fresh)?;
        // One that a crash left there keeps the mode that it had.
        file.set_permissions(fs::Permissions::from_mode(0o600))?;
        let text: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
        writeln!(file, "{text}")?;
        file.sync_all()?;
        fs::rename(&fresh, &path)
    };
    write().map_err(|source| TokenFault::Io { path: path.clone(), source })
}

impl Token {
    /// Whether this is it. Takes as long for a nearly right one as for a wrong one.
    pub fn is(&self, given: &[u8]) -> bool {
        self.0.as_bytes().ct_eq(given).into()
    }

    /// The secret itself, for the header of a request.
    pub fn secret(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode_of(path: &Path) -> u32 {
        fs::metadata(path).expect("it is there").permissions().mode() & 0o777
    }

    #[test]
    fn a_new_token_is_long_secret_and_stays() {
        let dir = tempfile::tempdir().expect("a directory");
        let data = dir.path().join("data");
        let token = load_or_create(&data).expect("a token");
        assert_eq!(token.secret().len(), 64);
        assert_eq!(mode_of(&data.join(NAME)), 0o600);
        assert!(!data.join("admin.token.new").exists());
        let again = load_or_create(&data).expect("the same token");
        assert!(again.is(token.secret().as_bytes()));
        assert!(!again.is(b"") && !again.is(&token.secret().as_bytes()[1..]));
        assert_eq!(format!("{token:?}"), "Token(..)");
    }

    #[test]
    fn a_token_that_others_may_read_is_refused() {
        let dir = tempfile::tempdir().expect("a directory");
        load_or_create(dir.path()).expect("a token");
        let path = dir.path().join(NAME);
        for mode in [0o644, 0o640, 0o602] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("a mode");
            let fault = load_or_create(dir.path()).expect_err("it is not secret");
            assert!(matches!(fault, TokenFault::Open { mode: told, .. } if told == mode));
            assert!(fault.to_string().contains(&format!("{mode:04o}")), "{fault}");
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).expect("a mode");
        load_or_create(dir.path()).expect("it is secret again");
    }

    #[test]
    fn what_is_no_token_is_refused_and_kept() {
        for text in ["", "short\n", "spaces are not allowed in a header value\n"] {
            let dir = tempfile::tempdir().expect("a directory");
            let path = dir.path().join(NAME);
            fs::write(&path, text).expect("written");
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("a mode");
            let fault = load_or_create(dir.path()).expect_err("no token");
            assert!(matches!(fault, TokenFault::NoToken { .. }), "{text:?}: {fault}");
            assert_eq!(fs::read_to_string(&path).expect("still there"), text);
        }
    }
}
