//! What a refusal of the next hop means and what became of it, for the log.

use super::super::downstream::NextHop;
use super::Reporter;
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
            read,
            reply: self.shown(&answered.reply),
        }
    }
}

impl Learnt {
    /// Logs what became of it; without an outcome it said nothing about the address, and nothing was written down.
    pub(super) fn log(self, outcome: Option<Result<Ack, Unlearnt>>) {
        let (result, standing, error) = match &outcome {
            None => ("ignored", "", String::new()),
            Some(Ok(ack)) => {
                let held = ack.change.is_some_and(|change| change.held.is_some());
                let standing = ack.change.map_or("", |change| change.after.name());
                (if held { "held" } else { "learnt" }, standing, String::new())
            }
            Some(Err(unlearnt)) => ("unlearnt", "", unlearnt.to_string()),
        };
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
