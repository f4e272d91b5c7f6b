//! Judgement: how standings move, and what they say about a RCPT. Pure; time is an argument.
//!
//! `Record` is what the fold remembers of one address, `transition` is one step of the fold, `settle` is what passing time
//! does, and `decide` reads a record. Invariant: asking never changes anything, so a refused attempt prolongs nothing.

pub mod answer;
mod effect;
mod episode;
pub mod guard;
mod import;
pub mod mask;
pub mod outage;
pub mod record;
pub mod replies;
pub mod settings;
pub mod standing;
mod text;
mod transition;
pub mod verdict;

pub use episode::{settle, settled};
pub use import::end_of_soft;
pub use mask::{Masked, Masks, step};
pub use record::Record;
pub use settings::{Policy, PolicyFault};
pub use standing::Standing;
pub use transition::{is_role, transition};
pub use verdict::decide;

#[cfg(test)]
mod tests;
