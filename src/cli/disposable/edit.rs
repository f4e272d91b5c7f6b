//! A list file as text, edited line by line so that comments, order and line ends stay.

use super::{Entry, entry_of};

/// The text of a list file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Text(String);

impl Text {
    pub(super) fn new(text: &str) -> Self {
        Self(text.to_owned())
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// Takes out the lines that are this entry.
    pub(super) fn drop_entry(&mut self, entry: &Entry) {
        let (mark, body) = match self.0.strip_prefix('\u{feff}') {
            Some(body) => ("\u{feff}", body),
            None => ("", self.0.as_str()),
        };
        let other = |line: &&str| entry_of(line).ok().flatten().as_ref() != Some(entry);
        let kept: String = body.split_inclusive('\n').filter(other).collect();
        self.0 = format!("{mark}{kept}");
    }

    /// Puts an entry at the end, on a line of its own.
    pub(super) fn append(&mut self, entry: &str) {
        let end = if self.0.contains("\r\n") { "\r\n" } else { "\n" };
        let blank = self.0.trim_start_matches('\u{feff}').is_empty();
        if !blank && !self.0.ends_with('\n') {
            self.0.push_str(end);
        }
        self.0.push_str(entry);
        self.0.push_str(end);
    }
}
