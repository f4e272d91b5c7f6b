//! MAIL, RCPT and DATA as the client sends them.

use std::collections::VecDeque;
use std::sync::Arc;

use super::owed::SlotId;
use super::parameters::is_xtext;
use super::transaction::{Asked, Envelope, MailState, Transaction};
use super::{
    Action, Answered, ClientTls, Farewell, Need, Outcome, Outputs, Phase, Protocol, Session,
    replies,
};
use crate::attribution::{HeaderWatch, Signs};
use crate::bounce::Stage;
use crate::routing::Destination;
use crate::smtp::address::{Recipient, ReversePath};
use crate::smtp::command::Parameter;
use crate::smtp::reply::Reply;

/// Destinations that one transaction may try: each costs the client a wait, and a client with a thousand dead domains must not hold a session
/// for days.
const MOVES_MAX: u8 = 20;

impl Session {
    pub(super) fn mail(&mut self, sender: ReversePath, parameters: Vec<Parameter>) {
        let refusal = match self.greeted {
            None => Some(replies::NO_EHLO),
            Some(_) if self.settings.tls == ClientTls::Required => Some(replies::NEED_TLS),
            Some(_) if self.lacks_login() => Some(replies::NEED_LOGIN),
            Some(_) if self.transaction.is_some() => Some(replies::NESTED_MAIL),
            Some(_) => None,
        };
        if let Some(refusal) = refusal {
            return self.error(refusal);
        }
        if self.draining {
            return self.send_away(replies::SHUTDOWN);
        }
        if self.transactions >= self.settings.limits.transactions {
            return self.send_away(replies::TOO_MANY_TRANSACTIONS);
        }
        match self.begin(sender, parameters) {
            Ok(transaction) => {
                self.excused = false;
                self.transaction = Some(transaction);
                self.owed.push(replies::SENDER_OK);
            }
            Err(refusal) => {
                self.excused = true;
                self.error(refusal);
            }
        }
    }

    fn begin(
        &mut self,
        sender: ReversePath,
        mut parameters: Vec<Parameter>,
    ) -> Result<Transaction, Reply> {
        let wants = self.wants(&parameters)?;
        if let ReversePath::Mailbox(mailbox) = &sender
            && mailbox.needs_smtputf8()
            && !wants.smtputf8
        {
            return Err(replies::NEED_UTF8);
        }
        if let (Some(declared), Some(limit)) = (wants.size, self.offered_size())
            && declared > limit
        {
            return Err(replies::TOO_LARGE);
        }
        let origin = self.forwarded.take();
        let ident = origin.as_ref().and_then(|origin| origin.ident.as_deref().map(str::to_owned));
        self.disown(&mut parameters);
        let envid = parameters.iter().find(|parameter| parameter.keyword == "ENVID");
        let envid = envid.and_then(|parameter| parameter.value.clone());
        let (client, keys) = (self.settings.client.address_text(), &self.settings.keys);
        let address = sender.address();
        let signs = Signs {
            client: &client,
            ident: ident.as_deref(),
            envid: envid.as_deref(),
            sender: &address,
        };
        let (message, campaign) = (keys.message(&signs), keys.campaign(&signs));
        let watch = HeaderWatch::new(keys.headers(&signs)).map(Box::new);
        self.transactions += 1;
        Ok(Transaction {
            envelope: Arc::new(Envelope {
                ident,
                envid,
                message,
                campaign,
                ..Envelope::of(sender)
            }),
            watch,
            parameters,
            wants,
            origin,
            destination: None,
            moves: 0,
            mail: MailState::Unsent,
            asked: 0,
            pending: 0,
            accepted: VecDeque::new(),
            chunks: None,
        })
    }

    pub(super) fn rcpt(
        &mut self,
        recipient: Recipient,
        parameters: Vec<Parameter>,
        out: &mut Outputs,
    ) {
        let (no_relay, dsn) = (self.no_relay(), self.settings.offer.dsn);
        let limit = self.settings.limits.recipients;
        let Some(transaction) = &mut self.transaction else {
            return self.without_mail();
        };
        let offered = |parameter: &Parameter| {
            matches!(parameter.keyword.as_str(), "NOTIFY" | "ORCPT")
                && parameter.value.as_deref().is_some_and(is_xtext)
        };
        if !parameters.iter().all(|parameter| dsn && offered(parameter)) {
            return self.error(replies::PARAMETER);
        }
        if transaction.chunks.is_some() {
            return self.error(replies::RCPT_AFTER_BDAT);
        }
        transaction.asked = transaction.asked.saturating_add(1);
        // A client may overshoot by a pipelined group; one that goes on and on does not listen.
        if transaction.asked > limit.saturating_mul(2) {
            return self.error(replies::TOO_MANY_RCPT);
        }
        let answer = match (&transaction.mail, &recipient) {
            _ if no_relay.is_some() => no_relay,
            _ if transaction.asked > limit => Some(replies::TOO_MANY_RCPT),
            (_, Recipient::Mailbox(mailbox))
                if mailbox.needs_smtputf8() && !transaction.wants.smtputf8 =>
            {
                Some(replies::NEED_UTF8)
            }
            _ => None,
        };
        if let Some(answer) = answer {
            return self.owed.push(answer);
        }
        let envelope = Arc::clone(&transaction.envelope);
        out.actions.push_back(Action::Ask(envelope, recipient.clone()));
        self.phase = Phase::Asking(Asked { recipient, parameters });
    }

    /// The gate says no to the recipient that it was asked about.
    pub(super) fn refuse(&mut self, reply: Reply) {
        if self.judged().is_some() {
            self.owed.push(reply);
        }
    }

    /// The recipient that a verdict was asked for, if it still is.
    fn judged(&mut self) -> Option<Asked> {
        let Phase::Asking(_) = self.phase else { return None };
        let Phase::Asking(asked) = self.phase.take() else { return None };
        Some(asked)
    }

    /// Sends the recipient that was asked about on.
    pub(super) fn forward(&mut self, destination: Destination, out: &mut Outputs) {
        if let Some(asked) = self.judged() {
            self.send_on(asked, destination, out);
        }
    }

    /// Sends a recipient on, over a connection that is there or has to be opened first. A transaction goes to one destination: that of
    /// whom a next hop has accepted. Where nobody was, the next one may have it: else a first domain that defers its mail for days would
    /// hold up all that stand behind it in each of the client's attempts.
    pub(super) fn send_on(&mut self, asked: Asked, destination: Destination, out: &mut Outputs) {
        let login_is_lost = self.login_is_lost();
        let Some(transaction) = &mut self.transaction else { return };
        let pinned = transaction.destination.get_or_insert_with(|| destination.clone());
        let may_move = transaction.accepted.is_empty() && transaction.moves < MOVES_MAX;
        if *pinned != destination && may_move {
            if transaction.pending > 0 {
                return self.phase = Phase::Parked(asked, destination);
            }
            *pinned = destination.clone();
            transaction.moves += 1;
            // A connection for all mail leads there, too, and knows of the transaction: routes have changed meanwhile.
            if !(self.leg.is_open() && self.leg.leads_to(&destination)) {
                transaction.mail = MailState::Unsent;
            }
        }
        let refusal = match &transaction.mail {
            _ if transaction.destination.as_ref() != Some(&destination) => {
                Some((replies::ONE_DESTINATION, Stage::Connect))
            }
            MailState::Failed(reply, stage) => Some((reply.clone(), *stage)),
            MailState::Unsent | MailState::Sent if login_is_lost => {
                Some((replies::LOST, Stage::Connect))
            }
            MailState::Unsent | MailState::Sent => None,
        };
        if let Some((reply, stage)) = refusal {
            let slot = self.owed.push_awaited();
            return self.turn_away(asked.recipient, slot, reply, stage, out);
        }
        if !self.leg.leads_to(&destination) {
            self.close_leg(Farewell::Keep, out);
        }
        if !self.leg.is_open() {
            self.phase = Phase::Opening(Need::Recipient(asked));
            return out.actions.push_back(Action::Open { to: Some(destination), fresh: false });
        }
        let slot = self.owed.push_awaited();
        self.send_rcpt(asked, slot, out);
    }

    /// A recipient of another destination waits until it is known whether anybody was accepted before it.
    pub(super) fn go_elsewhere(&mut self, out: &mut Outputs) {
        let settled = self.transaction.as_ref().is_none_or(|now| now.pending == 0);
        if let Phase::Parked(..) = self.phase
            && settled
            && let Phase::Parked(asked, destination) = self.phase.take()
        {
            self.send_on(asked, destination, out);
        }
    }

    /// Answers for a next hop that cannot be asked: no evidence, but the operator wants to see it. That a domain takes no mail is
    /// evidence; then the reply waits for the disk like one of the next hop's.
    pub(super) fn turn_away(
        &mut self,
        recipient: Recipient,
        slot: SlotId,
        reply: Reply,
        stage: Stage,
        out: &mut Outputs,
    ) {
        let Some(transaction) = &self.transaction else { return self.owed.settle(slot, reply) };
        let envelope = Arc::clone(&transaction.envelope);
        let ticket = (stage == Stage::Lookup).then_some(slot);
        let answered = Answered::alone(envelope, recipient, stage, reply.clone());
        out.actions.push_back(Action::Answered(Answered { ticket, ..answered }));
        if ticket.is_some() { self.owed.hold(slot, reply) } else { self.owed.settle(slot, reply) }
    }

    /// DATA for nobody.
    pub(super) const fn no_valid_rcpt(&self) -> Reply {
        match self.settings.protocol {
            Protocol::Smtp => replies::NO_VALID_RCPT,
            Protocol::Lmtp => replies::NO_VALID_RCPT_LMTP,
        }
    }

    pub(super) fn data(&mut self, more: bool, out: &mut Outputs) {
        let Some(transaction) = &self.transaction else {
            return self.without_mail();
        };
        if more {
            // See `Phase::GoAhead`: a client that does not wait for 354 is not to be believed about what is content.
            return self.out_of_step(out);
        }
        // What is left behind either is indeterminate (RFC 3030 §2, §3), so nothing is.
        let misplaced = match transaction.chunks {
            Some(_) => Some(replies::NOT_BOTH),
            None if transaction.wants.binary_mime => Some(replies::BINARY_NEEDS_BDAT),
            None => None,
        };
        if let Some(refusal) = misplaced {
            self.drop_transaction(out);
            return self.error(refusal);
        }
        if transaction.asked == 0 {
            return self.error(replies::NO_RCPT);
        }
        let Some(refusal) = transaction.no_content(self.no_valid_rcpt()) else {
            return self.send_data(out);
        };
        // The transaction ends here as it does when the next hop refuses DATA: nothing of it is left for the next message.
        self.report(Outcome::Aborted, 0, &refusal, out);
        self.drop_transaction(out);
        self.owed.push(refusal);
    }
}
