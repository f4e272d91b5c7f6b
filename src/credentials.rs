//! Users and their passwords: a file of names and Argon2 hashes, the check of one login, and the gate's own login with the
//! next hop (`account`). The only user of `argon2`.
//!
//! A line is `name:hash[:tenant]`, the hash in PHC form as `rcptgate credentials add` writes it; `#` begins a comment line.
//! Whether a name is known must not show: who asks for an unknown one waits for a hash as well, and hears the same reply.

mod account;

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params};
use tokio::sync::Semaphore;

use crate::event::Tenant;
use crate::lists::ListFault;
use crate::smtp::sasl::Login;
pub use account::Account;

/// Largest file of users, in octets.
const FILE_MAX: u64 = 16 << 20;
/// Faults of one file that are told.
const FAULTS_MAX: usize = 100;
/// Longest name, in octets.
const NAME_MAX: usize = 255;
/// Memory that one hash may ask for, in KiB; so many times the checks at once is what strangers can make the gate use.
const MEMORY_MAX: u32 = 256 * 1024;
/// What an unknown name is checked against in a file without users: the parameters of `Params::DEFAULT`, and nobody's password.
const NOBODY: &str = "$argon2id$v=19$m=19456,t=2,p=1$cmNwdGdhdGUubm9ib2R5$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// A file of users that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsFault {
    /// It cannot be read.
    #[error("{file} cannot be read: {error}", file = .file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// Lines that are no users. Hashes are not among what is shown of them.
    #[error("{file}: {first}", file = .file.display(), first = .faults.first().map(ToString::to_string).unwrap_or_default())]
    Lines {
        /// The file.
        file: PathBuf,
        /// Every such line.
        faults: Vec<ListFault>,
    },
}

/// The users in force, read again when the file changes.
#[derive(Clone, Debug)]
pub struct Credentials {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    file: PathBuf,
    users: ArcSwap<Users>,
    /// A hash takes a core for tens of milliseconds and megabytes of memory: so many at once.
    places: Arc<Semaphore>,
    patience: Duration,
}

/// What came of a check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Checked {
    /// It is the user's password; on whose account, if that is said.
    Right(Option<Tenant>),
    /// It is not, or nobody has that name.
    Wrong,
    /// Too many are being checked, or it could not be done.
    Unavailable,
}

impl Credentials {
    /// Reads the file. `at_once` passwords are checked at a time; a further one waits `patience` for its turn.
    ///
    /// # Errors
    /// The file cannot be read, or has lines that are no users.
    pub fn open(file: &Path, at_once: usize, patience: Duration) -> Result<Self, CredentialsFault> {
        let shared = Shared {
            file: file.to_owned(),
            users: ArcSwap::from_pointee(read(file)?),
            places: Arc::new(Semaphore::new(at_once)),
            patience,
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// The file, to be watched.
    pub fn file(&self) -> PathBuf {
        self.shared.file.clone()
    }

    /// Reads the file again; how many users there are now.
    ///
    /// # Errors
    /// As [`Self::open`]; the users stay as they were.
    pub fn reload(&self) -> Result<usize, CredentialsFault> {
        let users = read(&self.shared.file)?;
        let count = users.len();
        self.shared.users.store(Arc::new(users));
        Ok(count)
    }

    /// Checks one login, on a thread where it holds nobody up.
    pub async fn check(&self, login: Login) -> Checked {
        let shared = &self.shared;
        let place = Arc::clone(&shared.places).acquire_owned();
        let Ok(Ok(place)) = tokio::time::timeout(shared.patience, place).await else {
            return Checked::Unavailable;
        };
        let users = shared.users.load_full();
        let checked = tokio::task::spawn_blocking(move || {
            let checked = users.check(&login);
            // Not before: a client that leaves meanwhile ends this future, but not the work.
            drop(place);
            checked
        });
        let checked = checked.await;
        checked.unwrap_or(Checked::Unavailable)
    }
}

/// Users by name.
#[derive(Debug)]
pub struct Users {
    by_name: HashMap<String, User>,
    /// What an unknown name is checked against: as dear as the dearest of the file, so that it takes no less time.
    decoy: PasswordHash,
}

#[derive(Debug)]
struct User {
    hash: PasswordHash,
    tenant: Option<Tenant>,
}

impl Users {
    /// Reads a file's content.
    ///
    /// # Errors
    /// Every line that is no user.
    pub fn parse(bytes: &[u8]) -> Result<Self, Vec<ListFault>> {
        let mut by_name = HashMap::new();
        let mut faults = Vec::new();
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        for (index, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            let text = std::str::from_utf8(line);
            let read = text.map_err(|_| "not UTF-8".to_owned()).and_then(user);
            let why = match read {
                Ok(None) => continue,
                Ok(Some((name, user))) if !by_name.contains_key(name) => {
                    by_name.insert(name.to_owned(), user);
                    continue;
                }
                Ok(Some(_)) => "a second line for this name".to_owned(),
                Err(why) => why,
            };
            // A line without a colon may be a password.
            let name = text.ok().and_then(|text| text.split_once(':')).map_or("", |(name, _)| name);
            let text = name.chars().take(NAME_MAX).collect();
            faults.push(ListFault { line: index + 1, text, why });
            if faults.len() == FAULTS_MAX {
                break;
            }
        }
        let dearest = by_name.values().max_by_key(|user| price(&user.hash));
        let decoy = dearest.map_or_else(|| PasswordHash::new(NOBODY), |user| Ok(user.hash.clone()));
        match decoy {
            Ok(decoy) if faults.is_empty() => Ok(Self { by_name, decoy }),
            Ok(_) | Err(_) => Err(faults),
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.by_name.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    /// Checks one login; takes as long for a name that is not there.
    pub fn check(&self, login: &Login) -> Checked {
        let user = self.by_name.get(&login.user);
        let hash = user.map_or(&self.decoy, |user| &user.hash);
        let right = Argon2::default().verify_password(login.password.expose(), hash).is_ok();
        match user {
            Some(user) if right => Checked::Right(user.tenant.clone()),
            Some(_) | None => Checked::Wrong,
        }
    }
}

/// The user on a line; `None` for a blank line or a comment.
fn user(line: &str) -> Result<Option<(&str, User)>, String> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    let mut fields = line.split(':');
    let (Some(name), Some(hash)) = (fields.next(), fields.next()) else {
        return Err("expected NAME:HASH or NAME:HASH:TENANT".to_owned());
    };
    check_name(name)?;
    let hash = PasswordHash::new(hash).map_err(|_| format!("{HASH_WANTED}, in PHC form"))?;
    check_hash(&hash)?;
    let tenant = fields.next().map(Tenant::named).transpose()?;
    if fields.next().is_some() {
        return Err("too many fields: expected NAME:HASH or NAME:HASH:TENANT".to_owned());
    }
    Ok(Some((name, User { hash, tenant })))
}

const HASH_WANTED: &str = "expected an Argon2 hash such as `rcptgate credentials add` writes";

/// Whether this can be a user's name.
///
/// # Errors
/// Says why not.
pub fn check_name(name: &str) -> Result<(), String> {
    let odd = |character: char| character == ':' || character.is_control();
    if !(1..=NAME_MAX).contains(&name.len()) || name.contains(odd) {
        return Err("expected a name of 1 to 255 octets without a colon".to_owned());
    }
    if name.trim() != name || name.starts_with('#') {
        return Err("a name neither begins with # nor begins or ends with a space".to_owned());
    }
    Ok(())
}

fn check_hash(hash: &PasswordHash) -> Result<(), String> {
    let whole = hash.salt.is_some() && hash.hash.is_some();
    if Algorithm::new(hash.algorithm.as_str()).is_err() || !whole {
        return Err(HASH_WANTED.to_owned());
    }
    let params = Params::try_from(hash).map_err(|_| "Argon2 does not take these parameters")?;
    if params.m_cost() > MEMORY_MAX {
        return Err("a hash may ask for 256 MiB of memory at most (m=262144)".to_owned());
    }
    Ok(())
}

fn price(hash: &PasswordHash) -> u64 {
    let params = Params::try_from(hash).unwrap_or_default();
    u64::from(params.m_cost()) * u64::from(params.t_cost())
}

/// Hashes a password anew, with the parameters that OWASP names for Argon2id (19 MiB, two passes).
///
/// # Errors
/// The system has no random numbers, or the password is longer than Argon2 takes.
pub fn hash(password: &[u8]) -> io::Result<String> {
    let mut salt = [0; 16];
    getrandom::fill(&mut salt).map_err(|error| io::Error::other(error.to_string()))?;
    let hash: PasswordHash = Argon2::default()
        .hash_password_with_salt(password, &salt)
        .map_err(|error| io::Error::other(error.to_string()))?;
    Ok(hash.to_string())
}

/// Whether everybody on this machine can read the file: hashes can be tried at leisure.
pub fn readable_by_everyone(file: &Path) -> bool {
    fs::metadata(file).is_ok_and(|about| about.permissions().mode() & 0o004 != 0)
}

fn read(file: &Path) -> Result<Users, CredentialsFault> {
    let unread = |error| CredentialsFault::File { file: file.to_owned(), error };
    let mut content = Vec::new();
    // Opening a pipe would wait for its other end.
    if !fs::metadata(file).map_err(unread)?.is_file() {
        return Err(unread(io::Error::other("not a regular file")));
    }
    let opened = File::open(file).map_err(unread)?;
    opened.take(FILE_MAX + 1).read_to_end(&mut content).map_err(unread)?;
    if content.len() as u64 > FILE_MAX {
        return Err(unread(io::Error::other("larger than 16 MiB")));
    }
    Users::parse(&content)
        .map_err(|faults| CredentialsFault::Lines { file: file.to_owned(), faults })
}

#[cfg(test)]
mod tests;
