//! Who the client is when a listed peer says so (XCLIENT, XFORWARD), and what the next hop is told of it.
//!
//! XFORWARD is for logs and message keys: it gives nobody a right. XCLIENT makes the connection that of another client, with the
//! rights which that client would have had itself, from the greeting on.

use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

use super::{Action, Farewell, LoggedIn, Outputs, Protocol, Session, TellClient, replies};
use crate::smtp::command::CommandFault;
use crate::smtp::identity::{Attributes, Identity};

/// What a client may do by its address: asked anew when XCLIENT gives another one.
#[derive(Clone, Debug, Default)]
pub struct Access {
    /// Who may relay.
    pub clients: Vec<IpNet>,
    /// Whose XFORWARD is believed.
    pub xforward: Vec<IpNet>,
}

impl Access {
    /// Whether one of the networks holds the address. A v4 client of a v6 socket is judged as what it is.
    pub fn lists(networks: &[IpNet], address: IpAddr) -> bool {
        let address = address.to_canonical();
        networks.iter().any(|network| network.contains(&address))
    }
}

/// What the connection itself says, kept while XCLIENT says otherwise.
#[derive(Debug)]
pub(super) struct Peer {
    client: Arc<Identity>,
    may_relay: bool,
    xforward: bool,
}

impl Session {
    /// What is known of the client: its address, and what it said of itself.
    pub fn client(&self) -> Identity {
        let protocol = match (self.settings.protocol, self.greeted) {
            (_, None) => None,
            (Protocol::Lmtp, Some(_)) => Some("LMTP"),
            (Protocol::Smtp, Some(true)) => Some("ESMTP"),
            (Protocol::Smtp, Some(false)) => Some("SMTP"),
        };
        let mut client = Identity::clone(&self.settings.client);
        client.protocol = protocol.map(Arc::from).or(client.protocol);
        client.helo = self.helo.clone().or(client.helo);
        client
    }

    pub(super) fn xforward(&mut self, argument: &str) {
        if !self.settings.xforward {
            return self.error(replies::NOT_YOU);
        }
        if self.transaction.is_some() {
            return self.error(replies::IN_TRANSACTION);
        }
        let before = self.forwarded.as_deref().cloned().unwrap_or_default();
        match before.told(Attributes::XFORWARD, argument) {
            Some(forwarded) => {
                self.forwarded = Some(Box::new(forwarded));
                self.owed.push(replies::OK);
            }
            None => self.error(replies::fault(CommandFault::Argument)),
        }
    }

    /// Back to the greeting, as another client. Whether the peer may say so is asked of its own address, however often it does.
    pub(super) fn xclient(&mut self, argument: &str, out: &mut Outputs) {
        let Some(access) = self.settings.xclient.clone() else {
            return self.error(replies::NOT_YOU);
        };
        // Recipients of a transaction that was reset may still be owed replies: those are the former client's.
        self.owed.flush(&mut out.to_client);
        if self.transaction.is_some() || !self.owed.is_empty() {
            return self.error(replies::IN_TRANSACTION);
        }
        let Some(client) = self.settings.client.told(Attributes::XCLIENT, argument) else {
            return self.error(replies::fault(CommandFault::Argument));
        };
        let peer = Peer {
            client: Arc::clone(&self.settings.client),
            may_relay: self.settings.may_relay,
            xforward: self.settings.xforward,
        };
        self.peer.get_or_insert_with(|| Box::new(peer));
        let listed = |networks| client.address.is_some_and(|it| Access::lists(networks, it));
        self.settings.may_relay = listed(&access.clients);
        self.settings.xforward = listed(&access.xforward);
        self.become_client(Arc::new(client), out);
        self.owed.push_plain(replies::greeting(&self.settings));
        self.count_junk();
    }

    /// TLS has come up: what was said of the client in the clear may have been said by anybody on the way (RFC 3207 §4.2).
    pub(super) fn unmask(&mut self, out: &mut Outputs) {
        if let Some(peer) = self.peer.take() {
            self.settings.may_relay = peer.may_relay;
            self.settings.xforward = peer.xforward;
            self.become_client(peer.client, out);
        }
    }

    fn become_client(&mut self, client: Arc<Identity>, out: &mut Outputs) {
        self.settings.client = Arc::clone(&client);
        self.greeted = None;
        self.helo = None;
        self.forwarded = None;
        self.excused = false;
        self.login = LoggedIn::No;
        self.owed.enhanced = false;
        // The next hop may know this connection by the former client's name.
        self.close_leg(Farewell::Quit, out);
        out.actions.push_back(Action::Renamed(client));
    }

    /// What a next hop with these attributes is told before the MAIL of the transaction under way: where the message came from if
    /// the client said so itself, else the client.
    pub(super) fn introduction(&self, listed: Attributes) -> Vec<String> {
        match (self.settings.tell_client, &self.transaction) {
            (TellClient::Xforward, Some(transaction)) => match &transaction.origin {
                Some(origin) => origin.xforward(listed),
                None => self.client().xforward(listed),
            },
            (TellClient::Xforward, None) | (TellClient::Off | TellClient::Xclient, _) => Vec::new(),
        }
    }
}
