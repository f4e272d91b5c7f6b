//! When a certificate ends: the one thing that rustls keeps to itself. The only user of x509-parser.

use rustls::pki_types::CertificateDer;

use crate::time::Timestamp;

/// The end of its validity; `None` if it cannot be read, which is for the handshake to complain about.
pub(super) fn not_after(certificate: &CertificateDer<'static>) -> Option<Timestamp> {
    let (_, parsed) = x509_parser::parse_x509_certificate(certificate).ok()?;
    Some(Timestamp::from_secs(parsed.validity().not_after.timestamp()))
}
