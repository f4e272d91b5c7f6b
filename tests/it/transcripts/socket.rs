//! Playing a transcript on the real gate: sockets, driver, journal and store. What only the pure session can show is passed over
//! here: what it waits for, and tickets. What only the whole gate can show is looked at in the end: how messages ended, by what
//! key they are known, and every address that the store knows.

use std::collections::BTreeMap;

use rcptgate::bounce::Stage;
use rcptgate::event::{Act, Context, Tenant, What};
use rcptgate::gate::{About, Draft};
use rcptgate::policy::verdict::Verdict;
use rcptgate::session::Protocol;
use rcptgate::smtp::address::RecipientKey;
use rcptgate::smtp::extensions::Extension;
use rcptgate::smtp::reply::Reply;
use rcptgate::time::Timestamp;
use tokio::net::TcpListener;

use super::play::{check, configured, show};
use super::script::{Client, Downstream, Line, Needed, Script, Step};
use crate::harness::{self, Lab, Wish};
use crate::live::{self, Clock, Peer};

/// Why this transcript cannot be played on sockets, if it cannot.
pub fn impossible(script: &Script) -> Option<&'static str> {
    let set = |name: &str| script.settings.iter().any(|(set, _)| set == name);
    let step = |which: fn(&Step) -> bool| script.steps.iter().any(|(_, step)| which(step));
    if set("sockets") {
        Some("it says why itself")
    } else if step(|step| matches!(step, Step::Downstream(Downstream::Stuck(_)))) {
        Some("which bytes the kernel holds back is not ours to say")
    } else if step(|step| matches!(step, Step::Late(_))) {
        Some("no test can make a deadline and bytes fall into one instant")
    } else if set("tickets") {
        Some("the disk is not ours to hold up")
    } else if set("tls") {
        Some("the handshake is played by tls.rs")
    } else {
        None
    }
}

/// Plays the whole of it.
///
/// # Errors
/// The line at which the dialogue went another way, and what was there instead.
pub fn play(script: &Script) -> Result<(), String> {
    live::run(async |clock| {
        let mut player = Player::new(script, clock).await?;
        let mut steps = script.steps.iter().peekable();
        while let Some((line, step)) = steps.next() {
            let mut bytes = Vec::new();
            if let Some((client, first)) = step.said() {
                bytes.extend_from_slice(first);
                let same =
                    |next: &&(usize, Step)| next.1.said().is_some_and(|(by, _)| by == client);
                while let Some((_, next)) = steps.next_if(same) {
                    bytes.extend_from_slice(next.said().map_or(&[], |(_, more)| more));
                }
            }
            player.step(step, &bytes).await.map_err(|fault| format!("line {line}: {fault}"))?;
        }
        player.leftovers().await?;
        player.aftermath().await
    })
}

/// What the next hops of a transcript speak, all of them.
fn next_hop(script: &Script) -> Protocol {
    let lmtp = |(_, step): &(usize, Step)| matches!(step, Step::Downstream(Downstream::Connected(words)) if words.contains("lmtp"));
    if script.steps.iter().any(lmtp) { Protocol::Lmtp } else { Protocol::Smtp }
}

struct Player<'a> {
    script: &'a Script,
    clock: &'a Clock,
    hello: &'static str,
    /// What the next hop hears first.
    hello_there: &'static str,
    lab: Lab,
    listener: TcpListener,
    /// `None` once it has broken the connection.
    client: Option<Peer>,
    hop: Option<Peer>,
    /// Earlier connections to the next hop, still open on its side.
    left: Vec<Peer>,
    /// Lines that the next hop may read, or not.
    optional: Vec<Line>,
    finished: BTreeMap<String, u64>,
    /// Whose event was named last, and the keys that messages must be known by.
    named: Option<String>,
    messages: Vec<(String, String)>,
}

/// Who the gate takes the client for: the PROXY header says so.
const HEADER: &[u8] = b"PROXY TCP4 192.0.2.1 127.0.0.1 4711 25\r\n";

impl<'a> Player<'a> {
    async fn new(script: &'a Script, clock: &'a Clock) -> Result<Self, String> {
        let settings = configured(script)?;
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let of =
            |yes: bool| if yes { vec!["192.0.2.1/32".parse().expect("a net")] } else { vec![] };
        let (mut clients, mut xforward) = (of(settings.may_relay), of(settings.xforward));
        if let Some(access) = &settings.xclient {
            clients.extend(&access.clients);
            xforward.extend(&access.xforward);
        }
        let wish = Wish {
            limits: settings.limits,
            clients: Some(clients),
            xforward: Some(xforward),
            xclient: of(settings.xclient.is_some()),
            tell_client: settings.tell_client,
            proxies: vec!["127.0.0.0/8".parse().expect("a net")],
            protocol: settings.protocol,
            next_hop: next_hop(script),
            // As in the rig: LIMITS is there only where a transcript is about it.
            withhold: if settings.offer.limits.is_some() {
                vec![]
            } else {
                vec![Extension::Limits]
            },
            ..Wish::default()
        };
        let address = listener.local_addr().expect("an address");
        let lab = Lab::with(harness::Downstream::at(address), wish).await;
        for (address, verdict) in &script.verdicts {
            suppress(&lab, address, verdict).await;
        }
        let mut player = Self {
            script,
            clock,
            hello: match settings.protocol {
                Protocol::Smtp => "EHLO",
                Protocol::Lmtp => "LHLO",
            },
            hello_there: match next_hop(script) {
                Protocol::Smtp => "EHLO gate.test",
                Protocol::Lmtp => "LHLO gate.test",
            },
            client: None,
            lab,
            listener,
            hop: None,
            left: Vec::new(),
            optional: Vec::new(),
            finished: BTreeMap::new(),
            named: None,
            messages: Vec::new(),
        };
        if settings.may_relay {
            player.show_capabilities().await?;
        }
        player.client = Some(player.call().await);
        Ok(player)
    }

    async fn call(&self) -> Peer {
        let mut client = Peer::connect(self.lab.door).await;
        client.say(HEADER, self.clock).await;
        client
    }

    /// A session that ends before any message: from here on the gate offers what the transcript expects it to.
    async fn show_capabilities(&mut self) -> Result<(), String> {
        let offer = self.script.settings.iter().find(|(name, _)| name == "offer");
        let words = offer.map_or("DSN 8BITMIME SMTPUTF8 SIZE", |(_, words)| words);
        let mut client = self.call().await;
        let hello = format!(
            "{} first.test\r\nMAIL FROM:<s@x.test>\r\nRCPT TO:<first@z.test>\r\n",
            self.hello
        );
        client.say(hello.as_bytes(), self.clock).await;
        self.connected(words).await?;
        self.hop = None;
        client.half_close(self.clock).await;
        check(client.end(self.clock).await, || "the first session does not end".into())?;
        Ok(())
    }

    async fn step(&mut self, step: &Step, bytes: &[u8]) -> Result<(), String> {
        match step {
            Step::ClientSays(_) => {
                if let Some(client) = &mut self.client {
                    client.say(bytes, self.clock).await;
                }
                Ok(())
            }
            Step::DownstreamSays(_) => {
                let hop = self.hop.as_mut().ok_or("nobody is connected")?;
                hop.say(bytes, self.clock).await;
                Ok(())
            }
            Step::ClientHears(expected) => self.client_hears(expected).await,
            Step::Client(what) => self.client(what).await,
            Step::DownstreamReads(expected) => {
                let hop = self.hop.as_mut().ok_or("nobody is connected")?;
                let read = hop.bytes(expected.len(), self.clock).await;
                check(read == *expected, || {
                    format!(
                        "the next hop was to read {:?}, it reads {:?}",
                        show(expected),
                        show(&read)
                    )
                })
            }
            Step::DownstreamHears(expected, Needed::No) => {
                self.optional.push(expected.clone());
                Ok(())
            }
            Step::DownstreamHears(expected, Needed::Yes) => self.downstream_hears(expected).await,
            Step::Downstream(what) => self.downstream(what).await,
            Step::Finished(expected) => {
                let outcome = expected.split(' ').next().unwrap_or_default();
                *self.finished.entry(outcome.into()).or_default() += 1;
                if expected.ends_with(" client_gone") && outcome == "delivered" {
                    *self.finished.entry("gone".into()).or_default() += 1;
                }
                self.named = expected.split(' ').nth(2).map(str::to_owned);
                Ok(())
            }
            Step::Learn(expected) => {
                self.named = expected.split(' ').next().map(str::to_owned);
                Ok(())
            }
            Step::Message(key) => {
                let whom = self.named.clone().ok_or("no event was named")?;
                self.messages.push((whom, key.clone()));
                Ok(())
            }
            Step::TimeOver => {
                self.clock.rest().await;
                self.clock.hurry();
                Ok(())
            }
            Step::Drain => {
                self.lab.drain.cancel();
                self.clock.rest().await;
                Ok(())
            }
            // What a session waits for is not seen from outside, and the disk is waited for as long as it takes.
            Step::Waiting(_) | Step::Settled(_) | Step::Renamed(_) | Step::Untold(_) => Ok(()),
            Step::Late(_) | Step::Checked => Err("cannot be played on sockets".into()),
        }
    }

    /// One that broke its connection hears nothing more.
    async fn client_hears(&mut self, expected: &Line) -> Result<(), String> {
        let Some(client) = self.client.as_mut() else { return Ok(()) };
        let line = client.line(self.clock).await;
        let fits = line.as_deref().is_some_and(|line| self.fits(expected, line));
        check(fits, || {
            let was = line.map_or_else(|| "the end".to_owned(), |line| show(&line));
            format!("the client was to read {:?}, it reads {was:?}", show(&expected.bytes))
        })
    }

    /// The real gate names reason, date and id where the transcript has a verdict; code and status are the same.
    fn fits(&self, expected: &Line, line: &[u8]) -> bool {
        let verdict = self.script.verdicts.values().find_map(|verdict| match verdict {
            Verdict::Refuse(reply) | Verdict::Defer(reply) => {
                (reply.to_string().as_bytes() == expected.bytes).then(|| reply.to_string())
            }
            Verdict::Forward => None,
        });
        match verdict.and_then(|text| text.get(..19).map(str::to_owned)) {
            // Up to "rcptgate:".
            Some(start) => line.starts_with(start.as_bytes()),
            None => expected.fits(line),
        }
    }

    async fn client(&mut self, what: &Client) -> Result<(), String> {
        let clock = self.clock;
        let Some(client) = self.client.as_mut() else { return Ok(()) };
        match what {
            Client::Hello => {
                client.say(format!("{} client.test\r\n", self.hello).as_bytes(), clock).await;
                let (greeting, hello) = (client.reply(clock).await, client.reply(clock).await);
                let fits = greeting.starts_with("220 ") && hello.contains("\n250 ");
                check(fits, || format!("no greeting and EHLO reply: {greeting}, {hello}"))
            }
            Client::Silent => {
                client.look(clock).await;
                let silent = client.input.is_empty() && !client.ended;
                check(silent, || format!("the client reads {}", show(&client.input)))
            }
            Client::Closed => {
                let closed = client.end(clock).await && client.input.is_empty();
                check(closed, || format!("not closed; the client reads {}", show(&client.input)))
            }
            Client::Fin => {
                client.half_close(clock).await;
                Ok(())
            }
            Client::Reset => {
                if let Some(client) = self.client.take() {
                    client.reset(clock).await;
                }
                Ok(())
            }
        }
    }

    async fn downstream_hears(&mut self, expected: &Line) -> Result<(), String> {
        let hop = self.hop.as_mut().ok_or("nobody is connected")?;
        loop {
            let line = hop.line(self.clock).await;
            let fits = |of: &Line| line.as_deref().is_some_and(|line| of.fits(line));
            if fits(expected) {
                self.optional.clear();
                return Ok(());
            }
            if let Some(at) = self.optional.iter().position(fits) {
                self.optional.drain(..=at);
                continue;
            }
            let was = line.map_or_else(|| "the end".to_owned(), |line| show(&line));
            let expected = show(&expected.bytes);
            return Err(format!("the next hop was to read {expected:?}, it reads {was:?}"));
        }
    }

    async fn connected(&mut self, words: &str) -> Result<(), String> {
        let mut hop = live::accept(&self.listener, self.clock).await.ok_or("no connection")?;
        hop.say(b"220 mx.test ESMTP\r\n", self.clock).await;
        let hello = hop.line(self.clock).await.unwrap_or_default();
        check(hello == self.hello_there.as_bytes(), || format!("no hello: {}", show(&hello)))?;
        let words = words.split_ascii_whitespace().filter(|word| *word != "lmtp");
        let words = words.map(|word| word.replacen('=', " ", 1).replace(',', " "));
        let words: Vec<_> = ["mx.test".to_owned()].into_iter().chain(words).collect();
        let text = format!("250-{}\r\n", words.join("\r\n250-"));
        let last = text.rfind("250-").unwrap_or_default();
        let text = format!("{}250 {}", &text[..last], &text[last + 4..]);
        hop.say(text.as_bytes(), self.clock).await;
        self.left.extend(self.hop.replace(hop));
        Ok(())
    }

    async fn downstream(&mut self, what: &Downstream) -> Result<(), String> {
        let clock = self.clock;
        match what {
            Downstream::Connected(words) => return self.connected(words).await,
            Downstream::Refused(_) => {
                let hop = live::accept(&self.listener, clock).await.ok_or("no connection")?;
                drop(hop);
                clock.rest().await;
                return Ok(());
            }
            Downstream::Silent => {
                let called = live::accept_now(&self.listener, clock).await.is_some();
                check(!called, || "a connection is asked for".into())?;
            }
            Downstream::OneWrite
            | Downstream::Closed
            | Downstream::Quit
            | Downstream::Kept
            | Downstream::Aborted
            | Downstream::Fin
            | Downstream::Stuck(_) => {}
        }
        let Some(hop) = self.hop.as_mut() else { return Ok(()) };
        match what {
            Downstream::Silent => {
                hop.look(clock).await;
                check(hop.input.is_empty(), || format!("it reads {}", show(&hop.input)))
            }
            // Nobody else is served here: what may be kept is left politely.
            Downstream::Quit | Downstream::Kept => {
                let line = hop.line(clock).await;
                let quit = line.as_deref() == Some(b"QUIT");
                check(quit, || format!("no QUIT but {:?}", line.as_deref().map(show)))?;
                check(hop.input.is_empty(), || "something behind QUIT".into())?;
                self.hop = None;
                Ok(())
            }
            Downstream::Aborted => {
                let ended = hop.end(clock).await;
                let whole = hop.input.ends_with(b"\r\n.\r\n") || hop.input.ends_with(b"QUIT\r\n");
                let left = std::mem::take(&mut hop.input);
                check(ended && !whole, || format!("not broken off: {}", show(&left)))
            }
            Downstream::Closed => {
                let ended = hop.end(clock).await;
                let left = std::mem::take(&mut hop.input);
                let clean = left.is_empty() || left == b"QUIT\r\n";
                check(ended && clean, || format!("not closed: {}", show(&left)))
            }
            Downstream::Fin => {
                hop.half_close(clock).await;
                Ok(())
            }
            // Writes are not told apart on a stream.
            Downstream::OneWrite
            | Downstream::Connected(_)
            | Downstream::Refused(_)
            | Downstream::Stuck(_) => Ok(()),
        }
    }

    async fn leftovers(&mut self) -> Result<(), String> {
        if let Some(client) = &mut self.client {
            client.look(self.clock).await;
            check(client.input.is_empty(), || {
                format!("left over at the end: the client reads {}", show(&client.input))
            })?;
        }
        if let Some(hop) = &mut self.hop {
            hop.look(self.clock).await;
            check(hop.input.is_empty(), || {
                format!("left over at the end: the next hop reads {}", show(&hop.input))
            })?;
        }
        let called = live::accept_now(&self.listener, self.clock).await.is_some();
        check(!called, || "left over at the end: a connection is asked for".into())
    }

    /// What the whole gate remembers.
    async fn aftermath(&self) -> Result<(), String> {
        // The writer works in order: when this is on disk, so is all that went before.
        suppress(&self.lab, MARK, &Verdict::Forward).await;
        let text = self.lab.metrics.text();
        let figure = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            line.map_or(0, |rest| rest.trim().parse().unwrap_or_default())
        };
        for outcome in ["delivered", "refused", "aborted", "unknown", "gone"] {
            let count: u64 = match outcome {
                "gone" => figure("rcptgate_accepted_client_gone_total "),
                _ => figure(&format!("rcptgate_message_total{{kind=\"{outcome}\"}} ")),
            };
            let named = self.finished.get(outcome).copied().unwrap_or_default();
            check(count == named, || format!("{count} messages {outcome}, {named} are named"))?;
        }
        for (whom, key) in &self.messages {
            let known = self.message_keys(whom);
            check(known.contains(key), || format!("messages to {whom} are known by {known:?}"))?;
        }
        let known = self.standings();
        let named: BTreeMap<_, _> = self.script.standings.iter().cloned().collect();
        check(known == named, || format!("the store knows {known:?}"))
    }

    fn message_keys(&self, whom: &str) -> Vec<String> {
        let key = RecipientKey::parse(whom).expect("an address");
        let events = self.lab.gate.history(&key).expect("the journal");
        let replies = events.into_iter().filter_map(|(_, event)| {
            if let What::Reply(evidence) = event.what { Some(evidence) } else { None }
        });
        let keys = replies.map(|evidence| evidence.context.message);
        keys.map(|key| key.unwrap_or_else(|| "none".into())).collect()
    }

    /// Every address that the store knows and the transcript did not suppress.
    fn standings(&self) -> BTreeMap<String, String> {
        let records = self.lab.gate.scan(None).expect("the store");
        let records = records.map(|record| record.expect("a record"));
        let ours = |whom: &str| whom != MARK && !self.script.verdicts.contains_key(whom);
        let told = records.filter_map(|(key, record)| {
            let decision = self.lab.gate.consider(&key, &Tenant::default(), Timestamp::now());
            let mut text = decision.standing.name().to_owned();
            let open = record.episodes.iter().filter(|episode| !episode.counted).count();
            let open = u32::try_from(open).unwrap_or(u32::MAX);
            let counts = [("hard", record.hard.count), ("soft", record.soft.count), ("open", open)];
            for (name, count) in counts.into_iter().filter(|(_, count)| *count > 0) {
                text.push_str(&format!(" {name} {count}"));
            }
            Some((key.as_str().to_owned(), text)).filter(|(whom, _)| ours(whom))
        });
        told.collect()
    }
}

/// An address that nothing else is about.
const MARK: &str = "mark@mark.test";

/// Has the store say this of the address: for good as an operator would, for now as a week's quarantine that is nearly over.
async fn suppress(lab: &Lab, address: &str, verdict: &Verdict) {
    let (now, tenant) = (Timestamp::now(), Tenant::default());
    let address = RecipientKey::parse(address).expect("an address");
    let act = Act { reason: "test".into(), ..Act::default() };
    let what = match verdict {
        Verdict::Forward => What::Allow { act },
        Verdict::Refuse(_) => What::Quarantine { until: None, act },
        Verdict::Defer(_) => {
            let about = About { address, tenant, context: Context::default() };
            let then = Timestamp::from_millis(now.as_millis() - (WEEK_MILLIS - 3_600_000));
            let full = Reply::from_text("552 5.2.2 mailbox full").expect("a reply");
            let learning = lab.gate.refused(&about, Stage::Rcpt, &full, 1, then);
            learning.durable.expect("an event").await.expect("on disk");
            return;
        }
    };
    lab.gate.learn(Draft { at: now, address, tenant, what }).await.expect("on disk");
}

const WEEK_MILLIS: i64 = 7 * 24 * 3_600_000;
