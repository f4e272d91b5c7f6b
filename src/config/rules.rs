//! The operator's rules for reading replies: read whole, or every fault told; and those in force.

use std::path::{Path, PathBuf};

use crate::bounce::classify::Classifier;
use crate::bounce::rules::RuleFault;

use super::error::ConfigError;
use super::lists::read_text;
use super::settings::ClassificationSettings;

/// Octets of a file of rules; the built-in one has 60,000.
const RULES_MAX: usize = 1 << 20;

/// Faults of one reload that are logged; `rcptgate check` tells all.
const LOGGED_MAX: usize = 20;

/// The rules for reading replies: those of the operator's file, if there is one, before the built-in ones.
///
/// # Errors
/// Every fault of the file.
pub fn load_rules(choice: &ClassificationSettings) -> Result<Classifier, Vec<ConfigError>> {
    LiveRules::open(choice).map(|rules| rules.current())
}

/// The rules in force, and the file that they are from.
#[derive(Clone, Debug)]
pub struct LiveRules {
    file: Option<PathBuf>,
    /// What the file said when it was last taken.
    text: String,
    current: Classifier,
}

impl LiveRules {
    /// Reads the rules for the first time.
    ///
    /// # Errors
    /// Every fault of the file.
    pub fn open(choice: &ClassificationSettings) -> Result<Self, Vec<ConfigError>> {
        let Some(file) = &choice.file else {
            return Ok(Self { file: None, text: String::new(), current: Classifier::builtin() });
        };
        let text = read_text(file).map_err(|error| vec![error])?;
        let current = compiled(file, &text)?;
        Ok(Self { file: Some(file.clone()), text, current })
    }

    /// The rules in force.
    pub fn current(&self) -> Classifier {
        self.current.clone()
    }

    /// The file to watch.
    pub const fn file(&self) -> Option<&PathBuf> {
        self.file.as_ref()
    }

    /// Reads the file again, and hands new rules to `put` before the log says that they are in force. One that has a fault, or
    /// is gone, leaves the old rules alone; the log says why. Takes as long as compiling does: not for a thread that mail waits for.
    ///
    /// # Errors
    /// Every fault of the file.
    pub fn reload(&mut self, put: impl FnOnce(Classifier)) -> Result<(), Vec<ConfigError>> {
        let Some(file) = &self.file else { return Ok(()) };
        let read = read_text(file).map_err(|error| vec![error]);
        if read.as_ref().is_ok_and(|text| *text == self.text) {
            return Ok(());
        }
        let taken = read.and_then(|text| Ok((compiled(file, &text)?, text)));
        let (rules, text) = taken.inspect_err(|faults| kept(faults))?;
        put(rules.clone());
        let counts = rules.counts();
        tracing::info!(
            event = "reload",
            result = "swapped",
            file = %file.display(),
            rules = counts.own,
            rules_builtin = counts.builtin,
            rules_off = counts.off,
        );
        (self.text, self.current) = (text, rules);
        Ok(())
    }
}

fn compiled(file: &Path, text: &str) -> Result<Classifier, Vec<ConfigError>> {
    if text.len() > RULES_MAX {
        let why = format!("{} octets, {RULES_MAX} at most", text.len());
        return Err(vec![ConfigError::of_file(file, why).at(Some(1), "", "")]);
    }
    let located = |fault: RuleFault| {
        ConfigError::of_file(file, fault.why).at(Some(fault.line), fault.key, &fault.value)
    };
    Classifier::with_own(text).map_err(|faults| faults.into_iter().map(located).collect())
}

fn kept(faults: &[ConfigError]) {
    for fault in faults.iter().take(LOGGED_MAX) {
        tracing::error!(
            event = "reload",
            result = "kept",
            file = %fault.file.display(),
            line = fault.line,
            key = fault.key,
            value = fault.value,
            error = fault.why,
            faults = faults.len(),
        );
    }
}
