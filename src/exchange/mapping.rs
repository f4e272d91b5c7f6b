//! Which column means what, and which value stands for which kind: as the operator says, else as the exporter is known to write.

use super::formats::{self, Form, Format};
use super::heading;
use crate::event::ImportKind;

/// What a row can say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Field {
    /// The address; the one that must be there.
    Address,
    /// What the other system says of it.
    Kind,
    /// Since when.
    At,
    /// Until when.
    Until,
    /// The reason or the reply that the other system kept.
    Reason,
    /// The tenant.
    Tenant,
    /// The category, by its name.
    Category,
    /// The ground of a standing; only this program's own export has it.
    Ground,
}

/// What a value of the column of kinds stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// A kind.
    Kind(ImportKind),
    /// Nothing to import.
    Skip,
}

/// What the operator says about a file. The default says nothing: its columns must tell.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// Whose file it is.
    pub format: Option<Format>,
    /// Which columns to read, each by its name or as `#2`; several are joined.
    pub columns: Vec<(Field, Vec<String>)>,
    /// What all rows are, where no column says it.
    pub kind: Option<ImportKind>,
    /// What values of the column of kinds stand for, before the words that are known.
    pub values: Vec<(String, Meaning)>,
    /// Whether an unsubscribe may be called something that goes into the quarantine.
    pub force_unsubscribes: bool,
}

/// How to read the rows of one file.
#[derive(Clone, Debug)]
pub(super) struct Mapping {
    /// In words, for the report.
    pub form: String,
    pub columns: Vec<(Field, Vec<String>)>,
    pub kinds: Kinds,
    /// The gate's own file, whose texts were made harmless for spreadsheets.
    pub own: bool,
}

/// What rows are: all the same, or as a column says.
#[derive(Clone, Debug)]
pub(super) enum Kinds {
    All(ImportKind),
    /// Words in the form that `normal` gives them.
    Told(Vec<(String, Meaning)>),
}

/// What is known of a file before its first row is read.
#[derive(Clone, Debug)]
pub(super) struct Head {
    /// The names of its columns; `#1`, `#2` where it has no heading.
    pub names: Vec<String>,
    /// The cells of the first row, where it has no heading.
    pub first: Option<Vec<String>>,
    /// Whether it holds JSON lines.
    pub json: bool,
}

/// The words that are understood in every file.
const WORDS: &[(&str, Meaning)] = &[
    ("hard", Meaning::Kind(ImportKind::Hard)),
    ("hardbounce", Meaning::Kind(ImportKind::Hard)),
    ("hardbounced", Meaning::Kind(ImportKind::Hard)),
    ("soft", Meaning::Kind(ImportKind::Soft)),
    ("softbounce", Meaning::Kind(ImportKind::Soft)),
    ("softbounced", Meaning::Kind(ImportKind::Soft)),
    ("blocked", Meaning::Kind(ImportKind::Blocked)),
    ("suppressed", Meaning::Kind(ImportKind::Blocked)),
    ("complaint", Meaning::Kind(ImportKind::Complaint)),
    ("complained", Meaning::Kind(ImportKind::Complaint)),
    ("spamcomplaint", Meaning::Kind(ImportKind::Complaint)),
    ("unsubscribe", Meaning::Kind(ImportKind::Unsubscribe)),
    ("unsubscribed", Meaning::Kind(ImportKind::Unsubscribe)),
    ("optout", Meaning::Kind(ImportKind::Unsubscribe)),
    ("optedout", Meaning::Kind(ImportKind::Unsubscribe)),
    ("active", Meaning::Kind(ImportKind::Active)),
    ("subscribed", Meaning::Kind(ImportKind::Active)),
    ("allowed", Meaning::Kind(ImportKind::Allowed)),
    ("skip", Meaning::Skip),
];

/// Reads `address=Email`; several columns are joined as in `reason=code+error`.
///
/// # Errors
/// Says what such a mapping looks like.
pub fn column(text: &str) -> Result<(Field, Vec<String>), String> {
    let known = "address, kind, at, until, reason, tenant and category";
    let usage = || format!("expected FIELD=COLUMN, with the fields {known}");
    let (field, columns) = text.split_once('=').ok_or_else(usage)?;
    let field = match field.trim() {
        "address" => Field::Address,
        "kind" => Field::Kind,
        "at" => Field::At,
        "until" => Field::Until,
        "reason" => Field::Reason,
        "tenant" => Field::Tenant,
        "category" => Field::Category,
        _ => return Err(usage()),
    };
    let columns: Vec<String> = columns.split('+').map(|name| name.trim().to_owned()).collect();
    if columns.iter().any(String::is_empty) { Err(usage()) } else { Ok((field, columns)) }
}

/// Reads `HardBounce=hard`.
///
/// # Errors
/// Says what such a mapping looks like.
pub fn value(text: &str) -> Result<(String, Meaning), String> {
    let usage = || {
        let kinds = ImportKind::ALL.map(ImportKind::name).join(", ");
        format!("expected VALUE=KIND, with the kinds {kinds}, or skip")
    };
    let (word, kind) = text.rsplit_once('=').ok_or_else(usage)?;
    let meaning = match kind.trim() {
        "skip" => Meaning::Skip,
        name => Meaning::Kind(ImportKind::named(name).ok_or_else(usage)?),
    };
    Ok((word.trim().to_owned(), meaning))
}

/// Lower case, without what exporters put between words.
pub(super) fn normal(word: &str) -> String {
    let kept = word.chars().filter(|c| !c.is_whitespace() && !matches!(c, '_' | '-'));
    kept.flat_map(char::to_lowercase).collect()
}

impl Mapping {
    /// How to read a file that begins like this.
    pub fn settle(wanted: &Wanted, head: &Head) -> Result<Self, String> {
        let mut form = recognised(wanted, head)?;
        // An exporter's other columns are known to say nothing; those of anybody's table may.
        let mut unread = String::new();
        let columns = match form {
            _ if !wanted.columns.is_empty() => wanted.columns.clone(),
            // Not all of its columns need be there.
            Some(form) => form.columns(&head.names),
            None => {
                let plain = in_plain_words(wanted, head).ok_or_else(|| strange(head))?;
                form = Some(&formats::PLAIN);
                unread = not_read(&plain, head);
                plain
            }
        };
        check_columns(&columns, head)?;
        let told = columns.iter().any(|(field, _)| *field == Field::Kind);
        let kinds = match (wanted.kind, form) {
            (Some(_), _) if told => {
                return Err(
                    "--kind is for files that do not say it: this one has a column for it, \
                     whose words --value VALUE=KIND explains"
                        .to_owned(),
                );
            }
            (Some(kind), form) => {
                Kinds::All(unforced(wanted, kind, form.and_then(|form| form.all))?)
            }
            (None, form) if told => Kinds::Told(words(wanted, form)?),
            (None, Some(form)) => {
                Kinds::All(form.all.ok_or_else(|| format!("{}: {}", form.name, form.ask))?)
            }
            (None, None) => return Err(no_kind()),
        };
        let told = form.filter(|_| wanted.columns.is_empty());
        let name = told.map_or("columns as told", |form| form.name).to_owned() + &unread;
        let own = form.is_some_and(|form| form.format == Format::Rcptgate);
        Ok(Self { form: name, columns, kinds, own })
    }
}

impl Kinds {
    /// What a word of the file stands for; a word of several columns is looked up whole, then by its first.
    pub fn meaning(&self, word: &str) -> Option<Meaning> {
        let words = match self {
            Self::All(kind) => return Some(Meaning::Kind(*kind)),
            Self::Told(words) => words,
        };
        let look_up = |word: &str| {
            let word = normal(word);
            words.iter().find(|(known, _)| *known == word).map(|(_, meaning)| *meaning)
        };
        look_up(word).or_else(|| look_up(word.split_once('/')?.0))
    }
}

fn recognised(wanted: &Wanted, head: &Head) -> Result<Option<&'static Form>, String> {
    if wanted.format.is_some_and(|format| format.is_json().is_some_and(|json| json != head.json)) {
        let found = if head.json { "JSON lines" } else { "CSV" };
        return Err(format!("it is {found}, not what --format says"));
    }
    let form = formats::recognise(wanted.format, head);
    if !wanted.columns.is_empty() {
        // Whatever is read of it, what its words mean is known.
        return Ok(form);
    }
    if form.is_none() && head.first.is_some() && head.names.len() == 1 {
        return Ok(Some(formats::bare()));
    }
    match wanted.format {
        Some(format) if form.is_none() && format.is_json().is_none() => Err(format!(
            "no file of {} that is known has these columns: {}",
            format.name(),
            head.names.join(", ")
        )),
        Some(_) | None => Ok(form),
    }
}

/// The columns of a table whose heading says it in plain words. A JSON object has no heading: what the first one lacks others may say.
fn in_plain_words(wanted: &Wanted, head: &Head) -> Option<Vec<(Field, Vec<String>)>> {
    let exporter = wanted.format.is_some_and(|format| format.is_json().is_none());
    if head.json || exporter { None } else { heading::columns(&head.names) }
}

fn check_columns(columns: &[(Field, Vec<String>)], head: &Head) -> Result<(), String> {
    if !columns.iter().any(|(field, _)| *field == Field::Address) {
        return Err("--columns must say address=COLUMN".to_owned());
    }
    // A JSON object may lack what the first one lacks too; the address is looked for in each.
    for name in columns.iter().flat_map(|(_, names)| names).filter(|_| !head.json) {
        if position(&head.names, name).is_none() {
            return Err(format!("no column {name:?}; there are: {}", head.names.join(", ")));
        }
    }
    Ok(())
}

/// Where a column is: by its name, whatever its case, or as `#2`.
pub(super) fn position(names: &[String], wanted: &str) -> Option<usize> {
    let named = names.iter().position(|name| name.trim().eq_ignore_ascii_case(wanted));
    let number = || wanted.strip_prefix('#')?.parse::<usize>().ok()?.checked_sub(1);
    named.or_else(|| number().filter(|at| *at < names.len()))
}

/// The words of a file: the operator's, the exporter's, those of everybody.
fn words(wanted: &Wanted, form: Option<&Form>) -> Result<Vec<(String, Meaning)>, String> {
    let known = form.map_or(&[][..], |form| form.words);
    let general = known.iter().chain(WORDS).map(|(word, meaning)| (normal(word), *meaning));
    let mut words = Vec::new();
    for (word, meaning) in &wanted.values {
        let own = general.clone().find(|(known, _)| *known == normal(word));
        let meant = match (own, is_unsubscribe(word)) {
            (Some((_, Meaning::Kind(kind))), _) => Some(kind),
            (_, true) => Some(ImportKind::Unsubscribe),
            (_, false) => None,
        };
        let meaning = match meaning {
            Meaning::Kind(kind) => Meaning::Kind(unforced(wanted, *kind, meant)?),
            Meaning::Skip => Meaning::Skip,
        };
        words.push((normal(word), meaning));
    }
    words.extend(general);
    Ok(words)
}

fn is_unsubscribe(word: &str) -> bool {
    let word = normal(word);
    ["unsub", "optout", "optedout"].into_iter().any(|part| word.contains(part))
}

/// What is called by another kind than it is. An unsubscribe says nothing about the mailbox, and quarantine is shared by all tenants.
fn unforced(
    wanted: &Wanted,
    called: ImportKind,
    is: Option<ImportKind>,
) -> Result<ImportKind, String> {
    let quarantines = matches!(called, ImportKind::Hard | ImportKind::Soft | ImportKind::Blocked);
    if is != Some(ImportKind::Unsubscribe) || !quarantines {
        return Ok(called);
    }
    if wanted.force_unsubscribes {
        // It stays known for what it is.
        return Ok(ImportKind::Unsubscribe);
    }
    Err(format!(
        "these are unsubscribes, and {} would quarantine them for all tenants; they belong on the blacklist of one. \
         --force-unsubscribes-into-quarantine does it all the same",
        called.name()
    ))
}

/// The columns that are not read, if there are any.
fn not_read(columns: &[(Field, Vec<String>)], head: &Head) -> String {
    let read: Vec<&String> = columns.iter().flat_map(|(_, names)| names).collect();
    let unread: Vec<&str> =
        head.names.iter().filter(|name| !read.contains(name)).map(String::as_str).collect();
    if unread.is_empty() { String::new() } else { format!(" (not read: {})", listed(&unread)) }
}

fn listed(names: &[impl AsRef<str>]) -> String {
    let names: Vec<&str> = names.iter().map(AsRef::as_ref).collect();
    let mut listed = names.join(", ");
    listed.truncate(listed.floor_char_boundary(1000));
    listed
}

fn strange(head: &Head) -> String {
    let found = listed(&head.names);
    format!(
        "the columns are of no exporter that is known ({found}): say what they mean, as in \
         --columns address=Email,kind=Status,at=Date,reason=Reason"
    )
}

fn no_kind() -> String {
    let kinds = ImportKind::ALL.map(ImportKind::name).join(", ");
    format!("no column says what the rows are: say --kind KIND, one of {kinds}")
}
