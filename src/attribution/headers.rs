//! Reading a few header fields off content that passes by.

/// Octets of header that are looked at; what stands behind them is not found.
const HEADER_MAX: usize = 64 * 1024;
/// Octets of a value that are kept.
const VALUE_MAX: usize = 200;

/// Watches content for the first of some header fields. Holds one line at most, and nothing once the header has ended.
#[derive(Debug)]
pub struct HeaderWatch {
    /// Wanted names, in lower case, the most wanted first.
    wanted: Vec<String>,
    /// What was found of each.
    found: Vec<Option<String>>,
    /// The line at hand, with its folded continuations, cut.
    line: Vec<u8>,
    /// Whether the octet before was the end of a line.
    at_start: bool,
    seen: usize,
    over: bool,
}

impl HeaderWatch {
    /// Watches for these fields; none when there are none to watch for.
    pub fn new<'a>(wanted: impl Iterator<Item = &'a str>) -> Option<Self> {
        let wanted: Vec<String> = wanted.map(str::to_owned).collect();
        let found = vec![None; wanted.len()];
        (!wanted.is_empty()).then(|| Self {
            wanted,
            found,
            line: Vec::new(),
            at_start: true,
            seen: 0,
            over: false,
        })
    }

    /// Takes content as it passes, in pieces of any size.
    pub fn feed(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            if self.over {
                return;
            }
            self.seen += 1;
            if self.seen > HEADER_MAX {
                self.end();
                return;
            }
            self.octet(byte);
        }
    }

    /// The value of the most wanted field that there was.
    pub fn into_value(mut self) -> Option<String> {
        self.end();
        self.found.into_iter().flatten().next()
    }

    fn octet(&mut self, byte: u8) {
        if std::mem::take(&mut self.at_start) {
            match byte {
                // Folded: RFC 5322 §2.2.3.
                b' ' | b'\t' => {}
                b'\r' | b'\n' => return self.end(),
                _ => self.finish_line(),
            }
        }
        match byte {
            b'\n' => self.at_start = true,
            b'\r' => {}
            _ if self.line.len() < VALUE_MAX + 100 => self.line.push(byte),
            _ => {}
        }
    }

    fn finish_line(&mut self) {
        let line = String::from_utf8_lossy(&self.line);
        if let Some((name, value)) = line.split_once(':') {
            let name = name.trim_end();
            let place = self.wanted.iter().position(|wanted| name.eq_ignore_ascii_case(wanted));
            if let Some(slot) = place.and_then(|place| self.found.get_mut(place)) {
                let value: String = value.split_whitespace().collect::<Vec<_>>().join(" ");
                let cut = value.floor_char_boundary(VALUE_MAX);
                let value = value.get(..cut).unwrap_or_default();
                if !value.is_empty() && slot.is_none() {
                    *slot = Some(value.to_owned());
                }
            }
        }
        self.line.clear();
    }

    fn end(&mut self) {
        if !std::mem::replace(&mut self.over, true) {
            self.finish_line();
            self.line = Vec::new();
        }
    }
}
