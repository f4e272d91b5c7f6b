//! Hosts as a configuration names them.

use std::fmt;
use std::str::FromStr;

/// A host and its port.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Host {
    /// A name, or an address without brackets.
    pub name: String,
    /// The TCP port.
    pub port: u16,
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.name.contains(':') {
            write!(f, "[{}]:{}", self.name, self.port)
        } else {
            write!(f, "{}:{}", self.name, self.port)
        }
    }
}

/// Text that is no host with a port.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a host: {0:?} (expected name:port, 192.0.2.1:25 or [2001:db8::1]:25)")]
pub struct NotAHost(pub String);

impl FromStr for Host {
    type Err = NotAHost;

    /// Reads `name`, `name:port`, `[v6]` or `[v6]:port`; the port is 25 when it is not said.
    fn from_str(text: &str) -> Result<Self, NotAHost> {
        let wrong = || NotAHost(text.to_owned());
        let (name, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (name, port) = rest.split_once(']').ok_or_else(wrong)?;
                name.parse::<std::net::Ipv6Addr>().map_err(|_| wrong())?;
                (name, port.strip_prefix(':').or(port.is_empty().then_some("25")))
            }
            None => match text.split_once(':') {
                Some((name, port)) => (name, Some(port)),
                None => (text, Some("25")),
            },
        };
        let port = port.and_then(|port| port.parse().ok()).filter(|port| *port != 0);
        let fits = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic());
        match port {
            Some(port) if fits => Ok(Self { name: name.to_owned(), port }),
            Some(_) | None => Err(wrong()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts() {
        let check = |text: &str, expected: Option<(&str, u16)>| {
            let host = text.parse::<Host>().ok();
            assert_eq!(
                host.as_ref().map(|host| (host.name.as_str(), host.port)),
                expected,
                "{text}"
            );
        };
        check("smtp.example.net:587", Some(("smtp.example.net", 587)));
        check("smtp.example.net", Some(("smtp.example.net", 25)));
        check("[2001:db8::1]:25", Some(("2001:db8::1", 25)));
        check("[2001:db8::1]", Some(("2001:db8::1", 25)));
        check("127.0.0.1:2526", Some(("127.0.0.1", 2526)));
        check("2001:db8::1", None);
        check("host:", None);
        check("host:0", None);
        check("host:70000", None);
        check(":25", None);
        check("a b:25", None);
        check("[x]:25", None);
    }
}
