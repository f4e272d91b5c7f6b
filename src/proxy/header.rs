//! The PROXY protocol: who the client is, from a load balancer that is listed.
//!
//! Whether a connection begins with a header is a setting of the listener, never guessed: a client could send one of its own.
//! The header is read to its last byte and no further, since what follows may be TLS.

use std::io;
use std::net::SocketAddr;

use proxy_header::{ParseConfig, ProxyHeader};
use tokio::io::{AsyncRead, AsyncReadExt as _};

/// Longest version 1 header with its CRLF.
const V1_MAX: usize = 107;
/// What a version 2 header begins with; no version 1 header is as short.
const V2_SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// A version 2 header behind its signature: version, family and length.
const V2_FIXED: usize = 4;
/// Longest version 2 header behind that: addresses and a fair number of TLVs.
const V2_MAX: usize = 2048;

/// Reads the header; the address it gives, or `None` where it gives none (LOCAL, UNKNOWN: a health check of the balancer itself).
///
/// # Errors
/// The connection ended, or what it began with is no header: it is to be closed (fail closed, the address would be wrong).
pub async fn read(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<SocketAddr>> {
    let mut header = vec![0; V2_SIGNATURE.len()];
    stream.read_exact(&mut header).await?;
    if header == V2_SIGNATURE {
        read_v2(stream, &mut header).await?;
    } else {
        read_v1(stream, &mut header).await?;
    }
    let malformed = |_| io::Error::from(io::ErrorKind::InvalidData);
    let (parsed, length) =
        ProxyHeader::parse(&header, ParseConfig::default()).map_err(malformed)?;
    if length != header.len() {
        return Err(io::ErrorKind::InvalidData.into());
    }
    Ok(parsed.proxied_address().map(|address| address.source))
}

async fn read_v1(stream: &mut (impl AsyncRead + Unpin), header: &mut Vec<u8>) -> io::Result<()> {
    while !header.ends_with(b"\n") {
        if header.len() == V1_MAX || !header.starts_with(b"PROXY ") {
            return Err(io::ErrorKind::InvalidData.into());
        }
        header.push(stream.read_u8().await?);
    }
    Ok(())
}

async fn read_v2(stream: &mut (impl AsyncRead + Unpin), header: &mut Vec<u8>) -> io::Result<()> {
    let mut fixed = [0; V2_FIXED];
    stream.read_exact(&mut fixed).await?;
    let [_, _, high, low] = fixed;
    let length = usize::from(u16::from_be_bytes([high, low]));
    if length > V2_MAX {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut rest = vec![0; length];
    stream.read_exact(&mut rest).await?;
    header.extend_from_slice(&fixed);
    header.extend_from_slice(&rest);
    Ok(())
}
