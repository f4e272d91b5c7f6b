//! The commands.

pub mod exit;
pub mod simulate;
