//! Who may call the API: whoever has the token, and is no browser.
//!
//! A web page can make the operator's browser send requests to a loopback port, under its own name once that resolves to
//! 127.0.0.1 (DNS rebinding). So the `Host` must be the address that the API listens on, a request with an `Origin` is refused, and
//! what changes something must come as JSON with the token, which no page can add without asking first.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::{ConnectInfo, Request, State};
use axum::http::header::{
    AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, HOST, ORIGIN, WWW_AUTHENTICATE,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use super::places::Caller;
use super::routes::{BASE, wrong};
use super::token::Token;

/// What a caller must know and be.
#[derive(Clone)]
pub(super) struct Guard {
    pub(super) token: Token,
    /// Where the API listens.
    pub(super) address: SocketAddr,
}

/// Lets a request pass, or answers in its place.
pub(super) async fn check(
    State(guard): State<Arc<Guard>>,
    request: Request,
    next: Next,
) -> Response {
    let headers = request.headers();
    // The router took the beginning off, before it asked.
    let path = format!("{BASE}{}", request.uri().path());
    let named = request.uri().authority().map(|authority| authority.as_str());
    if let Err(why) = guard.place(headers, named) {
        tracing::warn!(event = "admin", result = "refused", why, path);
        return wrong(StatusCode::FORBIDDEN, why);
    }
    if !guard.knows(headers) {
        tracing::warn!(event = "admin", result = "no token", path);
        let mut denied =
            wrong(StatusCode::UNAUTHORIZED, "the token of data_dir/admin.token is needed");
        denied.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        return denied;
    }
    if let Some(ConnectInfo(caller)) = request.extensions().get::<ConnectInfo<Caller>>() {
        caller.is_known();
    }
    if *request.method() != Method::GET && !is_json(headers) {
        let why = "a request that does something has Content-Type: application/json, or application/x-ndjson for many lines";
        return wrong(StatusCode::UNSUPPORTED_MEDIA_TYPE, why);
    }
    let mut answer = next.run(request).await.into_response();
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

impl Guard {
    /// Whether the request was made to this address by no web page.
    fn place(&self, headers: &HeaderMap, named: Option<&str>) -> Result<(), &'static str> {
        if headers.contains_key(ORIGIN) {
            return Err("requests of web pages are refused");
        }
        let ours = only(headers, &HOST).is_some_and(|host| self.is_ours(host))
            && named.is_none_or(|name| self.is_ours(name));
        if ours { Ok(()) } else { Err("the Host is not the address that the admin API listens on") }
    }

    /// `127.0.0.1:8025`, `localhost:8025`, `[::1]:8025`. An address cannot be rebound, so where any is listened on any will do.
    fn is_ours(&self, host: &str) -> bool {
        let (name, port) = match host.rsplit_once(':') {
            Some((name, port)) if !port.ends_with(']') => (name, port.parse().ok()),
            Some(_) | None => (host, Some(80)),
        };
        if port != Some(self.address.port()) {
            return false;
        }
        let bare = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
        match bare.parse::<IpAddr>() {
            Ok(ip) => {
                let own = self.address.ip();
                own.is_unspecified() || ip == own || (ip.is_loopback() && own.is_loopback())
            }
            Err(_) => bare.eq_ignore_ascii_case("localhost"),
        }
    }

    /// Whether the request has the token. In a header only: a URL ends up in logs and histories.
    fn knows(&self, headers: &HeaderMap) -> bool {
        let Some((scheme, given)) =
            only(headers, &AUTHORIZATION).and_then(|value| value.split_once(' '))
        else {
            return false;
        };
        scheme.eq_ignore_ascii_case("bearer") && self.token.is(given.trim().as_bytes())
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    only(headers, &CONTENT_TYPE).is_some_and(|value| {
        let kind = value.split(';').next().unwrap_or("");
        ["application/json", "application/x-ndjson"]
            .iter()
            .any(|json| kind.trim().eq_ignore_ascii_case(json))
    })
}

/// The value of a header that is there exactly once: of two, somebody else may have read the other.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next().filter(|_| values.next().is_none())?;
    value.to_str().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guard(address: &str) -> Guard {
        let dir = tempfile::tempdir().expect("a directory");
        let token = super::super::token::load_or_create(dir.path()).expect("a token");
        Guard { token, address: address.parse().expect("an address") }
    }

    #[test]
    fn only_our_own_address_is_a_host() {
        let check = |listen: &str, host: &str, ours: bool| {
            assert_eq!(guard(listen).is_ours(host), ours, "{host} at {listen}");
        };
        check("127.0.0.1:8025", "127.0.0.1:8025", true);
        check("127.0.0.1:8025", "localhost:8025", true);
        check("127.0.0.1:8025", "LOCALHOST:8025", true);
        check("127.0.0.1:8025", "[::1]:8025", true);
        check("[::1]:8025", "[::1]:8025", true);
        check("127.0.0.1:80", "127.0.0.1", true);
        check("[::1]:80", "[::1]", true);
        check("127.0.0.1:8025", "127.0.0.1", false);
        check("127.0.0.1:8025", "127.0.0.1:8026", false);
        check("127.0.0.1:8025", "192.0.2.1:8025", false);
        check("127.0.0.1:8025", "evil.example:8025", false);
        check("127.0.0.1:8025", "localhost.evil.example:8025", false);
        check("127.0.0.1:8025", "127.0.0.1.evil.example:8025", false);
        check("127.0.0.1:8025", "", false);
        check("0.0.0.0:8025", "192.0.2.1:8025", true);
        check("0.0.0.0:8025", "evil.example:8025", false);
        check("192.0.2.1:8025", "192.0.2.1:8025", true);
    }

    #[test]
    fn a_header_that_is_there_twice_counts_as_none() {
        let mut headers = HeaderMap::new();
        headers.append(HOST, HeaderValue::from_static("127.0.0.1:8025"));
        let guard = guard("127.0.0.1:8025");
        assert_eq!(guard.place(&headers, None), Ok(()));
        assert!(guard.place(&headers, Some("evil.example:8025")).is_err());
        headers.append(HOST, HeaderValue::from_static("evil.example:8025"));
        assert!(guard.place(&headers, None).is_err());
    }
}
