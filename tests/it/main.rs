//! The one integration binary: everything that needs the whole crate links once.
//! `tests/README.md` says what each kind of test is for.

mod admin;
mod bounds;
mod cli;
mod demo;
mod dialogues;
mod faults;
mod harness;
mod lmtp;
mod login;
mod proxy_header;
mod rig;
mod rules;
mod smuggling;
mod tidy;
mod tls;
mod transcripts;
mod wire;
