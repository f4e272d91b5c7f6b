//! Importing a list: the rows one by one, and the commit, for commands too.

use super::desk::{Fault, address, signed, tenant, unlearnt};
use super::wire::{ImportHead, ImportProgress, ImportReply, ImportRow};
use crate::event::{Act, DETAIL_MAX, ImportKind, Imported, What, fit_date, fit_end, plain_word};
use crate::gate::{
    self, Disobeyed, Draft, GROUP_MAX, Gate, ImportRefused, Importing, Obeying, OrderOutcome,
};
use crate::sorter::Sorter;
use crate::time::Timestamp;

/// Most rows of one import: what a list of all that a sender ever wrote to has, and a disk can hold.
pub const ROWS_MAX: u64 = 100_000_000;

/// An import that may begin.
pub struct Intake {
    head: ImportHead,
    act: Act,
    now: Timestamp,
    importing: Importing,
}

/// An import of which all rows are on disk and committed.
pub struct Kept {
    /// What can be told of it by now.
    pub reply: ImportReply,
    /// The promise that its rows are in force, if there are any.
    pub obeying: Option<Obeying>,
}

/// Begins an import.
///
/// # Errors
/// `Bad` says what is wrong with the first line; `Later` that another import is under way.
pub fn begin(gate: &Gate, head: ImportHead, now: Timestamp) -> Result<Intake, Fault> {
    let act = signed(&head.reason, &head.by)?;
    for (field, name) in [("source", &head.source), ("batch", &head.batch)] {
        plain_word(name).map_err(|why| Fault::Bad(format!("{field} {name:?}: {why}")))?;
    }
    if head.rows > ROWS_MAX {
        return Err(Fault::Bad(format!("{} rows, {ROWS_MAX} at most", head.rows)));
    }
    let importing = gate.import(&head.batch).map_err(|refused| match refused {
        ImportRefused::Busy => Fault::Later(refused.to_string()),
        ImportRefused::Known => Fault::Bad(format!("{}: {refused}", head.batch)),
    })?;
    Ok(Intake { head, act, now, importing })
}

impl Intake {
    /// Takes all rows, then journals them in the order of the index, and commits them; whatever breaks it off, nothing of it counts. Rows of
    /// one address keep their order. `progress` gets the rows that are journaled, of which none counts yet, and may break it off. Never call
    /// it from async code.
    ///
    /// # Errors
    /// Those of `rows` and of `progress`; `Bad` for a row that cannot be imported, and when they are not as many as was said; else when they are not on disk.
    pub fn take<E: From<Fault>>(
        mut self,
        gate: &Gate,
        rows: impl Iterator<Item = Result<ImportRow, E>>,
        mut progress: impl FnMut(u64) -> Result<(), Fault>,
    ) -> Result<Kept, E> {
        let mut sorter = gate.sorter();
        let (mut seen, mut key) = (0, Vec::new());
        for row in rows {
            let row = row?;
            seen += 1;
            if seen > self.head.rows {
                return Err(self.miscounted(seen).into());
            }
            let value = serde_json::to_vec(&row).map_err(unsorted)?;
            let draft = self.draft(row).map_err(|fault| at_row(seen, &fault))?;
            key.clear();
            gate::order_of(&draft.address, &mut key);
            sorter.push(&key, &value).map_err(unsorted)?;
        }
        if seen != self.head.rows {
            return Err(self.miscounted(seen).into());
        }
        let room = self.importing.check_room(seen);
        room.map_err(|why| unlearnt("import", why))?;
        let skipped = self.journal(gate, sorter, &mut progress)?;
        progress(seen)?;
        let Self { head, act, now, importing } = self;
        let rows = importing.rows();
        let reply = ImportReply { batch: head.batch, rows, skipped, ..ImportReply::default() };
        Ok(Kept { reply, obeying: importing.commit(now, act) })
    }

    /// Journals rows that were looked at; says how many were skipped since they would do nothing.
    fn journal(
        &mut self,
        gate: &Gate,
        sorter: Sorter,
        progress: &mut dyn FnMut(u64) -> Result<(), Fault>,
    ) -> Result<u64, Fault> {
        let (mut skipped, mut last) = (0, None);
        let mut group = Vec::with_capacity(GROUP_MAX);
        for pair in sorter.sorted().map_err(unsorted)? {
            let row = serde_json::from_slice(&pair.map_err(unsorted)?.value).map_err(unsorted)?;
            let draft = self.draft(row)?;
            // A row before it may be what it resets.
            if last.as_ref() != Some(&draft.address) && resets_nothing(gate, &draft)? {
                skipped += 1;
                continue;
            }
            last = Some(draft.address.clone());
            group.push(draft);
            if group.len() >= GROUP_MAX {
                self.push(std::mem::replace(&mut group, Vec::with_capacity(GROUP_MAX)))?;
                progress(self.importing.rows() + skipped)?;
            }
        }
        if !group.is_empty() {
            self.push(group)?;
        }
        Ok(skipped)
    }

    fn push(&mut self, group: Vec<Draft>) -> Result<(), Fault> {
        self.importing.push(group).map_err(|why| unlearnt("import", why))
    }

    fn miscounted(&self, seen: u64) -> Fault {
        let said = self.head.rows;
        let came = if seen > said { "more".to_owned() } else { seen.to_string() };
        Fault::Bad(format!("{said} rows were announced, and {came} came: nothing was imported"))
    }

    fn draft(&self, given: ImportRow) -> Result<Draft, Fault> {
        let bad = |why: String| Err(Fault::Bad(why));
        let ImportRow { kind, tenant, row, dated, until, category, detail, forced, .. } = given;
        let ImportRow { again, learnt, address, .. } = given;
        let address = self::address(&address)?;
        if detail.len() > DETAIL_MAX {
            return bad(format!("detail has {DETAIL_MAX} bytes at most"));
        }
        for (field, misfit) in [
            ("dated", dated.and_then(|dated| fit_date(dated, self.now).err())),
            ("until", until.and_then(|until| fit_end(until).err())),
        ] {
            if let Some(why) = misfit {
                return bad(format!("{field} {why}"));
            }
        }
        if forced && kind != ImportKind::Unsubscribe {
            return bad("only an unsubscribe can be forced".to_owned());
        }
        if learnt && !kind.is_bounce() {
            return bad("only a hard or soft entry can be learnt".to_owned());
        }
        if kind.blacklists(forced) && tenant.is_none() {
            return bad("a blacklist belongs to a tenant: say which".to_owned());
        }
        let ImportHead { source, batch, .. } = &self.head;
        let imported = Imported {
            kind,
            source: source.clone(),
            batch: batch.clone(),
            row,
            dated,
            until,
            category,
            detail,
            forced,
            again,
            learnt,
            act: self.act.clone(),
        };
        let what = What::Imported(imported);
        Ok(Draft { at: self.now, address, tenant: self::tenant(tenant.as_deref())?, what })
    }
}

/// Whether it is a reset of an address of which nothing is known that a reset could clear.
fn resets_nothing(gate: &Gate, draft: &Draft) -> Result<bool, Fault> {
    if !matches!(&draft.what, What::Imported(imported) if imported.kind == ImportKind::Active) {
        return Ok(false);
    }
    // What an order has yet to do may be what there is to reset.
    let settled = gate.jobs() == Some(0);
    Ok(settled && gate.record(&draft.address)?.is_none_or(|record| !record.awaits_delivery()))
}

/// What is sorted goes through files in the data directory.
fn unsorted(error: impl Into<std::io::Error>) -> Fault {
    Fault::Disk(format!("cannot sort the rows: {}: nothing was imported", error.into()))
}

fn at_row(number: u64, fault: &Fault) -> Fault {
    Fault::Bad(format!("row {number}: {fault}: nothing was imported"))
}

/// How far the import is that is under way. Its commit is carried out behind orders that were given before.
pub fn progress(gate: &Gate) -> ImportProgress {
    let folded = gate.refolded().map(|tally| tally.addresses);
    ImportProgress { journaled: gate.imported(), folded }
}

/// That the rows of an import are committed, and when they will count.
pub fn held_up(reply: &ImportReply, why: &str) -> Fault {
    let ImportReply { batch, rows, .. } = reply;
    Fault::Later(format!(
        "{rows} rows are imported as batch {batch}, and count once the index can be written again, without your doing: {why}"
    ))
}

/// What an import came to.
///
/// # Errors
/// When its commit is not on disk, or not carried out yet.
pub fn outcome(reply: ImportReply, outcome: OrderOutcome) -> Result<ImportReply, Fault> {
    let obeyed = outcome.map_err(|disobeyed| match disobeyed {
        Disobeyed::Unlearnt(why) => unlearnt("import", why),
        Disobeyed::Unfinished { .. } => Fault::Later(disobeyed.to_string()),
    })?;
    Ok(ImportReply {
        id: Some(obeyed.id.to_string()),
        addresses: obeyed.tally.map(|tally| tally.addresses),
        changed: obeyed.tally.map(|tally| tally.changed),
        ..reply
    })
}

#[cfg(test)]
mod tests;
