//! `rcptgate disposable`: edits the operator's list of disposable domains, and asks it.
//!
//! A running gate sees the changed file and reads it by itself.

mod edit;
pub(super) mod replace;

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::config::{self, ConfigError, ListPaths};
use crate::failure::Failure;
use crate::lists::{Disposable, Entry, domain_entry, entry_of, parse_disposable};
use crate::log::visible;
use edit::Text;

/// What to do with the list.
#[derive(Clone, Debug, clap::Subcommand)]
pub enum Command {
    /// Make a domain disposable, with its sub-domains
    Add {
        /// The domain
        domain: String,
    },
    /// Make a domain not disposable, with its sub-domains; "!domain" is written if the built-in list has it
    Remove {
        /// The domain
        domain: String,
    },
    /// Print the operator's entries, one a line
    List {
        /// The built-in entries in use too
        #[arg(long)]
        all: bool,
        /// As JSON lines
        #[arg(long)]
        json: bool,
    },
    /// Say whether a domain is disposable and by which entry; exit 0 if it is, 1 if not
    Test {
        /// The domain
        domain: String,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
}

/// Runs the command on the list that the configuration names; returns the exit code.
///
/// # Errors
/// `Failure::Data` for what is no domain, `Failure::Config` when the configuration or the list has faults, `Failure::Io`.
pub fn run(given: Option<&Path>, command: &Command, out: &mut impl Write) -> Result<u8, Failure> {
    let file = config::find(given).map_err(|error| refused(&[error]))?;
    let settings = config::read(&file).map_err(|errors| refused(&errors))?;
    let list = List { paths: settings.lists };
    match command {
        Command::Add { domain } => list.add(&domain_of(domain)?, out).map(|()| 0),
        Command::Remove { domain } => list.remove(&domain_of(domain)?, out).map(|()| 0),
        Command::List { all, json } => list.list(*all, *json, out).map(|()| 0),
        Command::Test { domain, json } => list.test(&domain_of(domain)?, *json, out),
    }
}

fn refused(errors: &[ConfigError]) -> Failure {
    Failure::Config(config::listed(errors))
}

fn domain_of(text: &str) -> Result<String, Failure> {
    domain_entry(text.trim()).map_err(|why| Failure::Data(format!("{}: {why}", visible(text, 200))))
}

struct List {
    paths: ListPaths,
}

impl List {
    fn add(&self, domain: &str, out: &mut impl Write) -> Result<(), Failure> {
        self.edit(out, |list, text| {
            if let Some(entry) = list.of(text)?.contains_suffix(domain) {
                return Ok(format!("{domain} is disposable already, by {entry}"));
            }
            let exempt = Entry { domain: domain.to_owned(), removes: true };
            text.drop_entry(&exempt);
            if list.of(text)?.contains_suffix(domain).is_none() {
                text.append(domain);
            }
            let mut done = format!("{domain} is disposable now");
            if list.of(text)?.contains_suffix(&format!("x.{domain}")).is_none() {
                done.push_str("; it is a public suffix, so its sub-domains are not");
            }
            Ok(done)
        })
    }

    fn remove(&self, domain: &str, out: &mut impl Write) -> Result<(), Failure> {
        self.edit(out, |list, text| {
            if list.of(text)?.contains_suffix(domain).is_none() {
                return Ok(format!("{domain} is not disposable"));
            }
            text.drop_entry(&Entry { domain: domain.to_owned(), removes: false });
            let left = list.of(text)?.contains_suffix(domain).map(str::to_owned);
            Ok(match left {
                Some(entry) => {
                    text.append(&format!("!{domain}"));
                    format!(
                        "{domain} is not disposable any more: !{domain} now beats the entry {entry}"
                    )
                }
                None => format!("{domain} is not disposable any more"),
            })
        })
    }

    fn list(&self, all: bool, json: bool, out: &mut impl Write) -> Result<(), Failure> {
        let list = self.of(&self.text()?)?;
        let own = list.added().iter().map(|domain| (domain, false, "file"));
        let own = own.chain(list.removed().iter().map(|domain| (domain, true, "file")));
        let builtin = list.builtin().iter().filter(|_| all);
        let mut entries: Vec<_> =
            own.chain(builtin.map(|domain| (domain, false, "builtin"))).collect();
        entries.sort_unstable();
        for (domain, removes, from) in entries {
            if json {
                writeln!(out, "{}", json!({"domain": domain, "removes": removes, "list": from}))?;
            } else {
                writeln!(out, "{}{domain}", if removes { "!" } else { "" })?;
            }
        }
        Ok(())
    }

    fn test(&self, domain: &str, json: bool, out: &mut impl Write) -> Result<u8, Failure> {
        let list = self.of(&self.text()?)?;
        let entry = list.contains_suffix(domain);
        let from =
            entry.map(|entry| if list.added().has_entry(entry) { "file" } else { "builtin" });
        if json {
            let disposable = entry.is_some();
            let answer =
                json!({"domain": domain, "disposable": disposable, "entry": entry, "list": from});
            writeln!(out, "{answer}")?;
        } else if let (Some(entry), Some(from)) = (entry, from) {
            let from = if from == "file" { self.path().display().to_string() } else { from.into() };
            writeln!(out, "{domain}: disposable, by {entry} ({from})")?;
        } else if let Some(exempt) = list.removed().contains_suffix(domain) {
            writeln!(out, "{domain}: not disposable, by !{exempt} ({})", self.path().display())?;
        } else {
            writeln!(out, "{domain}: not disposable")?;
        }
        Ok(u8::from(entry.is_none()))
    }

    fn path(&self) -> &Path {
        &self.paths.disposable.path
    }

    /// Reads the list, lets `change` edit it, and writes it if it is another one and still a good one. Nobody else edits it
    /// meanwhile.
    fn edit(
        &self,
        out: &mut impl Write,
        change: impl FnOnce(&Self, &mut Text) -> Result<String, Failure>,
    ) -> Result<(), Failure> {
        let target = real_path(self.path());
        let failed = |error: io::Error| Failure::Io(format!("{}: {error}", target.display()));
        let folder = File::open(folder_of(&target)).map_err(failed)?;
        folder.lock().map_err(failed)?;
        let before = self.text()?;
        let mut after = before.clone();
        let done = change(self, &mut after)?;
        self.of(&after)?;
        if after != before {
            replace::replace(&target, after.as_bytes()).map_err(failed)?;
        }
        writeln!(out, "{done}")?;
        Ok(())
    }

    /// The file's text; a file that is not there yet is empty.
    fn text(&self) -> Result<Text, Failure> {
        let bytes = match fs::read(self.path()) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(Failure::Io(format!("{}: {error}", self.path().display()))),
        };
        self.parse(&bytes)?;
        Ok(Text::new(&String::from_utf8_lossy(&bytes)))
    }

    fn of(&self, text: &Text) -> Result<Disposable, Failure> {
        self.parse(text.as_bytes())
    }

    fn parse(&self, bytes: &[u8]) -> Result<Disposable, Failure> {
        parse_disposable(bytes, self.paths.builtin_disposable).map_err(|faults| {
            let located = faults.into_iter().map(|fault| {
                ConfigError::of_file(self.path(), fault.why).at(Some(fault.line), "", &fault.text)
            });
            refused(&located.collect::<Vec<_>>())
        })
    }
}

/// What a link leads to: it is to stay a link.
pub(super) fn real_path(path: &Path) -> PathBuf {
    fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}

pub(super) fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests;
