//! The same dialogue straight to an honest server and through the gate: the client must read the same but for what the gate
//! says in its own name, and the server must take the same messages. Finds what nobody thought of.
//!
//! `RCPTGATE_SEED=7 RCPTGATE_RUNS=1000000 cargo test --test it differential::` runs for long, from another start.

mod model;
mod split;

use std::collections::HashMap;

use model::{Model, SUPPRESSED, Taken};
use rcptgate::policy::verdict::Verdict;
use rcptgate::smtp::reply::Reply;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::dice::{Dice, from_environment};
use crate::harness::{Client, Downstream, Lab, Wish};
use crate::rig::{Rig, capabilities, settings};

/// A group of commands in one write; one that ends with DATA is followed by content if there is a go-ahead.
#[derive(Clone, Debug)]
struct Group {
    commands: Vec<String>,
    content: String,
}

/// A dialogue, and what the server is like.
#[derive(Clone, Debug)]
struct Dialogue {
    groups: Vec<Group>,
    enhanced: bool,
    keywords: &'static str,
}

const KEYWORDS: [&str; 4] =
    ["PIPELINING 8BITMIME SIZE=10000", "8BITMIME", "PIPELINING ENHANCEDSTATUSCODES 8BITMIME", ""];

/// What a client may say; `#` stands for a number of its own.
const COMMANDS: [&str; 26] = [
    "MAIL FROM:<s#@x.test>",
    "MAIL FROM:<s#@x.test>",
    "mail from:<s#@x.test>",
    "MAIL FROM:<>",
    "MAIL FROM:<nodata@x.test>",
    "RCPT TO:<ok.#@y.test>",
    "RCPT TO:<ok.#@y.test>",
    "RCPT TO:<ok.#@y.test>",
    "rcpt to:<OK.#@y.test>",
    "RCPT TO:<moved.#@y.test>",
    "RCPT TO:<no.#@y.test>",
    "RCPT TO:<later.#@y.test>",
    "RCPT TO:<full.#@y.test>",
    "RCPT TO:<r1@gone.test>",
    "RCPT TO:<r2@gone.test>",
    "RSET",
    "NOOP",
    "VRFY someone",
    "EHLO again.test",
    "FROB",
    "MAIL FORM:<a@x.test>",
    "RCPT TO:<a@b@y.test>",
    "RCPT TO:<>",
    "RSET now",
    "DATA",
    "DATA",
];

/// Those that have a good form.
const RECIPIENTS: &[&str] = COMMANDS.split_at(15).0.split_at(5).1;

impl Dialogue {
    fn new(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let groups = (0..1 + dice.below(8)).map(|_| group(&mut dice, seed)).collect();
        Self { groups, enhanced: dice.one_in(2), keywords: dice.pick(&KEYWORDS) }
    }
}

fn group(dice: &mut Dice, seed: u64) -> Group {
    let mut commands = Vec::new();
    // Half of them are what a client with mail would say.
    if dice.one_in(2) {
        commands.push("MAIL FROM:<s@x.test>".to_owned());
        for _ in 0..dice.below(5) {
            commands.push(dice.pick(RECIPIENTS).to_owned());
        }
        commands.push("DATA".to_owned());
    } else {
        for _ in 0..1 + dice.below(5) {
            commands.push(dice.pick(&COMMANDS).to_owned());
            // Nothing may follow DATA before its reply.
            if commands.last().is_some_and(|last| last == "DATA") {
                break;
            }
        }
    }
    for command in &mut commands {
        *command = command.replace('#', &format!("{seed:x}-{:x}", dice.below(1 << 20)));
    }
    let verdict = dice.pick(&["never", "later", "goodbye", "yes", "yes", "yes", "yes"]);
    let lines = ["..", "..x", ".hidden", "text", "", "\u{e9}", "MAIL FROM:<evil@x.test>", "...."];
    let mut content = format!("Verdict: {verdict}\r\n\r\n");
    for _ in 0..dice.below(8) {
        content.push_str(dice.pick(&lines));
        content.push_str("\r\n");
    }
    content.push_str(".\r\n");
    Group { commands, content }
}

/// What was said and what came back.
type Exchange = Vec<(String, String)>;

/// Straight to the server.
fn straight(dialogue: &Dialogue) -> (Exchange, Vec<Taken>) {
    let mut model = Model::new(dialogue.enhanced, dialogue.keywords);
    let exchange = talk(dialogue, &mut |bytes| last_lines(&model.step(bytes)));
    (exchange, model.taken)
}

/// Through the gate, without sockets.
fn gated(dialogue: &Dialogue, seed: u64) -> (Exchange, Vec<Taken>) {
    let mut dice = Dice::new(seed ^ 0x5eed);
    let no = || Reply::from_text("550 5.7.1 rcptgate: no").expect("a reply");
    let refused = ["r1@gone.test", "r2@gone.test"].map(|to| (to.to_owned(), Verdict::Refuse(no())));
    let mut settings = settings();
    (settings.limits.errors, settings.limits.junk) = (10_000, 10_000);
    let mut rig = Rig::new(settings, HashMap::from(refused));
    let mut models: Vec<Model> = Vec::new();
    let _ = rig.replies();
    let exchange = talk(dialogue, &mut |bytes| {
        for piece in dice.pieces(bytes) {
            rig.client(&piece);
            serve(&mut rig, &mut models, dialogue, &mut dice);
        }
        rig.replies()
    });
    (exchange, models.into_iter().flat_map(|model| model.taken).collect())
}

fn serve(rig: &mut Rig, models: &mut Vec<Model>, dialogue: &Dialogue, dice: &mut Dice) {
    loop {
        if rig.opening {
            models.push(Model::new(dialogue.enhanced, dialogue.keywords));
            rig.connect(capabilities(dialogue.keywords));
        }
        let hop = rig.hops.last_mut();
        let Some(bytes) = hop.and_then(|hop| hop.writes.pop_front()) else { break };
        let reply = models.last_mut().expect("a server").step(&bytes);
        dice.pieces(reply.as_bytes()).iter().for_each(|piece| rig.downstream(piece));
    }
}

/// Has the dialogue with somebody; as long as it gets one reply per command.
fn talk(dialogue: &Dialogue, say: &mut dyn FnMut(&[u8]) -> Vec<String>) -> Exchange {
    let mut exchange = vec![("EHLO".to_owned(), say(b"EHLO client.test\r\n").join("\n"))];
    for group in &dialogue.groups {
        let replies = say(format!("{}\r\n", group.commands.join("\r\n")).as_bytes());
        assert_eq!(replies.len(), group.commands.len(), "{:?}: {replies:?}", group.commands);
        let go_ahead = replies.last().is_some_and(|last| last.starts_with("354"));
        exchange.extend(group.commands.iter().cloned().zip(replies));
        if go_ahead {
            let replies = say(group.content.as_bytes());
            assert_eq!(replies.len(), 1, "{replies:?}");
            exchange.push((".".to_owned(), replies.join("\n")));
        }
    }
    exchange
}

fn last_lines(said: &str) -> Vec<String> {
    let last = |line: &&str| line.get(3..4) != Some("-");
    said.split_terminator("\r\n").filter(last).map(str::to_owned).collect()
}

/// Whether the client may read one where the server says the other: the gate's own catalogue, and nothing else.
fn is_explained(command: &str, server: &str, gate: &str) -> bool {
    let code = |reply: &str| reply.get(..3).unwrap_or_default().to_owned();
    // What follows code and enhanced status.
    let text = |reply: &str| {
        let rest = reply.get(4..).unwrap_or_default();
        let status = rest.split(' ').next().unwrap_or_default();
        let has_status = status.split('.').count() == 3 && status.len() < 8;
        if has_status {
            rest.get(status.len() + 1..).unwrap_or_default().to_owned()
        } else {
            rest.to_owned()
        }
    };
    let class = |reply: &str| reply.get(..1).map(str::to_owned);
    let own = text(gate).starts_with("rcptgate:");
    let verb = command.split(' ').next().unwrap_or_default().to_ascii_uppercase();
    match verb.as_str() {
        _ if gate == server => true,
        "EHLO" => code(gate) == "250",
        // The gate answers these itself.
        "MAIL" | "RSET" | "NOOP" | "VRFY" | "QUIT" if own => class(gate) == class(server),
        _ if command.ends_with(SUPPRESSED) && own => class(gate) == class(server),
        // Its own syntax and its own state: the class is the same.
        _ if own && gate.starts_with('5') => class(gate) == class(server),
        _ if code(server) == "421" => code(gate) == "451" && text(gate) == text(server),
        // An enhanced status was added.
        _ => code(gate) == code(server) && text(gate) == text(server),
    }
}

fn compare(
    seed: u64,
    dialogue: &Dialogue,
    (said, taken): &(Exchange, Vec<Taken>),
    (heard, passed): &(Exchange, Vec<Taken>),
) {
    for ((command, server), (again, gate)) in said.iter().zip(heard) {
        assert_eq!(command, again, "seed {seed}: the dialogues part: {dialogue:?}");
        let explained = is_explained(command, server, gate);
        assert!(
            explained,
            "seed {seed}: {command}: {server:?} but {gate:?}\n{dialogue:?}\n{said:#?}\n{heard:#?}"
        );
    }
    assert_eq!(said.len(), heard.len(), "seed {seed}: {dialogue:?}");
    assert_eq!(taken, passed, "seed {seed}: the messages: {dialogue:?}");
}

#[test]
fn the_gate_says_what_the_server_says() {
    let start = from_environment("RCPTGATE_SEED", 1);
    for seed in start..start + from_environment("RCPTGATE_RUNS", 4000) {
        let dialogue = Dialogue::new(seed);
        compare(seed, &dialogue, &straight(&dialogue), &gated(&dialogue, seed));
    }
}

#[tokio::test]
async fn the_gate_says_what_the_server_says_over_sockets() {
    let start = from_environment("RCPTGATE_SEED", 1_000_000);
    for seed in start..start + from_environment("RCPTGATE_RUNS", 4000) / 100 {
        let dialogue = Dialogue::new(seed);
        let (heard, passed) = over_sockets(&dialogue).await;
        compare(seed, &dialogue, &straight(&dialogue), &(heard, passed));
    }
}

async fn over_sockets(dialogue: &Dialogue) -> (Exchange, Vec<Taken>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let taken = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let (enhanced, keywords, all) = (dialogue.enhanced, dialogue.keywords, taken.clone());
    let server = tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut model = Model::new(enhanced, keywords);
            let _ = stream.write_all(Model::GREETING.as_bytes()).await;
            let mut buffer = [0; 4096];
            while let Ok(read @ 1..) = stream.read(&mut buffer).await {
                let reply = model.step(buffer.get(..read).unwrap_or_default());
                all.lock().expect("a list").append(&mut model.taken);
                let _ = stream.write_all(reply.as_bytes()).await;
            }
        }
    });
    let mut wish = Wish::default();
    (wish.limits.errors, wish.limits.junk) = (10_000, 10_000);
    let lab = Lab::with(Downstream::at(address), wish).await;
    lab.disposable("gone.test");
    let mut client = Client::connect(lab.door).await;
    client.expect("220").await;
    let mut exchange = Vec::new();
    client.send("EHLO client.test").await;
    exchange.push(("EHLO".to_owned(), client.reply().await));
    for group in &dialogue.groups {
        client.send(&group.commands.join("\n")).await;
        for command in &group.commands {
            let reply = client.reply().await;
            exchange.push((command.clone(), reply));
        }
        if exchange.last().is_some_and(|(_, reply)| reply.starts_with("354")) {
            client.raw(group.content.as_bytes()).await;
            exchange.push((".".to_owned(), client.reply().await));
        }
    }
    server.abort();
    let taken = std::mem::take(&mut *taken.lock().expect("a list"));
    (exchange, taken)
}
