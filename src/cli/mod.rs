//! The commands.

pub mod check;
pub mod disposable;
pub mod exit;
pub mod simulate;
