//! The figures of a gate, counted.

use std::sync::atomic::{AtomicU64, Ordering};

use super::desk::{Fault, NOBODY, mode};
use super::wire::{Figures, Standings};
use crate::event::order::Decree;
use crate::gate::Gate;
use crate::policy::{Standing, settled};
use crate::time::Timestamp;

/// The figures of a gate; `standings` reads every record.
///
/// # Errors
/// When the index cannot be read.
pub fn figures(
    gate: &Gate,
    sessions: i64,
    standings: bool,
    now: Timestamp,
) -> Result<Figures, Fault> {
    let (health, stats) = (gate.health(), gate.stats());
    let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
    let outages = gate.outages();
    let failures = [&stats.read_failures, &stats.journal_failures, &stats.index_failures];
    Ok(Figures {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        mode: mode(gate).to_owned(),
        ready: health.ready,
        why: health.why,
        records: gate.records(),
        standings: standings.then(|| count_standings(gate, now)).transpose()?,
        sessions,
        judged: read(&stats.judged),
        learnt: read(&stats.learnt),
        unlearnt: read(&stats.unlearnt),
        late: read(&stats.late),
        noted: read(&stats.noted),
        left_out: read(&stats.left_out),
        ignored: read(&stats.ignored),
        failures: failures.into_iter().map(read).sum(),
        recoveries: read(&stats.recoveries),
        orders: orders(gate, |decree| matches!(decree, Decree::Void { .. })),
        imports: orders(gate, |decree| matches!(decree, Decree::ImportCommit { .. })),
        outages: count(outages.open),
        unresolved: count(outages.unresolved),
        held: read(&stats.held),
        refolding: count(gate.jobs().unwrap_or(0)),
    })
}

/// How many orders of a kind are in force.
fn orders(gate: &Gate, kind: impl Fn(&Decree) -> bool) -> u64 {
    let masks = gate.masks();
    let found = masks.orders().iter().filter(|(_, order)| kind(&order.decree));
    u64::try_from(found.count()).unwrap_or(u64::MAX)
}

fn count_standings(gate: &Gate, now: Timestamp) -> Result<Standings, Fault> {
    let policy = gate.policy();
    let mut counts = Standings::default();
    for found in gate.scan(None)? {
        let (_, record) = found?;
        let record = settled(&record, now, &policy);
        // As `list` has it: what is only blacklisted is not clear too, and what is allowed is refused to nobody.
        let blacklists = if record.allowed.is_none() { record.blacklists.len() } else { 0 };
        counts.blacklisted += u64::try_from(blacklists).unwrap_or(u64::MAX);
        let count = match Standing::of(&record, &NOBODY, now, &policy) {
            Standing::Clear if blacklists > 0 => continue,
            Standing::Clear => &mut counts.clear,
            Standing::OnWatch => &mut counts.on_watch,
            Standing::Quarantined { .. } => &mut counts.quarantined,
            Standing::QuarantinedLongTerm => &mut counts.quarantined_long_term,
            Standing::Blacklisted => &mut counts.blacklisted,
            Standing::Allowed => &mut counts.allowed,
        };
        *count += 1;
    }
    Ok(counts)
}
