//! Whether the name servers' word on what is signed is taken, and what an operator is told where that is not as it might be meant.

use super::build;
use crate::config::{DnsSettings, DnssecChoice, Settings};
use crate::dns::{Dnssec, Resolver};

/// Whether it is taken.
pub(super) fn dnssec(settings: &DnsSettings) -> Dnssec {
    match distrust(settings) {
        Some(_) => Dnssec::Off,
        None => Dnssec::TrustAd,
    }
}

/// Why it is not. Unless something else is said, servers on this machine alone are believed: nobody sits in front of them (RFC 7672
/// §2.1.1).
pub(super) fn distrust(settings: &DnsSettings) -> Option<String> {
    match settings.dnssec {
        Some(DnssecChoice::TrustAd) => None,
        Some(DnssecChoice::Off) => Some("dns.dnssec is \"off\"".to_owned()),
        None => Resolver::remote(&settings.servers).map(|server| {
            format!(
                "the name server {server} is not on this machine; one that validates here would be believed, \
                 another only with dns.dnssec = \"trust-ad\""
            )
        }),
    }
}

/// What is said against servers whose word is taken because the configuration says so.
pub fn caution(settings: &DnsSettings) -> Option<String> {
    if settings.dnssec != Some(DnssecChoice::TrustAd) {
        return None;
    }
    let server = Resolver::remote(&settings.servers)?;
    let why = "whoever sits between can forge what it vouches for";
    Some(format!("dns.dnssec trusts {server}, which is not on this machine: {why}"))
}

/// Tells the log of it, at the start.
pub(super) fn tell(settings: &Settings) {
    if let Some(error) = caution(&settings.dns) {
        tracing::warn!(event = "tls", result = "dnssec_forgeable", error);
    }
    if let Some(error) = distrust(&settings.dns) {
        tell_without_dane(settings, &error);
    }
}

/// Tells the log that DANE is not in use, and why, if a way out asks for it. With `dane = true` somebody relies on it.
pub(super) fn tell_without_dane(settings: &Settings, error: &str) {
    match dane(settings) {
        Asked::No => {}
        Asked::Silently => tracing::info!(event = "tls", result = "dane_not_in_use", error),
        Asked::Expressly => tracing::warn!(event = "tls", result = "dane_not_in_use", error),
    }
}

/// Whether DANE is asked for by any way out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Asked {
    No,
    /// It is what holds when nothing is said.
    Silently,
    Expressly,
}

pub(super) fn dane(settings: &Settings) -> Asked {
    let ways = settings.routes.iter().chain([&settings.downstream.way]);
    let asked = ways.map(|way| match (build::asks_for_dane(way), way.dane) {
        (false, _) => Asked::No,
        (true, None) => Asked::Silently,
        (true, Some(_)) => Asked::Expressly,
    });
    asked.max().unwrap_or(Asked::No)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::{DownstreamTls, RouteKind, WaySettings};

    fn dns(servers: &[&str], dnssec: Option<DnssecChoice>) -> DnsSettings {
        let servers = servers.iter().map(|text| text.parse().expect("an address")).collect();
        DnsSettings { servers, dnssec }
    }

    /// J09.
    #[test]
    fn a_remote_server_is_believed_only_if_the_configuration_says_so() {
        let (near, far) = (["127.0.0.1:53", "[::1]:53"], ["127.0.0.1:53", "192.0.2.1:53"]);
        let check = |servers: &[&str], said, trusted: bool, cautioned: bool| {
            let settings = dns(servers, said);
            let wanted = if trusted { Dnssec::TrustAd } else { Dnssec::Off };
            assert_eq!(dnssec(&settings), wanted, "{settings:?}");
            assert_eq!(caution(&settings).is_some(), cautioned, "{settings:?}");
        };
        check(&near, None, true, false);
        check(&far, None, false, false);
        check(&near, Some(DnssecChoice::TrustAd), true, false);
        check(&far, Some(DnssecChoice::TrustAd), true, true);
        check(&near, Some(DnssecChoice::Off), false, false);
        check(&far, Some(DnssecChoice::Off), false, false);
        let why = distrust(&dns(&far, None)).expect("a reason");
        assert!(why.starts_with("the name server 192.0.2.1 is not on this machine"), "{why}");
    }

    #[test]
    fn dane_is_asked_for_by_what_looks_mail_hosts_up_and_has_tls() {
        let mx = |tls, dane| WaySettings {
            route: RouteKind::Mx(25),
            tls,
            dane,
            ..WaySettings::default()
        };
        let (some, off) = (DownstreamTls::Opportunistic, DownstreamTls::Off);
        for (way, asked) in [
            (WaySettings::default(), Asked::No),
            (WaySettings { dane: Some(true), ..WaySettings::default() }, Asked::No),
            (mx(off, Some(true)), Asked::No),
            (mx(some, Some(false)), Asked::No),
            (mx(some, None), Asked::Silently),
            (mx(some, Some(true)), Asked::Expressly),
        ] {
            let mut settings = Settings::defaults(Path::new("c.toml"));
            settings.downstream.way = way.clone();
            assert_eq!(dane(&settings), asked, "{way:?}");
            settings.downstream.way = WaySettings::default();
            settings.routes = vec![WaySettings::default(), way, WaySettings::default()];
            assert_eq!(dane(&settings), asked);
        }
    }
}
