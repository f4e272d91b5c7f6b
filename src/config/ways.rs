//! The ways out: `[downstream]`, and a `[[route]]` for each set of domains that goes elsewhere. Both have the same keys.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use ipnet::IpNet;

use super::reader::Table;
use super::settings::beside;
use super::values::{HostPort, not_empty, parse_host_port, parse_network};
use crate::credentials::check_name;
use crate::lists::domain_entry;
use crate::session::TellClient;

/// `[downstream]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DownstreamSettings {
    /// The way out for all that no `[[route]]` takes.
    pub way: WaySettings,
    /// What next hops are told of the client.
    pub tell_client: TellClient,
    /// Networks that mail by `mx` never goes to; the built-in ones when `None`.
    pub refused_networks: Option<Vec<IpNet>>,
    /// Where policies of MTA-STS are fetched.
    pub sts: StsSettings,
}

/// Where policies of MTA-STS are fetched: other than the standard says only in tests and behind a private CA.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StsSettings {
    /// 443 but for tests.
    pub port: u16,
    /// Certificates to trust; the system's when `None`.
    pub ca: Option<PathBuf>,
}

impl Default for StsSettings {
    fn default() -> Self {
        Self { port: 443, ca: None }
    }
}

/// One way out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WaySettings {
    /// Recipient domains as keys, sub-domains included; none in `[downstream]`.
    pub domains: Vec<String>,
    /// How the next hop is found.
    pub route: RouteKind,
    /// What is spoken there.
    pub lmtp: bool,
    /// TLS towards it.
    pub tls: DownstreamTls,
    /// Certificates to trust where one must be proved; the system's when `None`.
    pub ca: Option<PathBuf>,
    /// What it is shown when it asks for a certificate: the chain and its key, both PEM.
    pub certificate: Option<(PathBuf, PathBuf)>,
    /// The gate's own login there: a name, and the file of its password.
    pub login: Option<(String, PathBuf)>,
    /// Whether TLSA records decide; when nothing is said, if look-ups can be trusted. `mx` only.
    pub dane: Option<bool>,
    /// Whether published policies decide; they do when nothing is said. `mx` only.
    pub mta_sts: Option<bool>,
    /// Whether an address in place of a domain is delivered to; `mx` only.
    pub address_literals: bool,
    /// Where connections come from.
    pub source: SourceSettings,
    /// Connections in use at once; as many as there are when `None`.
    pub concurrency: Option<usize>,
}

/// How the next hop is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RouteKind {
    /// These, tried in order; at least one.
    Fixed(Vec<HostPort>),
    /// The mail hosts of the recipient's domain, at this port.
    Mx(u16),
    /// Where the client was going.
    Original,
}

impl Default for RouteKind {
    fn default() -> Self {
        Self::Fixed(Vec::new())
    }
}

/// Where connections come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SourceSettings {
    /// The system's choice.
    #[default]
    Any,
    /// This address.
    Address(IpAddr),
    /// The client's own address.
    Client,
}

/// TLS towards the next hop.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DownstreamTls {
    /// Never.
    Off,
    /// If it is offered, whoever answers.
    #[default]
    Opportunistic,
    /// Always, whoever answers.
    Required,
    /// Always, and the certificate must prove the host's name.
    Verify,
}

impl DownstreamTls {
    /// As the configuration has it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Opportunistic => "opportunistic",
            Self::Required => "required",
            Self::Verify => "verify",
        }
    }

    /// Whether nothing goes in the clear.
    pub const fn is_certain(self) -> bool {
        match self {
            Self::Off | Self::Opportunistic => false,
            Self::Required | Self::Verify => true,
        }
    }
}

/// `[downstream]`.
pub(super) fn downstream(table: Table<'_, '_>, file: &Path) -> DownstreamSettings {
    let way = way(&table, file, Vec::new());
    let tell = [
        ("off", TellClient::Off),
        ("xforward", TellClient::Xforward),
        ("xclient", TellClient::Xclient),
    ];
    let tell_client = table.choice("tell_client", TellClient::default(), &tell, &[]);
    let refused_networks = table.parsed_list("refused_networks", parse_network);
    let default = StsSettings::default();
    let port = table.number("mta_sts_port", usize::from(default.port), 1..=65_535);
    let sts = StsSettings {
        port: u16::try_from(port).unwrap_or(default.port),
        ca: table.parsed("mta_sts_ca", |text| not_empty(text).map(|text| beside(file, text))),
    };
    table.done();
    DownstreamSettings { way, tell_client, refused_networks, sts }
}

/// One `[[route]]`.
pub(super) fn route(table: Table<'_, '_>, file: &Path) -> WaySettings {
    let domains = table.parsed_list("domains", domain_entry).unwrap_or_default();
    if !table.has("domains") || table.is_empty_list("domains") {
        table.fault("domains", "a route needs domains = [\"example.com\", ...]");
    }
    let way = way(&table, file, domains);
    table.done();
    way
}

fn way(table: &Table<'_, '_>, file: &Path, domains: Vec<String>) -> WaySettings {
    let path = |text: &str| not_empty(text).map(|text| beside(file, text));
    let rest = domains.is_empty() && !table.has("domains");
    let route = route_kind(table, rest);
    let tls = [
        ("off", DownstreamTls::Off),
        ("opportunistic", DownstreamTls::Opportunistic),
        ("required", DownstreamTls::Required),
        ("verify", DownstreamTls::Verify),
    ];
    let tls = table.choice("tls", DownstreamTls::default(), &tls, &[]);
    let ca = table.parsed("ca", path);
    if ca.is_some() && tls != DownstreamTls::Verify {
        table.fault("ca", "is used with tls = \"verify\" only");
    }
    let certificate = table.parsed("certificate", path).zip(table.parsed("key", path));
    if table.has("certificate") != table.has("key") {
        let given = if table.has("key") { "key" } else { "certificate" };
        table.fault(given, "certificate = \"FILE\" and key = \"FILE\" belong together, both PEM");
    } else if certificate.is_some() && tls == DownstreamTls::Off {
        table.fault("certificate", "is shown within TLS only; tls = \"off\" has none");
    }
    let is_mx = matches!(route, RouteKind::Mx(_));
    for key in ["dane", "mta_sts"] {
        if table.has(key) && !is_mx {
            table.fault(key, "is about mail hosts that are looked up: route = \"mx\" only");
        }
    }
    if is_mx && table.has("dane") && tls == DownstreamTls::Verify && table.boolean("dane", true) {
        table.fault(
            "dane",
            "tls = \"verify\" proves hosts by their certificates, not by TLSA records",
        );
    }
    let address_literals = table.boolean("address_literals", false);
    if address_literals && !is_mx {
        table.fault("address_literals", "is about recipients by route = \"mx\" only");
    }
    let protocols = [("smtp", false), ("lmtp", true)];
    let lmtp = table.choice("protocol", false, &protocols, &[]);
    if lmtp && !matches!(route, RouteKind::Fixed(_)) {
        table.fault("protocol", "LMTP is spoken with hosts of one's own: route = \"fixed\" only");
    }
    if tls == DownstreamTls::Verify && route == RouteKind::Original {
        table.fault("tls", "an address has no name to prove; \"required\" is the most there is");
    }
    let concurrency = table.has("concurrency").then(|| table.number("concurrency", 1, 1..=65_536));
    let asked = |key| table.has(key).then(|| table.boolean(key, true));
    WaySettings {
        domains,
        lmtp,
        tls,
        ca,
        certificate,
        login: login(table, tls, file),
        dane: asked("dane"),
        mta_sts: asked("mta_sts"),
        address_literals,
        source: table.parsed("source", source).unwrap_or_default(),
        concurrency,
        route,
    }
}

fn route_kind(table: &Table<'_, '_>, rest: bool) -> RouteKind {
    #[derive(Clone, Copy, PartialEq, Eq)]
    enum Kind {
        Fixed,
        Mx,
        Original,
    }
    let all = [("fixed", Kind::Fixed), ("mx", Kind::Mx), ("original", Kind::Original)];
    let kind = table.choice("route", Kind::Fixed, if rest { &all } else { &all[..2] }, &[]);
    let hosts = table.parsed_list("hosts", parse_host_port);
    let named = table.has("hosts") && !table.is_empty_list("hosts");
    if kind == Kind::Fixed && !named {
        table.fault("hosts", "route = \"fixed\" needs a host, such as [\"smtp.example.net:25\"]");
    } else if kind != Kind::Fixed && named {
        table.fault("hosts", "is used with route = \"fixed\" only");
    }
    if table.has("port") && kind != Kind::Mx {
        table.fault("port", "is used with route = \"mx\" only; hosts have theirs with them");
    }
    let port = table.number("port", 25, 1..=65_535);
    match kind {
        Kind::Fixed => RouteKind::Fixed(hosts.unwrap_or_default()),
        Kind::Mx => RouteKind::Mx(u16::try_from(port).unwrap_or(25)),
        Kind::Original => RouteKind::Original,
    }
}

fn source(text: &str) -> Result<SourceSettings, String> {
    match text {
        "client" => Ok(SourceSettings::Client),
        _ => text
            .parse()
            .map(SourceSettings::Address)
            .map_err(|_| "expected an address of this machine, or \"client\"".to_owned()),
    }
}

/// The gate's own login with the next hop.
fn login(table: &Table<'_, '_>, tls: DownstreamTls, file: &Path) -> Option<(String, PathBuf)> {
    let username = table.parsed("username", |text| check_name(text).map(|()| text.to_owned()));
    let password =
        table.parsed("password_file", |text| not_empty(text).map(|text| beside(file, text)));
    match (table.has("username"), table.has("password_file")) {
        (true, false) => table.fault("username", "needs password_file = \"FILE\""),
        (false, true) => table.fault("password_file", "needs username = \"NAME\""),
        (true, true) | (false, false) => {}
    }
    if table.has("username") && !tls.is_certain() {
        table.fault("username", "needs tls = \"required\" or \"verify\": no password in the clear");
    }
    username.zip(password)
}
