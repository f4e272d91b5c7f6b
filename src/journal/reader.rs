//! Reading the journal in order, or one line of it.

use std::fs::File;
use std::io::{BufReader, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use super::segment::{self, Line};
use super::{Entry, JournalError, Position, Said, io_error};
use crate::event::order::Order;

/// An entry and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Located {
    /// Where its line begins.
    pub position: Position,
    /// The bytes of its line, newline included.
    pub bytes: u64,
    /// The line.
    pub entry: Entry,
}

impl Located {
    /// Where the next line begins, unless this one is the last of its segment.
    pub const fn behind(&self) -> Position {
        let Position { segment, offset } = self.position;
        Position { segment, offset: offset + self.bytes }
    }
}

/// Iterates over the entries in order, from some position to the end as it was when the reader was made (or a little behind it).
///
/// An unterminated last line of the last segment ends the iteration: a writer may be at it right now. After the first error there is
/// nothing more.
pub struct Reader {
    dir: PathBuf,
    /// Segments to come, the next one last.
    ahead: Vec<u32>,
    current: Option<Segment>,
    /// The sequence of the entry before.
    after: u64,
    buffer: Vec<u8>,
}

struct Segment {
    number: u32,
    input: BufReader<File>,
    offset: u64,
}

/// Where the segment begins that holds the first entry whose sequence is at least `seq`, if there is one.
///
/// # Errors
/// As [`Reader::open`], and for a broken first line.
pub fn segment_of(dir: &Path, seq: u64) -> Result<Position, JournalError> {
    for segment in segment::list(dir)?.into_iter().rev() {
        let start = Position { segment, offset: 0 };
        let first = Reader::at(dir, start)?.next().transpose()?;
        if first.is_some_and(|first| first.entry.seq <= seq) {
            return Ok(start);
        }
    }
    Ok(Position { segment: 1, offset: 0 })
}

impl Reader {
    /// Reads from the first line of the first segment.
    ///
    /// # Errors
    /// When the directory cannot be read, or a segment is missing.
    pub fn open(dir: &Path) -> Result<Self, JournalError> {
        Self::at(dir, Position { segment: 1, offset: 0 })
    }

    /// Reads from the line that begins at `position`.
    ///
    /// # Errors
    /// As [`Reader::open`].
    pub fn at(dir: &Path, position: Position) -> Result<Self, JournalError> {
        let mut ahead = segment::list(dir)?;
        ahead.retain(|&number| number >= position.segment);
        ahead.reverse();
        let mut reader =
            Self { dir: dir.to_owned(), ahead, current: None, after: 0, buffer: Vec::new() };
        if position.offset > 0
            && let Some(number) = reader.ahead.pop()
        {
            reader.enter(number, position.offset)?;
        }
        Ok(reader)
    }

    /// Reads from the first entry whose sequence is at least `seq`. Only the segment that holds it is searched.
    ///
    /// # Errors
    /// As [`Reader::open`], and for a broken line before that entry.
    pub fn from_sequence(
        dir: &Path,
        seq: u64,
    ) -> Result<impl Iterator<Item = Result<Located, JournalError>> + use<>, JournalError> {
        let reader = Self::at(dir, segment_of(dir, seq)?)?;
        Ok(reader.skip_while(move |found| found.as_ref().is_ok_and(|found| found.entry.seq < seq)))
    }

    /// Reads from the start of the last segment, or of an earlier one if there are fewer than `count` entries from there on.
    ///
    /// # Errors
    /// As [`Reader::open`], and for a broken line in the segments that are counted.
    pub fn latest(dir: &Path, count: usize) -> Result<Self, JournalError> {
        let mut start = Position { segment: 1, offset: 0 };
        for segment in segment::list(dir)?.into_iter().rev() {
            start = Position { segment, offset: 0 };
            let mut entries = 0;
            for found in Self::at(dir, start)?.take(count) {
                found?;
                entries += 1;
            }
            if entries >= count {
                break;
            }
        }
        Self::at(dir, start)
    }

    /// The next entry that is an order, or an event of an address that is wanted. Of the lines between only the address is read.
    pub fn next_about(
        &mut self,
        wanted: &dyn Fn(&str) -> bool,
    ) -> Option<Result<Located, JournalError>> {
        let found = self.step_about(wanted);
        self.ended(found)
    }

    fn step_about(
        &mut self,
        wanted: &dyn Fn(&str) -> bool,
    ) -> Result<Option<Located>, JournalError> {
        while let Some(position) = self.raw()? {
            // What cannot be read so far is found out where all of it is read.
            if segment::address(&self.buffer).is_none_or(|address| wanted(&address)) {
                return self.parsed(position).map(Some);
            }
        }
        Ok(None)
    }

    /// The line of the last entry that was read, newline included.
    pub fn line(&self) -> &[u8] {
        &self.buffer
    }

    fn enter(&mut self, number: u32, offset: u64) -> Result<(), JournalError> {
        let path = segment::path(&self.dir, number);
        let mut file = File::open(&path).map_err(io_error(&path))?;
        file.seek(SeekFrom::Start(offset)).map_err(io_error(&path))?;
        self.current = Some(Segment { number, input: BufReader::new(file), offset });
        Ok(())
    }

    fn step(&mut self) -> Result<Option<Located>, JournalError> {
        match self.raw()? {
            Some(position) => self.parsed(position).map(Some),
            None => Ok(None),
        }
    }

    /// Reads the line in the buffer.
    fn parsed(&mut self, position: Position) -> Result<Located, JournalError> {
        let entry =
            segment::parse(&self.buffer, self.after).map_err(|why| self.broken(position, why))?;
        self.after = entry.seq;
        Ok(Located { position, bytes: self.length(), entry })
    }

    /// Reads the next line into the buffer and says where it begins.
    fn raw(&mut self) -> Result<Option<Position>, JournalError> {
        loop {
            let Some(current) = &mut self.current else {
                let Some(number) = self.ahead.pop() else { return Ok(None) };
                self.enter(number, 0)?;
                continue;
            };
            let path = segment::path(&self.dir, current.number);
            let position = Position { segment: current.number, offset: current.offset };
            let line = segment::read_line(&mut current.input, &mut self.buffer);
            match line.map_err(io_error(&path))? {
                Line::End => self.current = None,
                Line::Unterminated if self.ahead.is_empty() => return Ok(None),
                Line::Unterminated => {
                    let why = "the line does not end, yet another segment follows".to_owned();
                    return Err(segment::broken(path, position.offset, why));
                }
                Line::Whole => {
                    current.offset += u64::try_from(self.buffer.len()).unwrap_or(u64::MAX);
                    return Ok(Some(position));
                }
            }
        }
    }

    /// After the last entry, and after an error, there is nothing more.
    fn ended(
        &mut self,
        found: Result<Option<Located>, JournalError>,
    ) -> Option<Result<Located, JournalError>> {
        if !matches!(found, Ok(Some(_))) {
            self.current = None;
            self.ahead.clear();
        }
        found.transpose()
    }

    fn length(&self) -> u64 {
        u64::try_from(self.buffer.len()).unwrap_or(u64::MAX)
    }

    fn broken(&self, position: Position, why: String) -> JournalError {
        segment::broken(segment::path(&self.dir, position.segment), position.offset, why)
    }
}

impl Iterator for Reader {
    type Item = Result<Located, JournalError>;

    fn next(&mut self) -> Option<Self::Item> {
        let found = self.step();
        self.ended(found)
    }
}

/// All orders up to sequence `through`. Reads the whole journal, and of lines that are no orders only as much as tells so: what is wrong
/// with those is found by whoever reads them.
///
/// # Errors
/// As [`Reader::open`], and for an order that is broken or not understood.
pub fn orders(dir: &Path, through: u64) -> Result<Vec<(u64, Order)>, JournalError> {
    let mut reader = Reader::open(dir)?;
    let mut orders = Vec::new();
    while let Some(position) = reader.raw()? {
        let found =
            segment::parse_order(&reader.buffer).map_err(|why| reader.broken(position, why))?;
        match found {
            Some(Entry { seq, said: Said::Order(order) }) if seq <= through => {
                orders.push((seq, order));
            }
            Some(_) | None => {}
        }
    }
    Ok(orders)
}

/// Reads the one line that begins at `position`.
///
/// # Errors
/// When there is no whole line, or it is not an event.
pub fn read_at(dir: &Path, position: Position) -> Result<Entry, JournalError> {
    let path = segment::path(dir, position.segment);
    let mut file = File::open(&path).map_err(io_error(&path))?;
    file.seek(SeekFrom::Start(position.offset)).map_err(io_error(&path))?;
    let mut buffer = Vec::new();
    let line = segment::read_line(&mut BufReader::new(file), &mut buffer);
    let why = match line.map_err(io_error(&path))? {
        Line::Whole => match segment::parse(&buffer, 0) {
            Ok(entry) => return Ok(entry),
            Err(why) => why,
        },
        Line::End | Line::Unterminated => format!("no whole line at byte {}", position.offset),
    };
    Err(segment::broken(path, position.offset, why))
}
