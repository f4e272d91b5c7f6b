//! Commands, RFC 5321 §4.1.1: one line in, one value out.

use memchr::memchr3;

use super::address::{NotAnAddress, Recipient, ReversePath};
use super::sasl;

/// One command of a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// EHLO with the name that the client gives itself.
    Ehlo(String),
    /// HELO, likewise.
    Helo(String),
    /// LHLO of LMTP, likewise (RFC 2033).
    Lhlo(String),
    /// MAIL FROM.
    Mail(ReversePath, Vec<Parameter>),
    /// RCPT TO.
    Rcpt(Recipient, Vec<Parameter>),
    /// DATA.
    Data,
    /// RSET.
    Rset,
    /// NOOP, whatever follows it.
    Noop,
    /// HELP, whatever follows it.
    Help,
    /// VRFY, whatever follows it.
    Vrfy,
    /// QUIT.
    Quit,
    /// Postfix XFORWARD, with its attributes as they were sent: they are read if the client may say such a thing at all.
    Xforward(String),
    /// Postfix XCLIENT, likewise.
    Xclient(String),
    /// STARTTLS, RFC 3207.
    Starttls,
    /// BDAT, RFC 3030: what follows the line is content, not commands; `None` if it cannot be told how much of it.
    Bdat(Option<Chunk>),
    /// AUTH, RFC 4954. What is wrong with its argument is said only where it is offered.
    Auth(sasl::Start),
    /// A verb of some RFC that the gate does not have: ETRN, TURN, EXPN ...
    NotImplemented,
    /// A verb of another protocol, or a header field: a browser or a confused program talks to us (ALPACA).
    NotSmtp,
}

/// The argument of BDAT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// Octets of content behind the line; less than 2^63.
    pub octets: u64,
    /// The message ends with it.
    pub last: bool,
}

/// An ESMTP parameter of MAIL or RCPT, RFC 5321 §4.1.2 `esmtp-param`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// The keyword in upper case.
    pub keyword: String,
    /// The value as it was sent.
    pub value: Option<String>,
}

/// Why a line is no command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommandFault {
    /// NUL, another control character, or bytes that are not UTF-8.
    #[error("a character that no command may hold")]
    Character,
    /// A verb that nobody has heard of.
    #[error("unknown command")]
    Unknown,
    /// The argument is missing, malformed or not allowed.
    #[error("malformed argument")]
    Argument,
    /// The sender of MAIL.
    #[error("malformed sender: {0}")]
    Sender(NotAnAddress),
    /// The recipient of RCPT.
    #[error("malformed recipient: {0}")]
    Recipient(NotAnAddress),
}

/// Longest name in EHLO: that of a domain (RFC 5321 §4.5.3.1.2).
const NAME_MAX: usize = 255;

/// Most parameters on one command; no extension comes near it.
const PARAMETERS_MAX: usize = 32;

impl Command {
    /// Reads a line without its CRLF.
    ///
    /// # Errors
    /// Says what is wrong with the line; the session goes on.
    pub fn parse(line: &[u8]) -> Result<Self, CommandFault> {
        if is_bdat(line) {
            return Ok(Self::Bdat(chunk(line)));
        }
        let line = std::str::from_utf8(line).map_err(|_| CommandFault::Character)?;
        // Nearly every line is ASCII, and need not be decoded for this.
        let control = match line.is_ascii() {
            // All of them, not up to the first: so a processor takes many at a time.
            true => line
                .bytes()
                .fold(false, |any, byte| any | (byte.is_ascii_control() && byte != b'\t')),
            false => line.contains(is_odd),
        };
        if control {
            return Err(CommandFault::Character);
        }
        let line = line.trim_end_matches([' ', '\t']);
        let (verb, argument) = match line.split_once([' ', '\t']) {
            Some((verb, argument)) => (verb, argument.trim_start_matches([' ', '\t'])),
            None => (line, ""),
        };
        // Of a message to many this is nearly every line.
        if verb == "RCPT" {
            return rcpt(argument);
        }
        match verb.to_ascii_uppercase().as_str() {
            "EHLO" => name(argument).map(Self::Ehlo),
            "HELO" => name(argument).map(Self::Helo),
            "LHLO" => name(argument).map(Self::Lhlo),
            "MAIL" => {
                let (path, parameters) = path(argument, "FROM:").ok_or(CommandFault::Argument)?;
                let sender = ReversePath::parse(path).map_err(CommandFault::Sender)?;
                Ok(Self::Mail(sender, self::parameters(parameters)?))
            }
            "RCPT" => rcpt(argument),
            "DATA" => alone(argument, Self::Data),
            "RSET" => alone(argument, Self::Rset),
            "QUIT" => alone(argument, Self::Quit),
            "NOOP" => Ok(Self::Noop),
            "HELP" => Ok(Self::Help),
            "VRFY" => Ok(Self::Vrfy),
            "XFORWARD" => Ok(Self::Xforward(argument.to_owned())),
            "XCLIENT" => Ok(Self::Xclient(argument.to_owned())),
            "STARTTLS" => alone(argument, Self::Starttls),
            "AUTH" => Ok(Self::Auth(sasl::Start::parse(argument))),
            "BURL" | "ETRN" | "TURN" | "ATRN" | "SEND" | "SAML" | "SOML" | "EXPN" => {
                Ok(Self::NotImplemented)
            }
            "GET" | "POST" | "PUT" | "HEAD" | "OPTIONS" | "CONNECT" | "DELETE" | "PATCH" => {
                Ok(Self::NotSmtp)
            }
            _ if verb.find(':').is_some_and(|at| at > 0) => Ok(Self::NotSmtp),
            _ => Err(CommandFault::Unknown),
        }
    }
}

fn rcpt(argument: &str) -> Result<Command, CommandFault> {
    let (path, parameters) = path(argument, "TO:").ok_or(CommandFault::Argument)?;
    let recipient = Recipient::parse(path).map_err(CommandFault::Recipient)?;
    Ok(Command::Rcpt(recipient, self::parameters(parameters)?))
}

/// Whether a line, complete or not, has the verb BDAT. However wrong the rest of it is, what follows must not be read as commands.
pub fn is_bdat(line: &[u8]) -> bool {
    let verb = line.get(..4).is_some_and(|verb| verb.eq_ignore_ascii_case(b"BDAT"));
    verb && line.get(4).is_none_or(|next| !next.is_ascii_alphanumeric())
}

/// `BDAT size [LAST]`, RFC 3030 §2: digits only, at most twenty as in SIZE, and no size that wraps around in anybody's arithmetic.
fn chunk(line: &[u8]) -> Option<Chunk> {
    let line = std::str::from_utf8(line).ok().filter(|line| !line.contains(is_odd))?;
    let mut words = line.split([' ', '\t']).filter(|word| !word.is_empty()).skip(1);
    let digits = words.next()?;
    let fits = digits.len() <= 20 && digits.bytes().all(|byte| byte.is_ascii_digit());
    let octets = fits.then(|| digits.parse().ok()).flatten()?;
    let last = match words.next() {
        None => false,
        Some(word) if word.eq_ignore_ascii_case("LAST") => true,
        Some(_) => return None,
    };
    let alone = words.next().is_none() && i64::try_from(octets).is_ok();
    alone.then_some(Chunk { octets, last })
}

fn is_odd(character: char) -> bool {
    character.is_control() && character != '\t'
}

fn alone(argument: &str, command: Command) -> Result<Command, CommandFault> {
    if argument.is_empty() { Ok(command) } else { Err(CommandFault::Argument) }
}

/// The name in EHLO: RFC 5321 §4.1.1.1 wants a domain or an address literal; any short run of visible ASCII is taken, since
/// clients in the wild send their host names with underscores and worse.
fn name(argument: &str) -> Result<String, CommandFault> {
    let fits = (1..=NAME_MAX).contains(&argument.len())
        && argument.bytes().all(|byte| byte.is_ascii_graphic())
        && argument.starts_with('[') == argument.ends_with(']');
    if fits { Ok(argument.to_owned()) } else { Err(CommandFault::Argument) }
}

/// Cuts `FROM:<path> parameters` into path and parameters. White space behind the colon is tolerated, anywhere else it is not.
fn path<'line>(argument: &'line str, keyword: &str) -> Option<(&'line str, &'line str)> {
    let (given, rest) = argument.split_at_checked(keyword.len())?;
    if !given.eq_ignore_ascii_case(keyword) {
        return None;
    }
    let rest = rest.trim_start_matches([' ', '\t']);
    let end = path_end(rest).unwrap_or(rest.len());
    rest.split_at_checked(end)
}

/// The end of the path: its `>` outside of a quoted string; what follows must be white space or nothing.
fn path_end(text: &str) -> Option<usize> {
    let (mut quoted, mut from) = (false, 0);
    // Nothing else matters, and no octet of a longer character looks like one of these.
    while let Some(found) =
        text.as_bytes().get(from..).and_then(|rest| memchr3(b'"', b'>', b'\\', rest))
    {
        let at = from + found;
        from = at + 1;
        match text.as_bytes().get(at) {
            Some(b'"') => quoted = !quoted,
            // What it escapes is passed over, whatever it is.
            Some(b'\\') if quoted => from += 1,
            Some(b'>') if !quoted => {
                let behind = text.as_bytes().get(from);
                return matches!(behind, None | Some(b' ' | b'\t')).then_some(from);
            }
            _ => {}
        }
    }
    None
}

fn parameters(text: &str) -> Result<Vec<Parameter>, CommandFault> {
    let parameters: Option<Vec<_>> =
        text.split([' ', '\t']).filter(|word| !word.is_empty()).map(parameter).collect();
    // Of two SIZEs one would be checked and the other believed by the next hop.
    let unique = |all: &[Parameter]| {
        let mut keywords: Vec<_> = all.iter().map(|parameter| &parameter.keyword).collect();
        keywords.sort_unstable();
        keywords.windows(2).all(|pair| pair.first() != pair.last())
    };
    parameters
        .filter(|all| all.len() <= PARAMETERS_MAX && unique(all))
        .ok_or(CommandFault::Argument)
}

/// `keyword[=value]`: RFC 5321 §4.1.2 `esmtp-keyword` and `esmtp-value` (no `=`, no space, no control), with UTF-8 by RFC 6531.
fn parameter(word: &str) -> Option<Parameter> {
    let (keyword, value) = match word.split_once('=') {
        Some((keyword, value)) => (keyword, Some(value)),
        None => (word, None),
    };
    let letters = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    let keyword_fits = keyword.starts_with(|first: char| first.is_ascii_alphanumeric())
        && keyword.bytes().all(letters);
    let value_fits = value.is_none_or(|value| !value.is_empty() && !value.contains('='));
    (keyword_fits && value_fits).then(|| Parameter {
        keyword: keyword.to_ascii_uppercase(),
        value: value.map(str::to_owned),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rcpt(line: &str) -> Result<String, CommandFault> {
        let Command::Rcpt(recipient, parameters) = Command::parse(line.as_bytes())? else {
            panic!("no RCPT: {line}");
        };
        Ok(format!("{recipient} {}", parameters.len()))
    }

    #[test]
    fn one_rule_for_spaces_and_case() {
        let cases = [
            ("RCPT TO:<a@b.test>", Some("<a@b.test> 0")),
            ("rcpt to:<a@b.test>", Some("<a@b.test> 0")),
            ("RcPt  tO: <a@b.test>  ", Some("<a@b.test> 0")),
            ("RCPT\tTO:\t<a@b.test>", Some("<a@b.test> 0")),
            ("RCPT TO:<a@b.test> NOTIFY=NEVER ORCPT=rfc822;a+40b", Some("<a@b.test> 2")),
            ("RCPT TO:<\"a> b\"@b.test> X-Y", Some("<\"a> b\"@b.test> 1")),
            ("RCPT TO:<\"a\\\"> b\"@b.test>", Some("<\"a\\\"> b\"@b.test> 0")),
            ("RCPT TO :<a@b.test>", None),
            ("RCPT TO:< a@b.test >", None),
            ("RCPT TO:a@b.test", None),
            ("RCPT TO:<a@b.test>x", None),
            ("RCPT TO:<a@b.test> a=b=c", None),
            ("RCPT TO:<a@b.test> =c", None),
            ("RCPT TO:<a@b.test> X=1 x=2", None),
            ("RCPT <a@b.test>", None),
            ("RCPT", None),
        ];
        for (line, expected) in cases {
            assert_eq!(rcpt(line).ok().as_deref(), expected, "{line}");
        }
    }

    #[test]
    fn what_is_no_command() {
        let check = |line: &[u8], fault: CommandFault| {
            assert_eq!(Command::parse(line), Err(fault), "{:?}", String::from_utf8_lossy(line));
        };
        check(b"DA\0TA", CommandFault::Character);
        check(b"RCPT TO:<ok@x.test>\0", CommandFault::Character);
        check(b"\x80\x81", CommandFault::Character);
        check(b"", CommandFault::Unknown);
        check(b"FROB", CommandFault::Unknown);
        check(b"DATA now", CommandFault::Argument);
        check(b"EHLO", CommandFault::Argument);
        check(b"EHLO a b", CommandFault::Argument);
        check(b"EHLO [192.0.2.1", CommandFault::Argument);
        check(format!("EHLO {}", "x".repeat(256)).as_bytes(), CommandFault::Argument);
        check(b"MAIL FROM:<a@>", CommandFault::Sender(NotAnAddress::Domain));
        check(b"RCPT TO:<>", CommandFault::Recipient(NotAnAddress::NoAt));
    }

    #[test]
    fn chunks() {
        let check = |line: &[u8], expected: Option<(u64, bool)>| {
            let expected = expected.map(|(octets, last)| Chunk { octets, last });
            assert_eq!(
                Command::parse(line),
                Ok(Command::Bdat(expected)),
                "{}",
                line.escape_ascii()
            );
        };
        check(b"BDAT 5", Some((5, false)));
        check(b"bdat\t0  last ", Some((0, true)));
        check(b"BDAT 00000000000000000005", Some((5, false)));
        check(b"BDAT 9223372036854775807", Some((i64::MAX as u64, false)));
        let faulty: [&[u8]; 13] = [
            b"BDAT",
            b"BDAT LAST",
            b"BDAT -1",
            b"BDAT +1",
            b"BDAT 0x10",
            b"BDAT 9223372036854775808",
            b"BDAT 18446744073709551616",
            b"BDAT 000000000000000000005",
            b"BDAT 5 LAS",
            b"BDAT 5 LAST LAST",
            b"BDAT 5\0 LAST",
            b"BDAT\0 5",
            b"BDAT 5 \xff",
        ];
        faulty.iter().for_each(|line| check(line, None));
        assert_eq!(Command::parse(b"BDATX 5"), Err(CommandFault::Unknown));
    }

    #[test]
    fn others() {
        let parse = |line: &str| Command::parse(line.as_bytes()).expect(line);
        assert_eq!(parse("noop anything"), Command::Noop);
        assert_eq!(parse("MAIL FROM:<>"), Command::Mail(ReversePath::Null, Vec::new()));
        assert_eq!(parse("GET / HTTP/1.1"), Command::NotSmtp);
        assert_eq!(parse("Subject: hello"), Command::NotSmtp);
        assert_eq!(parse("Received:from x"), Command::NotSmtp);
        assert_eq!(parse("xforward  IDENT=4F+2BA "), Command::Xforward("IDENT=4F+2BA".to_owned()));
    }
}
