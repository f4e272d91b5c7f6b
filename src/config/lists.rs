//! List and policy files: read whole, or every fault told.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use crate::credentials::Users;
use crate::lists::{
    AddressSet, Disposable, DomainSet, ListFault, Lists, parse_addresses, parse_disposable,
    parse_domains,
};
use crate::policy::{Policy, PolicyFault};

use super::error::ConfigError;
use super::settings::{ListFile, ListPaths, PolicyChoice, PolicySource};

/// Largest configuration, list or policy file, in octets.
pub(super) const FILE_MAX: u64 = 64 << 20;

/// Reads the list files.
///
/// # Errors
/// Every line of every file that is no entry, and every file that cannot be read.
pub fn load_lists(paths: &ListPaths) -> Result<Lists, Vec<ConfigError>> {
    let none = Lists { disposable: no_file(paths), trusted: None, allow: AddressSet::default() };
    let (lists, faults) = reload_lists(paths, &none);
    if faults.is_empty() { Ok(lists) } else { Err(faults) }
}

/// Reads the list files again; a file with a fault leaves its list as it was before, and the others alone.
pub(super) fn reload_lists(paths: &ListPaths, before: &Lists) -> (Lists, Vec<ConfigError>) {
    let mut faults = Vec::new();
    let disposable =
        load(&paths.disposable, |bytes| parse_disposable(bytes, paths.builtin_disposable))
            .map(|list| list.unwrap_or_else(|| no_file(paths)));
    let lists = Lists {
        disposable: kept(disposable, &before.disposable, &mut faults),
        trusted: kept(load(&paths.trusted, parse_domains), &before.trusted, &mut faults),
        allow: kept(
            load(&paths.allow, parse_addresses).map(Option::unwrap_or_default),
            &before.allow,
            &mut faults,
        ),
    };
    (lists, faults)
}

/// What disposable domains there are without a file of them.
fn no_file(paths: &ListPaths) -> Disposable {
    Disposable::new(paths.builtin_disposable, DomainSet::default(), DomainSet::default())
}

fn kept<T: Clone>(
    read: Result<T, Vec<ConfigError>>,
    before: &T,
    faults: &mut Vec<ConfigError>,
) -> T {
    read.unwrap_or_else(|mut found| {
        faults.append(&mut found);
        before.clone()
    })
}

/// Reads the policy; the trusted domains of the lists, if there is a file of them, replace those it has from the start.
///
/// # Errors
/// Every fault of the policy file.
pub fn load_policy(choice: &PolicyChoice, lists: &Lists) -> Result<Policy, Vec<ConfigError>> {
    let mut policy = match &choice.source {
        PolicySource::Preset(name) => Policy::preset(name)
            .ok_or_else(|| vec![ConfigError::of_file(Path::new(name), "unknown policy preset")])?,
        PolicySource::File(file) => load_policy_file(file)?,
    };
    if let Some(trusted) = &lists.trusted {
        policy.trusted.clone_from(trusted);
    }
    Ok(policy)
}

fn load_policy_file(file: &Path) -> Result<Policy, Vec<ConfigError>> {
    let text = read_text(file).map_err(|error| vec![error])?;
    let located = |fault: PolicyFault| {
        // A fault of the file as a whole is told at its first line.
        ConfigError::of_file(file, fault.problem).at(fault.line.or(Some(1)), fault.key, "")
    };
    Policy::from_toml(&text).map_err(|faults| faults.into_iter().map(located).collect())
}

/// The faults of a file of users.
pub(super) fn check_users(file: &Path) -> Vec<ConfigError> {
    // What cannot be read is told at the key that names it.
    let Ok(bytes) = read(file) else { return Vec::new() };
    let located = |fault: ListFault| {
        ConfigError::of_file(file, fault.why).at(Some(fault.line), "", &fault.text)
    };
    let faults = Users::parse(&bytes).err().unwrap_or_default();
    faults.into_iter().map(located).collect()
}

/// One list; `None` when there is none and none is required.
fn load<T>(
    list: &ListFile,
    parse: impl FnOnce(&[u8]) -> Result<T, Vec<ListFault>>,
) -> Result<Option<T>, Vec<ConfigError>> {
    let bytes = read_list(list).map_err(|why| vec![ConfigError::of_file(&list.path, why)])?;
    let Some(bytes) = bytes else { return Ok(None) };
    let located = |fault: ListFault| {
        ConfigError::of_file(&list.path, fault.why).at(Some(fault.line), "", &fault.text)
    };
    parse(&bytes).map(Some).map_err(|faults| faults.into_iter().map(located).collect())
}

/// A list's content; `None` when it is not there and need not be.
pub(super) fn read_list(list: &ListFile) -> Result<Option<Vec<u8>>, String> {
    match read(&list.path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound && !list.required => Ok(None),
        Err(error) => Err(cannot_read(&list.path, &error)),
    }
}

pub(super) fn read_text(file: &Path) -> Result<String, ConfigError> {
    let bytes = read(file)
        .map_err(|error| ConfigError::of_file(file, format!("cannot be read: {error}")))?;
    String::from_utf8(bytes).map_err(|error| {
        let before = error.as_bytes().get(..error.utf8_error().valid_up_to()).unwrap_or_default();
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        ConfigError::of_file(file, "not UTF-8").at(Some(line), "", "")
    })
}

/// A file's content, if it is a file and not endless.
pub(super) fn read(file: &Path) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    // Opening a pipe would wait for its other end.
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    File::open(file)?.take(FILE_MAX + 1).read_to_end(&mut content)?;
    if content.len() as u64 > FILE_MAX {
        return Err(io::Error::other("larger than 64 MiB"));
    }
    Ok(content)
}

pub(super) fn cannot_read(file: &Path, error: &io::Error) -> String {
    format!("{} cannot be read: {error}", file.display())
}
