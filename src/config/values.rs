//! Values that are written as text.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;

use crate::smtp::address::{Domain, Recipient, RecipientKey, domain_key};
use crate::smtp::extensions::Extension;

/// The port that mail goes to unless another is named.
const SMTP_PORT: u16 = 25;

/// A host and a port, the host a name or an IP address.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HostPort {
    /// A domain name in lower-case A-labels, or an IP address without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// `smtp.example.net:25`, `192.0.2.1:25`, `[2001:db8::1]:25`; without a port, 25.
pub(super) fn parse_host_port(text: &str) -> Result<HostPort, String> {
    if let Ok(address) = text.parse::<SocketAddr>() {
        return host_port(address.ip().to_string(), address.port());
    }
    if let Ok(ip) = text.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>() {
        return host_port(ip.to_string(), SMTP_PORT);
    }
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) => {
            (host, port.parse().map_err(|_| "expected HOST:PORT such as smtp.example.net:25")?)
        }
        None => (text, SMTP_PORT),
    };
    host_port(parse_name(host)?, port)
}

fn host_port(host: String, port: u16) -> Result<HostPort, String> {
    if port == 0 { Err("port 0 is no port".to_owned()) } else { Ok(HostPort { host, port }) }
}

/// Something, at least.
pub(super) fn not_empty(text: &str) -> Result<&str, String> {
    if text.is_empty() { Err("must not be empty".to_owned()) } else { Ok(text) }
}

/// A host name, of one label or more, as keys have it.
pub(super) fn parse_name(text: &str) -> Result<String, String> {
    let fits = !text.starts_with('[') && RecipientKey::parse(&format!("x@{text}")).is_ok();
    if fits { Ok(domain_key(text)) } else { Err("not a host name".to_owned()) }
}

/// The name that the gate greets with: a host name or an address literal (RFC 5321 §4.1.3).
pub(super) fn parse_hostname(text: &str) -> Result<String, String> {
    if text.starts_with('[')
        && let Ok(Recipient::Mailbox(mailbox)) = Recipient::parse(&format!("<x@{text}>"))
        && let Domain::Literal(literal) = &mailbox.domain
    {
        return Ok(literal.clone());
    }
    parse_name(text)
}

/// `127.0.0.1:2525` or `[::1]:2525`: where to listen is an address, so that no look-up decides who can reach the gate.
pub(super) fn parse_address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| "expected IP:PORT such as 127.0.0.1:2525 or [::1]:2525".to_owned())
}

/// The address of a name server; without a port, 53.
pub(super) fn parse_server(text: &str) -> Result<SocketAddr, String> {
    match text.parse::<IpAddr>() {
        Ok(ip) => Ok(SocketAddr::new(ip, 53)),
        Err(_) => {
            text.parse().map_err(|_| "expected IP or IP:PORT such as 127.0.0.1:53".to_owned())
        }
    }
}

/// `192.0.2.0/24`, or one address.
pub(super) fn parse_network(text: &str) -> Result<IpNet, String> {
    if let Ok(ip) = text.parse::<IpAddr>() {
        return Ok(ip.into());
    }
    let network: IpNet = text
        .parse()
        .map_err(|_| "expected a network such as 192.0.2.0/24 or 2001:db8::/32".to_owned())?;
    if network != network.trunc() {
        return Err(format!("has bits set behind its mask; did you mean {}?", network.trunc()));
    }
    Ok(network)
}

/// An extension that can be withheld, by its name.
pub(super) fn parse_extension(text: &str) -> Result<Extension, String> {
    Extension::by_name(text).ok_or_else(|| {
        let names: Vec<_> = Extension::ALL.iter().map(|(name, _)| format!("\"{name}\"")).collect();
        format!("expected {}", names.join(" or "))
    })
}

/// `"5%"` or `"0.5%"`: a share, from 0 to 1.
pub(super) fn parse_share(text: &str) -> Result<f64, String> {
    let number = text.strip_suffix('%').and_then(|number| number.trim().parse::<f64>().ok());
    let share = number.filter(|number| (0.0..=100.0).contains(number));
    share.map(|number| number / 100.0).ok_or_else(|| "expected a share such as \"5%\"".to_owned())
}

const UNITS: [(&str, u64); 3] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];

/// A number of octets: `"50MiB"`, `"64KiB"`, `"1GiB"`, `"2048"`.
pub(super) fn parse_size(text: &str) -> Result<u64, String> {
    let unit = UNITS.iter().find_map(|(unit, octets)| Some((text.strip_suffix(unit)?, *octets)));
    let (number, octets) = unit.unwrap_or((text, 1));
    let size = number.trim().parse::<u64>().ok().and_then(|number| number.checked_mul(octets));
    size.ok_or_else(|| "expected octets, a whole number with KiB, MiB, GiB or no unit".to_owned())
}

/// The shortest exact way to write a number of octets.
pub(super) fn show_size(size: u64) -> String {
    let unit = UNITS.iter().find(|(_, octets)| size != 0 && size.is_multiple_of(*octets));
    unit.map_or_else(|| size.to_string(), |(unit, octets)| format!("{}{unit}", size / octets))
}
