//! Where mail goes, without asking anybody: what is made of the answers of DNS and of published policies.
//!
//! | file | holds |
//! |---|---|
//! | `records` | answers of DNS as plain values |
//! | `sts` | MTA-STS: the record, the policy, and when to fetch it |
//! | `tlsa` | DANE: which TLSA records count, and what they demand of a host |

pub mod records;
pub mod sts;
pub mod tlsa;
