//! Mail for several domains through the LMTP door, and straight to the server of each: every recipient must be told what its own
//! server says, in the order of the recipients, and each server must take the same.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use rcptgate::session::Protocol;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::model::{Model, Taken};
use super::{KEYWORDS, is_explained, last_lines};
use crate::dice::{Dice, from_environment};
use crate::harness::{Client, Downstream, Lab, Wish, by_domain};

const DOMAINS: [&str; 3] = ["a.test", "b.test", "c.test"];
const LOCALS: [&str; 7] = ["ok", "ok", "half", "moved", "no", "later", "full"];

/// What the servers are like.
#[derive(Clone, Copy, Debug)]
struct Kind {
    protocol: Protocol,
    enhanced: bool,
    keywords: &'static str,
}

impl Kind {
    fn new(dice: &mut Dice) -> Self {
        let protocol = if dice.one_in(2) { Protocol::Lmtp } else { Protocol::Smtp };
        Self { protocol, enhanced: dice.one_in(2), keywords: dice.pick(&KEYWORDS) }
    }

    fn model(self) -> Model {
        let mut model = Model::new(self.enhanced, self.keywords);
        model.lmtp = self.protocol == Protocol::Lmtp;
        model
    }
}

#[derive(Clone, Debug)]
struct Message {
    mail: String,
    recipients: Vec<(&'static str, String)>,
    content: String,
}

fn message(dice: &mut Dice) -> Message {
    let sender = if dice.one_in(8) { "nodata" } else { "s" };
    let recipients = (0..1 + dice.below(6)).map(|_| {
        let domain = dice.pick(&DOMAINS);
        let (local, number) = (dice.pick(&LOCALS), dice.below(1 << 20));
        (domain, format!("RCPT TO:<{local}.{number:x}@{domain}>"))
    });
    let recipients = recipients.collect();
    let verdict = dice.pick(&["never", "later", "goodbye", "yes", "yes", "yes", "yes"]);
    let line = dice.pick(&["..", "text", "", "..x", "RCPT TO:<evil@a.test>"]);
    Message {
        mail: format!("MAIL FROM:<{sender}@x.test>"),
        recipients,
        content: format!("Verdict: {verdict}\r\n\r\n{line}\r\n.\r\n"),
    }
}

/// Said by nobody: the server was lost before it.
const LOST: &str = "421 rcptgate: lost";

/// What the servers say to a message, each for its own recipients.
struct Straight {
    /// In the order of the recipients.
    to_recipients: Vec<String>,
    /// To the accepted ones: what ended it, be it DATA or the content.
    ends: Vec<(&'static str, String)>,
    /// Domains that take content.
    takers: usize,
}

fn straight(message: &Message, models: &mut [Model; 3]) -> Straight {
    let (mut to_recipients, mut ends) = (BTreeMap::new(), BTreeMap::new());
    let mut takers = 0;
    for (domain, model) in DOMAINS.iter().zip(models) {
        let (each, mut own_ends) = (model.lmtp, false);
        let mut say = |line: &str| last_lines(&model.step(format!("{line}\r\n").as_bytes()));
        let own = message.recipients.iter().enumerate().filter(|(_, (of, _))| of == domain);
        let _ = say(&message.mail);
        let mut accepted = Vec::new();
        for (index, (_, line)) in own {
            let reply = say(line).concat();
            if reply.starts_with('2') {
                accepted.push(index);
            }
            to_recipients.insert(index, reply);
        }
        let mut replies = if accepted.is_empty() { Vec::new() } else { say("DATA") };
        if replies.first().is_some_and(|reply| reply.starts_with("354")) {
            (takers, own_ends) = (takers + 1, each);
            replies = say(message.content.strip_suffix("\r\n").expect("an end"));
        }
        for (place, index) in accepted.into_iter().enumerate() {
            let end = if own_ends { replies.get(place) } else { replies.first() };
            ends.insert(index, (*domain, end.map_or_else(|| LOST.to_owned(), Clone::clone)));
        }
        let _ = say("RSET");
    }
    let to_recipients = to_recipients.into_values().collect();
    Straight { to_recipients, ends: ends.into_values().collect(), takers }
}

/// A server for each connection that comes; what they take.
async fn serve(
    kind: Kind,
    tasks: &mut JoinSet<()>,
) -> (std::net::SocketAddr, Arc<Mutex<Vec<Taken>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let taken = Arc::<Mutex<Vec<Taken>>>::default();
    let all = Arc::clone(&taken);
    tasks.spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            let all = Arc::clone(&all);
            connections.spawn(async move {
                let mut model = kind.model();
                let _ = stream.write_all(Model::GREETING.as_bytes()).await;
                let mut buffer = [0; 4096];
                while let Ok(read @ 1..) = stream.read(&mut buffer).await {
                    let reply = model.step(buffer.get(..read).unwrap_or_default());
                    all.lock().expect("a list").append(&mut model.taken);
                    let _ = stream.write_all(reply.as_bytes()).await;
                }
            });
        }
    });
    (address, taken)
}

async fn compare(seed: u64) {
    let mut dice = Dice::new(seed);
    let kind = Kind::new(&mut dice);
    let mut models = [(); 3].map(|()| kind.model());
    let (mut tasks, mut servers) = (JoinSet::new(), Vec::new());
    for domain in DOMAINS {
        let (address, taken) = serve(kind, &mut tasks).await;
        servers.push((domain, address, taken));
    }
    let routes: Vec<_> = servers.iter().map(|(domain, address, _)| (*domain, *address)).collect();
    let routes = by_domain(kind.protocol, &routes);
    let wish = Wish { protocol: Protocol::Lmtp, routes, ..Wish::default() };
    let nobody = Downstream::at("127.0.0.1:9".parse().expect("an address"));
    let lab = Lab::with(nobody, wish).await;
    let mut client = Client::connect(lab.door).await;
    client.expect("220").await;
    client.ask("LHLO client.test", "250").await;
    for _ in 0..1 + dice.below(4) {
        let message = message(&mut dice);
        let context = format!("seed {seed}, {kind:?}: {message:#?}");
        let wanted = straight(&message, &mut models);
        passes(&mut client, &message, &wanted, &context).await;
    }
    for (model, (domain, _, taken)) in models.iter().zip(servers) {
        assert_eq!(*taken.lock().expect("a list"), model.taken, "seed {seed}: {domain}");
    }
}

/// One message through the gate: one reply for each command, and for each recipient that of its own server.
async fn passes(client: &mut Client, message: &Message, wanted: &Straight, context: &str) {
    let lines: Vec<_> = message.recipients.iter().map(|(_, line)| line.as_str()).collect();
    client.send(&format!("{}\n{}\nDATA", message.mail, lines.join("\n"))).await;
    client.expect("250 2.1.0 rcptgate:").await;
    for (line, server) in lines.iter().zip(&wanted.to_recipients) {
        let gate = client.reply().await;
        assert!(is_explained(line, server, &gate), "{line}: {server:?} but {gate:?}\n{context}");
    }
    let data = client.reply().await;
    let domains: BTreeSet<_> = wanted.ends.iter().map(|(domain, _)| domain).collect();
    if data.starts_with("354") {
        assert!(wanted.takers > 0 || domains.len() > 1, "content for nobody\n{context}");
        client.raw(message.content.as_bytes()).await;
        for (domain, server) in &wanted.ends {
            let gate = client.reply().await;
            let lost = server == LOST && gate.starts_with("451 4.4.2 rcptgate:");
            let explained = lost || is_explained(".", server, &gate);
            assert!(explained, "{domain}: {server:?} but {gate:?}\n{context}");
        }
    } else {
        assert_eq!(wanted.takers, 0, "{data}\n{context}");
        let server = wanted.ends.first().map_or("503 nobody", |(_, end)| end);
        let own = wanted.ends.is_empty() && data.starts_with("503 5.5.1 rcptgate:");
        assert!(own || is_explained("DATA", server, &data), "{server:?} but {data:?}\n{context}");
    }
    // Nothing is left over.
    client.ask("RSET", "250 2.0.0 rcptgate: ok").await;
}

#[tokio::test]
async fn each_recipient_is_told_what_its_own_server_says() {
    let start = from_environment("RCPTGATE_SEED", 1);
    for seed in start..start + from_environment("RCPTGATE_RUNS", 4000) / 80 {
        compare(seed).await;
    }
}
