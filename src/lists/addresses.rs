//! Sets of addresses and domains.

use std::collections::HashSet;

use crate::smtp::address::RecipientKey;

use super::DomainSet;

/// Addresses, and domains with their sub-domains.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AddressSet {
    addresses: HashSet<RecipientKey>,
    domains: DomainSet,
}

impl AddressSet {
    /// A set of both.
    pub const fn new(addresses: HashSet<RecipientKey>, domains: DomainSet) -> Self {
        Self { addresses, domains }
    }

    /// Whether the recipient, its domain or a domain above it is in the set.
    pub fn contains(&self, recipient: &RecipientKey) -> bool {
        self.addresses.contains(recipient)
            || self.domains.contains_suffix(recipient.domain()).is_some()
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.addresses.len() + self.domains.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
