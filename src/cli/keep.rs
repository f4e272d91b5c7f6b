//! `rcptgate verify`, `rebuild` and `simulate`: keeping the index honest, and trying a policy before it is in force.

use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use super::args::Simulate;
use super::out::{self, Out, harmless};
use super::{access, simulate as folding};
use crate::app::build;
use crate::bounce::classify::Classifier;
use crate::config::{self, PolicyChoice, PolicySource};
use crate::failure::Failure;
use crate::gate::{self, GateSettings, OpenReport};
use crate::lists::Lists;
use crate::policy::Policy;
use crate::policy::verdict::Listing;

/// Compares index and journal; `Data` when they differ.
pub fn verify(config: Option<&Path>, json: bool, out: &mut Out) -> Result<(), Failure> {
    let access = super::access(config)?;
    let spinner = ProgressBar::new_spinner().with_message("comparing index and journal");
    spinner.enable_steady_tick(Duration::from_millis(120));
    let report = access.verify(&mut |done, total| {
        spinner.set_style(style("{msg} {bar:40} {percent}% {eta}"));
        spinner.set_length(total);
        spinner.set_position(done);
    });
    spinner.finish_and_clear();
    let report = report?;
    if json {
        out::json(out, &report)?;
    } else {
        let state = if report.agrees { "ok" } else { "DIFFERENT" };
        writeln!(
            out,
            "{state}: {} events of {} addresses in the journal, {} records in the index, {} differences",
            report.events, report.addresses, report.records, report.differences
        )?;
        if report.unfinished > 0 {
            let rows = report.unfinished;
            let of = if report.importing {
                "the import that is under way, or of others that were never finished"
            } else {
                "imports that were never finished"
            };
            writeln!(out, "  {rows} events are rows of {of}: they do not count")?;
        }
        for words in &report.first {
            writeln!(out, "  {}", harmless(words))?;
        }
    }
    if report.agrees {
        return Ok(());
    }
    out.flush()?;
    Err(Failure::Data(
        "the index is not what the journal says: stop the gate and run `rcptgate rebuild`"
            .to_owned(),
    ))
}

/// Builds the index anew from the journal.
pub fn rebuild(config: Option<&Path>, out: &mut Out) -> Result<(), Failure> {
    let settings = access::settings(config)?;
    let lists = config::load_lists(&settings.lists).map_err(|errors| build::faults(&errors))?;
    let policy =
        config::load_policy(&settings.policy, &lists).map_err(|errors| build::faults(&errors))?;
    let store = GateSettings { lock_wait: Duration::ZERO, ..build::gate_settings(&settings) };
    let bar = bar("rebuilding the index");
    let report = gate::rebuild(&store, &policy, |done, total| {
        bar.set_length(total);
        bar.set_position(done);
    });
    bar.finish_and_clear();
    let report = report.map_err(|error| {
        let failure = error.into();
        if matches!(failure, Failure::Temporary(_)) {
            let busy = format!("a gate uses {}", settings.data_dir.display());
            return Failure::Temporary(format!("{busy}: stop it first, then rebuild"));
        }
        failure
    })?;
    writeln!(
        out,
        "ok: {} events folded into {} records, up to event {}",
        report.replayed, report.records, report.last_seq
    )?;
    if let Some((path, _)) = &report.moved_aside {
        writeln!(out, "the old index is kept in {}", path.display())?;
    }
    Ok(())
}

/// Folds events from standard input.
pub fn simulate(config: Option<&Path>, args: &Simulate, out: &mut Out) -> Result<(), Failure> {
    // Only a configuration that was asked for: the same events must give the same answers in every directory.
    let settings = config.map(|file| access::settings(Some(file))).transpose()?;
    let lists = match &settings {
        Some(settings) => {
            config::load_lists(&settings.lists).map_err(|errors| build::faults(&errors))?
        }
        None => Lists::embedded(),
    };
    let rules = match &settings {
        Some(settings) => {
            config::load_rules(&settings.classification).map_err(|errors| build::faults(&errors))?
        }
        None => Classifier::builtin(),
    };
    let mut choice = settings.map(|settings| settings.policy).unwrap_or_default();
    if let Some(name) = &args.policy {
        choice = PolicyChoice { source: named(name)?, ..choice };
    }
    let policy = config::load_policy(&choice, &lists).map_err(|errors| build::faults(&errors))?;
    let listing = |recipient: &_| {
        let (allowed, disposable) = lists.listing(recipient);
        Listing { allowed, disposable: disposable.map(str::to_owned) }
    };
    folding::run(std::io::stdin().lock(), out, &rules, &policy, listing)
}

/// A preset, else a file.
pub fn named(name: &str) -> Result<PolicySource, Failure> {
    if Policy::presets().any(|preset| preset == name) {
        return Ok(PolicySource::Preset(name.to_owned()));
    }
    if Path::new(name).exists() {
        return Ok(PolicySource::File(name.into()));
    }
    let presets: Vec<&str> = Policy::presets().collect();
    Err(Failure::Usage(format!(
        "--policy {name:?} is no file, and no preset; there are {}",
        presets.join(", ")
    )))
}

/// A bar for what goes through the journal; shown only to a person, and only once there is something to show.
pub fn bar(what: &'static str) -> ProgressBar {
    let style = style("{msg} {bar:40} {bytes}/{total_bytes} {eta}");
    ProgressBar::no_length().with_message(what).with_style(style)
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// Asks for what takes long; a person sees that it goes on.
pub fn patiently<T>(what: &'static str, ask: impl FnOnce() -> T) -> T {
    let spinner = ProgressBar::new_spinner().with_message(what);
    spinner.enable_steady_tick(Duration::from_millis(120));
    let answer = ask();
    spinner.finish_and_clear();
    answer
}

/// A bar for what is counted.
pub fn counting(what: &'static str, of: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("{msg} {bar:40} {human_pos}/{human_len} {eta}");
    ProgressBar::new(of)
        .with_message(what)
        .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

/// Says what opening the store found and mended: an operator should know, whatever he came for.
pub fn mended(report: &OpenReport) {
    let mut errors = std::io::stderr();
    if let Some(torn) = &report.torn {
        let _ = writeln!(errors, "rcptgate: cut a torn last line off the journal: {torn}");
    }
    if let Some((path, why)) = &report.moved_aside {
        let path = path.display();
        let _ = writeln!(
            errors,
            "rcptgate: {why}; built the index anew, the old one is kept in {path}"
        );
    }
    if report.finished > 0 {
        let count = report.finished;
        let _ = writeln!(
            errors,
            "rcptgate: finished {count} undos or imports that a stop had broken off"
        );
    }
}
