//! What rustls keeps to itself about certificates. The only user of x509-parser.

use rustls::pki_types::CertificateDer;
use x509_parser::asn1_rs::{FromDer as _, Sequence};

use crate::time::Timestamp;

/// The end of its validity; `None` if it cannot be read, which is for the handshake to complain about.
pub(super) fn not_after(certificate: &CertificateDer<'static>) -> Option<Timestamp> {
    let (_, parsed) = x509_parser::parse_x509_certificate(certificate).ok()?;
    Some(Timestamp::from_secs(parsed.validity().not_after.timestamp()))
}

/// Who is said to have signed it: the content of the name's SEQUENCE, as trust anchors have it.
pub(super) fn issuer(certificate: &CertificateDer<'_>) -> Option<Vec<u8>> {
    let (_, parsed) = x509_parser::parse_x509_certificate(certificate).ok()?;
    content(parsed.issuer().as_raw())
}

/// What is in a DER SEQUENCE, behind which nothing comes.
pub(super) fn content(der: &[u8]) -> Option<Vec<u8>> {
    let (rest, sequence) = Sequence::from_der(der).ok()?;
    rest.is_empty().then(|| sequence.content.to_vec())
}
