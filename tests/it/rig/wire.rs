//! What went over one connection to the next hop, read as a server reads it.

mod chunks;

use std::collections::VecDeque;

use bytes::BytesMut;

use chunks::Chunks;

#[derive(Debug, Default)]
pub struct Wire {
    /// The commands that the next hop has not answered; `.` is the end of data.
    unanswered: VecDeque<String>,
    pub commands: Vec<String>,
    line: Vec<u8>,
    content: Option<Vec<u8>>,
    /// Messages that came to their end.
    pub messages: Vec<Vec<u8>>,
    /// Ends of data that the next hop answered with 2yz, when MAIL, a recipient and each chunk before had one too.
    pub accepted: usize,
    /// So far so good with the message under way: recipients that were taken, unless something was refused.
    takers: Option<usize>,
    reply_line: Vec<u8>,
    /// Commands and content behind DATA.
    log: Vec<u8>,
    chunks: Chunks,
    checked: usize,
    found: usize,
    /// Bytes of the next hop that the session left where they are.
    pub unread: BytesMut,
}

impl Wire {
    /// The gate sends this.
    pub fn command(&mut self, bytes: &[u8]) {
        for byte in bytes {
            if self.chunks.is_open() {
                self.unanswered.extend(self.chunks.take(*byte));
                continue;
            }
            self.log.push(*byte);
            if let Some(content) = &mut self.content {
                content.push(*byte);
                if content == b".\r\n" || content.ends_with(b"\r\n.\r\n") {
                    self.messages.extend(self.content.take());
                    self.unanswered.push_back(".".into());
                }
                continue;
            }
            self.line.push(*byte);
            if *byte == b'\n' {
                let line = String::from_utf8_lossy(&std::mem::take(&mut self.line)).into_owned();
                match self.chunks.command(line.trim_end()) {
                    // It is answered behind its content.
                    Some(answerable) => self.unanswered.extend(answerable),
                    None => self.unanswered.push_back(line.trim_end().into()),
                }
                self.commands.push(line);
            }
        }
    }

    /// The next hop sends this.
    pub fn reply(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.reply_line.push(*byte);
            if *byte != b'\n' {
                continue;
            }
            let line = std::mem::take(&mut self.reply_line);
            if line.get(3) == Some(&b'-') {
                continue;
            }
            let Some(command) = self.unanswered.pop_front() else { continue };
            let taken = line.starts_with(b"2");
            if command.starts_with("MAIL") {
                self.takers = taken.then_some(0);
            } else if command.starts_with("RCPT") && taken {
                self.takers = self.takers.map(|takers| takers + 1);
            } else if command == "BDAT" && !taken {
                self.takers = None;
            }
            if command == "DATA" && line.starts_with(b"354") {
                self.content = Some(Vec::new());
            } else if command == "." && taken && self.takers.is_some_and(|takers| takers > 0) {
                self.accepted += 1;
            }
        }
    }

    pub fn unanswered(&self) -> usize {
        self.unanswered.len()
    }

    /// The command that the next hop is to answer next.
    pub fn due(&self) -> Option<&str> {
        self.unanswered.front().map(String::as_str)
    }

    /// The number that stands in the message last begun.
    pub fn number(&self) -> Option<usize> {
        let chunks = (!self.chunks.message.is_empty()).then_some(&self.chunks.message);
        let text = String::from_utf8_lossy(chunks.or(self.messages.last())?);
        text.split("Number: ").nth(1)?.split("\r\n").next()?.parse().ok()
    }

    /// The content of the chunks of the message last begun.
    pub fn chunked(&self) -> &[u8] {
        &self.chunks.message
    }

    pub const fn in_content(&self) -> bool {
        self.content.is_some() || self.chunks.is_open()
    }

    /// Nothing bare, and no message that is not, byte for byte and with its end, what the client sent.
    pub fn check(&mut self, client: &[u8]) {
        let bare = |pair: &[u8]| (pair.first() == Some(&b'\r')) != (pair.last() == Some(&b'\n'));
        let fresh = self.log.get(self.checked.saturating_sub(1)..).unwrap_or_default();
        assert!(!fresh.windows(2).any(bare) && !self.log.starts_with(b"\n"), "bare CR or LF");
        assert!(!fresh.ends_with(b"\r") && !fresh.contains(&0), "CR without its LF, or NUL");
        self.checked = self.log.len();
        for message in self.messages.iter().skip(self.found) {
            let sent = client.windows(message.len()).any(|stretch| stretch == message);
            assert!(sent, "the client sent no {:?}", String::from_utf8_lossy(message));
        }
        self.found = self.messages.len();
        self.chunks.check(client);
    }
}
