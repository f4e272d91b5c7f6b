//! The commands.

pub mod check;
pub mod classify;
pub mod disposable;
pub mod exit;
pub mod simulate;
