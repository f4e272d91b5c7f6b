//! The one integration binary: everything that needs the whole crate links once.
//! `tests/README.md` says what each kind of test is for.

mod admin;
mod bounds;
mod certificates;
mod cli;
mod demo;
mod dialogues;
mod faults;
mod harness;
mod identity;
mod lmtp;
mod proxy_header;
mod rig;
mod rules;
mod smuggling;
mod tidy;
mod tls;
mod tls_faults;
mod transcripts;
mod wire;
