//! Whole messages through the real gate over loopback, with client and next hop in this process: the sum of all three, and of the
//! kernel between them. To see the gate's own share, measure it as a process of its own (see `README.md`).

use std::net::SocketAddr;
use std::sync::Arc;

use criterion::{Criterion, Throughput, criterion_group};
use tokio::runtime::Runtime;
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::peers::{Client, Message, log_to_nowhere, sink, start};

criterion_group!(benches, messages);

/// Connections that send at the same time, each kept for all its messages.
const CLIENTS: usize = 8;

fn messages(criterion: &mut Criterion) {
    let runtime = Runtime::new().expect("a runtime");
    log_to_nowhere();
    let folder = tempfile::tempdir().expect("a directory");
    let gate = runtime.block_on(async { start(folder.path(), sink().await).await });
    let door = *gate.doors.first().expect("a listener");

    let mut group = criterion.benchmark_group("relay");
    for (name, recipients, octets) in
        [("4_KiB", 1, 4 << 10), ("1_MiB", 1, 1 << 20), ("50_recipients_pipelined", 50, 4 << 10)]
    {
        let message = Message::new(recipients, octets);
        if octets > 4 << 10 {
            group.throughput(Throughput::Bytes(message.octets()));
        } else {
            group.throughput(Throughput::Elements(1));
        }
        let messages: Arc<[Message]> = Arc::new([message]);
        group.bench_function(name, |bencher| {
            let clients = runtime.block_on(clients(door));
            bencher.to_async(&runtime).iter_custom(|count| {
                let count = usize::try_from(count).expect("a count");
                send(clients.clone(), Arc::clone(&messages), 0, count)
            });
        });
    }
    group.finish();
    runtime.block_on(gate.stop(async {}));
}

/// As many clients as send at the same time.
pub async fn clients(door: SocketAddr) -> Vec<Arc<Mutex<Client>>> {
    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        clients.push(Arc::new(Mutex::new(Client::greeted(door).await)));
    }
    clients
}

/// Sends so many messages over all connections at once, of these in turn from the one of this number on; returns how long that
/// took.
pub async fn send(
    clients: Vec<Arc<Mutex<Client>>>,
    messages: Arc<[Message]>,
    first: usize,
    count: usize,
) -> std::time::Duration {
    let start = Instant::now();
    let mut sending = JoinSet::new();
    for (place, client) in clients.into_iter().enumerate() {
        let messages = Arc::clone(&messages);
        sending.spawn(async move {
            let mut client = client.lock().await;
            for number in (place..count).step_by(CLIENTS) {
                let message = messages.get((first + number) % messages.len());
                client.message(message.expect("a message")).await;
            }
        });
    }
    sending.join_all().await;
    start.elapsed()
}
