//! Lists of other systems: rows of CSV or JSON lines in, entries for the journal out; and the gate's own lists in the same form.
//!
//! Pure: bytes come from any reader, the time is an argument. Memory does not grow with the number of rows.
//!
//! | file | holds |
//! |---|---|
//! | `reader` | rows of a file, whichever kind it is, as named cells |
//! | `newlines` | what of a file's bytes reaches the parser, and how much of it at once |
//! | `json` | cells of a JSON object |
//! | `mapping` | which column means what, and which value which kind |
//! | `formats` | the files of known exporters |
//! | `heading` | the words of headings that are no exporter's |
//! | `dates` | the ways in which they write times |
//! | `plan` | what becomes of a row |
//! | `compare` | what comes of an entry where something is known already |
//! | `report` | what becomes of all of them |
//! | `fault` | what is wrong, and where |
//! | `export` | the gate's own form |

mod compare;
pub mod dates;
pub mod export;
mod fault;
mod formats;
mod heading;
mod json;
mod mapping;
mod newlines;
mod plan;
mod reader;
mod report;

pub use compare::{Comes, comes_of};
pub use fault::{Fault, Faults, ReadError};
pub use formats::Format;
pub use mapping::{Field, Meaning, Wanted, column, value};
pub use plan::{Becomes, Entry, Idle, Outcome, Terms};
pub use reader::Reader;
pub use report::{Count, Known, Report, survey};

#[cfg(test)]
mod tests;
