//! What becomes of all rows of a file.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::BuildHasher as _;
use std::io::Read;

use foldhash::fast::RandomState;
use serde::Serialize;

use super::compare::Comes;
use super::fault::{Fault, Faults, ReadError};
use super::plan::{Becomes, Entry, Outcome, Terms};
use super::reader::Reader;
use crate::policy::Policy;
use crate::smtp::address::RecipientKey;
use crate::time::Timestamp;

/// Domains and tenants that are told apart; rows of further ones are counted together.
const NAMES_MAX: usize = 20_000;
/// Domains and tenants that are shown.
const SHOWN: usize = 10;
/// Addresses among which repeated ones are counted.
const ADDRESSES_MAX: usize = 1_000_000;
/// Examples of each kind.
const EXAMPLES: usize = 3;
/// How often progress is told, in rows.
const EVERY: u64 = 4096;
/// Entries that are asked about at once.
const GROUP: usize = 500;

/// What an import would do, or why it cannot.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Report {
    /// The source.
    pub source: String,
    /// The name of the import.
    pub batch: String,
    /// The form of the file, in words.
    pub form: String,
    /// Rows, without the heading.
    pub rows: u64,
    /// Rows that would be kept.
    pub entries: u64,
    /// By kind.
    pub kinds: BTreeMap<&'static str, OfKind>,
    /// Rows that do nothing, by the reason.
    pub nothing: BTreeMap<&'static str, u64>,
    /// Entries by tenant.
    pub tenants: Vec<Count>,
    /// The domains with most rows.
    pub domains: Vec<Count>,
    /// The earliest date.
    pub from: Option<Timestamp>,
    /// The latest date.
    pub to: Option<Timestamp>,
    /// Entries without a date, which count from the import on.
    pub undated: u64,
    /// Rows whose address came before, among the first million addresses.
    pub repeated: u64,
    /// Whether the gate said what it knows already, of all entries.
    pub compared: bool,
    /// What is wrong.
    pub faults: Faults,
}

/// The rows of one kind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct OfKind {
    /// How many.
    pub rows: u64,
    /// What they become, of addresses of which nothing is known.
    pub becomes: BTreeMap<&'static str, u64>,
    /// Those of them that are so already: by what the gate knows, with whatever end that has, or by a row before.
    pub already: BTreeMap<&'static str, u64>,
    /// Those that are so already for another reason, to which the row is added: what lifts the one need not lift the other.
    pub added: BTreeMap<&'static str, u64>,
    /// Those that do nothing although it is not so: a release, a delivery or a newer entry answers them.
    pub answered: BTreeMap<&'static str, u64>,
    /// The first few addresses.
    pub examples: Vec<String>,
}

/// How many rows have a name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Count {
    /// The name; empty for all that are not told apart.
    pub name: String,
    /// How many.
    pub rows: u64,
}

/// Says what comes of each of some entries, as far as the gate knows; nothing when it cannot be asked.
pub type Known<'a> = dyn FnMut(&[Entry]) -> Option<Vec<Comes>> + 'a;

/// Reads a file to its end and counts. `known` is asked about the entries, a few hundred at a time, until it cannot say: then nothing is
/// compared. `progress` is told how many bytes were read, now and then.
///
/// # Errors
/// When reading fails; what is wrong with rows is in the report.
pub fn survey<R: Read>(
    reader: &mut Reader<R>,
    terms: &Terms,
    policy: &Policy,
    mut known: Option<&mut Known<'_>>,
    mut progress: impl FnMut(u64),
) -> Result<Report, std::io::Error> {
    let mut counting = Counting::default();
    let mut report = Report {
        compared: known.is_some(),
        source: terms.source.clone(),
        batch: terms.batch.clone(),
        form: reader.form().to_owned(),
        ..Report::default()
    };
    loop {
        let fault: Fault = match reader.outcome(terms, policy) {
            Ok(None) => break,
            Ok(Some(Ok(outcome))) => {
                report.rows += 1;
                counting.take(&mut report, outcome);
                if counting.waiting.len() >= GROUP {
                    counting.ask(&mut report, &mut known);
                }
                if report.rows.is_multiple_of(EVERY) {
                    progress(reader.bytes());
                }
                continue;
            }
            Ok(Some(Err(fault))) => fault,
            Err(ReadError::Row(fault)) => {
                report.rows += 1;
                report.faults.push(fault);
                break;
            }
            Err(ReadError::Form(why)) => return Err(std::io::Error::other(why)),
            Err(ReadError::Io(error)) => return Err(error),
        };
        report.rows += 1;
        report.faults.push(fault);
    }
    counting.ask(&mut report, &mut known);
    progress(reader.bytes());
    report.domains = counting.domains.most();
    report.tenants = counting.tenants.most();
    Ok(report)
}

#[derive(Default)]
struct Counting {
    domains: Names,
    tenants: Names,
    hasher: RandomState,
    seen: HashSet<u64, RandomState>,
    /// What the rows before come to, by address and tenant; whether any of them does, as far as the gate knows.
    come: HashMap<u64, bool, RandomState>,
    /// Rows that come to what a row before does, whatever the gate knows.
    again: BTreeMap<&'static str, BTreeMap<&'static str, u64>>,
    /// Entries that are not asked about yet.
    waiting: Vec<Entry>,
}

#[derive(Default)]
struct Names {
    counts: HashMap<String, u64, RandomState>,
    further: u64,
}

impl Counting {
    fn take(&mut self, report: &mut Report, outcome: Outcome) {
        match outcome {
            Outcome::Nothing(address, kind, idle) => {
                *report.nothing.entry(idle.name()).or_default() += 1;
                if let Some(kind) = kind {
                    report.kinds.entry(kind.name()).or_default().add(&address);
                }
                self.address(report, &address);
            }
            Outcome::Entry(entry) => {
                report.entries += 1;
                let kind = report.kinds.entry(entry.imported.kind.name()).or_default();
                kind.add(&entry.address);
                *kind.becomes.entry(entry.becomes.name()).or_default() += 1;
                match entry.imported.dated {
                    Some(dated) => {
                        report.from = Some(report.from.map_or(dated, |from| from.min(dated)));
                        report.to = report.to.max(Some(dated));
                    }
                    None => report.undated += 1,
                }
                self.tenants.add(&entry.tenant.0);
                self.address(report, &entry.address);
                self.waiting.push(*entry);
            }
        }
    }

    /// Counts those that are so already. A reset never is: what it clears may have come since.
    fn ask(&mut self, report: &mut Report, known: &mut Option<&mut Known<'_>>) {
        let entries = std::mem::take(&mut self.waiting);
        let comes = known.as_mut().and_then(|known| known(&entries));
        if comes.is_none() && known.take().is_some() {
            self.compare_no_more(report);
        }
        let mut comes = comes.unwrap_or_default().into_iter();
        for entry in &entries {
            let comes = comes.next().unwrap_or(Comes::New);
            if entry.becomes == Becomes::Reset {
                continue;
            }
            let (kind, becomes) = (entry.imported.kind.name(), entry.becomes.name());
            let before = self.before(entry, comes != Comes::Answered);
            if before.is_some() {
                *self.again.entry(kind).or_default().entry(becomes).or_default() += 1;
            }
            let repeats = if report.compared { before == Some(true) } else { before.is_some() };
            let of = report.kinds.entry(kind).or_default();
            let count = match comes {
                Comes::New | Comes::Added if repeats => &mut of.already,
                Comes::New => continue,
                Comes::Added => &mut of.added,
                Comes::Already => &mut of.already,
                Comes::Answered => &mut of.answered,
            };
            *count.entry(becomes).or_default() += 1;
        }
    }

    /// Half a comparison tells nothing: what is left is what the rows themselves say.
    fn compare_no_more(&self, report: &mut Report) {
        report.compared = false;
        for (kind, of) in &mut report.kinds {
            of.already = self.again.get(kind).cloned().unwrap_or_default();
            of.added.clear();
            of.answered.clear();
        }
    }

    /// Whether a row before came to the same, among the first million, and if so whether one of those `does` it, as this row may.
    fn before(&mut self, entry: &Entry, does: bool) -> Option<bool> {
        let Entry { address, imported, becomes, .. } = entry;
        let tenant = (*becomes == Becomes::Blacklisted).then_some(&entry.tenant);
        let what = (address.as_str(), becomes, tenant, imported.learnt, imported.until);
        let hash = self.hasher.hash_one(what);
        match self.come.get_mut(&hash) {
            Some(done) => Some(std::mem::replace(done, *done || does)),
            None => {
                if self.come.len() < ADDRESSES_MAX {
                    self.come.insert(hash, does);
                }
                None
            }
        }
    }

    fn address(&mut self, report: &mut Report, address: &RecipientKey) {
        self.domains.add(address.domain());
        let hash = self.hasher.hash_one(address.as_str());
        if self.seen.contains(&hash) {
            report.repeated += 1;
        } else if self.seen.len() < ADDRESSES_MAX {
            self.seen.insert(hash);
        }
    }
}

impl OfKind {
    fn add(&mut self, address: &RecipientKey) {
        self.rows += 1;
        if self.examples.len() < EXAMPLES {
            self.examples.push(address.to_string());
        }
    }
}

impl Names {
    fn add(&mut self, name: &str) {
        if let Some(count) = self.counts.get_mut(name) {
            *count += 1;
        } else if self.counts.len() < NAMES_MAX {
            self.counts.insert(name.to_owned(), 1);
        } else {
            self.further += 1;
        }
    }

    /// The most frequent, then all others together.
    fn most(self) -> Vec<Count> {
        let mut counts: Vec<Count> =
            self.counts.into_iter().map(|(name, rows)| Count { name, rows }).collect();
        counts.sort_by(|a, b| b.rows.cmp(&a.rows).then_with(|| a.name.cmp(&b.name)));
        let rest = counts.split_off(counts.len().min(SHOWN));
        let others = self.further + rest.iter().map(|count| count.rows).sum::<u64>();
        if others > 0 {
            counts.push(Count { name: String::new(), rows: others });
        }
        counts
    }
}
