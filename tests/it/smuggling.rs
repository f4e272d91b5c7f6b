//! SMTP smuggling (CVE-2023-51764, -51765, -51766 and kin): whatever stands in for an end of data, wherever it stands and
//! however it arrives, the next hop reads one message or none, and nothing bare. The rig looks at every byte that goes there.

mod chunks;
mod within_tls;

use std::collections::HashMap;

use crate::rig::{Rig, capabilities, settings};

/// Union of the published sets; none of them is an end of data (RFC 5321 §4.1.1.4).
const VECTORS: &[&[u8]] = &[
    b"\n.\n",
    b"\n.\r\n",
    b"\n.\r",
    b"\r.\r",
    b"\r.\n",
    b"\r.\r\n",
    b"\r\n.\n",
    b"\r\n.\r",
    b"\r\n\0.\r\n",
    b"\0\r\n.\r\0\n",
    b"\r\0\n.\r\n",
    b"\r\n.\0\r\n",
    b"\r\n.\r\0\n",
    b"\r\n.\r\r\n",
    b"\r\r\n.\r\r\n",
    b"\n.\r\r\n",
    b"\r\n\x00.\r\n",
    b"\r",
    b"\n",
    b"\0",
];

/// What an attacker hopes will be taken for commands.
const HIDDEN: &[u8] =
    b"MAIL FROM:<evil@x.test>\r\nRCPT TO:<evil@y.test>\r\nDATA\r\nSubject: forged\r\n\r\nhello";

/// Sizes of the buffers that implementations read into.
const BOUNDARIES: [usize; 5] = [2048, 4096, 8192, 16384, 65536];

#[test]
fn no_vector_ends_a_message() {
    for vector in VECTORS {
        check(b"", vector, 1);
        check(b"Subject: x\r\n\r\n", vector, 1);
        check(b"Subject: x\r\n\r\nbody", vector, 7);
    }
}

#[test]
fn no_vector_ends_a_message_across_a_boundary() {
    for vector in VECTORS {
        for boundary in BOUNDARIES {
            for before in 0..=vector.len() {
                check(&filler(boundary - before), vector, boundary);
            }
        }
    }
}

#[test]
fn a_long_line_that_begins_with_a_dot_is_no_end() {
    for length in [2046, 2047, 2048, 4095, 4096, 16384, 65530, 70_000] {
        let line = [b"\r\n.".as_slice(), &vec![b'x'; length]].concat();
        for piece in [1000, length + 1, length + 2, length + 3] {
            let end = message(&[b"Subject: x", line.as_slice(), b".\r\n"].concat(), piece);
            let expected = if length > 65_530 { "554 5.6.0" } else { "250 2.0.0 queued" };
            assert!(end.starts_with(expected), "{length} in pieces of {piece}: {end}");
        }
    }
}

#[test]
fn a_true_end_is_one_however_it_is_cut() {
    for body in ["", "x\r\n", ".x\r\n..\r\n", "\r\n", "a\r\n.b\r\n\r\n"] {
        for piece in 1..body.len() + 4 {
            assert_eq!(message(body.as_bytes(), piece), "250 2.0.0 queued", "{body:?}, {piece}");
        }
    }
}

/// Lines of which the last has no end yet.
fn filler(octets: usize) -> Vec<u8> {
    let line = [&[b'x'; 70], b"\r\n".as_slice()].concat();
    let mut bytes: Vec<u8> = line.iter().cycle().take(octets).copied().collect();
    // Neither half a line end nor the start of a line at its end: the vector is to begin on its own.
    for last in bytes.iter_mut().rev().take(2) {
        *last = b'x';
    }
    if bytes.len() > 2 && bytes.get(bytes.len() - 3) == Some(&b'\r') {
        let at = bytes.len() - 3;
        bytes.splice(at.., *b"xxx");
    }
    bytes
}

fn check(before: &[u8], vector: &[u8], piece: usize) {
    let body = [before, vector, HIDDEN, b"\r\n"].concat();
    for piece in [piece, body.len()] {
        let end = message(&body, piece);
        let refused = end.starts_with("550 5.5.2 rcptgate: bare");
        assert!(refused, "{:?} behind {}: {end}", vector.escape_ascii(), before.len());
    }
}

/// Sends one message in pieces of this size; returns the one reply to its end. The session must go on behind it.
fn message(body: &[u8], piece: usize) -> String {
    let mut rig = Rig::new(settings(), HashMap::new());
    rig.client(b"EHLO client.test\r\nMAIL FROM:<s@x.test>\r\nRCPT TO:<a@y.test>\r\nDATA\r\n");
    rig.connect(capabilities("PIPELINING"));
    rig.downstream(b"250 ok\r\n250 ok\r\n354 go\r\n");
    assert_eq!(rig.replies().len(), 5);
    let content = [body, b".\r\n"].concat();
    content.chunks(piece).for_each(|chunk| rig.client(chunk));
    rig.downstream(b"250 queued\r\n");
    let replies = rig.replies();
    assert_eq!(replies.len(), 1, "one reply to one message: {replies:?}");
    rig.client(b"NOOP\r\n");
    assert_eq!(rig.replies().len(), 1, "the session goes on");
    assert_eq!(rig.hops.len(), 1);
    let hop = rig.hops.first().expect("a connection");
    assert_eq!(hop.wire.commands.len(), 3, "{:?}", hop.wire.commands);
    let delivered = replies.iter().filter(|reply| reply.starts_with("250")).count();
    assert_eq!(hop.wire.messages.len(), delivered, "ends that the next hop saw");
    replies.into_iter().next().unwrap_or_default()
}
