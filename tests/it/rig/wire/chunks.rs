//! Chunks on their way to the next hop, held against those of the client.

/// What came of BDAT.
#[derive(Debug, Default)]
pub struct Chunks {
    /// Of the transaction under way: its content may be anything.
    binary: bool,
    /// Its content so far.
    pub message: Vec<u8>,
    /// The chunk under way: its command, its content, and octets that are missing.
    open: Option<(String, Vec<u8>, usize)>,
    /// Complete ones that have not been looked for, and whether they begin a message.
    fresh: Vec<(bool, String, Vec<u8>)>,
    /// The next one begins a message.
    first: bool,
    /// How much of what the client sent has been accounted for.
    cursor: usize,
}

/// Octets and LAST, if a line is BDAT.
fn read(line: &str) -> Option<(usize, bool)> {
    let rest = line.strip_prefix("BDAT ")?;
    let (octets, last) = match rest.strip_suffix(" LAST") {
        Some(octets) => (octets, true),
        None => (rest, false),
    };
    Some((octets.parse().expect("a number of octets"), last))
}

impl Chunks {
    pub const fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// A command; `None` if it is no BDAT, else what the next hop has to answer already.
    pub fn command(&mut self, line: &str) -> Option<Option<String>> {
        if line.starts_with("MAIL FROM:") {
            (self.binary, self.first) = (line.contains("BODY=BINARYMIME"), true);
            self.message.clear();
        }
        let (octets, _) = read(line)?;
        self.open = Some((line.to_owned(), Vec::new(), octets));
        Some(if octets == 0 { self.close() } else { None })
    }

    /// An octet of the chunk under way; at its end what the next hop has to answer.
    pub fn take(&mut self, octet: u8) -> Option<String> {
        let (_, content, missing) = self.open.as_mut().expect("a chunk under way");
        content.push(octet);
        *missing -= 1;
        let done = *missing == 0;
        self.message.push(octet);
        if done { self.close() } else { None }
    }

    fn close(&mut self) -> Option<String> {
        let (line, content, _) = self.open.take()?;
        let (_, last) = read(&line)?;
        let cut = self.message.ends_with(b"\r") && last && !self.binary;
        assert!(!cut, "a message that ends in half a CRLF");
        self.fresh.push((std::mem::take(&mut self.first), line, content));
        Some(if last { ".".into() } else { "BDAT".into() })
    }

    /// Nothing bare, and no chunk that is not, with its command and octet for octet, what the client sent, in the same order and
    /// with none left out within a message.
    pub fn check(&mut self, client: &[u8]) {
        if !self.binary {
            let bare =
                |pair: &[u8]| (pair.first() == Some(&b'\r')) != (pair.last() == Some(&b'\n'));
            let bare = self.message.windows(2).any(bare) || self.message.starts_with(b"\n");
            assert!(!bare && !self.message.contains(&0), "bare CR or LF, or NUL, in chunks");
            let within = self.open.as_ref().filter(|(_, content, _)| content.ends_with(b"\r"));
            assert!(within.is_none(), "a CR without its LF within a chunk");
        }
        for (first, line, content) in self.fresh.drain(..) {
            let sent = [line.as_bytes(), b"\r\n", &content].concat();
            let behind = client.get(self.cursor..).expect("more than before");
            let at = behind.windows(sent.len()).position(|stretch| stretch == sent);
            let at = at.unwrap_or_else(|| panic!("the client sent no {}", sent.escape_ascii()));
            let between = behind.get(..at).expect("a stretch");
            let mail = between.windows(10).rposition(|stretch| stretch == b"MAIL FROM:");
            let own = between.get(mail.filter(|_| first).unwrap_or(0)..).expect("a stretch");
            let left_out = own.windows(5).any(|stretch| stretch == b"BDAT ");
            assert!(!left_out, "a chunk before {line} is left out");
            self.cursor += at + sent.len();
        }
    }
}
