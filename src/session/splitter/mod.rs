//! One LMTP conversation, split over several next hops, without input or output.
//!
//! The outer session, which faces the client, speaks LMTP to the splitter as it would to a next hop of LMTP: a final reply for each
//! accepted recipient (RFC 2033 §4.2). Each destination has an inner session of its own, to which the splitter is a client of
//! LMTP: MAIL, the recipients of that destination, DATA and the content are repeated there, and the replies put back into the
//! order of the outer session's commands. So neither session knows of the other destinations, and all that holds for a session
//! with one next hop holds for each of them.
//!
//! Both neighbours are sessions of our own: what they say is canonical. It is framed and bounded all the same, and whoever says
//! something else is left.
//!
//! | file | holds |
//! |---|---|
//! | `inner` | one inner session, and what it has been asked |
//! | `mail` | a transaction: who is sent where, and how it ends for each |
//! | `replies` | what the inner sessions say |

mod inner;
mod mail;
mod replies;

use std::collections::{BTreeMap, VecDeque};
use std::fmt;

use bytes::{Bytes, BytesMut};

use super::owed::{Owed, SlotId};
use super::replies as said;
use crate::smtp::address::Recipient;
use crate::smtp::command::Command;
use crate::smtp::data::{DataDecoder, Progress};
use crate::smtp::line::take_line;
use inner::Inner;
use mail::Mail;

/// Names an inner session, never twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place(u64);

/// Which destination a recipient belongs to.
pub type Destination<D> = Box<dyn Fn(&Recipient) -> D + Send>;

/// Bounds on what one splitter holds.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Inner sessions at a time, and so destinations of one transaction.
    pub destinations: usize,
    /// Commands taken before their replies have gone; further ones are left where they are.
    pub pending: usize,
    /// Octets of a command line, CRLF included.
    pub line: usize,
    /// Octets of a line of content, CRLF included.
    pub content_line: usize,
}

/// What happened.
#[derive(Debug)]
pub enum Input<'buffer> {
    /// The outer session sent bytes; what can be used now is taken off the front.
    Outer(&'buffer mut BytesMut),
    /// The outer session has ended: there is nobody to answer, and no end of a message but one that has passed.
    OuterEnded,
    /// An inner session sent bytes.
    Inner(Place, &'buffer mut BytesMut),
    /// An inner session ended.
    InnerEnded(Place),
    /// The time for final replies is over: those that are there must go, or they would be lost with the others.
    Late,
}

/// What the driver must do, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action<D> {
    /// Start an inner session for this destination.
    Open(Place, D),
    /// Send it this.
    Send(Place, Bytes),
    /// Leave it at once: it is told nothing more, least of all an end.
    Close(Place),
}

/// What the driver must send and do. Reused from step to step.
#[derive(Debug)]
pub struct Outputs<D> {
    /// Bytes for the outer session.
    pub to_outer: BytesMut,
    /// What else to do, in order.
    pub actions: VecDeque<Action<D>>,
}

impl<D> Default for Outputs<D> {
    fn default() -> Self {
        Self { to_outer: BytesMut::new(), actions: VecDeque::new() }
    }
}

/// Where the conversation with the outer session stands.
#[derive(Debug)]
enum Phase {
    Command,
    /// DATA has been repeated: inner sessions have not answered it.
    GoAhead(SlotId),
    Content(DataDecoder),
    /// Final replies are due.
    Final,
    Over,
}

/// The splitter of one outer session's connection.
pub struct Splitter<D> {
    bounds: Bounds,
    destination: Destination<D>,
    /// The name that inner sessions are greeted with.
    hello: String,
    phase: Phase,
    owed: Owed,
    inners: BTreeMap<Place, Inner<D>>,
    next: u64,
    /// XFORWARD, for the next MAIL.
    forwarded: Vec<u8>,
    mail: Option<Mail>,
    /// Transactions so far: a reply to a recipient of an earlier one is passed on, and no more.
    mails: u64,
}

impl<D> fmt::Debug for Splitter<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Splitter").field("phase", &self.phase).finish_non_exhaustive()
    }
}

impl<D: Clone + Eq> Splitter<D> {
    /// A splitter of a connection that is ready for mail; `hello` is the client's name for itself.
    pub fn new(hello: &str, destination: Destination<D>, bounds: Bounds) -> Self {
        let mut owed = Owed::default();
        owed.enhanced = true;
        Self {
            bounds,
            destination,
            hello: hello.to_owned(),
            phase: Phase::Command,
            owed,
            inners: BTreeMap::new(),
            next: 0,
            forwarded: Vec::new(),
            mail: None,
            mails: 0,
        }
    }

    /// Takes one input and appends what is to be done.
    pub fn step(&mut self, input: Input<'_>, out: &mut Outputs<D>) {
        match input {
            Input::Outer(bytes) => self.outer_bytes(bytes, out),
            Input::OuterEnded => self.leave(out),
            Input::Inner(place, bytes) => self.inner_bytes(place, bytes, out),
            Input::InnerEnded(place) => self.inner_lost(place, &said::LOST),
            Input::Late => self.late(out),
        }
        self.owed.flush(&mut out.to_outer);
    }

    /// Whether bytes of the outer session would be taken now.
    pub fn wants_outer(&self) -> bool {
        match self.phase {
            Phase::Command => self.owed.len() < self.bounds.pending,
            Phase::Content(_) => true,
            Phase::GoAhead(_) | Phase::Final | Phase::Over => false,
        }
    }

    /// Whether final replies are due: the driver bounds how long.
    pub const fn awaits_finals(&self) -> bool {
        matches!(self.phase, Phase::Final)
    }

    /// Whether nothing more will come of this.
    pub const fn is_over(&self) -> bool {
        matches!(self.phase, Phase::Over)
    }

    fn outer_bytes(&mut self, bytes: &mut BytesMut, out: &mut Outputs<D>) {
        loop {
            self.owed.flush(&mut out.to_outer);
            match &mut self.phase {
                Phase::Command if self.owed.len() >= self.bounds.pending => return,
                Phase::Command => match take_line(bytes, self.bounds.line) {
                    Ok(None) => return,
                    Ok(Some(line)) => self.line(&line, out),
                    Err(_) => self.leave(out),
                },
                Phase::Content(decoder) => {
                    let mut content = BytesMut::new();
                    let Ok(progress) = decoder.transfer(bytes, &mut content) else {
                        return self.leave(out);
                    };
                    self.repeat_content(content.freeze(), out);
                    match progress {
                        Progress::More => return,
                        Progress::End => self.end_content(),
                    }
                }
                Phase::GoAhead(_) | Phase::Final => return,
                Phase::Over => return bytes.clear(),
            }
        }
    }

    fn line(&mut self, line: &[u8], out: &mut Outputs<D>) {
        match Command::parse(line) {
            Ok(Command::Xforward(_)) => {
                self.forwarded.extend_from_slice(line);
                self.forwarded.extend_from_slice(b"\r\n");
                self.owed.push(said::OK);
            }
            Ok(Command::Mail(..)) if self.mail.is_some() => self.owed.push(said::NESTED_MAIL),
            Ok(Command::Mail(..)) => self.begin(line),
            Ok(Command::Rcpt(recipient, _)) => self.rcpt(&recipient, line, out),
            Ok(Command::Data) => self.data(out),
            Ok(Command::Rset) => self.reset(out),
            Ok(Command::Quit) => {
                self.owed.push(said::BYE);
                self.leave(out);
            }
            Ok(
                Command::Ehlo(_)
                | Command::Helo(_)
                | Command::Lhlo(_)
                | Command::Noop
                | Command::Help
                | Command::Vrfy
                | Command::Xclient(_)
                | Command::Starttls
                | Command::Bdat(_)
                | Command::Auth(_)
                | Command::NotImplemented
                | Command::NotSmtp,
            )
            | Err(_) => self.leave(out),
        }
    }

    /// Leaves all inner sessions. Those that have an end of data have their next hop's reply recorded; the others break off.
    fn leave(&mut self, out: &mut Outputs<D>) {
        let all = std::mem::take(&mut self.inners);
        out.actions.extend(all.into_keys().map(Action::Close));
        self.mail = None;
        self.phase = Phase::Over;
    }
}

#[cfg(test)]
mod tests;
