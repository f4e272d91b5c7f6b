//! Proof by TLSA records (RFC 6698, RFC 7671, RFC 7672 §3): DNS says which certificate, key or authority a host has.

use std::borrow::Cow;
use std::sync::Arc;

use ring::digest::{SHA256, SHA512, digest};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::pki_types::{CertificateDer, ServerName, TrustAnchor, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, DigitallySignedStruct, Error, OtherError, RootCertStore, SignatureScheme,
};

use super::connector::Unverified;
use super::x509::{content, issuer};
use crate::routing::records::Tlsa;
use crate::routing::tlsa::{
    CERTIFICATE, DANE_EE, DANE_TA, PUBLIC_KEY, SHA_256, SHA_512, WHOLE, is_usable,
};

/// Records that are looked at. Nobody needs so many, and a chain is searched once for each.
const RECORDS_MAX: usize = 100;

/// Takes a certificate that a record vouches for, and no other.
#[derive(Debug)]
pub(super) struct ByTlsa {
    records: Vec<Tlsa>,
    names: Vec<ServerName<'static>>,
    /// The handshake is signed as everywhere.
    signatures: Unverified,
}

/// The certificates are none of those that the records name. Its own name is what rustls shows of it.
#[derive(Debug, thiserror::Error)]
#[error("no TLSA record matches")]
struct NoTlsaRecordMatches;

impl ByTlsa {
    /// Records that SMTP cannot use match nothing; what is no name is in no certificate.
    pub(super) fn new(records: &[Tlsa], names: &[String]) -> Self {
        let usable = records.iter().filter(|record| is_usable(record)).take(RECORDS_MAX);
        let names = names.iter().filter_map(|name| ServerName::try_from(name.clone()).ok());
        Self {
            records: usable.cloned().collect(),
            names: names.collect(),
            signatures: Unverified::new(),
        }
    }

    fn some_match(&self, usage: u8, forms: &[Form<'_>]) -> bool {
        let mut records = self.records.iter().filter(|record| record.usage == usage);
        records.any(|record| forms.iter().any(|form| form.is_in(record)))
    }

    /// The authorities that records of usage 2 vouch for: those that the host shows and a record matches, and those that a record
    /// holds whole, which the host need not show.
    fn authorities(&self, chain: &[&CertificateDer<'_>]) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        let shown = chain.iter().skip(1);
        let vouched = shown.filter(|shown| self.some_match(DANE_TA, &forms(shown)));
        roots.add_parsable_certificates(vouched.map(|shown| (**shown).clone()));
        let whole = |record: &&Tlsa| record.usage == DANE_TA && record.matching == WHOLE;
        for record in self.records.iter().filter(whole) {
            if record.selector == CERTIFICATE {
                let held = CertificateDer::from(record.data.as_slice());
                roots.add_parsable_certificates([held]);
            } else {
                roots.roots.extend(keys(&record.data, chain));
            }
        }
        roots
    }

    fn by_authority(
        &self,
        own: &ParsedCertificate<'_>,
        chain: &[&CertificateDer<'_>],
        others: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), Error> {
        let roots = self.authorities(chain);
        if roots.is_empty() {
            return Err(no_match());
        }
        let algorithms = self.signatures.algorithms();
        verify_server_cert_signed_by_trust_anchor(own, &roots, others, now, algorithms)?;
        let mut outcome = Err(CertificateError::NotValidForName.into());
        for name in &self.names {
            outcome = verify_server_name(own, name);
            if outcome.is_ok() {
                break;
            }
        }
        outcome
    }
}

impl ServerCertVerifier for ByTlsa {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        // Neither its names nor its dates matter: the record has both (RFC 7672 §3.1.1).
        if self.some_match(DANE_EE, &forms(end_entity)) {
            return Ok(ServerCertVerified::assertion());
        }
        let own = ParsedCertificate::try_from(end_entity)?;
        let chain: Vec<_> = [end_entity].into_iter().chain(intermediates).collect();
        self.by_authority(&own, &chain, intermediates, now)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.signatures.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.signatures.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.signatures.supported_verify_schemes()
    }
}

fn no_match() -> Error {
    CertificateError::Other(OtherError(Arc::new(NoTlsaRecordMatches))).into()
}

/// What the data of a record with this selector and matching must be.
struct Form<'a> {
    selector: u8,
    matching: u8,
    data: Cow<'a, [u8]>,
}

impl Form<'_> {
    fn is_in(&self, record: &Tlsa) -> bool {
        (self.selector, self.matching) == (record.selector, record.matching)
            && *self.data == *record.data
    }
}

/// All forms of a certificate, made once for all records. The key is read by the parser that checks the
/// handshake's signature: of two parsers one could be shown another key.
fn forms<'a>(certificate: &'a CertificateDer<'a>) -> Vec<Form<'a>> {
    let key = ParsedCertificate::try_from(certificate);
    let key = key.map(|parsed| parsed.subject_public_key_info().to_vec()).ok();
    let certificate = (CERTIFICATE, certificate.as_ref().into());
    let things = [certificate].into_iter().chain(key.map(|key| (PUBLIC_KEY, key.into())));
    let forms = things.flat_map(|(selector, thing): (u8, Cow<'a, [u8]>)| {
        let digests = [(SHA_256, &SHA256), (SHA_512, &SHA512)]
            .map(|(matching, algorithm)| (matching, digest(algorithm, &thing).as_ref().to_vec()));
        let digests = digests.into_iter().map(|(matching, data)| (matching, data.into()));
        let all = digests.chain([(WHOLE, thing)]).collect::<Vec<_>>();
        all.into_iter().map(move |(matching, data)| Form { selector, matching, data })
    });
    forms.collect()
}

/// A key without a certificate, as an authority under each name by which a certificate of the chain may call it. Whoever has the key
/// is the authority; the name only leads the search to it.
fn keys(public_key: &[u8], chain: &[&CertificateDer<'_>]) -> Vec<TrustAnchor<'static>> {
    let Some(key) = content(public_key) else { return Vec::new() };
    let names = chain.iter().filter_map(|certificate| issuer(certificate));
    let anchor = |name: Vec<u8>| TrustAnchor {
        subject: name.into(),
        subject_public_key_info: key.clone().into(),
        name_constraints: None,
    };
    names.map(anchor).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Certificates and records are strangers' bytes until something is proved.
        #[test]
        fn rubbish_proves_nothing(
            data in prop::collection::vec(any::<u8>(), 1..90),
            cut in 0..400usize,
            selector in 0..2u8,
        ) {
            let made = rcgen::generate_simple_self_signed(vec!["mx.test".to_owned()]);
            let whole = made.expect("a certificate").cert.der().to_vec();
            let part = whole.get(..cut).unwrap_or(&whole).to_vec();
            let records = [data.clone(), part.clone()]
                .map(|data| Tlsa { usage: DANE_TA, selector, matching: WHOLE, data });
            let verifier = ByTlsa::new(&records, &["mx.test".to_owned(), "\0".to_owned()]);
            for shown in [whole, part, data] {
                let chain = [CertificateDer::from(shown)];
                let name = ServerName::try_from("mx.test").expect("a name");
                let [own] = &chain;
                let now = UnixTime::since_unix_epoch(std::time::Duration::from_secs(1_800_000_000));
                let taken = verifier.verify_server_cert(own, &chain, &name, &[], now);
                // A whole certificate in a record is an authority; this one has signed itself.
                prop_assert!(taken.is_err() || (selector == CERTIFICATE && cut >= own.len()));
            }
        }
    }
}
