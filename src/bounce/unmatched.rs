//! Replies that no rule understands, put together by what they say: where rules are missing, and how badly.
//!
//! Millions of replies may pass, each with a text of its own if somebody wants to fill our memory: texts are cut, and when there are too
//! many groups the rare half goes. A text that is frequent stays whenever it comes (the idea of lossy counting).

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use super::classify::{Classifier, read_reply, status_of};
use super::{Category, Stage, host_of};
use crate::smtp::reply::Reply;
use crate::time::Timestamp;

/// Groups kept at once; each takes at most some 1.5 KiB.
pub const GROUPS_MAX: usize = 100_000;
/// Octets of the text that a group is known by, and of the reply and the host that are its examples.
const TEXT_MAX: usize = 200;
const REPLY_MAX: usize = 500;
const HOST_MAX: usize = 100;
/// Receivers of a group that are told apart.
const RECEIVERS_MAX: usize = 64;
/// Words of a text that a suggested pattern is made of: enough to know it by, and not the legal notice behind.
const PATTERN_WORDS: usize = 12;
/// Stands for a number in a text.
const NUMBER: &str = "<n>";

/// What no rule understands, by text.
#[derive(Debug)]
pub struct Unmatched {
    room: usize,
    groups: HashMap<String, Group>,
    begun: u64,
    /// Replies that are undetermined under the rules of today.
    pub undetermined: u64,
    /// Replies that were when they came, and are no more.
    pub understood: u64,
    /// Undetermined replies of rare texts that are in no group any more.
    pub left_out: u64,
}

/// Replies that say the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// What they say: words as rules see them, numbers as `<n>`.
    pub text: String,
    /// How many there are.
    pub count: u64,
    /// When the first came.
    pub first: Timestamp,
    /// When the last came.
    pub last: Timestamp,
    /// What they answered.
    pub stages: Vec<Stage>,
    /// A host that gave one, if any was known.
    pub receiver: Option<String>,
    /// One of them, as it came.
    pub reply: String,
    receivers: Vec<u64>,
    number: u64,
}

impl Unmatched {
    /// Nothing yet, with room for so many groups, two at least.
    pub fn with_room(room: usize) -> Self {
        let room = room.max(2);
        let groups = HashMap::new();
        Self { room, groups, begun: 0, undetermined: 0, understood: 0, left_out: 0 }
    }

    /// Takes a reply that was undetermined when it came, and asks the rules of today.
    pub fn add(
        &mut self,
        classifier: &Classifier,
        stage: Stage,
        reply: &str,
        receiver: Option<&str>,
        at: Timestamp,
    ) {
        let read = read_reply(stage, reply);
        let words = match &read {
            Some(read) => {
                let (found, _, words) = classifier.classify_with_words(stage, read, 1, receiver);
                if found.category != Category::Undetermined {
                    self.understood += 1;
                    return;
                }
                words
            }
            None => String::new(),
        };
        self.undetermined += 1;
        let text = general(&words);
        // Of what has no words the codes are all there is.
        let key = if text.is_empty() { codes(read.as_ref()) } else { text.clone() };
        if !self.groups.contains_key(&key) && self.groups.len() >= self.room {
            self.forget_the_rare();
        }
        self.begun += 1;
        let number = self.begun;
        let group = self.groups.entry(key).or_insert_with(|| Group {
            text,
            count: 0,
            first: at,
            last: at,
            stages: Vec::new(),
            receiver: None,
            reply: clip(reply, REPLY_MAX).to_owned(),
            receivers: Vec::new(),
            number,
        });
        group.take(stage, receiver, at);
    }

    /// The groups, most frequent first; of equals the latest.
    pub fn groups(&self) -> Vec<&Group> {
        let mut groups: Vec<_> = self.groups.values().collect();
        groups.sort_by(|one, two| {
            let rank = |group: &Group| (group.count, group.last, group.number);
            rank(two).cmp(&rank(one))
        });
        groups
    }

    /// Drops the rarer half; of equals the older.
    fn forget_the_rare(&mut self) {
        let mut ranks: Vec<_> =
            self.groups.values().map(|group| (group.count, group.number)).collect();
        ranks.sort_unstable();
        let Some(&floor) = ranks.get(ranks.len() / 2) else { return };
        let left_out = &mut self.left_out;
        self.groups.retain(|_, group| {
            let stays = (group.count, group.number) >= floor;
            if !stays {
                *left_out += group.count;
            }
            stays
        });
    }
}

impl Group {
    fn take(&mut self, stage: Stage, receiver: Option<&str>, at: Timestamp) {
        self.count += 1;
        self.first = self.first.min(at);
        self.last = self.last.max(at);
        if !self.stages.contains(&stage) {
            self.stages.push(stage);
        }
        if let Some(host) = receiver.map(host_of) {
            let mut hasher = DefaultHasher::new();
            host.hash(&mut hasher);
            let hash = hasher.finish();
            if self.receivers.len() < RECEIVERS_MAX && !self.receivers.contains(&hash) {
                self.receivers.push(hash);
            }
            self.receiver.get_or_insert_with(|| clip(host, HOST_MAX).to_owned());
        }
    }

    /// How many hosts gave such replies, and whether there may be more.
    pub const fn receivers(&self) -> (usize, bool) {
        (self.receivers.len(), self.receivers.len() == RECEIVERS_MAX)
    }

    /// A rule for them with everything but its category, as it would stand in the file of rules.
    pub fn skeleton(&self, name: &str) -> String {
        let stage = self.stages.first().copied().unwrap_or(Stage::Rcpt);
        let reply = without_addresses(&self.reply);
        let read = read_reply(stage, &reply);
        let condition = match pattern(&self.text) {
            Some(pattern) => format!("text = [{}]", quoted(&pattern)),
            None => codes(read.as_ref()),
        };
        let (name, reply) = (quoted(name), quoted(&reply));
        format!("[[rule]]\nname = {name}\ncategory = \"?\"\n{condition}\nspecimens = [{reply}]\n")
    }
}

/// The text that replies have in common: numbers differ from one to the next.
fn general(words: &str) -> String {
    let mut text = String::with_capacity(words.len().min(TEXT_MAX));
    for word in words.split_whitespace() {
        let number = word.bytes().all(|byte| byte.is_ascii_digit());
        let word = if number { NUMBER } else { word };
        if text.len() + 1 + word.len() > TEXT_MAX {
            if text.is_empty() {
                text.push_str(clip(word, TEXT_MAX));
            }
            break;
        }
        if !text.is_empty() {
            text.push(' ');
        }
        text.push_str(word);
    }
    text
}

/// A pattern that matches a text; `None` if it has no words.
fn pattern(text: &str) -> Option<String> {
    let words: Vec<_> = text.split(' ').take(PATTERN_WORDS).collect();
    let words = words.join(" ");
    let words = words.trim_matches([' ', '.']);
    (!words.is_empty()).then(|| words.replace('.', "\\.").replace(NUMBER, "\\d+"))
}

/// A condition for a reply that is all codes.
fn codes(reply: Option<&Reply>) -> String {
    match reply.and_then(|reply| status_of(reply).map(|status| (reply, status))) {
        Some((_, status)) => format!("status = [\"{status}\"]"),
        None => format!("codes = [\"{}\"]", reply.map_or(550, |reply| reply.code.get())),
    }
}

/// The reply with nobody's address in it: specimens are for everybody to read.
fn without_addresses(reply: &str) -> String {
    const ENDS: [char; 12] = [' ', '\n', '<', '>', '(', ')', '[', ']', '"', ',', ';', ':'];
    let mut out = String::with_capacity(reply.len());
    for piece in reply.split_inclusive(ENDS) {
        if piece.contains('@') {
            out.push_str("someone@example.com");
            out.extend(piece.chars().last().filter(|last| ENDS.contains(last)));
        } else {
            out.push_str(piece);
        }
    }
    out
}

/// As TOML has it.
fn quoted(text: &str) -> String {
    if text.chars().all(shows) {
        return toml::Value::from(text).to_string();
    }
    // The receiver's own words come before a person's terminal: what could move it is named instead.
    let escaped = |character: char| match character {
        '"' | '\\' => format!("\\{character}"),
        _ if shows(character) => character.to_string(),
        _ => format!("\\U{:08X}", u32::from(character)),
    };
    format!("\"{}\"", text.chars().map(escaped).collect::<String>())
}

/// Whether a character shows itself: no control (of C1 too), no direction mark, nothing invisible.
fn shows(character: char) -> bool {
    matches!(character, ' '..='~') || (!character.is_ascii() && character.escape_debug().len() == 1)
}

fn clip(text: &str, room: usize) -> &str {
    text.get(..text.floor_char_boundary(room)).unwrap_or(text)
}

#[cfg(test)]
mod tests;
