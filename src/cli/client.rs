//! The running gate, asked through its admin API.

use std::io::{BufRead as _, BufReader};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use ureq::http::{Response, StatusCode};
use ureq::{Agent, Body, SendBody};

use super::access::{Progress, Rows};
use super::import;
use crate::admin::address;
use crate::admin::desk::Deed;
use crate::admin::token::{self, Token, TokenFault};
use crate::admin::wire::{
    ActRequest, Done, Figures, Found, ImportHead, ImportProgress, ImportReply, ImportRow,
    ListRequest, LookupReply, LookupRequest, OutageReply, ReleaseReply, ReleaseRequest, Report,
    ReportRequest, ResolveRequest, Row, Story, UndoRequest, Undone, Verified, Wrong,
};
use crate::config::Settings;
use crate::event::plain_word;
use crate::failure::Failure;
use crate::policy::outage::Resolution;

/// How long connecting may take: the gate is on this machine or near it.
const CONNECT: Duration = Duration::from_secs(2);
/// How long an answer may take.
const ANSWER: Duration = Duration::from_secs(30);
/// How often it is looked how far an import is.
const LOOK: Duration = Duration::from_millis(250);
/// How long an answer may take that reads all there is.
const LONG_ANSWER: Duration = Duration::from_secs(6 * 3600);
/// Largest answer that is read into memory, in bytes.
const ANSWER_MAX: u64 = 1 << 30;

/// A gate that runs.
pub struct Client {
    agent: Agent,
    address: SocketAddr,
    token: Token,
    token_file: PathBuf,
}

impl Client {
    /// The gate that has the lock on the data directory of this configuration.
    ///
    /// # Errors
    /// `Unavailable` when its API cannot be used, and why; `Temporary` when that may be because it is starting.
    pub fn find(settings: &Settings) -> Result<Self, Failure> {
        let busy = format!("a gate uses {}", settings.data_dir.display());
        let Some(listen) = settings.admin.listen else {
            let why = "its admin API is off: set [admin] listen, or stop it first";
            return Err(Failure::Unavailable(format!("{busy}, and {why}")));
        };
        let address = match listen.port() {
            0 => address::noted(&settings.data_dir).map_err(|error| {
                Failure::Temporary(format!(
                    "{busy}, and where its admin API listens is not known: {error}"
                ))
            })?,
            _ => reachable(listen),
        };
        let token = token::load(&settings.data_dir).map_err(|fault| no_token(&busy, &fault))?;
        let token_file = settings.data_dir.join("admin.token");
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            // What the environment says about proxies is not meant for this.
            .proxy(None)
            .timeout_connect(Some(CONNECT))
            .timeout_recv_response(Some(ANSWER))
            .timeout_send_body(Some(ANSWER))
            .user_agent(concat!("rcptgate/", env!("CARGO_PKG_VERSION")))
            .build();
        let client = Self { agent: config.new_agent(), address, token, token_file };
        let alive = client.agent.get(format!("http://{address}/live")).call();
        alive.map_err(|error| {
            let why = format!("its admin API at {address} does not answer: {error}");
            Failure::Temporary(format!("{busy}, but {why}"))
        })?;
        Ok(client)
    }

    /// Where it is.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn lookup(&self, request: &LookupRequest) -> Result<Vec<Found>, Failure> {
        Ok(self.post::<LookupReply>("lookup", request)?.answers)
    }

    pub fn explain(&self, address: &str, tenant: Option<&str>) -> Result<Story, Failure> {
        let tenant = tenant.map(|tenant| ("tenant", tenant.to_owned()));
        self.get(
            "explain",
            [Some(("address", address.to_owned())), tenant].into_iter().flatten(),
            ANSWER,
        )
    }

    pub fn list(&self, request: &ListRequest) -> Result<Rows, Failure> {
        let answer = self.call_get("list", words(request)?.into_iter(), ANSWER)?;
        let mut input = BufReader::new(answer.into_body().into_reader());
        let mut line = Vec::new();
        Ok(Box::new(std::iter::from_fn(move || {
            line.clear();
            match input.read_until(b'\n', &mut line) {
                Ok(0) => None,
                Ok(_) => {
                    Some(serde_json::from_slice::<Row>(&line).map_err(|fault| internal(&fault)))
                }
                Err(error) => {
                    let why = format!("the gate broke its answer off, its log says why: {error}");
                    Some(Err(Failure::Io(why)))
                }
            }
        })))
    }

    pub fn report(&self, request: &ReportRequest) -> Result<Report, Failure> {
        self.get("report", words(request)?.into_iter(), LONG_ANSWER)
    }

    pub fn act(&self, deed: Deed, request: &ActRequest) -> Result<Done, Failure> {
        let path = match deed {
            Deed::Quarantine => "quarantine",
            Deed::Blacklist => "blacklist",
            Deed::Allow => "allow",
        };
        self.post(path, request)
    }

    pub fn release(&self, request: &ReleaseRequest) -> Result<Vec<Done>, Failure> {
        Ok(self.post::<ReleaseReply>("release", request)?.results)
    }

    pub fn undo(&self, request: &UndoRequest) -> Result<Undone, Failure> {
        self.post_for("undo", request, LONG_ANSWER)
    }

    pub fn outages(&self) -> Result<OutageReply, Failure> {
        self.get("outages", std::iter::empty::<(&str, String)>(), LONG_ANSWER)
    }

    pub fn resolve_outage(
        &self,
        id: &str,
        word: Resolution,
        request: &ResolveRequest,
    ) -> Result<Undone, Failure> {
        let word = match word {
            Resolution::Apply => "apply",
            Resolution::Void => "void",
        };
        let plain = plain_word(id).map_err(|why| Failure::Usage(format!("{id:?}: {why}")))?;
        self.post_for(&format!("outages/{plain}/{word}"), request, LONG_ANSWER)
    }

    /// Streams the rows of an import, and asks meanwhile how far the gate is with them.
    pub fn import(
        &self,
        head: &ImportHead,
        rows: impl Iterator<Item = Result<ImportRow, Failure>>,
        progress: &(impl Fn(Progress) + Sync),
    ) -> Result<ImportReply, Failure> {
        let (over, ended) = mpsc::channel::<()>();
        std::thread::scope(|scope| {
            scope.spawn(move || self.watch_import(&ended, progress));
            let sent = self.send_import(head, rows, |rows| progress(Progress::Sorted(rows)));
            drop(over);
            sent
        })
    }

    /// Looks how far the import is, until `ended` has lost its other end.
    fn watch_import(&self, ended: &mpsc::Receiver<()>, progress: &impl Fn(Progress)) {
        while matches!(ended.recv_timeout(LOOK), Err(RecvTimeoutError::Timeout)) {
            // A bar is worth no failure.
            match self.get("import", std::iter::empty::<(&str, String)>(), ANSWER) {
                Ok(ImportProgress { journaled: Some(rows), .. }) if rows > 0 => {
                    progress(Progress::Journaled(rows));
                }
                Ok(ImportProgress { journaled: None, folded: Some(folded) }) => {
                    progress(Progress::Folded(folded));
                }
                Ok(_) | Err(_) => {}
            }
        }
    }

    fn send_import(
        &self,
        head: &ImportHead,
        rows: impl Iterator<Item = Result<ImportRow, Failure>>,
        progress: impl FnMut(u64),
    ) -> Result<ImportReply, Failure> {
        let mut body = import::rows::Body::new(head, rows, progress)?;
        let request = self.agent.post(self.url("import")).header("authorization", self.bearer());
        let request = request.header("content-type", "application/x-ndjson");
        let request = request.config().timeout_recv_response(Some(LONG_ANSWER));
        let request = request.timeout_send_body(Some(LONG_ANSWER)).build();
        let answer = request.send(SendBody::from_reader(&mut body));
        if let Some(failure) = body.failure.take() {
            return Err(failure);
        }
        if let Err(error) = &answer {
            let (address, batch) = (self.address, &head.batch);
            return Err(Failure::Unavailable(format!(
                "the admin API at {address} broke off: {error}; `rcptgate undo --batch {batch} --dry-run` tells whether it was imported"
            )));
        }
        read(self.judge(answer)?)
    }

    pub fn figures(&self) -> Result<Figures, Failure> {
        self.get("stats", [("standings", "true".to_owned())].into_iter(), LONG_ANSWER)
    }

    pub fn verify(&self) -> Result<Verified, Failure> {
        self.get("verify", std::iter::empty::<(&str, String)>(), LONG_ANSWER)
    }

    fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        query: impl Iterator<Item = (impl AsRef<str>, String)>,
        wait: Duration,
    ) -> Result<T, Failure> {
        read(self.call_get(path, query, wait)?)
    }

    fn call_get(
        &self,
        path: &str,
        query: impl Iterator<Item = (impl AsRef<str>, String)>,
        wait: Duration,
    ) -> Result<Response<Body>, Failure> {
        let request = self.agent.get(self.url(path)).header("authorization", self.bearer());
        let request = request.query_pairs(query);
        let request = request.config().timeout_recv_response(Some(wait)).build();
        self.judge(request.call())
    }

    fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, Failure> {
        self.post_for(path, body, ANSWER)
    }

    fn post_for<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
        wait: Duration,
    ) -> Result<T, Failure> {
        let request = self.agent.post(self.url(path)).header("authorization", self.bearer());
        let request = request.config().timeout_recv_response(Some(wait)).build();
        read(self.judge(request.send_json(body))?)
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}/api/v1/{path}", self.address)
    }

    fn bearer(&self) -> String {
        format!("Bearer {}", self.token.secret())
    }

    /// The answer, or whose fault it is that there is none.
    fn judge(
        &self,
        answer: Result<Response<Body>, ureq::Error>,
    ) -> Result<Response<Body>, Failure> {
        let address = self.address;
        let answer = answer.map_err(|error| {
            Failure::Unavailable(format!("the admin API at {address} does not answer: {error}"))
        })?;
        let status = answer.status();
        if status.is_success() {
            return Ok(answer);
        }
        let wrong = read::<Wrong>(answer).map(|wrong| wrong.error);
        let why = wrong.unwrap_or_else(|_| format!("the admin API at {address} says {status}"));
        Err(match status {
            StatusCode::UNAUTHORIZED => Failure::Unavailable(format!(
                "the admin API at {address} does not take the token of {}: another gate listens there",
                self.token_file.display()
            )),
            StatusCode::FORBIDDEN | StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => {
                Failure::Unavailable(format!("the admin API at {address}: {why}"))
            }
            StatusCode::SERVICE_UNAVAILABLE | StatusCode::REQUEST_TIMEOUT => {
                Failure::Temporary(why)
            }
            StatusCode::INSUFFICIENT_STORAGE => Failure::Io(why),
            status if status.is_client_error() => Failure::Data(why),
            _ => Failure::Internal(why),
        })
    }
}

/// A request as the parameters of a URL.
fn words(request: &impl Serialize) -> Result<Vec<(String, String)>, Failure> {
    let asked = serde_json::to_value(request).map_err(|fault| internal(&fault))?;
    let words = asked.as_object().into_iter().flatten().map(|(name, value)| {
        (name.clone(), value.as_str().map_or_else(|| value.to_string(), str::to_owned))
    });
    Ok(words.collect())
}

fn read<T: DeserializeOwned>(answer: Response<Body>) -> Result<T, Failure> {
    let body = answer.into_body().into_with_config().limit(ANSWER_MAX);
    body.read_json().map_err(|error| Failure::Unavailable(format!("the admin API: {error}")))
}

fn internal(fault: &serde_json::Error) -> Failure {
    Failure::Internal(format!("the admin API speaks another language: {fault}"))
}

fn no_token(busy: &str, fault: &TokenFault) -> Failure {
    use std::io::ErrorKind;

    let why = format!("{busy}, and its token cannot be used: {fault}");
    let kind = match fault {
        TokenFault::Io { source, .. } => Some(source.kind()),
        TokenFault::Open { .. } | TokenFault::NoToken { .. } => None,
    };
    if kind == Some(ErrorKind::NotFound) {
        return Failure::Temporary(why);
    }
    let hint = " (only the gate's own user may read it: try sudo)";
    let denied = kind == Some(ErrorKind::PermissionDenied);
    Failure::Unavailable(format!("{why}{}", if denied { hint } else { "" }))
}

/// Where to connect to what listens there: everywhere is here too.
const fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip @ (IpAddr::V4(_) | IpAddr::V6(_)) => ip,
    };
    SocketAddr::new(ip, listen.port())
}
