//! Where connections to the next hop come from.

use std::io;
use std::net::{IpAddr, SocketAddr};

use socket2::SockRef;
use tokio::net::{TcpSocket, TcpStream};

/// The address that a next hop sees.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Source {
    /// What the system chooses.
    #[default]
    Any,
    /// This address of the machine. Addresses of the other family cannot be reached from it.
    Address(IpAddr),
    /// The client's own, which the gate borrows (`IP_TRANSPARENT`): needs `CAP_NET_ADMIN`, and routes that bring the replies back.
    Client,
}

impl Source {
    /// The address to bind to, when this client's mail goes out.
    pub(super) const fn of(self, client: IpAddr) -> Option<IpAddr> {
        match self {
            Self::Any => None,
            Self::Address(address) => Some(address),
            Self::Client => Some(client),
        }
    }

    /// Connects to there.
    ///
    /// # Errors
    /// As `connect`, and when the address is not ours to use.
    pub(super) async fn connect(self, target: SocketAddr, client: IpAddr) -> io::Result<TcpStream> {
        let Some(own) = self.of(client) else { return TcpStream::connect(target).await };
        let socket = match (own, target) {
            (IpAddr::V4(_), SocketAddr::V4(_)) => TcpSocket::new_v4()?,
            (IpAddr::V6(_), SocketAddr::V6(_)) => TcpSocket::new_v6()?,
            (IpAddr::V4(_), SocketAddr::V6(_)) | (IpAddr::V6(_), SocketAddr::V4(_)) => {
                let why = format!("cannot be reached from {own}");
                return Err(io::Error::new(io::ErrorKind::AddrNotAvailable, why));
            }
        };
        if self == Self::Client {
            let socket = SockRef::from(&socket);
            match own {
                IpAddr::V4(_) => socket.set_ip_transparent_v4(true)?,
                IpAddr::V6(_) => socket.set_ip_transparent_v6(true)?,
            }
        }
        socket.bind(SocketAddr::new(own, 0))?;
        socket.connect(target).await
    }
}

/// Where a client was going before its connection was redirected to us.
///
/// # Errors
/// The connection was not redirected, or the system does not say.
pub(super) fn original_destination(stream: &TcpStream) -> io::Result<SocketAddr> {
    let local = canonical(stream.local_addr()?);
    let socket = SockRef::from(stream);
    // A listener on [::] takes IPv4 too, and which of the two it was only the address tells.
    let original = match local {
        SocketAddr::V4(_) => socket.original_dst_v4()?,
        SocketAddr::V6(_) => socket.original_dst_v6()?,
    };
    let original = original.as_socket().map(canonical);
    match original {
        // Without a rule that redirects it, a connection was going to where it arrived (HAProxy's own test for it).
        Some(original) if original != local => Ok(original),
        Some(_) | None => Err(io::Error::new(io::ErrorKind::InvalidInput, "not redirected")),
    }
}

fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn a_connection_comes_from_the_address_that_was_chosen() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let target = listener.local_addr().expect("an address");
        let own: IpAddr = "127.0.0.9".parse().expect("an address");
        let _stream = Source::Address(own).connect(target, target.ip()).await.expect("a stream");
        let (_, from) = listener.accept().await.expect("a connection");
        assert_eq!(from.ip(), own);
    }

    #[tokio::test]
    async fn one_family_does_not_reach_the_other() {
        let own = Source::Address("::1".parse().expect("an address"));
        let target = "127.0.0.1:25".parse().expect("an address");
        let error = own.connect(target, own_v4()).await.expect_err("no way there");
        assert_eq!(error.kind(), io::ErrorKind::AddrNotAvailable);
    }

    fn own_v4() -> IpAddr {
        "127.0.0.1".parse().expect("an address")
    }

    #[tokio::test]
    async fn a_connection_that_was_made_to_us_was_not_redirected() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let _client = TcpStream::connect(address).await.expect("a stream");
        let (stream, _) = listener.accept().await.expect("a connection");
        assert!(original_destination(&stream).is_err());
    }
}
