//! What is wrong with a configuration, said so that it can be found and mended.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::log::visible;

/// Characters of an offending value that are shown.
const VALUE_MAX: usize = 120;

/// One fault. Shown as `FILE:LINE: KEY = VALUE: WHY`, without what is not known.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, thiserror::Error)]
pub struct ConfigError {
    /// The file that is at fault: the configuration, or a list or policy that it names.
    #[serde(serialize_with = "shown")]
    pub file: PathBuf,
    /// The line, from 1; none when it is about the file as a whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    /// The key with its tables, `listen[1].clients[0]`; empty in a list.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub key: String,
    /// The offending value as it stands in the file, made harmless to show.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub value: String,
    /// What is wrong.
    pub why: String,
}

impl ConfigError {
    /// A fault of the file as a whole.
    pub fn of_file(file: &Path, why: impl Into<String>) -> Self {
        Self {
            file: file.to_owned(),
            line: None,
            key: String::new(),
            value: String::new(),
            why: why.into(),
        }
    }

    /// The fault at a line and key of the file.
    #[must_use]
    pub fn at(mut self, line: Option<usize>, key: impl Into<String>, value: &str) -> Self {
        self.line = line;
        self.key = key.into();
        self.value = visible(value.trim(), VALUE_MAX);
        self
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        f.write_str(": ")?;
        match (self.key.as_str(), self.value.as_str()) {
            ("", "") => {}
            (key, "") => write!(f, "{key}: ")?,
            ("", value) => write!(f, "{value}: ")?,
            (key, value) => write!(f, "{key} = {value}: ")?,
        }
        f.write_str(&self.why)
    }
}

/// A path that is not UTF-8 is no reason to say nothing.
fn shown<S: serde::Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&path.display())
}

/// All faults, one a line.
pub fn listed(errors: &[ConfigError]) -> String {
    errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}
