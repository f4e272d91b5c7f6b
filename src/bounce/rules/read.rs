//! The file as written: every field with its line, and every fault of form at once.

use serde::Deserialize;
use serde::de::IntoDeserializer as _;
use serde::de::value::{Error as ValueError, StrDeserializer};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::RuleFault;
use crate::bounce::{Category, Scope, Stage};

/// Rules of one file; the built-in ones are less than a hundred, and each costs a millisecond to compile.
const RULES_MAX: usize = 1000;

/// A string of the file, and where it stands.
#[derive(Clone, Debug)]
pub struct Text {
    /// The line, from 1.
    pub line: usize,
    /// The key, with the rule it belongs to: `rule "a", text[1]`.
    pub key: String,
    /// As it stands in the file.
    pub source: String,
    /// What it says.
    pub value: String,
}

impl Text {
    /// A fault of it.
    pub fn fault(&self, why: impl Into<String>) -> RuleFault {
        let (key, value) = (self.key.clone(), self.source.clone());
        RuleFault { line: self.line, key, value, why: why.into() }
    }
}

/// A file of rules. `config/classification.toml` explains every field.
#[derive(Debug, Default)]
pub struct File {
    pub replace: bool,
    pub disable: Vec<Text>,
    /// Each list with its name.
    pub words: Vec<(Text, Vec<Text>)>,
    pub noise: Vec<Text>,
    pub rules: Vec<Written>,
}

/// A rule as written.
#[derive(Debug)]
pub struct Written {
    pub name: Text,
    /// None only where there is a fault.
    pub category: Option<Category>,
    pub scope: Option<Scope>,
    pub whole: bool,
    pub text: Vec<Text>,
    pub raw: Vec<Text>,
    pub except: Vec<Text>,
    pub codes: Vec<Text>,
    pub status: Vec<Text>,
    pub stages: Vec<Stage>,
    pub receivers: Vec<Text>,
    pub specimens: Vec<Text>,
    pub not: Vec<Text>,
    pub over: Vec<Text>,
    /// Whether something of it could not be read.
    pub broken: bool,
}

const FILE_KEYS: &[&str] = &["replace", "disable", "words", "noise", "rule"];
const RULE_KEYS: &[&str] = &[
    "name",
    "category",
    "scope",
    "whole",
    "text",
    "raw",
    "except",
    "codes",
    "status",
    "stages",
    "receivers",
    "specimens",
    "not",
    "over",
];

/// Reads a file. What is not TOML is told alone: what else such a file says cannot be known.
pub fn read(text: &str) -> (File, Vec<RuleFault>) {
    let (table, errors) = DeTable::parse_recoverable(text);
    let mut reader = Reader::new(text);
    if !errors.is_empty() {
        for error in errors {
            let line = reader.line(error.span().unwrap_or_default().start);
            let source = text.lines().nth(line - 1).unwrap_or_default().trim().to_owned();
            let why = error.message().to_owned();
            reader.faults.push(RuleFault { line, key: String::new(), value: source, why });
        }
        return (File::default(), reader.faults);
    }
    let top = Table { path: String::new(), entries: table.get_ref() };
    reader.unknown(&top, FILE_KEYS);
    let file = File {
        replace: reader.boolean(&top, "replace"),
        disable: reader.strings(&top, "disable"),
        words: reader.words(&top),
        noise: reader.strings(&top, "noise"),
        rules: reader.rules(&top),
    };
    (file, reader.faults)
}

struct Reader<'t> {
    text: &'t str,
    /// Where each line but the first begins.
    starts: Vec<usize>,
    faults: Vec<RuleFault>,
}

struct Table<'r, 'a> {
    path: String,
    entries: &'r DeTable<'a>,
}

impl Table<'_, '_> {
    fn key(&self, key: &str) -> String {
        format!("{}{key}", self.path)
    }
}

impl<'t> Reader<'t> {
    fn new(text: &'t str) -> Self {
        let ends = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        Self { text, starts: ends.map(|(at, _)| at + 1).collect(), faults: Vec::new() }
    }

    fn line(&self, at: usize) -> usize {
        1 + self.starts.partition_point(|start| *start <= at)
    }

    fn placed<T>(&self, key: String, item: &Spanned<T>, value: &str) -> Text {
        let span = item.span();
        let source = self.text.get(span.clone()).unwrap_or_default().to_owned();
        Text { line: self.line(span.start), key, source, value: value.to_owned() }
    }

    fn fault<T>(&mut self, key: String, item: &Spanned<T>, why: String) {
        let fault = self.placed(key, item, "").fault(why);
        self.faults.push(fault);
    }

    fn wrong_type(&mut self, key: String, item: &Spanned<DeValue<'_>>, expected: &str) {
        let why = format!("expected {expected}, found: {}", item.get_ref().type_str());
        self.fault(key, item, why);
    }

    fn unknown(&mut self, table: &Table<'_, '_>, known: &[&str]) {
        for key in table.entries.keys() {
            let name = key.get_ref().as_ref();
            if !known.contains(&name) {
                let why = format!("unknown key; known here: {}", known.join(", "));
                let at = Text { source: String::new(), ..self.placed(table.key(name), key, name) };
                self.faults.push(at.fault(why));
            }
        }
    }

    fn boolean(&mut self, table: &Table<'_, '_>, key: &str) -> bool {
        let Some(item) = table.entries.get(key) else { return false };
        item.get_ref().as_bool().unwrap_or_else(|| {
            self.wrong_type(table.key(key), item, "true or false");
            false
        })
    }

    fn string(&mut self, key: String, item: &Spanned<DeValue<'_>>) -> Option<Text> {
        match item.get_ref().as_str() {
            Some(value) => Some(self.placed(key, item, value)),
            None => {
                self.wrong_type(key, item, "a string");
                None
            }
        }
    }

    fn strings(&mut self, table: &Table<'_, '_>, key: &str) -> Vec<Text> {
        let Some(item) = table.entries.get(key) else { return Vec::new() };
        let Some(items) = item.get_ref().as_array() else {
            self.wrong_type(table.key(key), item, "a list of strings");
            return Vec::new();
        };
        let path = table.key(key);
        let read = |(index, item)| self.string(format!("{path}[{index}]"), item);
        items.iter().enumerate().filter_map(read).collect()
    }

    /// A word that is one of a few, by the name that it has in rules.
    fn word<T: for<'d> Deserialize<'d>>(&mut self, text: &Text) -> Option<T> {
        let words: StrDeserializer<'_, ValueError> = text.value.as_str().into_deserializer();
        T::deserialize(words).map_err(|error| self.faults.push(text.fault(error.to_string()))).ok()
    }

    fn named<T: for<'d> Deserialize<'d>>(&mut self, table: &Table<'_, '_>, key: &str) -> Option<T> {
        let text = self.string(table.key(key), table.entries.get(key)?)?;
        self.word(&text)
    }

    fn words(&mut self, top: &Table<'_, '_>) -> Vec<(Text, Vec<Text>)> {
        let Some(item) = top.entries.get("words") else { return Vec::new() };
        let Some(entries) = item.get_ref().as_table() else {
            self.wrong_type("words".to_owned(), item, "a table, [words]");
            return Vec::new();
        };
        let table = Table { path: "words.".to_owned(), entries };
        let names = entries.keys().map(|key| {
            let name = key.get_ref().as_ref();
            let at = Text { source: String::new(), ..self.placed(table.key(name), key, name) };
            (at, self.strings(&table, name))
        });
        names.collect()
    }

    fn rules(&mut self, top: &Table<'_, '_>) -> Vec<Written> {
        let Some(item) = top.entries.get("rule") else { return Vec::new() };
        let Some(items) = item.get_ref().as_array() else {
            self.wrong_type("rule".to_owned(), item, "tables, [[rule]]");
            return Vec::new();
        };
        if items.len() > RULES_MAX {
            let why = format!("{} rules, {RULES_MAX} at most", items.len());
            self.fault("rule".to_owned(), item, why);
            return Vec::new();
        }
        let mut rules = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            match item.get_ref().as_table() {
                Some(entries) => rules.push(self.rule(index, item, entries)),
                None => self.wrong_type(format!("rule[{index}]"), item, "a table, [[rule]]"),
            }
        }
        rules
    }

    fn rule(
        &mut self,
        index: usize,
        item: &Spanned<DeValue<'_>>,
        entries: &DeTable<'_>,
    ) -> Written {
        let before = self.faults.len();
        let name = self.name(index, item, entries);
        let table = Table { path: format!("{}, ", name.key), entries };
        self.unknown(&table, RULE_KEYS);
        if !entries.contains_key("category") {
            self.faults.push(name.fault("has no category"));
        }
        let stages = self.strings(&table, "stages");
        let mut strings = |key| self.strings(&table, key);
        let (text, raw, except) = (strings("text"), strings("raw"), strings("except"));
        let (codes, status, receivers) =
            (strings("codes"), strings("status"), strings("receivers"));
        let (specimens, not, over) = (strings("specimens"), strings("not"), strings("over"));
        let mut rule = Written {
            category: self.named(&table, "category"),
            scope: self.named(&table, "scope"),
            whole: self.boolean(&table, "whole"),
            stages: stages.iter().filter_map(|stage| self.word(stage)).collect(),
            broken: false,
            name,
            text,
            raw,
            except,
            codes,
            status,
            receivers,
            specimens,
            not,
            over,
        };
        rule.broken = self.faults.len() > before;
        rule
    }

    /// The name of a rule; in its place where there is none, which of the rules it is.
    fn name(&mut self, index: usize, item: &Spanned<DeValue<'_>>, entries: &DeTable<'_>) -> Text {
        let place = format!("rule[{index}]");
        let Some(name) = entries.get("name") else {
            let line = self.line(item.span().start);
            let whole = Text { line, key: place, source: String::new(), value: String::new() };
            self.faults.push(whole.fault("has no name"));
            return whole;
        };
        let Some(mut name) = self.string(format!("{place}.name"), name) else {
            return self.placed(place, name, "");
        };
        let fits = |character: char| character.is_ascii_alphanumeric() || "-_.".contains(character);
        if name.value.is_empty() || name.value.len() > 64 || !name.value.chars().all(fits) {
            self.faults.push(name.fault("a name is up to 64 letters, digits, -, _ or ."));
        }
        name.key = format!("rule {:?}", name.value);
        name.source = String::new();
        name
    }
}
