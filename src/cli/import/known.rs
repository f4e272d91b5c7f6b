//! What of a list the gate knows already: a dry run that calls the same rows new each time tells nothing.

use std::collections::{HashMap, HashSet};
use std::io;

use crate::admin::desk::BATCH_MAX;
use crate::admin::wire::{Found, LookupRequest};
use crate::cli::access::Access;
use crate::exchange::{Becomes, Entry};
use crate::failure::Failure;

/// Says of each entry whether what it comes to is so already.
///
/// # Errors
/// When the gate cannot say.
pub(super) fn known(access: &Access, entries: &[Entry]) -> io::Result<Vec<bool>> {
    let distinct: HashSet<&str> = entries.iter().map(|entry| entry.address.as_str()).collect();
    let distinct: Vec<&str> = distinct.into_iter().collect();
    let mut standings = HashMap::new();
    for some in distinct.chunks(BATCH_MAX) {
        let addresses = some.iter().map(|address| (*address).to_owned()).collect();
        let found = access.lookup(&LookupRequest { addresses, tenant: None });
        let found = found.map_err(|why: Failure| io::Error::other(why.to_string()))?;
        standings.extend(found.into_iter().map(|found| (found.key.clone(), found)));
    }
    let is_so = |entry: &Entry| {
        standings.get(entry.address.as_str()).is_some_and(|found| is_so(entry, found))
    };
    Ok(entries.iter().map(is_so).collect())
}

fn is_so(entry: &Entry, found: &Found) -> bool {
    match entry.becomes {
        Becomes::LongTerm => found.shared == "quarantined_long_term",
        Becomes::Quarantined => found.shared.starts_with("quarantined"),
        Becomes::Blacklisted => found.blacklisted.contains(&entry.tenant),
        Becomes::Allowed => found.shared == "allowed",
        Becomes::Reset => false,
    }
}
