//! Whose a mail host is.

use crate::bounce::host_of;

/// The organisation behind a receiver, which may carry a port: the registrable domain of a mail host (`mx1.google.com` is
/// `google.com`), in lower case. An address, and a name under no suffix that is known, stand for themselves.
///
/// Domains with one mail host in common share its moods: what it throttles or refuses for a while it does for all of them.
pub fn organisation(receiver: &str) -> String {
    let host = host_of(receiver).to_ascii_lowercase();
    let domain = psl::domain(host.as_bytes()).filter(|domain| domain.suffix().is_known());
    let text = domain.and_then(|domain| str::from_utf8(domain.as_bytes()).ok()).map(str::to_owned);
    text.unwrap_or(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mail_host_belongs_to_an_organisation() {
        let check = |receiver: &str, wanted: &str| assert_eq!(organisation(receiver), wanted);
        check("mx1.google.com", "google.com");
        check("aspmx.l.google.com:25", "google.com");
        check("ALT1.GMAIL-SMTP-IN.L.GOOGLE.COM.", "google.com");
        check("example-com.mail.protection.outlook.com", "outlook.com");
        check("mx.example.co.uk", "example.co.uk");
        check("example.com", "example.com");
        // A suffix belongs to nobody.
        check("co.uk", "co.uk");
        check("com", "com");
        check("mx.y.test", "mx.y.test");
        check("localhost", "localhost");
        check("192.0.2.1:25", "192.0.2.1");
        check("[2001:DB8::1]:25", "2001:db8::1");
        check("", "");
        check("..", "");
        check("a b\r\n.com", "a b\r\n.com");
    }
}
