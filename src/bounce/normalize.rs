//! A reply's text, brought into the form that rules are written for.
//!
//! Receivers echo addresses, name hosts, quote each other and wrap lines where they like; a word list must not see a `spam` in
//! somebody's host name nor miss a `User unknown` that was cut in two. Everything here is one pass over a bounded text.

mod pieces;

use std::borrow::Cow;

use unicode_normalization::UnicodeNormalization as _;

pub use pieces::Kind;

use super::Stage;
use crate::smtp::reply::{Reply, ReplyCode, Severity};
use crate::smtp::status::EnhancedStatus;

/// Octets of a reply that are read. Replies are 512 octets a line (RFC 5321 §4.5.3.1.5) and seldom more than five lines; what
/// lies behind is legal boilerplate at best, and at worst meant to keep us busy.
const TEXT_MAX: usize = 4096;

/// One reply as rules see it: the reply itself, or the one that it quotes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layer {
    /// The basic code.
    pub code: ReplyCode,
    /// The enhanced code, if its class agrees with the basic code.
    pub status: Option<EnhancedStatus>,
    /// Words in lower case without accents, single spaces, `.` between sentences; addresses are gone, and `<ip> <fqdn> <www> <id>`
    /// stand for what they say.
    pub words: String,
    /// The same text in lower case with nothing taken out, for the few rules that read a link.
    pub raw: String,
}

impl Layer {
    /// What stands in the text and not in the words, in order: addresses, hosts, links, ids, codes.
    pub fn taken_out(&self) -> impl Iterator<Item = (Kind, &str)> {
        pieces::of(&self.raw)
            .map(|piece| (Kind::of(piece), pieces::bare(piece)))
            .filter(|(kind, _)| *kind != Kind::Words)
    }
}

/// A reply taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Normal {
    /// The innermost reply first; the whole reply last. Never empty.
    pub layers: Vec<Layer>,
    /// A command that the text says was answered, when it is one that cannot be about a recipient.
    pub stage: Option<Stage>,
    /// Whether any of the replies is a 4yz.
    pub transient: bool,
}

/// Takes a reply apart.
pub fn normalize(reply: &Reply) -> Normal {
    let folded = fold(clip(&reply.text, TEXT_MAX));
    // A character of Unicode may fold to eighteen.
    let raw = clip(&folded, TEXT_MAX);
    let stage = stage_named(raw);
    let whole = layer(reply.code, reply.status, raw);
    let mut layers = Vec::with_capacity(2);
    if let Some(quoted) = innermost(raw) {
        let code = quoted.code.unwrap_or(reply.code);
        layers.push(layer(code, quoted.status, quoted.text));
    }
    layers.push(whole);
    let transient = layers.iter().any(|layer| layer.code.severity() == Severity::Transient);
    Normal { layers, stage, transient }
}

/// Reads a reply as logs and reports have it, with a leniency that the wire does not get.
///
/// Lines may differ in their codes (a 4yz among them makes it one) or lack them, and a delivery report may have an enhanced code only, or (stage `dsn`, where
/// something failed by definition) mere text. `None`: there is no code to go by.
pub fn read_reply(stage: Stage, text: &str) -> Option<Reply> {
    let text = clip(text, 4 * TEXT_MAX);
    // RFC 3464 §2.3.6: a diagnostic code is introduced by its type.
    let text = text.trim_start();
    let text = text.strip_prefix("smtp;").unwrap_or(text).trim_start();
    if let Some(reply) = Reply::from_text(text) {
        return Some(reply);
    }
    let (first, more) = text.split_once('\n').unwrap_or((text, ""));
    if let Some(mut reply) = Reply::from_text(first) {
        for line in more.lines() {
            let other = Reply::from_text(line);
            // A reply has one code (RFC 5321 §4.2.1). Of two that differ, the one that does less harm.
            if let Some(other) = &other
                && other.severity() == Severity::Transient
                && reply.severity() == Severity::Permanent
            {
                (reply.code, reply.status) = (other.code, other.status);
            }
            let all = reply.text.to_mut();
            all.push('\n');
            all.push_str(other.as_ref().map_or(line, |other| &other.text));
        }
        return Some(reply);
    }
    let status = EnhancedStatus::leading(text.as_bytes());
    let class = match status {
        Some((status, _)) => u16::from(status.class),
        None if stage == Stage::Dsn && !text.is_empty() => 5,
        None => return None,
    };
    let behind = status.map_or(text, |(_, used)| text.get(used..).unwrap_or_default());
    Some(Reply {
        code: ReplyCode::new(class * 100 + 50)?,
        status: status.map(|(status, _)| status),
        text: behind.to_owned().into(),
    })
}

/// The enhanced code of a reply, also where the wire's grammar does not look for it: `(#5.1.1)`, or behind an echoed address.
pub fn status_of(reply: &Reply) -> Option<EnhancedStatus> {
    let agrees = |status: &EnhancedStatus| u16::from(status.class) == reply.code.get() / 100;
    let text = clip(&reply.text, TEXT_MAX);
    let elsewhere = || marked_status(text).or_else(|| echoed_status(text)).filter(agrees);
    reply.status.or_else(elsewhere)
}

/// Lower case, no accents, no controls, lines joined.
fn fold(text: &str) -> String {
    fold_accents(text)
        .chars()
        .map(|character| if character.is_control() { ' ' } else { character })
        .flat_map(char::to_lowercase)
        .collect()
}

/// Without accents, so that `boîte` and `boite` are one word. Patterns of rules go through the same fold.
pub(super) fn fold_accents(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        return text.into();
    }
    // Decompose, drop the combining diacritical marks, compose again what Kana and Hangul need.
    let composed =
        text.nfkd().filter(|character| !('\u{300}'..='\u{36f}').contains(character)).nfc();
    let mut folded = String::with_capacity(text.len());
    for character in composed {
        match plain(character) {
            Some(plain) => folded.push_str(plain),
            None => folded.push(character),
        }
    }
    folded.into()
}

/// What is written for a letter whose mark Unicode does not take apart, where the keyboard or the charset lacks it.
const fn plain(character: char) -> Option<&'static str> {
    Some(match character {
        'ł' | 'Ł' => "l",
        'ø' | 'Ø' => "o",
        'đ' | 'Đ' => "d",
        'ı' => "i",
        'ß' | 'ẞ' => "ss",
        'æ' | 'Æ' => "ae",
        'œ' | 'Œ' => "oe",
        _ => return None,
    })
}

fn layer(code: ReplyCode, status: Option<EnhancedStatus>, raw: &str) -> Layer {
    let agrees = |status: &EnhancedStatus| u16::from(status.class) == code.get() / 100;
    let status =
        status.or_else(|| marked_status(raw)).or_else(|| echoed_status(raw)).filter(agrees);
    Layer { code, status, words: words(raw), raw: raw.to_owned() }
}

/// An enhanced code marked by `#`, as qmail writes it: `(#5.1.1)`. Anywhere else it may be an address or a version number.
fn marked_status(text: &str) -> Option<EnhancedStatus> {
    text.split('#')
        .skip(1)
        .find_map(|behind| EnhancedStatus::leading(behind.as_bytes()).map(|(status, _)| status))
}

/// An enhanced code behind the address that the reply begins with: `<a@b.example> 5.4.1 ...`.
fn echoed_status(text: &str) -> Option<EnhancedStatus> {
    let (address, behind) = text.split_once(' ')?;
    let echoed = address.contains('@');
    EnhancedStatus::leading(behind.as_bytes()).filter(|_| echoed).map(|(status, _)| status)
}

fn stage_named(raw: &str) -> Option<Stage> {
    const NAMED: &[(&str, Stage)] = &[
        ("in reply to mail from", Stage::Mail),
        ("remote mail server after mail from", Stage::Mail),
        ("in reply to ehlo", Stage::Ehlo),
        ("in reply to helo", Stage::Ehlo),
        ("remote mail server after ehlo", Stage::Ehlo),
        ("remote mail server after helo", Stage::Ehlo),
        ("remote mail server after initial connection", Stage::Connect),
    ];
    NAMED.iter().find(|(text, _)| raw.contains(text)).map(|(_, stage)| *stage)
}

struct Quoted<'a> {
    code: Option<ReplyCode>,
    status: Option<EnhancedStatus>,
    text: &'a str,
}

/// The last reply that the text introduces as somebody else's words: `host x said: 550 ...`, `-> 550 ...`, `'5.2.2 ...'`.
///
/// A code that merely follows is another reply to a pipelined command (`... is disabled. 503 RCPT first`), not the cause.
fn innermost(raw: &str) -> Option<Quoted<'_>> {
    let mut found = None;
    let mut before = "";
    let mut at = 0;
    for word in raw.split_inclusive(' ') {
        let start = at;
        at += word.len();
        let word = word.trim_end();
        if word.is_empty() {
            continue;
        }
        let bare = word.trim_start_matches(['\'', '"', '[', '(', ':']);
        let opened = bare.len() < word.len();
        let introduced = before.ends_with(':')
            || matches!(before, "->" | "<<<" | "said" | "returned" | "follows" | "replied");
        before = word;
        if !(opened || introduced) {
            continue;
        }
        let text = raw.get(start + word.len() - bare.len()..).unwrap_or_default();
        if let Some(reply) = quoted(text) {
            found = Some(reply);
        }
    }
    found
}

fn quoted(text: &str) -> Option<Quoted<'_>> {
    if let Some((status, used)) = EnhancedStatus::leading(text.as_bytes()) {
        let text = text.get(used..)?;
        return text.starts_with(' ').then_some(Quoted { code: None, status: Some(status), text });
    }
    let (digits, behind) = text.split_at_checked(3)?;
    let text = behind.strip_prefix([' ', '-'])?;
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let code = digits.parse().ok().and_then(ReplyCode::new)?;
    if !matches!(code.severity(), Severity::Transient | Severity::Permanent) {
        return None;
    }
    match EnhancedStatus::leading(text.as_bytes()) {
        Some((status, used)) => {
            Some(Quoted { code: Some(code), status: Some(status), text: text.get(used..)? })
        }
        None => Some(Quoted { code: Some(code), status: None, text }),
    }
}

/// The words of a folded text.
fn words(raw: &str) -> String {
    let mut out = Words::default();
    pieces::of(raw).for_each(|piece| out.piece(piece));
    out.text
}

#[derive(Default)]
struct Words {
    text: String,
}

impl Words {
    /// Takes a piece of text without spaces or brackets: an address, a name, a number, or words joined by punctuation.
    fn piece(&mut self, piece: &str) {
        let bare = pieces::bare(piece);
        match Kind::of(piece) {
            Kind::Link => self.push("<www>"),
            Kind::Ip => self.push("<ip>"),
            Kind::Host => self.push("<fqdn>"),
            Kind::Id => self.push("<id>"),
            // Nothing is put in an address's place: `User <x> unknown` is to read `user unknown`. A status is read already where it counts.
            Kind::Address | Kind::Status => {}
            Kind::Words => bare
                .split(|character: char| !character.is_alphanumeric())
                .filter(|word| !word.is_empty())
                .for_each(|word| self.word(word)),
        }
        // One dot ends a sentence; three lead from an echoed address to the cause.
        let ends = piece.ends_with(['.', '!', '?']) && !piece.ends_with("..");
        if ends && !self.text.is_empty() && !self.text.ends_with('.') {
            self.push(".");
        }
    }

    /// Takes a word, and writes one way what is written in several: `e-mail`, `doesn't`, `can not`, `user's`.
    fn word(&mut self, word: &str) {
        let (start, last) = match self.text.rsplit_once(' ') {
            Some((before, last)) => (before.len() + 1, last),
            None => (0, self.text.as_str()),
        };
        let replacement = match (last, word) {
            ("can", "t" | "not") => Some("cannot".to_owned()),
            ("won", "t") => Some("will not".to_owned()),
            (verb, "t") if verb.len() > 2 => {
                verb.strip_suffix('n').map(|verb| format!("{verb} not"))
            }
            ("e", word) if word.starts_with("mail") => Some(format!("e{word}")),
            (_, "s") => return,
            (_, _) => None,
        };
        match replacement {
            Some(replacement) => {
                self.text.truncate(start);
                self.text.push_str(&replacement);
            }
            None => self.push(word),
        }
    }

    fn push(&mut self, word: &str) {
        if !self.text.is_empty() {
            self.text.push(' ');
        }
        self.text.push_str(word);
    }
}

/// At most `room` octets, cut between two characters.
fn clip(text: &str, room: usize) -> &str {
    text.get(..text.floor_char_boundary(room)).unwrap_or(text)
}

#[cfg(test)]
mod tests;
