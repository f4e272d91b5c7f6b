//! What a configuration says, as plain values. Paths are as they are to be opened.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};

use ipnet::IpNet;
use tracing_subscriber::filter::LevelFilter;

use crate::attribution::{Keys, Tenants};
use crate::event::Tenant;
use crate::log::Format;
use crate::smtp::extensions::Extension;

pub use super::bounds::{
    LimitSettings, OnStoreFailure, Recording, ReportSettings, StoreSettings, TimeoutSettings,
};
pub use super::ways::DownstreamSettings;
use super::ways::WaySettings;

/// Everything that the configuration says.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// The configuration file.
    pub file: PathBuf,
    /// The name in the greeting and in EHLO.
    pub hostname: String,
    /// Where the journal, the store and the secrets are.
    pub data_dir: PathBuf,
    /// Where clients come in; at least one.
    pub listen: Vec<ListenSettings>,
    /// Where mail to some domains goes, in order.
    pub routes: Vec<WaySettings>,
    /// By what tenants are known, where a listener does not say.
    pub tenants: Tenants,
    /// By what messages and campaigns are known.
    pub keys: Keys,
    /// Where all other mail goes.
    pub downstream: DownstreamSettings,
    /// How names are looked up.
    pub dns: DnsSettings,
    /// The list files.
    pub lists: ListPaths,
    /// The policy.
    pub policy: PolicyChoice,
    /// How replies are read.
    pub classification: ClassificationSettings,
    /// The HTTP side.
    pub admin: AdminSettings,
    /// The log.
    pub log: LogSettings,
    /// Bounds on what peers may do.
    pub limits: LimitSettings,
    /// Bounds on how long they may take.
    pub timeouts: TimeoutSettings,
    /// What is kept, and how.
    pub store: StoreSettings,
    /// What is counted for reports.
    pub report: ReportSettings,
    /// Systems whose lists may be imported.
    pub import_sources: Vec<ImportSource>,
}

impl Settings {
    /// What holds for a configuration file that says nothing.
    pub fn defaults(file: &Path) -> Self {
        Self {
            file: file.to_owned(),
            hostname: "localhost".to_owned(),
            data_dir: beside(file, "../data"),
            listen: vec![ListenSettings::default()],
            routes: Vec::new(),
            tenants: Tenants::default(),
            keys: Keys::default(),
            downstream: DownstreamSettings::default(),
            dns: DnsSettings::default(),
            lists: ListPaths::defaults(file),
            policy: PolicyChoice::default(),
            classification: ClassificationSettings::default(),
            admin: AdminSettings::default(),
            log: LogSettings::default(),
            limits: LimitSettings::default(),
            timeouts: TimeoutSettings::default(),
            store: StoreSettings::default(),
            report: ReportSettings::default(),
            import_sources: Vec::new(),
        }
    }
}

/// `[[import_source]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportSource {
    /// What it is called, a plain word.
    pub name: String,
    /// Whether its lists are believed.
    pub trust: bool,
}

/// A path as a configuration file means it: relative to the file's own folder.
pub(super) fn beside(file: &Path, path: impl AsRef<Path>) -> PathBuf {
    file.parent().map_or_else(|| path.as_ref().to_owned(), |folder| folder.join(path.as_ref()))
}

/// `[[listen]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenSettings {
    /// Where to listen. Port 0 lets the system choose.
    pub address: SocketAddr,
    /// Who may relay.
    pub clients: Vec<IpNet>,
    /// Whose XFORWARD is believed.
    pub xforward: Vec<IpNet>,
    /// Whose XCLIENT is believed.
    pub xclient: Vec<IpNet>,
    /// Load balancers that begin each connection with a PROXY header.
    pub proxy_protocol: Vec<IpNet>,
    /// Extensions that are not offered to clients.
    pub withhold: Vec<Extension>,
    /// On whose account; without, `tenants` decide.
    pub tenant: Option<Tenant>,
    /// What is spoken there.
    pub protocol: ListenProtocol,
    /// TLS towards the clients.
    pub tls: ListenTls,
    /// Whether clients may log in, and who checks it.
    pub auth: ListenAuth,
    /// Whether nobody sends mail without having logged in.
    pub auth_required: bool,
    /// The users, with `auth = "local"`.
    pub credentials: Option<PathBuf>,
    /// The chain and its key, both PEM; there unless TLS is off.
    pub certificate: Option<(PathBuf, PathBuf)>,
}

/// What is spoken at a listener.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ListenProtocol {
    /// SMTP.
    #[default]
    Smtp,
    /// LMTP: a final reply for each recipient.
    Lmtp,
}

impl ListenProtocol {
    /// As the configuration has it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Smtp => "smtp",
            Self::Lmtp => "lmtp",
        }
    }
}

/// TLS towards the clients.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ListenTls {
    /// None.
    #[default]
    Off,
    /// STARTTLS is offered.
    Starttls,
    /// STARTTLS is offered, and no mail goes without it.
    Required,
    /// From the first byte.
    Implicit,
}

/// Whether clients may log in, and who checks it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ListenAuth {
    /// Nobody: AUTH is not offered.
    #[default]
    Off,
    /// The gate, against its list of users.
    Local,
    /// The next hop.
    Relay,
}

impl Default for ListenSettings {
    fn default() -> Self {
        Self {
            address: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 2525),
            clients: loopback(),
            xforward: loopback(),
            xclient: Vec::new(),
            proxy_protocol: Vec::new(),
            withhold: Vec::new(),
            tenant: None,
            protocol: ListenProtocol::default(),
            tls: ListenTls::default(),
            auth: ListenAuth::default(),
            auth_required: false,
            credentials: None,
            certificate: None,
        }
    }
}

/// `127.0.0.0/8` and `::1/128`.
fn loopback() -> Vec<IpNet> {
    let v4 = IpNet::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8).map(|network| network.trunc());
    v4.into_iter().chain([IpNet::from(IpAddr::V6(Ipv6Addr::LOCALHOST))]).collect()
}

/// `[dns]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DnsSettings {
    /// Name servers; the system's when empty.
    pub servers: Vec<SocketAddr>,
    /// Whether their word on what is signed is taken; when nothing is said, if all of them are on this machine.
    pub dnssec: Option<DnssecChoice>,
}

/// Whether a name server's word on what is signed is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DnssecChoice {
    /// Never.
    Off,
    /// The AD bit is believed: the servers validate, and nobody sits between them and the gate.
    TrustAd,
}

/// `[lists]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListPaths {
    /// The operator's disposable domains.
    pub disposable: ListFile,
    /// Whether the built-in disposable list is in use.
    pub builtin_disposable: bool,
    /// Trusted domains.
    pub trusted: ListFile,
    /// Recipients that are never refused.
    pub allow: ListFile,
}

impl ListPaths {
    pub(super) fn defaults(file: &Path) -> Self {
        let default = |name: &str| ListFile { path: beside(file, name), required: false };
        Self {
            disposable: default("disposable-domains.txt"),
            builtin_disposable: true,
            trusted: default("trusted-domains.txt"),
            allow: default("allow.txt"),
        }
    }

    /// The files to watch.
    pub fn files(&self) -> Vec<PathBuf> {
        [&self.disposable, &self.trusted, &self.allow].map(|list| list.path.clone()).to_vec()
    }
}

/// Where a list is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListFile {
    /// The file.
    pub path: PathBuf,
    /// Whether the configuration names it, so that it must be there; else its absence stands for the built-in default.
    pub required: bool,
}

/// `[policy]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyChoice {
    /// Where the numbers come from.
    pub source: PolicySource,
    /// Whether verdicts are carried out.
    pub mode: Mode,
}

impl Default for PolicyChoice {
    fn default() -> Self {
        Self { source: PolicySource::Preset("quarantine".to_owned()), mode: Mode::Enforce }
    }
}

/// Where a policy's numbers come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PolicySource {
    /// A preset of that name.
    Preset(String),
    /// A file.
    File(PathBuf),
}

/// Whether verdicts are carried out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Refuse what is to be refused.
    #[default]
    Enforce,
    /// Decide, log, count and learn, but forward everything.
    Monitor,
}

/// `[classification]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClassificationSettings {
    /// The operator's own rules, asked before the built-in ones.
    pub file: Option<PathBuf>,
}

/// `[admin]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdminSettings {
    /// Where to listen; not at all if `None`.
    pub listen: Option<SocketAddr>,
}

impl Default for AdminSettings {
    fn default() -> Self {
        Self { listen: Some(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8025)) }
    }
}

/// `[log]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogSettings {
    /// How a line is written.
    pub format: Format,
    /// The least important events that are written.
    pub level: LevelFilter,
    /// How much of an address is shown.
    pub addresses: AddressForm,
}

impl Default for LogSettings {
    fn default() -> Self {
        Self {
            format: Format::default(),
            level: LevelFilter::INFO,
            addresses: AddressForm::default(),
        }
    }
}

/// How much of an address the log shows; `log::Addresses` once the secret for hashes is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AddressForm {
    /// All of it.
    #[default]
    Full,
    /// Its domain.
    Domain,
    /// A keyed hash.
    Hash,
}
