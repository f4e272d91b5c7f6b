//! The session without sockets: a transaction of fifty pipelined recipients, every one of them accepted.

use std::sync::Arc;

use bytes::BytesMut;
use criterion::{BatchSize, Criterion, Throughput, criterion_group};
use rcptgate::routing::Destination;
use rcptgate::session::{Action, Input, Limits, Outputs, Sent, Session, Settings, TellClient};
use rcptgate::smtp::extensions::Capabilities;
use rcptgate::smtp::identity::Identity;

criterion_group!(benches, fifty_recipients);

const RECIPIENTS: usize = 50;

fn fifty_recipients(criterion: &mut Criterion) {
    let commands = commands();
    let replies = replies();
    let mut group = criterion.benchmark_group("session");
    group.throughput(Throughput::Elements(RECIPIENTS as u64));
    group.bench_function("50_recipients_pipelined", |bencher| {
        bencher.iter_batched(
            greeted,
            |talk| transaction(talk, &commands, &replies),
            BatchSize::SmallInput,
        );
    });
    group.finish();
}

fn commands() -> Vec<u8> {
    let recipients = (0..RECIPIENTS).map(|number| format!("RCPT TO:<bob{number}@shop.test>\r\n"));
    let recipients: String = recipients.collect();
    format!("MAIL FROM:<news@sender.test>\r\n{recipients}DATA\r\n").into_bytes()
}

fn replies() -> Vec<u8> {
    let accepted = "250 2.1.5 ok\r\n".repeat(RECIPIENTS + 1);
    format!("{accepted}354 go on\r\n").into_bytes()
}

fn greeted() -> (Session, Outputs) {
    let settings = Settings {
        tls: rcptgate::session::ClientTls::Off,
        auth: rcptgate::session::Auth::Off,
        auth_required: false,
        protocol: rcptgate::session::Protocol::Smtp,
        hostname: "gate.test".into(),
        instance: "".into(),
        offer: Capabilities::GATE,
        limits: Limits::default(),
        may_relay: true,
        xforward: false,
        client: Arc::new(Identity::of("127.0.0.1".parse().expect("an address"), 4711)),
        xclient: None,
        tell_client: TellClient::Off,
        keys: std::sync::Arc::default(),
    };
    let (mut session, mut out) = (Session::new(settings), Outputs::default());
    session.step(Input::Accepted, &mut out);
    let mut hello = BytesMut::from(&b"EHLO client.test\r\n"[..]);
    session.step(Input::Client(&mut hello), &mut out);
    (session, out)
}

fn transaction(
    (mut session, mut out): (Session, Outputs),
    commands: &[u8],
    replies: &[u8],
) -> Outputs {
    let mut input = BytesMut::from(commands);
    session.step(Input::Client(&mut input), &mut out);
    while let Some(action) = out.actions.pop_front() {
        match action {
            Action::Ask(..) => session.step(Input::Forward(Destination::default()), &mut out),
            Action::Open { .. } => session.step(Input::Opened(Capabilities::GATE.into()), &mut out),
            Action::Answered(_)
            | Action::Finished(_)
            | Action::CloseDownstream(_)
            | Action::StartTls
            | Action::Renamed(_)
            | Action::Untold(_)
            | Action::Authenticate(_)
            | Action::LoginRelayed(_)
            | Action::CloseClient => {}
        }
        session.step(Input::Client(&mut input), &mut out);
    }
    let mut answers = BytesMut::from(replies);
    session.step(Input::Downstream(&mut answers, Sent::All), &mut out);
    assert!(out.to_client.ends_with(b"354 go on\r\n"), "{:?}", out.to_client);
    out
}
