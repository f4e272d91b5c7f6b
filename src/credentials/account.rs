//! The gate's own login with the next hop: a name, and a password in a file of its own.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use zeroize::Zeroizing;

use crate::smtp::sasl::{self, Login};

/// Longest password, in octets.
const PASSWORD_MAX: usize = 1024;

/// A login with the next hop. The password is read again when its file changes.
#[derive(Clone, Debug)]
pub struct Account {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    user: String,
    file: PathBuf,
    login: ArcSwap<Login>,
}

impl Account {
    /// The login of this user with the password that is the one line of the file.
    ///
    /// # Errors
    /// The file cannot be read, or is not one line of 1 to 1024 octets without NUL.
    pub fn open(user: &str, file: &Path) -> io::Result<Self> {
        let login = ArcSwap::from_pointee(read(user, file)?);
        let shared = Shared { user: user.to_owned(), file: file.to_owned(), login };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// The login as it is now.
    pub fn login(&self) -> Arc<Login> {
        self.shared.login.load_full()
    }

    /// The file, to be watched.
    pub fn file(&self) -> PathBuf {
        self.shared.file.clone()
    }

    /// Reads the password again.
    ///
    /// # Errors
    /// As [`Self::open`]; the password stays as it was.
    pub fn reload(&self) -> io::Result<()> {
        self.shared.login.store(Arc::new(read(&self.shared.user, &self.shared.file)?));
        Ok(())
    }
}

fn read(user: &str, file: &Path) -> io::Result<Login> {
    let wrong = || io::Error::other("expected a password, one line of 1 to 1024 octets");
    let about = fs::metadata(file)?;
    // Opening a pipe would wait for its other end.
    if !about.is_file() || about.len() > PASSWORD_MAX as u64 + 2 {
        return Err(wrong());
    }
    let content = Zeroizing::new(fs::read(file)?);
    let line = content.strip_suffix(b"\n").unwrap_or(&content);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if line.len() > PASSWORD_MAX || line.iter().any(|byte| matches!(byte, b'\r' | b'\n')) {
        return Err(wrong());
    }
    sasl::login(user.as_bytes(), line).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_password_is_the_one_line_of_its_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("password");
        let check = |content: &[u8], expected: Option<&[u8]>| {
            fs::write(&file, content).expect("written");
            let account = Account::open("gate", &file).ok();
            let login = account.map(|account| account.login());
            let password = login.as_ref().map(|login| login.password.expose());
            assert_eq!(password, expected, "{content:?}");
        };
        check(b"se cret\n", Some(b"se cret"));
        check(b"secret\r\n", Some(b"secret"));
        check(b" secret ", Some(b" secret "));
        check(b"", None);
        check(b"\n", None);
        check(b"a\nb\n", None);
        check(b"a\0b", None);
        check(&[b'x'; 1024], Some(&[b'x'; 1024]));
        check(&[b'x'; 1025], None);
        assert!(Account::open("gate", folder.path()).is_err());
    }

    #[test]
    fn a_broken_file_leaves_the_old_password_in_force() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("password");
        fs::write(&file, "one\n").expect("written");
        let account = Account::open("gate", &file).expect("an account");
        fs::write(&file, "").expect("written");
        assert!(account.reload().is_err());
        assert_eq!(account.login().password.expose(), b"one");
        fs::write(&file, "two\n").expect("written");
        account.reload().expect("a password");
        assert_eq!(account.login().password.expose(), b"two");
    }
}
