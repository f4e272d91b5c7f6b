//! The rows of a file, whichever kind it is, as named cells.

use std::io::{BufRead as _, BufReader, Chain, Cursor, Read};

use csv::ByteRecord;
use serde_json::{Map, Value};

use super::fault::{Fault, ReadError};
use super::formats::is_data;
use super::json;
use super::mapping::{Field, Head, Kinds, Mapping, Wanted, position};
use super::newlines::{BUFFER, Newlines, ROW_MAX, Room, TooLong};

/// Bytes that are looked at to tell what a file is.
const PEEK: usize = 1 << 16;
/// Most columns.
const COLUMNS_MAX: usize = 1000;

/// A file that is read row by row.
pub struct Reader<R: Read> {
    rows: Rows<R>,
    mapping: Mapping,
    row: u64,
    cells: Cells,
}

/// What one row says; empty where it says nothing.
#[derive(Debug, Default)]
pub(super) struct Cells {
    /// The row, and the line on which it begins.
    pub place: (u64, u64),
    pub address: String,
    pub kind: String,
    pub at: String,
    pub until: String,
    pub reason: String,
    pub tenant: String,
    pub category: String,
    pub ground: String,
}

type Input<R> = Newlines<Chain<Cursor<Vec<u8>>, R>>;

enum Rows<R: Read> {
    Csv {
        reader: csv::Reader<Input<R>>,
        room: Room,
        record: ByteRecord,
        /// Whether the record at hand is still to be handed out: a first row that is no heading.
        waiting: bool,
        names: Vec<String>,
        picked: Vec<(Field, Vec<usize>)>,
    },
    Json {
        input: BufReader<Input<R>>,
        room: Room,
        text: Vec<u8>,
        bytes: u64,
        line: u64,
        /// The first object, which was read to see what the file is.
        waiting: Option<(u64, Map<String, Value>)>,
    },
}

impl<R: Read> Reader<R> {
    /// Begins to read, and finds out what it is that is read.
    ///
    /// # Errors
    /// `Form` when that cannot be told, or is not what is wanted.
    pub fn open(mut input: R, wanted: &Wanted) -> Result<Self, ReadError> {
        let mut start = Vec::with_capacity(PEEK);
        (&mut input).take(PEEK as u64).read_to_end(&mut start)?;
        if start.starts_with(b"\xff\xfe") || start.starts_with(b"\xfe\xff") {
            return Err(ReadError::Form("it is UTF-16: save it as UTF-8".to_owned()));
        }
        if start.starts_with(b"\xef\xbb\xbf") {
            start.drain(..3);
        }
        let first = start.iter().find(|byte| !byte.is_ascii_whitespace()).copied();
        let delimiter = delimiter(&start);
        let room = Room::new();
        let input = Newlines::new(Cursor::new(start).chain(input), room.clone());
        match first {
            None => Err(ReadError::Form("there is nothing in it".to_owned())),
            Some(b'[') => Err(ReadError::Form(
                "it is one JSON list: make lines of it, as `jq -c '.[]'` does".to_owned(),
            )),
            Some(b'{') => Self::json(input, room, wanted),
            Some(_) => Self::csv(input, room, delimiter, wanted),
        }
    }

    fn csv(input: Input<R>, room: Room, delimiter: u8, wanted: &Wanted) -> Result<Self, ReadError> {
        let mut reader = csv::ReaderBuilder::new()
            .delimiter(delimiter)
            .has_headers(false)
            .flexible(true)
            .buffer_capacity(BUFFER)
            .from_reader(input);
        let mut record = ByteRecord::new();
        read_record(&mut reader, &mut record, 0)?;
        let names = record.iter().map(|cell| {
            let name = String::from_utf8(cell.to_vec()).map(|name| name.trim().to_owned());
            name.map_err(|_| ReadError::Form("its first row is not UTF-8".to_owned()))
        });
        let mut names = names.collect::<Result<Vec<_>, _>>()?;
        if names.len() > COLUMNS_MAX {
            return Err(ReadError::Form(format!("more than {COLUMNS_MAX} columns")));
        }
        let first = is_data(&names).then(|| names.clone());
        let waiting = first.is_some();
        if waiting {
            names = (1..=names.len()).map(|number| format!("#{number}")).collect();
        }
        let head = Head { names: names.clone(), first, json: false };
        let mapping = Mapping::settle(wanted, &head).map_err(ReadError::Form)?;
        let places = |wanted: &Vec<String>| {
            wanted.iter().filter_map(|name| position(&names, name)).collect()
        };
        let picked =
            mapping.columns.iter().map(|(field, wanted)| (*field, places(wanted))).collect();
        let rows = Rows::Csv { reader, room, record, waiting, names, picked };
        Ok(Self { rows, mapping, row: 0, cells: Cells::default() })
    }

    fn json(input: Input<R>, room: Room, wanted: &Wanted) -> Result<Self, ReadError> {
        let mut input = BufReader::with_capacity(BUFFER, input);
        let (mut text, mut bytes, mut line) = (Vec::new(), 0, 0);
        let first = read_object(&mut input, &room, &mut text, &mut bytes, &mut line, 1)?;
        let Some(first) = first else {
            return Err(ReadError::Form("there is nothing in it".to_owned()));
        };
        let object = first.map_err(|fault| {
            ReadError::Form(format!(
                "{fault}; is it one JSON document? Each row is to be a line, as by `jq -c`"
            ))
        })?;
        let head = Head { names: json::names(&object), first: None, json: true };
        let mapping = Mapping::settle(wanted, &head).map_err(ReadError::Form)?;
        let waiting = Some((line, object));
        let rows = Rows::Json { input, room, text, bytes, line, waiting };
        Ok(Self { rows, mapping, row: 0, cells: Cells::default() })
    }

    /// Which form was found, in words.
    pub fn form(&self) -> &str {
        &self.mapping.form
    }

    /// Bytes read so far, some ahead.
    pub fn bytes(&self) -> u64 {
        match &self.rows {
            Rows::Csv { reader, .. } => reader.position().byte(),
            Rows::Json { bytes, .. } => *bytes,
        }
    }

    pub(super) const fn kinds(&self) -> &Kinds {
        &self.mapping.kinds
    }

    /// The row that was read last.
    pub(super) const fn cells(&self) -> &Cells {
        &self.cells
    }

    pub(super) const fn is_own(&self) -> bool {
        self.mapping.own
    }

    /// How the file calls what a field is read from.
    pub(super) fn column(&self, field: Field) -> String {
        let names = self.mapping.columns.iter().find(|(known, _)| *known == field);
        names.map(|(_, names)| names.join("+")).unwrap_or_default()
    }

    /// The next row; `None` at the end, and a fault for a row whose cells cannot be told.
    pub(super) fn next(&mut self) -> Result<Option<Result<&Cells, Fault>>, ReadError> {
        self.row += 1;
        let found = match &mut self.rows {
            Rows::Csv { reader, room, record, waiting, names, picked } => {
                if !std::mem::take(waiting) && !read_record(reader, record, self.row)? {
                    return Ok(None);
                }
                room.renew();
                let inner = memchr::memchr_iter(b'\n', record.as_slice()).count() as u64;
                let line = reader.position().line().saturating_sub(1 + inner).max(1);
                self.cells.place = (self.row, line);
                self.cells.pick_csv(record, names, picked)
            }
            Rows::Json { input, room, text, bytes, line, waiting } => {
                let object = match waiting.take() {
                    Some((_, object)) => Ok(object),
                    None => match read_object(input, room, text, bytes, line, self.row)? {
                        Some(found) => found,
                        None => return Ok(None),
                    },
                };
                self.cells.place = (self.row, *line);
                object.and_then(|object| self.cells.pick_json(&object, &self.mapping.columns))
            }
        };
        Ok(Some(found.map(|()| &self.cells)))
    }
}

impl Cells {
    fn cell(&mut self, field: Field) -> &mut String {
        match field {
            Field::Address => &mut self.address,
            Field::Kind => &mut self.kind,
            Field::At => &mut self.at,
            Field::Until => &mut self.until,
            Field::Reason => &mut self.reason,
            Field::Tenant => &mut self.tenant,
            Field::Category => &mut self.category,
            Field::Ground => &mut self.ground,
        }
    }

    fn pick_csv(
        &mut self,
        record: &ByteRecord,
        names: &[String],
        picked: &[(Field, Vec<usize>)],
    ) -> Result<(), Fault> {
        if record.len() != names.len() {
            let why = format!("has {} cells, and there are {} columns", record.len(), names.len());
            return Err(Fault::new(self.place, "", "", why));
        }
        for (field, places) in picked {
            self.cell(*field).clear();
            for place in places {
                let raw = record.get(*place).unwrap_or_default();
                let Ok(text) = str::from_utf8(raw) else {
                    let name = names.get(*place).map_or("", String::as_str);
                    let shown = String::from_utf8_lossy(raw);
                    return Err(Fault::new(self.place, name, &shown, "not UTF-8"));
                };
                self.add(*field, text.trim());
            }
        }
        Ok(())
    }

    fn pick_json(
        &mut self,
        object: &Map<String, Value>,
        columns: &[(Field, Vec<String>)],
    ) -> Result<(), Fault> {
        for (field, names) in columns {
            self.cell(*field).clear();
            for name in names {
                match json::text_of(object, name) {
                    Ok(text) => self.add(*field, text.unwrap_or_default().trim()),
                    Err(why) => return Err(Fault::new(self.place, name, "", why)),
                }
            }
        }
        Ok(())
    }

    /// Joins what several columns say.
    fn add(&mut self, field: Field, text: &str) {
        let joint = if field == Field::Kind { '/' } else { ' ' };
        let cell = self.cell(field);
        if !cell.is_empty() && !text.is_empty() {
            cell.push(joint);
        }
        cell.push_str(text);
    }
}

/// Commas, semicolons or tabs: whichever the first line has most of, outside of quotes.
fn delimiter(start: &[u8]) -> u8 {
    let mut counts = [(b',', 0_u32), (b';', 0), (b'\t', 0)];
    let mut quoted = false;
    let blank = |byte: &&u8| matches!(byte, b'\r' | b'\n');
    for byte in start.iter().skip_while(blank) {
        match byte {
            b'"' => quoted = !quoted,
            b'\r' | b'\n' if !quoted => break,
            _ if quoted => {}
            _ => counts.iter_mut().filter(|(known, _)| known == byte).for_each(|(_, n)| *n += 1),
        }
    }
    // Of equals the first: a list of addresses has none of them.
    counts.into_iter().rev().max_by_key(|(_, count)| *count).map_or(b',', |(known, _)| known)
}

fn read_record<R: Read>(
    reader: &mut csv::Reader<Input<R>>,
    record: &mut ByteRecord,
    row: u64,
) -> Result<bool, ReadError> {
    let line = reader.position().line();
    reader.read_byte_record(record).map_err(|error| {
        let told = error.to_string();
        if let csv::ErrorKind::Io(error) = error.into_kind() {
            return broken(error, (row, line));
        }
        // All else is about UTF-8 and lengths, which are not looked at there.
        ReadError::Form(told)
    })
}

type Object = Result<Map<String, Value>, Fault>;

/// The next line that is not blank, as an object.
fn read_object(
    input: &mut impl std::io::BufRead,
    room: &Room,
    text: &mut Vec<u8>,
    bytes: &mut u64,
    line: &mut u64,
    row: u64,
) -> Result<Option<Object>, ReadError> {
    loop {
        text.clear();
        *line += 1;
        room.renew();
        let place = (row, *line);
        let read = input.take(ROW_MAX).read_until(b'\n', text);
        let read = read.map_err(|error| broken(error, place))? as u64;
        if read == 0 {
            return Ok(None);
        }
        if read == ROW_MAX && !text.ends_with(b"\n") {
            let why = format!("longer than {ROW_MAX} bytes");
            return Err(ReadError::Row(Fault::new(place, "", "", why)));
        }
        *bytes += read;
        if text.trim_ascii().is_empty() {
            continue;
        }
        let shown = || String::from_utf8_lossy(text).trim().to_owned();
        return Ok(Some(serde_json::from_slice(text).map_err(|error| {
            // The place is told in rows and lines of the file.
            let why = error.to_string();
            let why = why.split(" at line ").next().unwrap_or_default();
            Fault::new(place, "", &shown(), format!("not a JSON object on one line: {why}"))
        })));
    }
}

/// A row that never ends is the file's fault, everything else that of reading.
fn broken(error: std::io::Error, place: (u64, u64)) -> ReadError {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<TooLong>()) {
        Some(long) => ReadError::Row(Fault::new(place, "", "", long.to_string())),
        None => ReadError::Io(error),
    }
}
