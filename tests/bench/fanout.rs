//! One message through the LMTP door, to recipients of one domain, of ten, of fifty, each with a mail host of its own.

use std::net::SocketAddr;

use criterion::{Criterion, Throughput, criterion_group};
use tokio::runtime::Runtime;

use crate::mx::sinks;
use crate::names;
use crate::peers::{Client, Message, log_to_nowhere, start_with, tell};

criterion_group!(benches, one_message);

fn one_message(criterion: &mut Criterion) {
    let runtime = Runtime::new().expect("a runtime");
    log_to_nowhere();
    let folder = tempfile::tempdir().expect("a directory");
    let gate = runtime.block_on(async {
        let dns: SocketAddr = names::server(100).await;
        let port = sinks(None).await;
        let downstream =
            format!("route = \"mx\"\nport = {port}\nrefused_networks = []\ntls = \"off\"");
        let more = format!("[dns]\nservers = [\"{dns}\"]");
        start_with(folder.path(), "lmtp", &downstream, &more).await
    });
    let door = *gate.doors.first().expect("a listener");
    let mut group = criterion.benchmark_group("fanout");
    for (name, recipients, domains) in [
        ("1_domain", 1, 1),
        ("10_domains", 10, 10),
        ("50_domains", 50, 50),
        ("1_domain_of_50_recipients", 50, 1),
    ] {
        let to = |number| format!("bob{number}@d{}.test", number % domains);
        let message = Message::to(&(0..recipients).map(to).collect::<Vec<_>>(), 4 << 10).by_lmtp();
        let mut client = runtime.block_on(Client::saying(door, "LHLO"));
        group.throughput(Throughput::Elements(recipients as u64));
        group.bench_function(name, |bencher| {
            bencher.iter(|| runtime.block_on(client.message(&message)));
        });
    }
    group.finish();
    tell("fanout", &gate);
    runtime.block_on(gate.stop(async {}));
}
