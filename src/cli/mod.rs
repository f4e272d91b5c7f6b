//! The commands.

pub mod classify;
pub mod exit;
pub mod simulate;
