//! Reads TOML key by key, so that one run tells every fault, each with its line, key and value.
//!
//! A key is asked for with its default; what does not fit is noted as a fault and the default is handed back, so that
//! reading goes on. Whatever was not asked for is unknown, and the nearest key that was asked for is suggested.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::ops::{Range, RangeInclusive};
use std::path::Path;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::ConfigError;
use super::near::near;
use super::values::{parse_size, show_size};

/// A configuration file and the faults found in it so far.
pub struct Reader<'a> {
    file: &'a Path,
    text: &'a str,
    errors: RefCell<Vec<ConfigError>>,
    /// Lines that do not parse: whatever else is wrong with what could be saved of them is no news.
    broken: RefCell<BTreeSet<usize>>,
    #[cfg(test)]
    pub not_given: RefCell<Vec<String>>,
}

/// A value with its place.
pub type Value<'a> = Spanned<DeValue<'a>>;

/// One table of the file; empty when the file does not have it.
pub struct Table<'a, 'r> {
    reader: &'r Reader<'a>,
    path: String,
    entries: Option<&'r DeTable<'a>>,
    asked: RefCell<Vec<&'static str>>,
}

impl<'a> Reader<'a> {
    pub fn new(file: &'a Path, text: &'a str) -> Self {
        Self {
            file,
            text,
            errors: RefCell::default(),
            broken: RefCell::default(),
            #[cfg(test)]
            not_given: RefCell::default(),
        }
    }

    /// The file as a table. What does not parse is noted, and what does is read all the same.
    pub fn parse(&self) -> Spanned<DeTable<'a>> {
        let (table, errors) = DeTable::parse_recoverable(self.text);
        for error in errors {
            let span = error.span().unwrap_or_default();
            let line = self.line(span.start);
            let source = self.text.lines().nth(line - 1).unwrap_or_default();
            self.fault(&span, String::new(), source, error.message());
            self.broken.borrow_mut().insert(line);
        }
        table
    }

    pub fn top<'r>(&'r self, table: &'r DeTable<'a>) -> Table<'a, 'r> {
        Table { reader: self, path: String::new(), entries: Some(table), asked: RefCell::default() }
    }

    /// All faults, in order of line.
    pub fn into_errors(self) -> Vec<ConfigError> {
        let mut errors = self.errors.into_inner();
        errors.sort_by_key(|error| error.line);
        errors
    }

    fn fault(&self, span: &Range<usize>, key: String, value: &str, why: impl Into<String>) {
        let line = self.line(span.start);
        if !self.broken.borrow().contains(&line) {
            let error = ConfigError::of_file(self.file, why).at(Some(line), key, value);
            self.errors.borrow_mut().push(error);
        }
    }

    fn line(&self, offset: usize) -> usize {
        let before = self.text.as_bytes().get(..offset).unwrap_or_default();
        before.iter().filter(|byte| **byte == b'\n').count() + 1
    }
}

impl<'a, 'r> Table<'a, 'r> {
    /// Whether the file gives this key.
    pub fn has(&self, key: &'static str) -> bool {
        self.entries.is_some_and(|entries| entries.contains_key(key))
    }

    /// Notes a fault of a key of this table; of the table as a whole when the file does not have the key.
    pub fn fault(&self, key: &str, why: impl Into<String>) {
        match self.entries.and_then(|entries| entries.get_key_value(key)) {
            Some((_, value)) => self.fault_at(value, self.path_of(key), why),
            None => {
                let first = self.entries.and_then(|entries| entries.keys().next());
                let span = first.map_or(0..0, Spanned::span);
                self.reader.fault(&span, self.path_of(key), "", why);
            }
        }
    }

    /// Notes a fault of a key of one table of an array of tables.
    pub fn fault_below(&self, tables: &str, index: usize, key: &str, why: impl Into<String>) {
        let path = format!("{}[{index}].{key}", self.path_of(tables));
        let item = self.entries.and_then(|entries| entries.get(tables)?.get_ref().get(index));
        match item.map(|item| (item, item.get_ref().get(key))) {
            Some((_, Some(value))) => self.fault_at(value, path, why),
            Some((item, None)) => self.reader.fault(&item.span(), path, "", why),
            None => self.fault(tables, why),
        }
    }

    /// Whether the file gives this key as a list without items.
    pub fn is_empty_list(&self, key: &str) -> bool {
        let list = self.entries.and_then(|entries| entries.get(key)?.get_ref().as_array());
        list.is_some_and(|list| list.is_empty())
    }

    fn fault_at(&self, value: &Value<'a>, path: String, why: impl Into<String>) {
        let span = value.span();
        let source = self.reader.text.get(span.clone()).unwrap_or_default();
        self.reader.fault(&span, path, source, why);
    }

    fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    fn get(&self, key: &'static str) -> Option<&'r Value<'a>> {
        self.asked.borrow_mut().push(key);
        let value = self.entries.and_then(|entries| entries.get(key));
        #[cfg(test)]
        if value.is_none() {
            self.reader.not_given.borrow_mut().push(self.path_of(key));
        }
        value
    }

    /// The key's value as `read` takes it; what `read` objects to is noted as a fault.
    fn read<T>(
        &self,
        key: &'static str,
        read: impl FnOnce(&'r DeValue<'a>) -> Result<T, String>,
    ) -> Option<T> {
        let value = self.get(key)?;
        read(value.get_ref()).map_err(|why| self.fault_at(value, self.path_of(key), why)).ok()
    }

    /// A string that `parse` takes.
    pub fn parsed<T>(
        &self,
        key: &'static str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        self.read(key, |value| parse(string(value)?))
    }

    /// A list of strings that `parse` takes; each bad one is a fault of its own.
    pub fn parsed_list<T>(
        &self,
        key: &'static str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Option<Vec<T>> {
        let items = self.read(key, |value| {
            value.as_array().ok_or_else(|| wrong_type("a list of strings", value))
        })?;
        let mut good = Vec::new();
        for (index, item) in items.iter().enumerate() {
            match string(item.get_ref()).and_then(&parse) {
                Ok(parsed) => good.push(parsed),
                Err(why) => self.fault_at(item, format!("{}[{index}]", self.path_of(key)), why),
            }
        }
        Some(good)
    }

    /// One of a few words. Words of `later` belong to the contract and are refused until what they name is there.
    pub fn choice<T: Copy>(
        &self,
        key: &'static str,
        default: T,
        words: &[(&str, T)],
        later: &[&str],
    ) -> T {
        let choose = |text: &str| {
            if let Some((_, choice)) = words.iter().find(|(word, _)| *word == text) {
                return Ok(*choice);
            }
            let words: Vec<String> = words.iter().map(|(word, _)| format!("{word:?}")).collect();
            let words = words.join(" or ");
            if later.contains(&text) {
                return Err(format!("this version does not have it yet, only {words}"));
            }
            Err(format!("expected {words}"))
        };
        self.parsed(key, choose).unwrap_or(default)
    }

    pub fn boolean(&self, key: &'static str, default: bool) -> bool {
        let read =
            |value: &DeValue<'_>| value.as_bool().ok_or_else(|| wrong_type("true or false", value));
        self.read(key, read).unwrap_or(default)
    }

    /// A number in a range.
    pub fn number(&self, key: &'static str, default: usize, range: RangeInclusive<usize>) -> usize {
        let read = |value: &DeValue<'_>| {
            let number = integer(value).ok_or_else(|| wrong_type("a whole number", value))?;
            let number = number.try_into().ok().filter(|number| range.contains(number));
            number.ok_or_else(|| format!("must be from {} to {}", range.start(), range.end()))
        };
        self.read(key, read).unwrap_or(default)
    }

    /// A number of octets in a range, `"64KiB"` or a plain number.
    pub fn size(&self, key: &'static str, default: u64, range: RangeInclusive<u64>) -> u64 {
        let read = |value: &DeValue<'_>| {
            let size = match (integer(value), value.as_str()) {
                (Some(octets), _) => u64::try_from(octets).map_err(|_| "must not be negative")?,
                (None, Some(text)) => parse_size(text)?,
                (None, None) => {
                    return Err(wrong_type("octets as a number or as \"64KiB\"", value));
                }
            };
            let (low, high) = (show_size(*range.start()), show_size(*range.end()));
            range.contains(&size).then_some(size).ok_or(format!("must be from {low} to {high}"))
        };
        self.read(key, read).unwrap_or(default)
    }

    /// A span of time in a range, `"300s"`.
    pub fn span(
        &self,
        key: &'static str,
        default: Duration,
        range: RangeInclusive<Duration>,
    ) -> Duration {
        let parse = |text: &str| {
            let span = humantime::parse_duration(text)
                .map_err(|error| format!("expected a span of time such as \"90s\": {error}"))?;
            let (low, high) = (*range.start(), *range.end());
            range.contains(&span).then_some(span).ok_or_else(|| {
                let show = humantime::format_duration;
                format!("must be from {} to {}", show(low), show(high))
            })
        };
        self.parsed(key, parse).unwrap_or(default)
    }

    /// A table inside this one.
    pub fn table(&self, key: &'static str) -> Self {
        let read = |value: &'r DeValue<'a>| {
            value.as_table().ok_or_else(|| wrong_type(&format!("a table, [{key}]"), value))
        };
        let entries = self.read(key, read);
        Self { reader: self.reader, path: self.path_of(key), entries, asked: RefCell::default() }
    }

    /// The tables of an array of tables; `None` when the file has none.
    pub fn tables(&self, key: &'static str) -> Option<Vec<Self>> {
        let items = self.read(key, |value| {
            value.as_array().ok_or_else(|| wrong_type(&format!("tables, [[{key}]]"), value))
        })?;
        let table = |(index, item): (usize, &'r Value<'a>)| {
            let path = format!("{}[{index}]", self.path_of(key));
            let Some(entries) = item.get_ref().as_table() else {
                let why = wrong_type(&format!("a table, [[{key}]]"), item.get_ref());
                self.fault_at(item, path, why);
                return None;
            };
            let asked = RefCell::default();
            Some(Self { reader: self.reader, path, entries: Some(entries), asked })
        };
        Some(items.iter().enumerate().filter_map(table).collect())
    }

    /// Call when every key has been asked for: what is left is unknown.
    pub fn done(self) {
        let asked = self.asked.borrow();
        for key in self.entries.into_iter().flat_map(DeTable::keys) {
            let name = key.get_ref().as_ref();
            if asked.contains(&name) {
                continue;
            }
            // A table's text would be the rest of the section.
            let value = self.entries.and_then(|entries| entries.get(name));
            let value = value.filter(|value| !value.get_ref().is_table());
            let source = value.and_then(|value| self.reader.text.get(value.span()));
            let why = match near(name, asked.iter().copied()).first() {
                Some(near) => format!("unknown key; did you mean {near}?"),
                None => format!("unknown key; known here: {}", asked.join(", ")),
            };
            self.reader.fault(&key.span(), self.path_of(name), source.unwrap_or_default(), why);
        }
    }
}

fn string<'v>(value: &'v DeValue<'_>) -> Result<&'v str, String> {
    value.as_str().ok_or_else(|| wrong_type("a string", value))
}

fn integer(value: &DeValue<'_>) -> Option<i64> {
    let integer = value.as_integer()?;
    // Beyond 64 bits it is out of every range.
    Some(i64::from_str_radix(integer.as_str(), integer.radix()).unwrap_or(i64::MAX))
}

fn wrong_type(expected: &str, found: &DeValue<'_>) -> String {
    format!("expected {expected}, found {} {}", article(found.type_str()), found.type_str())
}

fn article(noun: &str) -> &'static str {
    if noun.starts_with(['a', 'i']) { "an" } else { "a" }
}
