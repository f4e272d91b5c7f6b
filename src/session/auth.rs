//! AUTH from the client, RFC 4954: what is said when, and what follows from a login.
//!
//! Only within TLS, only between transactions, once a session. Nothing may come behind AUTH, or behind a response, before its
//! reply: the RFC lets AUTH be the last of a pipelined group at most, and whoever goes on has guessed whether the next line
//! is a password or a command. Were it taken the wrong way round, a password would be parsed, counted and perhaps relayed as
//! a command; so the session ends there, as it does with bytes behind STARTTLS.

mod relay;

use bytes::BytesMut;
use zeroize::Zeroize as _;

use super::{Action, ClientTls, Outputs, Phase, Session, replies};
use crate::smtp::command::Parameter;
use crate::smtp::line::{LineFault, take_line};
use crate::smtp::reply::Reply;
use crate::smtp::sasl::{self, Login, Mechanism, SaslFault, Secret, Start};

/// Who checks logins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Auth {
    /// Nobody: AUTH is not offered.
    #[default]
    Off,
    /// The driver, against the gate's own list of users: PLAIN and LOGIN.
    Local,
    /// The next hop: the exchange is passed on.
    Relay,
}

/// What came of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checked {
    /// It is the user's password.
    Right,
    /// It is not, or there is no such user.
    Wrong,
    /// It could not be checked.
    Unavailable,
}

/// Whether the client has logged in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LoggedIn {
    No,
    /// With the gate itself.
    Here,
    /// With the next hop, on the connection that is open.
    There,
}

/// How far an AUTH has come.
#[derive(Debug)]
pub(super) enum Step {
    /// A challenge is out: the next line is the response of PLAIN.
    Plain,
    /// Likewise, the user's name of LOGIN.
    User,
    /// Likewise, the password of LOGIN for this user.
    Password(Secret),
    /// The driver checks.
    Checking,
    /// The next hop answers; with what the client is told instead, if the exchange was called off.
    Relaying(Option<Reply>),
    /// Its challenge is out: the next line is for it.
    Relayed,
    /// It was lost with its challenge out: the next line is for nobody.
    Lost,
}

impl Step {
    /// Whether it is the driver's turn.
    pub(super) const fn is_with_driver(&self) -> bool {
        matches!(self, Self::Checking)
    }
}

/// The challenges of LOGIN, `Username:` and `Password:` in base64, which clients look for.
const USERNAME: &str = "VXNlcm5hbWU6";
const PASSWORD: &str = "UGFzc3dvcmQ6";

impl Session {
    /// What the EHLO reply says of AUTH, if anything.
    pub(super) fn mechanisms(&self) -> Option<String> {
        match self.settings.auth {
            Auth::Local if self.settings.tls == ClientTls::Up => Some("PLAIN LOGIN".to_owned()),
            Auth::Relay
                if self.settings.tls == ClientTls::Up && !self.settings.offer.auth.is_empty() =>
            {
                Some(self.settings.offer.auth.to_string())
            }
            Auth::Local | Auth::Relay | Auth::Off => None,
        }
    }

    /// Whether nothing goes on before the client has logged in.
    pub(super) fn lacks_login(&self) -> bool {
        self.settings.auth_required && self.login == LoggedIn::No
    }

    /// What a recipient is told when this client may not relay.
    pub(super) fn no_relay(&self) -> Option<Reply> {
        match (self.settings.may_relay || self.login != LoggedIn::No, self.settings.auth) {
            (true, _) => None,
            (false, Auth::Off) => Some(replies::NO_RELAY),
            (false, Auth::Local | Auth::Relay) => Some(replies::NEED_LOGIN),
        }
    }

    /// Who has not logged in cannot say on whose behalf a message was submitted: AUTH= of MAIL goes on as `<>` (RFC 4954 §5), or
    /// a next hop that trusts the gate would believe it of anybody.
    pub(super) fn disown(&self, parameters: &mut [Parameter]) {
        if self.login == LoggedIn::No
            && let Some(claim) = parameters.iter_mut().find(|parameter| parameter.keyword == "AUTH")
        {
            claim.value = Some("<>".to_owned());
        }
    }

    /// AUTH; `more` says that bytes came along with it.
    pub(super) fn auth(&mut self, start: Start, more: bool, out: &mut Outputs) {
        // Replies of a transaction that was reset belong before a challenge.
        self.owed.flush(&mut out.to_client);
        let refusal = match self.settings.auth {
            Auth::Off => Some(replies::NOT_IMPLEMENTED),
            Auth::Local | Auth::Relay if more => return self.out_of_step(out),
            Auth::Local | Auth::Relay => self.no_auth_now(&start),
        };
        let here = Mechanism::named(&start.mechanism);
        match (refusal, self.settings.auth, here) {
            (Some(refusal), ..) => self.error(refusal),
            (None, Auth::Local, Some(mechanism)) => {
                self.begin_login(mechanism, start.initial.as_ref(), out);
            }
            (None, Auth::Relay, _) if self.settings.offer.auth.has(&start.mechanism) => {
                self.relay_auth(start, out);
            }
            (None, Auth::Local | Auth::Relay | Auth::Off, _) => {
                self.error(replies::UNKNOWN_MECHANISM);
            }
        }
    }

    /// What AUTH gets when it is out of place.
    fn no_auth_now(&self, start: &Start) -> Option<Reply> {
        if self.settings.tls != ClientTls::Up {
            Some(replies::LOGIN_IN_CLEAR)
        } else if self.greeted != Some(true) {
            Some(replies::NO_EHLO)
        } else if self.transaction.is_some() || !self.owed.is_empty() {
            Some(replies::IN_TRANSACTION)
        } else if self.login != LoggedIn::No {
            Some(replies::LOGGED_IN_ALREADY)
        } else {
            start.mechanism.is_empty().then_some(replies::NO_MECHANISM)
        }
    }

    fn begin_login(&mut self, mechanism: Mechanism, initial: Option<&Secret>, out: &mut Outputs) {
        let first = match mechanism {
            Mechanism::Plain => Step::Plain,
            Mechanism::Login => Step::User,
        };
        match initial {
            Some(word) => self.respond(&first, sasl::initial(word), out),
            None if mechanism == Mechanism::Plain => self.challenge(first, ""),
            None => self.challenge(first, USERNAME),
        }
    }

    fn challenge(&mut self, next: Step, text: &'static str) {
        self.owed.push_plain(Reply::plain(334, text.into()));
        self.phase = Phase::Login(next);
    }

    /// Takes a response from the client. Says whether commands may follow at once.
    pub(super) fn login_bytes(&mut self, bytes: &mut BytesMut, out: &mut Outputs) -> bool {
        let Phase::Login(step) = &self.phase else { return true };
        if bytes.is_empty() {
            return false;
        }
        if step.is_with_driver() || matches!(step, Step::Relaying(_)) {
            self.out_of_step(out);
            return true;
        }
        let mut line = match take_line(bytes, sasl::LINE_MAX) {
            Ok(None) => return false,
            Ok(Some(line)) => line,
            Err(fault) => {
                self.response_fault(fault, out);
                return true;
            }
        };
        self.turns += 1;
        if bytes.is_empty() {
            if let Phase::Login(step) = self.phase.take() {
                match step {
                    Step::Relayed => self.relay_response(&line, out),
                    Step::Lost => self.login_unavailable(out),
                    Step::Plain
                    | Step::User
                    | Step::Password(_)
                    | Step::Checking
                    | Step::Relaying(_) => self.respond(&step, sasl::response(&line), out),
                }
            }
        } else {
            self.out_of_step(out);
        }
        line.zeroize();
        true
    }

    fn response_fault(&mut self, fault: LineFault, out: &mut Outputs) {
        let phase = self.phase.take();
        if matches!(phase, Phase::Login(Step::Relayed)) {
            return self.relay_fault(fault, out);
        }
        match fault {
            LineFault::TooLong => self.error(replies::LOGIN_LINE),
            LineFault::Endless | LineFault::BareLineEnd | LineFault::Tls => self.line_fault(fault),
        }
    }

    fn respond(&mut self, step: &Step, said: Result<Secret, SaslFault>, out: &mut Outputs) {
        let login = match (step, said) {
            (_, Err(fault)) => Err(fault),
            (Step::Plain, Ok(message)) => sasl::plain(&message),
            (Step::User, Ok(user)) => return self.challenge(Step::Password(user), PASSWORD),
            (Step::Password(user), Ok(password)) => sasl::login(user.expose(), password.expose()),
            (Step::Checking | Step::Relaying(_) | Step::Relayed | Step::Lost, Ok(_)) => {
                Err(SaslFault::Malformed)
            }
        };
        match login {
            Ok(login) => self.check(login, out),
            Err(SaslFault::Cancelled) => self.error(replies::LOGIN_CANCELLED),
            Err(SaslFault::Malformed) => self.error(replies::LOGIN_MALFORMED),
            Err(SaslFault::OnBehalf) => self.login_failed(replies::WRONG_LOGIN),
        }
    }

    fn check(&mut self, login: Login, out: &mut Outputs) {
        self.phase = Phase::Login(Step::Checking);
        out.actions.push_back(Action::Authenticate(login));
    }

    pub(super) fn authenticated(&mut self, checked: Checked) {
        // The client may have gone, or gone on, meanwhile.
        let Phase::Login(Step::Checking) = self.phase else { return };
        self.phase = Phase::Command;
        match checked {
            Checked::Right => {
                self.login = LoggedIn::Here;
                self.owed.push(replies::LOGGED_IN);
            }
            Checked::Wrong => self.login_failed(replies::WRONG_LOGIN),
            Checked::Unavailable => self.owed.push(replies::LOGIN_LATER),
        }
    }

    /// A login that failed. Whoever tries one password after another is sent away soon.
    fn login_failed(&mut self, reply: Reply) {
        self.owed.push(reply);
        self.count_failed_login();
    }

    fn count_failed_login(&mut self) {
        self.failed_logins += 1;
        if self.failed_logins >= self.settings.limits.login_failures {
            self.send_away(replies::TOO_MANY_LOGINS);
        }
    }
}

/// Overwrites a command line that may hold a password.
pub(super) fn wipe(line: &mut BytesMut) {
    if line.first().is_some_and(|first| first.eq_ignore_ascii_case(&b'A')) {
        line.zeroize();
    }
}
