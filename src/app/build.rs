//! From what the configuration says to what a gate is made of.

use std::fs::{self, File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::Arc;

use super::{Parts, trust};
use crate::admin::report::Alerts;
use crate::config::{
    self, AddressForm, ConfigError, DownstreamTls, ListenAuth, ListenProtocol, ListenSettings,
    ListenTls, LiveLists, LiveRules, OnStoreFailure, Recording, ReportSettings, RouteKind,
    Settings, SourceSettings, StsSettings, WaySettings,
};
use crate::credentials::{Account, Credentials};
use crate::failure::Failure;
use crate::gate::{self, GateSettings};
use crate::log::Addresses;
use crate::mta_sts;
use crate::proxy::route::{Host, Protection, RouteSettings, Way};
use crate::proxy::source::Source;
use crate::proxy::{DoorSettings, PoolLimits, Timeouts};
use crate::routing::target::Targets;
use crate::session::{Auth, ClientTls, Limits, Protocol};
use crate::tally;
use crate::tls::{Certificate, Connector, Trust};

/// Pipelined commands of a client whose replies are owed, at the most.
const PIPELINE: usize = 1000;
/// Octets of a line of content: far beyond RFC 5321 §4.5.3.1.6, since a proxy must not break lines, and bounded.
const CONTENT_LINE: usize = 64 * 1024;

/// Where a listener is, and what it is set to.
type Door = (std::net::SocketAddr, DoorSettings);

/// What went wrong with a configuration, as one failure.
pub fn faults(errors: &[ConfigError]) -> Failure {
    Failure::Config(config::listed(errors))
}

/// The parts of a gate that reads replies by these rules, and its lists, which are read again when they change.
///
/// # Errors
/// Every fault of the lists and the policy.
pub fn parts(settings: &Settings, rules: &LiveRules) -> Result<(Parts, LiveLists), Failure> {
    let live = LiveLists::open(settings.lists.clone()).map_err(|errors| faults(&errors))?;
    let lists = crate::lists::Lists::clone(&live.current().load());
    let policy = config::load_policy(&settings.policy, &lists).map_err(|errors| faults(&errors))?;
    let (routes, rest) = ways(settings)?;
    let parts = Parts {
        gate: gate_settings(settings),
        policy,
        classifier: rules.current(),
        lists,
        doors: settings
            .listen
            .iter()
            .map(|listen| door(settings, listen))
            .collect::<Result<_, _>>()?,
        routes,
        rest,
        pool: PoolLimits {
            connections: settings.limits.kept_connections,
            alike: settings.limits.kept_alike,
            idle: settings.timeouts.kept_connection,
            age: settings.timeouts.connection_age,
        },
        admin: settings.admin.listen.filter(|admin| admin.port() != 0),
        dns: settings.dns.servers.clone(),
        dnssec: trust::dnssec(&settings.dns),
        sts: sts(settings)?,
        targets: match &settings.downstream.refused_networks {
            Some(networks) => Targets::new(networks.clone()),
            None => Targets::default(),
        },
        addresses: addresses(settings)?,
        tally: tally_settings(settings),
    };
    Ok((parts, live))
}

/// The rates from which on a report warns.
pub const fn alerts(settings: &Settings) -> Alerts {
    Alerts { hard: settings.report.hard_alert, soft: settings.report.soft_alert }
}

/// Where recipients are counted.
pub fn tally_settings(settings: &Settings) -> tally::Settings {
    let ReportSettings { keys, days, .. } = settings.report;
    tally::Settings { keys, days, ..tally::Settings::new(&settings.data_dir) }
}

/// The settings of the store, the journal and the judgement.
pub fn gate_settings(settings: &Settings) -> GateSettings {
    GateSettings {
        cache_bytes: settings.store.cache,
        sort_bytes: usize::try_from(settings.store.sort).unwrap_or(usize::MAX),
        segment_bytes: settings.store.segment_bytes,
        durable_wait: settings.store.durable_wait,
        on_store_failure: match settings.store.on_store_failure {
            OnStoreFailure::Defer => gate::OnStoreFailure::Defer,
            OnStoreFailure::Accept => gate::OnStoreFailure::Accept,
        },
        record: match settings.store.record {
            Recording::All => gate::Recording::All,
            Recording::Known => gate::Recording::Known,
        },
        mode: match settings.policy.mode {
            config::Mode::Enforce => gate::Mode::Enforce,
            config::Mode::Monitor => gate::Mode::Monitor,
        },
        ..GateSettings::new(&settings.data_dir)
    }
}

fn door(settings: &Settings, listen: &ListenSettings) -> Result<Door, Failure> {
    let limits = &settings.limits;
    let times = &settings.timeouts;
    let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    let door = DoorSettings {
        hostname: Arc::from(settings.hostname.as_str()),
        tenant: listen.tenant.clone(),
        tenants: Arc::new(settings.tenants.clone()),
        keys: Arc::new(settings.keys.clone()),
        clients: listen.clients.clone(),
        xforward: listen.xforward.clone(),
        xclient: listen.xclient.clone(),
        tell_client: settings.downstream.tell_client,
        proxies: listen.proxy_protocol.clone(),
        withhold: listen.withhold.clone(),
        protocol: match listen.protocol {
            ListenProtocol::Smtp => Protocol::Smtp,
            ListenProtocol::Lmtp => Protocol::Lmtp,
        },
        tls: match listen.tls {
            ListenTls::Off => ClientTls::Off,
            ListenTls::Starttls => ClientTls::Offered,
            ListenTls::Required => ClientTls::Required,
            ListenTls::Implicit => ClientTls::Up,
        },
        acceptor: certificate(listen)?,
        auth: match listen.auth {
            ListenAuth::Off => Auth::Off,
            ListenAuth::Local => Auth::Local,
            ListenAuth::Relay => Auth::Relay,
        },
        auth_required: listen.auth_required,
        credentials: credentials(settings, listen)?,
        limits: Limits {
            line: limits.line,
            content_line: CONTENT_LINE,
            size: limits.size,
            recipients: count(limits.recipients),
            errors: count(limits.errors),
            junk: count(limits.junk),
            pipeline: PIPELINE,
            login_failures: count(limits.login_failures),
            transactions: count(limits.transactions),
        },
        timeouts: Timeouts {
            client: times.client_idle,
            drain: times.drain,
            crowded: times.crowded,
            content: times.data_idle,
            proxy_header: times.proxy_header,
            greeting: times.greeting,
            handshake: times.handshake,
            connect: times.connect,
            opening: times.opening,
            reply: times.reply,
            data: times.data,
            block: times.data_block,
            end_of_data: times.end_of_data,
            reset: times.reset,
            quit: times.quit,
            idle_connection: times.idle_connection,
            durable: settings.store.durable_wait,
        },
        data_rate: limits.data_rate,
        connections: limits.connections,
        connections_per_client: limits.connections_per_client,
        monitor: false,
    };
    Ok((listen.address, door))
}

fn certificate(listen: &ListenSettings) -> Result<Option<Certificate>, Failure> {
    let Some((chain, key)) = &listen.certificate else { return Ok(None) };
    let opened = Certificate::open(chain, key);
    opened.map(Some).map_err(|fault| Failure::Config(fault.to_string()))
}

/// The users of a listener.
fn credentials(
    settings: &Settings,
    listen: &ListenSettings,
) -> Result<Option<Credentials>, Failure> {
    let Some(file) = &listen.credentials else { return Ok(None) };
    let (at_once, patience) = (settings.limits.login_checks, settings.timeouts.login_check);
    let opened = Credentials::open(file, at_once, patience);
    opened.map(Some).map_err(|fault| Failure::Config(fault.to_string()))
}

/// The ways out: those for some domains, in order, and the one for all the rest.
///
/// # Errors
/// A file of theirs cannot be used.
pub fn ways(settings: &Settings) -> Result<(Vec<RouteSettings>, RouteSettings), Failure> {
    let sts = &settings.downstream.sts;
    let listed = settings.routes.iter().map(|one| way(one, sts)).collect::<Result<_, _>>()?;
    Ok((listed, way(&settings.downstream.way, sts)?))
}

fn way(settings: &WaySettings, sts: &StsSettings) -> Result<RouteSettings, Failure> {
    let host = |host: &config::HostPort| Host { name: host.host.clone(), port: host.port };
    Ok(RouteSettings {
        text: format!("{settings:?}"),
        domains: settings.domains.iter().collect(),
        way: match &settings.route {
            RouteKind::Fixed(hosts) => Way::Fixed(hosts.iter().map(host).collect()),
            RouteKind::Mx(port) => Way::Mx { port: *port },
            RouteKind::Original => Way::Original,
        },
        protocol: if settings.lmtp { Protocol::Lmtp } else { Protocol::Smtp },
        protection: protection(settings)?,
        dane: asks_for_dane(settings),
        mta_sts: match asks_for_policies(settings) {
            true => Some(connector(&proof(sts), settings)?),
            false => None,
        },
        address_literals: settings.address_literals,
        source: match settings.source {
            SourceSettings::Any => Source::Any,
            SourceSettings::Address(address) => Source::Address(address),
            SourceSettings::Client => Source::Client,
        },
        account: account(settings)?,
        concurrency: settings.concurrency,
    })
}

/// Whether TLSA records decide on what protects mail, as far as look-ups can be trusted.
pub fn asks_for_dane(way: &WaySettings) -> bool {
    // Who proves names by authorities of the operator's choice is not overruled by the domain.
    asks_domains(way) && way.tls != DownstreamTls::Verify && way.dane.unwrap_or(true)
}

/// Whether the policies that domains publish decide on it.
pub fn asks_for_policies(way: &WaySettings) -> bool {
    asks_domains(way) && way.mta_sts.unwrap_or(true)
}

/// Whether domains have a say in it.
fn asks_domains(way: &WaySettings) -> bool {
    matches!(way.route, RouteKind::Mx(_)) && way.tls != DownstreamTls::Off
}

fn account(way: &WaySettings) -> Result<Option<Account>, Failure> {
    let Some((user, file)) = &way.login else { return Ok(None) };
    let opened = Account::open(user, file);
    opened.map(Some).map_err(|error| Failure::Config(format!("{}: {error}", file.display())))
}

fn protection(way: &WaySettings) -> Result<Protection, Failure> {
    let named = || way.ca.clone().map_or(Trust::System, Trust::File);
    Ok(match way.tls {
        DownstreamTls::Off => Protection::Off,
        DownstreamTls::Opportunistic => Protection::Opportunistic(connector(&Trust::Anybody, way)?),
        DownstreamTls::Required => Protection::Required(connector(&Trust::Anybody, way)?),
        DownstreamTls::Verify => Protection::Verify(connector(&named(), way)?),
    })
}

fn connector(trust: &Trust, way: &WaySettings) -> Result<Connector, Failure> {
    Connector::presenting(trust, way.certificate.clone())
        .map_err(|fault| Failure::Config(fault.to_string()))
}

/// What proves those who publish policies, and the mail hosts that they list.
fn proof(settings: &StsSettings) -> Trust {
    settings.ca.clone().map_or(Trust::System, Trust::File)
}

/// How policies are fetched and kept, if any route asks for them: what proves their hosts may be missing on other machines.
fn sts(settings: &Settings) -> Result<Option<(mta_sts::Settings, Connector)>, Failure> {
    let ways = settings.routes.iter().chain([&settings.downstream.way]);
    if !ways.into_iter().any(asks_for_policies) {
        return Ok(None);
    }
    let own = &settings.downstream.sts;
    let fetching = mta_sts::Settings::new(settings.data_dir.join("mta-sts"));
    let connector =
        Connector::new(&proof(own)).map_err(|fault| Failure::Config(fault.to_string()))?;
    Ok(Some((mta_sts::Settings { port: own.port, ..fetching }, connector)))
}

fn addresses(settings: &Settings) -> Result<Addresses, Failure> {
    match settings.log.addresses {
        AddressForm::Full => Ok(Addresses::Full),
        AddressForm::Domain => Ok(Addresses::Domain),
        AddressForm::Hash => {
            let file = settings.data_dir.join("log.key");
            let key = secret(&file).map_err(|error| {
                Failure::Io(format!("{}: cannot be used: {error}", file.display()))
            })?;
            Ok(Addresses::hash_with(&key))
        }
    }
}

/// The secret in a file that only its owner can read; made when it is not there.
fn secret(file: &Path) -> std::io::Result<Vec<u8>> {
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder)?;
    }
    if !file.exists() {
        let mut fresh = [0; 32];
        getrandom::fill(&mut fresh).map_err(|error| std::io::Error::other(error.to_string()))?;
        let mut made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file)?;
        made.write_all(&fresh)?;
        made.sync_all()?;
    }
    let mut secret = Vec::new();
    File::open(file)?.take(1024).read_to_end(&mut secret)?;
    Ok(secret)
}
