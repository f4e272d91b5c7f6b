//! What the operator's files and the built-in list say about domains and addresses. Pure: text in, sets out.
//!
//! | file | holds |
//! |---|---|
//! | `domains` | `DomainSet`: domains that stand for their sub-domains too |
//! | `addresses` | `AddressSet`: addresses and domains in one list |
//! | `disposable` | the built-in disposable domains, with what the operator adds and removes |
//! | `file` | list files: one entry a line, every fault with its line |

mod addresses;
mod disposable;
mod domains;
mod file;

use crate::smtp::address::RecipientKey;

pub use addresses::AddressSet;
pub use disposable::Disposable;
pub use domains::DomainSet;
pub use file::{
    Entry, ListFault, domain_entry, entry_of, parse_addresses, parse_disposable, parse_domains,
};

/// The trusted domains that hold where there is no file of them.
const TRUSTED: &str = include_str!("../../config/trusted-domains.txt");

/// Everything that lists say, as one immutable value: a reload makes a new one and swaps it whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lists {
    /// Disposable domains.
    pub disposable: Disposable,
    /// Recipients that are never refused.
    pub allow: AddressSet,
    /// Domains whose first hard bounce is believed; without a file of them the embedded ones, which a policy has from the start.
    pub trusted: Option<DomainSet>,
}

impl Lists {
    /// The lists of a gate that has no list files.
    pub fn embedded() -> Self {
        Self { disposable: Disposable::embedded(), allow: AddressSet::default(), trusted: None }
    }

    /// The trusted domains that hold where there is no file of them.
    pub fn embedded_trusted() -> DomainSet {
        // A test keeps the shipped file free of faults.
        parse_domains(TRUSTED.as_bytes()).unwrap_or_default()
    }

    /// Whether the recipient is on the allow list, and else the entry that makes it disposable: allow beats disposable.
    pub fn listing(&self, recipient: &RecipientKey) -> (bool, Option<&str>) {
        if self.allow.contains(recipient) {
            return (true, None);
        }
        (false, self.disposable.contains_suffix(recipient.domain()))
    }
}

#[cfg(test)]
mod tests;
