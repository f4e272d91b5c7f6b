//! On whose account mail is: known by the connection, else by the sender of each message.

use std::net::IpAddr;

use super::super::DoorSettings;
use super::{Reporter, common};
use crate::event::Tenant;
use crate::session::Envelope;
use crate::smtp::address::ReversePath;

/// By what the connection's tenant is known.
#[derive(Clone, Debug, Default)]
pub(super) struct Account {
    client: Option<IpAddr>,
    /// Of the connection. None: the sender of each message decides.
    tenant: Option<Tenant>,
    /// The sender that was asked last.
    sender: Option<ReversePath>,
}

impl Account {
    pub(super) fn of_client(settings: &DoorSettings, client: IpAddr) -> Self {
        Self::of(settings, Some(client), None)
    }

    pub(super) fn of(settings: &DoorSettings, client: Option<IpAddr>, login: Option<&str>) -> Self {
        let listener = settings.tenant.as_ref();
        let tenant = settings.tenants.of_connection(listener, client, login, None);
        Self { client, tenant, sender: None }
    }

    /// The client has logged in; what it was known by before stays.
    pub(super) fn log_in(&mut self, settings: &DoorSettings, login: &str, named: Option<&Tenant>) {
        let listener = settings.tenant.as_ref();
        self.tenant = settings.tenants.of_connection(listener, self.client, Some(login), named);
        self.sender = None;
    }

    /// The connection's tenant, or the default one until a sender decides.
    pub(super) fn tenant(&self) -> Tenant {
        self.tenant.clone().unwrap_or_default()
    }
}

impl Reporter {
    /// From here on it is about this message.
    pub(super) fn account_of(&mut self, envelope: &Envelope) {
        let tenants = &self.door.settings.tenants;
        let account = &mut self.account;
        if account.tenant.is_some()
            || !tenants.ask_senders()
            || account.sender.as_ref() == Some(&envelope.sender)
        {
            return;
        }
        account.sender = Some(envelope.sender.clone());
        let tenant = tenants.of_sender(&envelope.sender.address());
        self.now_of(tenant);
    }

    /// From here on mail is on this account.
    pub(super) fn now_of(&mut self, tenant: Tenant) {
        self.common = common(&tenant, &self.client, &self.session);
        self.tenant = tenant;
    }
}
