//! Sets of domains in which an entry stands for its sub-domains too.

use std::collections::HashSet;

use foldhash::fast::RandomState;

/// Asked several times for every recipient, by names that strangers choose; what is in it the operator chooses, so that nobody can
/// make entries collide, and a fast hash will do.
type Names = HashSet<Box<str>, RandomState>;

/// A set of domains, matched with their sub-domains: `yopmail.com` matches `x.yopmail.com`.
///
/// An entry that is a public suffix (`co.uk`, `pp.ua`, `ddns.net`) matches exactly, never as a parent: below it live strangers
/// who have nothing to do with each other. Entries and questions are domain keys (`smtp::address::domain_key`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DomainSet {
    parents: Names,
    exact: Names,
}

impl DomainSet {
    /// The entry that matches a domain key, the most specific one if several do.
    pub fn contains_suffix(&self, domain_key: &str) -> Option<&str> {
        if let Some(entry) = self.exact.get(domain_key) {
            return Some(entry);
        }
        if self.parents.is_empty() {
            return None;
        }
        with_parents(domain_key).find_map(|name| self.parents.get(name)).map(AsRef::as_ref)
    }

    /// Whether the set has this very entry.
    pub fn has_entry(&self, domain_key: &str) -> bool {
        self.parents.contains(domain_key) || self.exact.contains(domain_key)
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.parents.len() + self.exact.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All entries, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.parents.iter().chain(&self.exact).map(AsRef::as_ref)
    }
}

impl<S: AsRef<str>> FromIterator<S> for DomainSet {
    fn from_iter<I: IntoIterator<Item = S>>(domain_keys: I) -> Self {
        let mut set = Self::default();
        for key in domain_keys {
            let key = key.as_ref();
            let side = if is_public_suffix(key) { &mut set.exact } else { &mut set.parents };
            side.insert(key.into());
        }
        // Growing doubled the tables; 56,000 entries are worth giving that back.
        set.parents.shrink_to_fit();
        set.exact.shrink_to_fit();
        set
    }
}

/// Whether registrations are made right below this domain key, by a registry or by a provider who hands out names.
pub(super) fn is_public_suffix(domain_key: &str) -> bool {
    psl::suffix_str(domain_key) == Some(domain_key)
}

/// The name, then each name above it: `a.b.c`, `b.c`, `c`.
fn with_parents(name: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(name), |name| name.split_once('.').map(|(_, parent)| parent))
}
