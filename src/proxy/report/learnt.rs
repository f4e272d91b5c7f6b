//! What a refusal of the next hop means and what became of it, for the log.

use super::super::downstream::NextHop;
use super::Reporter;
use super::tallied::Expired;
use crate::bounce::Stage;
use crate::bounce::classify::Classification;
use crate::event::Tenant;
use crate::gate::{Ack, Unlearnt};
use crate::session::Answered;
use crate::smtp::address::RecipientKey;

/// A refusal of the next hop and what it means.
pub(super) struct Learnt {
    recipient: String,
    domain: String,
    tenant: Tenant,
    session: String,
    message: Option<String>,
    campaign: Option<String>,
    receiver: String,
    stage: Stage,
    read: Classification,
    reply: String,
    expired: Option<Expired>,
}

impl Reporter {
    pub(super) fn learnt(
        &self,
        answered: &Answered,
        address: &RecipientKey,
        next_hop: Option<&NextHop>,
        read: Classification,
    ) -> Learnt {
        Learnt {
            recipient: self.door.addresses.show(address).into_owned(),
            domain: address.domain().to_owned(),
            tenant: self.tenant.clone(),
            session: self.session.clone(),
            message: answered.envelope.ident.clone(),
            campaign: self.campaign(&answered.envelope),
            receiver: next_hop.map(|hop| hop.receiver.clone()).unwrap_or_default(),
            stage: answered.stage,
            reply: self.shown(&answered.reply),
            expired: self.expired(answered, address, next_hop, &read),
            read,
        }
    }
}

impl Learnt {
    /// Logs what became of it.
    pub(super) fn log(self, outcome: Result<Ack, Unlearnt>) {
        if let (Some(expired), Ok(ack)) = (&self.expired, &outcome) {
            expired.count(ack.change.map_or(0, |change| change.softs));
        }
        match outcome {
            Ok(ack) => {
                let held = ack.change.is_some_and(|change| change.held.is_some());
                let standing = ack.change.map_or("", |change| change.after.name());
                self.line(if held { "held" } else { "learnt" }, standing, "");
            }
            Err(unlearnt) => self.line("unlearnt", "", &unlearnt.to_string()),
        }
    }

    /// Logs what can move no standing: written down in passing, or not at all.
    pub(super) fn log_unawaited(self, noted: bool) {
        self.line(if noted { "noted" } else { "ignored" }, "", "");
    }

    fn line(self, result: &str, standing: &str, error: &str) {
        tracing::info!(
            event = "learn",
            result,
            category = self.read.category.name(),
            scope = self.read.scope.name(),
            effect = self.read.effect.name(),
            stage = self.stage.name(),
            rule = %self.read.rule,
            standing,
            recipient = self.recipient,
            domain = self.domain,
            tenant = %self.tenant,
            session = self.session,
            message = self.message.as_deref().unwrap_or_default(),
            campaign = self.campaign.as_deref(),
            receiver = self.receiver,
            reply = self.reply,
            error,
        );
    }
}
