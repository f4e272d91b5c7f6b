//! Tries the files that a configuration names; faults are told at the keys that name them.

use std::path::Path;

use crate::credentials::Account;
use crate::tls::{Acceptor, Connector, TlsFault, Trust};

use super::lists::{cannot_read, read, read_list};
use super::reader::Table;
use super::settings::{PolicySource, Settings};
use super::ways::WaySettings;

/// Files that cannot be read, and certificates that cannot be used. What stands in lists and policy is looked at elsewhere.
pub(super) fn tried(settings: &Settings, top: &Table<'_, '_>) {
    let lists = &settings.lists;
    let named =
        [("disposable", &lists.disposable), ("trusted", &lists.trusted), ("allow", &lists.allow)];
    for (key, list) in named {
        if let Err(why) = read_list(list) {
            top.table("lists").fault(key, why);
        }
    }
    if let PolicySource::File(file) = &settings.policy.source
        && let Err(error) = read(file)
    {
        top.table("policy").fault("file", cannot_read(file, &error));
    }
    if let Some(file) = &settings.classification.file
        && let Err(error) = read(file)
    {
        top.table("classification").fault("file", cannot_read(file, &error));
    }
    for (index, listen) in settings.listen.iter().enumerate() {
        if let Some(file) = &listen.credentials
            && let Err(error) = read(file)
        {
            top.fault_below("listen", index, "credentials", cannot_read(file, &error));
        }
        let Some((chain, key)) = &listen.certificate else { continue };
        for (name, why) in pair(chain, key) {
            top.fault_below("listen", index, name, why);
        }
    }
    let ways = settings.routes.iter().enumerate().map(|(index, way)| (Some(index), way));
    for (index, way) in ways.chain([(None, &settings.downstream.way)]) {
        for (key, why) in of_way(way) {
            match index {
                Some(index) => top.fault_below("route", index, key, why),
                None => top.table("downstream").fault(key, why),
            }
        }
    }
    if let Some(file) = &settings.downstream.sts.ca
        && let Err(fault) = Connector::new(&Trust::File(file.clone()))
    {
        top.table("downstream").fault("mta_sts_ca", fault.to_string());
    }
}

/// What is wrong with the files of one way out.
fn of_way(way: &WaySettings) -> Vec<(&'static str, String)> {
    let mut faults = Vec::new();
    if let Some((chain, key)) = &way.certificate {
        faults.extend(pair(chain, key));
    }
    if let Some((user, file)) = &way.login
        && let Err(error) = Account::open(user, file)
    {
        faults.push(("password_file", cannot_read(file, &error)));
    }
    if let Some(file) = &way.ca
        && let Err(fault) = Connector::new(&Trust::File(file.clone()))
    {
        faults.push(("ca", fault.to_string()));
    }
    faults
}

/// What is wrong with a certificate and its key.
fn pair(chain: &Path, key: &Path) -> Vec<(&'static str, String)> {
    let unread: Vec<_> = [("certificate", chain), ("key", key)]
        .into_iter()
        .filter_map(|(name, file)| Some((name, cannot_read(file, &read(file).err()?))))
        .collect();
    if !unread.is_empty() {
        return unread;
    }
    let Err(fault) = Acceptor::load(chain, key) else { return Vec::new() };
    let name = match &fault {
        TlsFault::File { file, .. } if file == chain => "certificate",
        TlsFault::File { .. } | TlsFault::Rustls(_) => "key",
    };
    vec![(name, fault.to_string())]
}
