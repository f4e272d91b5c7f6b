//! Tables and paragraphs, as wide as the terminal; plain ASCII where there is none.

use std::io::{IsTerminal, Write};
use std::os::fd::AsFd;

use comfy_table::{ColumnConstraint, ContentArrangement, Table, presets};

use crate::failure::Failure;

/// Columns where nobody says how many there are.
const WIDTH: u16 = 120;
/// A narrower table breaks words, a wider one is hard to follow with the eye.
const WIDTHS: std::ops::RangeInclusive<u16> = 76..=140;

/// Where the demonstration is told.
pub(super) struct Show<W> {
    out: W,
    width: u16,
    preset: &'static str,
}

impl<W: Write + IsTerminal + AsFd> Show<W> {
    pub(super) fn new(out: W) -> Self {
        let preset =
            if out.is_terminal() { presets::UTF8_FULL_CONDENSED } else { presets::ASCII_MARKDOWN };
        let columns = rustix::termios::tcgetwinsize(&out).map_or(0, |size| size.ws_col);
        let width = if columns == 0 { WIDTH } else { columns };
        Self { out, width: width.clamp(*WIDTHS.start(), *WIDTHS.end()), preset }
    }
}

impl<W: Write> Show<W> {
    pub(super) fn heading(&mut self, text: &str) -> Result<(), Failure> {
        writeln!(self.out, "\n{text}")?;
        Ok(())
    }

    pub(super) fn say(&mut self, text: &str) -> Result<(), Failure> {
        writeln!(self.out, "{text}")?;
        Ok(self.out.flush()?)
    }

    pub(super) fn table(&mut self, header: &[&str], rows: Vec<Vec<String>>) -> Result<(), Failure> {
        let mut table = Table::new();
        table
            .load_preset(self.preset)
            .set_content_arrangement(ContentArrangement::Dynamic)
            .set_width(self.width)
            .set_header(header)
            .add_rows(rows);
        // Whom it is about and who refused are read down the column, so they are never broken.
        for column in table.column_iter_mut().take(2) {
            column.set_constraint(ColumnConstraint::ContentWidth);
        }
        self.say(&table.trim_fmt())
    }
}
