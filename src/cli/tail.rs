//! `rcptgate tail`: what is learnt, as it is learnt.
//!
//! Read from the journal itself, whether a gate runs or not: it is append-only, and nothing in it is secret from whoever may read it.

use std::collections::VecDeque;
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use super::args::Tail;
use super::explain::{details, signed, title};
use super::out::{self, Out, Tone, harmless};
use crate::app::build;
use crate::event::order::Decree;
use crate::failure::Failure;
use crate::journal::{JournalError, Located, Position, Reader, Said};

/// How often the journal is looked at for more.
const PAUSE: Duration = Duration::from_millis(250);

pub fn run(config: Option<&Path>, args: &Tail, out: &mut Out) -> Result<(), Failure> {
    let settings = super::access::settings(config)?;
    let journal = build::gate_settings(&settings).journal_dir();
    let mut at = last(&journal, args, out)?;
    out.flush()?;
    if args.once {
        return Ok(());
    }
    loop {
        std::thread::sleep(PAUSE);
        for located in Reader::at(&journal, at).map_err(unreadable)? {
            let located = located.map_err(unreadable)?;
            show(&located, args.json, out)?;
            at = located.behind();
        }
        out.flush()?;
    }
}

/// Shows the last few events, and says where the next one will be.
fn last(journal: &Path, args: &Tail, out: &mut Out) -> Result<Position, Failure> {
    let mut at = Position { segment: 1, offset: 0 };
    let mut latest = VecDeque::new();
    for located in Reader::latest(journal, args.lines).map_err(unreadable)? {
        let located = located.map_err(unreadable)?;
        at = located.behind();
        latest.push_back(located);
        if latest.len() > args.lines {
            latest.pop_front();
        }
    }
    for located in &latest {
        show(located, args.json, out)?;
    }
    Ok(at)
}

fn show(located: &Located, json: bool, out: &mut Out) -> Result<(), Failure> {
    if json {
        return Ok(out::json(out, &located.entry)?);
    }
    let (at, about, what, detail) = match &located.entry.said {
        Said::Event(event) => {
            let detail = details(event).into_iter().next().unwrap_or_default();
            (event.at, event.address.to_string(), title(event), detail)
        }
        Said::Order(order) => {
            let detail = signed(&order.act).into_iter().next().unwrap_or_default();
            (order.at, ordered(&order.decree), order.decree.words(), detail)
        }
    };
    writeln!(
        out,
        "{at}  {}  {}  {}",
        out.paint(Tone::Head, &harmless(&about)),
        harmless(&what),
        out.paint(Tone::Dim, &harmless(&detail)),
    )?;
    Ok(())
}

/// An order, where other lines have their address.
fn ordered(decree: &Decree) -> String {
    match decree {
        Decree::Void { .. } => "undo".to_owned(),
        Decree::ImportCommit { .. } => "import".to_owned(),
        Decree::Outage { .. } => "outage".to_owned(),
        Decree::OutageEnd { .. } => "outage over".to_owned(),
        Decree::OutageApply { .. } => "outage applied".to_owned(),
        Decree::OutageVoid { .. } => "outage voided".to_owned(),
    }
}

/// Why the journal cannot be read, as a failure of a command.
pub(super) fn unreadable(error: JournalError) -> Failure {
    match &error {
        JournalError::Io { path, source } if source.kind() == std::io::ErrorKind::NotFound => {
            Failure::Unavailable(format!(
                "{}: no gate has kept a journal there yet",
                path.display()
            ))
        }
        JournalError::Io { .. }
        | JournalError::Broken { .. }
        | JournalError::Missing { .. }
        | JournalError::Unwritable { .. }
        | JournalError::Paused => Failure::Io(error.to_string()),
    }
}
