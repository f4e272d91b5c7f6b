//! What an undo names that nobody knows: most likely a slip of the pen, which selects nothing and would look like success.

use std::collections::BTreeSet;

use crate::app::build;
use crate::cli::out::harmless;
use crate::cli::tail::unreadable;
use crate::config::{self, Settings, near};
use crate::event::select::Conditions;
use crate::failure::Failure;
use crate::journal::Reader;

/// Most names of one kind that are kept.
const NAMES_MAX: usize = 10_000;
/// Most names that are shown.
const SHOWN_MAX: usize = 5;

/// The names of rules, sources and imports that are known.
#[derive(Default)]
struct Known {
    rules: BTreeSet<String>,
    sources: BTreeSet<String>,
    batches: BTreeSet<String>,
}

/// Says of each rule, source and import that is selected, and that neither journal nor configuration knows, what may have been meant.
///
/// # Errors
/// When one of them cannot be read.
pub(super) fn unknown(settings: &Settings, select: &Conditions) -> Result<Vec<String>, Failure> {
    let Conditions { rule, source, batch, .. } = select;
    if rule.is_none() && source.is_none() && batch.is_none() {
        return Ok(Vec::new());
    }
    let known = Known::read(settings)?;
    let wanted = [
        ("rule", rule, &known.rules),
        ("source", source, &known.sources),
        ("import", batch, &known.batches),
    ];
    let told =
        wanted.into_iter().filter_map(|(what, name, known)| told(what, name.as_ref()?, known));
    Ok(told.collect())
}

impl Known {
    fn read(settings: &Settings) -> Result<Self, Failure> {
        let mut known = Self::default();
        let rules = config::load_rules(&settings.classification);
        let rules = rules.map_err(|errors| build::faults(&errors))?;
        known.rules.extend(rules.rules().map(str::to_owned));
        known.sources.extend(settings.import_sources.iter().map(|source| source.name.clone()));
        // Those of rules that are gone, and of other configurations.
        let journal = build::gate_settings(settings).journal_dir();
        for located in Reader::open(&journal).map_err(unreadable)? {
            let located = located.map_err(unreadable)?;
            let Some(event) = located.entry.event() else { continue };
            note(&mut known.rules, event.rule());
            note(&mut known.sources, event.source());
            note(&mut known.batches, event.batch());
        }
        Ok(known)
    }
}

fn note(names: &mut BTreeSet<String>, name: Option<&str>) {
    let Some(name) = name else { return };
    if names.len() < NAMES_MAX && !names.contains(name) {
        names.insert(name.to_owned());
    }
}

fn told(what: &str, name: &str, known: &BTreeSet<String>) -> Option<String> {
    // Of so many names not all were kept.
    if known.contains(name) || known.len() >= NAMES_MAX {
        return None;
    }
    let within = known.iter().filter(|known| known.contains(name)).map(String::as_str);
    let mut meant: Vec<&str> = near(name, known.iter().map(String::as_str));
    meant.extend(within.filter(|name| !meant.contains(name)).collect::<Vec<_>>());
    let hint = match (meant.is_empty(), known.is_empty()) {
        (false, _) => format!("; did you mean {}?", listed(meant)),
        (true, true) => format!("; no {what} is known at all"),
        (true, false) if known.len() <= SHOWN_MAX => {
            format!("; there are {}", listed(known.iter().map(String::as_str)))
        }
        (true, false) => String::new(),
    };
    Some(harmless(&format!("no {what} {name:?} is known{hint}")))
}

fn listed<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    names.into_iter().take(SHOWN_MAX).collect::<Vec<_>>().join(", ")
}
