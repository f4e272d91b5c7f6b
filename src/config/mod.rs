//! The configuration: one TOML file, the lists and the policy that it names. Read whole, every fault told at once, nothing opened.
//!
//! | file | holds |
//! |---|---|
//! | `settings` | what a configuration says, with its defaults |
//! | `bounds` | those of its settings that are limits |
//! | `sections` | the keys of each section |
//! | `ways` | the ways out: `[downstream]` and `[[route]]` |
//! | `values` | values that are written as text |
//! | `reader` | TOML key by key, with faults by line, key and value |
//! | `lists` | list and policy files |
//! | `rules` | the operator's rules for reading replies, and those in force |
//! | `files` | tries the files that are named |
//! | `live` | the lists in force, read again when they change |
//! | `error` | a fault, and how it is shown |

mod attribution;
mod bounds;
mod clashes;
mod error;
mod files;
mod lists;
mod live;
mod near;
mod reader;
mod rules;
mod sections;
mod settings;
mod values;
mod ways;

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::lists::Lists;
use reader::Reader;
use sections::Files;

pub use error::{ConfigError, listed};
pub use lists::{load_lists, load_policy};
pub use live::{LiveLists, Reload};
pub use near::near;
pub use rules::{LiveRules, load_rules};
pub use settings::{
    AddressForm, AdminSettings, ClassificationSettings, DnsSettings, DnssecChoice, ImportSource,
    LimitSettings, ListFile, ListPaths, ListenAuth, ListenProtocol, ListenSettings, ListenTls,
    LogSettings, Mode, OnStoreFailure, PolicyChoice, PolicySource, Recording, ReportSettings,
    Settings, StoreSettings, TimeoutSettings,
};
pub use values::HostPort;
pub use ways::{
    DownstreamSettings, DownstreamTls, RouteKind, SourceSettings, StsSettings, WaySettings,
};

/// Where a configuration is looked for when no file and no `$RCPTGATE_CONFIG` is given, in this order.
const PLACES: [&str; 2] = ["config/rcptgate.toml", "/etc/rcptgate/rcptgate.toml"];

/// The configuration file to use: the one given, else `$RCPTGATE_CONFIG`, else the first that exists of
/// `config/rcptgate.toml` and `/etc/rcptgate/rcptgate.toml`.
///
/// # Errors
/// When nothing is given and neither exists.
pub fn find(given: Option<&Path>) -> Result<PathBuf, ConfigError> {
    choose(given, env::var_os("RCPTGATE_CONFIG"), Path::exists)
}

fn choose(
    given: Option<&Path>,
    named: Option<OsString>,
    exists: impl Fn(&Path) -> bool,
) -> Result<PathBuf, ConfigError> {
    let named = || named.filter(|name| !name.is_empty()).map(PathBuf::from);
    let found = || PLACES.iter().map(PathBuf::from).find(|place| exists(place));
    given.map(Path::to_owned).or_else(named).or_else(found).ok_or_else(|| {
        let why =
            "no configuration: neither -c nor $RCPTGATE_CONFIG is given, and there is no such file";
        ConfigError::of_file(Path::new(&PLACES.join(" or ")), why)
    })
}

/// Reads the configuration file alone.
///
/// # Errors
/// Every fault of it.
pub fn read(file: &Path) -> Result<Settings, Vec<ConfigError>> {
    let text = lists::read_text(file).map_err(|error| vec![error])?;
    let (settings, errors) = parse(file, &text, Files::Leave);
    if errors.is_empty() { Ok(settings) } else { Err(errors) }
}

/// Reads the configuration file and tries the lists, the policy and the certificates that it names.
///
/// # Errors
/// Every fault of every file.
pub fn load(file: &Path) -> Result<Settings, Vec<ConfigError>> {
    let (settings, errors) = tried(file)?;
    if errors.is_empty() { Ok(settings) } else { Err(errors) }
}

/// As [`load`], with the operator's rules for reading replies, which take longer to try than all else together.
///
/// # Errors
/// Every fault of every file.
pub fn load_all(file: &Path) -> Result<(Settings, LiveRules), Vec<ConfigError>> {
    let (settings, mut errors) = tried(file)?;
    match LiveRules::open(&settings.classification) {
        Ok(rules) if errors.is_empty() => return Ok((settings, rules)),
        Ok(_) => {}
        Err(faults) => errors.extend(faults.into_iter().filter(|fault| fault.line.is_some())),
    }
    Err(errors)
}

fn tried(file: &Path) -> Result<(Settings, Vec<ConfigError>), Vec<ConfigError>> {
    let text = lists::read_text(file).map_err(|error| vec![error])?;
    let (settings, mut errors) = parse(file, &text, Files::Try);
    // What has no line is a file that cannot be read, and told already.
    let mut tell = |faults: Vec<ConfigError>| {
        errors.extend(faults.into_iter().filter(|fault| fault.line.is_some()));
    };
    let lists = load_lists(&settings.lists);
    let policy = load_policy(&settings.policy, lists.as_ref().unwrap_or(&Lists::embedded()));
    tell(lists.err().unwrap_or_default());
    tell(policy.err().unwrap_or_default());
    let mut users: Vec<_> =
        settings.listen.iter().filter_map(|listen| listen.credentials.as_deref()).collect();
    // Several listeners may share a file.
    users.sort_unstable();
    users.dedup();
    users.into_iter().for_each(|file| tell(lists::check_users(file)));
    Ok((settings, errors))
}

/// The settings, with defaults in place of whatever is wrong, and what is wrong.
fn parse(file: &Path, text: &str, files: Files) -> (Settings, Vec<ConfigError>) {
    let reader = Reader::new(file, text);
    let table = reader.parse();
    let settings = sections::settings(file, reader.top(table.get_ref()), files);
    (settings, reader.into_errors())
}

#[cfg(test)]
mod tests;
