//! What there is to say of the peers themselves: who the client is, and what would not come about between them and us.

use tokio::time::Instant;

use super::super::Door;
use super::super::downstream::NextHop;
use super::super::rarely::Rarely;
use super::{Account, Reporter};
use crate::credentials::Checked;
use crate::session;
use crate::smtp::identity::Identity;
use crate::smtp::reply::Reply;

/// Failed handshakes that are logged in a minute; all are counted.
const HANDSHAKES_LOGGED: u32 = 20;

impl Reporter {
    /// From here on the client is another, or itself again.
    pub(in crate::proxy) fn renamed(&mut self, client: &Identity) {
        let peer = std::mem::replace(&mut self.client, client.address_text());
        // Whoever had logged in was another.
        self.account = Account::of(&self.door.settings, client.address, client.login.as_deref());
        self.now_of(self.account.tenant());
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

    /// A login was checked: from here on mail is on the user's account.
    pub(in crate::proxy) fn checked(&mut self, user: &str, checked: Checked) {
        let result = match checked {
            Checked::Right(tenant) => {
                self.account.log_in(&self.door.settings, user, tenant.as_ref());
                self.login = Some(self.door.addresses.scrub(user).into_owned());
                "ok"
            }
            Checked::Wrong => "failed",
            Checked::Unavailable => "unavailable",
        };
        self.now_of(self.account.tenant());
        self.logged_in(result, user);
    }

    /// The next hop decided on a login that was relayed to it. Whose it was is not looked at.
    pub(in crate::proxy) fn login_relayed(&self, checked: session::Checked) {
        let result = match checked {
            session::Checked::Right => "ok",
            session::Checked::Wrong => "failed",
            session::Checked::Unavailable => "unavailable",
        };
        self.logged_in(result, "");
    }

    fn logged_in(&self, result: &'static str, user: &str) {
        self.door.metrics.login(result);
        tracing::info!(
            event = "auth",
            result,
            user = self.door.addresses.scrub(user).as_ref(),
            tenant = self.tenant.0,
            client = self.client,
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
