//! Tells when files change. The only user of `notify`.
//!
//! What is watched is the folders, not the files: editors rename a new file over the old one, Kubernetes swaps a symbolic link.
//! Any stir in a folder makes the watch compare contents, so a file written twice with the same text is no change, and a
//! file that is being written is waited out: its content must hold still for a moment before anyone is told.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hasher as _};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::thread::JoinHandle;
use std::time::Duration;

use notify::event::{AccessKind, AccessMode, EventKind};
use notify::{RecursiveMode, Watcher as _};

/// How long a content must hold still to count as whole.
const SETTLE: Duration = Duration::from_millis(250);
/// Looks at a file that never holds still before it is taken as it is; a minute in all.
const LOOKS_MAX: usize = 240;
/// Octets of a file that are looked at.
const FILE_MAX: u64 = 64 << 20;
/// How often to look when the system tells nothing.
const POLL: Duration = Duration::from_secs(3);
/// How often to look even so: a folder that was itself replaced tells nothing more.
const RECHECK: Duration = Duration::from_secs(60);

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// These files have other contents than before, or came, or went.
    Files(Vec<PathBuf>),
    /// Somebody asked to read everything again (SIGHUP), changed or not.
    Asked,
}

/// What the thread is to do when it wakes; a wake alone means: look.
#[derive(Debug, Default)]
struct Wishes {
    asked: AtomicBool,
    stop: AtomicBool,
}

/// A running watch; ends when dropped, and then nothing of it is left, [`Watch::start`]'s closure included.
#[derive(Debug)]
pub struct Watch {
    wishes: Arc<Wishes>,
    wake: SyncSender<()>,
    /// `None` only while it is dropped.
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    /// Watches `files`, which need not exist yet, and calls `on_change` from a thread of its own, one call at a time. What is
    /// in the files now is the state that changes are told against: start the watch, then read the files.
    ///
    /// # Errors
    /// When the thread cannot be started. A system that cannot tell (inotify limits) is no error: the files are then looked
    /// at every three seconds.
    pub fn start(
        files: Vec<PathBuf>,
        on_change: impl FnMut(Change) + Send + 'static,
    ) -> std::io::Result<Self> {
        // One wake waiting stands for all that follow.
        let (wake, woken) = mpsc::sync_channel(1);
        let wishes = Arc::new(Wishes::default());
        let folders = Folders::watch(&files, wake.clone());
        let seen = prints(&files);
        let watcher =
            Watcher { files, seen, folders, wishes: Arc::clone(&wishes), woken, on_change };
        let thread = std::thread::Builder::new().name("watch".to_owned());
        let thread = Some(thread.spawn(move || watcher.run())?);
        Ok(Self { wishes, wake, thread })
    }

    /// Asks for everything to be read again.
    pub fn poke(&self) {
        self.wishes.asked.store(true, Ordering::Release);
        _ = self.wake.try_send(());
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.wishes.stop.store(true, Ordering::Release);
        _ = self.wake.try_send(());
        if let Some(thread) = self.thread.take() {
            // A panic of the closure was reported where it happened.
            _ = thread.join();
        }
    }
}

struct Watcher<F> {
    files: Vec<PathBuf>,
    seen: Vec<Print>,
    folders: Folders,
    wishes: Arc<Wishes>,
    woken: Receiver<()>,
    on_change: F,
}

impl<F: FnMut(Change)> Watcher<F> {
    fn run(mut self) {
        let mut again = false;
        loop {
            // However the wait ends, it is time to look.
            if !again {
                _ = self.woken.recv_timeout(self.folders.patience());
            }
            if self.wishes.stop.load(Ordering::Acquire) {
                return;
            }
            let asked = self.wishes.asked.swap(false, Ordering::AcqRel);
            let now = settled(|| prints(&self.files), || self.pause(), &self.seen);
            if self.wishes.stop.load(Ordering::Acquire) {
                return;
            }
            let before = self.seen.iter().zip(&now).zip(&self.files);
            let changed: Vec<PathBuf> =
                before.filter(|((old, new), _)| old != new).map(|(_, file)| file.clone()).collect();
            self.seen = now;
            // A link may lead elsewhere now, and a folder may have come: what happened there before it was watched is looked
            // for once more.
            again = self.folders.follow(&self.files);
            if asked {
                (self.on_change)(Change::Asked);
            } else if !changed.is_empty() {
                (self.on_change)(Change::Files(changed));
            }
        }
    }
}

impl<F> Watcher<F> {
    /// Lets what is being written come to rest. Whoever ends the watch waits for its thread, so then there is no pause.
    fn pause(&self) {
        if !self.wishes.stop.load(Ordering::Acquire) {
            std::thread::sleep(SETTLE);
        }
    }
}

/// A file's content in short; `None` when it cannot be read.
type Print = Option<u64>;

fn prints(files: &[PathBuf]) -> Vec<Print> {
    let print = |file: &PathBuf| {
        let mut content = Vec::new();
        // Opening a pipe would wait for its other end.
        let readable = fs::metadata(file).is_ok_and(|about| about.is_file());
        let file = readable.then(|| File::open(file).ok())??;
        file.take(FILE_MAX).read_to_end(&mut content).ok()?;
        let mut hasher = DefaultHasher::new();
        hasher.write(&content);
        Some(hasher.finish())
    };
    files.iter().map(print).collect()
}

/// Looks until two looks in a row see the same. What is as it was `before` needs no second look.
fn settled(
    mut look: impl FnMut() -> Vec<Print>,
    mut pause: impl FnMut(),
    before: &[Print],
) -> Vec<Print> {
    let mut last = look();
    if last == before {
        return last;
    }
    for _ in 0..LOOKS_MAX {
        pause();
        let next = look();
        if next == last {
            break;
        }
        last = next;
    }
    last
}

/// The folders that the system watches for us.
struct Folders {
    system: Option<notify::RecommendedWatcher>,
    watched: BTreeSet<PathBuf>,
}

impl Folders {
    fn watch(files: &[PathBuf], wake: SyncSender<()>) -> Self {
        let told = move |event: notify::Result<notify::Event>| {
            if event.map_or(true, |event| writes(event.kind)) {
                _ = wake.try_send(());
            }
        };
        let system = notify::recommended_watcher(told);
        if let Err(error) = &system {
            polling(error);
        }
        let mut folders = Self { system: system.ok(), watched: BTreeSet::new() };
        folders.follow(files);
        folders
    }

    const fn patience(&self) -> Duration {
        if self.system.is_some() { RECHECK } else { POLL }
    }

    /// Watches where the files are now; whether that is somewhere new.
    fn follow(&mut self, files: &[PathBuf]) -> bool {
        let Some(system) = &mut self.system else { return false };
        let wanted: BTreeSet<PathBuf> = files.iter().flat_map(|file| folders_of(file)).collect();
        for gone in self.watched.difference(&wanted) {
            _ = system.unwatch(gone);
        }
        let moved = !wanted.is_subset(&self.watched);
        let mut failed = None;
        for folder in wanted.difference(&self.watched) {
            // A folder that is not there yet is found by the recheck.
            if let Err(error) = system.watch(folder, RecursiveMode::NonRecursive) {
                failed = folder.is_dir().then_some(error).or(failed);
            }
        }
        self.watched = wanted;
        if let Some(error) = failed {
            polling(&error);
            self.system = None;
        }
        moved
    }
}

fn polling(error: &notify::Error) {
    tracing::warn!(event = "watch", result = "polling", error = %error);
}

/// Where the file is named, and where it is if that name is a link.
fn folders_of(file: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    let named = file.parent().map(|folder| {
        if folder.as_os_str().is_empty() { PathBuf::from(".") } else { folder.to_owned() }
    });
    let real = fs::canonicalize(file).ok().and_then(|file| file.parent().map(Path::to_owned));
    named.into_iter().chain(real).filter(|folder| folder.is_dir())
}

/// Whether an event can mean other contents. Reading is an event too: to look because somebody looked would never end.
const fn writes(kind: EventKind) -> bool {
    !matches!(kind, EventKind::Access(access) if !matches!(access, AccessKind::Close(AccessMode::Write)))
}

#[cfg(test)]
mod tests;
