//! The paths of orders about what was learnt.

use axum::Json;
use axum::extract::{Path, State};

use super::{Answer, Content, Shared, joined, read_all};
use crate::admin::wire::{OutageReply, ResolveRequest, UndoRequest, Undone};
use crate::admin::{outages as desk, undo as undoing};
use crate::gate::{Gate, Obeying};
use crate::log::Addresses;
use crate::policy::outage::Resolution;
use crate::time::Timestamp;

pub(super) async fn undo(
    State(api): Shared,
    Content(request): Content<UndoRequest>,
) -> Answer<Undone> {
    if request.dry_run {
        let preview = move |gate: &Gate| undoing::preview(gate, &request, Timestamp::now());
        return read_all(api, preview).await.map(Json);
    }
    let obeying = undoing::order(&api.gate, &request, Timestamp::now())?;
    let about = serde_json::to_string(&request.select).unwrap_or_default();
    let told = Told { kind: "void", about, by: request.by, reason: request.reason };
    carried_out(obeying, told, api.shown).await
}

pub(super) async fn outages(State(api): Shared) -> Answer<OutageReply> {
    read_all(api, desk::list).await.map(Json)
}

pub(super) async fn apply(
    state: Shared,
    id: Path<String>,
    request: Content<ResolveRequest>,
) -> Answer<Undone> {
    resolve(state, id, Resolution::Apply, request).await
}

pub(super) async fn void(
    state: Shared,
    id: Path<String>,
    request: Content<ResolveRequest>,
) -> Answer<Undone> {
    resolve(state, id, Resolution::Void, request).await
}

async fn resolve(
    State(api): Shared,
    Path(id): Path<String>,
    word: Resolution,
    Content(request): Content<ResolveRequest>,
) -> Answer<Undone> {
    if request.dry_run {
        let preview = move |gate: &Gate| desk::preview(gate, &id, word, Timestamp::now());
        return read_all(api, preview).await.map(Json);
    }
    let obeying = desk::order(&api.gate, &id, word, &request, Timestamp::now())?;
    let kind = match word {
        Resolution::Apply => "outage_apply",
        Resolution::Void => "outage_void",
    };
    let told = Told { kind, about: id, by: request.by, reason: request.reason };
    carried_out(obeying, told, api.shown).await
}

/// What the log says of an order.
struct Told {
    kind: &'static str,
    about: String,
    by: String,
    reason: String,
}

/// Waits until an order is in force, and logs it. It goes on when the caller leaves, and is logged then too.
async fn carried_out(obeying: Obeying, told: Told, shown: Addresses) -> Answer<Undone> {
    let carried_out = tokio::spawn(async move {
        let undone = undoing::outcome(obeying.await)?;
        tracing::info!(
            event = "undo",
            result = "in_force",
            kind = told.kind,
            select = told.about,
            events = undone.events,
            addresses = undone.addresses,
            changed = undone.changed,
            by = told.by,
            reason = &*shown.scrub(&told.reason),
            id = undone.id,
        );
        Ok(Json(undone))
    });
    joined(carried_out.await)
}
