//! What sessions of the rig are set up with.

use std::sync::Arc;

use rcptgate::session::Settings;
use rcptgate::smtp::extensions::{Capabilities, Size};
use rcptgate::smtp::identity::Identity;

/// Capabilities from words as EHLO has them, `SIZE=1000` for SIZE with a limit, `LIMITS=RCPTMAX=10,MAILMAX=5` likewise.
pub fn capabilities(words: &str) -> Capabilities {
    let lines: Vec<_> = words
        .split_ascii_whitespace()
        .map(|word| word.replacen('=', " ", 1).replace(',', " "))
        .collect();
    // No keyword: the gate logged in there when the connection was made.
    let authenticated = words.contains("logged-in");
    // Nor for this: LHLO was said there.
    let lmtp = words.split_ascii_whitespace().any(|word| word == "lmtp");
    let offered = Capabilities::from_ehlo(&format!("mx.test\n{}", lines.join("\n")));
    Capabilities { authenticated, lmtp, ..offered }
}

/// What most tests run with.
pub fn settings() -> Settings {
    Settings {
        hostname: "gate.test".into(),
        instance: "".into(),
        offer: Capabilities {
            dsn: true,
            size: Size::Unlimited,
            limits: None,
            ..Capabilities::GATE
        },
        limits: rcptgate::session::Limits::default(),
        may_relay: true,
        tls: rcptgate::session::ClientTls::Off,
        auth: rcptgate::session::Auth::Off,
        auth_required: false,
        protocol: rcptgate::session::Protocol::Smtp,
        xforward: false,
        client: Arc::new(Identity::of("192.0.2.1".parse().expect("an address"), 4711)),
        xclient: None,
        tell_client: rcptgate::session::TellClient::Off,
        keys: std::sync::Arc::default(),
    }
}
