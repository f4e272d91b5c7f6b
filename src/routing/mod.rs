//! Where mail goes, without asking anybody: what is made of the answers of DNS and of published policies.
//!
//! | file | holds |
//! |---|---|
//! | `records` | answers of DNS as plain values |

pub mod records;
