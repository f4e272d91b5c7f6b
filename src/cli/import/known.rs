//! What of a list the gate knows already: a dry run that calls the same rows new each time tells nothing.

use std::collections::{HashMap, HashSet};
use std::io::Write;

use crate::admin::desk::BATCH_MAX;
use crate::admin::wire::LookupRequest;
use crate::cli::access::Access;
use crate::cli::out::harmless;
use crate::exchange::{Comes, Entry, comes_of};
use crate::failure::Failure;
use crate::policy::{Policy, Record};
use crate::smtp::address::RecipientKey;
use crate::time::Timestamp;

/// What comes of each entry, imported at that time, as far as the gate knows.
///
/// # Errors
/// When the gate cannot say.
pub(super) fn known(
    access: &Access,
    entries: &[Entry],
    (now, policy): (Timestamp, &Policy),
) -> Result<Vec<Comes>, Failure> {
    let distinct: HashSet<&RecipientKey> = entries.iter().map(|entry| &entry.address).collect();
    let distinct: Vec<&RecipientKey> = distinct.into_iter().collect();
    let mut records = HashMap::new();
    for some in distinct.chunks(BATCH_MAX) {
        let addresses = some.iter().map(|address| address.to_string()).collect();
        let found = access.lookup(&LookupRequest { addresses, tenant: None, record: true })?;
        records.extend(
            found.into_iter().filter_map(|found| found.record.map(|record| (found.key, record))),
        );
    }
    let nothing = Record::default();
    let record =
        |entry: &Entry| records.get(&entry.address.to_string()).map_or(&nothing, |known| known);
    Ok(entries.iter().map(|entry| comes_of(entry, record(entry), now, policy)).collect())
}

/// What was found; else nothing, and it is said why. A gate that cannot be asked is no reason not to look at a file.
pub(super) fn or_say<T>(found: Result<T, Failure>, said: &mut impl Write) -> Option<T> {
    if let Err(why) = &found {
        say(&harmless(&why.to_string()), said);
    }
    found.ok()
}

/// Says why nothing is compared.
pub(super) fn say(why: &str, said: &mut impl Write) {
    // If nobody reads it, the report still says that it was not compared.
    let _ = writeln!(said, "rcptgate: what is so already was not looked up: {why}");
}
