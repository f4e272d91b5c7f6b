//! Headings in plain words, which need no `--columns`.

use super::mapping::{Field, normal};

use Field::{Address, At, Category, Kind, Reason, Tenant, Until};

/// The words by which headings call what a row can say, in the form that `normal` gives them.
const NAMES: &[(Field, &[&str])] = &[
    (
        Address,
        &["address", "email", "emailaddress", "mail", "mailaddress", "recipient", "subscriber"],
    ),
    (Kind, &["kind", "type", "status", "bouncetype", "suppressiontype"]),
    (
        At,
        &["at", "date", "time", "datetime", "timestamp", "created", "createdat", "since", "added"],
    ),
    (Until, &["until", "expires", "expiresat", "expiry", "end"]),
    (
        Reason,
        &["reason", "why", "description", "detail", "details", "error", "message", "reply", "note"],
    ),
    (Tenant, &["tenant"]),
    (Category, &["category"]),
];

/// The columns of a heading in plain words. None where it names no address, or one thing twice: then nobody can tell which is meant.
pub(super) fn columns(names: &[String]) -> Option<Vec<(Field, Vec<String>)>> {
    let mut columns: Vec<(Field, Vec<String>)> = Vec::new();
    for name in names {
        let known = |(_, words): &&(Field, &[&str])| words.contains(&&*normal(name));
        let Some((field, _)) = NAMES.iter().find(known) else { continue };
        if columns.iter().any(|(taken, _)| taken == field) {
            return None;
        }
        columns.push((*field, vec![name.clone()]));
    }
    columns.iter().any(|(field, _)| *field == Address).then_some(columns)
}
