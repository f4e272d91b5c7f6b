//! Disposable domains: the built-in list, and what the operator adds to it and removes from it.

use std::sync::{Arc, LazyLock};

use super::domains::is_public_suffix;
use super::{DomainSet, parse_domains};

/// Privacy relays and real mailbox providers that the built-in data calls disposable.
const NOT_DISPOSABLE: &str = include_str!("../../config/not-disposable.txt");

/// Built once, shared by every reload: the data has some 56,000 entries.
static BUILTIN: LazyLock<Arc<DomainSet>> = LazyLock::new(|| Arc::new(builtin()));

/// `mailchecker`'s data without its slow scan, less what would refuse honest mail: an entry that is a public suffix would cover
/// every stranger below it, and the addresses of a privacy relay last as long as their owners want.
fn builtin() -> DomainSet {
    let honest = parse_domains(NOT_DISPOSABLE.as_bytes()).unwrap_or_default();
    let data = mailchecker::blacklist().into_iter();
    data.filter(|name| !is_public_suffix(name) && honest.contains_suffix(name).is_none()).collect()
}

/// Which domains are disposable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disposable {
    builtin: Arc<DomainSet>,
    added: DomainSet,
    removed: DomainSet,
}

impl Disposable {
    /// The built-in list, if wanted, with the operator's additions and removals.
    pub fn new(with_builtin: bool, added: DomainSet, removed: DomainSet) -> Self {
        let builtin = if with_builtin { Arc::clone(&BUILTIN) } else { Arc::default() };
        Self { builtin, added, removed }
    }

    /// The built-in list alone.
    pub fn embedded() -> Self {
        Self::new(true, DomainSet::default(), DomainSet::default())
    }

    /// The entry that makes a domain key disposable.
    ///
    /// The operator's word beats the built-in list; between two words of his the one nearer to the domain holds, so
    /// `!good.example.com` exempts a part of `example.com`.
    pub fn contains_suffix(&self, domain_key: &str) -> Option<&str> {
        let added = self.added.contains_suffix(domain_key);
        let removed = self.removed.contains_suffix(domain_key);
        match (added, removed) {
            (Some(added), Some(removed)) => (added.len() > removed.len()).then_some(added),
            (Some(added), None) => Some(added),
            (None, Some(_)) => None,
            (None, None) => self.builtin.contains_suffix(domain_key),
        }
    }

    /// Entries of the built-in list that are in use.
    pub fn builtin(&self) -> &DomainSet {
        &self.builtin
    }

    /// What the operator added.
    pub const fn added(&self) -> &DomainSet {
        &self.added
    }

    /// What the operator removed.
    pub const fn removed(&self) -> &DomainSet {
        &self.removed
    }
}
