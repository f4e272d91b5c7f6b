//! What becomes of a row: an entry for the journal, nothing, or a fault.

use std::io::Read;

use serde::Deserialize as _;
use serde::de::IntoDeserializer as _;
use serde::de::value::{Error as NameFault, StrDeserializer};

use super::dates;
use super::export::{is_learnt, without_guard};
use super::fault::{Fault, ReadError};
use super::mapping::{Field, Meaning};
use super::reader::{Cells, Reader};
use crate::bounce::Category;
use crate::event::{Act, DETAIL_MAX, ImportKind, Imported, Tenant, fit_date, fit_end};
use crate::policy::{Policy, end_of_soft, is_role};
use crate::smtp::address::RecipientKey;
use crate::time::Timestamp;

/// On what terms a file is imported.
#[derive(Clone, Debug)]
pub struct Terms {
    /// The time of the import.
    pub now: Timestamp,
    /// The source, a plain word.
    pub source: String,
    /// The name of this import.
    pub batch: String,
    /// Whose blacklist, where the rows do not say.
    pub tenant: Option<Tenant>,
    /// Who imports, and why.
    pub act: Act,
    /// Whether active rows reset what was learnt.
    pub reset: bool,
    /// Whether entries without a date count of addresses that an operator has released since.
    pub again: bool,
    /// Whether unsubscribes go into the quarantine.
    pub force_unsubscribes: bool,
}

/// A row that is to be kept.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Whose.
    pub address: RecipientKey,
    /// On whose account.
    pub tenant: Tenant,
    /// What is known.
    pub imported: Imported,
    /// What it comes to for an address of which nothing is known.
    pub becomes: Becomes,
}

/// What an entry comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Becomes {
    /// Refused to everybody for good.
    LongTerm,
    /// Refused to everybody for a time.
    Quarantined,
    /// Refused to its tenant.
    Blacklisted,
    /// Counts reset.
    Reset,
    /// Never refused.
    Allowed,
}

/// Why a row does nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Idle {
    /// It says that the address is active, which resets only what it is asked to.
    Active,
    /// Its quarantine is over by now.
    Over,
    /// Postmaster and abuse stay reachable.
    Role,
    /// Its kind stands for nothing to import.
    Skipped,
}

/// What becomes of a row.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// An entry.
    Entry(Box<Entry>),
    /// Nothing, of an address, and why.
    Nothing(RecipientKey, Option<ImportKind>, Idle),
}

impl Becomes {
    /// As reports have it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::LongTerm => "quarantined_long_term",
            Self::Quarantined => "quarantined",
            Self::Blacklisted => "blacklisted",
            Self::Reset => "reset",
            Self::Allowed => "allowed",
        }
    }
}

impl Idle {
    /// As reports have it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Active => "active_without_reset",
            Self::Over => "over_already",
            Self::Role => "postmaster_or_abuse",
            Self::Skipped => "skipped",
        }
    }
}

impl<R: Read> Reader<R> {
    /// What becomes of the next row; `None` at the end.
    ///
    /// # Errors
    /// `Row` and `Io` end it: nothing behind them can be read.
    pub fn outcome(
        &mut self,
        terms: &Terms,
        policy: &Policy,
    ) -> Result<Option<Result<Outcome, Fault>>, ReadError> {
        match self.next()? {
            None => return Ok(None),
            Some(Err(fault)) => return Ok(Some(Err(fault))),
            Some(Ok(_)) => {}
        }
        Ok(Some(Row { reader: self, terms, policy }.outcome()))
    }
}

struct Row<'a, R: Read> {
    reader: &'a Reader<R>,
    terms: &'a Terms,
    policy: &'a Policy,
}

/// Whether a reply or status that a list kept begins with a code of class 4 (RFC 5321 §4.2.1, RFC 3463 §2).
pub(super) fn is_transient(detail: &str) -> bool {
    let code = detail.split([' ', '-']).next().unwrap_or_default();
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let basic = code.len() == 3 && digits(code);
    let enhanced = code.split('.').count() == 3 && code.split('.').all(digits);
    code.starts_with('4') && (basic || enhanced)
}

impl<R: Read> Row<'_, R> {
    fn outcome(&self) -> Result<Outcome, Fault> {
        let cells = self.cells();
        let address = RecipientKey::parse(&cells.address)
            .map_err(|fault| self.fault(Field::Address, &cells.address, fault.to_string()))?;
        let detail = self.detail();
        // What a gate made of its replies was judged there.
        let learnt = self.reader.is_own() && is_learnt(&cells.ground);
        let kind = match self.meaning()? {
            // As on the wire: a 4yz is never hard, whatever list it is on.
            Meaning::Kind(ImportKind::Hard) if is_transient(&detail) && !learnt => ImportKind::Soft,
            Meaning::Kind(kind) => kind,
            Meaning::Skip => return Ok(Outcome::Nothing(address, None, Idle::Skipped)),
        };
        // A status has no date: it is what holds now.
        let active = kind == ImportKind::Active;
        let dated = self.dated()?.filter(|_| !active);
        let until = self.time(Field::Until, &cells.until, fit_end)?;
        let category = self.category()?;
        let forced = kind == ImportKind::Unsubscribe && self.terms.force_unsubscribes;
        let tenant = self.tenant(kind, forced)?;
        let Terms { source, batch, act, .. } = self.terms;
        let imported = Imported {
            kind,
            source: source.clone(),
            batch: batch.clone(),
            row: Some(cells.place.0),
            dated,
            until,
            category,
            detail,
            forced,
            again: self.terms.again,
            learnt: learnt && kind.is_bounce(),
            act: act.clone(),
        };
        match self.becomes(&address, &imported) {
            Ok(becomes) => {
                let entry = Entry { address, tenant, imported, becomes };
                Ok(Outcome::Entry(Box::new(entry)))
            }
            Err(idle) => Ok(Outcome::Nothing(address, Some(kind), idle)),
        }
    }

    const fn cells(&self) -> &Cells {
        self.reader.cells()
    }

    fn fault(&self, field: Field, value: &str, why: impl Into<String>) -> Fault {
        Fault::new(self.cells().place, &self.reader.column(field), value, why)
    }

    fn meaning(&self) -> Result<Meaning, Fault> {
        let word = &self.cells().kind;
        self.reader.kinds().meaning(word).ok_or_else(|| {
            let why = if word.is_empty() {
                "nothing says what the row is".to_owned()
            } else {
                format!("no kind that is known: say --value '{word}=KIND', or =skip")
            };
            self.fault(Field::Kind, word, why)
        })
    }

    /// Not later than now, whatever the other clock says.
    fn dated(&self) -> Result<Option<Timestamp>, Fault> {
        let now = self.terms.now;
        let at = self.time(Field::At, &self.cells().at, |at| fit_date(at, now))?;
        Ok(at.map(|at| at.min(now)))
    }

    fn time(
        &self,
        field: Field,
        text: &str,
        fit: impl FnOnce(Timestamp) -> Result<Timestamp, &'static str>,
    ) -> Result<Option<Timestamp>, Fault> {
        let at = dates::read(text).map_err(|why| self.fault(field, text, why))?;
        at.map(fit).transpose().map_err(|why| self.fault(field, text, why))
    }

    fn category(&self) -> Result<Option<Category>, Fault> {
        let name = self.cells().category.as_str();
        if name.is_empty() {
            return Ok(None);
        }
        let reader: StrDeserializer<'_, NameFault> = name.into_deserializer();
        let category = Category::deserialize(reader);
        category.map(Some).map_err(|_| self.fault(Field::Category, name, "no category"))
    }

    /// A blacklist belongs to a tenant, so that one must be named; for everything else it is only who brought it.
    fn tenant(&self, kind: ImportKind, forced: bool) -> Result<Tenant, Fault> {
        let name = &self.cells().tenant;
        if !name.is_empty() {
            return Tenant::named(name).map_err(|why| self.fault(Field::Tenant, name, why));
        }
        match &self.terms.tenant {
            Some(tenant) => Ok(tenant.clone()),
            None if kind.blacklists(forced) => {
                let why =
                    format!("a blacklist belongs to a tenant: say --tenant T ({})", kind.name());
                Err(self.fault(Field::Tenant, "", why))
            }
            None => Ok(Tenant::default()),
        }
    }

    fn detail(&self) -> String {
        let text = self.cells().reason.as_str();
        let text = if self.reader.is_own() { without_guard(text) } else { text };
        text.get(..text.floor_char_boundary(DETAIL_MAX)).unwrap_or_default().to_owned()
    }

    fn becomes(&self, address: &RecipientKey, imported: &Imported) -> Result<Becomes, Idle> {
        let now = self.terms.now;
        let until = match imported.kind {
            ImportKind::Soft => end_of_soft(imported.until, imported.since(now), self.policy),
            ImportKind::Hard | ImportKind::Blocked => imported.until,
            ImportKind::Unsubscribe if imported.forced => None,
            ImportKind::Unsubscribe | ImportKind::Complaint => return Ok(Becomes::Blacklisted),
            ImportKind::Active if self.terms.reset => return Ok(Becomes::Reset),
            ImportKind::Active => return Err(Idle::Active),
            ImportKind::Allowed => return Ok(Becomes::Allowed),
        };
        match until {
            _ if is_role(address) => Err(Idle::Role),
            None => Ok(Becomes::LongTerm),
            Some(until) if until > now => Ok(Becomes::Quarantined),
            Some(_) => Err(Idle::Over),
        }
    }
}
