//! The sections of the configuration file, key by key.

use std::fs;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tracing_subscriber::filter::LevelFilter;

use crate::event::{Tenant, plain_word};
use crate::log::Format;
use crate::policy::Policy;

use super::attribution;
use super::clashes::clashes;
use super::files;
use super::reader::Table;
use super::settings::*;
use super::values::{
    not_empty, parse_address, parse_extension, parse_hostname, parse_name, parse_network,
    parse_server, parse_share,
};
use super::ways;

/// Any count is bounded: a slip of the pen must not lift a limit.
const COUNT: RangeInclusive<usize> = 1..=1_000_000;
/// Any wait is bounded, and none is nothing.
const WAIT: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_secs(86_400);
/// A wait that may be none.
const NO_WAIT: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_secs(60);

/// Whether the files that the configuration names are tried.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Files {
    /// They must be readable.
    Try,
    /// They are somebody else's matter.
    Leave,
}

/// Everything, from the top table. Faults are noted in the table's reader.
pub(super) fn settings(file: &Path, top: Table<'_, '_>, files: Files) -> Settings {
    let defaults = Settings::defaults(file);
    let settings = Settings {
        file: defaults.file,
        hostname: top.parsed("hostname", parse_hostname).unwrap_or_else(machine_name),
        data_dir: top
            .parsed("data_dir", |text| folder(&beside(file, not_empty(text)?)))
            .unwrap_or(defaults.data_dir),
        listen: listen(&top, file),
        routes: routes(&top, file),
        tenants: attribution::tenants(&top),
        keys: attribution::keys(&top.table("keys")),
        downstream: ways::downstream(top.table("downstream"), file),
        dns: dns(top.table("dns")),
        lists: lists(top.table("lists"), defaults.lists, file),
        policy: policy(top.table("policy"), file),
        classification: classification(top.table("classification"), file),
        admin: admin(top.table("admin")),
        log: log(top.table("log")),
        limits: limits(top.table("limits")),
        timeouts: timeouts(top.table("timeouts")),
        store: store(top.table("store")),
        report: report(top.table("report")),
        import_sources: import_sources(&top),
    };
    clashes(&settings, &top);
    if files == Files::Try {
        files::tried(&settings, &top);
    }
    top.done();
    settings
}

/// What the machine calls itself, as far as that is a name.
fn machine_name() -> String {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    parse_name(name.trim()).unwrap_or_else(|_| "localhost".to_owned())
}

fn folder(path: &Path) -> Result<std::path::PathBuf, String> {
    if path.exists() && !path.is_dir() {
        return Err(format!("{} is no folder", path.display()));
    }
    Ok(path.to_owned())
}

fn listen(top: &Table<'_, '_>, file: &Path) -> Vec<ListenSettings> {
    let Some(tables) = top.tables("listen") else { return vec![ListenSettings::default()] };
    if tables.is_empty() {
        top.fault("listen", "without a listener no mail comes in");
    }
    tables.into_iter().map(|table| listener(table, file)).collect()
}

fn routes(top: &Table<'_, '_>, file: &Path) -> Vec<ways::WaySettings> {
    let tables = top.tables("route").unwrap_or_default();
    tables.into_iter().map(|table| ways::route(table, file)).collect()
}

fn listener(table: Table<'_, '_>, file: &Path) -> ListenSettings {
    let default = ListenSettings::default();
    let protocol = [("smtp", ListenProtocol::Smtp), ("lmtp", ListenProtocol::Lmtp)];
    let protocol =
        table.choice("protocol", default.protocol, &protocol, &["policy", "milter", "intake"]);
    let tls = [
        ("off", ListenTls::Off),
        ("starttls", ListenTls::Starttls),
        ("required", ListenTls::Required),
        ("implicit", ListenTls::Implicit),
    ];
    let tls = table.choice("tls", default.tls, &tls, &[]);
    let path = |text: &str| not_empty(text).map(|text| beside(file, text));
    let certificate = table.parsed("certificate", path).zip(table.parsed("key", path));
    if tls != ListenTls::Off && !(table.has("certificate") && table.has("key")) {
        table.fault("tls", "needs certificate = \"FILE\" and key = \"FILE\", both PEM");
    } else if tls == ListenTls::Off && table.has("certificate") {
        table.fault("certificate", "is shown within TLS only; tls = \"off\" has none");
    }
    let clients = table.parsed_list("clients", parse_network).unwrap_or(default.clients);
    if table.is_empty_list("clients") {
        table.fault("clients", "nobody could relay; name networks or leave the key out");
    }
    let (auth, auth_required, credentials) = auth(&table, tls, file);
    let listener = ListenSettings {
        address: table.parsed("address", parse_address).unwrap_or(default.address),
        clients,
        xforward: table.parsed_list("xforward", parse_network).unwrap_or(default.xforward),
        xclient: table.parsed_list("xclient", parse_network).unwrap_or(default.xclient),
        proxy_protocol: table
            .parsed_list("proxy_protocol", parse_network)
            .unwrap_or(default.proxy_protocol),
        withhold: table.parsed_list("withhold", parse_extension).unwrap_or(default.withhold),
        tenant: table.parsed("tenant", Tenant::named),
        protocol,
        tls,
        auth,
        auth_required,
        credentials,
        certificate: certificate.filter(|_| tls != ListenTls::Off),
    };
    table.done();
    listener
}

/// The keys of logins at one listener.
fn auth(table: &Table<'_, '_>, tls: ListenTls, file: &Path) -> (ListenAuth, bool, Option<PathBuf>) {
    let words =
        [("off", ListenAuth::Off), ("local", ListenAuth::Local), ("relay", ListenAuth::Relay)];
    let auth = table.choice("auth", ListenAuth::default(), &words, &[]);
    let required = table.boolean("auth_required", false);
    let credentials =
        table.parsed("credentials", |text| not_empty(text).map(|text| beside(file, text)));
    if auth != ListenAuth::Off && tls == ListenTls::Off {
        table.fault("auth", "needs TLS, since passwords never go in the clear; set tls");
    }
    if auth == ListenAuth::Local && !table.has("credentials") {
        table.fault("auth", "needs credentials = \"FILE\"; `rcptgate credentials add` makes one");
    }
    if auth != ListenAuth::Local && table.has("credentials") {
        table.fault("credentials", "is used with auth = \"local\" only");
    }
    if required && auth == ListenAuth::Off {
        table.fault("auth_required", "needs auth, or nobody could send mail here");
    }
    (auth, required, credentials.filter(|_| auth == ListenAuth::Local))
}

fn dns(table: Table<'_, '_>) -> DnsSettings {
    let servers = table.parsed_list("servers", parse_server).unwrap_or_default();
    let words = [("off", Some(DnssecChoice::Off)), ("trust-ad", Some(DnssecChoice::TrustAd))];
    let dnssec = table.choice("dnssec", None, &words, &[]);
    table.done();
    DnsSettings { servers, dnssec }
}

fn lists(table: Table<'_, '_>, default: ListPaths, file: &Path) -> ListPaths {
    let list = |key, default| {
        let named = |text: &str| {
            not_empty(text).map(|text| ListFile { path: beside(file, text), required: true })
        };
        table.parsed(key, named).unwrap_or(default)
    };
    let paths = ListPaths {
        disposable: list("disposable", default.disposable),
        builtin_disposable: table.boolean("builtin_disposable", default.builtin_disposable),
        trusted: list("trusted", default.trusted),
        allow: list("allow", default.allow),
    };
    table.done();
    paths
}

fn policy(table: Table<'_, '_>, file: &Path) -> PolicyChoice {
    let default = PolicyChoice::default();
    let preset = table.parsed("preset", |text| {
        let known: Vec<&str> = Policy::presets().collect();
        let found = known.contains(&text).then(|| PolicySource::Preset(text.to_owned()));
        found.ok_or_else(|| format!("unknown preset; known: {}", known.join(", ")))
    });
    let own = table
        .parsed("file", |text| not_empty(text).map(|text| PolicySource::File(beside(file, text))));
    if table.has("preset") && table.has("file") {
        table.fault("file", "preset and file exclude each other");
    }
    let mode = [("enforce", Mode::Enforce), ("monitor", Mode::Monitor)];
    let choice = PolicyChoice {
        source: own.or(preset).unwrap_or(default.source),
        mode: table.choice("mode", default.mode, &mode, &[]),
    };
    table.done();
    choice
}

fn classification(table: Table<'_, '_>, file: &Path) -> ClassificationSettings {
    let own = table.parsed("file", |text| not_empty(text).map(|text| beside(file, text)));
    table.done();
    ClassificationSettings { file: own }
}

fn admin(table: Table<'_, '_>) -> AdminSettings {
    let listen = table.parsed("listen", |text| match text {
        "off" => Ok(None),
        _ => parse_address(text).map(Some).map_err(|why| format!("{why}, or \"off\"")),
    });
    table.done();
    AdminSettings { listen: listen.unwrap_or(AdminSettings::default().listen) }
}

fn log(table: Table<'_, '_>) -> LogSettings {
    let default = LogSettings::default();
    let levels = [
        ("error", LevelFilter::ERROR),
        ("warn", LevelFilter::WARN),
        ("info", LevelFilter::INFO),
        ("debug", LevelFilter::DEBUG),
        ("trace", LevelFilter::TRACE),
    ];
    let forms =
        [("full", AddressForm::Full), ("domain", AddressForm::Domain), ("hash", AddressForm::Hash)];
    let formats = [("text", Format::Text), ("json", Format::Json)];
    let settings = LogSettings {
        format: table.choice("format", default.format, &formats, &[]),
        level: table.choice("level", default.level, &levels, &[]),
        addresses: table.choice("addresses", default.addresses, &forms, &[]),
    };
    table.done();
    settings
}

fn limits(table: Table<'_, '_>) -> LimitSettings {
    let default = LimitSettings::default();
    let count = |key, default| table.number(key, default, COUNT);
    let limits = LimitSettings {
        connections: count("connections", default.connections),
        connections_per_client: count("connections_per_client", default.connections_per_client),
        // RFC 5321 §4.5.3.1.4: 512 octets at least.
        line: table.number("line", default.line, 512..=65_536),
        recipients: count("recipients", default.recipients),
        size: table.size("size", default.size, 1024..=4 << 30),
        data_rate: table.size("data_rate", default.data_rate, 0..=1 << 20),
        errors: count("errors", default.errors),
        junk: count("junk", default.junk),
        login_failures: count("login_failures", default.login_failures),
        login_checks: table.number("login_checks", default.login_checks, 1..=1024),
        transactions: count("transactions", default.transactions),
        kept_connections: table.number("kept_connections", default.kept_connections, 0..=100_000),
        kept_alike: count("kept_alike", default.kept_alike),
    };
    table.done();
    limits
}

fn timeouts(table: Table<'_, '_>) -> TimeoutSettings {
    let default = TimeoutSettings::default();
    let wait = |key, default| table.span(key, default, WAIT);
    let timeouts = TimeoutSettings {
        client_idle: wait("client_idle", default.client_idle),
        drain: wait("drain", default.drain),
        crowded: wait("crowded", default.crowded),
        data_idle: wait("data_idle", default.data_idle),
        proxy_header: wait("proxy_header", default.proxy_header),
        greeting: table.span("greeting", default.greeting, NO_WAIT),
        handshake: wait("handshake", default.handshake),
        login_check: wait("login_check", default.login_check),
        connect: wait("connect", default.connect),
        opening: wait("opening", default.opening),
        reply: wait("reply", default.reply),
        data: wait("data", default.data),
        data_block: wait("data_block", default.data_block),
        end_of_data: wait("end_of_data", default.end_of_data),
        reset: wait("reset", default.reset),
        quit: wait("quit", default.quit),
        idle_connection: wait("idle_connection", default.idle_connection),
        kept_connection: wait("kept_connection", default.kept_connection),
        connection_age: wait("connection_age", default.connection_age),
    };
    table.done();
    timeouts
}

fn import_sources(top: &Table<'_, '_>) -> Vec<ImportSource> {
    let mut sources: Vec<ImportSource> = Vec::new();
    for table in top.tables("import_source").unwrap_or_default() {
        if !table.has("name") {
            top.fault("import_source", "needs name = \"WORD\", as --source says it");
        }
        let name = table.parsed("name", |text| {
            let name = plain_word(text)?;
            let known = sources.iter().any(|source| source.name == name);
            if known { Err("is there already".to_owned()) } else { Ok(name.to_owned()) }
        });
        let trust = table.boolean("trust", false);
        sources.extend(name.map(|name| ImportSource { name, trust }));
        table.done();
    }
    sources
}

fn store(table: Table<'_, '_>) -> StoreSettings {
    let default = StoreSettings::default();
    let failure = [("defer", OnStoreFailure::Defer), ("accept", OnStoreFailure::Accept)];
    let record = [("all", Recording::All), ("known", Recording::Known)];
    let settings = StoreSettings {
        cache: table.size("cache", default.cache, 1 << 20..=64 << 30),
        sort: table.size("sort", default.sort, 1 << 20..=64 << 30),
        segment_bytes: table.size("segment_bytes", default.segment_bytes, 4096..=4 << 30),
        durable_wait: table.span("durable_wait", default.durable_wait, WAIT),
        on_store_failure: table.choice("on_store_failure", default.on_store_failure, &failure, &[]),
        record: table.choice("record", default.record, &record, &[]),
    };
    table.done();
    settings
}

fn report(table: Table<'_, '_>) -> ReportSettings {
    let default = ReportSettings::default();
    let days = usize::try_from(default.days).unwrap_or(usize::MAX);
    let settings = ReportSettings {
        // Each takes 400 bytes of memory.
        keys: table.number("keys", default.keys, 100..=1_000_000),
        days: u32::try_from(table.number("days", days, 1..=4000)).unwrap_or(default.days),
        hard_alert: table.parsed("hard_alert", parse_share).unwrap_or(default.hard_alert),
        soft_alert: table.parsed("soft_alert", parse_share).unwrap_or(default.soft_alert),
    };
    table.done();
    settings
}
