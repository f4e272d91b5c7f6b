//! Messages to the mail hosts of a thousand domains, which a name server in this process names: with connections that are kept for
//! the next message and without, in the clear and within TLS, to domains that are known and to domains never heard of.
//!
//! What was counted on the way is said behind each: how many questions were answered from memory, how many connections were used
//! again.

use std::cell::Cell;
use std::net::SocketAddr;
use std::sync::Arc;

use criterion::{Criterion, Throughput, criterion_group};
use rcptgate::app::Running;
use rustls::ServerConfig;
use tokio::runtime::Runtime;
use tokio_rustls::TlsAcceptor;

use crate::names;
use crate::peers::{Message, log_to_nowhere, sink_at, start_with, tell};
use crate::relay::{clients, send};

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(30);
    targets = domains
}

/// Domains that are written to in turn.
const DOMAINS: usize = 1000;
/// Mail hosts that they share.
const HOSTS: usize = 100;
/// Messages to domains never heard of, at the most; beyond that they come round again.
const NEW: usize = 200_000;

/// One series: what the next hops are like, and who is written to.
struct Series {
    name: &'static str,
    tls: bool,
    kept: usize,
    new: bool,
}

const fn series(name: &'static str, tls: bool, kept: usize, new: bool) -> Series {
    Series { name, tls, kept, new }
}

const ALL: &[Series] = &[
    series("kept", false, 200, false),
    series("not_kept", false, 0, false),
    series("kept_new_domains", false, 200, true),
    series("tls_kept", true, 200, false),
    series("tls_not_kept", true, 0, false),
    series("tls_kept_new_domains", true, 200, true),
];

fn domains(criterion: &mut Criterion) {
    let runtime = Runtime::new().expect("a runtime");
    log_to_nowhere();
    let dns = runtime.block_on(names::server(HOSTS));
    let (clear, secure) =
        runtime.block_on(async { (sinks(None).await, sinks(Some(acceptor())).await) });
    let mut group = criterion.benchmark_group("mx");
    group.throughput(Throughput::Elements(1));
    for series in ALL {
        // Only when it is to run.
        let world = std::cell::OnceCell::new();
        let next = Cell::new(0);
        group.bench_function(series.name, |bencher| {
            let (gate, messages, _) = world.get_or_init(|| {
                let folder = tempfile::tempdir().expect("a directory");
                let port = if series.tls { secure } else { clear };
                let gate = runtime.block_on(gate(folder.path(), dns, port, series));
                let count = if series.new { NEW } else { DOMAINS };
                let any = Message::new(1, 4 << 10);
                let to = |number| any.with(&[format!("bob@d{number}.test")]);
                let messages = (0..count).map(to);
                (gate, messages.collect::<Arc<[Message]>>(), folder)
            });
            let door = *gate.doors.first().expect("a listener");
            let clients = runtime.block_on(clients(door));
            bencher.iter_custom(|count| {
                let count = usize::try_from(count).expect("a count");
                let first = next.replace(next.get() + count);
                runtime.block_on(send(clients.clone(), Arc::clone(messages), first, count))
            });
        });
        if let Some((gate, ..)) = world.into_inner() {
            tell(&format!("mx/{}", series.name), &gate);
            runtime.block_on(gate.stop(async {}));
        }
    }
    group.finish();
}

async fn gate(
    folder: &std::path::Path,
    dns: SocketAddr,
    port: u16,
    Series { tls, kept, .. }: &Series,
) -> Running {
    let tls = if *tls { "opportunistic" } else { "off" };
    let downstream =
        format!("route = \"mx\"\nport = {port}\nrefused_networks = []\ntls = \"{tls}\"");
    let more = format!("kept_connections = {kept}\n[dns]\nservers = [\"{dns}\"]");
    start_with(folder, "smtp", &downstream, &more).await
}

/// All hosts, at one port.
pub async fn sinks(tls: Option<TlsAcceptor>) -> u16 {
    let address = |number, port| SocketAddr::new(names::host(number).into(), port);
    let port = sink_at(address(0, 0), tls.clone()).await.port();
    for number in 1..HOSTS {
        sink_at(address(number, port), tls.clone()).await;
    }
    port
}

fn acceptor() -> TlsAcceptor {
    let made = rcgen::generate_simple_self_signed(["mx.test".to_owned()]).expect("a certificate");
    let key = made.signing_key.serialize_der().try_into().expect("a key");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .expect("a pair");
    Arc::new(config).into()
}
