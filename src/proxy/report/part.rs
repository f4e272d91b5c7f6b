//! Which part of a session a connection speaks for, when there are several.

use std::sync::Arc;

use super::super::Door;
use super::{Account, Common, Passed, Reporter, common, decided};

/// What a connection speaks for, to the gate, the log and the figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::proxy) enum Part {
    /// For the client and its mail: it is the only one of the session.
    Both,
    /// For the client alone. Its mail is judged, learnt from and told of by the connections behind it, which know where it goes.
    Client,
    /// For the mail alone, behind such a one.
    Mail,
}

impl Part {
    /// Whether it speaks for the client.
    pub(super) const fn has_client(self) -> bool {
        match self {
            Self::Both | Self::Client => true,
            Self::Mail => false,
        }
    }

    /// Whether it speaks for the mail.
    pub(super) const fn has_mail(self) -> bool {
        match self {
            Self::Both | Self::Mail => true,
            Self::Client => false,
        }
    }
}

/// On whose behalf a session is.
#[derive(Clone)]
pub(in crate::proxy) struct Who {
    client: String,
    login: Option<String>,
    session: String,
    account: Account,
}

impl Reporter {
    /// On whose behalf the session is, as far as it is known now.
    pub(in crate::proxy) fn who(&self) -> Who {
        Who {
            client: self.client.clone(),
            login: self.login.clone(),
            session: self.session.clone(),
            account: self.account.clone(),
        }
    }

    /// Speaks for mail of a session, behind the connection that speaks for its client.
    pub(in crate::proxy) fn behind(door: Arc<Door>, who: Who) -> Self {
        let Who { client, login, session, account } = who;
        let tenant = account.tenant();
        let common = common(&tenant, &client, &session);
        let clear = Common::new(|line| decided(line, "forward", &Passed::default()));
        Self {
            door,
            part: Part::Mail,
            client,
            login,
            session,
            tenant,
            account,
            clear,
            common,
            spare: String::new(),
            passed: Vec::new(),
            meant: None,
        }
    }

    /// Which part of the session this is.
    pub(in crate::proxy) const fn part(&self) -> Part {
        self.part
    }
}
