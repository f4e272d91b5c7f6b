//! Policies on disk, so that a restart is no chance for an attacker: a JSON file for each domain, replaced at once.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::routing::sts::{Cached, Policy, PolicyId, TEXT_MAX, is_host_name};
use crate::time::Timestamp;

/// Longest file, in octets: a policy, and what JSON adds to each of its lines.
const FILE_MAX: u64 = 4 * TEXT_MAX as u64;
/// How the name of a policy's file ends. Before it comes the domain, lower-case letters, digits, `-`, `_` and `.` between them, of
/// 245 octets at most: no name can lead elsewhere, or be too long.
const END: &str = ".json";
/// How the name of a file ends that is not yet whole.
const NEW: &str = ".new";

/// The folder. Clones are the same one.
#[derive(Clone, Debug)]
pub(super) struct Folder {
    path: Arc<Path>,
}

#[derive(Serialize, Deserialize)]
struct Kept {
    domain: String,
    id: String,
    fetched: Timestamp,
    policy: String,
}

impl Folder {
    /// The folder, made if missing, and what is in it and in force. What has ended, is damaged or was never finished is taken away;
    /// files of other names stay.
    pub(super) fn open(path: &Path, now: Timestamp) -> io::Result<(Self, Vec<(String, Cached)>)> {
        fs::create_dir_all(path)?;
        let folder = Self { path: path.into() };
        let mut kept = Vec::new();
        for entry in fs::read_dir(path)? {
            let name = entry?.file_name();
            let Some(name) = name.to_str() else { continue };
            if let Some(domain) = name.strip_suffix(END).filter(|domain| is_host_name(domain)) {
                match folder.read(domain, now) {
                    Some(cached) => kept.push((domain.to_owned(), cached)),
                    None => folder.forget(domain),
                }
            } else if name.strip_suffix(NEW).is_some_and(is_host_name) {
                remove(&path.join(name));
            }
        }
        Ok((folder, kept))
    }

    /// Writes a policy down, on a thread where it holds nobody up.
    pub(super) async fn keep(&self, domain: &str, cached: &Cached) -> io::Result<()> {
        let kept = Kept {
            domain: domain.to_owned(),
            id: cached.id.to_string(),
            fetched: cached.fetched,
            policy: cached.policy.to_string(),
        };
        let (new, file) = (self.path.join(format!("{domain}{NEW}")), self.file(domain));
        let folder = Arc::clone(&self.path);
        let write = move || {
            let mut out = OpenOptions::new().create(true).write(true).truncate(true).open(&new)?;
            out.write_all(&serde_json::to_vec(&kept)?)?;
            out.sync_all()?;
            fs::rename(&new, &file)?;
            // The name is on disk only once its folder is.
            File::open(folder)?.sync_all()
        };
        tokio::task::spawn_blocking(write).await.map_err(io::Error::other)?
    }

    /// Takes a policy away.
    pub(super) fn forget(&self, domain: &str) {
        remove(&self.file(domain));
    }

    fn file(&self, domain: &str) -> PathBuf {
        self.path.join(format!("{domain}{END}"))
    }

    /// A policy that is whole and in force.
    fn read(&self, domain: &str, now: Timestamp) -> Option<Cached> {
        let mut text = Vec::new();
        File::open(self.file(domain)).ok()?.take(FILE_MAX).read_to_end(&mut text).ok()?;
        let kept: Kept = serde_json::from_slice(&text).ok()?;
        let policy = Arc::new(Policy::parse(kept.policy.as_bytes()).ok()?);
        // A clock that was ahead would have it last for ever.
        let fetched = kept.fetched.min(now);
        let cached = Cached { id: PolicyId::new(&kept.id)?, policy, fetched };
        (kept.domain == domain && cached.applies(now)).then_some(cached)
    }
}

/// What cannot be taken away is no use to anybody, and looked at again at the next start.
fn remove(file: &Path) {
    _ = fs::remove_file(file);
}
