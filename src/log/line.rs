//! Events as lines.

use std::cell::RefCell;
use std::fmt::{self, Write as _};

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use crate::time::Timestamp;

use super::escape::{VALUE_MAX, push_json_string, push_text_value};
use super::{Format, Writer};

/// A `tracing` layer that writes each event as one line.
#[derive(Debug)]
pub struct Lines {
    format: Format,
    writer: Writer,
}

impl Lines {
    /// Lines of this form, to this writer.
    pub const fn new(format: Format, writer: Writer) -> Self {
        Self { format, writer }
    }
}

thread_local! {
    /// The text of the last line, for the next: a line costs no allocation.
    static SPARE: RefCell<String> = const { RefCell::new(String::new()) };
    /// The last time that was written, and how: lines of one millisecond have it in common.
    static LAST_TIME: RefCell<(Timestamp, String)> =
        const { RefCell::new((Timestamp::from_millis(i64::MIN), String::new())) };
}

impl Lines {
    fn write(&self, level: Level, write: impl FnOnce(&mut Line)) {
        // Taken, not borrowed: a value that logs while it is shown finds an empty one.
        let spare = SPARE.take();
        let mut line = Line::new(self.format, Timestamp::now(), level.as_str(), spare);
        write(&mut line);
        let text = line.finish();
        self.writer.send(&text);
        SPARE.set(text);
    }
}

/// Writes the line of an event of level `INFO` that comes for every recipient of every message: that `tracing` hands over each of its
/// fields costs more than the relay of the recipient. Nothing is written where the log is not kept by [`Lines`]; the caller asks
/// [`tracing::enabled!`] first.
pub fn record(event: &str, write: impl Fn(&mut Line)) {
    tracing::dispatcher::get_default(|dispatch| {
        if let Some(lines) = dispatch.downcast_ref::<Lines>() {
            lines.write(Level::INFO, |line| {
                line.text("event", event);
                write(line);
            });
        }
    });
}

/// Fields that many lines have in common, written once.
#[derive(Debug, Default)]
pub struct Common(String);

impl Common {
    /// The fields that `write` writes.
    pub fn new(write: impl Fn(&mut Line)) -> Self {
        tracing::dispatcher::get_default(|dispatch| {
            let lines = dispatch.downcast_ref::<Lines>()?;
            let mut line = Line { format: lines.format, text: String::new() };
            write(&mut line);
            Some(Self(line.text))
        })
        .unwrap_or_default()
    }
}

impl<S: Subscriber> Layer<S> for Lines {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let metadata = event.metadata();
        let ours = metadata.fields().field("event").is_some();
        self.write(*metadata.level(), |line| {
            if !ours {
                line.text("event", "log");
                line.text("target", metadata.target());
            }
            event.record(&mut Fields { line, ours });
        });
    }
}

/// A line being written.
#[derive(Debug)]
pub struct Line {
    format: Format,
    text: String,
}

impl Line {
    /// Begins a line in `text`, whatever that holds.
    pub(super) fn new(format: Format, at: Timestamp, level: &str, mut text: String) -> Self {
        text.clear();
        match format {
            Format::Text => {
                push_time(&mut text, at);
                text.push(' ');
                text.push_str(level);
            }
            Format::Json => {
                text.push_str(r#"{"time":""#);
                push_time(&mut text, at);
                // Writing to a String cannot fail.
                _ = write!(text, r#"","level":"{}""#, level.to_ascii_lowercase());
            }
        }
        Self { format, text }
    }

    /// Appends a field. The key is one of ours, the value may be anyone's.
    pub fn text(&mut self, key: &'static str, value: &str) {
        self.key(key);
        match self.format {
            Format::Text => push_text_value(&mut self.text, value),
            Format::Json => push_json_string(&mut self.text, value),
        }
    }

    /// Appends fields that were written before.
    pub fn common(&mut self, fields: &Common) {
        self.text.push_str(&fields.0);
    }

    /// A number or a boolean, which both forms write bare.
    pub(super) fn bare(&mut self, key: &str, value: impl fmt::Display) {
        self.key(key);
        _ = write!(self.text, "{value}");
    }

    fn key(&mut self, key: &str) {
        match self.format {
            Format::Text => {
                self.text.push(' ');
                self.text.push_str(key);
                self.text.push('=');
            }
            Format::Json => {
                self.text.push_str(",\"");
                self.text.push_str(key);
                self.text.push_str("\":");
            }
        }
    }

    pub(super) fn finish(mut self) -> String {
        self.text.push_str(match self.format {
            Format::Text => "\n",
            Format::Json => "}\n",
        });
        self.text
    }
}

/// Always three digits of a second, so that lines sort and columns align.
fn push_time(text: &mut String, at: Timestamp) {
    LAST_TIME.with_borrow_mut(|(last, written)| {
        if *last != at {
            written.clear();
            _ = match jiff::Timestamp::from_millisecond(at.as_millis()) {
                Ok(time) => write!(written, "{time:.3}"),
                Err(_) => write!(written, "{at}"),
            };
            *last = at;
        }
        text.push_str(written);
    });
}

/// Hands the fields of an event to a line. Keys are literals in the source, values may be anyone's.
struct Fields<'a> {
    line: &'a mut Line,
    ours: bool,
}

impl Fields<'_> {
    /// `tracing` calls the free text of an event `message`; of ours, `message` is a message's id.
    fn key(&self, field: &Field) -> &'static str {
        match field.name() {
            "message" if !self.ours => "text",
            name => name.strip_prefix("r#").unwrap_or(name),
        }
    }
}

impl Visit for Fields<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.line.text(self.key(field), value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let mut text = Capped { text: String::new(), left: VALUE_MAX + 1 };
        // An error here means that the cap was reached, and what is beyond it is not wanted.
        _ = write!(text, "{value:?}");
        self.line.text(self.key(field), &text.text);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.line.bare(self.key(field), value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.line.bare(self.key(field), value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.line.bare(self.key(field), value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        // JSON has no infinities.
        if value.is_finite() {
            self.line.bare(self.key(field), value);
        } else {
            self.line.text(self.key(field), &value.to_string());
        }
    }
}

/// A string that takes so many characters and then says stop, so that showing a huge value costs little.
struct Capped {
    text: String,
    left: usize,
}

impl fmt::Write for Capped {
    fn write_str(&mut self, more: &str) -> fmt::Result {
        // No more characters than octets.
        if let Some(left) = self.left.checked_sub(more.len()) {
            self.left = left;
            self.text.push_str(more);
            return Ok(());
        }
        for character in more.chars() {
            self.left = self.left.checked_sub(1).ok_or(fmt::Error)?;
            self.text.push(character);
        }
        Ok(())
    }
}
