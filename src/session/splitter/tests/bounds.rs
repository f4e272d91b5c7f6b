//! What the splitter takes, and no more.

use super::*;

#[test]
fn bounds() {
    let bounds = Bounds { destinations: 2, pending: 4, line: 60, content_line: 10 };
    let mut world = World::with(bounds);
    world.outer(
        "MAIL FROM:<s@x.test>\nRCPT TO:<u@a.test>\nRCPT TO:<u@b.test>\nRCPT TO:<u@c.test>\n",
    );
    world.inner("a.test", "250 ok\n250 a\n");
    world.inner("b.test", "250 ok\n250 b\n");
    let told = world.told();
    assert!(
        told.ends_with("250 2.0.0 b\n452 4.5.3 rcptgate: too many destinations in one message\n"),
        "{told}"
    );
    // In the next message those of the last one make room, once they have forgotten it.
    world.outer("RSET\nMAIL FROM:<s@x.test>\n");
    world.inner("a.test", "250 ok\n");
    world.outer("RCPT TO:<u@c.test>\nRCPT TO:<v@c.test>\nRCPT TO:<w@c.test>\n");
    assert_eq!(world.closed, ["a.test"]);
    // No more commands are taken than may be owed replies.
    world.outer("RCPT TO:<x@c.test>\nRCPT TO:<y@c.test>\n");
    assert!(!world.sent("c.test").contains("<y@c.test>") && !world.splitter.wants_outer());
    world.inner("c.test", "250 ok\n250 u\n");
    world.outer("");
    assert!(world.sent("c.test").contains("<y@c.test>"));
    for endless in ["x".repeat(200), "NOOP\n".to_owned(), "\n".to_owned()] {
        let mut world = World::with(bounds);
        world.outer(&endless);
        assert!(world.splitter.is_over(), "{endless}");
    }
}

#[test]
fn a_reply_is_passed_on_in_a_length_that_a_session_takes() {
    let mut world = World::new();
    world.outer("MAIL FROM:<s@x.test>\nRCPT TO:<u@a.test>\n");
    let _ = world.told();
    let lines = format!("550-{}\n", "x".repeat(490)).repeat(120);
    world.inner("a.test", &format!("250 ok\n{lines}550 end\n"));
    let mut told = BytesMut::from(world.told().replace('\n', "\r\n").as_bytes());
    let reply = crate::smtp::reply::ReplyDecoder::default().decode(&mut told);
    assert!(matches!(reply, Ok(Some(reply)) if reply.text.len() > 4000));
}

/// An inner session that answers in its own time, with the address or its own name in each reply.
#[derive(Default)]
struct Scripted {
    unread: String,
    questions: VecDeque<String>,
    accepted: Vec<String>,
    content: bool,
}

impl Scripted {
    fn hear(&mut self, sent: &str) {
        self.unread.push_str(sent);
        while let Some((line, rest)) = self.unread.split_once('\n') {
            let line = line.to_owned();
            self.unread = rest.to_owned();
            if self.content && line == "." {
                self.content = false;
                self.questions.extend(self.accepted.drain(..).map(|to| to.replace("RCPT", "END")));
            } else if !self.content {
                self.questions.push_back(line.clone());
            }
            // Nothing follows DATA before its answer.
            assert!(line != "DATA" || self.unread.is_empty());
        }
    }

    fn answer(&mut self, name: &str, dice: u8) -> Option<String> {
        let question = self.questions.pop_front()?;
        let verb = question.split(' ').next().unwrap_or_default().to_owned();
        let refused = dice.is_multiple_of(4);
        Some(match verb.as_str() {
            "LHLO" => unreachable!("answered when it was opened"),
            "RCPT" if refused => format!("550 5.1.1 {question}\n"),
            "RCPT" => {
                self.accepted.push(question.clone());
                format!("250 2.1.5 {question}\n")
            }
            "DATA" if refused => format!("451 4.3.0 data {name}\n"),
            "DATA" => {
                self.content = true;
                "354 go\n".to_owned()
            }
            "END" if refused => format!("550 5.0.0 {question}\n"),
            "END" => format!("250 2.0.0 {question}\n"),
            _ => "250 2.0.0 ok\n".to_owned(),
        })
    }
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig { cases: 300, failure_persistence: None, ..Default::default() })]

    /// In whatever order the inner sessions answer, refuse or are lost: replies to RCPT in order, each about its recipient; then
    /// a final one for each that was accepted, in order, each its own; no content where it was not asked for.
    #[test]
    fn every_reply_is_that_of_its_recipient(
        recipients in proptest::collection::vec(0u8..4, 1..12),
        dice in proptest::collection::vec(proptest::prelude::any::<(u8, u8)>(), 200),
    ) {
        let mut world = World::new();
        let mut there: BTreeMap<String, Scripted> = BTreeMap::new();
        let address = |(index, of): (usize, &u8)| format!("u{index}@d{of}.test");
        let addresses: Vec<String> = recipients.iter().enumerate().map(address).collect();
        world.outer("MAIL FROM:<s@x.test>\n");
        addresses.iter().for_each(|to| world.outer(&format!("RCPT TO:<{to}>\n")));
        world.outer("DATA\n");
        let (mut told, mut ended, mut dice) = (String::new(), false, dice.into_iter());
        loop {
            told.push_str(&world.told());
            if told.contains("\n354 ") && !ended {
                ended = true;
                world.outer("x\n.\n");
            }
            let names: Vec<String> = world.inners.keys().cloned().collect();
            for name in &names {
                let sent = world.sent(name).replace("LHLO c.test\n", "");
                there.entry(name.clone()).or_default().hear(&sent);
            }
            let busy: Vec<&String> = names
                .iter()
                .filter(|name| there.get(*name).is_some_and(|it| !it.questions.is_empty()))
                .collect();
            let (Some((which, how)), false) = (dice.next(), busy.is_empty()) else { break };
            let name = busy[usize::from(which) % busy.len()].clone();
            if how == 7 {
                world.inner_ends(&name);
                there.remove(&name);
            } else if let Some(answer) = there.get_mut(&name).and_then(|it| it.answer(&name, how)) {
                world.inner(&name, &answer);
            }
        }
        told.push_str(&world.told());
        let mut lines = told.lines().skip(1);
        let mut accepted = Vec::new();
        for to in &addresses {
            let line = lines.next().expect("a reply for each");
            assert!(line.contains(&format!("<{to}>")) || line.starts_with("451 4.4.2"), "{to}: {line}");
            if line.starts_with("250") {
                accepted.push(to);
            }
        }
        let data = lines.next().expect("a reply to DATA");
        assert_eq!(ended, data.starts_with("354"), "{told}");
        if ended {
            for to in accepted {
                let line = lines.next().expect("a final reply for each");
                let domain = to.split_once('@').expect("a domain").1;
                let its = line.contains(&format!("<{to}>")) || line.ends_with(&format!("data {domain}"));
                assert!(its || line.starts_with("451 4.4.2"), "{to}: {line}");
            }
        }
        assert_eq!(lines.next(), None);
        world.outer("RSET\n");
        assert_eq!(world.told(), "250 2.0.0 rcptgate: ok\n");
    }
}
