//! Where mail goes, without asking anybody: what is made of the answers of DNS and of published policies.
//!
//! | file | holds |
//! |---|---|
//! | `mx` | the mail hosts of a domain, best first |
//! | `receiver` | whose a mail host is |
//! | `records` | answers of DNS as plain values |
//! | `sts` | MTA-STS: the record, the policy, and when to fetch it |
//! | `target` | the addresses that a stranger's domain may not send us to |
//! | `tlsa` | DANE: which TLSA records count, and what they demand of a host |

pub mod mx;
pub mod receiver;
pub mod records;
pub mod sts;
pub mod target;
pub mod tlsa;

use std::sync::Arc;

/// Where a recipient's mail goes, as far as a transaction needs to know: those with equal destinations may share one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Destination {
    /// By which route.
    pub route: RouteId,
    /// The recipients' domain as a key, where that decides on the next hop; two domains never share a transaction there, even if
    /// they share a host (Google: `451 4.3.0 Multiple destination domains per transaction is unsupported`).
    pub domain: Option<Arc<str>>,
}

/// Names a route for as long as it is as it is: one that changes gets another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RouteId(pub u64);
