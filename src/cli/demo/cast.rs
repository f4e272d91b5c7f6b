//! Who is written to, how each receiver answers, and what is expected of the gate.

/// A tenant that a recipient complained about.
pub(super) const SHOP: &str = "shop";
/// Another tenant of the same gate.
pub(super) const NEWS: &str = "news";
/// Complained about mail of [`SHOP`].
pub(super) const ANGRY: &str = "angry@harbour.test";
/// Always reachable.
pub(super) const ANNA: &str = "anna@bakery.test";
/// On the operator's allow list, at a domain that is disposable.
pub(super) const PARTNER: &str = "partner@yopmail.com";
/// Each soft bounce after a release is a longer quarantine.
pub(super) const FULL: &str = "full@library.test";
/// Tolerated twice where the receiver is not known to tell the truth.
pub(super) const MOVED: &str = "moved@harbour.test";
/// Believed at once, since gmail.com is a trusted domain.
pub(super) const GONE: &str = "gone@gmail.com";

const PACKED: &str = "packed@library.test";

/// How a receiver answers RCPT for an address: in turn, the last answer for ever. Who is not here is accepted.
pub(super) const MAILBOXES: &[(&str, &[&str])] = &[
    (GONE, &["550 5.1.1 no such user here"]),
    (MOVED, &["550 5.1.1 user unknown"]),
    (FULL, &["552 5.2.2 mailbox full"]),
    (PACKED, &["552 5.2.2 mailbox full", ACCEPTED]),
    ("busy@library.test", &["450 4.2.2 over quota, try later", ACCEPTED]),
    ("guarded@hotmail.com", &["550 5.7.1 your server is block-listed"]),
    ("night@museum.test", &["421 4.3.2 closing for the night", ACCEPTED]),
];

/// What receivers say when they take a recipient.
pub(super) const ACCEPTED: &str = "250 2.1.5 ok";

/// A mailing: one message to each recipient.
pub(super) struct Mailing {
    /// What it is called.
    pub(super) title: &'static str,
    /// On whose account it goes out, so through which listener.
    pub(super) tenant: &'static str,
    /// The envelope sender.
    pub(super) sender: &'static str,
    /// Who is released from quarantine before it.
    pub(super) released: Option<&'static str>,
    /// Recipients with the name of their message in the sender's queue, and what is expected to become of them.
    pub(super) recipients: &'static [(&'static str, &'static str, Who)],
}

/// Who decides about a recipient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Who {
    /// The gate refuses; no receiver hears of it.
    Gate,
    /// A receiver refuses.
    Receiver,
    /// It is delivered.
    Nobody,
}

use Who::{Gate, Nobody, Receiver};

/// What happens, in order.
pub(super) const MAILINGS: &[Mailing] = &[
    Mailing {
        title: "1. The autumn catalogue",
        tenant: SHOP,
        sender: "catalogue@shop.test",
        released: None,
        recipients: &[
            (ANNA, "A1", Nobody),
            ("carla@gmail.com", "A2", Nobody),
            (GONE, "A3", Receiver),
            (MOVED, "A4", Receiver),
            (FULL, "A5", Receiver),
            (PACKED, "A6", Receiver),
            ("busy@library.test", "A7", Receiver),
            ("guarded@hotmail.com", "A8", Receiver),
            ("night@museum.test", "A9", Receiver),
            ("someone@yopmail.com", "A10", Gate),
            (PARTNER, "A11", Nobody),
            (ANGRY, "A12", Gate),
        ],
    },
    Mailing {
        title: "2. The queue tries again, and a reminder goes out",
        tenant: SHOP,
        sender: "catalogue@shop.test",
        released: None,
        recipients: &[
            ("busy@library.test", "A7", Nobody),
            ("night@museum.test", "A9", Nobody),
            (ANNA, "B1", Nobody),
            ("carla@gmail.com", "B2", Nobody),
            (GONE, "B3", Gate),
            ("Gone@GMAIL.com", "B4", Gate),
            (MOVED, "B5", Receiver),
            (FULL, "B6", Gate),
            (PACKED, "B7", Gate),
            ("guarded@hotmail.com", "B8", Receiver),
            ("you@x.yopmail.com", "B9", Gate),
            (ANGRY, "B10", Gate),
        ],
    },
    Mailing {
        title: "3. A newsletter of another customer",
        tenant: NEWS,
        sender: "letter@news.test",
        released: Some(PACKED),
        recipients: &[
            (ANNA, "C1", Nobody),
            (GONE, "C2", Gate),
            (FULL, "C3", Gate),
            (PACKED, "C4", Nobody),
            (ANGRY, "C5", Nobody),
            ("someone@yopmail.com", "C6", Gate),
        ],
    },
];
