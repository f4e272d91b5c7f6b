//! Reading a transcript: text in, steps out. Nothing here knows what the gate is driven by.

use std::collections::HashMap;

use rcptgate::policy::verdict::Verdict;
use rcptgate::smtp::reply::Reply;

/// One transcript.
#[derive(Debug, Default)]
pub struct Script {
    pub verdicts: HashMap<String, Verdict>,
    pub settings: Vec<(String, String)>,
    /// What the store says at the end of the addresses that it knows.
    pub standings: Vec<(String, String)>,
    pub users: HashMap<String, String>,
    /// With the number of the line.
    pub steps: Vec<(usize, Step)>,
}

/// One line of a transcript.
#[derive(Clone, Debug)]
pub enum Step {
    /// `client > ...`, `client >> ...`: lines that follow each other are one write.
    ClientSays(Vec<u8>),
    /// `client < ...`: the next line that the client reads.
    ClientHears(Line),
    Client(Client),
    DownstreamSays(Vec<u8>),
    /// `downstream < ...`, with `<?` if it may also be missing.
    DownstreamHears(Line, Needed),
    /// `downstream << ...`: the next bytes, which need not be a line.
    DownstreamReads(Vec<u8>),
    Downstream(Downstream),
    /// `learn = ADDRESS STAGE CODE RECIPIENTS`: a reply that may move a standing.
    Learn(String),
    /// `settled = ADDRESS`: the event is on disk (with `set tickets = held`).
    Settled(String),
    /// `login = checked`: the driver has checked it (with `set logins = held`).
    Checked,
    /// `finished = OUTCOME OCTETS RECIPIENTS...`, with `client_gone` at the end when it had.
    Finished(String),
    /// `renamed = ADDRESS NAME HELO LOGIN`: XCLIENT made the client this one; `-` for what is not known.
    Renamed(String),
    /// `untold = REPLY`: the next hop would not be told who the client is.
    Untold(String),
    /// `message = KEY`: what the last event named knows its message by, or `none`.
    Message(String),
    /// `time = over`: whatever the session is waiting for has lasted too long.
    TimeOver,
    /// `time = late client`, `time = late downstream`: a deadline fires in the instant in which that peer goes on.
    Late(bool),
    /// `drain = now`: the program is to end.
    Drain,
    /// `waiting = ...`: what the session is waiting for.
    Waiting(String),
}

impl Step {
    /// The bytes that a peer sends, and whether it is the client.
    pub fn said(&self) -> Option<(bool, &[u8])> {
        if let Self::ClientSays(bytes) = self {
            return Some((true, bytes));
        }
        if let Self::DownstreamSays(bytes) = self { Some((false, bytes)) } else { None }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needed {
    Yes,
    No,
}

/// What happens on the client's side besides bytes.
#[derive(Clone, Debug)]
pub enum Client {
    /// Greeting and EHLO with their replies.
    Hello,
    /// Nothing to read, and not closed.
    Silent,
    /// The gate closed the connection, and nothing is left to read.
    Closed,
    /// The client shuts its side down and goes on reading.
    Fin,
    /// The connection breaks.
    Reset,
}

/// What happens on the next hop's side besides bytes.
#[derive(Clone, Debug)]
pub enum Downstream {
    /// The gate asked for a connection and gets one, with these capabilities.
    Connected(String),
    /// The gate asked for a connection and gets this reply instead.
    Refused(Reply),
    /// Nothing to read, no connection asked for.
    Silent,
    /// All that there is to read came in one write.
    OneWrite,
    /// The gate closed the connection, with or without QUIT, behind what has been read.
    Closed,
    /// With QUIT.
    Quit,
    /// For others: nothing is left on it.
    Kept,
    /// The gate closed the connection at once. Content, and commands, may or may not have come as far as here; an end has not.
    Aborted,
    /// The next hop ends the connection.
    Fin,
    /// From here the gate's bytes stay with its driver, until the next hop goes on reading.
    Stuck(bool),
}

/// A line to be read: the whole of it, or with `...` its beginning.
#[derive(Clone, Debug)]
pub struct Line {
    pub bytes: Vec<u8>,
    pub whole: bool,
}

impl Line {
    pub fn fits(&self, line: &[u8]) -> bool {
        if self.whole { line == self.bytes } else { line.starts_with(&self.bytes) }
    }
}

/// Reads a transcript.
///
/// # Errors
/// The number of the line and what is wrong with it.
pub fn parse(text: &str) -> Result<Script, String> {
    let mut script = Script::default();
    for (index, line) in text.lines().enumerate() {
        let bare = line.trim();
        if bare.is_empty() || bare.starts_with('#') {
            continue;
        }
        read(line.trim_start(), index + 1, &mut script)
            .ok_or_else(|| format!("line {}: not understood: {line}", index + 1))?;
    }
    Ok(script)
}

fn read(line: &str, number: usize, script: &mut Script) -> Option<()> {
    let (who, rest) = line.split_once(' ')?;
    if let "verdict" | "set" | "standing" | "user" = who {
        let (name, value) = rest.split_once(" = ")?;
        match who {
            "set" => script.settings.push((name.into(), value.into())),
            "standing" => script.standings.push((name.into(), value.into())),
            "user" => drop(script.users.insert(name.into(), value.into())),
            _ => drop(script.verdicts.insert(name.into(), verdict(value)?)),
        }
        return Some(());
    }
    let (sign, rest) = rest.split_once(' ').unwrap_or((rest, ""));
    let step = match (who, sign) {
        ("client", ">" | ">>") => Step::ClientSays(said(sign, rest)?),
        ("client", "<") => Step::ClientHears(heard(rest)?),
        ("client", "!") => Step::Client(client(rest)?),
        ("downstream", ">" | ">>") => Step::DownstreamSays(said(sign, rest)?),
        ("downstream", "<") => Step::DownstreamHears(heard(rest)?, Needed::Yes),
        ("downstream", "<<") => Step::DownstreamReads(unescape(rest)?),
        ("downstream", "<?") => Step::DownstreamHears(heard(rest)?, Needed::No),
        ("downstream", "!") => Step::Downstream(downstream(rest)?),
        ("learn", "=") => Step::Learn(rest.into()),
        ("settled", "=") => Step::Settled(rest.into()),
        ("finished", "=") => Step::Finished(rest.into()),
        ("renamed", "=") => Step::Renamed(rest.into()),
        ("untold", "=") => Step::Untold(rest.into()),
        ("message", "=") => Step::Message(rest.into()),
        ("waiting", "=") => Step::Waiting(rest.into()),
        ("login", "=") if rest == "checked" => Step::Checked,
        ("time", "=") if rest == "over" => Step::TimeOver,
        ("time", "=") if rest == "late client" => Step::Late(true),
        ("time", "=") if rest == "late downstream" => Step::Late(false),
        ("drain", "=") if rest == "now" => Step::Drain,
        _ => return None,
    };
    script.steps.push((number, step));
    Some(())
}

fn verdict(text: &str) -> Option<Verdict> {
    let (kind, reply) = text.split_once(' ').unwrap_or((text, ""));
    match kind {
        "forward" => Some(Verdict::Forward),
        "refuse" => Reply::from_text(reply).map(Verdict::Refuse),
        "defer" => Reply::from_text(reply).map(Verdict::Defer),
        _ => None,
    }
}

fn client(text: &str) -> Option<Client> {
    Some(match text {
        "hello" => Client::Hello,
        "silent" => Client::Silent,
        "closed" => Client::Closed,
        "FIN" => Client::Fin,
        "RST" => Client::Reset,
        _ => return None,
    })
}

fn downstream(text: &str) -> Option<Downstream> {
    let (what, rest) = text.split_once(' ').unwrap_or((text, ""));
    Some(match what {
        "connected" => Downstream::Connected(rest.into()),
        "refused" => Downstream::Refused(Reply::from_text(rest)?),
        "silent" => Downstream::Silent,
        "one-write" => Downstream::OneWrite,
        "closed" => Downstream::Closed,
        "quit" => Downstream::Quit,
        "kept" => Downstream::Kept,
        "aborted" => Downstream::Aborted,
        "FIN" => Downstream::Fin,
        "stuck" => Downstream::Stuck(true),
        "reads" => Downstream::Stuck(false),
        _ => return None,
    })
}

fn said(sign: &str, text: &str) -> Option<Vec<u8>> {
    let mut bytes = unescape(text)?;
    if sign == ">" {
        bytes.extend_from_slice(b"\r\n");
    }
    Some(bytes)
}

fn heard(text: &str) -> Option<Line> {
    Some(match text.strip_suffix("...") {
        Some(start) => Line { bytes: unescape(start)?, whole: false },
        None => Line { bytes: unescape(text)?, whole: true },
    })
}

/// `\r`, `\n`, `\t`, `\0`, `\\`, `\xNN`, and `\(3000*x)` for a text many times over.
fn unescape(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some((before, escape)) = rest.split_once('\\') {
        bytes.extend_from_slice(before.as_bytes());
        let kind = escape.chars().next()?;
        rest = escape.get(1..)?;
        match kind {
            'r' => bytes.push(b'\r'),
            'n' => bytes.push(b'\n'),
            't' => bytes.push(b'\t'),
            '0' => bytes.push(0),
            '\\' => bytes.push(b'\\'),
            'x' => {
                bytes.push(u8::from_str_radix(rest.get(..2)?, 16).ok()?);
                rest = rest.get(2..)?;
            }
            '(' => {
                let (inner, behind) = rest.split_once(')')?;
                let (times, what) = inner.split_once('*')?;
                bytes.extend_from_slice(&unescape(what)?.repeat(times.parse().ok()?));
                rest = behind;
            }
            _ => return None,
        }
    }
    bytes.extend_from_slice(rest.as_bytes());
    Some(bytes)
}

#[test]
fn escapes() {
    assert_eq!(unescape(r"a\r\n\0\xff\\b").expect("valid"), b"a\r\n\0\xff\\b");
    assert_eq!(unescape(r"\(3*x\r)y").expect("valid"), b"x\rx\rx\ry");
    assert!(unescape(r"\q").is_none());
}
