//! Greeting, EHLO and HELO: what the client is offered.

use std::borrow::Cow;

use super::{ClientTls, Limits, Outputs, Session, replies};
use crate::smtp::extensions::{Maxima, Size};
use crate::smtp::identity::Attributes;
use crate::smtp::reply::Reply;

impl Session {
    pub(super) fn greet(&self, out: &mut Outputs) {
        replies::greeting(&self.settings).encode(false, &mut out.to_client);
    }

    pub(super) fn hello(&mut self, esmtp: bool, name: &str, out: &mut Outputs) {
        // RFC 5321 §4.1.4: a later EHLO resets as RSET does.
        self.drop_transaction(out);
        self.excused = false;
        self.forwarded = None;
        self.helo = Some(name.into());
        let again = self.greeted.replace(esmtp).is_some();
        self.owed.enhanced = esmtp && self.settings.offer.enhanced_status_codes;
        if esmtp && self.must_see_mechanisms() {
            self.see_mechanisms(out);
        } else {
            self.greet_back();
        }
        if again {
            self.count_junk();
        }
    }

    /// Answers EHLO or HELO.
    pub(super) fn greet_back(&mut self) {
        let esmtp = self.greeted == Some(true);
        let text = if esmtp { self.keywords() } else { self.settings.hostname.to_string() };
        self.owed.push_plain(Reply::plain(250, Cow::Owned(text)));
    }

    fn keywords(&self) -> String {
        let offer = &self.settings.offer;
        let size = match self.offered_size() {
            Some(limit) => format!("SIZE {limit}"),
            None => "SIZE".to_owned(),
        };
        let size = (offer.size != Size::Absent).then_some(size);
        let settings = &self.settings;
        let lines = [
            Some(self.settings.hostname.to_string()),
            offer.pipelining.then(|| "PIPELINING".to_owned()),
            size,
            offer.eight_bit_mime.then(|| "8BITMIME".to_owned()),
            offer.enhanced_status_codes.then(|| "ENHANCEDSTATUSCODES".to_owned()),
            offer.dsn.then(|| "DSN".to_owned()),
            settings.xforward.then(|| format!("XFORWARD {}", Attributes::XFORWARD)),
            settings.xclient.is_some().then(|| format!("XCLIENT {}", Attributes::XCLIENT)),
            offer.smtputf8.then(|| "SMTPUTF8".to_owned()),
            offer.chunking.then(|| "CHUNKING".to_owned()),
            offer.binary_mime.then(|| "BINARYMIME".to_owned()),
            offer.limits.map(|theirs| format!("LIMITS {}", self.limits_with(theirs))),
            self.offers_require_tls().then(|| "REQUIRETLS".to_owned()),
            self.offers_starttls().then(|| "STARTTLS".to_owned()),
            self.mechanisms().map(|words| format!("AUTH {words}")),
        ];
        lines.into_iter().flatten().collect::<Vec<_>>().join("\n")
    }

    /// What the gate takes, lowered to what the next hops take (RFC 9422).
    fn limits_with(&self, theirs: Maxima) -> Maxima {
        let Limits { transactions, recipients, .. } = self.settings.limits;
        let own = Maxima { mail: Some(transactions), rcpt: Some(recipients), rcpt_domain: None };
        own.and(theirs)
    }

    /// RFC 8689 §2: only within TLS, and only when the next hop keeps the promise too.
    pub(super) fn offers_require_tls(&self) -> bool {
        self.settings.offer.require_tls && self.settings.tls == ClientTls::Up
    }

    /// The smaller of our own limit and the next hop's; `None` without any.
    pub(super) fn offered_size(&self) -> Option<u64> {
        let own = (self.settings.limits.size > 0).then_some(self.settings.limits.size);
        match (own, self.settings.offer.size.limit()) {
            (Some(own), Some(theirs)) => Some(own.min(theirs)),
            (own, theirs) => own.or(theirs),
        }
    }
}
