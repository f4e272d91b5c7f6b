use std::collections::BTreeMap;

use super::*;

/// A splitter by domain, between an outer session and inner ones that a test plays.
struct World {
    splitter: Splitter<String>,
    out: Outputs<String>,
    input: BytesMut,
    /// By destination: the place, and what has been sent there and not been read. The greeting has been answered.
    inners: BTreeMap<String, (Place, String)>,
    closed: Vec<String>,
}

impl World {
    fn new() -> Self {
        Self::with(Bounds { destinations: 100, pending: 100, line: 200, content_line: 1000 })
    }

    fn with(bounds: Bounds) -> Self {
        let domain = |recipient: &Recipient| {
            recipient.key().map_or_else(String::new, |key| key.domain().to_owned())
        };
        Self {
            splitter: Splitter::new("c.test", Box::new(domain), bounds),
            out: Outputs::default(),
            input: BytesMut::new(),
            inners: BTreeMap::new(),
            closed: Vec::new(),
        }
    }

    fn outer(&mut self, text: &str) {
        self.input.extend_from_slice(text.replace('\n', "\r\n").as_bytes());
        self.splitter.step(Input::Outer(&mut self.input), &mut self.out);
        self.act();
    }

    fn step(&mut self, input: Input<'_>) {
        self.splitter.step(input, &mut self.out);
        self.act();
    }

    fn act(&mut self) {
        while let Some(action) = self.out.actions.pop_front() {
            match action {
                Action::Open(place, destination) => {
                    let before = self.inners.insert(destination.clone(), (place, String::new()));
                    assert!(before.is_none(), "two at a time for {destination}");
                    let mut greeting = BytesMut::from("220 gate\r\n250-gate\r\n250 DSN\r\n");
                    let (splitter, out) = (&mut self.splitter, &mut self.out);
                    splitter.step(Input::Inner(place, &mut greeting), out);
                }
                Action::Send(place, bytes) => {
                    let text = String::from_utf8_lossy(&bytes).replace("\r\n", "\n");
                    let inner = self.inners.values_mut().find(|(of, _)| *of == place);
                    inner.expect("an inner session").1.push_str(&text);
                }
                Action::Close(place) => {
                    let gone = self.inners.iter().find(|(_, (of, _))| *of == place);
                    let gone = gone.expect("closed once").0.clone();
                    self.inners.remove(&gone);
                    self.closed.push(gone);
                }
            }
        }
    }

    fn inner(&mut self, destination: &str, text: &str) {
        let place = self.inners.get(destination).expect("an inner session").0;
        let mut bytes = BytesMut::from(text.replace('\n', "\r\n").as_bytes());
        self.step(Input::Inner(place, &mut bytes));
    }

    fn inner_ends(&mut self, destination: &str) {
        let (place, _) = self.inners.remove(destination).expect("an inner session");
        self.step(Input::InnerEnded(place));
    }

    /// What an inner session has been sent since this was last asked.
    fn sent(&mut self, destination: &str) -> String {
        let inner = self.inners.get_mut(destination).expect("an inner session");
        std::mem::take(&mut inner.1)
    }

    /// What the outer session has been told since this was last asked.
    fn told(&mut self) -> String {
        String::from_utf8(self.out.to_outer.split().to_vec()).expect("ASCII").replace("\r\n", "\n")
    }

    /// Two recipients at one destination and one at another, accepted, and content is due.
    fn up_to_content() -> Self {
        let mut world = Self::new();
        world.outer("MAIL FROM:<s@x.test>\nRCPT TO:<u@a.test>\nRCPT TO:<u@b.test>\nRCPT TO:<v@a.test>\nDATA\n");
        world.inner("a.test", "250 ok\n250 2.1.5 u\n250 2.1.5 v\n354 a\n");
        world.inner("b.test", "250 ok\n250 2.1.5 ub\n354 b\n");
        let told = world.told();
        assert!(told.ends_with("250 2.1.5 u\n250 2.1.5 ub\n250 2.1.5 v\n354 a\n"), "{told}");
        world.inners.values_mut().for_each(|(_, sent)| sent.clear());
        world
    }
}

#[test]
fn mail_is_repeated_before_the_first_recipient_of_each() {
    let mut world = World::new();
    world.outer("XFORWARD IDENT=4F2A\nXFORWARD ADDR=192.0.2.1\nMAIL FROM:<s@x.test> SIZE=7\n");
    assert_eq!(
        world.told(),
        "250 2.0.0 rcptgate: ok\n".repeat(2) + "250 2.1.0 rcptgate: sender ok\n"
    );
    assert!(world.inners.is_empty(), "nobody is needed yet");
    world.outer("RCPT TO:<u@a.test> NOTIFY=NEVER\nRCPT TO:<u@B.test>\nRCPT TO:<v@a.test>\n");
    let opening =
        "LHLO c.test\nXFORWARD IDENT=4F2A\nXFORWARD ADDR=192.0.2.1\nMAIL FROM:<s@x.test> SIZE=7\n";
    let of_a = "RCPT TO:<u@a.test> NOTIFY=NEVER\nRCPT TO:<v@a.test>\n";
    assert_eq!(world.sent("a.test"), format!("{opening}{of_a}"));
    assert_eq!(world.sent("b.test"), format!("{opening}RCPT TO:<u@B.test>\n"));
    world.inner("b.test", "250 ok\n250 ok\n250 ok\n550 5.1.1 no u of b\n");
    assert_eq!(world.told(), "", "the first comes first");
    world.inner("a.test", "250 ok\n250 ok\n250 ok\n250 2.1.5 u\n452 4.2.2 v\n");
    assert_eq!(world.told(), "250 2.1.5 u\n550 5.1.1 no u of b\n452 4.2.2 v\n");
    // Of what was forwarded nothing is left for the next message.
    world.outer("RSET\nMAIL FROM:<t@x.test>\nRCPT TO:<u@a.test>\n");
    assert_eq!(world.sent("a.test"), "RSET\nMAIL FROM:<t@x.test>\nRCPT TO:<u@a.test>\n");
    assert_eq!(world.sent("b.test"), "RSET\n");
}

#[test]
fn a_refused_mail_is_told_to_each_recipient() {
    let mut world = World::new();
    world.outer("MAIL FROM:<s@x.test>\nRCPT TO:<u@a.test>\n");
    let _ = world.told();
    world.inner("a.test", "552 5.3.4 too large\n503 5.5.1 need MAIL\n");
    assert_eq!(world.told(), "552 5.3.4 too large\n");
}

/// A group in which one message is given up and the next begins: the refusal is of the first alone.
#[test]
fn a_refused_mail_is_not_told_to_recipients_of_the_next() {
    let mut world = World::new();
    world.outer("MAIL FROM:<s@x.test>\nRCPT TO:<u@a.test>\nRSET\nMAIL FROM:<s@x.test>\nRCPT TO:<u@a.test>\nDATA\n");
    let _ = world.told();
    world.inner("a.test", "552 5.3.4 too large\n503 5.5.1 need MAIL\n250 reset\n");
    world.inner("a.test", "250 ok\n250 2.1.5 u\n354 go\n");
    assert_eq!(
        world.told(),
        "552 5.3.4 too large\n250 2.0.0 rcptgate: ok\n250 2.1.0 rcptgate: sender ok\n250 2.1.5 u\n354 go\n"
    );
}

#[test]
fn each_recipient_has_the_end_of_its_own_session() {
    let mut world = World::up_to_content();
    world.outer("..stuffed\n");
    assert_eq!([world.sent("a.test"), world.sent("b.test")], ["..stuffed\n", "..stuffed\n"]);
    world.outer(".\nRSET\n");
    assert_eq!([world.sent("a.test"), world.sent("b.test")], [".\n", ".\n"]);
    assert!(world.splitter.awaits_finals());
    world.inner("b.test", "550 5.1.1 no ub\n");
    assert_eq!(world.told(), "");
    world.inner("a.test", "250 2.0.0 u\n");
    assert_eq!(world.told(), "250 2.0.0 u\n550 5.1.1 no ub\n");
    assert!(world.splitter.awaits_finals());
    world.inner("a.test", "452 4.2.2 v\n");
    assert_eq!(world.told(), "452 4.2.2 v\n");
    world.outer("");
    assert_eq!(world.told(), "250 2.0.0 rcptgate: ok\n");
}

#[test]
fn who_is_not_accepted_has_no_end() {
    let mut world = World::new();
    world.outer(
        "MAIL FROM:<s@x.test>\nRCPT TO:<u@a.test>\nRCPT TO:<u@b.test>\nRCPT TO:<u@c.test>\n",
    );
    world.inner("a.test", "250 ok\n250 u\n");
    world.inner("b.test", "250 ok\n550 5.1.1 no\n");
    let _ = (world.sent("a.test"), world.sent("b.test"), world.sent("c.test"), world.told());
    world.outer("DATA\n");
    // One that has nobody is not asked; one that may yet have somebody is.
    assert_eq!(
        [world.sent("a.test"), world.sent("b.test"), world.sent("c.test")],
        ["DATA\n", "RSET\n", "DATA\n"]
    );
    world.inner("a.test", "354 go\n");
    assert!(!world.told().contains("354"), "the last has not answered");
    world.inner("c.test", "250 ok\n550 5.1.1 no\n554 5.5.1 nobody\n");
    assert_eq!(world.told(), "550 5.1.1 no\n354 go\n");
    world.outer("x\n.\n");
    assert_eq!(
        [world.sent("a.test"), world.sent("b.test"), world.sent("c.test")],
        ["x\n.\n", "", ""]
    );
    world.inner("a.test", "250 2.0.0 a\n");
    assert_eq!(world.told(), "250 2.0.0 a\n");
}

#[test]
fn data_is_refused_where_it_has_one_reply_only() {
    let check = |a: &str, b: &str, expected: &str| {
        let mut world = World::new();
        world.outer("MAIL FROM:<s@x.test>\nRCPT TO:<u@a.test>\nRCPT TO:<u@b.test>\nDATA\n");
        world.inner("a.test", a);
        world.inner("b.test", b);
        let told = world.told();
        let behind = told.splitn(4, '\n').last().expect("the reply to DATA").to_owned();
        if !behind.starts_with("354") {
            assert_eq!(behind, expected);
            world.outer("RSET\n");
            return assert_eq!(world.told(), "250 2.0.0 rcptgate: ok\n");
        }
        world.outer("x\n.\n");
        assert_eq!(behind + &world.told(), expected);
    };
    let no = "550 5.1.1 no\n554 5.5.1 nobody\n";
    check(
        &format!("250 ok\n{no}"),
        &format!("250 ok\n{no}"),
        "503 5.5.1 rcptgate: no valid recipients\n",
    );
    check("250 ok\n250 u\n451 4.3.0 no data\n", &format!("250 ok\n{no}"), "451 4.3.0 no data\n");
    // Several, none of which takes it: each recipient is owed the reply of its own.
    check(
        "250 ok\n250 u\n451 4.3.0 a\n",
        "250 ok\n250 u\n552 5.3.4 b\n",
        "354 rcptgate: go ahead\n451 4.3.0 a\n552 5.3.4 b\n",
    );
}

#[test]
fn a_lost_session_costs_its_own_recipients_only() {
    let lost = "451 4.4.2 rcptgate: connection to the next hop lost\n";
    let mut world = World::up_to_content();
    world.outer("x\n");
    world.inner_ends("a.test");
    world.outer(".\n");
    world.inner("b.test", "250 b\n");
    assert_eq!(world.told(), format!("{lost}250 2.0.0 b\n{lost}"));

    let unknown =
        "451 4.4.2 rcptgate: the next hop was lost before its final reply, outcome unknown\n";
    let mut world = World::up_to_content();
    world.outer("x\n.\n");
    world.inner_ends("b.test");
    world.inner("a.test", "250 u\n");
    world.inner_ends("a.test");
    assert_eq!(world.told(), format!("250 2.0.0 u\n{unknown}{unknown}"));

    let mut world = World::new();
    world.outer("MAIL FROM:<s@x.test>\nRCPT TO:<u@a.test>\nRCPT TO:<u@b.test>\nDATA\n");
    let _ = world.told();
    world.inner("a.test", "250 ok\n250 u\n354 go\n");
    world.inner_ends("b.test");
    assert_eq!(world.told(), format!("250 2.0.0 u\n{lost}354 go\n"));
}

#[test]
fn late_ones_do_not_cost_the_others_their_ends() {
    let mut world = World::up_to_content();
    world.outer("x\n.\n");
    world.inner("b.test", "250 b\n");
    world.step(Input::Late);
    let told = world.told();
    let lines: Vec<&str> = told.lines().collect();
    assert!(
        lines.len() == 3 && lines[0] == lines[2] && lines[0].starts_with("451 4.4.2"),
        "{told}"
    );
    assert_eq!(
        (lines[1], world.closed.as_slice()),
        ("250 2.0.0 b", ["a.test".to_owned()].as_slice())
    );
    assert!(!world.splitter.awaits_finals());
}

#[test]
fn an_outer_session_that_ends_is_an_end_of_no_message() {
    let mut world = World::up_to_content();
    world.outer("half\n");
    world.step(Input::OuterEnded);
    assert_eq!(world.closed, ["a.test", "b.test"]);
    assert!(world.splitter.is_over());
    world.outer(".\n");
    assert_eq!(world.told(), "");
}

#[test]
fn what_nobody_asked_for_ends_a_session() {
    for said in ["250 what\n", "421 4.3.2 bye\n", "hello\n"] {
        let mut world = World::up_to_content();
        world.inner("a.test", said);
        assert_eq!(world.closed, ["a.test"], "{said}");
    }
    let mut world = World::new();
    world.outer("MAIL FROM:<s@x.test>\nRCPT TO:<u@a.test>\n");
    let _ = world.told();
    world.inner("a.test", "250 ok\n354 go\n");
    assert_eq!(world.told(), "451 4.4.2 rcptgate: connection to the next hop lost\n");
}

#[test]
fn content_for_nobody_is_not_given() {
    let mut world = World::new();
    world.outer("MAIL FROM:<s@x.test>\nRCPT TO:<u@a.test>\nRCPT TO:<u@b.test>\nDATA\n");
    world.inner("a.test", "250 ok\n250 u\n354 a\n");
    world.inner("b.test", "250 ok\n550 5.1.1 no\n354 b\n");
    assert_eq!(world.closed, ["b.test"]);
    assert!(world.told().ends_with("354 a\n"));
}

#[test]
fn a_late_reply_is_of_its_own_transaction() {
    let mut world = World::new();
    world.outer("MAIL FROM:<s@x.test>\nRCPT TO:<u@a.test>\nRSET\nMAIL FROM:<t@x.test>\nRCPT TO:<v@b.test>\n");
    world.inner("b.test", "250 ok\n550 5.1.1 no v\n");
    world.inner("a.test", "250 ok\n250 u\n250 ok\n");
    let _ = world.told();
    world.outer("DATA\n");
    assert_eq!(world.told(), "503 5.5.1 rcptgate: no valid recipients\n");
}

mod bounds;
