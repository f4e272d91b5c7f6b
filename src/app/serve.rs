//! `serve`: the gate of a configuration file, until a signal ends it.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::certificates::Certificates;
use super::ways::Ways;
use super::{Running, build, replace_lists, trust};
use crate::admin;
use crate::config::{self, LiveLists, LiveRules, Reload, Settings};
use crate::credentials::{self, Account, Credentials, CredentialsFault};
use crate::failure::Failure;
use crate::log;
use crate::store::StoreError;
use crate::store::lock::DataLock;
use crate::watch::Watch;

/// Faults of one file that are logged at a reload; `rcptgate check` tells all.
pub(super) const LOGGED_MAX: usize = 20;

/// Runs the gate. Returns when it has been told to end and everything under way is done.
///
/// # Errors
/// The configuration is wrong, the store cannot be opened, or a listener cannot be bound.
pub fn serve(config_path: Option<&Path>) -> Result<(), Failure> {
    let file = config::find(config_path).map_err(|error| build::faults(&[error]))?;
    let (settings, rules) = config::load_all(&file).map_err(|errors| build::faults(&errors))?;
    let log = log::start(settings.log.format, settings.log.level)
        .map_err(|error| Failure::Internal(error.to_string()))?;
    let descriptors = super::raise_descriptors();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(run(&settings, rules, descriptors, log.writer()))
}

async fn run(
    settings: &Settings,
    rules: LiveRules,
    descriptors: Option<u64>,
    log: &log::Writer,
) -> Result<(), Failure> {
    let (mut parts, lists) = build::parts(settings, &rules)?;
    afford(&mut parts, descriptors);
    trust::tell(settings);
    // Bound before the gate is opened: a port that is taken is told at once, not after a long rebuild.
    let admin_listener = match settings.admin.listen {
        Some(address) => Some(bind_admin(address, &settings.data_dir).await?),
        None => None,
    };
    let mut ends = Ends::watch()?;
    let running = Running::start(parts, progress()).await?;
    opened(&running);
    let live = Arc::new(Mutex::new(Live { lists, rules }));
    let watch = watch(settings, &running, &live)?;
    let doors = settings.listen.iter().zip(&running.doors);
    let mut listening: Vec<_> =
        doors.map(|(listen, address)| format!("{}={address}", listen.protocol.name())).collect();
    if let Some(listener) = admin_listener {
        listening.push(format!("admin={}", listener.local_addr()?));
        start_admin(settings, &running, listener, &live, log)?;
    }
    ready(&listening.join(" "));
    ends.first(&watch).await;
    tracing::info!(event = "stop", result = "draining");
    let _ = sd_notify::notify(&[sd_notify::NotifyState::Stopping]);
    running.stop(ends.second(&watch)).await;
    tracing::info!(event = "stop", result = "done");
    Ok(())
}

/// Lowers the listeners' limits to what the descriptors allow, and says so.
fn afford(parts: &mut super::Parts, descriptors: Option<u64>) {
    let wanted: Vec<_> = parts.doors.iter().map(|(_, door)| door.connections).collect();
    if let Some(descriptors) = descriptors {
        // What is kept takes from what is in use, and never much.
        let most = usize::try_from(descriptors / 8).unwrap_or(usize::MAX);
        parts.pool.connections = parts.pool.connections.min(most);
    }
    let left = descriptors.map(|all| all.saturating_sub(parts.pool.connections as u64));
    let affordable = super::affordable(&wanted, left);
    for ((address, door), affordable) in parts.doors.iter_mut().zip(affordable) {
        if affordable < door.connections {
            tracing::warn!(
                event = "descriptors",
                listen = %address,
                limit = descriptors,
                wanted = door.connections,
                connections = affordable,
                error = "too few file descriptors for limits.connections: raise LimitNOFILE",
            );
            door.connections = affordable;
        }
    }
}

async fn bind_admin(
    address: std::net::SocketAddr,
    data_dir: &Path,
) -> Result<TcpListener, Failure> {
    TcpListener::bind(address).await.map_err(|error| {
        // Mostly it is this very gate, started twice: then that is what to say.
        match DataLock::take(data_dir, Duration::ZERO) {
            Err(busy @ StoreError::Locked { .. }) => Failure::Temporary(busy.to_string()),
            Ok(_) | Err(_) => Failure::Io(format!("cannot listen on {address}: {error}")),
        }
    })
}

fn start_admin(
    settings: &Settings,
    running: &Running,
    listener: TcpListener,
    live: &Arc<Mutex<Live>>,
    log: &log::Writer,
) -> Result<(), Failure> {
    let token = admin::token::load_or_create(&settings.data_dir)
        .map_err(|error| Failure::Io(error.to_string()))?;
    // For commands that find the gate on their own. Mail does not depend on it: a full disk must not keep the gate from starting.
    if let Err(error) = admin::address::note(&settings.data_dir, listener.local_addr()?) {
        tracing::warn!(event = "admin", result = "address_not_noted", error = %error);
    }
    let (gate, live) = (running.gate.clone(), Arc::clone(live));
    let shown = running.addresses;
    let reload: admin::Reload = Arc::new(move || reload(&gate, &live));
    let trusted = settings.import_sources.iter().filter(|source| source.trust);
    let trusted = trusted.map(|source| source.name.clone()).collect();
    let api = admin::Api::new(running.gate.clone(), Arc::clone(&running.metrics), token, reload)
        .with_trusted(trusted)
        .with_log(log.clone(), shown)
        .with_tally(running.tally.clone(), build::alerts(settings));
    let halt = running.halt.clone();
    tokio::spawn(async move {
        if let Err(error) = admin::serve(listener, api, halt.cancelled_owned()).await {
            tracing::error!(event = "admin", result = "failed", error = %error);
        }
    });
    Ok(())
}

/// Watches lists, rules, certificates and routes, and puts them in force when they change.
fn watch(
    settings: &Settings,
    running: &Running,
    live: &Arc<Mutex<Live>>,
) -> Result<Watch, Failure> {
    let mut files = live.lock().unwrap_or_else(PoisonError::into_inner).files();
    let certificates = Certificates {
        listeners: running.certificates.clone(),
        routes: running.routes.clone(),
        metrics: Arc::clone(&running.metrics),
    };
    files.extend(certificates.files());
    tokio::spawn(certificates.clone().keep_looking());
    let (gate, metrics, live) =
        (running.gate.clone(), Arc::clone(&running.metrics), Arc::clone(live));
    files.extend(running.credentials.iter().map(Credentials::file));
    files.extend(running.routes.accounts().iter().map(Account::file));
    files.push(settings.file.clone());
    let (routes, credentials) = (running.routes.clone(), running.credentials.clone());
    let mut ways = Ways::new(settings.clone(), running.routes.clone());
    let watch = Watch::start(files, move |_change| {
        let read = reload(&gate, &live).is_ok();
        let certificates = certificates.reload();
        let users = credentials.iter().filter(|one| !reload_credentials(one)).count() == 0;
        let password = routes.accounts().iter().filter(|one| !reload_account(one)).count() == 0;
        let ways = ways.reload();
        metrics.reloaded(if read && certificates && users && password && ways {
            "swapped"
        } else {
            "kept"
        });
    })?;
    // What changed while the gate was being opened, which may take minutes, is read now.
    watch.poke();
    Ok(watch)
}

/// Reads the users again; the old ones stay in force when the file has a fault.
fn reload_credentials(credentials: &Credentials) -> bool {
    let file = credentials.file();
    warn_if_readable(&file);
    match credentials.reload() {
        Ok(users) => {
            tracing::info!(event = "reload", result = "swapped", file = %file.display(), users);
            true
        }
        Err(CredentialsFault::Lines { file, faults }) => {
            for fault in faults.iter().take(LOGGED_MAX) {
                tracing::error!(
                    event = "reload",
                    result = "kept",
                    file = %file.display(),
                    line = fault.line,
                    error = fault.why,
                    faults = faults.len(),
                );
            }
            false
        }
        Err(fault @ CredentialsFault::File { .. }) => {
            tracing::error!(event = "reload", result = "kept", file = %file.display(), error = %fault);
            false
        }
    }
}

/// Reads the password again; the old one stays in force when the file has a fault.
fn reload_account(account: &Account) -> bool {
    let file = account.file();
    warn_if_readable(&file);
    let fault = account.reload().err();
    if let Some(fault) = &fault {
        tracing::error!(event = "reload", result = "kept", file = %file.display(), error = %fault);
    }
    fault.is_none()
}

/// Secrets are nobody's business; what is wrong with that is told again at each reload.
fn warn_if_readable(file: &Path) {
    if credentials::readable_by_everyone(file) {
        tracing::warn!(
            event = "reload",
            result = "readable",
            file = %file.display(),
            error = "everybody on this machine can read passwords or their hashes: chmod o-r",
        );
    }
}

/// What is read again as a whole when a file of it changes.
struct Live {
    lists: LiveLists,
    rules: LiveRules,
}

impl Live {
    /// The files to watch.
    fn files(&self) -> Vec<PathBuf> {
        self.lists.files().into_iter().chain(self.rules.file().cloned()).collect()
    }
}

/// Reads lists and rules again; one whose file has a fault stays as it was.
fn reload(gate: &crate::gate::Gate, live: &Mutex<Live>) -> Result<(), String> {
    let mut live = live.lock().unwrap_or_else(PoisonError::into_inner);
    let lists = live.lists.reload();
    replace_lists(gate, &live.lists.current().load_full());
    let mut faults = match lists {
        Reload::Swapped => Vec::new(),
        Reload::Kept(faults) => faults,
    };
    // In force before the log says so.
    match live.rules.reload(|rules| gate.set_classifier(rules)) {
        Ok(()) => {}
        Err(more) => faults.extend(more),
    }
    if faults.is_empty() { Ok(()) } else { Err(config::listed(&faults)) }
}

/// A bar for the rebuild of an index, which may take minutes; shown only to a person.
fn progress() -> impl FnMut(u64, u64) {
    let bar = indicatif::ProgressBar::new(0);
    bar.set_style(
        indicatif::ProgressStyle::with_template("rebuilding {bar:40} {bytes}/{total_bytes} {eta}")
            .unwrap_or_else(|_| indicatif::ProgressStyle::default_bar()),
    );
    move |done, total| {
        bar.set_length(total);
        bar.set_position(done);
        if done >= total {
            bar.finish_and_clear();
        }
    }
}

fn opened(running: &Running) {
    let report = &running.report;
    tracing::info!(
        event = "store",
        result = "open",
        records = report.records,
        replayed = report.replayed,
        last_seq = report.last_seq,
    );
}

/// Tells whoever waits: the log, a script that reads standard output, systemd.
fn ready(listening: &str) {
    tracing::info!(event = "ready", listening, version = env!("CARGO_PKG_VERSION"));
    let _ = sd_notify::notify(&[sd_notify::NotifyState::Ready]);
    let _ = std::io::stdout().flush();
}

/// The signals that end the program, and the one that makes it read its files again.
struct Ends {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Ends {
    fn watch() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    /// Returns at a signal to end.
    async fn first(&mut self, watch: &Watch) {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return,
                _ = self.interrupt.recv() => return,
                _ = self.hang_up.recv() => watch.poke(),
            }
        }
    }

    async fn second(&mut self, watch: &Watch) {
        self.first(watch).await;
        tracing::warn!(event = "stop", result = "hurried");
    }
}
