//! `rcptgate credentials`: the users that may log in to the gate, with their passwords.
//!
//! A password comes from the terminal, unseen, or from standard input; never from the command line, where everybody on the
//! machine could read it. A running gate sees the changed file and reads it by itself.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, IsTerminal as _, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use zeroize::{Zeroize as _, Zeroizing};

use super::disposable::{folder_of, real_path, replace};
use crate::config::{self, ConfigError};
use crate::credentials::{Users, check_name, hash};
use crate::event::Tenant;
use crate::failure::Failure;
use crate::log::visible;

/// Longest password, in octets.
const PASSWORD_MAX: usize = 1024;

/// What to do with the users.
#[derive(Clone, Debug, clap::Subcommand)]
pub enum Command {
    /// Add a user, or give one a new password; the password is asked for, or is the first line of standard input
    #[command(after_help = "\
Examples:
  rcptgate credentials add app@example.com --tenant acme
  pwgen 20 1 | tee secret.txt | rcptgate credentials add app@example.com users.txt")]
    Add {
        /// The name that the user logs in with
        name: String,
        /// On whose account the user's mail is [default: the listener's]
        #[arg(long, value_name = "T")]
        tenant: Option<String>,
        /// The file of users [default: the one that the configuration names]
        file: Option<PathBuf>,
    },
    /// Take a user off
    Remove {
        /// The name
        name: String,
        /// The file of users [default: the one that the configuration names]
        file: Option<PathBuf>,
    },
}

/// Runs the command on the file that is given, or on the one that the configuration names.
///
/// # Errors
/// `Failure::Data` for a name, tenant or password that cannot be one, `Failure::Config` when configuration or file have faults,
/// `Failure::Usage` when it cannot be told which file is meant, `Failure::Io`.
pub fn run(given: Option<&Path>, command: &Command, out: &mut impl Write) -> Result<(), Failure> {
    let named = |file: &Option<PathBuf>| file.clone().map_or_else(|| configured(given), Ok);
    match command {
        Command::Add { name, tenant, file } => {
            let line = Line::new(name, tenant.as_deref())?;
            // What is wrong with the rest is said before anybody types a password.
            let file = named(file)?;
            let password = if io::stdin().is_terminal() {
                asked(name)?
            } else {
                password_of(&mut io::stdin().lock())?
            };
            add(&file, &line, &password, out)
        }
        Command::Remove { name, file } => remove(&named(file)?, name, out),
    }
}

/// The one file of users that the configuration names.
fn configured(given: Option<&Path>) -> Result<PathBuf, Failure> {
    let refused = |errors: &[ConfigError]| Failure::Config(config::listed(errors));
    let file = config::find(given).map_err(|error| refused(&[error]))?;
    let settings = config::read(&file).map_err(|errors| refused(&errors))?;
    let mut files: Vec<_> =
        settings.listen.into_iter().filter_map(|listen| listen.credentials).collect();
    files.sort_unstable();
    files.dedup();
    let why = match (files.pop(), files.is_empty()) {
        (Some(only), true) => return Ok(only),
        (Some(_), false) => "names several files of users: say which",
        (None, _) => "names no file of users (auth = \"local\", credentials = \"FILE\"): say which",
    };
    Err(Failure::Usage(format!("{} {why}", file.display())))
}

/// What stands on a user's line besides the hash.
struct Line {
    name: String,
    tenant: Option<Tenant>,
}

impl Line {
    fn new(name: &str, tenant: Option<&str>) -> Result<Self, Failure> {
        let shown = |what: &str, why| Failure::Data(format!("{}: {why}", visible(what, 255)));
        check_name(name).map_err(|why| shown(name, why))?;
        let tenant = tenant.map(|tenant| Tenant::named(tenant).map_err(|why| shown(tenant, why)));
        Ok(Self { name: name.to_owned(), tenant: tenant.transpose()? })
    }
}

fn add(file: &Path, line: &Line, password: &[u8], out: &mut impl Write) -> Result<(), Failure> {
    let hash = hash(password).map_err(|error| Failure::Internal(error.to_string()))?;
    let tenant = line.tenant.as_ref().map(|tenant| format!(":{tenant}")).unwrap_or_default();
    let new = format!("{}:{hash}{tenant}\n", line.name);
    let known = edit(file, |text| {
        let mut found = false;
        let mut lines: String = text
            .split_inclusive('\n')
            .map(|old| match is_of(old, &line.name) {
                true if !std::mem::replace(&mut found, true) => new.as_str(),
                true => "",
                false => old,
            })
            .collect();
        if !found {
            if !lines.is_empty() && !lines.ends_with('\n') {
                lines.push('\n');
            }
            lines.push_str(&new);
        }
        (lines, found)
    })?;
    let name = visible(&line.name, 255);
    let done = if known { "has a new password" } else { "may log in" };
    writeln!(out, "{name} {done}: {}", file.display())?;
    Ok(())
}

fn remove(file: &Path, name: &str, out: &mut impl Write) -> Result<(), Failure> {
    let known = edit(file, |text| {
        let kept: String = text.split_inclusive('\n').filter(|line| !is_of(line, name)).collect();
        let known = kept.len() != text.len();
        (kept, known)
    })?;
    let name = visible(name, 255);
    if !known {
        return Err(Failure::Data(format!("{name}: no such user in {}", file.display())));
    }
    writeln!(out, "{name} may not log in any more: {}", file.display())?;
    Ok(())
}

/// Whether this line is the user's.
fn is_of(line: &str, name: &str) -> bool {
    let line = line.trim_start_matches('\u{feff}').trim();
    !line.starts_with('#') && line.split_once(':').is_some_and(|(of, _)| of == name)
}

/// Changes the file as a whole; nobody else edits it meanwhile. Only its owner can read one that is made here.
fn edit(file: &Path, change: impl FnOnce(&str) -> (String, bool)) -> Result<bool, Failure> {
    let target = real_path(file);
    let failed = |error: io::Error| Failure::Io(format!("{}: {error}", target.display()));
    let folder = File::open(folder_of(&target)).map_err(failed)?;
    folder.lock().map_err(failed)?;
    if !target.exists() {
        OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&target)
            .map_err(failed)?;
    }
    let before = fs::read(&target).map_err(failed)?;
    checked(file, &before)?;
    let text = String::from_utf8_lossy(&before);
    let (after, known) = change(&text);
    checked(file, after.as_bytes())?;
    if after != text {
        replace::replace(&target, after.as_bytes()).map_err(failed)?;
    }
    Ok(known)
}

fn checked(file: &Path, content: &[u8]) -> Result<(), Failure> {
    let Err(faults) = Users::parse(content) else { return Ok(()) };
    let located = faults
        .into_iter()
        .map(|fault| ConfigError::of_file(file, fault.why).at(Some(fault.line), "", &fault.text));
    Err(Failure::Config(config::listed(&located.collect::<Vec<_>>())))
}

/// The first line of what is piped in.
fn password_of(input: &mut impl BufRead) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let mut line = Zeroizing::new(Vec::with_capacity(PASSWORD_MAX + 2));
    io::Read::take(input, PASSWORD_MAX as u64 + 2).read_until(b'\n', &mut line)?;
    while line.last().is_some_and(|last| matches!(last, b'\n' | b'\r')) {
        line.pop();
    }
    let fits = (1..=PASSWORD_MAX).contains(&line.len()) && !line.contains(&0);
    let wrong = || Failure::Data("expected a password of 1 to 1024 octets without NUL".to_owned());
    fits.then_some(line).ok_or_else(wrong)
}

/// Asks twice, unseen.
fn asked(name: &str) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let ask = |prompt: String| {
        let _unseen = Unseen::begin()?;
        let mut terminal = io::stderr();
        write!(terminal, "{prompt}")?;
        terminal.flush()?;
        password_of(&mut io::stdin().lock())
    };
    let first = ask(format!("password of {}: ", visible(name, 255)))?;
    let mut again = ask("once more: ".to_owned())?;
    let same = first == again;
    again.zeroize();
    if same { Ok(first) } else { Err(Failure::Data("these were two different ones".to_owned())) }
}

/// A terminal that does not show what is typed, until this is dropped.
struct Unseen {
    before: Termios,
}

impl Unseen {
    fn begin() -> io::Result<Self> {
        let before = tcgetattr(io::stdin())?;
        let mut unseen = before.clone();
        unseen.local_modes.remove(LocalModes::ECHO);
        // The end of the line is shown, or what comes next would stand behind the prompt.
        unseen.local_modes.insert(LocalModes::ECHONL);
        tcsetattr(io::stdin(), OptionalActions::Flush, &unseen)?;
        Ok(Self { before })
    }
}

impl Drop for Unseen {
    fn drop(&mut self) {
        // If the terminal has gone, there is nothing to put right.
        let _ = tcsetattr(io::stdin(), OptionalActions::Flush, &self.before);
    }
}

#[cfg(test)]
mod tests;
