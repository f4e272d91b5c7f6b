//! Texts as a record keeps them: bounded, and replies on one line.

use std::borrow::Cow;
use std::fmt::Write as _;

use super::replies::push_printable;
use crate::smtp::reply::Reply;

/// Longest key, reply or reason kept, in bytes.
pub const TEXT_MAX: usize = 160;

/// A key or text of bounded length. A long one keeps its head and ends in a checksum of the whole, so that two long ones that
/// start alike stay two.
pub fn bounded(text: &str) -> Cow<'_, str> {
    if text.len() <= TEXT_MAX {
        return Cow::Borrowed(text);
    }
    let head = text.floor_char_boundary(TEXT_MAX - 9);
    let checksum = crc32fast::hash(text.as_bytes());
    Cow::Owned(format!("{}~{checksum:08x}", text.get(..head).unwrap_or("")))
}

/// A reply as a refusal may quote it: its lines in one, code and status said once, printable, cut.
pub fn one_line(reply: &str) -> String {
    let mut line = String::new();
    set_line(&mut line, reply);
    line
}

/// Puts [`one_line`] of a reply where another line was, in the same memory.
pub fn set_line(line: &mut String, reply: &str) {
    line.clear();
    line.reserve(reply.len().min(TEXT_MAX));
    let Some(outline) = Reply::outline(reply) else {
        return push_printable(line, reply, TEXT_MAX);
    };
    // Writing to a `String` cannot fail.
    let _ = match outline.status {
        Some(status) => write!(line, "{} {status}", outline.code),
        None => write!(line, "{}", outline.code),
    };
    let mut texts = outline.lines().peekable();
    while let Some(text) = texts.next() {
        if line.len() < TEXT_MAX && !(text.is_empty() && texts.peek().is_none()) {
            line.push(' ');
        }
        push_printable(line, text, TEXT_MAX.saturating_sub(line.len()));
    }
}

/// Puts [`bounded`] of a text where another one was, in the same memory.
pub fn set_bounded(old: &mut String, text: &str) {
    old.clear();
    old.push_str(&bounded(text));
}
