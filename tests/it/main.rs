//! The one integration binary: everything that needs the whole crate links once.
//! `tests/README.md` says what each kind of test is for.

mod admin;
mod backpressure;
mod bounds;
mod certificates;
mod cli;
mod deadlines;
mod demo;
mod dialogues;
mod dice;
mod differential;
mod dns;
mod dns_server;
mod faults;
mod fuzz;
mod greeting;
mod harness;
mod identity;
mod injection;
mod keep;
mod killed;
mod live;
mod lmtp;
mod login;
mod mx;
mod proxy_header;
mod rig;
mod round_trips;
mod rules;
mod smuggling;
mod tidy;
mod tls;
mod tls_faults;
mod transcripts;
mod transparency;
mod wire;
