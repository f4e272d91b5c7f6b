//! Who a peer says it is: AUTH, XCLIENT and XFORWARD. What the gate itself says of anybody reads back as what was known, and
//! nothing in it can end the line or begin another word.

use std::net::IpAddr;
use std::sync::Arc;

use rcptgate::smtp::command::Command;
use rcptgate::smtp::identity::{Attributes, Identity};
use rcptgate::smtp::sasl::{self, Login, Mechanism, Secret, Start};

/// Longest command line, CRLF included.
const LINE_MAX: usize = 512;

/// Arguments of AUTH, responses, and the gate's own login with the same name and password.
pub fn sasl(bytes: &[u8]) {
    if let Ok(Command::Auth(start)) = Command::parse(&[b"AUTH ", bytes].concat()) {
        let letters = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        assert!(start.mechanism.len() <= 20 && start.mechanism.bytes().all(letters));
        assert!(!start.mechanism.bytes().any(|byte| byte.is_ascii_lowercase()));
        if let Some(word) = &start.initial {
            assert!(!word.expose().is_empty() && !word.expose().contains(&b' '));
            hidden(word, &format!("{start:?}"));
            if let Ok(decoded) = sasl::initial(word) {
                assert!(decoded.expose().len() < word.expose().len().max(1));
            }
        }
    }
    for line in bytes.split(|byte| *byte == b'\n') {
        if let Ok(decoded) = sasl::response(line) {
            assert!(decoded.expose().len() * 4 <= line.len() * 3, "more than was sent");
            assert!(line.len() % 4 == 0 && !line.contains(&b' '), "{}", line.escape_ascii());
        }
    }
    if let Ok(login) = sasl::plain(&Secret::new(bytes)) {
        says(&login);
    }
    let mut parts = bytes.splitn(2, |byte| *byte == 0);
    let (user, password) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    if let Ok(login) = sasl::login(user, password) {
        assert!(!login.password.expose().contains(&0) && login.user.as_bytes() == user);
        says(&login);
    }
}

/// A login as the gate says it: what is decoded is the same login.
fn says(login: &Login) {
    assert!(!login.user.is_empty() && !login.user.contains('\0'));
    assert!(!login.password.expose().is_empty());
    let (command, rest) = sasl::conversation(Mechanism::Plain, login);
    one_line(command.expose());
    let start = auth(&command);
    assert_eq!(start.mechanism, "PLAIN");
    let word = start.initial.as_ref().or(rest.first()).expect("a response");
    assert_eq!(sasl::plain(&sasl::initial(word).expect("base64")).as_ref(), Ok(login));
    let (command, rest) = sasl::conversation(Mechanism::Login, login);
    assert_eq!((auth(&command).mechanism.as_str(), auth(&command).initial), ("LOGIN", None));
    let said: Vec<Secret> =
        rest.iter().map(|word| sasl::response(word.expose()).expect("base64")).collect();
    let [user, password] = said.as_slice() else { panic!("{} responses", said.len()) };
    assert_eq!(sasl::login(user.expose(), password.expose()).as_ref(), Ok(login));
    hidden(&login.password, &format!("{:?}", login.password));
}

fn auth(command: &Secret) -> Start {
    match Command::parse(command.expose()) {
        Ok(Command::Auth(start)) => start,
        other => panic!("{other:?}"),
    }
}

/// A secret of some length does not stand in what is shown of it.
fn hidden(secret: &Secret, shown: &str) {
    let secret = secret.expose();
    let seen = secret.len() >= 24 && shown.as_bytes().windows(secret.len()).any(|of| of == secret);
    assert!(!seen, "{shown}");
}

fn one_line(line: &[u8]) {
    assert!(line.len() + 2 <= LINE_MAX, "{} octets", line.len());
    let printable = line.iter().all(|byte| (0x20..0x7f).contains(byte));
    assert!(printable, "{}", line.escape_ascii());
}

/// Arguments of XCLIENT and XFORWARD; and names that somebody gives himself, whatever stands in them.
pub fn identity(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let before = Identity::of(IpAddr::from([192, 0, 2, 1]), 4711);
    if let Some(told) = before.told(Attributes::XCLIENT, text) {
        let line = told.xclient(Attributes::XCLIENT).expect("a line");
        let again = heard(&Identity::default(), &line);
        // The port is said as it is even when the address is not known; SOURCE and IDENT are no words of XCLIENT.
        same(&told, &again, &line);
    }
    if let Some(told) = before.told(Attributes::XFORWARD, text) {
        let lines = told.xforward(Attributes::XFORWARD);
        let again = lines.iter().fold(Identity::default(), |so_far, line| heard(&so_far, line));
        same(&told, &again, &lines.concat());
        assert_eq!(told.login, None, "XFORWARD has no word for it");
    }
    let name: Arc<str> = text.into();
    let named = Identity {
        name: Some(Arc::clone(&name)),
        protocol: Some(Arc::clone(&name)),
        helo: Some(Arc::clone(&name)),
        ident: Some(Arc::clone(&name)),
        source: Some(Arc::clone(&name)),
        login: Some(name),
        ..before
    };
    let lines = named.xforward(Attributes::XFORWARD);
    for line in lines.iter().chain(&named.xclient(Attributes::XCLIENT)) {
        words(line);
    }
}

/// What a server makes of a line of ours.
fn heard(so_far: &Identity, line: &str) -> Identity {
    words(line);
    let line = line.strip_suffix("\r\n").expect("an end");
    let told = match Command::parse(line.as_bytes()) {
        Ok(Command::Xclient(argument)) => so_far.told(Attributes::XCLIENT, &argument),
        Ok(Command::Xforward(argument)) => so_far.told(Attributes::XFORWARD, &argument),
        other => panic!("{other:?}"),
    };
    told.unwrap_or_else(|| panic!("our own, and malformed: {line}"))
}

/// One line of printable words, each a name and one value.
fn words(line: &str) {
    let line = line.strip_suffix("\r\n").expect("an end");
    one_line(line.as_bytes());
    let mut names = Vec::new();
    for word in line.split(' ').skip(1) {
        let (name, value) = word.split_once('=').expect("a value");
        assert!(!value.contains('=') && !names.contains(&name), "{line}");
        names.push(name);
    }
    assert!(!names.is_empty(), "{line}");
}

/// The same, but for what is too long for any line, or has to make room.
fn same(told: &Identity, again: &Identity, said: &str) {
    let texts = |of: &Identity| {
        [&of.name, &of.protocol, &of.helo, &of.ident, &of.source, &of.login].map(Clone::clone)
    };
    assert_eq!((told.address, told.port), (again.address, again.port), "{said}");
    let lengths: usize = texts(told).iter().flatten().map(|text| text.len()).sum();
    for (told, again) in texts(told).into_iter().zip(texts(again)) {
        let left_out = again.is_none() && lengths > LINE_MAX / 3 - 60;
        assert!(told == again || left_out, "{told:?} became {again:?}: {said}");
    }
}
