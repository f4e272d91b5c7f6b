//! The records as rows: one for what all tenants share, one for each tenant's blacklist.

use super::desk::{Fault, NOBODY, category, tenant};
use super::wire::{ListRequest, Row};
use crate::bounce::{Category, Effect};
use crate::event::{Event, Tenant};
use crate::gate::Gate;
use crate::policy::record::{Note, Record};
use crate::policy::verdict::{Decision, Listing, Reason};
use crate::policy::{Policy, Standing, decide, settled};
use crate::smtp::address::{RecipientKey, domain_key};
use crate::time::Timestamp;

/// The names of the standings, which `list` filters by.
pub const STANDINGS: [&str; 6] =
    ["clear", "on_watch", "quarantined", "quarantined_long_term", "blacklisted", "allowed"];

/// The rows that fit, address by address. Streams: memory does not grow with their number.
///
/// # Errors
/// `Bad` names the filter that makes no sense; else when the index cannot be read.
pub fn rows(
    gate: &Gate,
    request: &ListRequest,
    now: Timestamp,
) -> Result<impl Iterator<Item = Result<Row, Fault>> + Send + use<>, Fault> {
    let filter = Filter::new(request)?;
    let limit = request.limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX);
    let policy = gate.policy();
    let asked = gate.clone();
    let records = gate.scan(filter.domain.as_deref())?;
    let rows = records.flat_map(move |found| match found {
        Ok((key, record)) => {
            let mut rows = rows_of(&key, &settled(&record, now, &policy), &filter, now, &policy);
            let named = rows
                .iter_mut()
                .filter(|row| filter.stands(row))
                .try_for_each(|row| name_cause(row, &asked, &key, &record));
            rows.retain(|row| filter.fits(row));
            match named {
                Ok(()) => rows.into_iter().map(Ok).collect::<Vec<_>>(),
                Err(fault) => vec![Err(fault)],
            }
        }
        Err(error) => vec![Err(error.into())],
    });
    Ok(rows.take(limit))
}

struct Filter {
    standing: Option<String>,
    category: Option<&'static str>,
    domain: Option<String>,
    tenant: Option<Tenant>,
    since: Option<Timestamp>,
    recurring: u32,
    inactive: bool,
}

impl Filter {
    fn new(request: &ListRequest) -> Result<Self, Fault> {
        let standing = request.standing.clone();
        if let Some(name) = standing.as_deref().filter(|name| !STANDINGS.contains(name)) {
            let known = STANDINGS.join(", ");
            return Err(Fault::Bad(format!("{name:?} is no standing; there are {known}")));
        }
        let category = match &request.category {
            Some(name) => {
                let known = category(name);
                Some(known.ok_or_else(|| Fault::Bad(format!("{name:?} is no category")))?.name())
            }
            None => None,
        };
        let domain = match &request.domain {
            Some(name) if RecipientKey::parse(&format!("x@{name}")).is_ok() => {
                Some(domain_key(name))
            }
            Some(name) => return Err(Fault::Bad(format!("{name:?} is no domain"))),
            None => None,
        };
        let tenant = request.tenant.as_deref().map(|name| tenant(Some(name))).transpose()?;
        Ok(Self {
            standing,
            category,
            domain,
            tenant,
            since: request.since,
            recurring: request.recurring.unwrap_or(0),
            inactive: request.inactive,
        })
    }

    fn stands(&self, row: &Row) -> bool {
        match &self.standing {
            Some(wanted) => row.standing == *wanted,
            None => row.standing != Standing::Clear.name(),
        }
    }

    fn fits(&self, row: &Row) -> bool {
        self.stands(row)
            && self.category.is_none_or(|wanted| row.category.as_deref() == Some(wanted))
            && self.since.is_none_or(|wanted| row.since.is_some_and(|since| since >= wanted))
            && row.softs >= self.recurring
            && (!self.inactive || is_inactive(row))
    }
}

/// Whether a list would be better without the address: its mailbox is there and not used, or is known not to be there.
fn is_inactive(row: &Row) -> bool {
    let of = |category: Category| row.category.as_deref() == Some(category.name());
    let unknown = of(Category::UserUnknown) || of(Category::DomainUnknown);
    of(Category::MailboxInactive) || unknown && row.standing == Standing::QuarantinedLongTerm.name()
}

/// Names the bounce that an address is on watch for, which the record has not kept: it is the latest that counts, in the journal.
fn name_cause(
    row: &mut Row,
    gate: &Gate,
    key: &RecipientKey,
    record: &Record,
) -> Result<(), Fault> {
    if row.standing != Standing::OnWatch.name() || row.category.is_some() {
        return Ok(());
    }
    let (masks, policy) = (gate.masks(), gate.policy());
    let counts = |seq: u64, event: &Event| {
        masks.masked(seq, event, &policy).is_none()
            && record.cleared.is_none_or(|cleared| event.at >= cleared)
    };
    let history = gate.history(key)?.into_iter().rev();
    let latest = history.filter(|(seq, event)| counts(*seq, event)).find_map(|(_, event)| {
        let evidence = event.evidence()?;
        (policy.effect_of(evidence) != Effect::None)
            .then(|| (evidence.category, evidence.reply.replace('\n', " "), event.id.to_string()))
    });
    if let Some((category, cause, id)) = latest {
        row.category = Some(category.name().to_owned());
        (row.cause, row.id) = (Some(cause), Some(id));
    }
    Ok(())
}

fn rows_of(
    key: &RecipientKey,
    record: &Record,
    filter: &Filter,
    now: Timestamp,
    policy: &Policy,
) -> Vec<Row> {
    let of = |tenant: &Tenant| row(key, record, tenant, now, policy);
    let mut rows = Vec::new();
    match &filter.tenant {
        Some(tenant) => rows.push(of(tenant)),
        None => {
            let shared = of(&NOBODY);
            let only_blacklisted =
                shared.standing == Standing::Clear.name() && !record.blacklists.is_empty();
            if !only_blacklisted {
                rows.push(Row { tenant: None, ..shared });
            }
            // An allowed address is refused to nobody, whoever blacklisted it.
            if record.allowed.is_none() {
                rows.extend(record.blacklists.keys().map(of));
            }
        }
    }
    rows
}

fn row(
    key: &RecipientKey,
    record: &Record,
    tenant: &Tenant,
    now: Timestamp,
    policy: &Policy,
) -> Row {
    let decision = decide(Some(record), &Listing::default(), tenant, now, policy);
    let mut row = Row {
        address: key.to_string(),
        standing: decision.standing.name().to_owned(),
        tenant: Some(tenant.0.clone()),
        reason: decision.reason.name().to_owned(),
        category: decision.category.map(|category| category.name().to_owned()),
        since: decision.since,
        until: decision.until,
        id: decision.id.as_ref().map(ToString::to_string),
        hards: record.hard.count,
        softs: record.soft.count,
        ..Row::default()
    };
    if let Some(note) = note_of(record, tenant, &decision) {
        row.by = Some(note.by.clone()).filter(|by| !by.is_empty());
        row.note = Some(note.reason.clone()).filter(|note| !note.is_empty());
    }
    match decision.reason {
        Reason::Quarantine | Reason::QuarantineLongTerm => {
            let cause = record.learnt.as_ref().map(|learnt| &learnt.cause);
            row.cause = cause.map(|cause| cause.reply.clone());
            row.batch = cause.and_then(|cause| cause.batch().map(str::to_owned));
        }
        Reason::None if decision.standing == Standing::OnWatch => watched(&mut row, record),
        Reason::Imported => {
            let entry = record.imported.as_ref();
            row.cause = entry.map(|entry| entry.detail.clone()).filter(|detail| !detail.is_empty());
            row.source = entry.map(|entry| entry.source.clone());
            row.batch = entry.map(|entry| entry.batch.clone());
        }
        Reason::Blacklist => {
            row.complained = record.blacklists.get(tenant).and_then(|entry| entry.complained);
        }
        Reason::None | Reason::Allowed | Reason::Manual | Reason::Disposable => {}
    }
    row
}

/// Why an address is on watch: the latest message that is being deferred, or the latest bounce that was counted.
fn watched(row: &mut Row, record: &Record) {
    let open = record.episodes.iter().filter(|episode| !episode.counted);
    if let Some(open) = open.max_by_key(|episode| episode.last) {
        row.since = Some(open.first);
        row.category = Some(open.cause.category.name().to_owned());
        row.cause = Some(open.cause.reply.clone());
        row.id = Some(open.cause.id.to_string());
    }
    row.since = row.since.max(record.hard.last).max(record.soft.last);
}

fn note_of<'a>(record: &'a Record, tenant: &Tenant, decision: &Decision) -> Option<&'a Note> {
    match decision.reason {
        Reason::Allowed => record.allowed.as_deref(),
        Reason::Blacklist => record.blacklists.get(tenant).map(|entry| &entry.note),
        Reason::Manual => record.manual.as_ref().map(|manual| &manual.note),
        Reason::Imported => record.imported.as_ref().map(|entry| &entry.note),
        Reason::None | Reason::Quarantine | Reason::QuarantineLongTerm | Reason::Disposable => None,
    }
}
