//! The paths of acts on standings.

use axum::Json;
use axum::extract::State;

use super::{Answer, Content, Shared, aside};
use crate::admin::desk::{self, Deed, Fault, Step};
use crate::admin::reports;
use crate::admin::wire::{
    ActRequest, ComplaintRequest, Done, EngagementRequest, ReleaseReply, ReleaseRequest,
};
use crate::log::Addresses;
use crate::time::Timestamp;

pub(super) async fn quarantine(state: Shared, request: Content<ActRequest>) -> Answer<Done> {
    act(state, Deed::Quarantine, request).await
}

pub(super) async fn blacklist(state: Shared, request: Content<ActRequest>) -> Answer<Done> {
    act(state, Deed::Blacklist, request).await
}

pub(super) async fn allow(state: Shared, request: Content<ActRequest>) -> Answer<Done> {
    act(state, Deed::Allow, request).await
}

async fn act(
    State(api): Shared,
    deed: Deed,
    Content(request): Content<ActRequest>,
) -> Answer<Done> {
    let step = desk::act(&api.gate, deed, &request, Timestamp::now())?;
    let told = Told {
        act: match deed {
            Deed::Quarantine => "quarantine",
            Deed::Blacklist => "blacklist",
            Deed::Allow => "allow",
        },
        from: "",
        tenant: request.tenant.as_deref().unwrap_or(""),
        by: &request.by,
        reason: &request.reason,
        shown: api.shown,
    };
    settle(step, &told).await.map(Json)
}

pub(super) async fn release(
    State(api): Shared,
    Content(request): Content<ReleaseRequest>,
) -> Answer<ReleaseReply> {
    let (shown, asked) = (api.shown, request.clone());
    let steps = aside(move || desk::release(&api.gate, &request, Timestamp::now())).await?;
    let told = Told {
        act: "release",
        from: asked.from.name(),
        tenant: asked.tenant.as_deref().unwrap_or(""),
        by: &asked.by,
        reason: &asked.reason,
        shown,
    };
    settle_all(steps, &told).await
}

pub(super) async fn engagements(
    State(api): Shared,
    Content(request): Content<EngagementRequest>,
) -> Answer<ReleaseReply> {
    let (shown, asked) = (api.shown, request.clone());
    let steps = aside(move || reports::engage(&api.gate, &request, Timestamp::now())).await?;
    let tenant = asked.tenant.as_deref().unwrap_or("");
    settle_all(steps, &Told { act: "engagement", from: "", tenant, by: "", reason: "", shown })
        .await
}

pub(super) async fn complaints(
    State(api): Shared,
    Content(request): Content<ComplaintRequest>,
) -> Answer<ReleaseReply> {
    let (shown, asked) = (api.shown, request.clone());
    let steps = aside(move || reports::complain(&api.gate, &request, Timestamp::now())).await?;
    let told = Told {
        act: "complaint",
        from: "",
        tenant: &asked.tenant,
        by: asked.source.as_deref().unwrap_or(""),
        reason: "",
        shown,
    };
    settle_all(steps, &told).await
}

async fn settle_all(steps: Vec<Step>, told: &Told<'_>) -> Answer<ReleaseReply> {
    let mut results = Vec::with_capacity(steps.len());
    for step in steps {
        results.push(settle(step, told).await?);
    }
    Ok(Json(ReleaseReply { results }))
}

/// What the log says of an act besides whom it is about and what came of it.
struct Told<'a> {
    act: &'static str,
    from: &'static str,
    tenant: &'a str,
    by: &'a str,
    reason: &'a str,
    shown: Addresses,
}

/// Waits until an act is on disk, and logs it.
async fn settle(step: Step, told: &Told<'_>) -> Result<Done, Fault> {
    let (address, durable) = match step {
        Step::Nothing(done) => return Ok(done),
        Step::Waiting(address, durable) => (address, durable),
    };
    let done = desk::outcome(&address, durable.in_time().await)?;
    tracing::info!(
        event = "act",
        act = told.act,
        from = told.from,
        recipient = &*told.shown.show(&address),
        domain = address.domain(),
        tenant = told.tenant,
        before = done.before,
        after = done.after,
        by = told.by,
        reason = &*told.shown.scrub(told.reason),
        id = done.id,
    );
    Ok(done)
}
