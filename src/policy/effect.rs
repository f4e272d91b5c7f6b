//! What a policy makes of one observation. The fold and the gate both ask here, so that the gate keeps what the fold can use.

use super::settings::Policy;
use crate::bounce::Effect;
use crate::bounce::activecampaign::{Kind, listed};
use crate::bounce::labels::is_blocked;
use crate::event::Evidence;
use crate::smtp::reply::Reply;
use crate::smtp::status::EnhancedStatus;

impl Policy {
    /// What this observation can do to a standing under this policy.
    ///
    /// `Evidence::effect` unless `literal_codes` is set; then, of a reply about one recipient alone, the type that ActiveCampaign's
    /// table has for its code. A 4yz is never hard under any policy.
    pub fn effect_of(&self, evidence: &Evidence) -> Effect {
        let classified = evidence.effect();
        if !self.literal_codes || !evidence.stage.may_be_about_one() {
            return classified;
        }
        match status_of(evidence).and_then(listed).map(|row| row.kind) {
            Some(Kind::Hard) if evidence.is_permanent() => Effect::Hard,
            Some(Kind::Hard) => Effect::None,
            Some(Kind::Soft) => Effect::Soft,
            None => classified,
        }
    }

    /// Whether the fold does anything with this observation: it has an effect, or it is counted.
    pub fn heeds(&self, evidence: &Evidence) -> bool {
        self.effect_of(evidence) != Effect::None || self.counts_as_blocked(evidence)
    }

    /// Whether it adds to the count of refusals for the sender's name, means or content. Only 5yz: the attempts of one message are one
    /// bounce.
    pub(super) fn counts_as_blocked(&self, evidence: &Evidence) -> bool {
        self.count_blocked
            && evidence.is_permanent()
            && evidence.stage.may_be_about_one()
            && is_blocked(evidence.category, status_of(evidence))
    }
}

fn status_of(evidence: &Evidence) -> Option<EnhancedStatus> {
    Reply::outline(&evidence.reply).and_then(|reply| reply.status)
}
