//! Every fault of the next hop at every stage: the client gets one reply per command, nothing is taken for an acceptance that
//! is none, nothing is learnt that was not said cleanly, and the client's session goes on.

mod sockets;

use rcptgate::bounce;
use rcptgate::session::Waiting;

use crate::rig::{Event, Rig, capabilities, settings};

#[derive(Clone, Copy, Debug, PartialEq)]
enum Stage {
    Mail,
    FirstRcpt,
    LaterRcpt,
    Data,
    MidContent,
    EndOfData,
    Rset,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    Fin,
    Deferred,
    Refused,
    Goodbye,
    GoodbyeAndFin,
    /// 2yz where 354 is due, 354 where 2yz is due.
    WrongClass,
    Garbage,
    LineFeedOnly,
    TooLong,
    Endless,
    TwoReplies,
    RefusedThenAccepted,
    DifferingCodes,
    HalfAReplyThenFin,
    Expiry,
}

const STAGES: [Stage; 7] = [
    Stage::Mail,
    Stage::FirstRcpt,
    Stage::LaterRcpt,
    Stage::Data,
    Stage::MidContent,
    Stage::EndOfData,
    Stage::Rset,
];

const FAULTS: [Fault; 15] = [
    Fault::Fin,
    Fault::Deferred,
    Fault::Refused,
    Fault::Goodbye,
    Fault::GoodbyeAndFin,
    Fault::WrongClass,
    Fault::Garbage,
    Fault::LineFeedOnly,
    Fault::TooLong,
    Fault::Endless,
    Fault::TwoReplies,
    Fault::RefusedThenAccepted,
    Fault::DifferingCodes,
    Fault::HalfAReplyThenFin,
    Fault::Expiry,
];

/// One cell of the matrix.
#[derive(Clone, Copy, Debug)]
struct Case {
    stage: Stage,
    fault: Fault,
    /// Of the next hop.
    pipelining: bool,
    /// The client sends its group of commands in one write.
    in_one_write: bool,
    recipients: usize,
    /// The next hop's bytes come one by one.
    dripping: bool,
}

#[test]
fn every_fault_at_every_stage() {
    for stage in STAGES {
        for fault in FAULTS {
            for bits in 0..16 {
                let bit = |at: u32| bits & (1 << at) != 0;
                let case = Case {
                    stage,
                    fault,
                    pipelining: bit(0),
                    in_one_write: bit(1),
                    recipients: if bit(2) { 1 } else { 2 },
                    dripping: bit(3),
                };
                if case.recipients > 1 || stage != Stage::LaterRcpt {
                    Dialogue::new(case).run();
                }
            }
        }
    }
}

const RECIPIENTS: [&str; 2] = ["a@y.test", "b@y.test"];

struct Dialogue {
    case: Case,
    rig: Rig,
    /// The fault has happened.
    done: bool,
}

impl Dialogue {
    fn new(case: Case) -> Self {
        let rig = Rig::new(settings(), std::collections::HashMap::new());
        Self { case, rig, done: false }
    }

    fn run(mut self) {
        self.rig.client(b"EHLO client.test\r\n");
        assert_eq!(self.rig.replies().len(), 2);
        let answers = self.message(self.case.stage == Stage::Rset);
        assert!(self.done, "the fault never happened: {:?}", self.case);
        self.judge(&answers);
        self.check_learnt();
        assert_eq!(self.commands(&["NOOP".to_owned()]), ["250 2.0.0 rcptgate: ok"]);
        // Whatever happened before, the next message passes.
        let answers = self.message(false);
        let end = answers.last().expect("a reply to the end of data");
        assert_eq!(end, "250 fine", "{:?}: {answers:?}", self.case);
        assert!(answers.iter().all(|reply| reply.starts_with(['2', '3'])), "{answers:?}");
    }

    /// A transaction from MAIL to the end of data, as far as it comes; with a RSET and a second start if asked for.
    fn message(&mut self, with_rset: bool) -> Vec<String> {
        let recipients = RECIPIENTS.iter().take(self.case.recipients);
        let mut group = vec!["MAIL FROM:<s@x.test>".to_owned()];
        group.extend(recipients.map(|address| format!("RCPT TO:<{address}>")));
        if with_rset {
            let again = group.clone();
            group.push("RSET".into());
            group.extend(again);
        }
        group.push("DATA".into());
        let mut answers = self.commands(&group);
        if answers.last().is_some_and(|last| last.starts_with("354")) {
            self.rig.client(b"Subject: x\r\n");
            if self.case.stage == Stage::MidContent && !self.done {
                self.fail();
            }
            self.rig.client(b"\r\nbody\r\n.\r\n");
            self.serve();
            let end = self.rig.replies();
            assert_eq!(end.len(), 1, "one reply to the end of data: {:?}: {end:?}", self.case);
            answers.extend(end);
        }
        assert!(!self.rig.closed, "the client was sent away: {:?}", self.case);
        // What went wrong with RSET is the next transaction's reply; a client says RSET before it begins anew.
        answers.iter().map(|reply| reply.replacen(" 2.0.0", "", 1)).collect()
    }

    /// Sends commands and has them answered: exactly one reply each.
    fn commands(&mut self, group: &[String]) -> Vec<String> {
        let mut answers = Vec::new();
        if self.case.in_one_write {
            self.rig.client(format!("{}\r\n", group.join("\r\n")).as_bytes());
            self.serve();
            answers = self.rig.replies();
        } else {
            for command in group {
                self.rig.client(format!("{command}\r\n").as_bytes());
                self.serve();
                let one = self.rig.replies();
                assert_eq!(one.len(), 1, "{:?}: {command}: {one:?}", self.case);
                answers.extend(one);
            }
        }
        assert_eq!(answers.len(), group.len(), "{:?}: {group:?}: {answers:?}", self.case);
        answers
    }

    /// The next hop answers whatever is due, with the fault where it belongs.
    fn serve(&mut self) {
        loop {
            if self.rig.opening {
                let words = if self.case.pipelining { "PIPELINING" } else { "" };
                self.rig.connect(capabilities(words));
            }
            let due = self.rig.hop().filter(|hop| !hop.gone).and_then(|hop| hop.wire.due());
            let Some(due) = due.map(str::to_owned) else { break };
            if !self.done && self.is_now(&due) {
                self.fail();
            } else {
                let reply = if due == "DATA" { "354 go" } else { "250 fine" };
                self.say(format!("{reply}\r\n").as_bytes());
            }
            if !self.rig.opening && self.rig.hop().is_none() {
                break;
            }
        }
    }

    fn is_now(&self, due: &str) -> bool {
        match self.case.stage {
            Stage::Mail => due.starts_with("MAIL"),
            Stage::FirstRcpt => due == "RCPT TO:<a@y.test>",
            Stage::LaterRcpt => due == "RCPT TO:<b@y.test>",
            Stage::Data => due == "DATA",
            Stage::MidContent => false,
            Stage::EndOfData => due == ".",
            Stage::Rset => due == "RSET",
        }
    }

    fn fail(&mut self) {
        self.done = true;
        let wrong_class = if self.case.stage == Stage::Data { "250 ok\r\n" } else { "354 go\r\n" };
        let right = if self.case.stage == Stage::Data { "354 go\r\n" } else { "250 ok\r\n" };
        let bytes = match self.case.fault {
            Fault::Fin | Fault::Expiry => String::new(),
            Fault::Deferred => "451 4.2.1 not now\r\n".into(),
            Fault::Refused => "550 5.1.1 nobody\r\n".into(),
            Fault::Goodbye | Fault::GoodbyeAndFin => "421 4.3.2 bye\r\n".into(),
            Fault::WrongClass => wrong_class.into(),
            Fault::Garbage => "HTTP/1.1 200 OK\r\n".into(),
            Fault::LineFeedOnly => "250 ok\n".into(),
            Fault::TooLong => format!("250 {}\r\n", "x".repeat(4000)),
            Fault::Endless => "250-x\r\n".repeat(2000),
            Fault::TwoReplies => format!("{right}{right}"),
            Fault::RefusedThenAccepted => "550 5.1.1 nobody\r\n250 ok\r\n".into(),
            Fault::DifferingCodes => "250-ok\r\n550 5.1.1 nobody\r\n".into(),
            Fault::HalfAReplyThenFin => "250-ok\r\n250".into(),
        };
        self.say(bytes.as_bytes());
        match self.case.fault {
            Fault::Fin | Fault::GoodbyeAndFin | Fault::HalfAReplyThenFin => {
                self.rig.downstream_fin();
            }
            // The next hop takes no more bytes.
            Fault::Expiry if self.case.stage == Stage::MidContent => {
                self.rig.expire_waiting(Waiting::Downstream(bounce::Stage::EndOfData));
            }
            Fault::Expiry => self.rig.expire(),
            Fault::Deferred
            | Fault::Refused
            | Fault::Goodbye
            | Fault::WrongClass
            | Fault::Garbage
            | Fault::LineFeedOnly
            | Fault::TooLong
            | Fault::Endless
            | Fault::TwoReplies
            | Fault::RefusedThenAccepted
            | Fault::DifferingCodes => {}
        }
    }

    fn say(&mut self, bytes: &[u8]) {
        if self.case.dripping {
            bytes.chunks(1).for_each(|byte| self.rig.downstream(byte));
        } else {
            self.rig.downstream(bytes);
        }
    }

    fn judge(&self, answers: &[String]) {
        let case = self.case;
        for reply in answers {
            assert!(!reply.starts_with("421"), "{case:?}: {answers:?}");
            // What is no clean refusal is never final for the client; that nobody is left for DATA follows from the rest.
            let final_here = reply.starts_with('5') && !reply.contains("no valid recipients");
            let said = matches!(case.fault, Fault::Refused | Fault::RefusedThenAccepted);
            assert!(!final_here || said, "{case:?}: {answers:?}");
        }
        let accepted: usize = self.rig.hops.iter().map(|hop| hop.wire.accepted).sum();
        let got_to_end = answers.iter().any(|reply| reply.starts_with("354"));
        let told = got_to_end && answers.last().is_some_and(|last| last.starts_with('2'));
        assert!(!told || accepted == 1, "a false 250: {case:?}: {answers:?}");
    }

    /// Only a clean reply about this recipient comes with a ticket; but every recipient is reported, once.
    fn check_learnt(&mut self) {
        let case = self.case;
        let clean = matches!(case.fault, Fault::Deferred | Fault::Refused);
        // Whether the second reply came in time to spoil the first depends on how the bytes arrive.
        let perhaps = case.fault == Fault::RefusedThenAccepted;
        let alone = case.recipients == 1;
        let whom = match case.stage {
            Stage::FirstRcpt => Some("<a@y.test>"),
            Stage::LaterRcpt => Some("<b@y.test>"),
            Stage::Data | Stage::EndOfData if alone => Some("<a@y.test>"),
            Stage::Mail | Stage::Data | Stage::MidContent | Stage::EndOfData | Stage::Rset => None,
        };
        let (mut learnt, mut reported) = (Vec::new(), 0);
        for event in self.rig.events.drain(..) {
            let Event::Answered(answered) = event else { continue };
            let at_rcpt = [bounce::Stage::Connect, bounce::Stage::Mail, bounce::Stage::Rcpt];
            reported += usize::from(at_rcpt.contains(&answered.stage));
            if answered.ticket.is_some() {
                assert_eq!(answered.recipients, 1, "{case:?}");
                learnt.push(answered.recipient.to_string());
            }
        }
        let starts = if case.stage == Stage::Rset { 2 } else { 1 };
        assert_eq!(reported, case.recipients * starts, "recipients in the log: {case:?}");
        let expected: Vec<_> = whom.filter(|_| clean).into_iter().collect();
        let spoilt = perhaps && learnt.iter().map(String::as_str).eq(whom);
        assert!(learnt == expected || spoilt, "{case:?}: learnt {learnt:?}, not {expected:?}");
    }
}
