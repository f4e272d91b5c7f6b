//! The files of the journal: their names, their order, and one line of them.

use std::borrow::Cow;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use memchr::memmem;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::{Entry, JournalError, LINE_MAX, Position, io_error};
use crate::event::Event;
use crate::event::order::Order;
use crate::time::Timestamp;

/// The file of segment `number`.
pub(super) fn path(dir: &Path, number: u32) -> PathBuf {
    dir.join(format!("{number:010}.jsonl"))
}

/// The numbers of all segments: empty, or 1 to the last without a gap.
pub(super) fn list(dir: &Path) -> Result<Vec<u32>, JournalError> {
    let mut numbers = Vec::new();
    for file in fs::read_dir(dir).map_err(io_error(dir))? {
        let name = file.map_err(io_error(dir))?.file_name();
        // What is kept beside the segments (torn lines, an operator's copies) has other names.
        let number = name.to_str().and_then(|name| name.strip_suffix(".jsonl"));
        if let Some(number) = number.filter(|number| number.len() == 10) {
            numbers.extend(number.parse::<u32>().ok());
        }
    }
    numbers.sort_unstable();
    for (expected, &number) in (1..).zip(&numbers) {
        if number != expected {
            return Err(JournalError::Missing { path: path(dir, expected) });
        }
    }
    Ok(numbers)
}

/// The bytes from `position` to the end, for progress.
///
/// # Errors
/// When the directory cannot be read, or a segment is missing.
pub fn bytes_from(dir: &Path, position: Position) -> Result<u64, JournalError> {
    let mut sum = 0;
    for number in list(dir)?.into_iter().filter(|&number| number >= position.segment) {
        let path = path(dir, number);
        sum += fs::metadata(&path).map_err(io_error(path))?.len();
    }
    Ok(sum.saturating_sub(position.offset))
}

/// Where the first segment begins that was written to at or after a time; the end of the journal if none was. What an event calls its own
/// time is not later than that, unless it was dated ahead.
///
/// # Errors
/// When the directory cannot be read, or a segment is missing.
pub fn begin_since(dir: &Path, since: Timestamp) -> Result<Position, JournalError> {
    let numbers = list(dir)?;
    let end = numbers.last().map_or(1, |last| last.saturating_add(1));
    for number in numbers {
        let path = path(dir, number);
        let written =
            fs::metadata(&path).and_then(|file| file.modified()).map_err(io_error(path))?;
        let age = written.duration_since(UNIX_EPOCH).unwrap_or_default();
        if i64::try_from(age.as_millis()).unwrap_or(i64::MAX) >= since.as_millis() {
            return Ok(Position { segment: number, offset: 0 });
        }
    }
    Ok(Position { segment: end, offset: 0 })
}

/// Where the first whole line begins in the last `bytes` of the journal.
///
/// # Errors
/// When the directory or a segment cannot be read, or a segment is missing.
pub fn begin_of_last(dir: &Path, bytes: u64) -> Result<Position, JournalError> {
    let mut room = bytes;
    let mut begin = Position { segment: 1, offset: 0 };
    for number in list(dir)?.into_iter().rev() {
        let path = path(dir, number);
        let len = fs::metadata(&path).map_err(io_error(&path))?.len();
        begin = Position { segment: number, offset: 0 };
        if len > room {
            // One byte before, so that a line which begins right there is found to be whole.
            let from = len.saturating_sub(room).saturating_sub(1);
            let offset = from + to_next_line(&path, from).map_err(io_error(&path))?;
            return Ok(Position { segment: number, offset });
        }
        room -= len;
    }
    Ok(begin)
}

/// How many bytes it is from a place in a file to the beginning of a line, or to the end.
fn to_next_line(path: &Path, from: u64) -> Result<u64, std::io::Error> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(from))?;
    let mut rest = Vec::new();
    let limit = u64::try_from(LINE_MAX).unwrap_or(u64::MAX);
    let read = BufReader::new(file).take(limit).read_until(b'\n', &mut rest)?;
    Ok(u64::try_from(read).unwrap_or(u64::MAX))
}

/// Makes the entries of a directory durable: a new file is not there after a crash until its directory was synced.
pub(super) fn sync_dir(dir: &Path) -> Result<(), JournalError> {
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(io_error(dir))
}

/// What [`read_line`] found.
pub(super) enum Line {
    /// Nothing more.
    End,
    /// A whole line, newline included, is in the buffer.
    Whole,
    /// Bytes without a newline behind them are in the buffer.
    Unterminated,
}

/// Reads one line into `buffer`, at most [`LINE_MAX`] bytes.
pub(super) fn read_line(
    input: &mut impl BufRead,
    buffer: &mut Vec<u8>,
) -> Result<Line, std::io::Error> {
    buffer.clear();
    let limit = u64::try_from(LINE_MAX).unwrap_or(u64::MAX);
    input.by_ref().take(limit).read_until(b'\n', buffer)?;
    Ok(match buffer.last() {
        None => Line::End,
        Some(b'\n') => Line::Whole,
        Some(_) => Line::Unterminated,
    })
}

/// Reads an entry from its line; `after` is the sequence before it.
///
/// # Errors
/// Says what is wrong with the line.
pub fn parse(line: &[u8], after: u64) -> Result<Entry, String> {
    let entry = match parse_order(line)? {
        Some(order) => order,
        None => {
            let Numbered::<Event> { seq, said } =
                serde_json::from_slice(line).map_err(|fault| format!("not an event: {fault}"))?;
            Entry { seq, said: said.into() }
        }
    };
    if entry.seq <= after {
        return Err(format!("sequence {} does not follow {after}", entry.seq));
    }
    Ok(entry)
}

/// Reads an entry from its line if that is an order, which few are: all others cost one search for a word.
pub(super) fn parse_order(line: &[u8]) -> Result<Option<Entry>, String> {
    // With its quotes it stands in no text, where quotes are escaped, but it may be a whole text.
    if memmem::find(line, br#""order""#).is_none() {
        return Ok(None);
    }
    match serde_json::from_slice::<Kind>(line) {
        Ok(Kind { order: Some(IgnoredAny) }) => {}
        // What is no JSON at all is found out where it is read as an event.
        Ok(Kind { order: None }) | Err(_) => return Ok(None),
    }
    let Numbered::<Order> { seq, said } =
        serde_json::from_slice(line).map_err(|fault| format!("not an order: {fault}"))?;
    Ok(Some(Entry { seq, said: said.into() }))
}

/// The address that a line is about, and nothing else of it; `None` of an order, and of what is no line of a journal.
pub(super) fn address(line: &[u8]) -> Option<Cow<'_, str>> {
    serde_json::from_slice::<About<'_>>(line).ok()?.address
}

#[derive(Deserialize)]
struct About<'a> {
    #[serde(borrow)]
    address: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct Numbered<T> {
    seq: u64,
    #[serde(flatten)]
    said: T,
}

#[derive(Deserialize)]
struct Kind {
    order: Option<IgnoredAny>,
}

/// The error for the line that begins at `offset`; counts lines only now, since most readers start in the middle.
pub(super) fn broken(path: PathBuf, offset: u64, why: String) -> JournalError {
    let before = fs::File::open(&path).map(|file| file.take(offset));
    let newlines = before.map(|before| {
        let bytes = std::io::BufReader::new(before).bytes();
        bytes.map_while(Result::ok).filter(|&byte| byte == b'\n').count()
    });
    let line = newlines.ok().and_then(|count| u64::try_from(count).ok()).map_or(0, |line| line + 1);
    JournalError::Broken { path, line, why }
}
