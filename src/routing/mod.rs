//! Where mail goes, without asking anybody: what is made of the answers of DNS and of published policies.
//!
//! | file | holds |
//! |---|---|
//! | `mx` | the mail hosts of a domain, best first |
//! | `receiver` | whose a mail host is |
//! | `records` | answers of DNS as plain values |
//! | `target` | the addresses that a stranger's domain may not send us to |

pub mod mx;
pub mod receiver;
pub mod records;
pub mod target;
