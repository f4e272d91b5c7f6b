//! The commands.

pub mod check;
pub mod disposable;
pub mod classify;
pub mod exit;
pub mod simulate;
