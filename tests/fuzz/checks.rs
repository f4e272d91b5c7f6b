//! What must hold of the parsers for every sequence of bytes. Shared by the fuzzers (`targets/`) and by `tests/it/fuzz.rs`.

mod demands;
mod meaning;
mod next_hop;
mod who;

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::BytesMut;
pub use demands::{dns, sts, tlsa};
pub use meaning::classify;
pub use next_hop::{lmtp, splitter};
use rcptgate::proxy::header;
use rcptgate::routing::Destination;
use rcptgate::session::{
    Action, Auth, Checked, ClientTls, Input, Limits, Outputs, Protocol, Session, Settings,
    TellClient,
};
use rcptgate::smtp::address::{Recipient, RecipientKey, ReversePath};
use rcptgate::smtp::chunk::{ChunkDecoder, Form};
use rcptgate::smtp::command::Command;
use rcptgate::smtp::data::{DataDecoder, DataFault, Progress};
use rcptgate::smtp::extensions::Capabilities;
use rcptgate::smtp::identity::Identity;
use rcptgate::smtp::line::{LineFault, take_line};
use rcptgate::smtp::reply::{Reply, ReplyDecoder, ReplyFault, ReplyLimits};
use tokio::io::{AsyncRead, ReadBuf};
pub use who::{identity, sasl};

/// Fails when something does not hold of these bytes.
type Check = fn(&[u8]);

/// Every target by its name, which is also that of its folder in `corpus/`.
pub const ALL: &[(&str, Check)] = &[
    ("line", line),
    ("data", data),
    ("chunk", chunk),
    ("reply", reply),
    ("command", command),
    ("address", address),
    ("proxy", proxy),
    ("session", session),
    ("lmtp", lmtp),
    ("splitter", splitter),
    ("sasl", sasl),
    ("identity", identity),
    ("dns", dns),
    ("sts", sts),
    ("tlsa", tlsa),
    ("classify", classify),
];

/// The ways to cut: byte by byte, and in two at a few places that follow from the bytes.
fn cuts(bytes: &[u8]) -> Vec<Vec<&[u8]>> {
    let mut cuts = vec![bytes.chunks(1).collect()];
    let sum = bytes.iter().fold(7_usize, |sum, byte| sum.wrapping_mul(31) ^ usize::from(*byte));
    for at in [1, sum % 97, sum % 1013, bytes.len() / 2, bytes.len().saturating_sub(2)] {
        let (head, tail) = bytes.split_at(at.min(bytes.len()));
        cuts.push(vec![head, tail]);
    }
    cuts
}

/// Whole and cut, the same must come of it.
fn invariant<T: PartialEq + std::fmt::Debug>(bytes: &[u8], of: impl Fn(&[&[u8]]) -> T) -> T {
    let whole = of(&[bytes]);
    for cut in cuts(bytes) {
        assert_eq!(of(&cut), whole, "in {} pieces", cut.len());
    }
    whole
}

/// Lines of commands.
pub fn line(bytes: &[u8]) {
    const LIMIT: usize = 64;
    let (lines, _) = invariant(bytes, |pieces| {
        let (mut buffer, mut found) = (BytesMut::new(), Vec::new());
        for piece in pieces {
            buffer.extend_from_slice(piece);
            loop {
                match take_line(&mut buffer, LIMIT) {
                    Ok(None) => break,
                    Ok(Some(line)) => found.push(Ok(line)),
                    Err(LineFault::TooLong) => found.push(Err(LineFault::TooLong)),
                    Err(fault) => {
                        found.push(Err(fault));
                        return (found, BytesMut::new());
                    }
                }
            }
        }
        (found, buffer)
    });
    for line in lines.into_iter().flatten() {
        assert!(line.len() + 2 <= LIMIT && !line.contains(&b'\r') && !line.contains(&b'\n'));
    }
}

/// Content up to its end.
pub fn data(bytes: &[u8]) {
    const LINE: usize = 100;
    let decode = |pieces: &[&[u8]]| {
        let (mut input, mut output) = (BytesMut::new(), BytesMut::new());
        let mut decoder = DataDecoder::new(LINE);
        let (mut faulty, mut ended) = (false, false);
        for piece in pieces {
            input.extend_from_slice(piece);
            if ended {
                continue;
            }
            if !faulty {
                match decoder.transfer(&mut input, &mut output) {
                    Ok(progress) => ended = progress == Progress::End,
                    Err(DataFault::Smuggling | DataFault::LineTooLong) => faulty = true,
                }
            }
            if faulty {
                ended = decoder.swallow(&mut input) == Progress::End;
            }
        }
        (faulty, ended, input, (!faulty).then_some(output))
    };
    let (_, ended, rest, output) = invariant(bytes, decode);
    let starts = bytes.starts_with(b".\r\n").then_some(3);
    let inside = bytes.windows(5).position(|five| five == b"\r\n.\r\n").map(|at| at + 5);
    let end = starts.or(inside);
    assert_eq!(ended, end.is_some());
    if let Some(end) = end {
        assert_eq!(rest.as_ref(), bytes.get(end..).unwrap_or_default());
    }
    if let Some(output) = output {
        assert!(bytes.starts_with(&output), "a byte that the client did not send");
        assert!(!output.contains(&0), "NUL");
        let bare = |pair: &[u8]| (pair.first() == Some(&b'\r')) != (pair.last() == Some(&b'\n'));
        assert!(!output.windows(2).any(bare) && !output.starts_with(b"\n"), "bare CR or LF");
        assert!(!output.ends_with(b"\r"), "a CR whose LF is not there");
        let ends = usize::from(output.starts_with(b".\r\n"))
            + output.windows(5).filter(|five| five == b"\r\n.\r\n").count();
        assert_eq!(ends, usize::from(ended), "ends that went out");
    }
}

/// Chunks, each behind its BDAT, up to the last one, a fault, or what is no BDAT.
pub fn chunk(bytes: &[u8]) {
    let (end, output) = invariant(bytes, |pieces| {
        let (mut input, mut output) = (BytesMut::new(), BytesMut::new());
        let mut decoder = ChunkDecoder::new(Form::Lines(100));
        let (mut open, mut end) = (false, None);
        for piece in pieces {
            input.extend_from_slice(piece);
            while end.is_none() {
                if open {
                    match decoder.transfer(&mut input, &mut output) {
                        Ok(Progress::More) => break,
                        Ok(Progress::End) if decoder.is_last() => end = Some("last"),
                        Ok(Progress::End) => open = false,
                        Err(_) => end = Some("fault"),
                    }
                    continue;
                }
                let line = match take_line(&mut input, 64) {
                    Ok(None) => break,
                    Ok(Some(line)) => line,
                    Err(_) => BytesMut::new(),
                };
                match Command::parse(&line) {
                    Ok(Command::Bdat(Some(chunk))) if decoder.begin(chunk).is_ok() => open = true,
                    Ok(Command::Bdat(Some(_))) => end = Some("fault"),
                    Ok(_) | Err(_) => end = Some("other"),
                }
            }
        }
        // Of what is refused more or less has gone out, as it was cut.
        (end, (end != Some("fault")).then_some(output))
    });
    let Some(output) = output else { return };
    let bare = |pair: &[u8]| (pair.first() == Some(&b'\r')) != (pair.last() == Some(&b'\n'));
    assert!(!output.windows(2).any(bare) && !output.starts_with(b"\n"), "bare CR or LF");
    assert!(!output.contains(&0), "NUL");
    assert!(end != Some("last") || !output.ends_with(b"\r"), "a message that ends in half a CRLF");
}

/// Replies of the next hop.
pub fn reply(bytes: &[u8]) {
    let (replies, _) = invariant(bytes, |pieces| {
        let (mut decoder, mut buffer) = (ReplyDecoder::default(), BytesMut::new());
        let mut replies = Vec::new();
        for piece in pieces {
            buffer.extend_from_slice(piece);
            loop {
                match decoder.decode(&mut buffer) {
                    Ok(None) => break,
                    Ok(Some(reply)) => replies.push(reply),
                    Err(fault) => return (replies, Some(fault)),
                }
            }
        }
        (replies, None::<ReplyFault>)
    });
    replies.iter().for_each(passes_on);
}

fn passes_on(reply: &Reply) {
    for enhanced in [true, false] {
        let mut sent = BytesMut::new();
        reply.encode(enhanced, &mut sent);
        let bound = (reply.text.len() + 1) * 20 + 32;
        assert!(sent.len() <= bound, "{} octets of {}", sent.len(), reply.text.len());
        for line in sent.split_inclusive(|byte| *byte == b'\n') {
            assert!(line.len() <= 512 && line.ends_with(b"\r\n"), "{}", line.escape_ascii());
            let text = line.strip_suffix(b"\r\n").unwrap_or(line);
            let printable = text.iter().all(|byte| (0x20..0x7f).contains(byte));
            assert!(printable, "{}", line.escape_ascii());
        }
        let limits = ReplyLimits { line: 512, lines: 1 << 20, octets: 1 << 30 };
        let mut read = sent.clone();
        let again = ReplyDecoder::new(limits).decode(&mut read).expect("our own").expect("whole");
        assert!(read.is_empty() && again.code == reply.code);
        let mut twice = BytesMut::new();
        again.encode(enhanced, &mut twice);
        assert_eq!(twice, sent, "said again it is another");
    }
}

/// Commands, and what the next hop is told of them.
pub fn command(bytes: &[u8]) {
    let Ok(command) = Command::parse(bytes) else { return };
    let canonical = if let Command::Mail(sender, _) = &command {
        format!("MAIL FROM:{sender}")
    } else if let Command::Rcpt(recipient, _) = &command {
        format!("RCPT TO:{recipient}")
    } else {
        return;
    };
    assert!(canonical.len() <= 2 * bytes.len() + 16);
    assert!(!canonical.chars().any(char::is_control), "{canonical:?}");
    let again = Command::parse(canonical.as_bytes()).expect("our own");
    let same = match (&command, &again) {
        (Command::Mail(one, _), Command::Mail(two, _)) => one == two,
        (Command::Rcpt(one, _), Command::Rcpt(two, _)) => one == two,
        _ => false,
    };
    assert!(same, "{canonical:?} is another address");
}

/// Addresses and the keys that the store knows them by.
pub fn address(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(sender) = ReversePath::parse(text) {
        assert_eq!(ReversePath::parse(&sender.to_string()).as_ref(), Ok(&sender));
    }
    if let Ok(recipient) = Recipient::parse(text) {
        assert_eq!(Recipient::parse(&recipient.to_string()).as_ref(), Ok(&recipient));
        if let Some(key) = recipient.key() {
            let again = Recipient::parse(&recipient.to_string()).expect("our own");
            assert_eq!(again.key(), Some(key), "on the wire and in the store");
            stored(key);
        }
    }
    if let Ok(key) = RecipientKey::parse(text) {
        stored(&key);
    }
}

fn stored(key: &RecipientKey) {
    let json = serde_json::to_string(key).expect("text");
    assert!(!json.contains('\n'));
    let again: RecipientKey = serde_json::from_str(&json).expect("our own");
    assert_eq!(&again, key, "a key is its own key");
}

/// The header of a load balancer.
pub fn proxy(bytes: &[u8]) {
    let whole = header_of(bytes, usize::MAX);
    for size in [1, 3, 12, 13] {
        assert_eq!(header_of(bytes, size), whole, "in pieces of {size}");
    }
}

/// The address, or that there is no header, and what is left unread of one that is whole.
fn header_of(bytes: &[u8], size: usize) -> Option<(Option<std::net::SocketAddr>, usize)> {
    let mut reader = Drip { bytes, size };
    let polled = pin!(header::read(&mut reader)).poll(&mut Context::from_waker(Waker::noop()));
    let Poll::Ready(result) = polled else { panic!("it waits for what is there") };
    result.ok().map(|address| (address, reader.bytes.len()))
}

/// A few bytes at a time.
struct Drip<'a> {
    bytes: &'a [u8],
    size: usize,
}

impl AsyncRead for Drip<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let length = self.size.min(buffer.remaining()).min(self.bytes.len());
        let (now, later) = self.bytes.split_at(length);
        buffer.put_slice(now);
        self.bytes = later;
        Poll::Ready(Ok(()))
    }
}

/// A client that sends anything to a gate whose next hop is not there.
pub fn session(bytes: &[u8]) {
    let lower = bytes.to_ascii_lowercase();
    let said = |word: &[u8]| lower.windows(word.len()).any(|here| here == word);
    // Behind these it matters, on purpose, whether more came along.
    let cuts_matter = ["data", "bdat", "auth"].iter().any(|word| said(word.as_bytes()));
    let (said, _) = match cuts_matter {
        true => converse(&[bytes]),
        false => invariant(bytes, converse),
    };
    assert!(said.len() <= 40 * bytes.len() + 1024, "{} octets for {}", said.len(), bytes.len());
    assert!(said.is_ascii() && said.ends_with(b"\r\n"));
}

fn converse(pieces: &[&[u8]]) -> (BytesMut, bool) {
    let settings = Settings {
        hostname: "gate.test".into(),
        instance: "".into(),
        offer: Capabilities::GATE,
        limits: Limits::default(),
        may_relay: true,
        tls: ClientTls::Up,
        protocol: Protocol::Smtp,
        auth: Auth::Local,
        auth_required: false,
        xforward: true,
        client: Arc::new(Identity::of("192.0.2.1".parse().expect("an address"), 4711)),
        xclient: None,
        tell_client: TellClient::Off,
        keys: Arc::default(),
    };
    let (mut session, mut out) = (Session::new(settings), Outputs::default());
    let mut client = BytesMut::new();
    let mut closed = false;
    session.step(Input::Accepted, &mut out);
    for piece in pieces {
        client.extend_from_slice(piece);
        while !closed {
            while let Some(action) = out.actions.pop_front() {
                match action {
                    Action::Ask(..) => {
                        session.step(Input::Forward(Destination::default()), &mut out)
                    }
                    Action::Open { .. } => {
                        let nobody =
                            Reply::from_text("451 4.4.1 rcptgate: nobody").expect("a reply");
                        session.step(Input::NotOpened(nobody.into()), &mut out);
                    }
                    Action::Authenticate(_) => {
                        session.step(Input::Authenticated(Checked::Wrong), &mut out);
                    }
                    Action::CloseClient => closed = true,
                    Action::StartTls
                    | Action::LoginRelayed(_)
                    | Action::CloseDownstream(_)
                    | Action::Answered(_)
                    | Action::Finished(_)
                    | Action::Renamed(_)
                    | Action::Untold(_) => {}
                }
            }
            let before = client.len();
            if closed || client.is_empty() || !session.wants_client() {
                break;
            }
            session.step(Input::Client(&mut client), &mut out);
            if client.len() == before && out.actions.is_empty() {
                break;
            }
        }
    }
    (out.to_client, closed)
}
