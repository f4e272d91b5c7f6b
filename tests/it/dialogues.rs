//! Random dialogues. Addresses and messages are numbered and the next hop repeats the number in its reply, so that every reply
//! can be held against the command that it must belong to.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use proptest::prelude::*;
use rcptgate::policy::verdict::Verdict;
use rcptgate::session::{Access, Auth, ClientTls, Outcome, Settings, TellClient};
use rcptgate::smtp::reply::Reply;

use crate::rig::{Event, Rig, capabilities, settings};

/// One thing that happens; which, and with what, follows from the numbers, so that a failing case shrinks.
type Happening = (u8, u8);

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..Default::default() })]

    #[test]
    fn whatever_happens_every_reply_belongs_to_its_command(
        happenings in prop::collection::vec(any::<Happening>(), 1..80),
        pipelining: bool,
        held: bool,
        limit in 2usize..20,
        auth in prop::sample::select(vec![Auth::Off, Auth::Local, Auth::Relay]),
        told: bool,
    ) {
        let mut settings = settings();
        settings.limits.pipeline = limit;
        settings.limits.errors = 10_000;
        settings.limits.junk = 10_000;
        settings.limits.login_failures = 10_000;
        settings.offer = capabilities("SIZE 8BITMIME CHUNKING AUTH=PLAIN").offered_over();
        (settings.auth, settings.tls) = (auth, ClientTls::Up);
        settings.tell_client = if told { TellClient::Xforward } else { TellClient::Off };
        settings.xforward = true;
        let clients = vec!["192.0.2.0/24".parse().expect("a network")];
        settings.xclient = Some(Arc::new(Access { xforward: clients.clone(), clients }));
        let mut world = World::new(settings, pipelining, held);
        for happening in happenings {
            world.happen(happening);
        }
        world.end();
    }
}

/// What the client waits for a reply to.
#[derive(Debug)]
enum Said {
    Rcpt(String),
    Data,
    End(usize),
    Other,
    /// AUTH, or a response, that ends with this word.
    Login(String),
    Xclient,
}

/// Why the client says nothing but what is due.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Due {
    /// A response to a challenge.
    Response,
    /// EHLO behind XCLIENT.
    Hello,
}

struct World {
    rig: Rig,
    pipelining: bool,
    /// Commands whose replies have not come, in order.
    owed: VecDeque<Said>,
    /// DATA, AUTH or XCLIENT has been said: nothing may be said before its reply.
    asked_for_go_ahead: bool,
    due: Option<Due>,
    auth: Auth,
    logins: usize,
    /// The connection on which the client had logged in was lost, so it was sent away.
    over: bool,
    go_ahead: bool,
    messages: usize,
    recipients: usize,
    /// The last chunk ended between CR and LF.
    half: bool,
}

/// One in three is suppressed, one in nine put off.
fn verdicts() -> HashMap<String, Verdict> {
    let reply = |text: String| Reply::from_text(&text).expect("a reply");
    (0..600)
        .filter(|number| number % 3 == 0)
        .map(|number| {
            let address = format!("r{number}@y.test");
            let text = format!("5.7.1 rcptgate: no {address}");
            let verdict = if number % 9 == 0 {
                Verdict::Defer(reply(format!("450 4.7.1 rcptgate: not now {address}")))
            } else {
                Verdict::Refuse(reply(format!("550 {text}")))
            };
            (address, verdict)
        })
        .collect()
}

/// Whether it is AUTH, or a response.
fn is_login(due: &str) -> bool {
    due.starts_with("A") || due == "*"
}

impl World {
    fn new(settings: Settings, pipelining: bool, held: bool) -> Self {
        let auth = settings.auth;
        let mut rig = Rig::new(settings, verdicts());
        rig.users.insert("ann".into(), "secret".into());
        rig.hold_tickets = held;
        rig.client(b"EHLO client.test\r\n");
        assert_eq!(rig.replies().len(), 2);
        Self {
            rig,
            pipelining,
            owed: VecDeque::new(),
            asked_for_go_ahead: false,
            due: None,
            auth,
            logins: 0,
            over: false,
            go_ahead: false,
            messages: 0,
            recipients: 0,
            half: false,
        }
    }

    fn happen(&mut self, (what, how): Happening) {
        if self.over {
            return;
        }
        match what % 16 {
            0..=6 => self.client_goes_on(how),
            7..=11 => self.next_hop_answers(how),
            12 | 13 => self.connection(how.is_multiple_of(8)),
            14 => self.rig.settle_first(),
            _ if how.is_multiple_of(16) => self.rig.downstream_fin_if_open(),
            _ if how % 16 == 1 && self.rig.hop().is_some_and(|hop| hop.wire.unanswered() > 0) => {
                self.rig.expire();
            }
            _ => {}
        }
        self.read();
    }

    /// The client says something that it may say now, in pieces.
    fn client_goes_on(&mut self, how: u8) {
        if self.go_ahead {
            self.go_ahead = false;
            self.messages += 1;
            self.owed.push_back(Said::End(self.messages));
            let bare = if how.is_multiple_of(8) { "bare \n here\r\n" } else { "..dots\r\n" };
            let content = format!("Number: {}\r\n\r\n{bare}.\r\n", self.messages);
            return self.send(&content, how);
        }
        if self.asked_for_go_ahead {
            return;
        }
        match self.due.take() {
            Some(Due::Response) => return self.log_in("", how),
            Some(Due::Hello) => {
                self.owed.push_back(Said::Other);
                return self.send("EHLO client.test\r\n", how);
            }
            None => {}
        }
        match how % 13 {
            10.. => return self.chunk(how),
            9 if how.is_multiple_of(2) => return self.log_in("AUTH PLAIN ", how),
            9 if how.is_multiple_of(3) => return self.become_another(how),
            9 => {
                self.owed.push_back(Said::Other);
                return self.send(&format!("XFORWARD IDENT=Q{how} HELO=a+20b\r\n"), how);
            }
            _ => {}
        }
        let (line, said) = match how % 10 {
            0 | 1 => ("MAIL FROM:<s@x.test>".to_owned(), Said::Other),
            2..=5 => {
                self.recipients += 1;
                let address = format!("r{}@y.test", self.recipients);
                (format!("RCPT TO:<{address}>"), Said::Rcpt(address))
            }
            6 | 7 => ("DATA".to_owned(), Said::Data),
            8 => ("RSET".to_owned(), Said::Other),
            _ => ("FROB".to_owned(), Said::Other),
        };
        self.asked_for_go_ahead = matches!(said, Said::Data);
        self.owed.push_back(said);
        self.send(&format!("{line}\r\n"), how);
    }

    /// A chunk, with what belongs to it in the same write or not. Some end in half a CRLF, some have a CR or LF of their own.
    fn chunk(&mut self, how: u8) {
        let begin = if std::mem::take(&mut self.half) { "\n" } else { "" };
        let bare = if how % 32 == 10 { "bare \r here\r\n" } else { "" };
        self.messages += 1;
        let (last, said) = match how % 3 {
            0 => (" LAST", Said::End(self.messages)),
            _ => ("", Said::Other),
        };
        let number = if last.is_empty() { "Part" } else { "Number" };
        self.half = last.is_empty() && how.is_multiple_of(5);
        let end = if self.half { "\r" } else { "\r\n" };
        let content = format!("{begin}{bare}RSET\r\n{number}: {}{end}", self.messages);
        self.owed.push_back(said);
        self.send(&format!("BDAT {}{last}\r\n{content}", content.len()), how);
    }

    /// AUTH or a response, each with a word of its own, which the next hop repeats.
    fn log_in(&mut self, verb: &str, how: u8) {
        self.logins += 1;
        let word = match self.auth {
            _ if verb.is_empty() && how.is_multiple_of(5) => "*".to_owned(),
            Auth::Local if how.is_multiple_of(4) => "AGFubgBzZWNyZXQ=".to_owned(),
            Auth::Local | Auth::Relay | Auth::Off => format!("AH{:02}", self.logins),
        };
        self.asked_for_go_ahead = true;
        self.owed.push_back(Said::Login(word.clone()));
        self.send(&format!("{verb}{word}\r\n"), how);
    }

    fn become_another(&mut self, how: u8) {
        self.asked_for_go_ahead = true;
        self.owed.push_back(Said::Xclient);
        self.send(&format!("XCLIENT ADDR=192.0.2.{how} LOGIN=bob\r\n"), how);
    }

    fn send(&mut self, text: &str, how: u8) {
        let size = usize::from(how / 10 % 7).checked_sub(1).map_or(text.len(), |size| size + 1);
        text.as_bytes().chunks(size).for_each(|piece| self.rig.client(piece));
    }

    fn next_hop_answers(&mut self, how: u8) {
        let due = self.rig.hop().filter(|hop| !hop.gone).and_then(|hop| hop.wire.due());
        let Some(due) = due.map(str::to_owned) else {
            // Now and then it speaks unasked.
            if how == 0 {
                self.rig.downstream(b"421 4.4.2 leaving\r\n");
            }
            return;
        };
        // Whom or what the reply is about.
        let about = match due.strip_prefix("RCPT TO:<") {
            Some(rest) => rest.trim_end_matches('>').to_owned(),
            None if due == "." => match self.rig.hop().and_then(|hop| hop.wire.number()) {
                Some(number) => format!("message {number}"),
                None => String::new(),
            },
            None if is_login(&due) => due.rsplit(' ').next().unwrap_or_default().to_owned(),
            None => String::new(),
        };
        let reply = match how % 20 {
            0 => "421 4.3.2 leaving\r\n".into(),
            1 => "what?\r\n".into(),
            2 => "250-yes\r\n550 no\r\n".into(),
            3 => "354 surprise\r\n".into(),
            4 | 5 => format!("451 4.2.1 {about}\r\n"),
            6 | 7 => format!("550-5.1.1 not this\r\n550 5.1.1 {about}\r\n"),
            _ if due == "DATA" => "354 go\r\n".into(),
            8..=10 if is_login(&due) => format!("334 {about}\r\n"),
            _ if is_login(&due) => format!("235 2.7.0 {about}\r\n"),
            _ => format!("250 {about}\r\n"),
        };
        let size = usize::from(how / 20 % 5).checked_sub(1).map_or(reply.len(), |size| size + 1);
        reply.as_bytes().chunks(size).for_each(|piece| self.rig.downstream(piece));
    }

    fn connection(&mut self, fails: bool) {
        if !self.rig.opening {
            return;
        }
        if fails {
            let reply = Reply::from_text("451 4.4.1 rcptgate: nobody there").expect("a reply");
            self.rig.cannot_connect(reply);
        } else {
            let chunking = if self.recipients.is_multiple_of(7) { "" } else { "CHUNKING" };
            let pipelining = if self.pipelining { "PIPELINING" } else { "" };
            let others = "XFORWARD=ADDR,HELO,IDENT AUTH=PLAIN";
            self.rig.connect(capabilities(&format!("{pipelining} {chunking} {others}")));
        }
    }

    /// Holds each reply against the command that is first in the queue.
    fn read(&mut self) {
        for reply in self.rig.replies() {
            // Whatever was sent behind it is not looked at any more.
            if reply.contains("your login with it, was lost") {
                self.over = true;
                break;
            }
            let said = self.owed.pop_front().expect("a reply to nothing");
            let about = reply.split(' ').find(|word| word.ends_with("@y.test"));
            match said {
                Said::Rcpt(address) => {
                    assert!(about.is_none_or(|other| other == address), "{reply}")
                }
                Said::Data => {
                    self.asked_for_go_ahead = false;
                    self.go_ahead = reply.starts_with("354");
                    assert!(!reply.starts_with('2') && about.is_none(), "{reply}");
                }
                Said::End(number) => {
                    let own = reply.ends_with(&format!("message {number}"));
                    assert!(own || !reply.starts_with('2'), "a false 250: {reply}");
                }
                Said::Other => assert!(about.is_none() && !reply.starts_with('3'), "{reply}"),
                Said::Login(word) => {
                    self.asked_for_go_ahead = false;
                    self.due = reply.starts_with("334").then_some(Due::Response);
                    let own = self.auth == Auth::Local || reply.ends_with(&word);
                    let refused = reply.starts_with(['4', '5']);
                    assert!(about.is_none() && (own || refused), "a login of others: {reply}");
                }
                Said::Xclient => {
                    self.asked_for_go_ahead = false;
                    self.due = reply.starts_with("220").then_some(Due::Hello);
                    assert!(about.is_none() && (self.due.is_some() || reply.starts_with("503")));
                }
            }
        }
        assert_eq!(self.rig.closed, self.over, "nobody asked for that");
    }

    /// Answers whatever is due, and looks at what was reported.
    fn end(&mut self) {
        while !self.over && (!self.owed.is_empty() || self.go_ahead || self.due.is_some()) {
            let before = (self.owed.len(), self.go_ahead, self.due);
            if self.go_ahead || self.due.is_some() {
                self.client_goes_on(1);
            }
            self.connection(false);
            self.rig.settle_first();
            let due = self.rig.hop().is_some_and(|hop| hop.wire.unanswered() > 0);
            self.next_hop_answers(19);
            self.read();
            let moved = before != (self.owed.len(), self.go_ahead, self.due) || due;
            assert!(
                moved || self.rig.has_tickets(),
                "stuck: {:?} {:?}",
                self.owed,
                self.rig.waiting()
            );
        }
        let accepted: usize = self.rig.hops.iter().map(|hop| hop.wire.accepted).sum();
        let mut delivered = 0;
        for event in std::mem::take(&mut self.rig.events) {
            match event {
                Event::Answered(answered) if answered.ticket.is_some() => {
                    assert_eq!(answered.recipients, 1);
                    assert_ne!(answered.reply.code.get(), 421);
                    let whom = answered.recipient.to_string();
                    let (text, whom) = (answered.reply.text, whom.trim_matches(['<', '>']));
                    let named = text.split([' ', '\n']).find(|word| word.ends_with("@y.test"));
                    assert!(named.is_none_or(|named| named == whom), "{text} about {whom}");
                }
                Event::Answered(_) | Event::Renamed(_) | Event::Untold(_) => {}
                Event::Finished(finished) => {
                    delivered += usize::from(finished.outcome == Outcome::Delivered);
                    assert!(!finished.recipients.is_empty());
                }
            }
        }
        assert_eq!(delivered, accepted, "messages that were delivered");
    }
}
