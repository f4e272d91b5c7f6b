//! The commands.

pub mod classify;
pub mod exit;
