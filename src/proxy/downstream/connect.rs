//! One address of the next hop: TCP, greeting, EHLO, TLS.

use std::future::poll_fn;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncRead as _, AsyncReadExt, AsyncWriteExt, ReadBuf};
use tokio::time::{Instant, timeout};

use super::hosts::MailHost;
use super::pool::Key;
use super::silence::Path;
use super::{Door, Leg, NextHop, Order, failed, unreachable};
use crate::bounce::Stage;
use crate::credentials::Account;
use crate::proxy::report::untold;
use crate::proxy::route::{Host, Protection, Route};
use crate::proxy::stream::Stream;
use crate::routing::receiver::organisation;
use crate::session::TellClient;
use crate::session::opening::{Failed, Introduction, Opened, Opening, Starttls};
use crate::smtp::extensions::Capabilities;
use crate::smtp::reply::Reply;
use crate::smtp::status::EnhancedStatus;

/// One address that is tried.
#[derive(Clone, Copy)]
pub(super) struct Attempt<'all> {
    pub(super) door: &'all Door,
    pub(super) route: &'all Route,
    pub(super) order: &'all Order,
    pub(super) host: &'all MailHost,
    pub(super) target: SocketAddr,
    /// When it is over, whatever has come of it.
    pub(super) until: Instant,
}

/// What an attempt comes to when it fails.
pub(super) enum Failure {
    /// The client may be told this, if no other address is left.
    Reply(Reply),
    /// The address is our own.
    Loop,
}

/// Why an attempt failed.
enum Trouble {
    Unreachable(String),
    Lost(String),
    Refused(Failed),
    Handshake(String),
    Loop,
}

/// Time to connect after which an address that has not answered can be called silent: three packets, the third after 3 s (RFC 6298).
const FAIR_CONNECT: Duration = Duration::from_secs(5);

const NO_HANDSHAKE: Reply =
    Reply::new(451, EnhancedStatus::new(4, 7, 5), "rcptgate: no TLS handshake with the next hop");

impl Attempt<'_> {
    /// A connection that was kept, or a fresh one. Where TLS is wanted but not insisted on, a handshake that fails is followed by a
    /// second connection in the clear, since the first cannot be trusted to be in step.
    pub(super) async fn make(self, protection: &Protection) -> Result<Leg, Failure> {
        let outbound = &self.door.outbound;
        if outbound.own.is_at(self.target) {
            self.failed("this gate listens there");
            return Err(Failure::Loop);
        }
        if !self.order.fresh && self.order.is_common() {
            let kept = outbound.pool.take(&self.key(protection)).await;
            if let Some(leg) = kept {
                self.door.metrics.connected("kept");
                return Ok(leg);
            }
        }
        // Another route may have noted it: where there is no other host, that changes nothing.
        if self.host.has_others && outbound.silent.has(&self.path()) {
            self.failed("not tried, did not answer a moment ago");
            return Err(Failure::Reply(unreachable("rcptgate: the next hop cannot be reached")));
        }
        let starttls = protection.starttls();
        let made = match self.connect(protection, starttls).await {
            Err(Trouble::Handshake(why)) if starttls == Starttls::Opportunistic => {
                self.failed(&format!("TLS handshake, going on in the clear: {why}"));
                self.connect(protection, Starttls::Off).await
            }
            result => result,
        };
        made.map_err(|trouble| self.told(trouble))
    }

    /// What is made of a failure, and logs it.
    fn told(&self, trouble: Trouble) -> Failure {
        let (reply, why) = match trouble {
            Trouble::Unreachable(why) => {
                (unreachable("rcptgate: the next hop cannot be reached"), why)
            }
            Trouble::Lost(why) => (unreachable("rcptgate: the next hop hung up"), why),
            Trouble::Refused(fault) => {
                let said = fault.said.as_ref().map(ToString::to_string);
                let nothing = match fault.stage == Stage::Auth {
                    true => "no AUTH PLAIN or LOGIN within TLS, or not as it should be",
                    false => "protocol violation",
                };
                let said = said.unwrap_or_else(|| nothing.to_owned());
                (fault.for_client(), format!("at {}: {said}", fault.stage))
            }
            Trouble::Handshake(why) => (NO_HANDSHAKE, format!("TLS handshake: {why}")),
            Trouble::Loop => {
                self.failed("this gate itself answers there");
                return Failure::Loop;
            }
        };
        self.failed(&why);
        Failure::Reply(reply)
    }

    fn failed(&self, why: &str) {
        failed(self.door, &self.host.host, Some(self.target.ip()), why);
    }

    fn path(&self) -> Path {
        (self.source(), self.target)
    }

    fn source(&self) -> Option<IpAddr> {
        self.route.settings.source.of(self.order.from)
    }

    fn key(&self, protection: &Protection) -> Key {
        Key {
            address: self.target,
            host: self.host.host.name.clone(),
            protection: protection.key(),
            source: self.source(),
            route: self.route.id,
        }
    }

    async fn connect(self, protection: &Protection, starttls: Starttls) -> Result<Leg, Trouble> {
        let Self { door, route, order, host, .. } = self;
        let mut stream = self.reach().await?;
        let hostname = &door.settings.hostname;
        let mut output = BytesMut::new();
        let login = || route.settings.account.as_ref().map(Account::login);
        let protocol = route.settings.protocol;
        let mut opening = Opening::new(hostname, starttls)
            .speaking(protocol)
            .introducing(order.client.clone())
            .logging_in(login())
            .unlike(Arc::clone(&door.outbound.own.instance), order.helo.clone());
        let first = converse(&mut stream, &mut opening, &mut output).await?;
        let (mut capabilities, tls, trust) = match first {
            Some(capabilities) => (capabilities, "none", ""),
            None => {
                stream = handshake(door, &host.host, protection, stream).await?;
                opening = Opening::within_tls(hostname, protocol, &mut output)
                    .introducing(order.client.clone())
                    .logging_in(login());
                let within = converse(&mut stream, &mut opening, &mut output).await?;
                (within.unwrap_or_default(), protection.name(), protection.trust())
            }
        };
        // What the server promises is worth something only when it has proved who it is (RFC 8689 §4.2.1).
        capabilities.require_tls &= tls != "none" && protection.proves_the_name();
        door.metrics.connected("ok");
        door.metrics.protected(tls);
        route.saw(&host.host, capabilities);
        let (name, key) = (host.host.to_string(), Some(self.key(protection)));
        let (receiver, born) = (organisation(&name), Instant::now());
        let next_hop = NextHop { name, receiver, tls, trust, capabilities, key, born };
        self.introduced(&opening, &next_hop);
        Ok(Leg { stream, next_hop: Arc::new(next_hop), places: Vec::new(), kept: false })
    }

    /// The TCP connection.
    async fn reach(self) -> Result<Stream, Trouble> {
        let Self { door, route, order, target, .. } = self;
        let outbound = &door.outbound;
        let connecting = route.settings.source.connect(target, order.from);
        let left = self.until.saturating_duration_since(Instant::now());
        let patience = door.settings.timeouts.connect.min(left);
        let stream = match timeout(patience, connecting).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return Err(self.unreachable(error.to_string())),
            Err(_) if patience < FAIR_CONNECT.min(door.settings.timeouts.connect) => {
                return Err(Trouble::Unreachable("no time was left to connect".to_owned()));
            }
            Err(_) => return Err(self.unreachable("connecting timed out".to_owned())),
        };
        outbound.silent.forget(&self.path());
        if let (Ok(from), Ok(to)) = (stream.local_addr(), stream.peer_addr())
            && outbound.own.is_between(from, to)
        {
            return Err(Trouble::Loop);
        }
        // Replies and commands are written whole: waiting for more only adds 40 ms steps.
        let _ = stream.set_nodelay(true);
        Ok(Stream::Clear(stream))
    }

    fn unreachable(&self, why: String) -> Trouble {
        self.is_silent();
        Trouble::Unreachable(why)
    }

    /// Nothing comes from there. One fixed host is tried all the same: there is no other, and what it says now is all that counts.
    pub(super) fn is_silent(&self) {
        if self.host.has_others {
            self.door.outbound.silent.note(self.path());
        }
    }

    /// Tells ops of a next hop that does not hear who the client is although it should.
    fn introduced(&self, opening: &Opening, next_hop: &NextHop) {
        match opening.introduction() {
            Introduction::Refused(reply) => untold(self.door, &next_hop.name, Some(reply)),
            Introduction::NotOffered => untold(self.door, &next_hop.name, None),
            Introduction::None | Introduction::Due(_) | Introduction::Done => {
                let wanted = self.door.settings.tell_client == TellClient::Xforward;
                if wanted && next_hop.capabilities.xforward.is_empty() {
                    untold(self.door, &next_hop.name, None);
                }
            }
        }
    }
}

async fn handshake(
    door: &Door,
    host: &Host,
    protection: &Protection,
    stream: Stream,
) -> Result<Stream, Trouble> {
    let fault = |why: &dyn std::fmt::Display| Trouble::Handshake(why.to_string());
    let (Stream::Clear(stream), Some(connector)) = (stream, protection.connector()) else {
        return Err(fault(&"not configured"));
    };
    let connecting = connector.connect(protection.server_name(&host.name), stream);
    match timeout(door.settings.timeouts.connect, connecting).await {
        Ok(Ok(stream)) => silent(Stream::Tls(Box::new(stream.into()))).await,
        Ok(Err(error)) => Err(fault(&error)),
        Err(_) => Err(fault(&"timed out")),
    }
}

/// A server that speaks within TLS before it is asked is left: its words may have been somebody else's, put in front of the
/// handshake (CVE-2009-3555), and would be taken for the reply to our EHLO.
async fn silent(mut stream: Stream) -> Result<Stream, Trouble> {
    let mut byte = [0; 1];
    let spoke = poll_fn(|context| {
        let mut buffer = ReadBuf::new(&mut byte);
        let read = Pin::new(&mut stream).poll_read(context, &mut buffer);
        Poll::Ready(matches!(read, Poll::Ready(Ok(()))) && !buffer.filled().is_empty())
    });
    if spoke.await {
        return Err(Trouble::Refused(Failed { stage: Stage::Ehlo, said: None }));
    }
    Ok(stream)
}

/// Goes through an opening; `None` when the server is ready for the handshake.
async fn converse(
    stream: &mut Stream,
    opening: &mut Opening,
    output: &mut BytesMut,
) -> Result<Option<Capabilities>, Trouble> {
    let mut input = BytesMut::with_capacity(1024);
    let lost = |error: std::io::Error| Trouble::Lost(error.to_string());
    loop {
        stream.write_all_buf(output).await.map_err(lost)?;
        stream.flush().await.map_err(lost)?;
        if stream.read_buf(&mut input).await.map_err(lost)? == 0 {
            return Err(Trouble::Lost(format!("closed at {}", opening.stage())));
        }
        match opening.step(&mut input, output) {
            Opened::More => {}
            Opened::Handshake => return Ok(None),
            Opened::Ready(capabilities) => return Ok(Some(capabilities)),
            Opened::Failed(failed) => return Err(Trouble::Refused(failed)),
            Opened::Loop => return Err(Trouble::Loop),
        }
    }
}
