//! What there is to say of the peers themselves: who the client is, and what would not come about between them and us.

use tokio::time::Instant;

use super::super::Door;
use super::super::downstream::NextHop;
use super::super::rarely::Rarely;
use super::{Reporter, common};
use crate::smtp::identity::Identity;
use crate::smtp::reply::Reply;

/// Failed handshakes that are logged in a minute; all are counted.
const HANDSHAKES_LOGGED: u32 = 20;

impl Reporter {
    /// From here on the client is another, or itself again.
    pub(in crate::proxy) fn renamed(&mut self, client: &Identity) {
        let peer = std::mem::replace(&mut self.client, client.address_text());
        self.common = common(&self.door.settings.tenant, &self.client, &self.session);
        let shown = |login: &str| self.door.addresses.scrub(login).into_owned();
        self.login = client.login.as_deref().map(shown);
        tracing::info!(
            event = "xclient",
            client = self.client,
            peer,
            name = client.name.as_deref().unwrap_or_default(),
            helo = client.helo.as_deref().unwrap_or_default(),
            login = self.login.as_deref(),
            session = self.session,
        );
    }

    /// The next hop would not be told who the client is.
    pub(in crate::proxy) fn untold(&self, reply: &Reply, next_hop: Option<&NextHop>) {
        untold(&self.door, next_hop.map_or("", |hop| &hop.name), Some(reply));
    }

    /// The client made no TLS handshake.
    pub(in crate::proxy) fn handshake_failed(&self) {
        static LINES: Rarely = Rarely::new(HANDSHAKES_LOGGED);
        self.door.metrics.session_refused("tls_handshake");
        // Anybody can fail at it as often as there are connections to be had.
        if let Some(more) = LINES.may(Instant::now()) {
            tracing::info!(
                event = "tls",
                result = "failed",
                client = self.client,
                session = self.session,
                more,
            );
        }
    }
}

/// A next hop does not know who the client is, although it was to be told. It may go on so for each message.
pub(in crate::proxy) fn untold(door: &Door, downstream: &str, reply: Option<&Reply>) {
    static LINES: Rarely = Rarely::new(1);
    let result = if reply.is_some() { "refused" } else { "not_offered" };
    door.metrics.untold(result);
    if let Some(more) = LINES.may(Instant::now()) {
        let reply = reply.map(Reply::to_string).unwrap_or_default();
        tracing::warn!(event = "tell_client", result, downstream, reply, more);
    }
}
