//! What a session asks of its connection, and what befalls it.

use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use super::super::downstream::{self, Leg, Order};
use super::super::fanout::{self, Behalf};
use super::super::report::{Part, Settling};
use super::super::side::{Reading, Side};
use super::Connection;
use crate::bounce::Stage;
use crate::credentials::Checked;
use crate::routing::Destination;
use crate::session::{
    self, Action, Answered, Auth, Farewell, Input, Opened, TellClient, Unopened, Waiting,
};
use crate::smtp::sasl::Login;

/// How long a client gets to read its last reply and close its side.
const LINGER: Duration = Duration::from_secs(1);
/// Bytes thrown away behind the last reply before the connection is closed all the same.
const LINGER_MAX: usize = 64 * 1024;

impl Connection {
    /// Makes the handshake if the session has asked for it; false when the client is of no further use.
    pub(super) async fn secure(&mut self) -> bool {
        if !std::mem::take(&mut self.upgrade) {
            return true;
        }
        let patience = self.timeouts.handshake;
        let (out, client) = (&mut self.out.to_client, &mut self.client);
        // What came in the clear must not be taken for what is said within TLS.
        let secured = client.input.is_empty()
            && timeout(
                patience,
                Box::pin(client.secure(out, self.door.settings.acceptor.as_ref())),
            )
            .await
            .unwrap_or(false);
        if secured {
            self.session.step(Input::Secured, &mut self.out);
        } else {
            self.reporter.handshake_failed();
            self.out.to_client.clear();
            self.client.state = Reading::Told;
        }
        secured
    }

    /// Does what the session asked for; false when the session is over.
    pub(super) fn act(&mut self) -> bool {
        let mut goes_on = true;
        while let Some(action) = self.out.actions.pop_front() {
            match action {
                Action::Ask(envelope, recipient) => {
                    let input = self.reporter.judge(&envelope, &recipient);
                    self.session.step(input, &mut self.out);
                    self.feed_client();
                }
                Action::Open { to, fresh } => self.open(to, fresh),
                Action::CloseDownstream(farewell) => self.close_downstream(farewell),
                Action::Renamed(client) => self.reporter.renamed(&client),
                Action::Untold(reply) => {
                    self.reporter.untold(&reply, self.next_hop.as_deref());
                }
                Action::Authenticate(login) => self.authenticate(login),
                Action::LoginRelayed(checked) => self.reporter.login_relayed(checked),
                Action::StartTls => self.upgrade = true,
                Action::CloseClient => goes_on = false,
                Action::Answered(answered) => self.answered(&answered),
                Action::Finished(finished) => {
                    self.reporter.finished(&finished, self.next_hop.as_deref());
                }
            }
        }
        goes_on
    }

    fn open(&mut self, to: Option<Destination>, fresh: bool) {
        // What is said from here on is not the former's.
        self.next_hop = None;
        let (door, client) = (Arc::clone(&self.door), self.session.client());
        self.opening = Some(match self.reporter.part() {
            Part::Client => {
                let tasks = self.behind.clone();
                let behalf = Behalf { who: self.reporter.who(), client, from: self.peer, tasks };
                Box::pin(async move { Ok(fanout::open(&door, behalf)) })
            }
            part @ (Part::Both | Part::Mail) => {
                let told = door.settings.tell_client == TellClient::Xclient;
                let order = Order {
                    to,
                    original: self.original,
                    fresh,
                    from: client.address.unwrap_or(self.peer),
                    beside_others: part == Part::Mail,
                    helo: client.helo.as_deref().map(Arc::from),
                    client: told.then(|| Box::new(client)),
                };
                Box::pin(async move { downstream::open(&door, &order).await })
            }
        });
    }

    fn authenticate(&mut self, login: Login) {
        let Some(credentials) = self.door.settings.credentials.clone() else {
            return self.checked(&login.user, Checked::Unavailable);
        };
        let user = login.user.clone();
        self.checking = Some(Box::pin(async move { (user, credentials.check(login).await) }));
    }

    pub(super) fn checked(&mut self, user: &str, checked: Checked) {
        self.checking = None;
        let outcome = match &checked {
            Checked::Right(_) => session::Checked::Right,
            Checked::Wrong => session::Checked::Wrong,
            Checked::Unavailable => session::Checked::Unavailable,
        };
        self.reporter.checked(user, checked);
        self.session.step(Input::Authenticated(outcome), &mut self.out);
        // The connections behind speak for whoever it was when they were opened.
        if self.reporter.part() == Part::Client {
            self.session.release_leg(&mut self.out);
        }
    }

    fn answered(&mut self, answered: &Answered) {
        match self.reporter.answered(answered, self.next_hop.as_deref()) {
            Settling::Nothing => {}
            Settling::Now(ticket) => self.session.step(Input::Settled(ticket), &mut self.out),
            Settling::Later(ticket, settled) => {
                self.settling.spawn(async move {
                    settled.await;
                    ticket
                });
            }
        }
    }

    pub(super) fn opened(&mut self, result: Result<Leg, Unopened>) {
        self.opening = None;
        let input = match result {
            Ok(leg) => Input::Opened(self.take_leg(leg)),
            Err(unopened) => Input::NotOpened(unopened),
        };
        self.session.step(input, &mut self.out);
    }

    /// Takes a connection over; what the session is told of it.
    pub(super) fn take_leg(&mut self, leg: Leg) -> Opened {
        let opened = leg.opened();
        self.leg = Some(Side::new(leg.stream));
        (self.next_hop, self.places) = (Some(leg.next_hop), leg.places);
        opened
    }

    pub(super) fn client_is_lost(&mut self) {
        self.out.to_client.clear();
        self.client.input.clear();
        if !std::mem::replace(&mut self.client.lost, true) {
            self.client.state = Reading::Ended;
        }
    }

    pub(super) fn downstream_is_lost(&mut self) {
        self.out.to_downstream.clear();
        if let Some(leg) = &mut self.leg {
            // What it said before it closed is heard first: an early refusal has its reason there.
            let mut context = Context::from_waker(Waker::noop());
            let _ = leg.poll_fill(&mut context);
            if leg.state == Reading::Open {
                leg.state = Reading::Ended;
            }
        }
    }

    fn close_downstream(&mut self, farewell: Farewell) {
        let settled = self.out.to_downstream.is_empty();
        self.out.to_downstream.clear();
        self.places.clear();
        let Some(leg) = self.leg.take() else { return };
        let settled = settled && leg.is_at_rest();
        match (farewell, leg.state, &self.next_hop) {
            (Farewell::Keep, Reading::Open, Some(next_hop)) if settled && self.may_keep() => {
                self.door.outbound.pool.keep(leg.stream, Arc::clone(next_hop));
            }
            (Farewell::Keep | Farewell::Quit, Reading::Open, _) => {
                downstream::quit(leg.stream, self.timeouts.quit);
            }
            // Dropping closes it, without an end that the client did not send.
            (Farewell::Abort, _, _)
            | (Farewell::Keep | Farewell::Quit, Reading::Ended | Reading::Told, _) => {}
        }
    }

    /// Whether the connection is like any other client's: a next hop that took us for this client must not serve another.
    fn may_keep(&self) -> bool {
        self.door.settings.tell_client != TellClient::Xclient
            && self.door.settings.auth != Auth::Relay
            && self.original.is_none()
            && !self.door.drain.is_cancelled()
    }

    /// The deadline is over. Says whether what is waited for from now on has all of its time; the client's own time goes on when an
    /// idle next hop is left.
    pub(super) fn expired(&mut self) -> bool {
        let waiting = match (self.session.waiting(), self.reporter.part()) {
            // What is behind has deadlines of its own, each for its own next hop: none of them is to cost the others theirs.
            (Waiting::Downstream(_), Part::Client) => return true,
            (Waiting::Content, Part::Client) if !self.out.to_downstream.is_empty() => return true,
            // Content that does not move because the next hop takes none is the next hop's fault.
            (Waiting::Content, _) if !self.out.to_downstream.is_empty() => {
                Waiting::Downstream(Stage::EndOfData)
            }
            (Waiting::Client, _) if self.session.leg_is_idle() => {
                self.session.release_leg(&mut self.out);
                return false;
            }
            // The client's own time is kept by the connection that faces it.
            (Waiting::Client | Waiting::Content, Part::Mail) => return true,
            (waiting, _) => waiting,
        };
        self.session.step(Input::Expired(waiting), &mut self.out);
        true
    }

    /// Sends what is left, then closes so that the client can read it: closing over unread bytes would reset the connection and
    /// take the last reply with it.
    pub(super) async fn leave(mut self: Box<Self>) {
        let open = self.client.state == Reading::Open;
        let last_words = async {
            self.client.stream.write_all_buf(&mut self.out.to_client).await?;
            // One that only half-closed still reads: within TLS it is told that nothing was cut off.
            self.client.stream.shutdown().await?;
            let mut rest = [0; 1024];
            let mut discarded = 0;
            while open && discarded < LINGER_MAX {
                match self.client.stream.read(&mut rest).await? {
                    0 => break,
                    read => discarded += read,
                }
            }
            Ok::<(), std::io::Error>(())
        };
        let _ = timeout(LINGER, last_words).await;
    }
}
