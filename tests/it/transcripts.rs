//! Golden dialogues, `tests/transcripts/<theme>/*.txt`: what each side says, in which order, and what was learnt.
//!
//! Each runs on the pure session as written, one byte at a time, and with every write of either peer cut in two at every place;
//! then on the real gate, with sockets, journal and store. Few cannot: `socket.rs` says which and why.
//!
//! ```text
//! # why, with RFC section or case
//! set limits.errors = 3                       limits.*, may_relay, xforward, offer (words of EHLO), tls = offered | up,
//!                                             auth = local | relay, auth_required, logins = held,
//!                                             xclient = who may relay, and whose XFORWARD is believed (networks, by commas),
//!                                             tell_client = xforward | xclient,
//!                                             tickets = held, split = none | client | downstream: whose writes may be cut,
//!                                             sockets = no: not on sockets, and a comment says why;
//!                                             protocol = lmtp
//! user ann = secret                           who may log in; ? for a password that cannot be checked now
//! verdict gone@x.test = refuse 550 5.7.1 ...  forward without; also defer
//! client ! hello                              greeting, EHLO and their replies
//! client > MAIL FROM:<a@x.test>               CRLF is added; lines that follow each other are one write
//! client >> DA                                no CRLF is added; \r \n \0 \\ \xNN, and \(3000*x) for many
//! client < 250 2.1.0 ...                      the whole next line, or its beginning
//! client ! silent | closed | FIN | RST        nothing to read; the gate closed; the client shuts its side, or breaks
//! downstream ! connected PIPELINING SIZE=10   the gate asked for a connection, and this is what EHLO told it: words, the
//!                                             arguments of one joined by = and commas; lmtp among them: it was LHLO
//! downstream ! refused 451 4.4.1 why          the gate asked for a connection, and there is none
//! downstream ! one-write                      all that is read next came in one write (only looked at as written)
//! downstream < MAIL FROM:<a@x.test>           <? for a line that need not come, << for bytes without CRLF
//! downstream > 250 ok                         >> without CRLF
//! downstream ! silent | closed | quit | kept | aborted | FIN | stuck | reads
//! settled = gone@x.test                       the event is on disk, with `set tickets = held`
//! login = checked                             the driver has checked it, with `set logins = held`
//! learn = gone@x.test rcpt 550 1              a reply that may be learnt: stage, code, recipients it is about
//! finished = delivered 20 a@x.test            outcome, octets, recipients; client_gone at the end if it had
//! renamed = 192.0.2.7 name helo login         who the client is from here on, by XCLIENT; - for what is not known
//! untold = 501 5.5.4 what                     the next hop would not have XFORWARD
//! message = 192.0.2.1/4F2A                    what the event just named knows its message by, or none
//! time = over                                 what the session waits for has lasted too long
//! time = late client | late downstream         a deadline fires in the instant in which that peer goes on
//! waiting = downstream rcpt                   client | content | driver | nothing
//! drain = now                                 the program is to end
//! standing gone@x.test = on_watch hard 1      what the store says of it in the end, with hards, softs, open episodes
//! ```
//!
//! At the end nothing may be left over: no byte unread, no event that was not named, no address known to the store that was not.

mod play;
mod script;
mod socket;

use std::fs;
use std::panic;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use play::{Cut, play};
use script::Script;

#[test]
fn every_transcript_holds() {
    let mut paths = transcripts();
    paths.sort();
    assert!(!paths.is_empty(), "no transcripts found");
    let faults: Vec<String> = paths.iter().filter_map(|path| try_all(path)).collect();
    assert!(faults.is_empty(), "{} of {}:\n{}", faults.len(), paths.len(), faults.join("\n"));
}

fn transcripts() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts");
    let folders = fs::read_dir(root).expect("the folder of the transcripts");
    let folders = folders.map(|entry| entry.expect("an entry").path()).filter(|path| path.is_dir());
    folders
        .flat_map(|folder| fs::read_dir(folder).expect("a theme"))
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "txt"))
        .collect()
}

/// As many at a time as make use of the waiting for disks.
const AT_ONCE: usize = 8;

#[test]
fn every_transcript_holds_on_sockets() {
    let mut paths = transcripts();
    paths.sort();
    let next = Mutex::new(paths.iter());
    let faults = Mutex::new(Vec::new());
    let play_all = || {
        loop {
            let path = next.lock().expect("a list").next();
            let Some(path) = path else { break };
            if let Some(fault) = try_on_sockets(path) {
                faults.lock().expect("a list").push(fault);
            }
        }
    };
    std::thread::scope(|scope| (0..AT_ONCE).for_each(|_| drop(scope.spawn(play_all))));
    let faults = faults.into_inner().expect("a list");
    assert!(faults.is_empty(), "{} of {}:\n{}", faults.len(), paths.len(), faults.join("\n"));
}

/// Plays one file on the real gate, unless that cannot be; says what went wrong.
fn try_on_sockets(path: &Path) -> Option<String> {
    let text = fs::read_to_string(path).expect("a transcript can be read");
    let name = path.strip_prefix(env!("CARGO_MANIFEST_DIR")).unwrap_or(path).display();
    let script = script::parse(&text).ok()?;
    if socket::impossible(&script).is_some() {
        return None;
    }
    match panic::catch_unwind(|| socket::play(&script)) {
        Ok(Ok(())) => None,
        Ok(Err(fault)) => Some(format!("{name}: on sockets: {fault}")),
        Err(_) => Some(format!("{name}: on sockets: panicked")),
    }
}

/// Plays one file in every way that it allows; says what went wrong first.
fn try_all(path: &Path) -> Option<String> {
    let text = fs::read_to_string(path).expect("a transcript can be read");
    let name = path.strip_prefix(env!("CARGO_MANIFEST_DIR")).unwrap_or(path).display();
    let script = match script::parse(&text) {
        Ok(script) => script,
        Err(fault) => return Some(format!("{name}: {fault}")),
    };
    cuts(&script).into_iter().find_map(|cut| {
        let played = panic::catch_unwind(|| play(&script, cut));
        let fault = match played {
            Ok(Ok(())) => return None,
            Ok(Err(fault)) => fault,
            Err(_) => "panicked".into(),
        };
        Some(format!("{name}: {cut:?}: {fault}"))
    })
}

/// Longest write that is cut in two at every place; longer ones are cut here and there.
const SHORT: usize = 600;

fn cuts(script: &Script) -> Vec<Cut> {
    let split = script.settings.iter().find(|(name, _)| name == "split");
    let (client, downstream) = match split.map(|(_, value)| value.as_str()) {
        Some("none") => (false, false),
        Some("client") => (true, false),
        Some("downstream") => (false, true),
        Some(_) | None => (true, true),
    };
    let mut cuts = vec![Cut::None, Cut::Bytes { client, downstream }];
    for (index, write) in writes(script).iter().enumerate() {
        let may = if write.client { client } else { downstream };
        let step = (write.length / SHORT).max(1);
        if may {
            cuts.extend((1..write.length).step_by(step).map(|at| Cut::Once { index, at }));
        }
    }
    cuts
}

/// One write of a peer: steps that follow each other are one.
struct Write {
    client: bool,
    length: usize,
}

fn writes(script: &Script) -> Vec<Write> {
    let mut writes: Vec<Write> = Vec::new();
    let mut last = None;
    for (_, step) in &script.steps {
        let Some((client, bytes)) = step.said() else {
            last = None;
            continue;
        };
        let length = bytes.len();
        match writes.last_mut().filter(|_| last == Some(client)) {
            Some(write) => write.length += length,
            None => writes.push(Write { client, length }),
        }
        last = Some(client);
    }
    writes
}
