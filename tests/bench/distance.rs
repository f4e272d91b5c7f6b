//! One message to 50 recipients when the next hop is far away, straight to it and through the gate. What counts is the round trips:
//! time over [`ROUND_TRIP`]. A connection is kept, so its opening is not in it.

use std::net::SocketAddr;
use std::time::Duration;

use criterion::{Criterion, criterion_group};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use crate::peers::{Client, Message, sink, start};

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(10);
    targets = far_away
}

/// How far away the next hop is.
const ROUND_TRIP: Duration = Duration::from_millis(50);

fn far_away(criterion: &mut Criterion) {
    let runtime = Runtime::new().expect("a runtime");
    let folder = tempfile::tempdir().expect("a directory");
    let far = runtime.block_on(async { delayed(sink().await).await });
    let gate = runtime.block_on(start(folder.path(), far));
    let door = *gate.doors.first().expect("a listener");
    let message = Message::new(50, 4 << 10);
    let mut group = criterion.benchmark_group("distance");
    for (name, address) in [("50_recipients_straight", far), ("50_recipients_gate", door)] {
        let mut client = runtime.block_on(Client::greeted(address));
        // The first message opens the gate's own connection.
        runtime.block_on(client.message(&message));
        group.bench_function(name, |bencher| {
            bencher.iter(|| runtime.block_on(client.message(&message)));
        });
    }
    group.finish();
    runtime.block_on(gate.stop(async {}));
}

/// The way to an address, half a round trip long in each direction.
async fn delayed(to: SocketAddr) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((near, _)) = listener.accept().await {
            let Ok(far) = TcpStream::connect(to).await else { return };
            let _ = (near.set_nodelay(true), far.set_nodelay(true));
            let ((near_in, near_out), (far_in, far_out)) = (near.into_split(), far.into_split());
            tokio::spawn(carry(near_in, far_out));
            tokio::spawn(carry(far_in, near_out));
        }
    });
    address
}

/// Carries octets from one to the other; each piece arrives when its time has come, and none waits for another.
async fn carry(mut from: OwnedReadHalf, mut to: OwnedWriteHalf) {
    let (under_way, mut arriving) = mpsc::unbounded_channel::<(Instant, Vec<u8>)>();
    tokio::spawn(async move {
        while let Some((due, piece)) = arriving.recv().await {
            sleep_until(due).await;
            if to.write_all(&piece).await.is_err() {
                return;
            }
        }
    });
    let mut piece = vec![0; 64 << 10];
    while let Ok(read @ 1..) = from.read(&mut piece).await {
        let read = piece.get(..read).unwrap_or_default().to_vec();
        if under_way.send((Instant::now() + ROUND_TRIP / 2, read)).is_err() {
            return;
        }
    }
}
