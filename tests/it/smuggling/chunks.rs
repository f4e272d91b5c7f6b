//! The same in chunks (RFC 3030), where nothing in the content is an end: wherever the chunks are cut, the next hop sees the
//! octets of the client in one message, or no message.

use std::collections::HashMap;

use rcptgate::session::{Protocol, Settings};
use rcptgate::smtp::extensions::Capabilities;

use super::{BOUNDARIES, HIDDEN, VECTORS, filler};
use crate::rig::{Rig, capabilities, settings};

#[test]
fn no_vector_in_chunks_ends_a_message() {
    for vector in VECTORS {
        for before in [b"".as_slice(), b"Subject: x\r\n\r\n", b"Subject: x\r\n\r\nbody"] {
            everywhere(before, vector, &[1, 7, usize::MAX]);
        }
    }
}

#[test]
fn no_vector_in_chunks_ends_a_message_across_a_boundary() {
    for vector in VECTORS {
        for boundary in BOUNDARIES {
            everywhere(&filler(boundary - vector.len() / 2), vector, &[boundary]);
        }
    }
}

#[test]
fn what_ends_data_ends_no_chunk() {
    let end = b"\r\n.\r\n";
    for cut in 0..=end.len() {
        for protocol in [Protocol::Smtp, Protocol::Lmtp] {
            let message = Chunks::around(b"Subject: x", end, cut);
            message.passes("", protocol, 1);
            message.passes("", protocol, usize::MAX);
        }
    }
}

/// Chunked around the vector and at each place within it: refused as text, passed on as it is where that was asked for.
fn everywhere(before: &[u8], vector: &[u8], pieces: &[usize]) {
    for cut in 0..=vector.len() {
        let message = Chunks::around(before, vector, cut);
        for piece in pieces {
            message.is_refused(*piece);
            message.passes(" BODY=BINARYMIME", Protocol::Smtp, *piece);
        }
    }
}

struct Chunks([Vec<u8>; 2]);

impl Chunks {
    fn around(before: &[u8], vector: &[u8], cut: usize) -> Self {
        let (head, tail) = vector.split_at(cut);
        Self([[before, head].concat(), [tail, HIDDEN, b"\r\n"].concat()])
    }

    fn is_refused(&self, piece: usize) {
        let (rig, replies) = self.send("", Protocol::Smtp, piece);
        let refused = |reply: &String| reply.starts_with("550 5.5.2 rcptgate: bare");
        assert_eq!(
            replies.iter().filter(|reply| refused(reply)).count(),
            1,
            "{self:?} {replies:?}"
        );
        assert!(!replies.last().is_some_and(|last| last.starts_with('2')), "{self:?} {replies:?}");
        assert_eq!(rig.hops.iter().map(|hop| hop.wire.accepted).sum::<usize>(), 0, "{self:?}");
    }

    fn passes(&self, body: &str, protocol: Protocol, piece: usize) {
        let (rig, replies) = self.send(body, protocol, piece);
        assert_eq!(replies, ["250 2.0.0 ok", "250 2.0.0 ok"], "{self:?}");
        let hop = rig.hop().expect("the connection");
        assert_eq!((hop.wire.accepted, hop.wire.chunked()), (1, self.0.concat().as_slice()));
    }

    /// Sends one message in pieces of this size; returns the replies to its chunks. The session must go on behind it.
    fn send(&self, body: &str, protocol: Protocol, piece: usize) -> (Rig, Vec<String>) {
        let offer = Capabilities { chunking: true, binary_mime: true, ..settings().offer };
        let mut rig = Rig::new(Settings { offer, protocol, ..settings() }, HashMap::new());
        let hello = if protocol == Protocol::Lmtp { "LHLO" } else { "EHLO" };
        let mail = format!("{hello} c\r\nMAIL FROM:<s@x.test>{body}\r\nRCPT TO:<a@y.test>\r\n");
        rig.client(mail.as_bytes());
        rig.connect(capabilities("PIPELINING CHUNKING BINARYMIME"));
        rig.downstream(b"250 ok\r\n250 ok\r\n");
        assert_eq!(rig.replies().len(), 4);
        let [first, last] = &self.0;
        let wire = [
            format!("BDAT {}\r\n", first.len()).as_bytes(),
            first,
            format!("BDAT {} LAST\r\n", last.len()).as_bytes(),
            last,
        ]
        .concat();
        for stretch in wire.chunks(piece.min(wire.len())) {
            rig.client(stretch);
        }
        while rig.hop().is_some_and(|hop| hop.wire.due().is_some()) {
            rig.downstream(b"250 ok\r\n");
        }
        let replies = rig.replies();
        assert_eq!(replies.len(), 2, "one reply to each chunk: {self:?} {replies:?}");
        rig.client(b"NOOP\r\n");
        assert_eq!(rig.replies().len(), 1, "the session goes on: {self:?}");
        assert_eq!(rig.hops.len(), 1);
        let evil = |command: &String| command.contains("evil");
        assert!(!rig.hops.iter().any(|hop| hop.wire.commands.iter().any(evil)), "{self:?}");
        (rig, replies)
    }
}

impl std::fmt::Debug for Chunks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [first, last] = &self.0;
        let tail = first.get(first.len().saturating_sub(20)..).unwrap_or_default();
        let head = last.get(..last.len().min(20)).unwrap_or_default();
        write!(f, "{} octets, {} | {}", first.len(), tail.escape_ascii(), head.escape_ascii())
    }
}
