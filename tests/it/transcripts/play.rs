//! Playing a transcript on the pure session.

use std::sync::Arc;

use rcptgate::bounce::Stage;
use rcptgate::session::{
    Access, Auth, ClientTls, Farewell, Outcome, Protocol, Settings, TellClient, Waiting,
};
use rcptgate::smtp::extensions::Extension;

use super::script::{Client, Downstream, Line, Needed, Script, Step};
use crate::rig::{Event, Rig, capabilities, settings};

/// How the peers' writes are cut.
#[derive(Clone, Copy, Debug)]
pub enum Cut {
    None,
    /// One byte at a time.
    Bytes {
        client: bool,
        downstream: bool,
    },
    /// This write, counted from the first, in two pieces.
    Once {
        index: usize,
        at: usize,
    },
}

/// Plays the whole of it.
///
/// # Errors
/// The line at which the dialogue went another way, and what was there instead.
pub fn play(script: &Script, cut: Cut) -> Result<(), String> {
    let mut player = Player {
        rig: Rig::new(configured(script)?, script.verdicts.clone()),
        cut,
        hello: if script.settings.iter().any(|pair| *pair == ("protocol".into(), "lmtp".into())) {
            "LHLO"
        } else {
            "EHLO"
        },
        writes: 0,
        message: None,
    };
    let held =
        |what: &str| script.settings.iter().any(|(name, value)| name == what && value == "held");
    player.rig.hold_tickets = held("tickets");
    player.rig.hold_logins = held("logins");
    player.rig.users.clone_from(&script.users);
    let mut steps = script.steps.iter().peekable();
    while let Some((line, step)) = steps.next() {
        let mut bytes = Vec::new();
        if let Some((client, first)) = step.said() {
            bytes.extend_from_slice(first);
            let same = |next: &&(usize, Step)| next.1.said().is_some_and(|(by, _)| by == client);
            while let Some((_, next)) = steps.next_if(same) {
                bytes.extend_from_slice(next.said().map_or(&[], |(_, more)| more));
            }
        }
        player.step(step, &bytes).map_err(|fault| format!("line {line}: {fault}"))?;
    }
    player.leftovers().map_or(Ok(()), |left| Err(format!("left over at the end: {left}")))
}

/// The settings that the transcript asks for.
pub fn configured(script: &Script) -> Result<Settings, String> {
    let mut settings = settings();
    let limits = &mut settings.limits;
    for (name, value) in &script.settings {
        let number = || value.parse::<usize>().map_err(|_| format!("{name}: not a number"));
        let small = || number().and_then(|it| u32::try_from(it).map_err(|_| name.clone()));
        match name.as_str() {
            "limits.line" => limits.line = number()?,
            "limits.content_line" => limits.content_line = number()?,
            "limits.size" => limits.size = number()? as u64,
            "limits.recipients" => limits.recipients = small()?,
            "limits.errors" => limits.errors = small()?,
            "limits.junk" => limits.junk = small()?,
            "limits.login_failures" => limits.login_failures = small()?,
            "limits.pipeline" => limits.pipeline = number()?,
            "limits.transactions" => limits.transactions = small()?,
            "may_relay" => settings.may_relay = value == "yes",
            "xforward" => settings.xforward = value == "yes",
            "offer" => {
                // LIMITS is always to be had; a transcript has it only where it is about it.
                let limits =
                    if value.contains("LIMITS") { vec![] } else { vec![Extension::Limits] };
                settings.offer = capabilities(value).offered_over().without(&limits);
            }
            "tls" if value == "up" => settings.tls = ClientTls::Up,
            "protocol" if value == "lmtp" => settings.protocol = Protocol::Lmtp,
            "xclient" => {
                let networks =
                    |text: &str| text.split(',').filter_map(|it| it.parse().ok()).collect();
                let (clients, xforward) = value.split_once(' ').unwrap_or((value, ""));
                let (clients, xforward) = (networks(clients), networks(xforward));
                settings.xclient = Some(Arc::new(Access { clients, xforward }));
            }
            "tell_client" if value == "xforward" => settings.tell_client = TellClient::Xforward,
            "tell_client" if value == "xclient" => settings.tell_client = TellClient::Xclient,
            "tls" if value == "offered" => settings.tls = ClientTls::Offered,
            "auth" if value == "local" => settings.auth = Auth::Local,
            "auth" if value == "relay" => settings.auth = Auth::Relay,
            "auth_required" => settings.auth_required = value == "yes",
            "logins" | "tickets" | "split" | "sockets" => {}
            _ => return Err(format!("no setting {name}")),
        }
    }
    Ok(settings)
}

struct Player {
    rig: Rig,
    cut: Cut,
    hello: &'static str,
    writes: usize,
    /// Of the last event that was named.
    message: Option<String>,
}

impl Player {
    fn step(&mut self, step: &Step, bytes: &[u8]) -> Result<(), String> {
        match step {
            Step::ClientSays(_) => {
                self.pieces(bytes, true).iter().for_each(|piece| self.rig.client(piece));
                self.writes += 1;
                Ok(())
            }
            Step::DownstreamSays(_) => {
                self.pieces(bytes, false).iter().for_each(|piece| self.rig.downstream(piece));
                self.writes += 1;
                Ok(())
            }
            Step::ClientHears(expected) => self.client_hears(expected),
            Step::Client(what) => self.client(what),
            Step::DownstreamReads(expected) => {
                let text = self.unread();
                check(text.starts_with(expected), || {
                    format!(
                        "the next hop was to read {:?}, it reads {}",
                        show(expected),
                        show(&text)
                    )
                })?;
                self.read(expected.len());
                Ok(())
            }
            Step::DownstreamHears(expected, needed) => self.downstream_hears(expected, *needed),
            Step::Downstream(what) => self.downstream(what),
            Step::Learn(expected) => self.event(expected, "learn"),
            Step::Finished(expected) => self.event(expected, "finished"),
            Step::Renamed(expected) => self.event(expected, "renamed"),
            Step::Untold(expected) => self.event(expected, "untold"),
            Step::Message(expected) => {
                let key = self.message.as_deref().unwrap_or("none");
                check(key == expected, || format!("the message is known by {key}"))
            }
            Step::Settled(address) => {
                check(self.rig.settle(address), || "nobody waits for that".into())
            }
            Step::Checked => check(self.rig.checked(), || "nobody logs in".into()),
            Step::TimeOver => {
                self.rig.expire();
                Ok(())
            }
            Step::Late(client) => {
                let whose =
                    if *client { Waiting::Client } else { Waiting::Downstream(Stage::Rcpt) };
                self.rig.expire_waiting(whose);
                Ok(())
            }
            Step::Drain => {
                self.rig.drain();
                Ok(())
            }
            Step::Waiting(expected) => {
                let waiting = waiting(self.rig.waiting());
                check(waiting == *expected, || format!("waiting for {waiting}"))
            }
        }
    }

    fn pieces(&self, bytes: &[u8], of_client: bool) -> Vec<Vec<u8>> {
        match self.cut {
            Cut::Bytes { client, downstream } if (if of_client { client } else { downstream }) => {
                bytes.chunks(1).map(<[u8]>::to_vec).collect()
            }
            Cut::Once { index, at } if index == self.writes => {
                let (head, tail) = bytes.split_at(at.min(bytes.len()));
                vec![head.to_vec(), tail.to_vec()]
            }
            Cut::None | Cut::Bytes { .. } | Cut::Once { .. } => vec![bytes.to_vec()],
        }
    }

    fn client_hears(&mut self, expected: &Line) -> Result<(), String> {
        let line = first_line(&self.rig.said);
        check(line.is_some_and(|line| expected.fits(line)), || {
            let rest = show(&self.rig.said);
            format!("the client was to read {:?}, it reads {rest}", show(&expected.bytes))
        })?;
        let used = line.map_or(0, |line| line.len() + 2);
        self.rig.said.drain(..used);
        Ok(())
    }

    fn client(&mut self, what: &Client) -> Result<(), String> {
        match what {
            Client::Hello => {
                self.rig.client(format!("{} client.test\r\n", self.hello).as_bytes());
                let said = String::from_utf8_lossy(&self.rig.said).into_owned();
                self.rig.said.clear();
                let fits = said.starts_with("220 ") && said.contains("\r\n250 ");
                check(fits, || format!("no greeting and EHLO reply: {said}"))
            }
            Client::Silent => {
                let silent = self.rig.said.is_empty() && !self.rig.closed;
                check(silent, || format!("the client reads {}", self.client_left()))
            }
            Client::Closed => {
                let closed = self.rig.said.is_empty() && self.rig.closed;
                check(closed, || format!("not closed; the client reads {}", self.client_left()))
            }
            Client::Fin => {
                self.rig.client_fin();
                Ok(())
            }
            Client::Reset => {
                self.rig.client_reset();
                Ok(())
            }
        }
    }

    fn client_left(&self) -> String {
        format!("{}{}", show(&self.rig.said), if self.rig.closed { " and the end" } else { "" })
    }

    fn downstream_hears(&mut self, expected: &Line, needed: Needed) -> Result<(), String> {
        let text = self.unread();
        let line = first_line(&text).filter(|line| expected.fits(line));
        let Some(length) = line.map(|line| line.len() + 2) else {
            return check(needed == Needed::No, || {
                let expected = show(&expected.bytes);
                format!("the next hop was to read {expected:?}, it reads {}", show(&text))
            });
        };
        self.read(length);
        Ok(())
    }

    /// What the next hop has not read, of all writes together.
    fn unread(&self) -> Vec<u8> {
        let writes = self.rig.hops.last().map(|hop| hop.writes.iter().flatten().copied().collect());
        writes.unwrap_or_default()
    }

    fn read(&mut self, mut length: usize) {
        let Some(hop) = self.rig.hops.last_mut() else { return };
        while let Some(write) = hop.writes.front_mut().filter(|_| length > 0) {
            let part = length.min(write.len());
            write.drain(..part);
            length -= part;
            if write.is_empty() {
                hop.writes.pop_front();
            }
        }
    }

    fn downstream(&mut self, what: &Downstream) -> Result<(), String> {
        let closed = self.rig.hops.last().and_then(|hop| hop.closed);
        let text = self.unread();
        let said = || format!("the next hop reads {}, {closed:?}", show(&text));
        match what {
            Downstream::Connected(words) => {
                check(self.rig.opening, || "nobody asked for a connection".into())?;
                self.rig.connect(capabilities(words));
                Ok(())
            }
            Downstream::Refused(reply) => {
                check(self.rig.opening, || "nobody asked for a connection".into())?;
                self.rig.cannot_connect(reply.clone());
                Ok(())
            }
            Downstream::Silent => check(text.is_empty() && !self.rig.opening, said),
            Downstream::OneWrite => {
                let writes = self.rig.hops.last().map_or(0, |hop| hop.writes.len());
                let cut = !matches!(self.cut, Cut::None);
                check(cut || writes == 1, || format!("{writes} writes: {}", show(&text)))
            }
            Downstream::Closed => check(text.is_empty() && closed.is_some(), said),
            Downstream::Quit => check(text.is_empty() && closed == Some(Farewell::Quit), said),
            Downstream::Kept => check(text.is_empty() && closed == Some(Farewell::Keep), said),
            Downstream::Aborted => {
                let ended = text.ends_with(b"\r\n.\r\n");
                check(closed == Some(Farewell::Abort) && !ended, said)?;
                self.read(text.len());
                Ok(())
            }
            Downstream::Fin => {
                self.rig.downstream_fin();
                Ok(())
            }
            Downstream::Stuck(stuck) => {
                self.rig.stuck = *stuck;
                Ok(())
            }
        }
    }

    /// The next event that counts; answers that teach nothing are passed over.
    fn event(&mut self, expected: &str, kind: &str) -> Result<(), String> {
        let named = self.next_event();
        check(named.as_deref() == Some(&format!("{kind} = {expected}")), || {
            format!("what came is: {}", named.unwrap_or_else(|| "nothing".into()))
        })
    }

    fn next_event(&mut self) -> Option<String> {
        while let Some(event) = self.rig.events.pop_front() {
            match event {
                Event::Answered(answer) if answer.ticket.is_some() => {
                    self.message.clone_from(&answer.envelope.message);
                    let (stage, code) = (answer.stage, answer.reply.code);
                    let whom = answer.recipient.to_string();
                    let whom = whom.trim_matches(['<', '>']);
                    return Some(format!("learn = {whom} {stage} {code} {}", answer.recipients));
                }
                Event::Answered(_) => {}
                Event::Renamed(client) => {
                    let shown = |text: &Option<Arc<str>>| text.as_deref().unwrap_or("-").to_owned();
                    let address = client.address_text();
                    let rest = [&client.name, &client.helo, &client.login].map(shown).join(" ");
                    return Some(format!("renamed = {address} {rest}"));
                }
                Event::Untold(reply) => return Some(format!("untold = {reply}")),
                Event::Finished(end) => {
                    self.message.clone_from(&end.envelope.message);
                    let whom: String = end.recipients.iter().map(|to| format!(" {to}")).collect();
                    let whom = whom.replace(['<', '>'], "");
                    let gone = if end.client_gone { " client_gone" } else { "" };
                    let what = outcome(end.outcome);
                    return Some(format!("finished = {what} {}{whom}{gone}", end.octets));
                }
            }
        }
        None
    }

    fn leftovers(&mut self) -> Option<String> {
        let (said, unread) = (show(&self.rig.said), show(&self.unread()));
        let event = self.next_event();
        let left = [
            (!self.rig.said.is_empty()).then(|| format!("the client reads {said}")),
            (!self.unread().is_empty()).then(|| format!("the next hop reads {unread}")),
            self.rig.opening.then(|| "a connection is asked for".to_owned()),
            event,
        ];
        left.into_iter().flatten().next()
    }
}

pub fn check(holds: bool, fault: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(fault()) }
}

fn first_line(bytes: &[u8]) -> Option<&[u8]> {
    let end = bytes.windows(2).position(|pair| pair == b"\r\n")?;
    bytes.get(..end)
}

pub fn show(bytes: &[u8]) -> String {
    let text = bytes.escape_ascii().to_string();
    if text.len() > 400 { format!("{}...", &text[..400]) } else { text }
}

const fn outcome(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Delivered => "delivered",
        Outcome::Refused => "refused",
        Outcome::Aborted => "aborted",
        Outcome::Unknown => "unknown",
    }
}

fn waiting(waiting: Waiting) -> String {
    match waiting {
        Waiting::Client => "client".into(),
        Waiting::Content => "content".into(),
        Waiting::Downstream(stage) => format!("downstream {stage}"),
        Waiting::Driver => "driver".into(),
        Waiting::Nothing => "nothing".into(),
    }
}
