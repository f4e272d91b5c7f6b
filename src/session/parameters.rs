//! The parameters of MAIL and RCPT: each must have been offered and be well formed.

use super::transaction::Wants;
use super::{Session, replies};
use crate::smtp::command::Parameter;
use crate::smtp::extensions::{Capabilities, Size};
use crate::smtp::reply::Reply;

impl Session {
    /// Checks the parameters of MAIL against what was offered. After HELO nothing was.
    pub(super) fn wants(&self, parameters: &[Parameter]) -> Result<Wants, Reply> {
        let offer =
            if self.greeted == Some(true) { self.settings.offer } else { Capabilities::default() };
        let mut wants = Wants::default();
        for Parameter { keyword, value } in parameters {
            let value = value.as_deref();
            let offered = match (keyword.as_str(), value) {
                ("SIZE", Some(digits)) => {
                    wants.size = Some(octets(digits).ok_or(replies::PARAMETER)?);
                    offer.size != Size::Absent
                }
                ("BODY", Some(body)) if body.eq_ignore_ascii_case("7BIT") => offer.eight_bit_mime,
                ("BODY", Some(body)) if body.eq_ignore_ascii_case("8BITMIME") => {
                    wants.eight_bit_mime = true;
                    offer.eight_bit_mime
                }
                ("BODY", Some(body)) if body.eq_ignore_ascii_case("BINARYMIME") => {
                    wants.binary_mime = true;
                    offer.binary_mime
                }
                ("REQUIRETLS", None) => {
                    wants.require_tls = true;
                    offer.require_tls && self.offers_require_tls()
                }
                ("SMTPUTF8", None) => {
                    wants.smtputf8 = true;
                    offer.smtputf8
                }
                ("AUTH", Some(value)) => {
                    self.mechanisms().is_some() && (value == "<>" || is_xtext(value))
                }
                ("RET" | "ENVID", Some(value)) => {
                    wants.dsn = true;
                    offer.dsn && is_xtext(value)
                }
                _ => false,
            };
            if !offered {
                return Err(replies::PARAMETER);
            }
        }
        Ok(wants)
    }
}

/// A number of octets: digits only, at most twenty (RFC 1870 §4), checked, so that no size wraps around.
fn octets(digits: &str) -> Option<u64> {
    let fits = (1..=20).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
    fits.then(|| digits.parse().ok()).flatten()
}

/// Whether a value is xtext or plain (RFC 3461 §4), printable ASCII, and decodes to no NUL or other control character.
pub(super) fn is_xtext(value: &str) -> bool {
    if !value.bytes().all(|byte| byte.is_ascii_graphic()) {
        return false;
    }
    let mut bytes = value.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'+' {
            let mut digit = || bytes.next().and_then(|byte| (byte as char).to_digit(16));
            let decoded = digit().zip(digit()).map(|(high, low)| high * 16 + low);
            if decoded.is_none_or(|byte| byte < 0x20 || byte == 0x7f) {
                return false;
            }
        }
    }
    true
}
