//! What each path does.

mod acts;
mod orders;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{DefaultBodyLimit, FromRequest, FromRequestParts, Request, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};
use axum::{Json, Router, middleware};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::task::JoinError;

use super::desk::{self, Fault};
use super::guard::{self, Guard};
use super::wire::{
    EventsRequest, Figures, ListRequest, LookupReply, LookupRequest, Ready, Report, ReportRequest,
    Story, Verified, Wrong,
};
use super::{Api, events, figures, report, rows, story, stream, upload};
use crate::gate::Gate;
use crate::metrics::Observed;
use crate::time::Timestamp;

/// Where the API is.
pub(super) const BASE: &str = "/api/v1";
/// Largest request, in bytes.
const BODY_MAX: usize = 1 << 20;
/// How long a request's body may take.
const BODY_WAIT: Duration = Duration::from_secs(10);
const OPENAPI: &str = include_str!("openapi.json");

pub(super) type Shared = State<Arc<Api>>;
pub(super) type Answer<T> = Result<Json<T>, Fault>;

/// The paths that need the token.
pub(super) fn paths() -> Vec<(&'static str, MethodRouter<Arc<Api>>)> {
    vec![
        ("/lookup", get(look_up_one).post(look_up)),
        ("/explain", get(explain)),
        ("/list", get(list)),
        ("/report", get(tallied)),
        ("/events", get(happened)),
        ("/quarantine", post(acts::quarantine)),
        ("/blacklist", post(acts::blacklist)),
        ("/allow", post(acts::allow)),
        ("/release", post(acts::release)),
        ("/undo", post(orders::undo)),
        ("/outages", get(orders::outages)),
        ("/outages/{id}/apply", post(orders::apply)),
        ("/outages/{id}/void", post(orders::void)),
        ("/import", get(upload::progress).post(upload::import)),
        ("/engagements", post(acts::engagements)),
        ("/complaints", post(acts::complaints)),
        ("/stats", get(stats)),
        ("/verify", get(verify)),
        ("/reload", post(reload)),
        ("/openapi.json", get(openapi)),
    ]
}

/// The whole service of an API that listens there.
pub(super) fn router(api: Api, address: SocketAddr) -> Router {
    let guard = Arc::new(Guard { token: api.token.clone(), address });
    let api = Arc::new(api);
    let mut guarded = Router::new();
    for (path, methods) in paths() {
        guarded = guarded.route(path, methods);
    }
    let guarded = guarded
        .fallback(unknown)
        .method_not_allowed_fallback(not_allowed)
        .layer(DefaultBodyLimit::max(BODY_MAX))
        .layer(middleware::from_fn_with_state(guard, guard::check));
    Router::new()
        .route("/live", get(live))
        .route("/ready", get(ready))
        .route("/metrics", get(metrics))
        .nest(BASE, guarded)
        .fallback(unknown)
        .with_state(api)
}

async fn live() -> &'static str {
    "live\n"
}

async fn ready(State(api): Shared) -> (StatusCode, Json<Ready>) {
    let health = api.gate.health();
    let status = if health.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(Ready { ready: health.ready, why: health.why }))
}

async fn metrics(State(api): Shared) -> impl IntoResponse {
    let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    let (stats, outages) = (api.gate.stats(), api.gate.outages());
    api.metrics.observe(&Observed {
        ready: api.gate.health().ready,
        unlearnt: read(&stats.unlearnt),
        noted: read(&stats.noted),
        left_out: read(&stats.left_out),
        log_dropped: api.log.as_ref().map_or(0, crate::log::Writer::dropped),
    });
    api.metrics.outages(outages.open, outages.unresolved, read(&stats.held));
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(CONTENT_TYPE, kind)], api.metrics.text())
}

/// Which address is asked about, in a URL.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct About {
    address: String,
    tenant: Option<String>,
}

async fn look_up_one(state: Shared, Query(about): Query<About>) -> Answer<LookupReply> {
    let addresses = vec![about.address];
    let request = LookupRequest { addresses, tenant: about.tenant, record: false };
    look_up(state, Content(request)).await
}

async fn look_up(
    State(api): Shared,
    Content(request): Content<LookupRequest>,
) -> Answer<LookupReply> {
    let answers = aside(move || desk::lookup(&api.gate, &request, Timestamp::now())).await?;
    Ok(Json(LookupReply { answers }))
}

async fn explain(State(api): Shared, Query(about): Query<About>) -> Answer<Story> {
    let tell =
        move || story::tell(&api.gate, &about.address, about.tenant.as_deref(), Timestamp::now());
    aside(tell).await.map(Json)
}

async fn list(State(api): Shared, Query(request): Query<ListRequest>) -> Result<Response, Fault> {
    let rows = aside(move || rows::rows(&api.gate, &request, Timestamp::now())).await?;
    Ok(stream::lines(rows))
}

async fn tallied(State(api): Shared, Query(request): Query<ReportRequest>) -> Answer<Report> {
    let make = move || {
        let question = report::question(&request)?;
        let Some((tally, alerts)) = &api.counted else {
            return Err(Fault::Later("nothing is counted here".to_owned()));
        };
        let sum = tally.sum(&question).map_err(|error| Fault::Disk(error.to_string()))?;
        Ok(report::report(&sum, &request, *alerts))
    };
    aside(make).await.map(Json)
}

async fn happened(
    State(api): Shared,
    Query(request): Query<EventsRequest>,
) -> Result<Response, Fault> {
    let events = aside(move || events::events(&api.gate.journal_dir(), &request)).await?;
    Ok(stream::lines(events))
}

/// What else the figures should hold.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    #[serde(default)]
    standings: bool,
}

async fn stats(State(api): Shared, Query(wanted): Query<Wanted>) -> Answer<Figures> {
    let count = move || {
        figures::figures(&api.gate, api.metrics.sessions(), wanted.standings, Timestamp::now())
    };
    aside(count).await.map(Json)
}

async fn verify(State(api): Shared) -> Answer<Verified> {
    read_all(api, desk::verify).await.map(Json)
}

/// Runs what reads all there is, once at a time.
async fn read_all<T: Send + 'static>(
    api: Arc<Api>,
    read: impl FnOnce(&Gate) -> Result<T, Fault> + Send + 'static,
) -> Result<T, Fault> {
    let Ok(turn) = Arc::clone(&api.reading).try_lock_owned() else {
        return Err(Fault::Later("a comparison or a dry run is under way already".to_owned()));
    };
    let work = move || {
        // Until it is done, and not only for as long as somebody waits for it.
        let _turn = turn;
        read(&api.gate)
    };
    aside(work).await
}

async fn reload(State(api): Shared) -> Answer<serde_json::Value> {
    aside(move || (api.reload)().map_err(Fault::Bad)).await?;
    Ok(Json(serde_json::json!({ "reloaded": true })))
}

async fn openapi() -> impl IntoResponse {
    ([(CONTENT_TYPE, "application/json")], OPENAPI)
}

async fn unknown() -> Response {
    wrong(StatusCode::NOT_FOUND, "there is no such path")
}

async fn not_allowed() -> Response {
    wrong(StatusCode::METHOD_NOT_ALLOWED, "this path has another method")
}

/// Runs what reads the disk where it holds up nobody's mail.
pub(super) async fn aside<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Fault> + Send + 'static,
) -> Result<T, Fault> {
    joined(tokio::task::spawn_blocking(work).await)
}

/// What work came to that goes on when the caller leaves.
pub(super) fn joined<T>(done: Result<Result<T, Fault>, JoinError>) -> Result<T, Fault> {
    done.unwrap_or_else(|error| Err(Fault::Internal(error.to_string())))
}

/// An error as every client finds it: a status, and a sentence in JSON.
pub(super) fn wrong(status: StatusCode, error: &str) -> Response {
    (status, Json(Wrong { error: error.to_owned() })).into_response()
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        let status = match &self {
            Self::Bad(_) => StatusCode::BAD_REQUEST,
            Self::Later(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Disk(_) => StatusCode::INSUFFICIENT_STORAGE,
            Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        wrong(status, &self.to_string())
    }
}

/// A JSON body, in time; what is wrong with it is answered in JSON.
struct Content<T>(T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Content<T> {
    type Rejection = Response;

    async fn from_request(request: Request, state: &S) -> Result<Self, Response> {
        let read = tokio::time::timeout(BODY_WAIT, Json::from_request(request, state)).await;
        match read {
            Ok(Ok(Json(content))) => Ok(Self(content)),
            Ok(Err(fault)) => {
                let fault: JsonRejection = fault;
                Err(wrong(fault.status(), &fault.body_text()))
            }
            Err(_) => Err(wrong(StatusCode::REQUEST_TIMEOUT, "the body took too long")),
        }
    }
}

/// The parameters of a URL; what is wrong with them is answered in JSON.
struct Query<T>(T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Response> {
        match axum::extract::Query::from_request_parts(parts, state).await {
            Ok(axum::extract::Query(parameters)) => Ok(Self(parameters)),
            Err(fault) => {
                let fault: QueryRejection = fault;
                Err(wrong(fault.status(), &fault.body_text()))
            }
        }
    }
}
