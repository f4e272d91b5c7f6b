//! Standard output: buffered, coloured for people only, and harmless whatever a peer sent.

use std::io::{self, BufWriter, IsTerminal as _, Stdout, Write};

use clap::builder::styling::{AnsiColor, Style};

use crate::exchange::export::guarded;
use crate::failure::Failure;
use crate::log::{shows, visible};

/// Longest text of a stranger that is shown, in characters.
const TEXT_MAX: usize = 1000;

/// What a word is painted as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// What the eye should find.
    Head,
    /// It passes.
    Good,
    /// It passes for now, or later.
    Fair,
    /// It does not pass.
    Bad,
    /// What is there for completeness.
    Dim,
}

/// Standard output.
pub struct Out {
    inner: BufWriter<Stdout>,
    colours: bool,
}

impl Out {
    /// Colours for a terminal that wants them (<https://no-color.org>).
    pub fn standard() -> Self {
        let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let stdout = io::stdout();
        let colours = stdout.is_terminal() && !set("NO_COLOR") && !dumb;
        Self { inner: BufWriter::with_capacity(1 << 16, stdout), colours }
    }

    /// A word in its colour.
    pub fn paint(&self, tone: Tone, text: &str) -> String {
        if !self.colours {
            return text.to_owned();
        }
        let style = match tone {
            Tone::Head => Style::new().bold(),
            Tone::Good => AnsiColor::Green.on_default(),
            Tone::Fair => AnsiColor::Yellow.on_default(),
            Tone::Bad => AnsiColor::Red.on_default(),
            Tone::Dim => Style::new().dimmed(),
        };
        format!("{style}{text}{style:#}")
    }
}

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.inner.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// A verdict, standing or the like: how good it is for the recipient.
pub fn tone(name: &str) -> Tone {
    match name {
        "forward" | "clear" | "allowed" => Tone::Good,
        "defer" | "on_watch" => Tone::Fair,
        _ => Tone::Bad,
    }
}

/// A name as people write it: `quarantined long-term`.
pub fn plain(name: &str) -> String {
    name.replace("long_term", "long-term").replace('_', " ")
}

/// Text of a stranger on one line that cannot move a terminal.
pub fn harmless(text: &str) -> String {
    visible(text, TEXT_MAX)
}

/// Text of a stranger as a cell of a table for people: on one line, and neither a terminal nor a spreadsheet is moved by it.
pub fn cell(text: &str) -> String {
    guarded(harmless(text)).into_owned()
}

/// One JSON line: what does not show itself is escaped, as JSON may escape any character, so nothing is lost to who reads it as JSON.
pub fn json(out: &mut Out, value: &impl serde::Serialize) -> io::Result<()> {
    value.serialize(&mut serde_json::Serializer::with_formatter(&mut *out, Visible))?;
    out.write_all(b"\n")
}

/// Escapes within JSON strings more than JSON asks for: C1 controls, which terminals obey too, and direction marks.
struct Visible;

impl serde_json::ser::Formatter for Visible {
    fn write_string_fragment<W: ?Sized + Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        if fragment.is_ascii() {
            // JSON itself has escaped the others, but for DEL, which moves no terminal.
            return writer.write_all(fragment.as_bytes());
        }
        for character in fragment.chars() {
            if shows(character) {
                write!(writer, "{character}")?;
            } else {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    write!(writer, "\\u{unit:04x}")?;
                }
            }
        }
        Ok(())
    }
}

/// A share as people read it, `1.25%`; nothing where there is nothing to have a share of.
pub fn percent(part: Option<u64>, whole: u64) -> String {
    match part {
        // Two decimals by whole numbers: 0.01 % is 1 in 10,000.
        Some(part) if whole > 0 => {
            let parts = u128::from(part) * 10_000 / u128::from(whole);
            format!("{}.{:02}%", parts / 100, parts % 100)
        }
        Some(_) | None => String::new(),
    }
}

/// A table of comma-separated values that could not be written.
pub fn unwritten(error: csv::Error) -> Failure {
    let told = error.to_string();
    if let csv::ErrorKind::Io(error) = error.into_kind() {
        return error.into();
    }
    // All else is about reading, or about rows of unequal length.
    Failure::Internal(told)
}

#[cfg(test)]
mod tests {
    use serde::Serialize as _;

    use super::*;

    #[test]
    fn a_json_line_moves_no_terminal_and_loses_nothing() {
        let text = "é \u{9b}2J \u{1b}[31m\r\n\u{202e}evil \u{e0001} 名";
        let mut line = Vec::new();
        text.serialize(&mut serde_json::Serializer::with_formatter(&mut line, Visible))
            .expect("a line");
        let line = String::from_utf8(line).expect("UTF-8");
        assert_eq!(line, r#""é \u009b2J \u001b[31m\r\n\u202eevil \udb40\udc01 名""#);
        assert_eq!(serde_json::from_str::<String>(&line).expect("JSON"), text);
    }

    /// Campaigns, senders and reasons are what others wrote (OWASP, "CSV Injection").
    #[test]
    fn a_cell_moves_neither_a_terminal_nor_a_spreadsheet() {
        for (text, shown) in [
            ("spring", "spring"),
            ("=HYPERLINK(1)", "'=HYPERLINK(1)"),
            ("@SUM(1)", "'@SUM(1)"),
            ("-1+1", "'-1+1"),
            ("a\u{1b}[31m\r\nb\u{9b}2J", "a\\u{1b}[31m\\r\\nb\\u{9b}2J"),
        ] {
            assert_eq!(cell(text), shown);
        }
    }
}
