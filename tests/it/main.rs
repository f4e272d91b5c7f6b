//! The one integration binary: everything that needs the whole crate links once.
//! `tests/README.md` says what each kind of test is for.

mod demo;
mod harness;
mod rules;
mod tidy;
mod wire;
